"""The options of a fine-tuning run on your own table, checked before anything is read."""

import os
from dataclasses import asdict, dataclass, fields

from bift_utils.models.export import check_exportable
from bift_utils.runtime import check_options, number, of_type, or_none, whole
from bift_utils.training.options import RULES as TRAINING_RULES
from bift_utils.training.options import TrainingConfig

LEAST_UPDATES, MOST_EPOCHS = 200, 30  # a small table is read more often
NAME, CHOSEN = of_type(str, "a name"), "as the checkpoint and the texts suggest"
RULES = {
    **TRAINING_RULES,
    "text": NAME,
    "label": NAME,
    "encoding": or_none(NAME, "UTF-8"),
    "model": NAME,
    "epochs": or_none(TRAINING_RULES["epochs"], CHOSEN),
    "learning_rate": or_none(TRAINING_RULES["learning_rate"], CHOSEN),
    "batch_size": whole(1),
    "max_length": or_none(whole(3), CHOSEN),
    "pooling": NAME,
    "dropout": or_none(number(0.0, 1.0, below=True), "that of the checkpoint"),
    "seed": whole(0, 2**32 - 1),
}


@dataclass(frozen=True)
class FinetuneOptions:
    """Everything that decides a run; None means chosen from the checkpoint and the texts.

    Args:
        text, label: names of the columns; with λ = 1 no label is read.
        encoding: of the file; None for UTF-8.
        model: a checkpoint, see `models.find_checkpoint`.
        mlm_weight: λ, from 0 (the classifier alone) to 1 (masked-LM alone); in our measurements
            more than 0.2 cost accuracy where there were few updates.
        epochs: None for 3, or as many as make 200 updates, at most 30.
        learning_rate: None for 3e-4 with small models (width up to 256), else 5e-5.
        batch_size: texts an update, over all passes and processes.
        max_length: most tokens a text keeps; None for 128, or fewer if the model has fewer.
        pooling: only "pooler" can be exported.
        dropout: from 0 to below 1; None keeps the checkpoint's.
        patience: evaluations without improvement before training stops; None for never.
        evaluations_per_epoch: how often the validation texts are scored and the state is saved.
        precision: "fp32" or "bf16".
        accumulate: passes an update, each over a part of the batch; saves memory.
        seed: of the split, the new heads, the order, the masks and dropout.

    Raises:
        ValueError: an option is outside its range, or the model could not be exported.

    Introduced in notebook 08.
    """

    text: str = "text"
    label: str = "label"
    encoding: str | None = None
    model: str = "bift-mini"
    mlm_weight: float = 0.1
    epochs: int | None = None
    learning_rate: float | None = None
    batch_size: int = 32
    max_length: int | None = None
    pooling: str = "pooler"
    dropout: float | None = 0.1
    patience: int | None = None
    evaluations_per_epoch: int = 2
    precision: str = "fp32"
    accumulate: int = 1
    seed: int = 0

    def __post_init__(self):
        if isinstance(self.model, os.PathLike):
            object.__setattr__(self, "model", os.fspath(self.model))
        check_options(self, RULES)
        check_exportable(self.pooling)

    def training(self, width: int, texts: int) -> TrainingConfig:
        """Return the options of the training loop, with what was left open filled in.

        Args:
            width: of the model's vectors.
            texts: in the training part.

        Raises:
            ValueError: an option is outside its range.
        """
        shared = {field.name for field in fields(TrainingConfig)}
        chosen = {name: value for name, value in asdict(self).items() if name in shared}
        if self.epochs is None:
            updates = -(-texts // self.batch_size)
            chosen["epochs"] = min(MOST_EPOCHS, max(3, -(-LEAST_UPDATES // updates)))
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
