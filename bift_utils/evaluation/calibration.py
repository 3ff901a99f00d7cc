"""Calibration: does an answer given with probability 0.8 turn out right in 80 of 100 cases?

Only the top answer of each row is judged (top-label calibration). Shapes: N answers, K classes.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor


class ReliabilityBins(NamedTuple):
    """What a reliability diagram shows, one entry a bin; an empty bin has NaN, NaN and 0.

    Args:
        confidence: mean probability of the top answers that fell into the bin, float64.
        accuracy: share of them that were right, float64.
        count: how many there were, int64.
    """

    confidence: Tensor
    accuracy: Tensor
    count: Tensor  # type: ignore[assignment]  # hides the method that every tuple has


def reliability_bins(probabilities, labels, bins: int = 10) -> ReliabilityBins:
    """Sort answers by the probability of their top class, into bins of equal width.

    Bin k holds the probabilities from k / bins up to, but not including, (k + 1) / bins, both as
    the type of the probabilities writes them; the last one holds 1 as well. Of equally likely
    classes the first counts as the answer.

    Args:
        probabilities: (N, K), rows that sum to one; a tensor, an array or lists.
        labels: (N,), the true classes, 0 to K − 1.
        bins: how many.

    Raises:
        ValueError: shapes do not fit, a row is no distribution, or a label is not a class.

    Source: Guo et al. 2017, section 2. Introduced in notebook 03b.
    """
    rows, answers = _check(probabilities, labels, bins)
    edges = torch.arange(1, bins, dtype=torch.float64) / bins
    given = torch.as_tensor(probabilities).dtype
    if given.is_floating_point:
        edges = edges.to(given).double()  # 0.7 in float32 is a little less than 0.7
    confidence, top = rows.max(-1)
    right = (top == answers).double()
    places = torch.bucketize(confidence, edges, right=True)  # k / bins · bins may round below k
    count = places.bincount(minlength=bins)

    def mean(values: Tensor) -> Tensor:
        return places.bincount(weights=values, minlength=bins) / count  # 0 / 0 is NaN

    return ReliabilityBins(mean(confidence), mean(right), count)


def expected_calibration_error(probabilities, labels, bins: int = 10) -> float:
    """Return the mean gap between confidence and accuracy, weighted by the answers in each bin.

    0 is best, 1 is worst; no unit. Even a perfect model scores a little above 0, because a share
    counted in few answers scatters; compare models on the same answers and bins only.

    Args and errors as in `reliability_bins`.

    Source: Guo et al. 2017, equation 3. Introduced in notebook 03b.
    """
    confidence, accuracy, count = reliability_bins(probabilities, labels, bins)
    gap = (confidence - accuracy).abs().nan_to_num(0.0)
    return float((gap * count).sum() / count.sum())


def fit_temperature(probabilities, labels) -> float:
    """Return the temperature T at which softmax(log p / T) has the lowest loss; T > 1 tames.

    Args:
        probabilities: (N, K), of validation texts.
        labels: (N,), their classes.

    Returns:
        T, from 0.05 to 20.

    Source: Guo et al. 2017, section 4.2. Introduced in notebook 07.
    """
    from scipy.optimize import minimize_scalar

    rows, answers = _check(probabilities, labels, 1)

    def loss(log_temperature: float) -> float:
        scaled = at_temperature(rows, math.exp(log_temperature))
        right = scaled[torch.arange(len(answers)), answers]
        return -float(right.clamp(min=1e-300).log().mean())

    limit = math.log(20.0)
    return math.exp(minimize_scalar(loss, bounds=(-limit, limit), method="bounded").x)


def at_temperature(probabilities: Tensor, temperature: float) -> Tensor:
    """Return softmax(log p / T), (N, K): the same order of classes, more or less certain.

    Introduced in notebook 07.
    """
    return (probabilities.double().clamp(min=1e-12).log() / temperature).softmax(-1)


def _check(probabilities, labels, bins: int) -> tuple[Tensor, Tensor]:
    rows = torch.as_tensor(probabilities).detach().cpu().double()
    answers = torch.as_tensor(labels).detach().cpu()
    if rows.dim() != 2 or answers.shape != rows.shape[:1] or not rows.numel():
        raise ValueError(
            f"Probabilities and labels were given with shapes {tuple(rows.shape)} and "
            f"{tuple(answers.shape)}; expected (N, K) and (N,), with N and K at least 1. For two "
            "classes, pass both columns: torch.stack([1 - p, p], 1)."
        )
    sums = rows.sum(-1)
    if not ((rows >= 0).all() and ((sums - 1).abs() < 1e-3).all()):
        worst = int((sums - 1).abs().nan_to_num(torch.inf).argmax())
        raise ValueError(
            f"Row {worst} of the probabilities sums to {float(sums[worst]):g}, smallest entry "
            f"{float(rows[worst].min()):g}; expected entries from 0 to 1 that sum to 1. "
            "Apply softmax to logits first."
        )
    if answers.is_floating_point() or not ((answers >= 0) & (answers < rows.shape[1])).all():
        raise ValueError(
            f"Labels were given as {answers.dtype} from {answers.min()} to {answers.max()}; "
            f"expected whole numbers from 0 to {rows.shape[1] - 1}. Leave out what has no answer."
        )
    if bins < 1:
        raise ValueError(f"bins was given as {bins}; expected at least 1.")
    return rows.clamp(max=1.0), answers.long()
