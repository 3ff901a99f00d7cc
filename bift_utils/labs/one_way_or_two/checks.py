"""Checks of the exercises in notebook 01."""

from collections.abc import Callable

import torch
from torch import Tensor

from bift_utils.labs.core.checks import (
    CheckResult,
    Mistake,
    as_number,
    as_tensor,
    close,
    compare,
    run_check,
)
from bift_utils.languages.families import MarkovLanguage

CHANGED = (
    "Your function changed its inputs, so the next call sees another language. Write a = a * b "
    "instead of a *= b, and do not assign into them."
)


def _tables(*rows) -> tuple[Tensor, Tensor]:
    numbers = torch.tensor(rows, dtype=torch.float64)
    return numbers[0], numbers[1:]


WEATHER = _tables([0.5, 0.3, 0.2], [0.8, 0.2, 0.0], [0.3, 0.4, 0.3], [0.0, 0.5, 0.5])
CIRCLE = _tables([0.5, 0.25, 0.25], [0.0, 1.0, 0.0], [0.0, 0.6, 0.4], [1.0, 0.0, 0.0])
DENSE = _tables([0.1, 0.2, 0.7], [0.6, 0.3, 0.1], [0.1, 0.1, 0.8], [0.25, 0.5, 0.25])
TWO_WORDS = _tables([0.9, 0.1], [0.5, 0.5], [0.05, 0.95])
STARTS = _tables([1.0, 0.0, 0.0], [0.2, 0.5, 0.3], [0.6, 0.3, 0.1], [0.1, 0.1, 0.8])


def _entropy(p: Tensor) -> Tensor:
    return -torch.special.xlogy(p, p).sum(-1)


def _compare(answer: float, expected: float, near_misses: dict, said: str, hint: str) -> None:
    """Compare two entropies; a small difference has a cause of its own."""
    if abs(answer - expected) < 1e-3 and not close(answer, expected):
        hint = "So near, and yet off: is there an epsilon in the logarithm?"
    compare(answer, expected, near_misses, f"{said} the entropy, in nats, is not right.", hint)


CASES = {
    "a language of three words": DENSE,
    "a language of two words": TWO_WORDS,
    "a language with zeros in its table (the weather)": WEATHER,
    "a language where some words never stand two apart": CIRCLE,
    "a language that begins with its first word": STARTS,
}
XLOGY = "torch.special.xlogy(p, p) knows that 0 · ln 0 is 0; skip what has probability zero."


def _rows(*rows: str) -> Tensor:
    """Read a mask from rows of 0 and 1."""
    return torch.tensor([[mark == "1" for mark in row] for row in rows])


MASKS = {  # in the first one, after 3 layers, every usual slip gives another table
    "some of each": _rows("0010", "0001", "0011", "1000"),
    "all but itself, three positions": ~torch.eye(3, dtype=torch.bool),
    "causal": torch.ones(5, 5, dtype=torch.bool).tril(),
    "a ring: each looks at the next one only": torch.eye(5, dtype=torch.bool).roll(1, 1),
    "itself and the one before": _rows("100000", "110000", "011000", "001100", "000110", "000011"),
    "one that nobody hears": _rows("0100", "0010", "1001", "0000"),
    "one position that sees itself": _rows("1"),
    "one position that sees nothing": _rows("0"),
}
REACHED_CHANGED = (
    "Your function changed the mask that it was given. Begin with a table of your own: "
    "known = torch.eye(len(mask), dtype=torch.bool)."
)


def _step(known: Tensor, mask: Tensor) -> Tensor:
    return mask.double() @ known.double() > 0


def _reached(mask: Tensor, layers: int) -> Tensor:
    known = torch.eye(len(mask), dtype=torch.bool)
    for _ in range(layers):
        known = _step(known, mask)
    return known


def _at_once(mask: Tensor, layers: int) -> Tensor:
    """Return a wrong answer: rows are overwritten while others still read them."""
    known = torch.eye(len(mask), dtype=torch.bool)
    for _ in range(layers):
        for i in range(len(mask)):
            known[i] = known[mask[i]].any(0)
    return known


def _reached_causes(mask: Tensor, layers: int) -> list[tuple[Tensor, str]]:
    """Return wrong answers to exercise 01.1, and what they come from."""
    right, own = _reached(mask, layers), torch.eye(len(mask), dtype=torch.bool)
    grown = own
    for _ in range(layers):
        grown = grown | _step(grown, mask)
    return [
        (mask, "That is the mask itself: what one layer does. Go through all layers."),
        (right.T, "Rows and columns are exchanged: row i is the position that knows, column j the "
                  "word that is known."),
        (~right, "True means *knows*; yours is the other way round."),
        (_reached(mask, layers + 1), "That is one layer too many. With 0 layers each position "
                                     "knows its own word."),
        (_reached(mask, max(layers - 1, 0)), "That is one layer too few."),
        (grown, "Yours never forgets: a layer *replaces* what a position knew by what those knew "
                "at whom it may look."),
        (_at_once(mask, layers), "Within a layer all positions read what the others knew *before* "
                                 "it. Yours reads rows that this layer has already changed: write "
                                 "into a new table."),
        (right & ~own, "A position may hear its own word back; do not take the diagonal out."),
        (right | own, "A position keeps its own word only if it may look at itself."),
    ]  # fmt: skip


def check_reached(function: Callable) -> CheckResult:
    """Check exercise 01.1: `function(mask, layers)` says who knows which word, (T, T) bool."""

    def stages(function):
        for name, mask in MASKS.items():
            for layers in (3, 1, 2, 0, 4, 12):
                said = f"{layers} layers of the mask “{name}”"
                shape = (len(mask), len(mask))
                answer = as_tensor(function(mask.clone(), layers), shape, "a row for each position")
                if answer.dtype != torch.bool:
                    raise Mistake(
                        f"Expected True and False, got {answer.dtype}. How often a word was heard "
                        "does not count: compare with > 0."
                    )
                right = _reached(mask, layers)
                if torch.equal(answer, right):
                    continue
                for wrong, cause in _reached_causes(mask, layers):
                    if torch.equal(answer, wrong):
                        raise Mistake(f"After {said} your answer is not right. {cause}")
                i, j = (answer != right).nonzero()[0].tolist()
                knows, says = ("knows", "False") if right[i, j] else ("does not know", "True")
                raise Mistake(
                    f"After {said} position {i} {knows} word {j}; yours has {says} at row {i}, "
                    f"column {j}. Go through it on paper, a layer at a time."
                )

    return run_check("01.1", function, stages, REACHED_CHANGED)


def _posterior(before, transition, left, right) -> Tensor:
    belief = before if left is None else transition[left]
    if right is not None:
        belief = belief * transition[:, right]
    return belief / belief.sum()


def _posterior_near_misses(before, transition, left, right) -> dict[str, Tensor]:
    """Return wrong answers to exercise 01.2, by their cause."""
    first = before if left is None else transition[left]
    even = torch.full_like(before, 1 / len(before))
    causes = {
        "The right neighbour does not count in your answer.": first,
        "The left neighbour does not count in your answer.": _posterior(
            before, transition, None, right
        ),
    }
    if left is None:
        causes["Without a left neighbour the words are not equally likely: use `before`."] = (
            _posterior(even, transition, None, right)
        )
        causes["`before` is what is known of x itself; it is not sent through `transition`."] = (
            _posterior(before @ transition, transition, None, right)
        )
    if right is not None:
        product = first * transition[:, right]
        row = first * transition[right]
        mean = (first + transition[:, right]) / 2
        column = transition[:, right]
        causes.update(
            {
                "It does not sum to one: divide by the sum.": product,
                "You divided by the largest product; divide by the sum.": product / product.max(),
                "A softmax is for logits. These are probabilities: divide by their sum.": (
                    product.softmax(0)
                ),
                "You multiplied by the *row* of the right neighbour, P(next | right). The clue is "
                "its column, P(right | x).": row / row.sum(),
                "You added the two clues; independent clues multiply.": mean / mean.sum(),
                "That is the clue alone; multiply it by what the left says.": column / column.sum(),
            }
        )
        if left is not None:
            swapped = transition[:, left] * transition[right]
            causes["Row and column are exchanged, for both neighbours: the left one gives its row, "
                   "P(x | left), the right one its column, P(right | x)."] = (
                swapped / swapped.sum()
            )  # fmt: skip
            both = product * before
            causes["`before` counts only if there is no left neighbour."] = both / both.sum()
            other = transition[:, left] * transition[:, right]
            causes["You took the left neighbour's column; its *row* is P(x | left)."] = (
                other / other.sum()
            )
    return causes


def check_posterior(function: Callable) -> CheckResult:
    """Check exercise 01.2: `function(before, transition, left, right)` is P(x | neighbours)."""
    cases = [(DENSE, 1, 2), (DENSE, 2, 1), (WEATHER, 1, 2), (WEATHER, 2, 1), (DENSE, 2, None),
             (DENSE, None, 1), (DENSE, 0, 2), (DENSE, 2, 0), (DENSE, 0, 0), (DENSE, None, None),
             (WEATHER, 0, 2), (TWO_WORDS, 1, 1), (CIRCLE, 1, 0), (WEATHER, None, 2)]  # fmt: skip

    def stages(function):
        for (before, transition), left, right in cases:
            answer = as_tensor(
                function(before.clone(), transition.clone(), left, right),
                (len(before),),
                "a probability for each word",
            )
            expected = _posterior(before, transition, left, right)
            cause = "What does each neighbour say, and do the numbers sum to one?"
            if 0 in (left, right):
                cause = "Word 0 is a word like any other: ask `is None`, since 0 counts as false."
            causes = _posterior_near_misses(before, transition, left, right)
            compare(
                answer,
                expected,
                {} if 0 in (left, right) else causes,
                f"For left = {left} and right = {right} you gave {_round(answer)}.",
                cause,
            )

    return run_check("01.2", function, stages, CHANGED)


def _round(numbers: Tensor) -> list[float]:
    return [round(float(number), 4) for number in numbers]


def check_entropy_given_both(function: Callable) -> CheckResult:
    """Check exercise 01.3: `function(marginal, transition)` is H(x given both) in nats."""

    def stages(function):
        for name, (marginal, transition) in CASES.items():
            # position 2 of 3 in a chain that starts with `marginal`: a closed form, not the loop
            expected = float(MarkovLanguage(marginal, transition).entropies(3).given_both[1])
            triples = (marginal[:, None] * transition)[:, :, None] * transition  # (a, x, c)
            weights = triples.sum(1)  # (a, c)
            safe = torch.where(marginal > 0, marginal, 1.0)[:, None, None]
            posterior = triples / torch.where(weights > 0, weights, 1.0)[:, None]
            each = -torch.special.xlogy(posterior, posterior).sum(1)  # (a, c)
            one_way = marginal @ _entropy(transition)
            near_misses = {
                "That is in bits: use the natural logarithm.": expected / torch.tensor(2.0).log(),
                "That is with the logarithm to base 10: use the natural one.": (
                    expected / torch.tensor(10.0).log()
                ),
                "The sign is turned: an entropy is never negative.": -expected,
                "That is the entropy of one pair, the last. Add up over all pairs.": (
                    weights[-1, -1] * each[-1, -1]
                ),
                "You left the pairs of equal neighbours out.": (
                    (weights * each).sum() - (weights * each).diagonal().sum()
                ),
                "That is H(x | left): the right neighbour is not in it.": one_way,
                "You weigh all pairs alike: weigh each by its probability.": each.mean(),
                "You added the entropies of the pairs without their weights.": each.sum(),
                "You weigh a pair by its left word only; the right word has a probability too, "
                "P(c | a).": marginal @ each.mean(1),
                "You weigh a pair by P(a) · P(c | a) as if c came right after a. There is a word "
                "in between: sum over it.": (marginal[:, None] * transition * each).sum(),
                "You weigh by P(a) and add over c; weigh by P(a, c).": marginal @ each.sum(1),
                "You weigh a pair by marginal[a] · marginal[c]; but `marginal` is for the left "
                "neighbour, and the right one depends on it.": marginal @ each @ marginal,
                "You weigh a pair by P(a) · P(c): two words with one between them are not "
                "independent.": marginal @ each @ (marginal @ transition @ transition),
                "The products over x do not sum to one: divide by their sum before you take an "
                "entropy.": marginal @ _entropy((triples / safe).transpose(1, 2)).sum(1),
                "That is the entropy of whole triples (a, x, c), but a and c are known: make each "
                "pair's products sum to one before you take their entropy.": (
                    _entropy(triples.flatten())
                ),
            }
            answer = as_number(function(marginal.clone(), transition.clone()))
            a, c = divmod(int(weights.argmax()), len(marginal))
            hint = (
                f"By hand for the pair ({a}, {c}): its probability is {float(weights[a, c]):.4f}, "
                f"and x then has the posterior {_round(posterior[a, :, c])}, entropy "
                f"{float(each[a, c]):.4f}. {XLOGY if (triples == 0).any() else ''}"
            )
            _compare(answer, expected, near_misses, f"For {name}", hint)

    return run_check("01.3", function, stages, CHANGED)
