"""Statistics of a random masker, for exercise 02.1: not only how many, but how they are spread.

A masker with the right shares can still draw one id a row, or toss one coin for a whole row. What
is random is therefore compared with its distribution, and the limits are derived, not chosen, so
that a right masker is refused at most once in 1e9:

- Each of TESTS tests refuses a right masker with a probability of at most ALPHA = 1e-9 / TESTS.
- A count of independent events of one chance is binomial, and `bounds` takes its exact tails. Where
  a fixed number is drawn without replacement instead, the spread is smaller (Hoeffding 1963,
  theorem 4, for every convex function of a count), so the same limits hold.
- `is_even` looks at many counts at once: at each, with the exact tails at ALPHA / 2 shared among
  them, and at the sum X of their squared, scaled deviations (χ²). With X = U + D, what is above and
  what is below the means, and any t > 0, Markov's inequality and that of Cauchy and Schwarz give
  P(X ≥ x) ≤ exp(−t x) · √(E exp(2t U) · E exp(2t D)). Counts that share a total, such as how often
  each id was drawn, are negatively associated (Joag-Dev and Proschan 1983), and U and D are sums of
  monotone functions of them, so both expectations are at most the products over single counts,
  which are sums over a binomial. Setting the right side to ALPHA / 2 gives a limit for each t; the
  smallest one is taken.

For 5,000 rows of 30 the limit is about 1.25 times the mean of X, for 1,000 ids 1.6 times; one coin
for each row gives 30 times.
"""

import numpy as np
from scipy import stats
from torch import Tensor

TESTS = 25  # made by `check_mask_tokens` on one answer
ALPHA = 1e-9 / TESTS
STEPS = np.linspace(0.01, 0.2, 20)  # the t that are tried


def bounds(n, low: float, high: float, alpha: float = ALPHA):
    """Return the counts between which a binomial count stays, for a chance from `low` to `high`."""
    return stats.binom.ppf(alpha / 2, n, low), stats.binom.isf(alpha / 2, n, high)


def limit_of_squares(trials: np.ndarray, chance: float, low, high) -> float:
    """Return what the sum of squared, scaled deviations exceeds with probability ALPHA / 2 at most.

    Args:
        trials: (K,) how many events each count is of.
        chance: of one event.
        low, high: (K,) the counts that are possible; others have been refused before.
    """
    trials, first, times = np.unique(trials, return_index=True, return_counts=True)
    low, high = low[first, None], high[first, None]
    values = np.arange(low.min(), high.max() + 1)  # (M,)
    possible = (values >= low) & (values <= high)
    mass = np.where(possible, stats.binom.pmf(values, trials[:, None], chance), 0.0)
    mean = trials[:, None] * chance
    squares = np.where(possible, (values - mean) ** 2 / (mean * (1 - chance)), 0.0)
    limits = []
    for t in STEPS:
        grown = np.exp(2 * t * squares)
        above = (mass * np.where(values > mean, grown, 1.0)).sum(1)
        below = (mass * np.where(values < mean, grown, 1.0)).sum(1)
        both = times @ (np.log(above) + np.log(below)) / 2
        limits.append((both + np.log(2 / ALPHA)) / t)
    return min(limits)


def is_even(hits: Tensor, trials: Tensor, chance: float) -> bool:
    """Say whether counts of events with one chance are spread over groups as they should.

    Args:
        hits: (K,) how many events came true in each group.
        trials: (K,) out of how many; groups with none are left out.
        chance: of one event.
    """
    counts, of = (part[trials > 0].double().numpy() for part in (hits, trials))
    low, high = bounds(of, chance, chance, ALPHA / 2 / len(of))
    if (counts < low).any() or (counts > high).any():
        return False
    squares = (counts - of * chance) ** 2 / (of * chance * (1 - chance))
    return bool(squares.sum() <= limit_of_squares(of, chance, low, high))
