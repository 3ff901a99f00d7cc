"""The opponents explorer: the same runs of one method against everything that is cheaper."""

import ipywidgets
from matplotlib.figure import Figure

from bift_utils.evaluation.intervals import compare, verdict
from bift_utils.labs.core.explorer import Explorer, control_options
from bift_utils.labs.does_it_help.figures import plot_differences
from bift_utils.results.methods import OPPONENTS, PASSES, differences, strongest

CHALLENGERS = ("joint", "joint, task-only finish", "alternating")
MEASURES = {  # name to column, factor, unit, whether higher is better
    "accuracy": ("test_accuracy", 100, "points", True),
    "loss": ("test_loss", 1, "nats", False),
    "loss after one temperature": ("scaled_loss", 1, "nats", False),
}


class OpponentsExplorer(Explorer):
    """A slider for the number of labels, a list of methods and a list of measures."""

    def __init__(self, table, labels: int = 512, method: str = "joint"):
        super().__init__()
        self.table = table
        common = control_options("90px")
        self.labels = ipywidgets.SelectionSlider(
            options=list(PASSES), value=labels, description="labels", **common
        )
        del common["continuous_update"]  # lists have no such option
        self.method = ipywidgets.Dropdown(
            options=list(CHALLENGERS), value=method, description="method", **common
        )
        self.measure = ipywidgets.Dropdown(options=list(MEASURES), description="measure", **common)
        self.watch(self.labels, self.method, self.measure)

    def update(self) -> Figure | None:
        """Draw the method minus each opponent, and say who is the strongest of them."""
        labels, method = self.labels.value, self.method.value
        column, factor, unit, higher = MEASURES[self.measure.value]
        sizes = [
            n for n in PASSES if method in set(self.table[self.table["labels"] == n]["method"])
        ]
        if labels not in sizes:
            ran = " or ".join(f"{n:,}" for n in sizes)
            self.say(
                f"“{method}” was run with {ran} labels. Move the slider there. (The grey figure "
                "shows the choice before.)"
            )
            return None
        found: dict = {  # opponent to one number a seed
            opponent: differences(self.table, labels, method, opponent, column, factor)
            for opponent in OPPONENTS
        }
        rows = compare(found).sort_values("mean", ascending=not higher)
        best = strongest(self.table, labels)
        mean, low, high = rows.loc[best, ["mean", "low", "high"]]
        outcome = verdict((mean, low, high), higher)
        self.say(
            f"{labels:,} labels, {self.measure.value}, {method} minus {best} (the strongest "
            f"opponent by validation): {mean:+.3g} {unit} [{low:+.3g}, {high:+.3g}]: {outcome}."
        )
        return plot_differences(
            rows, f"{method} minus each opponent, {labels:,} labels",
            f"{self.measure.value} ({unit})", "no difference", found,
        )  # fmt: skip


def opponents_explorer(table, labels: int = 512, method: str = "joint") -> OpponentsExplorer:
    """Show controls over the study of methods, and the chosen one against every opponent.

    Args:
        table: as `results.methods.load_methods` returns it.
        labels: n to begin with, one of `results.methods.PASSES`.
        method: to begin with, one of `CHALLENGERS`.

    Introduced in notebook 07b.
    """
    return OpponentsExplorer(table, labels, method).show()
