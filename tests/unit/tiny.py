"""The shape of a BERT small enough for a test, and reviews in its vocabulary."""

import itertools

from transformers import BertConfig

from bift_utils.data.texts import LabelledTexts


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


def make_reviews(source="rotten_tomatoes"):
    """144 texts in tiny's vocabulary; the last word tells the class, half are positive."""
    words = [["the", "a"], ["film", "story", "cast"], ["was", "was not", "and"], ["very", ",", "a"]]
    starts = [" ".join(parts) for parts in itertools.product(*words)]
    starts += [f"{start} ," for start in starts[:18]]
    texts = [f"{start} {word} ." for word in ("good", "bad") for start in starts]
    return LabelledTexts(texts, [int("good" in text) for text in texts])
