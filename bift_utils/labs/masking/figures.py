"""Figures of masked text: a sentence token by token, and the shares of the outcomes."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from bift_utils.plotting.figures import COLOURS, WIDTH, headline

OUTCOME_COLOURS = {"not selected": "light", "[MASK]": "mlm", "random": "task", "kept": "joint"}


def plot_tokens(
    tokens: Sequence[str], names: Sequence[str], answers: Sequence[str], title: str
) -> Figure:
    """Draw a masked sentence: one box a token, and under each selected one what is asked for.

    Args:
        tokens: what the model sees.
        names: what became of each token, one of `OUTCOME_COLOURS`.
        answers: the token asked for; not read where the token was not selected.
        title: the finding.

    Introduced in notebook 02.
    """
    columns, x, row, places = 76, 0.0, 0, []  # a line holds 76 letters
    for token, name, answer in zip(tokens, names, answers, strict=True):
        under = "" if name == "not selected" else f"asked: {answer}"
        width = max(len(token) + 2, 0.8 * len(under) + 1)
        if x and x + width > columns:
            x, row = 0.0, row + 1
        places.append((x, row, width, token, name, under))
        x += width + 0.6
    height = 0.4 + 0.62 * (row + 1)
    figure = plt.figure(figsize=(WIDTH + 1.6, height), layout="none")  # a layout engine is slow
    axes = figure.add_axes((0.01, 0.01, 0.98, 0.99 - 0.32 / height))
    axes.set(xlim=(-0.5, columns + 1), ylim=(row + 0.6, -0.3), title=title)
    axes.axis("off")
    for x, row, width, token, name, under in places:
        colour = COLOURS[OUTCOME_COLOURS[name]]
        plain = name == "not selected"
        axes.add_patch(plt.Rectangle((x, row - 0.25), width, 0.42, color=colour))
        style: dict = {"ha": "center", "va": "center", "family": "monospace", "parse_math": False}
        middle = x + width / 2
        axes.text(
            middle, row - 0.04, token, fontsize=9, color="black" if plain else "white", **style
        )
        if not plain:
            axes.text(middle, row + 0.29, name, fontsize=7, color=colour, **style)
            axes.text(middle, row + 0.47, under, fontsize=7, color=colour, **style)
    return figure


def plot_draws(tokens: Sequence[str], numbers: Sequence[float], title: str) -> Figure:
    """Draw the line from 0 to 0.2, cut where 80/10/10 at 15 % cuts it, with the tokens on it.

    Args:
        tokens: their names.
        numbers: what each drew, from 0 to 1; those above 0.2 are left out.
        title: the finding.

    Introduced in notebook 02.
    """
    figure, axes = plt.subplots(figsize=(WIDTH, 1.9))
    ends, start = {"[MASK]": 0.12, "random": 0.135, "kept": 0.15, "not selected": 0.2}, 0.0
    for name, end in ends.items():
        axes.barh(0, end - start, left=start, color=COLOURS[OUTCOME_COLOURS[name]])
        axes.text((start + end) / 2, 0.5, name, ha="center", fontsize=9)
        start = end
    for token, u in zip(tokens, numbers, strict=True):
        if u < ends["not selected"]:
            axes.plot(u, 0.1, "o", color="white", markersize=5)
            axes.text(u, -0.3, token, ha="center", color="white", fontsize=8)
    axes.set(xlim=(0, 0.2), ylim=(-0.45, 0.8), yticks=[], xlabel="the number u that a token draws")
    axes.set_title(title)
    return figure


def plot_shares(
    shares: Mapping[str, Mapping[str, tuple[float, float, float]]],
    expected: Mapping[str, float],
    title: str,
) -> Figure:
    """Draw shares with their intervals, a row a masker, a panel an outcome, dashed where expected.

    Args:
        shares: masker to outcome to (share, low, high), in percent.
        expected: outcome to its exact share, in percent; one panel each.
        title: the finding.

    Introduced in notebook 02.
    """
    figure, panels = plt.subplots(
        1, len(expected), figsize=(WIDTH + 1.6, 1.2 + 0.3 * len(shares)), sharey=True
    )
    for axes, (name, exact) in zip(panels, expected.items(), strict=True):
        colour = COLOURS[OUTCOME_COLOURS[name]]
        axes.axvline(exact, color=COLOURS["neutral"], linestyle="--", linewidth=1.2)
        for row, by_name in enumerate(shares.values()):
            middle, low, high = by_name[name]
            reach = [[middle - low], [high - middle]]
            axes.errorbar(middle, row, xerr=reach, fmt="o", color=colour, capsize=4, markersize=6)
        axes.margins(x=0.15)  # or a line stands on the edge
        axes.set_xlabel(f"{name} (% of selected)")
        axes.set_yticks(range(len(shares)), list(shares))
    panels[0].set_ylim(len(shares) - 0.5, -0.5)
    headline(figure, title)
    return figure
