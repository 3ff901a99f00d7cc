"""The options of a fine-tuning run on your own table, checked before anything is read.

This module and its parents import no torch, so that `--help` is there at once: what must agree
with the package is repeated here, and a test compares the two.
"""

import os
from dataclasses import asdict, dataclass, fields

POOLINGS = ("cls", "mean", "pooler")
PRECISIONS = ("fp32", "bf16", "fp16")
SELECTIONS = ("accuracy", "macro_f1")
LEAST_UPDATES, MOST_EPOCHS = 200, 30  # a small table is read more often
UPDATES_A_CLASS = 75  # and one with many classes more often than one with two


def rules() -> dict:
    """Return the rule of each option; torch is imported by this call, and not by `--help`."""
    from bift_utils.runtime import number, of_type, one_of, or_none, whole
    from bift_utils.training.options import RULES as TRAINING

    name, chosen = of_type(str, "a name"), "what the checkpoint and the texts suggest"
    return {
        **TRAINING,
        "text": name,
        "label": name,
        "encoding": or_none(name, "UTF-8"),
        "separator": or_none(of_type(str, "a character"), "what the first line has"),
        "validation": or_none(name, "a part of the table"),
        "test": or_none(name, "a part of the table"),
        "drop_rare": or_none(whole(3), "refusing such a table"),
        "model": name,
        "epochs": or_none(TRAINING["epochs"], chosen),
        "learning_rate": or_none(TRAINING["learning_rate"], chosen),
        "batch_size": whole(1),
        "max_length": or_none(whole(3), chosen),
        "pooling": name,
        "dropout": or_none(number(0.0, 1.0, below=True), "that of the checkpoint"),
        "select": one_of(SELECTIONS),
        "compare": of_type(bool, "True or False"),
        "seed": whole(0, 2**32 - 1),
    }


@dataclass(frozen=True)
class FinetuneOptions:
    """Everything that decides a run; None means chosen from the checkpoint and the texts.

    Args:
        text, label: names of the columns; with λ = 1 no label is read.
        encoding: of the files; None for UTF-8.
        separator: between two fields; None to find it by the first line.
        validation, test: files with held-out texts, in the same columns; None to split the table.
        drop_rare: leave out classes with fewer distinct texts than this, at least 3; None to
            refuse a table with rarer classes than can be split.
        model: a checkpoint, see `models.find_checkpoint`.
        mlm_weight: λ, from 0 (the classifier alone) to 1 (masked-LM alone); why 0.1, says
            notebook 07b.
        epochs: None for 3, or as many as make 75 updates a class and at least 200, at most 30.
        learning_rate: None for 3e-4 with small models (width up to 256), else 5e-5.
        batch_size: texts an update, over all passes and processes.
        max_length: most tokens a text keeps; None for 128, or fewer if the model has fewer.
        pooling: only "pooler" can be exported.
        dropout: from 0 to below 1; None keeps the checkpoint's.
        select: what the kept weights are best at on the validation texts, "accuracy" or
            "macro_f1", where a rare class counts as much as a common one.
        patience: evaluations without improvement before training stops; None for never.
        evaluations_per_epoch: how often the validation texts are scored and the state is saved.
        compare: train once more with λ = 0 on the same budget, for the table of opponents.
        precision: "fp32", "bf16", or "fp16" for GPUs that have no bf16.
        accumulate: passes an update, each over a part of the batch; saves memory.
        seed: of the split, the new heads, the order, the masks and dropout.

    Raises:
        ValueError: an option is outside its range, or the model could not be exported.

    Introduced in notebook 08.
    """

    text: str = "text"
    label: str = "label"
    encoding: str | None = None
    separator: str | None = None
    validation: str | None = None
    test: str | None = None
    drop_rare: int | None = None
    model: str = "bift-mini"
    mlm_weight: float = 0.1
    epochs: int | None = None
    learning_rate: float | None = None
    batch_size: int = 32
    max_length: int | None = None
    pooling: str = "pooler"
    dropout: float | None = 0.1
    select: str = "accuracy"
    patience: int | None = None
    evaluations_per_epoch: int = 2
    compare: bool = False
    precision: str = "fp32"
    accumulate: int = 1
    seed: int = 0

    def __post_init__(self):
        from bift_utils.data.table_files import check_separator
        from bift_utils.models.export import check_exportable
        from bift_utils.runtime import check_options

        for name in ("model", "validation", "test"):
            if isinstance(getattr(self, name), os.PathLike):
                object.__setattr__(self, name, os.fspath(getattr(self, name)))
        check_options(self, rules())
        check_exportable(self.pooling)
        check_separator(self.separator)
        if self.compare and self.mlm_weight in (0, 1):
            raise ValueError(
                f"compare was asked for with λ = {self.mlm_weight}; expected λ between 0 and 1, "
                "because the run beside it has λ = 0. Leave compare out, or change λ."
            )

    def training(self, width: int, texts: int, classes: int):
        """Return the options of the training loop, with what was left open filled in.

        Args:
            width: of the model's vectors.
            texts: in the training part.
            classes: K; 0 where none are read.

        Returns:
            A `training.TrainingConfig`.

        Raises:
            ValueError: an option is outside its range.
        """
        from bift_utils.training.options import TrainingConfig

        shared = {field.name for field in fields(TrainingConfig)}
        chosen = {name: value for name, value in asdict(self).items() if name in shared}
        if self.epochs is None:
            least = max(LEAST_UPDATES, UPDATES_A_CLASS * classes)
            updates = -(-texts // self.batch_size)
            chosen["epochs"] = min(MOST_EPOCHS, max(3, -(-least // updates)))
        if self.learning_rate is None:
            chosen["learning_rate"] = 3e-4 if width <= 256 else 5e-5
        return TrainingConfig(**chosen, fused=True)

    def length(self, model) -> int:
        """Return the most tokens a text may keep, for a model.

        Raises:
            ValueError: it has fewer positions than were asked for.
        """
        positions = model.config.max_position_embeddings
        if self.max_length is not None and self.max_length > positions:
            raise ValueError(
                f"max_length was given as {self.max_length}; expected 3 to {positions}, the "
                f"positions of {self.model}."
            )
        return self.max_length or min(128, positions)
