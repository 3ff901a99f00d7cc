"""Measuring: predictions and metrics, exact references, baselines, calibration, intervals, cost."""

from bift_utils.evaluation.ask import (
    fill_blank,
    judge_texts,
)
from bift_utils.evaluation.baselines import (
    bag_of_words_probabilities,
    binary_counter,
    log_count_ratios,
    majority_accuracy,
    nbsvm_probabilities,
)
from bift_utils.evaluation.calibration import (
    ReliabilityBins,
    expected_calibration_error,
    reliability_bins,
)
from bift_utils.evaluation.counts import kl_by_count, losses_by_share
from bift_utils.evaluation.exact import (
    evaluate_heads,
    everywhere,
    kl_divergence,
    pseudo_log_likelihood,
    token_log_probabilities,
)
from bift_utils.evaluation.floors import (
    context_free_loss,
    unigram_loss,
)
from bift_utils.evaluation.flops import (
    FlopMeter,
    forward_flops,
)
from bift_utils.evaluation.gradients import (
    OBJECTIVES,
    batch_cosines,
    gradient_cosines,
    layer_parameters,
)
from bift_utils.evaluation.intervals import (
    compare,
    f1_gap_interval,
    holm,
    p_value,
    prediction_interval,
    resample,
    seed_interval,
    two_way_interval,
    verdict,
)
from bift_utils.evaluation.metrics import (
    classification_metrics,
    evaluate_sequence,
)
from bift_utils.evaluation.predict import (
    at_blanks,
    at_labels,
    evaluate_masked_lm,
    for_all_rows,
    predict,
    predict_classes,
    tag_log_probabilities,
    validation_batches,
)
from bift_utils.evaluation.sides import (
    SIDES,
    answer_each,
    influence,
    keep_sides,
)
from bift_utils.evaluation.unmasking import (
    RULES,
    Guide,
    check_rule,
    class_guide,
    draw,
    network_answer,
    parallel_law,
    scores,
    unmask,
    written_law,
)

__all__ = [
    "OBJECTIVES",
    "RULES",
    "SIDES",
    "FlopMeter",
    "Guide",
    "ReliabilityBins",
    "answer_each",
    "at_blanks",
    "at_labels",
    "bag_of_words_probabilities",
    "batch_cosines",
    "binary_counter",
    "check_rule",
    "class_guide",
    "classification_metrics",
    "compare",
    "context_free_loss",
    "draw",
    "evaluate_heads",
    "evaluate_masked_lm",
    "evaluate_sequence",
    "everywhere",
    "expected_calibration_error",
    "f1_gap_interval",
    "fill_blank",
    "for_all_rows",
    "forward_flops",
    "gradient_cosines",
    "holm",
    "influence",
    "judge_texts",
    "keep_sides",
    "kl_by_count",
    "kl_divergence",
    "layer_parameters",
    "log_count_ratios",
    "losses_by_share",
    "majority_accuracy",
    "nbsvm_probabilities",
    "network_answer",
    "p_value",
    "parallel_law",
    "predict",
    "predict_classes",
    "prediction_interval",
    "pseudo_log_likelihood",
    "reliability_bins",
    "resample",
    "scores",
    "seed_interval",
    "tag_log_probabilities",
    "token_log_probabilities",
    "two_way_interval",
    "unigram_loss",
    "unmask",
    "validation_batches",
    "verdict",
    "written_law",
]
