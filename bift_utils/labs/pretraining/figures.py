"""Figures of a pre-training run: its log, and where its models write their answers."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from bift_utils.plotting.figures import COLOURS, HEIGHT, WIDTH, headline


def plot_log(
    log: Mapping[str, Sequence[float]],
    unigram: float,
    context_free: float,
    plateau: tuple[float, float],
    decay: float,
    title: str,
) -> Figure:
    """Draw the log of a whole run: its beginning on the left, all of it on the right.

    Args:
        log: columns `tokens`, `train_loss` and `validation_loss` (nan where not measured).
        unigram: the unigram entropy, nats; drawn dotted.
        context_free: the lowest loss without context, nats; drawn dashed.
        plateau: tokens read at its first and its last row; shaded.
        decay: tokens read when the learning rate began to fall; a thin vertical line.
        title: the finding.

    Introduced in notebook 04.
    """
    tokens = [n / 1e6 for n in log["tokens"]]
    start, end = (n / 1e6 for n in plateau)
    measured = [
        (n, loss) for n, loss in zip(tokens, log["validation_loss"], strict=True) if loss == loss
    ]
    figure, panels = plt.subplots(1, 2, figsize=(WIDTH + 2.2, HEIGHT), sharey=True)
    for axes in panels:
        axes.axvspan(start, end, color=COLOURS["light"], alpha=0.6, linewidth=0)
        axes.plot(
            tokens, log["train_loss"], color=COLOURS["neutral"], linewidth=0.9,
            label="training batches",
        )  # fmt: skip
        axes.plot(
            *zip(*measured, strict=True), color=COLOURS["mlm"], marker="o", markersize=3,
            label="held-out windows, 15 % hidden",
        )  # fmt: skip
    left, right = panels
    left.set(xlim=(0, 5 * end), xlabel="tokens read (millions)", ylabel="loss (nats a blank)")
    left.annotate("plateau", ((start + end) / 2, 7.7), ha="center", fontsize=9)
    left.annotate(
        "context is\ndiscovered", (end, context_free), (1.9 * end, context_free + 1.0),
        fontsize=9, arrowprops={"arrowstyle": "->", "color": COLOURS["neutral"]},
    )  # fmt: skip
    _draw_lines(left, unigram, context_free, names=None)
    _draw_lines(right, unigram, context_free, names=0.7)
    right.axvline(decay / 1e6, color=COLOURS["neutral"], linewidth=0.8)
    right.annotate(
        "the rate begins\nto fall", (decay / 1e6, 4.6), (-4, 0), textcoords="offset points",
        ha="right", fontsize=9,
    )  # fmt: skip
    right.set(xlabel="tokens read (millions)")
    names = left.get_legend_handles_labels()  # one legend for both panels
    figure.legend(*names, loc="outside lower center", ncols=2, fontsize=9)
    headline(figure, title)
    return figure


def _draw_lines(axes, unigram: float, context_free: float, names: float | None) -> None:
    """Draw the two losses that need no context; their names end at a share of the width."""
    for height, style, name, side in (
        (unigram, ":", "unigram entropy", "bottom"),
        (context_free, "--", "no context, at best", "top"),
    ):
        axes.axhline(height, color=COLOURS["neutral"], linestyle=style, linewidth=1.2)
        if names is not None:
            axes.annotate(
                name, (names, height), xycoords=("axes fraction", "data"), ha="right", va=side,
                xytext=(0, 2 if side == "bottom" else -3), textcoords="offset points",
                fontsize=9, color=COLOURS["neutral"],
            )  # fmt: skip


def plot_run(curve: Sequence[float], unigram: float, context_free: float, title: str) -> Figure:
    """Draw the loss of a short run against the two lines that need no context.

    Args:
        curve: the loss after each step, nats a blank.
        unigram: the unigram entropy, nats; drawn dotted.
        context_free: the lowest loss without context, nats; drawn dashed.
        title: the finding.

    Introduced in notebook 04.
    """
    figure, axes = plt.subplots()
    axes.plot(range(1, len(curve) + 1), curve, color=COLOURS["mlm"])
    _draw_lines(axes, unigram, context_free, names=0.99)
    axes.set(title=title, xlabel="step", ylabel="masked-LM loss (nats a blank)")
    axes.set_ylim(context_free - 0.3, None)
    return figure


def plot_by_group(
    values: Mapping[str, Sequence[float]],
    groups: Sequence[str],
    title: str,
    xlabel: str,
    ylabel: str,
    colours: Mapping[str, str],
    baselines: Mapping[str, float] | None = None,
    optima: Mapping[str, float] | None = None,
) -> Figure:
    """Draw one line of dots a model over groups, such as positions by their offset.

    Args:
        values: model to one number a group.
        groups: names of the groups, from left to right.
        title: the finding.
        xlabel, ylabel: quantity and unit.
        colours: model to a key of `COLOURS`.
        baselines, optima: name to the height of a dotted or a dashed line.

    Introduced in notebook 04.
    """
    figure, axes = plt.subplots()
    places = range(len(groups))
    for (name, heights), marker in zip(values.items(), "osD^v", strict=False):
        axes.plot(places, heights, marker=marker, color=COLOURS[colours[name]], label=name)
    for lines, style in ((baselines or {}, ":"), (optima or {}, "--")):
        for name, height in lines.items():
            axes.axhline(
                height, color=COLOURS["neutral"], linestyle=style, linewidth=1.2, label=name
            )
    rows = [*values.values(), (optima or {}).values()]
    highest = max(height for heights in rows for height in heights)
    axes.set(title=title, xlabel=xlabel, ylabel=ylabel, ylim=(0, 1.12 * highest))
    axes.set_xticks(places, groups)
    axes.margins(x=0.08)
    figure.legend(loc="outside right center", fontsize=9)
    return figure
