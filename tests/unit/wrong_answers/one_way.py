"""Wrong and unusual right answers, notebook 01; the wrong ones with what must be said."""

import math

import torch


def entropy(p):
    return -torch.special.xlogy(p, p).sum(-1)


def edits_left(marginal, transition):
    transition.mul_(transition.log())
    return -(marginal @ transition.sum(1))


def mask(length, kind):
    everything = torch.ones(length, length, dtype=torch.bool)
    if isinstance(kind, list):
        place = torch.tensor(kind).argsort()
        return place[None, :] <= place[:, None]
    if kind == "causal":
        return everything.tril()
    return everything if kind == "full" else ~torch.eye(length, dtype=torch.bool)


def only(kind, wrong):
    """Build a mask function that is wrong for one kind."""
    return lambda length, asked: (wrong if asked == kind else mask)(length, asked)


def ordered(wrong):
    """Build a mask function that is wrong for orders only."""
    return lambda length, kind: (wrong if isinstance(kind, list) else mask)(length, kind)


def by_entries(length, order):
    entries = torch.tensor(order)
    return entries[None, :] <= entries[:, None]


def posterior(before, transition, left, right, step=lambda t, r: t[:, r], normalise=True):
    belief = before if left is None else transition[left]
    if right is not None:
        belief = belief * step(transition, right)
    return belief / belief.sum() if normalise else belief


def falsy(before, transition, left, right):
    belief = transition[left] if left else before
    if right is not None:
        belief = belief * transition[:, right]
    return belief / belief.sum()


def falsy_right(before, transition, left, right):
    return posterior(before, transition, left, right or None)


def edits_row(before, transition, left, right):
    belief = before if left is None else transition[left]
    if right is not None:
        belief *= transition[:, right]
    return belief / belief.sum()


def added(before, transition, left, right):
    belief = before if left is None else transition[left]
    if right is not None:
        belief = belief + transition[:, right]
    return belief / belief.sum()


def always_before(before, transition, left, right):
    belief = before if left is None else before * transition[left]
    if right is not None:
        belief = belief * transition[:, right]
    return belief / belief.sum() if right is not None else posterior(before, transition, left, None)


def exchanged(before, transition, left, right):
    return posterior(before, transition.T, left, right)


def soft(before, transition, left, right):
    belief = posterior(before, transition, left, right, normalise=False)
    return belief if right is None else belief.softmax(0)


def evenly(before, transition, left, right):
    even = torch.full_like(before, 1 / len(before))
    return posterior(even, transition, left, right)


def pairs(weight="joint", normalise=True, skip=True):
    """Build wrong answers to 01.4 from one right one."""

    def function(marginal, transition):
        total = 0.0
        for a in range(len(marginal)):
            for c in range(len(marginal)):
                triple = marginal[a] * transition[a] * transition[:, c]
                if skip and triple.sum() == 0:
                    continue
                p = triple / triple.sum() if normalise else triple
                weights = {
                    "joint": triple.sum(),
                    "none": 1.0,
                    "left": marginal[a],
                    "left, even": marginal[a] / len(marginal),
                    "even": 1 / len(marginal) ** 2,
                    "one step": marginal[a] * transition[a, c],
                    "same": marginal[a] * marginal[c],
                    "independent": marginal[a] * (marginal @ transition @ transition)[c],
                }
                total += (weights[weight] if normalise else 1.0) * entropy(p)
        return total

    return function


def products(marginal, transition):
    """Entropies of products that do not sum to one, weighed by the left word."""
    triples = transition[:, :, None] * transition  # (a, x, c)
    return marginal @ entropy(triples.transpose(1, 2)).sum(1)


def with_loops(marginal, transition):
    total = 0.0
    for p, row in zip(marginal.tolist(), transition.tolist(), strict=True):
        total -= p * sum(q * math.log(q) for q in row if q > 0)
    return total


def as_a_difference(marginal, transition):
    """H(left, x) − H(left)."""
    return entropy((marginal[:, None] * transition).flatten()) - entropy(marginal)


def by_cases(length, kind):
    answer = torch.zeros(length, length, dtype=torch.bool)
    for i in range(length):
        for j in range(length):
            if isinstance(kind, list):
                answer[i, j] = kind.index(j) <= kind.index(i)
            else:
                answer[i, j] = {"causal": j <= i, "full": True, "others": j != i}[kind]
    return answer


def one_after_another(length, order):
    """Fill the rows in the order in which the positions come."""
    answer, seen = torch.zeros(length, length, dtype=torch.bool), []
    for position in order:
        seen.append(position)
        answer[position, seen] = True
    return answer


def sorts_the_list(length, kind):
    if isinstance(kind, list):
        answer = mask(length, kind)
        kind.sort()
        return answer
    return mask(length, kind)


def word_by_word(before, transition, left, right):
    weights = []
    for x in range(len(before)):
        clue = before[x] if left is None else transition[left, x]
        weights.append(float(clue) * (1.0 if right is None else float(transition[x, right])))
    return torch.tensor([weight / sum(weights) for weight in weights])


def with_logarithms(before, transition, left, right):
    belief = (before if left is None else transition[left]).log()
    return (belief if right is None else belief + transition[:, right].log()).softmax(0)


def all_at_once(marginal, transition):
    """H(a, x, c) − H(a, c)."""
    triples = (marginal[:, None] * transition)[:, :, None] * transition
    return entropy(triples.flatten()) - entropy(triples.sum(1).flatten())


WRONG = [
    ("entropy_given_left", lambda m, t: None, "Is a `return` missing"),
    ("entropy_given_left", lambda m, t: entropy(t), r"tensor of shape \(3,\)"),
    ("entropy_given_left", lambda m, t: m @ entropy(t) / torch.tensor(2.0).log(), "in bits"),
    ("entropy_given_left", lambda m, t: -(m @ entropy(t)), "sign is turned"),
    ("entropy_given_left", lambda m, t: entropy(t).mean(), "All rows count the same"),
    ("entropy_given_left", lambda m, t: entropy(t).sum(), "sum of the rows' entropies"),
    ("entropy_given_left", lambda m, t: entropy(m @ t), "without any context"),
    ("entropy_given_left", lambda m, t: entropy(m), "left neighbour itself"),
    ("entropy_given_left", lambda m, t: entropy((m[:, None] * t).flatten()), r"H\(left, x\)"),
    ("entropy_given_left", lambda m, t: -(m @ (t * t.log()).sum(1)), "NaN in your answer"),
    ("entropy_given_left", lambda m, t: m @ entropy(t.T), "summed over the columns"),
    ("entropy_given_left", lambda m, t: -(m @ (t * (t + 1e-4).log()).sum(1)), "an epsilon in"),
    ("entropy_given_left", edits_left, "changed its inputs"),
    ("entropy_given_left", lambda m, t: 1.0, "You gave 1; expected .*The entropies of the rows"),
    ("mask", lambda n, k: None, "Is a `return` missing"),
    ("mask", lambda n, k: mask(n, k).tolist(), "Expected a tensor of shape"),
    ("mask", lambda n, k: mask(4, k), r"shape \(7, 7\), got \(4, 4\)"),
    ("mask", lambda n, k: mask(n, k).float(), "Expected True and False"),
    ("mask", lambda n, k: mask(n, k).T, "Yours looks to the right"),
    ("mask", lambda n, k: ~mask(n, k), "the other way round"),
    ("mask", only("causal", lambda n, k: mask(n, k).tril(-1)), "sees itself as well"),
    ("mask", lambda n, k: mask(n, "full"), "look at all positions, for this kind too"),
    ("mask", lambda n, k: mask(n, "causal"), "causal for this kind too"),
    ("mask", only("others", lambda n, k: mask(n, "causal").tril(-1)), "words to the left only"),
    ("mask", lambda n, k: mask(n, k).roll(1, 1), "Write down T = 3"),
    ("mask", ordered(by_entries), "compare the entries of the list"),
    ("mask", ordered(lambda n, k: mask(n, k).T), "come .later. in the list"),
    ("mask", ordered(lambda n, k: mask(n, k) & mask(n, "others")), "A position sees itself"),
    ("mask", ordered(lambda n, k: mask(n, "full")), "look at all positions, for this kind too"),
    ("posterior", lambda b, t, x, y: None, "Is a `return` missing"),
    ("posterior", lambda b, t, x, y: 0.5, r"Expected a tensor of shape \(3,\)"),
    ("posterior", lambda b, t, x, y: posterior(b, t, x, None), "right neighbour does not count"),
    ("posterior", lambda b, t, x, y: posterior(b, t, None, y), "left neighbour does not count"),
    ("posterior", lambda b, t, x, y: posterior(b, t, x, y, normalise=False), "divide by the sum"),
    ("posterior", lambda b, t, x, y: posterior(b, t, x, y, lambda t, r: t[r]), "the .row. of"),
    ("posterior", exchanged, "exchanged, for both"),
    ("posterior", soft, "A softmax is for logits"),
    ("posterior", added, "independent clues multiply|clues multiply"),
    ("posterior", always_before, "counts only if there is no left"),
    ("posterior", evenly, "not equally likely"),
    ("posterior", falsy, "0 counts as false"),
    ("posterior", falsy_right, "0 counts as false"),
    ("posterior", edits_row, "changed its inputs"),
    ("posterior", lambda b, t, x, y: t[x] * t[:, y] / (t[x] @ t[:, y]), "raised|Expected"),
    ("entropy_given_both", lambda m, t: None, "Is a `return` missing"),
    ("entropy_given_both", lambda m, t: pairs()(m, t) / torch.tensor(2.0).log(), "in bits"),
    ("entropy_given_both", lambda m, t: -pairs()(m, t), "sign is turned"),
    ("entropy_given_both", lambda m, t: m @ entropy(t), "right neighbour is not in it"),
    ("entropy_given_both", pairs("even"), "weigh all pairs alike"),
    ("entropy_given_both", pairs("none"), "without their weights"),
    ("entropy_given_both", pairs("left, even"), "left word only"),
    ("entropy_given_both", pairs("left"), r"weigh by P\(a, c\)"),
    ("entropy_given_both", pairs("one step"), "There is a word in between"),
    ("entropy_given_both", pairs("same"), r"marginal\[a\] · marginal\[c\]"),
    ("entropy_given_both", pairs("independent"), r"by P\(a\) · P\(c\): two words"),
    ("entropy_given_both", products, "products over x do not sum to one"),
    ("entropy_given_both", pairs(normalise=False), "entropy of whole triples"),
    ("entropy_given_both", pairs(skip=False), "NaN in your answer"),
    ("entropy_given_left", lambda m, t: m @ entropy(t) / torch.tensor(10.0).log(), "base 10"),
    ("entropy_given_left", lambda m, t: (m * entropy(t)).mean(), "mean of the weighted rows"),
    ("entropy_given_left", lambda m, t: (m @ t) @ entropy(t), "how likely each .word. is"),
    ("entropy_given_left", lambda m, t: "0.9", "Expected a number, got '0.9'"),
    ("mask", sorts_the_list, "sorts the caller's own list"),
    ("mask", lambda n, k: mask(n, k) if n != 7 else mask(n, k).fliplr(), "Position 0 may look at"),
    ("posterior", lambda b, t, x, y: posterior(b @ t if x is None else b, t, x, y),
     "not sent through `transition`|0 counts as false"),
    ("posterior", lambda b, t, x, y: posterior(b, t, x, y) + 0.01, "They part first at .0."),
    ("entropy_given_both", lambda m, t: pairs()(m, t) / torch.tensor(10.0).log(), "base 10"),
    ("entropy_given_both", lambda m, t: pairs()(m, t) * 0.9, "By hand for the pair"),
]  # fmt: skip

RIGHT = [  # unusual, and right
    ("entropy_given_left", with_loops),
    ("entropy_given_left", as_a_difference),
    ("entropy_given_left", lambda m, t: -(m @ torch.where(t > 0, t * t.log(), 0.0)).sum()),
    ("entropy_given_left", lambda m, t: (m @ entropy(t)).reshape(1).numpy()),
    ("mask", by_cases),
    ("mask", ordered(one_after_another)),
    ("mask", lambda n, k: mask(n, k).float() > 0),
    ("mask", only("causal", lambda n, k: torch.arange(n) <= torch.arange(n)[:, None])),
    ("posterior", word_by_word),
    ("posterior", with_logarithms),
    ("posterior", lambda b, t, x, y: posterior(b.float(), t.float(), x, y)),
    ("posterior", lambda b, t, x, y: torch.nn.functional.normalize(
        posterior(b, t, x, y, normalise=False), p=1, dim=0)),
    ("entropy_given_both", all_at_once),
    ("entropy_given_both", lambda m, t: float(pairs()(m, t))),
    ("entropy_given_both", lambda m, t: all_at_once(m, t).numpy()),
    ("entropy_given_both", lambda m, t: pairs()(m.float(), t.float())),
]  # fmt: skip
