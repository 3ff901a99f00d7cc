"""Wrong answers to the exercises of notebook 01, each with what its check must say."""

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
    ("entropy_given_left", lambda m, t: -(m @ (t * t.log()).sum(1)), "your answer is NaN"),
    ("entropy_given_left", lambda m, t: m @ entropy(t.T), "summed over the columns"),
    ("entropy_given_left", lambda m, t: -(m @ (t * (t + 1e-4).log()).sum(1)), "an epsilon in"),
    ("entropy_given_left", edits_left, "changed its inputs"),
    ("entropy_given_left", lambda m, t: 1.0, "you gave 1.0000; expected"),
    ("mask", lambda n, k: None, "Is a `return` missing"),
    ("mask", lambda n, k: mask(n, k).tolist(), "Expected a tensor of shape"),
    ("mask", lambda n, k: mask(4, k), r"Expected a tensor of shape \(7, 7\)"),
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
    ("posterior", lambda b, t, x, y: 0.5, "Expected 3 probabilities"),
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
    ("entropy_given_both", pairs(skip=False), "your answer is NaN"),
]  # fmt: skip
