"""What is hidden: the rule and its channel, the collators, and a zoo of maskers that are wrong."""

from bift_utils.masking import zoo
from bift_utils.masking.collators import (
    CLASSIFIER_INPUTS,
    JointCollator,
    MaskedLMCollator,
    SequenceCollator,
    check_classifier_input,
    joint_batch,
)
from bift_utils.masking.counts import hide_count, hide_uniform_count
from bift_utils.masking.tokens import (
    OUTCOMES,
    CorruptionChannel,
    MaskingConfig,
    first_pieces,
    mask_tokens,
    outcomes,
)

__all__ = [
    "CLASSIFIER_INPUTS",
    "OUTCOMES",
    "CorruptionChannel",
    "JointCollator",
    "MaskedLMCollator",
    "MaskingConfig",
    "SequenceCollator",
    "check_classifier_input",
    "first_pieces",
    "hide_count",
    "hide_uniform_count",
    "joint_batch",
    "mask_tokens",
    "outcomes",
    "zoo",
]
