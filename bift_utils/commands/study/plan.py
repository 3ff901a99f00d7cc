"""What the study of notebook 07 runs: a phase is a list of runs, seed by seed.

A run is a method, a number of labels, a seed and a recipe. `rows` are the runs made so far, out of
which the recipes are chosen; `sizes` are the numbers of labels asked for. Why each phase is there
says docs/the-study.md.
"""

from collections.abc import Iterator

from bift_utils.results.methods import (
    ALL,
    CURVE,
    EDGES,
    FRESH_SEEDS,
    MORE_SEEDS,
    PASSES,
    TRIES,
    TUNING_SEEDS,
    WALK_SEEDS,
    WEIGHTS,
    choose_recipe,
    load_methods,
)

TRAINED = ("plain", "plain, same FLOPs", "joint", "joint, task-only finish", "alternating", "TAPT")
UNTRAINED = ("frozen", "TAPT, frozen", "NBSVM", "TF-IDF")
METHODS = (*TRAINED, *UNTRAINED)
SCHEDULES, SCHEDULES_AT = ("joint, task-only finish", "alternating"), 512  # at one size only


def cell(method, labels, seed, passes=0.0, rate=0.0, weight=0.0) -> dict:
    """Return a run as the first columns of its row."""
    return {
        "method": method, "labels": labels, "seed": seed,
        "passes": float(passes), "learning_rate": rate, "mlm_weight": weight,
    }  # fmt: skip


def tuning(rows, sizes) -> Iterator[dict]:
    """Yield the runs by which the recipes are chosen."""
    for labels in sizes:
        for method, tries in TRIES.items():
            for rate, weight in tries:
                for count in PASSES[labels]:
                    for seed in TUNING_SEEDS:
                        yield cell(method, labels, seed, count, rate, weight)


def chosen(
    rows, method: str, labels: int, seed: int, of: int | None = None, passes: float | None = None
) -> dict:
    """Return a run of a method with the recipe that was chosen for it, or `of` another size."""
    if method in UNTRAINED:
        return cell(method, labels, seed)
    plain, joint = (choose_recipe(rows, name, of or labels) for name in ("plain", "joint"))
    recipe = plain if method in ("plain", "TAPT") else joint
    if method == "plain, same FLOPs":  # the rate is plain's, the budget that of joint
        recipe = {**plain, "passes": joint["passes"]}
    recipe = recipe if passes is None else {**recipe, "passes": passes}
    return {**cell(method, labels, seed), **recipe}


def methods(rows, sizes) -> Iterator[dict]:
    """Yield the methods at up to three sizes, seed by seed; other schedules at one only."""
    for seed in FRESH_SEEDS:
        for labels in sizes:
            for method in METHODS:
                if labels == SCHEDULES_AT or method not in SCHEDULES:
                    yield chosen(rows, method, labels, seed)


def domain(rows, sizes) -> Iterator[dict]:
    """Yield the methods on the texts of a second domain, without what varies joint's schedule."""
    for seed in FRESH_SEEDS:
        for method in METHODS:
            if method not in (*SCHEDULES, "plain, same FLOPs"):
                yield chosen(rows, method, SCHEDULES_AT, seed)


def more(rows, sizes) -> Iterator[dict]:
    """Yield more seeds at 128 labels, where ten do not settle the difference."""
    for seed in MORE_SEEDS:
        for method in ("frozen", "joint", "plain", "TAPT, frozen"):
            yield chosen(rows, method, 128, seed)


def passes(rows, sizes) -> Iterator[dict]:
    """Yield plain and joint at 512 labels, over the number of passes, both at joint's rate."""
    for seed in WALK_SEEDS:
        for count in CURVE:
            joint = chosen(rows, "joint", 512, seed, passes=count)
            yield {**joint, "method": "plain", "mlm_weight": 0.0}
            yield joint


def weights(rows, sizes) -> Iterator[dict]:
    """Yield joint training at 512 labels, over λ; passes and rate are the chosen ones.

    λ = 0.3, which turned out the best of the walk, is run with all ten seeds.
    """
    for seed in FRESH_SEEDS:
        for weight in WEIGHTS if seed in WALK_SEEDS else (0.3,):
            yield {**chosen(rows, "joint", 512, seed), "mlm_weight": weight}


def all_labels(rows, sizes) -> Iterator[dict]:
    """Yield runs with all labels and 4 passes, their rate and λ chosen at 2,048.

    Joint training, the dearest, and TAPT have half of the seeds.
    """
    for seed in FRESH_SEEDS:
        for method in ("frozen", "NBSVM", "TF-IDF", "plain", "TAPT, frozen", "TAPT", "joint"):
            if seed in WALK_SEEDS or method not in ("TAPT, frozen", "TAPT", "joint"):
                yield chosen(rows, method, ALL, seed, of=2048, passes=4.0)


def few_labels(rows, sizes) -> Iterator[dict]:
    """Yield runs with 32 labels and a fixed 60 updates: too few sentences to choose by."""
    for seed in range(26):
        for method in ("frozen", "NBSVM"):
            yield cell(method, 32, seed)
        for method in ("plain", "joint"):
            yield chosen(rows, method, 32, seed, of=128, passes=60.0)


def edges(rows, sizes) -> Iterator[dict]:
    """Yield runs just outside of what `tuning` tried, to see whether its edges cost anything."""
    for method, recipes in EDGES.items():
        for count, rate, weight in recipes:
            for seed in TUNING_SEEDS:
                yield cell(method, 512, seed, count, rate, weight)


def borrowed(rows, sizes) -> Iterator[dict]:
    """Yield runs with the recipes of `bift-mini`, for another encoder that is too dear to tune."""
    tuned = load_methods()
    for seed in list(FRESH_SEEDS)[:5]:
        for labels in (128, 512):
            for method in ("frozen", "plain", "joint"):
                yield chosen(tuned, method, labels, seed)


PHASES = {
    "tuning": tuning, "methods": methods, "more": more, "passes": passes, "weights": weights,
    "all": all_labels, "few": few_labels, "edges": edges,
    "borrowed": borrowed, "domain": domain,
}  # fmt: skip
