"""Checks of the exercises in notebook 01."""

from collections.abc import Callable

import torch
from torch import Tensor

from bift_utils.labs.core.checks import CheckResult, Mistake, as_number, run_check
from bift_utils.languages.families import MarkovLanguage

TOLERANCE = 1e-6  # float32 arithmetic passes


def _tables(*rows) -> tuple[Tensor, Tensor]:
    numbers = torch.tensor(rows, dtype=torch.float64)
    return numbers[0], numbers[1:]


WEATHER = _tables([0.5, 0.3, 0.2], [0.8, 0.2, 0.0], [0.3, 0.4, 0.3], [0.0, 0.5, 0.5])
CIRCLE = _tables([0.5, 0.25, 0.25], [0.0, 1.0, 0.0], [0.0, 0.6, 0.4], [1.0, 0.0, 0.0])
DENSE = _tables([0.1, 0.2, 0.7], [0.6, 0.3, 0.1], [0.1, 0.1, 0.8], [0.25, 0.5, 0.25])
TWO_WORDS = _tables([0.9, 0.1], [0.5, 0.5], [0.05, 0.95])


def _entropy(p: Tensor) -> Tensor:
    return -torch.special.xlogy(p, p).sum(-1)


def _call(function: Callable, tensors: tuple[Tensor, ...], *others):
    """Call a learner's function on copies, and say so if it changes one of them."""
    copies = [tensor.clone() for tensor in tensors]
    answer = function(*copies, *others)
    if not all(torch.equal(a, b) for a, b in zip(tensors, copies, strict=True)):
        raise Mistake(
            "Your function changed its inputs, so the next call sees another language. "
            "Write a = a * b instead of a *= b, and do not assign into them."
        )
    return answer


def _compare(answer: float, expected: float, near_misses: dict, said: str) -> None:
    """Raise a `Mistake` with the cause whose value the answer has, unless it is right."""
    if abs(answer - expected) <= TOLERANCE:
        return
    for cause, value in near_misses.items():
        if abs(answer - float(value)) <= TOLERANCE:
            raise Mistake(f"{said} you gave {answer:.4f}; expected {expected:.4f} nats. {cause}")
    if answer != answer:
        raise Mistake(
            f"{said} your answer is NaN. For a computer 0 · ln 0, and 0 / 0, are not numbers: use "
            "torch.special.xlogy(p, p), and skip what has probability zero."
        )
    if abs(answer - expected) < 1e-3:
        raise Mistake(
            f"{said} you gave {answer:.8f}; expected {expected:.8f} nats. So near, and yet off: is "
            "there an epsilon in the logarithm?"
        )
    raise Mistake(f"{said} you gave {answer:.4f}; expected {expected:.4f} nats.")


CASES = {
    "a language of three words": DENSE,
    "a language of two words": TWO_WORDS,
    "a language with zeros in its table (the weather)": WEATHER,
    "a language where some words never stand two apart": CIRCLE,
}


def check_entropy_given_left(function: Callable) -> CheckResult:
    """Check exercise 01.1: `function(marginal, transition)` is H(x given left) in nats."""

    def stages(function):
        for name, (marginal, transition) in CASES.items():
            rows = _entropy(transition)
            expected = float(marginal @ rows)
            near_misses = {
                "That is in bits: use the natural logarithm.": expected / torch.tensor(2.0).log(),
                "The sign is turned: an entropy is never negative.": -expected,
                "All rows count the same in your mean. Weigh each by how often it is needed: by "
                "`marginal`.": rows.mean(),
                "That is the sum of the rows' entropies; weigh them by `marginal`.": rows.sum(),
                "That is H(x) without any context. Average the entropies of the rows, not the rows "
                "themselves.": _entropy(marginal @ transition),
                "That is the entropy of the left neighbour itself.": _entropy(marginal),
                "You summed over the columns, sum(0). A row belongs to one left neighbour: its "
                "entropy is a sum along the row, sum(1).": marginal @ _entropy(transition.T),
                "That is H(left, x), of both words together: the left one is known, so its own "
                "uncertainty does not count.": expected + _entropy(marginal),
            }
            answer = as_number(_call(function, (marginal, transition)))
            _compare(answer, expected, near_misses, f"For {name}")

    return run_check("01.1", function, stages)


# two orders, none like its inverse or that one's reverse, and the only one of length 1
KINDS = {length: ("causal", "full", "others", order) for length, order in
         {4: [1, 2, 0, 3], 7: [3, 6, 1, 5, 0, 4, 2], 1: [0]}.items()}  # fmt: skip


def _mask(length: int, kind: str | list[int]) -> Tensor:
    if isinstance(kind, list):
        place = torch.tensor(kind).argsort()
        return place[None, :] <= place[:, None]
    everything = torch.ones(length, length, dtype=torch.bool)
    if kind == "causal":
        return everything.tril()
    return everything if kind == "full" else ~torch.eye(length, dtype=torch.bool)


def _order_causes(order: list[int]) -> list[tuple[Tensor, str]]:
    """Return wrong masks for an order, and what they come from."""
    right, listed = _mask(len(order), order), torch.tensor(order)
    return [
        (right.T, "Yours lets a position look at those that come *later* in the list."),
        (right & ~right.T, "A position sees itself as well."),
        (listed[None, :] <= listed[:, None],
         "You compare the entries of the list. order[0] is the position that comes first; you need "
         "the place of a position in the list, order.index(i)."),
    ]  # fmt: skip


def _mask_cause(answer: Tensor, kind: str | list[int]) -> str:
    """Say what a wrong mask looks like."""
    length = len(answer)
    causes = _order_causes(kind) if isinstance(kind, list) else []
    everything, causal = _mask(length, "full"), _mask(length, "causal")
    known = [
        *causes,
        (~_mask(length, kind), "True means *may look*; yours is the other way round."),
        (causal.T, "Yours looks to the right: row i is the position that looks, so True belongs "
                   "where j ≤ i."),
        (everything.tril(-1), "A causal position sees itself as well: the diagonal is True. (What "
                              "hides the word is [MASK], not the mask.)" if kind == "causal" else
                              "Yours has the words to the left only."),
        (everything, "Yours lets every position look at all positions, for this kind too."),
        (causal, "Yours is causal for this kind too."),
    ]  # fmt: skip
    for other, cause in known:
        if torch.equal(answer, other):
            return cause
    return "Write down T = 3 on paper: three rows, one for each position that looks."


def check_mask(function: Callable) -> CheckResult:
    """Check exercise 01.2: `function(length, kind)` says who may look at whom, (T, T) bool."""

    def stages(function):
        for length, kinds in KINDS.items():
            for kind in kinds:
                answer = function(length, kind[:])  # a copy, should the list be changed
                if answer is None:
                    raise Mistake(f"For {kind!r} you returned None. Is a `return` missing?")
                if not isinstance(answer, Tensor) or tuple(answer.shape) != (length, length):
                    shape = tuple(answer.shape) if isinstance(answer, Tensor) else type(answer)
                    raise Mistake(f"Expected a tensor of shape ({length}, {length}), got {shape}.")
                if answer.dtype != torch.bool:
                    raise Mistake(
                        f"Expected True and False, got {answer.dtype}. Give dtype=torch.bool, "
                        "or compare with > 0."
                    )
                if not torch.equal(answer, _mask(length, kind)):
                    cause = _mask_cause(answer, kind)
                    raise Mistake(f"The mask {kind!r} is wrong for T = {length}. {cause}")

    return run_check("01.2", function, stages)


def _posterior(before, transition, left, right) -> Tensor:
    belief = before if left is None else transition[left]
    if right is not None:
        belief = belief * transition[:, right]
    return belief / belief.sum()


def _posterior_near_misses(before, transition, left, right) -> dict[str, Tensor]:
    """Return wrong answers to exercise 01.3, by their cause."""
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
    if right is not None:
        product = first * transition[:, right]
        row = first * transition[right]
        mean = (first + transition[:, right]) / 2
        column = transition[:, right]
        causes.update(
            {
                "It does not sum to one: divide by the sum.": product,
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
    return causes


def check_posterior(function: Callable) -> CheckResult:
    """Check exercise 01.3: `function(before, transition, left, right)` is P(x | neighbours)."""
    cases = [(DENSE, 1, 2), (DENSE, 2, 1), (WEATHER, 1, 2), (WEATHER, 2, 1), (DENSE, 2, None),
             (DENSE, None, 1), (DENSE, 0, 2), (DENSE, 2, 0), (DENSE, 0, 0), (DENSE, None, None),
             (WEATHER, 0, 2)]  # fmt: skip

    def stages(function):
        for (before, transition), left, right in cases:
            answer = _call(function, (before, transition), left, right)
            if answer is None:
                raise Mistake("Your function returned None. Is a `return` missing?")
            if not isinstance(answer, Tensor) or answer.shape != before.shape:
                shape = tuple(answer.shape) if isinstance(answer, Tensor) else type(answer)
                raise Mistake(f"Expected {len(before)} probabilities, a (V,) tensor; got {shape}.")
            expected = _posterior(before, transition, left, right)
            if torch.allclose(answer.double(), expected, rtol=0, atol=TOLERANCE):
                continue
            said = f"For left = {left} and right = {right} you gave {_round(answer)}; expected "
            cause = ""
            if 0 in (left, right):
                cause = " Word 0 is a word like any other: ask `is None`, since 0 counts as false."
            for name, value in _posterior_near_misses(before, transition, left, right).items():
                if not cause and torch.allclose(answer.double(), value, rtol=0, atol=TOLERANCE):
                    cause = " " + name
            raise Mistake(said + f"{_round(expected)}.{cause}")

    return run_check("01.3", function, stages)


def _round(numbers: Tensor) -> list[float]:
    return [round(float(number), 3) for number in numbers]


def check_entropy_given_both(function: Callable) -> CheckResult:
    """Check exercise 01.4: `function(marginal, transition)` is H(x given both) in nats."""

    def stages(function):
        for name, (marginal, transition) in CASES.items():
            # position 2 of 3 in a chain that starts with `marginal`: a closed form, not the loop
            expected = float(MarkovLanguage(marginal, transition).entropies(3).given_both[1])
            triples = (marginal[:, None] * transition)[:, :, None] * transition  # (a, x, c)
            weights = triples.sum(1)  # (a, c)
            safe = marginal[:, None, None]  # no word of the cases has probability zero
            posterior = triples / torch.where(weights > 0, weights, 1.0)[:, None]
            each = -torch.special.xlogy(posterior, posterior).sum(1)  # (a, c)
            one_way = marginal @ _entropy(transition)
            near_misses = {
                "That is in bits: use the natural logarithm.": expected / torch.tensor(2.0).log(),
                "The sign is turned: an entropy is never negative.": -expected,
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
            answer = as_number(_call(function, (marginal, transition)))
            _compare(answer, expected, near_misses, f"For {name}")

    return run_check("01.4", function, stages)
