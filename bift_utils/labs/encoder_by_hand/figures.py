"""Figures of notebook 01b: who looks at whom, one layer as a chart, and what a part is worth."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from torch import Tensor

from bift_utils.plotting.figures import COLOURS, WIDTH, headline, name_verticals

NUMBERS_UP_TO = 4  # tokens; in a larger table the numbers would be too small to read


def plot_attention(shares: Mapping[str, Tensor], tokens: Sequence[str], title: str) -> Figure:
    """Draw tables of attention side by side: a row for each token that looks.

    Args:
        shares: name of a table to its shares (T, T); each row sums to one.
        tokens: T names.
        title: the finding or the question.

    Introduced in notebook 01b.
    """
    small = len(tokens) <= NUMBERS_UP_TO
    columns = min(len(shares), 2)
    rows = -(-len(shares) // columns)
    height = 2.7 if small else 3.3
    size = (WIDTH if columns > 1 else 3.9, height * rows + 0.3)
    figure, panels = plt.subplots(rows, columns, figsize=size, squeeze=False, sharey=True)
    for axes, (name, table) in zip(panels.flat, shares.items(), strict=False):
        mesh = axes.pcolormesh(table.numpy(), cmap="Blues", vmin=0.0, vmax=1.0)
        places = [i + 0.5 for i in range(len(tokens))]
        axes.set_xticks(places, tokens, rotation=0 if small else 90, fontsize=9)
        axes.set_yticks(places, tokens, fontsize=9)
        axes.set_title(name, fontsize=10, fontweight="normal")
        axes.set_xlabel("token looked at")
        axes.set_box_aspect(1)
        axes.tick_params(length=0)
        if small:
            _write_shares(axes, table)
    for first in panels[:, 0]:
        first.set_ylabel("token that looks")
    panels[0, 0].invert_yaxis()  # the panels share this axis
    figure.colorbar(mesh, ax=panels.ravel().tolist(), label="share of attention", shrink=0.7)
    headline(figure, title)
    return figure


def _write_shares(axes: Axes, table: Tensor) -> None:
    for i, row in enumerate(table.tolist()):
        for j, share in enumerate(row):
            colour = "white" if share > 0.5 else "black"
            axes.text(j + 0.5, i + 0.5, f"{share:.2f}", ha="center", va="center", color=colour)


BOXES = (  # text, height on the page, is it one of the two parts with weights of its own?
    ("x: one vector a token", 0.0, False),
    ("attention in heads", 1.0, True),
    ("add", 2.0, False),
    ("LayerNorm", 3.0, False),
    ("feed-forward", 4.0, True),
    ("add", 5.0, False),
    ("LayerNorm", 6.0, False),
)
DETOURS = ((0.0, 2.0), (3.0, 5.0))  # what is added: from where to where


def plot_layer_chart(title: str) -> Figure:
    """Draw one layer of BERT as a chart, read from the bottom to the top.

    Introduced in notebook 01b.
    """
    figure, axes = plt.subplots(figsize=(4.6, 4.6))
    for text, y, part in BOXES:
        colour = COLOURS["mlm"] if part else COLOURS["light"]
        axes.add_patch(
            FancyBboxPatch((-1.0, y - 0.24), 2.0, 0.48, boxstyle="round,pad=0.04", color=colour)
        )
        axes.text(0, y, text, ha="center", va="center", color="white" if part else "black")
    arrow = {"arrowstyle": "->", "color": COLOURS["neutral"], "linewidth": 1.3}
    for (_, low, _), (_, high, _) in pairwise(BOXES):
        axes.annotate("", (0, high - 0.28), (0, low + 0.28), arrowprops=arrow)
    axes.annotate("", (0, 6.78), (0, 6.28), arrowprops=arrow)
    axes.text(0, 6.95, "to the next layer", ha="center", va="center")
    for low, high in DETOURS:
        axes.plot([1.04, 1.7, 1.7], [low, low, high], color=COLOURS["neutral"], linewidth=1.3)
        axes.annotate("", (1.04, high), (1.72, high), arrowprops=arrow)
        axes.text(1.8, (low + high) / 2, "residual:\nthe input,\nas it is", va="center", fontsize=9)
    axes.set(xlim=(-1.3, 2.9), ylim=(-0.5, 7.3))
    axes.axis("off")
    headline(figure, title)
    return figure


def plot_head_costs(costs: Sequence[Sequence[float]], title: str) -> Figure:
    """Draw what the loss gains when one head is silent, a row a layer, with the numbers.

    Args:
        costs: (layers, heads), in nats a blank.
        title: the finding or the question.

    Introduced in notebook 01b.
    """
    largest = max(max(row) for row in costs)
    figure, axes = plt.subplots(figsize=(WIDTH - 1.0, 0.9 + 0.55 * len(costs)))
    mesh = axes.pcolormesh(costs, cmap="Blues", vmin=0.0, vmax=largest, edgecolors="white")
    for i, row in enumerate(costs):
        for j, cost in enumerate(row):
            colour = "white" if cost > 0.6 * largest else "black"
            number = f"{round(cost, 2) + 0.0:.2f}"  # no minus sign before 0.00
            axes.text(j + 0.5, i + 0.5, number, ha="center", va="center", color=colour)
    heads = range(1, len(costs[0]) + 1)
    layers = range(1, len(costs) + 1)
    axes.set_xticks([head - 0.5 for head in heads], [str(head) for head in heads])
    axes.set_yticks([layer - 0.5 for layer in layers], [str(layer) for layer in layers])
    axes.set(xlabel="head", ylabel="layer")
    axes.tick_params(length=0)
    axes.invert_yaxis()
    figure.colorbar(mesh, label="loss added (nats a blank)")
    headline(figure, title)
    return figure


def plot_removed_and_trained(
    removed: Mapping[str, float],
    trained: Mapping[str, float],
    floor: float,
    baseline: float,
    title: str,
) -> Figure:
    """Draw the loss after a part was removed beside the loss of a model trained without it.

    Args:
        removed: part to loss, of the whole model with the part taken out.
        trained: part to loss, of a model that was trained without it; first the whole model, which
            lacks nothing.
        floor: exact lowest loss of anybody who sees both sides, dashed.
        baseline: exact loss without any context, dotted.
        title: the finding or the question.

    Introduced in notebook 01b.
    """
    figure, axes = plt.subplots(figsize=(WIDTH, 1.5 + 0.6 * len(trained)))
    plate = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
    first = list(trained).index(next(iter(removed)))  # above stands the whole model alone
    for start, values, shift, colour, label in (
        (first, removed, -0.2, "light", "removed after training"),
        (0, trained, 0.2, "mlm", "trained without it"),
    ):
        places = [start + row + shift for row in range(len(values))]
        bars = axes.barh(places, list(values.values()), 0.36, color=COLOURS[colour], label=label)
        texts = [f"{value:.2f}" for value in values.values()]
        axes.bar_label(bars, labels=texts, padding=3, fontsize=9, bbox=plate)
    name_verticals(axes, {"both sides, exact": floor}, "--")
    name_verticals(axes, {"no context, exact": baseline})
    axes.set_yticks(range(len(trained)), list(trained))
    largest = max(*removed.values(), *trained.values(), baseline)
    axes.set(xlabel="loss (nats a blank)", xlim=(0, 1.12 * largest))
    axes.set_title(title, pad=18)
    axes.invert_yaxis()
    axes.legend(loc="upper center", bbox_to_anchor=(0.45, -0.2), ncols=2, fontsize=9)
    return figure
