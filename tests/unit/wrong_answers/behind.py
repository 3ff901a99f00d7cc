"""Wrong and unusual right answers, notebook 07b; the wrong ones with what must be said."""

import math

import torch


def flat(tensors, others):
    """All tensors of a list as one vector; None is zeros."""
    pairs = zip(tensors, others, strict=True)
    parts = [(torch.zeros_like(y) if x is None else x).flatten() for x, y in pairs]
    return torch.cat(parts)


def cosine(first, second):
    second_like = [y if x is None else x for x, y in zip(first, second, strict=True)]
    a, b = flat(first, second_like), flat(second, second_like)
    return float(a @ b / (a.norm() * b.norm()))


def by_sums(first, second):
    dot = one = two = 0.0
    for x, y in zip(first, second, strict=True):
        if x is not None and y is not None:
            dot += (x * y).sum()
        if x is not None:
            one += (x**2).sum()
        if y is not None:
            two += (y**2).sum()
    return dot / math.sqrt(one * two)


def shared(first, second):
    return [(x, y) for x, y in zip(first, second, strict=True) if x is not None and y is not None]


def mean_of_cosines(first, second):
    found = [cosine([x], [y]) for x, y in shared(first, second)]
    return sum(found) / max(len(found), 1)


def product_alone(first, second):
    return sum(float((x * y).sum()) for x, y in shared(first, second))


def one_length(first, second):
    return product_alone(first, second) / product_alone(first, first)


def shared_only(first, second):
    pairs = shared(first, second)
    return cosine([x for x, _ in pairs], [y for _, y in pairs]) if pairs else 0.0


def nones_fail(first, second):
    a, b = torch.cat([x.flatten() for x in first]), torch.cat([x.flatten() for x in second])
    return float(a @ b / (a.norm() * b.norm()))


def holm(p, level, correct=True, less=1, stop=True, strict=True, backwards=False):
    """Build answers from one rule."""
    order = sorted(range(len(p)), key=lambda i: p[i])
    if backwards:
        for k in range(len(p), 0, -1):
            if p[order[k - 1]] < level / (len(p) - k + 1):
                return order[:k]
        return []
    kept = []
    for k, i in enumerate(order):
        limit = level / (len(p) - less * k) if correct else level
        if p[i] < limit or (not strict and p[i] == limit):
            kept.append(i)
        elif stop:
            break
    return kept


def by_numbers(p, level):
    """The same with tensors, all at once."""
    values, order = torch.tensor(p, dtype=torch.float64).sort(stable=True)
    below = values < level / torch.arange(len(p), 0, -1, dtype=torch.float64)
    return order[below.cumprod(0).bool()]


def adjusted(p, level):
    """By adjusted p-values: each times what is left, never below the one before."""
    found, highest = [], 0.0
    for done, i in enumerate(sorted(range(len(p)), key=p.__getitem__)):
        highest = max(highest, p[i] * (len(p) - done))
        if highest < level:
            found.append(i)
    return tuple(found)


def bootstrap(rows=True, columns=True, replace=True):
    """Build wrong bootstraps from one loop."""

    def draw(size, generator):
        if replace:
            return torch.randint(size, (size,), generator=generator)
        return torch.randperm(size, generator=generator)

    def function(table, draws, generator):
        means = []
        for _ in range(draws):
            one = table[draw(table.shape[0], generator)] if rows else table
            one = one[:, draw(table.shape[1], generator)] if columns else one
            means.append(one.mean())
        return torch.stack(means)

    return function


def single_entries(table, draws, generator):
    flat = table.flatten()
    return torch.stack(
        [flat[torch.randint(len(flat), (len(flat),), generator=generator)].mean()
         for _ in range(draws)]
    )  # fmt: skip


def own_columns_for_each_row(table, draws, generator):
    means = []
    for _ in range(draws):
        rows = table[torch.randint(len(table), (len(table),), generator=generator)]
        chosen = torch.randint(table.shape[1], table.shape, generator=generator)
        means.append(rows.gather(1, chosen).mean())
    return torch.stack(means)


def without_loops(table, draws, generator):
    rows = torch.randint(len(table), (draws, len(table)), generator=generator)
    columns = torch.randint(table.shape[1], (draws, table.shape[1]), generator=generator)
    return table[rows[:, :, None], columns[:, None, :]].mean((1, 2))


def by_weights(table, draws, generator):
    """Count how often each row and column was drawn, and weigh the table with that."""
    rows, columns = (
        torch.multinomial(torch.ones(draws, size), size, replacement=True, generator=generator)
        for size in table.shape
    )
    left, right = (
        torch.nn.functional.one_hot(part, size).sum(1) / size
        for part, size in ((rows, table.shape[0]), (columns, table.shape[1]))
    )
    return torch.einsum("dr,rc,dc->d", left, table, right)


WRONG = [
    ("cosine", mean_of_cosines, "mean of the tensors' cosines"),
    ("cosine", product_alone, "product alone; divide by both lengths"),
    ("cosine", one_length, "divided by one length twice"),
    ("cosine", lambda a, b: one_length(b, a), "divided by one length twice"),
    ("cosine", lambda a, b: abs(cosine(a, b)), "sign is lost"),
    ("cosine", shared_only, "A None is a gradient of zeros"),
    ("cosine", nones_fail, "Your function raised AttributeError"),
    ("cosine", lambda a, b: 1 - cosine(a, b), "two equal lists you gave 0.0000"),
    ("cosine", lambda a, b: None, "Is a `return` missing"),
    ("cosine", lambda a, b: [cosine(a, b)] * 2, "Expected a number"),
    ("cosine", lambda a, b: a[0].mul_(2) is None or cosine(a, b), "changed its inputs"),
    ("holm", lambda p, level: holm(p, level, correct=False), "nothing is corrected"),
    ("holm", lambda p, level: holm(p, level, less=0), "Bonferroni"),
    ("holm", lambda p, level: holm(p, level, stop=False), "first that fails ends the list"),
    ("holm", lambda p, level: holm(p, level, backwards=True), "begins with the smallest"),
    ("holm", lambda p, level: holm(p, level, strict=False), "it must lie below"),
    ("holm", lambda p, level: sorted(holm(p, level)), "from the smallest p to the largest"),
    ("holm", lambda p, level: [p[i] for i in holm(p, level)], "places, not the p-values"),
    ("holm", lambda p, level: [i + 1 for i in holm(p, level)], "counted from 0"),
    ("holm", lambda p, level: holm(p, 0.05), "level 0.01 you gave"),
    ("holm", lambda p, level: len(holm(p, level)), "Expected a list of places, got int"),
    ("holm", lambda p, level: None, "Is a `return` missing"),
    ("holm", lambda p, level: p.sort() or holm(p, level), "changed its inputs"),
    ("bootstrap", bootstrap(columns=False), "resample seeds only"),
    ("bootstrap", bootstrap(rows=False), "resample test sentences only"),
    ("bootstrap", bootstrap(replace=False), r"\*without\* replacement"),
    ("bootstrap", single_entries, "A seed is a whole row"),
    ("bootstrap", own_columns_for_each_row, "once a draw, for all rows together"),
    ("bootstrap", lambda d, n, g: bootstrap()(d, n, None), "pass generator=generator"),
    ("bootstrap", lambda d, n, g: bootstrap()(d - d.mean(), n, g), "leaves the mean where it is"),
    ("bootstrap", lambda d, n, g: bootstrap()(d, 10, g), r"shape \(2000,\)"),
    ("bootstrap", lambda d, n, g: torch.full((n,), float("nan")), "NaN or infinite"),
    ("bootstrap", lambda d, n, g: None, "Is a `return` missing"),
    ("bootstrap", lambda d, n, g: bootstrap()(d.mul_(2), n, g), "changed its inputs"),
    ("bootstrap", lambda d, n, g: "means", "Expected a tensor .*got str"),
]

RIGHT = [  # unusual, and right
    ("cosine", cosine),
    ("cosine", by_sums),
    ("cosine", lambda a, b: torch.tensor(cosine(a, b), dtype=torch.float64)),
    ("cosine", lambda a, b: torch.tensor([by_sums(a, b)])),
    ("holm", holm),
    ("holm", by_numbers),
    ("holm", adjusted),
    ("holm", lambda p, level: [torch.tensor(i) for i in holm(p, level)]),
    ("bootstrap", bootstrap()),
    ("bootstrap", without_loops),
    ("bootstrap", by_weights),
    ("bootstrap", lambda d, n, g: without_loops(d, n, g).tolist()),
]
