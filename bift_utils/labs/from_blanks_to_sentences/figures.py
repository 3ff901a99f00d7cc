"""Figures of notebook 09: the area under a curve, a sentence as it is written, two measures."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from bift_utils.plotting.figures import COLOURS, HEIGHT, WIDTH, headline


def plot_area(
    shares: Sequence[float], losses: Sequence[float], baselines: Mapping[str, float], title: str
) -> Figure:
    """Draw the loss per blank against the share that is hidden, and shade the area below.

    Args:
        shares: middles of equally wide ranges of the share hidden, from 0 to 1.
        losses: the mean loss per blank in each range, in nats.
        baselines: name to height, drawn as dotted lines.
        title: the finding.

    Introduced in notebook 09.
    """
    figure, axes = plt.subplots(figsize=(WIDTH, HEIGHT))
    width = 1.0 / len(shares)
    axes.bar(shares, losses, width, color=COLOURS["light"], edgecolor="white")
    axes.plot(shares, losses, "o-", color=COLOURS["mlm"], markersize=5)
    for name, height in baselines.items():
        axes.axhline(height, color=COLOURS["neutral"], linestyle=":", linewidth=1.2)
        axes.annotate(
            f"{name}: {height:.2f}", (0.01, height), xycoords=("axes fraction", "data"),
            va="bottom", fontsize=9, color=COLOURS["neutral"],
        )  # fmt: skip
    axes.set_ylim(0, 1.1 * max(*losses, *baselines.values()))
    axes.set(xlim=(0, 1), xlabel="share of the tokens that is hidden",
             ylabel="loss per blank (nats)", title=title)  # fmt: skip
    return figure


def plot_steps(
    steps: Sequence[int],
    divergence: Sequence[float],
    impossible: Sequence[float],
    title: str,
) -> Figure:
    """Draw what writing in few steps costs: the KL, and the share of impossible sentences.

    Args:
        steps: in how many steps a sentence was written.
        divergence: KL(language ‖ what is written), in nats, one number each.
        impossible: per cent of the sentences that the language does not have.
        title: the finding.

    Introduced in notebook 09.
    """
    figure, panels = plt.subplots(1, 2, figsize=(WIDTH + 1.2, HEIGHT))
    drawn = (
        (panels[0], divergence, "KL(language ‖ written) (nats)"),
        (panels[1], impossible, "impossible sentences (%)"),
    )
    for axes, values, label in drawn:
        axes.plot(steps, values, "o-", color=COLOURS["mlm"], markersize=5)
        axes.axhline(0.0, color="black", linestyle="--", linewidth=1.2)
        axes.set(xlabel="steps for a sentence of five words", ylabel=label)
        axes.set_xticks(steps)
    headline(figure, title)
    return figure


def plot_writing(states: Sequence[Sequence[str]], blank: str, title: str) -> Figure:
    """Draw a sentence as it is written, a row a step; a word is in bold in the step that wrote it.

    Args:
        states: the words of the sentence before the first step and after each.
        blank: how a blank is spelled.
        title: what is written.

    Introduced in notebook 09.
    """
    rows, columns = len(states), len(states[0])
    figure, axes = plt.subplots(figsize=(WIDTH + 1.6, 0.9 + 0.3 * rows), layout="none")
    figure.subplots_adjust(left=0.07, right=0.995, top=1 - 0.5 / (0.9 + 0.3 * rows), bottom=0.02)
    for row, words in enumerate(states):
        for column, word in enumerate(words):
            new = row > 0 and states[row - 1][column] != word
            empty = word == blank
            axes.text(
                column, row, "▁▁" if empty else word, ha="center", va="center", fontsize=9,
                fontweight="bold" if new else "normal", parse_math=False,
                color=COLOURS["mlm"] if new else COLOURS["light"] if empty else COLOURS["neutral"],
            )  # fmt: skip
    axes.set(xlim=(-0.6, columns - 0.4), ylim=(rows - 0.4, -0.6), xticks=[])
    axes.set_yticks(range(rows), [f"step {row}" for row in range(rows)], fontsize=8)
    axes.tick_params(length=0)
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)
    headline(figure, title, parse_math=False)
    return figure
