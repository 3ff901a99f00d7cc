"""Wrong and unusual right answers, notebook 01; the wrong ones with what must be said."""

import torch


def entropy(p):
    return -torch.special.xlogy(p, p).sum(-1)


def reached(mask, layers, step=lambda mask, known: mask.double() @ known.double() > 0):
    known = torch.eye(len(mask), dtype=torch.bool)
    for _ in range(layers):
        known = step(mask, known)
    return known


def in_the_same_table(mask, layers):
    known = torch.eye(len(mask), dtype=torch.bool)
    for _ in range(layers):
        for i in range(len(mask)):
            known[i] = (mask[i, :, None] & known).any(0)
    return known


def never_forgets(mask, layers):
    return reached(mask, layers, lambda m, k: k | (m.double() @ k.double() > 0))


def edits_the_mask(mask, layers):
    answer = reached(mask, layers)
    mask |= torch.eye(len(mask), dtype=torch.bool)
    return answer


def counts(mask, layers):
    return torch.linalg.matrix_power(mask.double(), layers)


def by_sets(mask, layers):
    length = len(mask)
    known = [{i} for i in range(length)]
    for _ in range(layers):
        known = [
            set().union(*(known[j] for j in range(length) if mask[i, j])) for i in range(length)
        ]
    return torch.tensor([[j in facts for j in range(length)] for facts in known])


def with_loops(mask, layers):
    length = len(mask)
    known = torch.eye(length, dtype=torch.bool)
    for _ in range(layers):
        after = torch.zeros_like(known)
        for i in range(length):
            for k in range(length):
                for j in range(length):
                    if mask[i, k] and known[k, j]:
                        after[i, j] = True
        known = after
    return known


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
    """Build wrong answers to 01.3 from one right one."""

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
    ("reached", lambda m, n: None, "Is a `return` missing"),
    ("reached", lambda m, n: reached(m, n).tolist(), "Expected a tensor of shape"),
    ("reached", lambda m, n: reached(m, n)[:2], "Expected a row for each position, shape"),
    ("reached", counts, "How often a word was heard does not count"),
    ("reached", lambda m, n: m, "That is the mask itself"),
    ("reached", lambda m, n: reached(m, n).T, "Rows and columns are exchanged"),
    ("reached", lambda m, n: reached(m.T, n), "Rows and columns are exchanged"),
    ("reached", lambda m, n: ~reached(m, n), "the other way round"),
    ("reached", lambda m, n: reached(m, n + 1), "one layer too many"),
    ("reached", lambda m, n: reached(m, max(n - 1, 0)), "one layer too few"),
    ("reached", never_forgets, "Yours never forgets"),
    ("reached", in_the_same_table, "write into a new table"),
    ("reached", lambda m, n: reached(m, n) & ~torch.eye(len(m), dtype=torch.bool),
     "do not take the diagonal out"),
    ("reached", lambda m, n: reached(m, n) | torch.eye(len(m), dtype=torch.bool),
     "keeps its own word only if"),
    ("reached", edits_the_mask, "changed the mask"),
    ("reached", lambda m, n: reached(m, n, lambda a, k: a & k), "Go through it on paper"),
    ("reached", lambda m, n: reached(m, min(n, 4)), "After 12 layers"),
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
    ("posterior", lambda b, t, x, y: posterior(b @ t if x is None else b, t, x, y),
     "not sent through `transition`|0 counts as false"),
    ("posterior", lambda b, t, x, y: posterior(b, t, x, y) + 0.01, "They part first at .0."),
    ("entropy_given_both", lambda m, t: pairs()(m, t) / torch.tensor(10.0).log(), "base 10"),
    ("entropy_given_both", lambda m, t: pairs()(m, t) * 0.9, "By hand for the pair"),
]  # fmt: skip

RIGHT = [  # unusual, and right
    ("reached", by_sets),
    ("reached", with_loops),
    ("reached", lambda m, n: counts(m, n) > 0),
    ("reached", lambda m, n: reached(m, n, lambda a, k: k.double() @ a.double() > 0)),
    ("reached", lambda m, n: reached(m, n, lambda a, k: (a[:, :, None] & k).any(1))),
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
