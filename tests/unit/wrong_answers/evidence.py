"""Wrong and unusual right answers, notebook 07; the wrong ones with what must be said."""

import statistics

import torch


def best(choose, report=None):
    """Build wrong choices: `choose` gives the row, `report` the score."""
    report = report or (lambda v, a, row: float(a[row].mean()))

    def function(weights, validation_loss, test_accuracy):
        row = int(choose(validation_loss, test_accuracy))
        return weights[row], report(validation_loss, test_accuracy, row)

    return function


def right_row(v, a):
    return v.mean(1).argmin()


def every_seed_its_own(weights, v, a):
    rows = v.argmin(0)
    return weights[int(rows[0])], float(a.gather(0, rows[None]).mean())


def changes(weights, v, a):
    v -= v.min()
    return best(right_row)(weights, v, a)


def interval(inner=lambda s: 1 + 1 / s, root=True, spread=statistics.stdev, factor=None):
    """Build wrong prediction intervals from one rule."""

    def function(values, t):
        mean, scale = statistics.fmean(values), inner(len(values))
        half = (t if factor is None else factor) * spread(values) * (scale**0.5 if root else scale)
        return mean - half, mean + half

    return function


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


def with_lists(weights, validation_loss, test_accuracy):
    losses = [statistics.fmean(row) for row in validation_loss.tolist()]
    row = losses.index(min(losses))
    return [weights[row], statistics.fmean(test_accuracy[row].tolist())]


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
    ("honest_score", best(lambda v, a: a.mean(1).argmax()), "best mean test accuracy. The test"),
    ("honest_score", best(lambda v, a: a.max(1).values.argmax()), "best single test accuracy"),
    ("honest_score", best(lambda v, a: v.argmin() // 3), "a lucky seed"),
    ("honest_score", best(lambda v, a: v.mean(1).argmax()), r"\*highest\* validation loss"),
    ("honest_score", best(lambda v, a: v.mean(0).argmin()), r"the mean over seeds is mean\(1\)"),
    ("honest_score", every_seed_its_own, "another λ for every seed"),
    ("honest_score", best(right_row, lambda v, a, r: float(v[r].mean())), "is the validation loss"),
    ("honest_score", best(right_row, lambda v, a, r: float(a[r].max())), "is the best seed"),
    ("honest_score", best(right_row, lambda v, a, r: float(a.mean())), "mean over every λ"),
    ("honest_score", lambda w, v, a: (2, float(a[2].mean())), "the place of λ"),
    ("honest_score", lambda w, v, a: (0.5, float(a[2].mean())), "written by hand"),
    ("honest_score", changes, "changed its inputs"),
    ("honest_score", lambda w, v, a: 0.5, "Expected two values"),
    ("prediction_interval", interval(lambda s: 1 / s), r"for the \*mean\* of the runs"),
    ("prediction_interval", interval(lambda s: 1), "mean is itself uncertain"),
    ("prediction_interval", interval(root=False), "square root is missing"),
    ("prediction_interval", interval(spread=statistics.variance), "used the variance"),
    ("prediction_interval", interval(spread=statistics.pstdev), "it is S − 1"),
    ("prediction_interval", interval(factor=1.0), "factor t is missing"),
    ("prediction_interval", interval(factor=1.96), "for a known spread"),
    ("prediction_interval", lambda v, t: (min(v) - 0.5, max(v) - 0.5), "range of the runs"),
    ("prediction_interval", lambda v, t: interval()(v, t)[::-1], "low is above high"),
    ("prediction_interval", interval(lambda s: 1.25), "written by hand"),
    ("prediction_interval", lambda v, t: (0.0, 10.0), "the middle of your interval"),
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
    ("honest_score", lambda w, v, a: None, "Is a `return` missing"),
    ("prediction_interval", lambda v, t: None, "Is a `return` missing"),
    ("bootstrap", lambda d, n, g: "means", "Expected a tensor .*got str"),
]  # fmt: skip

RIGHT = [  # unusual, and right
    ("honest_score", best(right_row)),
    ("honest_score", with_lists),
    ("honest_score", lambda w, v, a: (
        torch.tensor(w)[v.mean(1).argmin()], a[v.mean(1).argmin()].mean())),
    ("honest_score", lambda w, v, a: max(
        zip(w, a.mean(1).tolist(), strict=True), key=lambda pair: -v.mean(1)[w.index(pair[0])])),
    ("prediction_interval", interval()),
    ("prediction_interval", lambda v, t: list(interval()(v, t))),
    ("prediction_interval", lambda v, t: tuple(torch.tensor(interval()(v, t)))),
    ("prediction_interval", interval(lambda s: (s + 1) / s)),
    ("bootstrap", bootstrap()),
    ("bootstrap", without_loops),
    ("bootstrap", by_weights),
    ("bootstrap", lambda d, n, g: without_loops(d, n, g).tolist()),
]  # fmt: skip
