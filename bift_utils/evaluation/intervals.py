"""How sure is a comparison? Intervals over seeds, test items and texts.

Shapes: S seeds, N test items.
"""

import math
from collections.abc import Hashable, Mapping, Sequence

import numpy
import pandas
import torch
from torch import Tensor

from bift_utils.evaluation.metrics import macro_f1


def seed_interval(
    values: Sequence[float], test_over_train: float = 0.0, confidence: float = 0.95
) -> tuple[float, float, float]:
    """Return mean, low and high of Student's t interval for the mean over seeds.

    Seeds that split one data set anew share sentences, so their scores are not independent; with
    `test_over_train` the variance s²/J becomes s²·(1/J + test size / training size).

    Args:
        values: one number a seed, J of them, at least two.
        test_over_train: size of the test part over that of the training part; 0 when the seeds
            do not split the data.
        confidence: coverage, 0.95 by default.

    Raises:
        ValueError: fewer than two values, one that is no finite number, or a confidence that is no
            share, such as 95.

    Source: Nadeau and Bengio 2003, section 3 (the correction). Introduced in notebook 06.
    """
    from scipy import stats

    _check_confidence(confidence)
    numbers = _of_seeds(values)
    mean, count = float(numbers.mean()), len(values)
    error = float(numbers.std()) * math.sqrt(1 / count + test_over_train)
    half = float(stats.t.ppf(0.5 + confidence / 2, count - 1)) * error
    return mean, mean - half, mean + half


def _of_seeds(values: Sequence[float]) -> Tensor:
    """Return one number a seed, or raise: NaN would pass every comparison in silence."""
    if len(values) < 2:
        raise ValueError(f"An interval over seeds needs two values or more, got {len(values)}.")
    numbers = torch.tensor(values, dtype=torch.float64)
    if not numbers.isfinite().all():
        raise ValueError(
            f"The values of the seeds are {list(values)}; expected finite numbers. Leave out the "
            "seeds that have no result."
        )
    return numbers


def _check_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise ValueError(f"The confidence was given as {confidence}; expected a share, as 0.95.")


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
        ValueError: not a table, fewer than two rows or columns, an entry that is no finite number,
            or a confidence that is no share.

    Introduced in notebook 07.
    """
    _check_confidence(confidence)
    if differences.dim() != 2 or min(differences.shape) < 2:
        raise ValueError(
            f"The differences were given with shape {tuple(differences.shape)}; expected (seeds, "
            "test items), at least two of each. With one of either there is nothing to resample."
        )
    if not differences.isfinite().all():
        raise ValueError(
            f"{int((~differences.isfinite()).sum())} of the differences are no finite numbers; "
            "expected a score for every seed and item. Leave out the seeds that have no result."
        )
    means = resample(differences, draws, torch.Generator().manual_seed(seed))
    tail = (1 - confidence) / 2
    low, high = torch.quantile(means, torch.tensor([tail, 1 - tail], dtype=torch.float64)).tolist()
    return float(differences.double().mean()), low, high


def p_value(differences: Sequence[float], test_over_train: float = 0.0) -> float:
    """Return the two-sided p-value of Student's t for "the mean difference is zero".

    Below 0.05 exactly when the 95 % interval of `seed_interval`, given the same `test_over_train`,
    leaves zero out; 1 where no seed differs.

    Raises:
        ValueError: fewer than two values, or one that is no finite number.

    Introduced in notebook 06.
    """
    from scipy import stats

    _of_seeds(differences)
    if min(differences) == max(differences):
        return 0.0 if differences[0] else 1.0
    found = stats.ttest_1samp(differences, 0.0)
    widened = math.sqrt(1 + len(differences) * test_over_train)  # of 1/J + test/train over 1/J
    return float(2 * stats.t.sf(abs(found.statistic) / widened, found.df))


def verdict(interval: tuple[float, float, float], higher_is_better: bool = True) -> str:
    """Return "better", "worse" or "undecided": where a 95 % interval lies beside zero.

    "the same" where not one seed differs.

    Raises:
        ValueError: an end of the interval is not a number.

    Introduced in notebook 06.
    """
    _, low, high = interval
    if math.isnan(low) or math.isnan(high):
        raise ValueError(
            f"The interval goes from {low} to {high}; expected two numbers. Leave out the seeds "
            "that have no result."
        )
    if low == high == 0:
        return "the same"
    if low <= 0 <= high:
        return "undecided"
    return "better" if (low > 0) == higher_is_better else "worse"


def compare(
    differences: Mapping[Hashable, Sequence[float]], test_over_train: float = 0.0
) -> pandas.DataFrame:
    """Return a table of comparisons, a row each: mean, low and high, p, and whether it stands.

    Args:
        differences: name of a comparison to its paired differences, one number a seed. Names may
            be tuples, such as (method, number of labels); the index then has a level a part.
        test_over_train: see `seed_interval`; the intervals and the p-values are widened alike.

    Returns:
        mean, low and high as of `seed_interval`, p as of `p_value`, and stands: does the
        comparison hold by `holm` although all rows of this table were looked at?

    Raises:
        ValueError: the differences of a comparison are none for `seed_interval`.

    Introduced in notebook 06.
    """
    rows = []
    for values in map(list, differences.values()):  # a pandas column, too
        mean, low, high = seed_interval(values, test_over_train)
        p = p_value(values, test_over_train)
        rows.append({"mean": mean, "low": low, "high": high, "p": p})
    standing = holm({name: row["p"] for name, row in zip(differences, rows, strict=True)})
    table = pandas.DataFrame(rows, index=pandas.Index(list(differences)))
    return table.assign(stands=[name in standing for name in differences])


def holm(p_values: Mapping[Hashable, float], level: float = 0.05) -> list:
    """Return the names whose comparison stands when all of them were looked at, smallest p first.

    The smallest of m p-values must lie below level/m, the next below level/(m − 1), and so on; the
    first that does not ends the list. The chance of even one false finding is then at most `level`.

    Raises:
        ValueError: a p-value does not lie between 0 and 1.

    Source: Holm 1979. Introduced in notebook 06.
    """
    for name, p in p_values.items():
        if not 0 <= p <= 1:
            raise ValueError(
                f"The p-value of {name} was given as {p}; expected a number from 0 to 1. Leave out "
                "comparisons that have no result."
            )
    standing: list = []
    for name, p in sorted(p_values.items(), key=lambda item: item[1]):
        if p >= level / (len(p_values) - len(standing)):
            break
        standing.append(name)
    return standing


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

    Source: Efron and Tibshirani 1993, chapter 13 (percentiles). Introduced in notebook 05b.
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


def share_interval(right: int, total: int, confidence: float = 0.95) -> tuple[float, float, float]:
    """Return a share and the ends of its exact interval, from 0 to 1.

    Args:
        right, total: right answers of so many texts, at least one.
        confidence: 0.95 by default.

    Source: Clopper and Pearson 1934. Introduced in notebook 08.
    """
    from scipy.stats import binomtest

    low, high = binomtest(right, total).proportion_ci(confidence)
    return right / total, float(low), float(high)


def macro_f1_interval(
    confusion: Sequence[Sequence[int]],
    generator: numpy.random.Generator,
    draws: int = 1000,
    confidence: float = 0.95,
) -> tuple[float, float, float]:
    """Return `macro_f1` and the ends of its bootstrap interval over texts.

    Args:
        confusion: K lists of K counts: a row is a true class, a column an answer.
        generator: of the draws.
        draws: how often the texts are drawn anew, with replacement.
        confidence: 0.95 by default.

    Introduced in notebook 08.
    """
    table = numpy.asarray(confusion)
    classes, answers = table.nonzero()
    counts = table[classes, answers]
    total, each = int(counts.sum()), numpy.eye(len(table), dtype=int)
    drawn = generator.multinomial(total, counts / total, size=draws)  # (draws, cells)
    drawn = numpy.vstack([counts, drawn])  # the texts as they are come first
    right = drawn @ (each[classes] * (classes == answers)[:, None])  # (1 + draws, K)
    found, *again = macro_f1(right, drawn @ each[classes], drawn @ each[answers])
    left_out = 1 - confidence
    low, high = numpy.quantile(again, (left_out / 2, 1 - left_out / 2))
    return float(found), float(low), float(high)
