"""How sure is a comparison? One more run, many seeds, and the same test items for all of them.

Shapes: S seeds, N test items.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from bift_utils.evaluation import seed_interval


def prediction_interval(
    values: Sequence[float], confidence: float = 0.95
) -> tuple[float, float, float]:
    """Return mean, low and high of the interval into which *one more* run should fall.

    The mean of finished runs is uncertain (variance s²/S) and a run scatters about it (s²), so the
    interval is mean ± t·s·√(1 + 1/S): wider than that of the mean, and it never shrinks to nothing.

    Args:
        values: one number a finished run, S of them, at least two.
        confidence: 0.95 by default; exact for normally distributed runs.

    Raises:
        ValueError: fewer than two values.

    Source: Student's t; Hahn and Meeker 1991. Introduced in notebook 07.
    """
    # a share of 1 adds the new run's own variance: s²·(1/S + 1)
    return seed_interval(values, test_over_train=1.0, confidence=confidence)


def resample(differences: Tensor, draws: int, generator: torch.Generator) -> Tensor:
    """Return the mean of `draws` copies of a table whose rows and columns are drawn anew.

    Rows and columns are drawn with replacement, apart from each other: the same test items stand
    in all rows, so a hard item is hard for every seed.

    Args:
        differences: (S, N), one method's score minus another's, the same seed and item for both.
        draws: how many copies.
        generator: of the draws.

    Returns:
        (draws,), float64.

    Source: Owen 2007 (the pigeonhole bootstrap). Introduced in notebook 07.
    """
    table = differences.double()
    rows, columns = (
        torch.zeros(draws, size, dtype=torch.float64).scatter_add_(
            1,
            torch.randint(size, (draws, size), generator=generator),
            torch.full((draws, size), 1 / size, dtype=torch.float64),
        )
        for size in table.shape
    )  # how often each was drawn, as a share
    return ((rows @ table) * columns).sum(1)


def two_way_interval(
    differences: Tensor, draws: int = 2000, seed: int = 0, confidence: float = 0.95
) -> tuple[float, float, float]:
    """Return mean, low and high of the bootstrap interval over seeds *and* test items.

    Args:
        differences: (S, N), one method's score minus another's; at least two rows and columns.
        draws: copies of the table, see `resample`.
        seed: of the draws.
        confidence: 0.95 by default.

    Raises:
        ValueError: not a table, or fewer than two rows or columns.

    Introduced in notebook 07.
    """
    if differences.dim() != 2 or min(differences.shape) < 2:
        raise ValueError(
            f"The differences were given with shape {tuple(differences.shape)}; expected (seeds, "
            "test items), at least two of each. With one of either there is nothing to resample."
        )
    means = resample(differences, draws, torch.Generator().manual_seed(seed))
    tail = (1 - confidence) / 2
    low, high = torch.quantile(means, torch.tensor([tail, 1 - tail], dtype=torch.float64)).tolist()
    return float(differences.double().mean()), low, high


def p_value(differences: Sequence[float]) -> float:
    """Return the two-sided p-value of Student's t for "the mean difference is zero".

    Below 0.05 exactly when the 95 % interval of `seed_interval` leaves zero out; 1 where no seed
    differs. Introduced in notebook 07.
    """
    from scipy import stats

    if min(differences) == max(differences):
        return 0.0 if differences[0] else 1.0
    return float(stats.ttest_1samp(differences, 0.0).pvalue)


def half_width(interval: tuple[float, float, float]) -> float:
    """Return half the width of an interval (mean, low, high). Introduced in notebook 07."""
    _, low, high = interval
    return (high - low) / 2
