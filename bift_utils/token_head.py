"""A label for every token: BERT with a tagging head, its batches, and its predictions.

Shapes: B rows, T tokens, H hidden width, K labels, N labelled tokens in reading order.
"""

import os
from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor, nn
from transformers import BertConfig, BertModel, BertPreTrainedModel

from bift_utils.data import pad_batch
from bift_utils.evaluation import evaluating, move_batch
from bift_utils.loading import load_model
from bift_utils.losses import IGNORE_INDEX
from bift_utils.synthetic import KnownLanguage


class BertForTokenTagging(BertPreTrainedModel):
    """A BERT encoder, dropout, and one affine map on the vector of every token asked for.

    The same function as `BertForTokenClassification` of transformers, with the same weight names.
    It differs in what it is given and returns: it scores only the tokens that have a label, and it
    speaks the language of `training.train`, so that the loop of the sentence classifier trains it.
    There is no loss inside.

    Source: Devlin et al. 2019, section 5.3. Introduced in notebook 05.
    """

    def __init__(self, config: BertConfig):
        super().__init__(config)
        self.bert = BertModel(config, add_pooling_layer=False)
        dropout = config.classifier_dropout
        self.dropout = nn.Dropout(config.hidden_dropout_prob if dropout is None else dropout)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)
        self.post_init()

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        masked_positions: Tensor | None = None,
        sequence_rows: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Encode the rows and score the tokens asked for.

        Args:
            input_ids: (B, T).
            attention_mask: (B, T), 1 for real tokens; all ones if left out.
            token_type_ids: (B, T), segment ids; zeros if left out.
            masked_positions: must be None, for there is no masked-LM head.
            sequence_rows: (B, T) bool, which tokens to label; None for none. The name is that of
                `BertForJointTraining`: what is labelled there is a row, and here a token.

        Returns:
            `hidden` (B, T, H), and `sequence_logits` (N, K) for the N tokens in reading order.

        Raises:
            ValueError: masked-LM scores are asked for, or the rows are longer than the model has
                positions.
        """
        limit = self.config.max_position_embeddings
        if input_ids.shape[1] > limit:
            raise ValueError(
                f"The rows have {input_ids.shape[1]} tokens, but the model has {limit} positions. "
                f"Cut the texts to {limit} tokens."
            )
        if masked_positions is not None:
            raise ValueError(
                "A tagger was asked for masked-LM scores, but has no masked-LM head; train it "
                "with TrainingConfig(mlm_weight=0.0)."
            )
        hidden = self.bert(input_ids, attention_mask, token_type_ids).last_hidden_state
        outputs = {"hidden": hidden}
        if sequence_rows is not None:
            outputs["sequence_logits"] = self.classifier(self.dropout(hidden[sequence_rows]))
        return outputs


def load_tagger(
    name: str | os.PathLike, num_labels: int, dropout: float | None = None
) -> BertForTokenTagging:
    """Load the encoder of a checkpoint under a fresh tagging head, in fp32.

    The head is initialised from PyTorch's global seed.

    Args:
        name: see `loading.find_checkpoint`.
        num_labels: K, at least two.
        dropout: rate inside the encoder and before the head; None keeps the checkpoint's.

    Raises:
        ValueError: fewer than two labels, or the checkpoint is damaged.

    Introduced in notebook 05.
    """
    if num_labels < 2:
        raise ValueError(f"num_labels was given as {num_labels}; expected 2 or more.")
    donor = load_model(name, num_labels, dropout=dropout)
    tagger = BertForTokenTagging(donor.config)
    weights = {key: value for key, value in donor.bert.state_dict().items() if "pooler" not in key}
    tagger.bert.load_state_dict(weights)
    return tagger


class TokenCollator:
    """Pad examples that have a label for every token; padding gets `IGNORE_INDEX`.

    Returns a dict with `input_ids`, `attention_mask` and `labels`, all (B, T).

    Raises:
        ValueError: an example has more or fewer labels than tokens.

    Introduced in notebook 05.
    """

    def __init__(self, tokenizer):
        self.pad_token_id = tokenizer.pad_token_id

    def __call__(self, examples: Sequence[dict]) -> dict[str, Tensor]:
        for i, example in enumerate(examples):
            tokens, labels = len(example["input_ids"]), len(example["labels"])
            if tokens != labels:
                raise ValueError(
                    f"Example {i} of the batch has {tokens} tokens and {labels} labels; expected "
                    f"one label a token. Give tokens without an answer the label {IGNORE_INDEX}."
                )
        batch = pad_batch([example["input_ids"] for example in examples], self.pad_token_id)
        labels = pad_batch([example["labels"] for example in examples], IGNORE_INDEX)
        return {**batch, "labels": labels["input_ids"]}


class TaggedBatches:
    """Fresh sentences of a known language with their hidden states as labels, for `train`.

    Args:
        language: any known language.
        steps: number of batches.
        batch_size: sentences a batch.
        length: T.
        generator: source of all randomness.

    Introduced in notebook 05.
    """

    def __init__(
        self,
        language: KnownLanguage,
        steps: int,
        batch_size: int,
        length: int,
        generator: torch.Generator,
    ):
        self.language, self.steps = language, steps
        self.batch_size, self.length, self.generator = batch_size, length, generator

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        for _ in range(self.steps):
            sample = self.language.sample(self.batch_size, self.length, self.generator)
            yield {
                "input_ids": sample.tokens,
                "attention_mask": torch.ones_like(sample.tokens),
                "labels": sample.states,
            }


def tag_log_probabilities(
    model: BertForTokenTagging, batches: Iterable[dict[str, Tensor]]
) -> Tensor:
    """Return log P(label) of every labelled token, (N, K), float64 on the CPU, in reading order.

    Args:
        model: the tagger.
        batches: dicts with `input_ids`, `attention_mask` and `labels`, all (B, T).

    Introduced in notebook 05.
    """
    rows = []
    with evaluating(model):
        for batch in batches:
            batch = move_batch(batch, model.device)
            asked = batch["labels"] != IGNORE_INDEX
            outputs = model(batch["input_ids"], batch["attention_mask"], sequence_rows=asked)
            rows.append(outputs["sequence_logits"].double().log_softmax(-1).cpu())
    return torch.cat(rows)


def f1_gap_interval(
    truth: Tensor,
    one: Tensor,
    other: Tensor,
    groups: Tensor,
    label: int,
    generator: torch.Generator,
    draws: int = 2000,
) -> tuple[float, float, float]:
    """Return F1 of one tagger minus that of another, with the ends of its 95 % interval.

    A bootstrap over groups: the words of one text stand or fall together, so whole texts are drawn
    with replacement. It holds the luck of the scored texts, not that of the training.

    Args:
        truth, one, other: (N,) class ids, the answers and those of the two taggers.
        groups: (N,) number of the text that each word stands in, from 0.
        label: the class to score; some word must have it.
        generator: source of the draws.
        draws: how many.

    Source: Efron and Tibshirani 1993, chapter 13 (percentiles). Introduced in notebook 05.
    """
    size = int(groups.max()) + 1
    lots = torch.randint(size, (draws, size), generator=generator)

    def scores(guess: Tensor) -> tuple[Tensor, Tensor]:
        rows = ((guess == label) & (truth == label), guess == label, truth == label)
        counts = torch.stack([groups.bincount(row.double(), minlength=size) for row in rows])
        hits, said, there = counts[:, lots].sum(-1)  # (draws,) each
        whole = counts.sum(-1)
        return 2 * whole[0] / (whole[1] + whole[2]), 2 * hits / (said + there)

    (value, drawn), (other_value, other_drawn) = scores(one), scores(other)
    low, high = (drawn - other_drawn).nanquantile(torch.tensor([0.025, 0.975]).double())
    return float(value - other_value), float(low), float(high)
