"""The shape of a BERT small enough for a test."""

from transformers import BertConfig


def tiny_config(tokenizer, **options) -> BertConfig:
    """Return the shape of the tests' BERT: two layers, 16 wide; `options` change it."""
    settings = dict(
        vocab_size=len(tokenizer),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=16,
        hidden_dropout_prob=0.1,
        attention_probs_dropout_prob=0.1,
        initializer_range=0.2,
        pad_token_id=0,
    )
    return BertConfig(**{**settings, **options})
