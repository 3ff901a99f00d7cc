"""Figures of notebook 01: beliefs about one word, who sees what, and losses beside their floors."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from bift_utils.plotting.figures import COLOURS, HEIGHT, WIDTH, headline, name_verticals

SIDE_COLOURS = {"causal": "task", "full": "mlm"}  # one-way and two-way models, in every figure


def plot_beliefs(
    beliefs: Mapping[str, Sequence[float]], words: Sequence[str], title: str
) -> Figure:
    """Draw what is believed about one word, a panel for each thing that is known.

    Args:
        beliefs: what is known, to a probability for each word.
        words: their names.
        title: the finding.

    Introduced in notebook 01.
    """
    figure, panels = plt.subplots(1, len(beliefs), figsize=(WIDTH + 1.2, 2.6), sharey=True)
    for axes, (known, chances) in zip(panels, beliefs.items(), strict=True):
        bars = axes.bar(range(len(words)), list(chances), color=COLOURS["mlm"])
        axes.bar_label(bars, labels=[f"{chance:.2f}" for chance in chances], fontsize=9)
        axes.set_xticks(range(len(words)), words)
        axes.set_xlabel(known)
    panels[0].set(ylabel="probability", ylim=(0, 1.12))
    headline(figure, title)
    return figure


def plot_reach(tables: Mapping[str, Sequence[Sequence[bool]]], title: str) -> Figure:
    """Draw which changed token moves which output, a panel a model.

    Args:
        tables: model to a (T, T) table, row i and column j True where token j moves output i.
        title: the finding.

    Introduced in notebook 01.
    """
    figure, panels = plt.subplots(1, len(tables), figsize=(WIDTH + 1.2, 3.2), sharey=True)
    colours = ListedColormap([COLOURS["light"], COLOURS["mlm"]])
    for axes, (name, table) in zip(panels, tables.items(), strict=True):
        length = len(table)
        axes.pcolormesh(table, cmap=colours, vmin=0, vmax=1, edgecolors="white", linewidth=1.5)
        places = [i + 0.5 for i in range(length)]
        axes.set_xticks(places, range(1, length + 1))
        axes.set_yticks(places, range(1, length + 1))
        axes.set_title(name, fontsize=10, fontweight="normal")
        axes.set_xlabel("token changed at")
        axes.set_box_aspect(1)
        axes.tick_params(length=0)
    panels[0].set_ylabel("output at position")
    panels[0].invert_yaxis()
    headline(figure, title)
    return figure


def plot_learning(
    curves: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    floors: Mapping[str, float],
    baseline: float,
    title: str,
) -> Figure:
    """Draw learning curves, each with its own exact floor dashed in its own colour.

    Args:
        curves: "causal" and "full" to (updates, losses).
        floors: the same names to the exact entropy.
        baseline: the entropy without any context, dotted.
        title: the finding.

    Introduced in notebook 01.
    """
    figure, axes = plt.subplots()
    right = max(max(steps) for steps, _ in curves.values())
    axes.axhline(baseline, color=COLOURS["neutral"], linestyle=":", linewidth=1.2)
    axes.annotate(" H(x)", (right, baseline), va="center", annotation_clip=False)
    floor_names = {"causal": "H(x | left)", "full": "H(x | both)"}
    for name, (steps, losses) in curves.items():
        colour = COLOURS[SIDE_COLOURS[name]]
        axes.plot(steps, losses, color=colour, marker="o", markersize=4, label=f"{name} mask")
        axes.axhline(floors[name], color=colour, linestyle="--", linewidth=1.2)
        place = (right, floors[name])
        axes.annotate(
            f" {floor_names[name]}", place, color=colour, va="center", annotation_clip=False
        )
    axes.legend(loc="upper right", bbox_to_anchor=(0.98, 0.92))
    axes.set(title=title, xlabel="update", ylabel="loss (nats a blank)", xlim=(0, right))
    return figure


def plot_by_position(
    losses: Mapping[str, Sequence[float]],
    floors: Mapping[str, Sequence[float]],
    excess: Mapping[str, Sequence[float]],
    title: str,
) -> Figure:
    """Draw the loss at each position beside its exact floor, and what is left above the floor.

    Args:
        losses: "causal" and "full" to T losses (nats a blank).
        floors: the same names to T exact entropies.
        excess: the same names to T losses above the floor.
        title: the finding.

    Introduced in notebook 01.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(WIDTH + 1.6, HEIGHT))
    for name, values in losses.items():
        colour, places = COLOURS[SIDE_COLOURS[name]], range(1, len(values) + 1)
        marker, shift = {"causal": ("s", -0.12), "full": ("o", 0.12)}[name]
        beside = [place + shift for place in places]  # where the two agree, both stay visible
        left.plot(places, list(floors[name]), color=colour, linestyle="--", linewidth=1.2)
        left.plot(beside, list(values), marker, color=colour, markersize=5, label=f"{name} mask")
        right.plot(beside, list(excess[name]), marker=marker, color=colour, markersize=5)
    right.axhline(0.0, color=COLOURS["neutral"], linestyle="--", linewidth=1.2)
    left.legend(loc="upper center", ncols=2, bbox_to_anchor=(0.5, 1.13), fontsize=9)
    left.set(xlabel="position", ylabel="loss (nats a blank)", ylim=(0, None))
    right.set(
        xlabel="position", ylabel="loss above its own floor (nats)", ylim=left.get_ylim()
    )  # one scale for both panels, or small faults would look large
    for axes in (left, right):
        axes.set_xticks(range(1, len(values) + 1))
    headline(figure, title)
    return figure


def plot_sides(
    losses: Mapping[str, tuple[float, float, float]],
    baseline: float,
    title: str,
    xlabel: str,
) -> Figure:
    """Draw a mean and its interval for each context, a row each, and a dotted baseline.

    Args:
        losses: name to (mean, low, high); names that hold "both" are drawn in the two-way colour.
        baseline: the loss of knowing only how common each token is.
        title: the finding.
        xlabel: quantity and unit.

    Introduced in notebook 01.
    """
    figure, axes = plt.subplots(figsize=(WIDTH, 1.2 + 0.36 * len(losses)))
    for row, (name, (mean, low, high)) in enumerate(losses.items()):
        colour = COLOURS["mlm" if "both" in name else "neutral" if "none" in name else "task"]
        reach = [[mean - low], [high - mean]]
        axes.errorbar(mean, row, xerr=reach, fmt="D", color=colour, capsize=4, markersize=5)
    name_verticals(axes, {"token frequencies alone": baseline})
    axes.set_yticks(range(len(losses)), list(losses))
    axes.set(xlabel=xlabel, ylim=(len(losses) - 0.5, -0.5), xlim=(0, None))
    axes.set_title(title, pad=18)
    return figure
