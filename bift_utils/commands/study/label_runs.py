"""One run of the label-efficiency study: n labels, much text, and one of the methods.

Of n labelled sentences a quarter, at most 512, is for validation; the text for the masked-LM
objective is the whole pool from which they were drawn, without its labels. Shapes as in `masking`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import torch

from bift_utils.data.batches import EncodedTexts, LengthBucketSampler, batches_by_length
from bift_utils.data.texts import LabelledTexts
from bift_utils.evaluation.baselines import nbsvm_probabilities
from bift_utils.evaluation.calibration import expected_calibration_error
from bift_utils.evaluation.flops import FlopMeter, forward_flops
from bift_utils.evaluation.metrics import classification_metrics, evaluate_sequence
from bift_utils.evaluation.predict import predict_classes
from bift_utils.masking.collators import MaskedLMCollator, SequenceCollator, joint_batch
from bift_utils.runtime import make_generator
from bift_utils.training.loop import train
from bift_utils.training.options import TrainingConfig

STAGES = 3  # a run's updates come in three equal passes; a task-only finish takes the last one
STRENGTHS = (0.1, 1.0, 10.0)  # of NBSVM; validation chooses


class LabelledAndText:
    """Joint batches of labelled rows and of other, masked text: a loader for `training.train`.

    The labelled rows, and their order, depend on `seed` alone. To save padding, the k-th longest of
    every `window` labelled batches goes with the k-th longest text batch.

    Args:
        labelled: encoded sentences with classes.
        text: encoded sentences; their classes, if any, are not looked at.
        tokenizer: for padding and masks.
        updates: batches a pass.
        batch_size: rows of each kind.
        seed: of both orders and of the masks.
        window: batches among which lengths are matched.

    Introduced in notebook 07.
    """

    def __init__(
        self, labelled: EncodedTexts, text: EncodedTexts, tokenizer, updates: int,
        batch_size: int = 32, seed: int = 0, window: int = 50,
    ):  # fmt: skip
        self.labelled, self.text = labelled, text
        self.updates, self.batch_size, self.window = updates, batch_size, window
        self.clean = SequenceCollator(tokenizer)
        self.masked = MaskedLMCollator(tokenizer, make_generator(seed, 1))
        self.orders = [
            self._forever(part, order_seed)
            for part, order_seed in ((labelled, seed), (text, seed + 1000))
        ]

    def __len__(self) -> int:
        return self.updates

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        for rows, others in self.pairs():
            yield joint_batch(
                self.clean([self.labelled[i] for i in rows]),
                self.masked([{"input_ids": self.text.input_ids[i]} for i in others]),
                self.clean.pad_token_id,
            )

    def pairs(self) -> Iterator[tuple[list[int], list[int]]]:
        """Yield the batches of the next pass as indices of labelled rows and of text rows."""
        for start in range(0, self.updates, self.window):
            count = min(self.updates - start, self.window)
            rows, others = ([next(order) for _ in range(count)] for order in self.orders)
            ranks = sorted(range(count), key=lambda i: _longest(self.labelled, rows[i]))
            others.sort(key=lambda batch: _longest(self.text, batch))
            partner = dict(zip(ranks, others, strict=True))
            yield from ((batch, partner[i]) for i, batch in enumerate(rows))

    def _forever(self, encoded: EncodedTexts, seed: int) -> Iterator[list[int]]:
        sampler = LengthBucketSampler(encoded.lengths, min(self.batch_size, len(encoded)), seed)
        while True:
            yield from sampler


def _longest(encoded: EncodedTexts, batch: Sequence[int]) -> int:
    return max((len(encoded.input_ids[i]) for i in batch), default=0)


def loader_flops(config, loader: LabelledAndText, passes: int, text: bool = True) -> int:
    """Return what the first passes over a fresh loader cost, forward and backward.

    Blanks, and rows in which at least one is hidden, are taken at their expected number. Without
    `text` only the labelled rows are read, as with λ = 0. Introduced in notebook 07.
    """
    total, rate = 0, loader.masked.config.mlm_probability
    for rows, others in chain.from_iterable(loader.pairs() for _ in range(passes)):
        others = others if text else []
        longest = max(_longest(loader.labelled, rows), _longest(loader.text, others))
        tokens = [len(loader.text.input_ids[i]) - 2 for i in others]  # without [CLS] and [SEP]
        blanks, asked = rate * sum(tokens), sum(1 - (1 - rate) ** n for n in tokens)
        read = len(rows) + round(asked)
        total += 3 * forward_flops(config, read, longest, round(blanks), len(rows))
    return total


@dataclass(frozen=True)
class Material:
    """Everything that a run reads, for one seed and one number of labels.

    `train` and `validation` are labelled, `test` and `transfer` are scored once each; every part
    is a pair of texts and their encoding. `text` is the encoded pool.
    """

    train: tuple[LabelledTexts, EncodedTexts]
    validation: tuple[LabelledTexts, EncodedTexts]
    test: tuple[LabelledTexts, EncodedTexts]
    transfer: tuple[LabelledTexts, EncodedTexts]
    text: EncodedTexts


def train_method(model, tokenizer, material: Material, options: dict, seed: int) -> dict:
    """Train a model with one of the neural methods and return updates and cost.

    Args:
        model: fresh from the checkpoint; trained in place, the best weights kept.
        tokenizer: its tokenizer.
        material: the sentences.
        options: `method`, `mlm_weight`, `updates` (of the task), `learning_rate`, `precision`.
        seed: of order and masks.

    Returns:
        `task_updates`, `mlm_updates`, `best_update`, `validation_loss`, `tokens`, `flops`.

    Introduced in notebook 07.
    """
    labelled, text = material.train[1], material.text
    collator = SequenceCollator(tokenizer)
    batches, _ = batches_by_length(material.validation[1], collator, 64)
    plain = options["method"] in ("plain", "plain, same FLOPs", "TAPT")
    weight = 0.0 if plain else options["mlm_weight"]
    finish = options["method"] == "joint, task-only finish"
    updates = options["updates"]

    def loader(updates: int) -> LabelledAndText:
        return LabelledAndText(labelled, text, tokenizer, updates, seed=seed)

    if options["method"] == "plain, same FLOPs":
        joint = loader_flops(model.config, loader(updates // STAGES), STAGES)
        alone = loader_flops(model.config, loader(updates // STAGES), STAGES, text=False)
        updates = STAGES * round(updates * joint / alone / STAGES)
    common = {"learning_rate": options["learning_rate"], "precision": options["precision"]}
    mlm_updates = 0
    with FlopMeter(model) as meter:
        if options["method"] == "TAPT":
            first = TrainingConfig(mlm_weight=1.0, epochs=1, **common)
            train(model, loader(updates), first).check_whole()
            mlm_updates = updates
        config = TrainingConfig(
            mlm_weight=weight,
            epochs=STAGES - finish,
            finish_epochs=int(finish),
            schedule="alternating" if options["method"] == "alternating" else "simultaneous",
            evaluations_per_epoch=3,
            **common,
        )

        def evaluate(model) -> dict[str, float]:
            return {"loss": evaluate_sequence(model, batches)["loss"]}

        history = train(model, loader(updates // STAGES), config, evaluate)
    history.check_whole()
    best = min(row["loss"] for row in history.evaluations)
    return {
        "task_updates": history.count("task") + history.count("joint"),
        "mlm_updates": mlm_updates + history.count("mlm") + history.count("joint"),
        "best_update": history.best_step,
        "validation_loss": best,
        "tokens": meter.tokens,
        "flops": meter.flops,
    }


def neural_probabilities(model, tokenizer, encoded: EncodedTexts) -> torch.Tensor:
    """Return P(class given text), (N, 2), in the order of the texts."""
    batches, back = batches_by_length(encoded, SequenceCollator(tokenizer), 64)
    return predict_classes(model, batches)[back]


def counted_words(material: Material) -> tuple[dict, dict[str, torch.Tensor]]:
    """Fit NBSVM, its strength chosen on the validation sentences.

    Returns:
        `validation_loss` and `strength`, and the probabilities of test and transfer texts.

    Introduced in notebook 07.
    """
    known, held_out = material.train[0], material.validation[0]
    losses: dict[float, float] = {}
    for strength in STRENGTHS:
        found = nbsvm_probabilities(known.texts, known.labels, held_out.texts, strength)
        losses[strength] = classification_metrics(found, held_out.labels)["loss"]
    best = min(losses, key=losses.__getitem__)
    asked = {"test": material.test[0].texts, "transfer": material.transfer[0].texts}
    probabilities = {
        name: nbsvm_probabilities(known.texts, known.labels, texts, best)
        for name, texts in asked.items()
    }
    return {"validation_loss": losses[best], "strength": best}, probabilities


def measure(probabilities: torch.Tensor, labels: Sequence[int], name: str) -> dict[str, float]:
    """Return accuracy, loss (nats) and expected calibration error as columns `name_…`."""
    found = classification_metrics(probabilities, labels)
    found["ece"] = expected_calibration_error(probabilities, labels)
    return {f"{name}_{key}": round(value, 5) for key, value in found.items()}
