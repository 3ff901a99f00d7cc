"""The chart of the method, for the first page of the series."""

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from bift_utils.plotting.figures import COLOURS, WIDTH

BOXES = (  # centre, size, text, colour
    (1.1, 3.0, 1.9, 1.1, "review as it is\na fine film", "task"),
    (1.1, 1.0, 1.9, 1.1, "the same, masked\na [MASK] film", "mlm"),
    (3.7, 2.0, 1.9, 3.1, "pre-trained\nBERT encoder\n(shared)", "neutral"),
    (6.3, 3.0, 1.9, 1.1, "classifier head\ngood or bad?", "task"),
    (6.3, 1.0, 1.9, 1.1, "masked-LM head\nwhich word?", "mlm"),
    (8.9, 2.0, 1.9, 1.1, "λ · L_MLM +\n(1 − λ) · L_task", "joint"),
)
WAYS = (("task", "-", 3.0), ("mlm", "--", 1.0))  # colour, line, height


def plot_bift_chart() -> Figure:
    """Draw the method: one text read twice, one encoder, two heads, one weighted loss.

    The way of the text as it is is a full line, that of the masked one a dashed line.

    After the chart in section 2.3 of the article. Introduced in notebook 00.
    """
    figure, axes = plt.subplots(figsize=(WIDTH + 1.6, 2.9))
    axes.set(xlim=(0, 10), ylim=(0, 4), title="One encoder serves two objectives at once")
    axes.axis("off")
    for x, y, width, height, text, colour in BOXES:
        corner = (x - width / 2, y - height / 2)
        axes.add_patch(
            plt.Rectangle(
                corner, width, height, facecolor="white", edgecolor=COLOURS[colour], linewidth=1.8
            )
        )
        axes.text(x, y, text, ha="center", va="center", fontsize=9)
    for colour, line, height in WAYS:
        look = {"arrowstyle": "-|>", "color": COLOURS[colour], "linestyle": line, "shrinkA": 0,
                "shrinkB": 0, "linewidth": 1.6}  # fmt: skip
        axes.annotate("", (5.35, height), (2.05, height), arrowprops=look)  # through the encoder
        axes.annotate("", (7.95, 2 + 0.3 * (height - 2)), (7.25, height), arrowprops=look)
    return figure
