"""Training on both objectives: losses, options and schedules, the loop, saved state."""

from bift_utils.training.history import (
    STOPPED_BY_HAND,
    BestWeights,
    History,
    NonFiniteLoss,
)
from bift_utils.training.loop import (
    Run,
    make_optimizer,
    train,
    training_step,
    update,
)
from bift_utils.training.losses import (
    check_mlm_weight,
    joint_loss,
    masked_lm_loss,
    masked_lm_loss_by_row,
    sequence_loss,
)
from bift_utils.training.options import (
    PRECISIONS,
    TrainingConfig,
    alternating,
    count_updates,
    evaluation_turns,
    repeat,
    simultaneous,
    task_only,
)
from bift_utils.training.pieces import (
    ANSWERS,
    count_answers,
    needed_rows,
    split_batch,
)
from bift_utils.training.pretraining import (
    PretrainingConfig,
    bert_config,
    make_optimizers,
    rate_factor,
    training_windows,
)
from bift_utils.training.state import (
    load_state,
    save_state,
)

__all__ = [
    "ANSWERS",
    "PRECISIONS",
    "STOPPED_BY_HAND",
    "BestWeights",
    "History",
    "NonFiniteLoss",
    "PretrainingConfig",
    "Run",
    "TrainingConfig",
    "alternating",
    "bert_config",
    "check_mlm_weight",
    "count_answers",
    "count_updates",
    "evaluation_turns",
    "joint_loss",
    "load_state",
    "make_optimizer",
    "make_optimizers",
    "masked_lm_loss",
    "masked_lm_loss_by_row",
    "needed_rows",
    "rate_factor",
    "repeat",
    "save_state",
    "sequence_loss",
    "simultaneous",
    "split_batch",
    "task_only",
    "train",
    "training_step",
    "training_windows",
    "update",
]
