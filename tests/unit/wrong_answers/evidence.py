"""Wrong and unusual right answers, notebook 07; the wrong ones with what must be said."""

import statistics

import pandas
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


def with_lists(weights, validation_loss, test_accuracy):
    losses = [statistics.fmean(row) for row in validation_loss.tolist()]
    row = losses.index(min(losses))
    return [weights[row], statistics.fmean(test_accuracy[row].tolist())]


def mean(values):
    return sum(values) / len(values)


def fair(among=None, by=mean, gain=None, of="validation"):
    """Build wrong duels: which opponents, by what, and what is reported."""
    among = among or (lambda names, method: [name for name in names if name != method])
    gain = gain or (lambda ours, theirs: 100 * (mean(ours) - mean(theirs)))

    def function(method, validation, test):
        table = validation if of == "validation" else test
        opponent = max(among(list(table), method), key=lambda name: by(table[name]))
        return opponent, gain(test[method], test[opponent])

    return function


def on_validation(method, validation, test):
    opponent = fair()(method, validation, test)[0]
    return opponent, 100 * (mean(validation[method]) - mean(validation[opponent]))


def eats_the_inputs(method, validation, test):
    del validation[method]
    opponent = max(validation, key=lambda name: mean(validation[name]))
    return opponent, 100 * (mean(test[method]) - mean(test[opponent]))


def by_pairs(method, validation, test):
    names = sorted(set(validation) - {method}, key=lambda name: -mean(validation[name]))
    pairs = zip(test[method], test[names[0]], strict=True)
    return names[0], torch.tensor([100 * (a - b) for a, b in pairs], dtype=torch.float64).mean()


def by_a_table(method, validation, test):
    means = pandas.DataFrame(validation).drop(columns=method).mean()
    gaps = pandas.DataFrame(test)
    return [means.idxmax(), 100 * (gaps[method] - gaps[means.idxmax()]).mean()]


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
    ("honest_score", lambda w, v, a: None, "Is a `return` missing"),
    ("prediction_interval", lambda v, t: None, "Is a `return` missing"),
    ("fair_gain", fair(lambda names, method: names), "not its own opponent"),
    ("fair_gain", fair(of="test"), r"best \*test\* accuracy"),
    ("fair_gain", fair(by=max), "single best validation seed"),
    ("fair_gain", fair(by=lambda values: -mean(values)), "a weak opponent"),
    ("fair_gain", fair(gain=lambda a, b: mean(a) - mean(b)), "is a share; 100 times"),
    ("fair_gain", fair(gain=lambda a, b: 100 * (mean(b) - mean(a))), "sign is turned"),
    ("fair_gain", fair(gain=lambda a, b: 100 * (max(a) - max(b))), "best seed against best seed"),
    ("fair_gain", fair(gain=lambda a, b: 100 * (sum(a) - sum(b))), "a sum over the seeds"),
    ("fair_gain", fair(gain=lambda a, b: 100 * mean(a)), "the method's own accuracy"),
    ("fair_gain", fair(gain=lambda a, b: 100 * abs(mean(a) - mean(b))), "A loss is negative"),
    ("fair_gain", on_validation, "the gain on validation"),
    ("fair_gain", lambda m, v, t: ("plain", fair()(m, v, t)[1]), "written by hand"),
    ("fair_gain", lambda m, v, t: (2, fair()(m, v, t)[1]), "return the name of the method"),
    ("fair_gain", lambda m, v, t: fair()(m, v, t)[0], "Expected two values"),
    ("fair_gain", eats_the_inputs, "changed its inputs"),
    ("fair_gain", lambda m, v, t: None, "Is a `return` missing"),
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
    ("fair_gain", fair()),
    ("fair_gain", by_pairs),
    ("fair_gain", by_a_table),
    ("fair_gain", lambda m, v, t: list(fair(by=statistics.fmean)(m, v, t))),
]  # fmt: skip
