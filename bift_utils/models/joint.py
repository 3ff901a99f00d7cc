"""One BERT encoder with two heads, built on `transformers`, and the way to load it.

Shapes: B rows, T tokens, H hidden width, V vocabulary, K classes, N selected positions.
Weights are named as BERT names them (`bert.*`, `cls.*`, `classifier.*`), so any `BertModel` or
`BertForMaskedLM` checkpoint loads by name. There is no loss inside.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from transformers import BertConfig, BertModel, BertPreTrainedModel
from transformers.models.bert.modeling_bert import BertOnlyMLMHead

POOLINGS = ("cls", "mean", "pooler")  # a vector a row; "token" keeps one for each token


def pool(
    hidden: torch.Tensor, attention_mask: torch.Tensor, pooling: str, pooler=None
) -> torch.Tensor:
    """Turn token vectors (B, T, H) into one vector a row (B, H).

    "cls" is the raw vector of [CLS] (the article's choice), "pooler" sends it through BERT's dense
    layer and tanh (what `BertForSequenceClassification` does), "mean" averages the real tokens.
    ("token" makes no row vector: see `BertForJointTraining`.) Only "pooler" needs the pooler.

    Introduced in notebook 05.
    """
    if pooling == "cls":
        return hidden[:, 0]
    if pooling == "pooler":
        return pooler(hidden)
    weights = attention_mask.unsqueeze(-1).to(hidden.dtype)  # (B, T, 1)
    return (hidden * weights).sum(1) / weights.sum(1).clamp(min=1)


def check_pooling(pooling: str) -> None:
    """Raise `ValueError` unless the pooling is one that there is."""
    if pooling not in (*POOLINGS, "token"):
        raise ValueError(
            f"The pooling was given as {pooling!r}; expected one of {(*POOLINGS, 'token')}."
        )


class BertForJointTraining(BertPreTrainedModel):
    """A shared encoder, a masked-LM head and a classification head.

    The masked-LM head is BERT's: dense, GELU, LayerNorm, then the transposed word embeddings (the
    weights are tied) plus a bias. The classification head is dropout and one affine map on the
    pooled vector of a row; `config.pooling` says how that vector is made (see `pool`). With
    `pooling="token"` it reads the vector of each token that has a label instead.

    Source: Devlin et al. 2019, sections 3 and 3.1; the article, sections 4.1 and 4.2.
    Introduced in notebook 06.
    """

    _tied_weights_keys = {
        "cls.predictions.decoder.weight": "bert.embeddings.word_embeddings.weight",
        "cls.predictions.decoder.bias": "cls.predictions.bias",
    }

    def __init__(self, config: BertConfig):
        super().__init__(config)
        config.return_dict = True  # some checkpoints ask for tuples, which have no names
        self.pooling = getattr(config, "pooling", "pooler")
        check_pooling(self.pooling)
        self.bert = BertModel(config)
        self.cls = BertOnlyMLMHead(config)
        dropout = config.classifier_dropout
        self.dropout = nn.Dropout(config.hidden_dropout_prob if dropout is None else dropout)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)
        self.post_init()

    def get_output_embeddings(self):
        return self.cls.predictions.decoder

    def set_output_embeddings(self, new_embeddings):
        self.cls.predictions.decoder = new_embeddings
        self.cls.predictions.bias = new_embeddings.bias

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        token_type_ids: torch.Tensor | None = None,
        masked_positions: torch.Tensor | None = None,
        classified: torch.Tensor | None = None,
    ) -> dict[str, torch.Tensor]:
        """Encode every row once and apply each head only where it is asked for.

        Args:
            input_ids: (B, T), clean and masked rows alike.
            attention_mask: (B, T), 1 for real tokens; all ones if left out.
            token_type_ids: (B, T), segment ids; zeros if left out.
            masked_positions: (B, T) bool, where to predict the token; None for nowhere.
            classified: (B,) bool, which rows to classify, or with `pooling="token"` (B, T) bool,
                which tokens; None for none.

        Returns:
            `hidden` (B, T, H); `mlm_logits` (N, V) for the N masked positions in reading order;
            `class_logits` (R, K) for the R chosen rows or tokens. A head not asked for is absent,
            so its parameters get no gradient at all.

        Raises:
            ValueError: the rows are longer than the model has positions, or hold a token id that
                it has no embedding for.
        """
        limit = self.config.max_position_embeddings
        if input_ids.shape[1] > limit:
            raise ValueError(
                f"The rows have {input_ids.shape[1]} tokens, but the model has {limit} positions. "
                f"Cut the texts with encode_texts(..., max_length={limit})."
            )
        size = self.config.vocab_size
        if input_ids.numel() and not 0 <= int(input_ids.min()) <= int(input_ids.max()) < size:
            raise ValueError(
                f"The rows hold token ids from {int(input_ids.min())} to {int(input_ids.max())}, "
                f"but the model has {size} tokens; expected 0 to {size - 1}. Use the tokenizer "
                "that belongs to this model."
            )
        if attention_mask is None:
            attention_mask = torch.ones_like(input_ids)
        hidden = self.bert(input_ids, attention_mask, token_type_ids).last_hidden_state
        outputs = {"hidden": hidden}
        if masked_positions is not None:
            outputs["mlm_logits"] = self.cls(hidden[masked_positions])  # (N, V)
        if classified is not None:
            pooled = hidden[classified]  # (R, T, H), or (R, H) for tokens
            if self.pooling != "token":
                pooled = pool(pooled, attention_mask[classified], self.pooling, self.bert.pooler)
            outputs["class_logits"] = self.classifier(self.dropout(pooled))  # (R, K)
        return outputs


def sinusoidal_positions(positions: int, width: int) -> torch.Tensor:
    """Return the fixed sine and cosine table (positions, width) of the original transformer.

    Used as a starting point for learned positions: from random ones, a small BERT needs millions
    of tokens before it notices word order.

    Source: Vaswani et al. 2017, section 3.5. Introduced in notebook 04.
    """
    rates = torch.exp(torch.arange(0, width, 2) * (-torch.log(torch.tensor(10000.0)) / width))
    angles = torch.arange(positions).unsqueeze(1) * rates  # (positions, width / 2)
    return torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(1)


def new_model(config: BertConfig) -> BertForJointTraining:
    """Return an untrained model whose position embeddings start as scaled sinusoids.

    Introduced in notebook 04.
    """
    model = BertForJointTraining(config)
    table = sinusoidal_positions(config.max_position_embeddings, config.hidden_size)
    with torch.no_grad():
        model.bert.embeddings.position_embeddings.weight.copy_(table * config.initializer_range)
    return model


def forget_created(model: nn.Module, *heads: str) -> None:
    """Note that heads which a checkpoint lacked have been trained since; see `check_trained`.

    Args:
        model: what was trained; its parts count as well.
        heads: beginnings of parameters' names, such as "cls.".
    """
    parts: Iterable[Any] = model.modules()
    for part in parts:
        if hasattr(part, "created"):
            part.created = [name for name in part.created if not name.startswith(heads)]


def check_trained(model: nn.Module, head: str, what: str) -> None:
    """Raise `ValueError` if a head is as random as it was created: its answers mean nothing.

    Args:
        model: from `models.load_model`, whose `created` lists what its checkpoint lacked.
        head: how the names of its parameters begin.
        what: the head in words.
    """
    created = [name for part in model.modules() for name in getattr(part, "created", [])]
    if any(name.startswith(head) for name in created):
        raise ValueError(
            f"The checkpoint of this model has no {what}: it was created anew, and answers at "
            "random until it is trained. Take a checkpoint that has one, such as bift-mini for "
            "blanks, or train this one first (after a loop of your own, set model.created = [])."
        )


@contextmanager
def evaluating(model: torch.nn.Module) -> Iterator[torch.nn.Module]:
    """Switch dropout and gradients off, and put the model back as it was, whatever happens.

    Introduced in notebook 04.
    """
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with torch.no_grad():
            yield model
    finally:
        for module, mode in modes.items():  # a part that was frozen by hand stays so
            module.training = mode


def small_bert(
    vocab_size: int,
    length: int,
    width: int = 64,
    layers: int = 2,
    heads: int = 2,
    causal: bool = False,
    num_labels: int = 2,
    pooling: str = "mean",
    dropout: float = 0.0,
) -> BertForJointTraining:
    """Return an untrained BERT for sentences of a known language.

    Args:
        vocab_size: V, the tokens of the language; [MASK] is added.
        length: T, positions; there is no [CLS] and no [SEP].
        width, layers, heads: of the encoder.
        causal: True lets position i attend to positions up to i only (the mask of a GPT).
        num_labels, pooling: of the classifier.
        dropout: everywhere; none unless asked for, so that runs on exact targets settle.

    Introduced in notebook 01.
    """
    config = BertConfig(
        vocab_size=vocab_size + 1,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=4 * width,
        max_position_embeddings=length,
        initializer_range=0.1,  # narrow layers need larger weights than BERT's 0.02
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
        num_labels=num_labels,
        is_decoder=causal,
    )
    config.pooling = pooling
    return new_model(config)
