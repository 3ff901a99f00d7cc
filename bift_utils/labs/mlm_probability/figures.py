"""Figures of Bayes' rule: candidates as bars, and a network's answers beside exact ones."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from torch import Tensor

from bift_utils.plotting.figures import COLOURS, WIDTH, headline

# one tone a candidate, light and dark in turn, so that neighbours differ in grey as well; none of
# them is the colour of an objective
TONES = ("#5B4A8A", "#DDD6EC", "#7A5C2E", "#EADFBF", "#3D5A5C", "#C6DAD8", "#7B3B52", "#ECCFD8")


def _black_or_white(tone: str) -> str:
    red, green, blue = (int(tone[i : i + 2], 16) for i in (1, 3, 5))
    return "black" if 0.3 * red + 0.6 * green + 0.1 * blue > 140 else "white"


def plot_bayes_bars(
    words: Sequence[str], prior: Sequence[float], joint: Sequence[float], title: str
) -> Figure:
    """Draw Bayes' rule as three stacked bars: prior, prior × likelihood, posterior.

    The second bar is as long as the evidence; the third is the second, stretched to length 1.

    Args:
        words: the V candidates.
        prior: V probabilities.
        joint: V numbers, prior × likelihood.
        title: the finding.

    Introduced in notebook 03.
    """
    evidence = float(sum(joint))
    bars = {
        "prior: P(word); the bar sums to 1": (list(prior), 1.0),
        f"prior × likelihood: P(word, rest); sums to the evidence, {evidence:.5f}": (
            list(joint),
            evidence,
        ),
        "posterior: P(word given rest); sums to 1": ([x / evidence for x in joint], 1.0),
    }
    figure, panels = plt.subplots(3, 1, figsize=(WIDTH + 1.2, 3.9))
    for axes, (name, (values, total)) in zip(panels, bars.items(), strict=True):
        start = 0.0
        for i, (word, value) in enumerate(zip(words, values, strict=True)):
            tone = TONES[i % len(TONES)]
            axes.barh(0, value, left=start, color=tone, edgecolor="white", height=0.8)
            if value > 0.01 * total:
                style = {"ha": "center", "va": "center", "fontsize": 8}
                upright = {"rotation": 90} if value < 0.04 * total else {}  # too narrow to lie
                colour = _black_or_white(tone)
                axes.text(start + value / 2, 0, word, color=colour, **style, **upright)
            start += value
        axes.set(xlim=(0, total), ylim=(-0.4, 0.4), yticks=[])
        axes.set_title(name, fontsize=9, fontweight="normal")
    panels[-1].set_xlabel("probability (no unit); note the scale of the bar in the middle")
    headline(figure, title)
    return figure


def plot_candidates(
    words: Sequence[str],
    panels: Mapping[str, Sequence[float] | Tensor],
    title: str,
    colours: Mapping[str, str] | None = None,
    xlabel: str = "probability",
) -> Figure:
    """Draw distributions over the same candidates side by side, a panel each, on one scale.

    Args:
        words: the V candidates.
        panels: name of a panel to V numbers from 0 to 1.
        title: the finding.
        colours: name of a panel to a key of `plotting.COLOURS`.
        xlabel: quantity and unit.

    Introduced in notebook 03.
    """
    width, height = WIDTH + 1.6, 1.25 + 0.24 * len(words)
    figure = plt.figure(figsize=(width, height), layout="none")  # a layout engine is slow
    limit = 1.3 * max(max(map(float, values)) for values in panels.values())
    step = 0.9 / len(panels)
    for i, (name, values) in enumerate(panels.items()):
        axes = figure.add_axes((0.085 + i * step, 0.58 / height, 0.9 * step, 1 - 1.2 / height))
        colour = COLOURS[(colours or {}).get(name, "mlm")]
        bars = axes.barh(range(len(words)), [float(value) for value in values], color=colour)
        axes.bar_label(bars, [f"{float(value):.2f}" for value in values], padding=2, fontsize=8)
        axes.set(xlim=(0, limit), ylim=(len(words) - 0.5, -0.5), xlabel=xlabel)
        axes.set_yticks(range(len(words)), words if i == 0 else [], parse_math=False)
        axes.set_title(name, fontsize=9, fontweight="normal")
    headline(figure, title, parse_math=False)
    return figure
