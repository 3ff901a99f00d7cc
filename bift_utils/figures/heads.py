"""Figures of classifiers: what speaks for a class, what is confused, how sure is right."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from bift_utils.plotting import COLOURS, HEIGHT, WIDTH, plt


def plot_ratios(ratios: Mapping[str, float], title: str, xlabel: str) -> Figure:
    """Draw signed values as bars from zero, each bar named on the other side of the line.

    Args:
        ratios: name to value, first on top.
        title: the finding.
        xlabel: quantity and unit.

    Introduced in notebook 05.
    """
    figure, axes = plt.subplots(figsize=(WIDTH, 0.9 + 0.24 * len(ratios)))
    for row, (name, value) in enumerate(ratios.items()):
        axes.barh(row, value, color=COLOURS["task" if value > 0 else "mlm"])
        side = -1 if value > 0 else 1
        axes.text(
            0.06 * side, row, name, ha="right" if side < 0 else "left", va="center", fontsize=9,
            parse_math=False,
        )  # fmt: skip
    axes.axvline(0, color=COLOURS["neutral"], linewidth=1)
    axes.set(title=title, xlabel=xlabel, yticks=[])
    axes.spines["left"].set_visible(False)
    axes.invert_yaxis()
    return figure


def plot_confusion(matrix, names: Sequence[str], title: str) -> Figure:
    """Draw a confusion matrix: a row a true class, a column an answer, counts and row shares.

    Args:
        matrix: (K, K) counts, array or tensor; row i holds the texts whose true class is i.
        names: one a class.
        title: the finding.

    Introduced in notebook 05.
    """
    from matplotlib.colors import LinearSegmentedColormap

    shades = LinearSegmentedColormap.from_list("confusion", ["white", COLOURS["task"]])
    size = len(names)
    figure, axes = plt.subplots(figsize=(2.6 + 1.1 * size, 1.5 + 0.75 * size))
    for i in range(size):
        total = max(1, sum(int(value) for value in matrix[i]))
        for j in range(size):
            count = int(matrix[i][j])
            share = count / total
            axes.add_patch(
                plt.Rectangle((j, i), 1, 1, facecolor=shades(0.9 * share), edgecolor="white")
            )
            axes.text(j + 0.5, i + 0.5, f"{count:,}\n{share:.0%} of row", ha="center", va="center")
    axes.set(xlim=(0, size), ylim=(size, 0), xlabel="the model says", ylabel="it is")
    axes.set_xticks([i + 0.5 for i in range(size)], names)
    axes.set_yticks([i + 0.5 for i in range(size)], names)
    axes.tick_params(length=0)
    axes.set_title(title)
    return figure


def plot_class_scores(
    scores: Mapping[str, Sequence[float]],
    classes: Sequence[str],
    title: str,
    ylabel: str,
    colours: Mapping[str, str],
) -> Figure:
    """Draw grouped bars: a group a class, a bar a method, each with its height.

    Args:
        scores: method to one number a class.
        classes: names of the groups.
        title: the finding.
        ylabel: quantity and unit.
        colours: method to a key of `COLOURS`.

    Introduced in notebook 05.
    """
    figure, axes = plt.subplots(figsize=(WIDTH + 0.8, HEIGHT))
    width = 0.84 / len(scores)
    hatches = ("", "//", "..", "xx", "\\\\")
    for i, (name, heights) in enumerate(scores.items()):
        places = [group + (i - (len(scores) - 1) / 2) * width for group in range(len(classes))]
        bars = axes.bar(
            places, heights, width, label=name, color=COLOURS[colours[name]], hatch=hatches[i % 5],
            edgecolor="white",
        )  # fmt: skip
        axes.bar_label(bars, labels=[f"{height:.2f}" for height in heights], fontsize=8)
    axes.set_xticks(range(len(classes)), classes)
    axes.set(ylabel=ylabel, ylim=(0, 1.05))
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=len(scores), fontsize=8)
    axes.set_title(title)
    return figure
