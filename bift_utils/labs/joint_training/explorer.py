"""The λ explorer: one setting of the real-text grid against plain fine-tuning, seed by seed.

Plain fine-tuning means λ = 0 at the same learning rate.
"""

import ipywidgets
import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from bift_utils.evaluation.intervals import seed_interval, verdict
from bift_utils.labs.core.explorer import Explorer, control_options
from bift_utils.plotting.figures import COLOURS, WIDTH
from bift_utils.results.grid import PLAIN, TEST_OVER_TRAIN, WEIGHTS, paired_differences, select

HOW: dict[str, dict] = {
    "both losses in one update": {},
    "alternating": {"schedule": "alternating"},
    "task-only finish": {"finish": "yes"},
    "lower 2 layers shared": {"shared": "lower 2"},
    "nothing shared": {"shared": "none"},
    "classifier sees masked text": {"classifier_input": "masked"},
    "half the learning rate": {"learning_rate": 1.5e-4},
}
MEASURES = {  # name to column, factor, unit, whether higher is better, decimals
    "test accuracy": ("test_accuracy", 100, "points", True, 1),
    "test loss": ("test_loss", 1, "nats a sentence", False, 3),
    "masked-LM loss on test text": ("test_mlm_loss", 1, "nats a blank", False, 3),
}


class WeightExplorer(Explorer):
    """A slider for λ, a list of ways to train, and a list of measures."""

    def __init__(self, grid, weight: float = 0.33, how: str = "both losses in one update"):
        super().__init__()
        self.grid = grid
        common = control_options("90px")
        self.weight = ipywidgets.SelectionSlider(
            options=list(WEIGHTS), value=weight, description="λ", **common
        )
        del common["continuous_update"]  # lists have no such option
        self.how = ipywidgets.Dropdown(options=list(HOW), value=how, description="how", **common)
        self.measure = ipywidgets.Dropdown(options=list(MEASURES), description="measure", **common)
        self.watch(self.weight, self.how, self.measure)

    def update(self) -> Figure | None:
        """Draw the chosen setting among all λ; else say which λ was run that way."""
        setting = {"mlm_weight": self.weight.value, **HOW[self.how.value]}
        chosen = select(self.grid, setting)
        if not len(chosen):
            self.say(
                f"The grid has no run of “{self.how.value}” with λ = {self.weight.value:g}; it "
                f"was run with λ = {self._weights_of(self.how.value)}. Move λ there. (The "
                "grey figure shows the setting before.)"
            )
            return None
        column, factor, unit, higher, decimals = MEASURES[self.measure.value]
        against = {key: setting[key] for key in setting if key == "learning_rate"} | PLAIN
        found = paired_differences(self.grid, setting, column, against, factor)
        interval = seed_interval(found, TEST_OVER_TRAIN)
        plain = select(self.grid, against)
        rows = chosen["rows_encoded"].iloc[0] / plain["rows_encoded"].iloc[0]
        mean, low, high = (f"{value:+.{decimals}f}" for value in interval)
        outcome = f"{mean} {unit} [{low}, {high}]: {verdict(interval, higher)}"
        self.say(
            f"λ = {self.weight.value:g}, {self.how.value}, against plain fine-tuning at the "
            f"same rate: {outcome}. "
            f"Both made {chosen['task_updates'].iloc[0]} task updates; this one encoded "
            f"{rows:.1f} times the rows."
        )
        return self._draw(found, interval, column, factor, unit)

    def _weights_of(self, how: str) -> str:
        weights = [w for w in WEIGHTS if len(select(self.grid, {"mlm_weight": w, **HOW[how]}))]
        return " or ".join(f"{weight:g}" for weight in weights)

    def _draw(self, found, interval, column, factor, unit) -> Figure:
        """Draw the means of all λ in grey, and the chosen setting with its seeds and interval."""
        figure = plt.figure(figsize=(WIDTH + 0.6, 3.3), layout="none")  # an engine is slow
        axes = figure.add_axes((0.13, 0.16, 0.84, 0.7))
        means = []
        for weight in WEIGHTS:
            differences = paired_differences(
                self.grid, {"mlm_weight": weight}, column, factor=factor
            )
            means.append(sum(differences) / len(differences))
        axes.plot(WEIGHTS, means, "s-", color=COLOURS["light"], label="both losses, mean")
        axes.axhline(0.0, color=COLOURS["neutral"], linestyle=":", linewidth=1.2)
        place = self.weight.value
        mean, low, high = interval
        axes.plot([place + 0.012] * len(found), found, "o", color=COLOURS["joint"], alpha=0.45)
        axes.errorbar(
            place, mean, yerr=[[mean - low], [high - mean]], fmt="D", color=COLOURS["joint"],
            capsize=5, label="chosen: seeds, mean, 95 % interval",
        )  # fmt: skip
        axes.set(xlabel="λ", ylabel=f"difference ({unit})", xlim=(-0.03, 1.0))
        axes.legend(fontsize=8, loc="best")
        title = f"{self.measure.value}, λ = {place:g} minus λ = 0"
        axes.set_title(f"{title}: {self.how.value}", fontsize=10)
        return figure


def weight_explorer(grid, weight: float = 0.33) -> WeightExplorer:
    """Show controls over the settings of the grid, and each setting's difference to λ = 0.

    Args:
        grid: the table of `results.grid.load_grid`.
        weight: λ to begin with, one of `results.grid.WEIGHTS`.

    Introduced in notebook 06.
    """
    return WeightExplorer(grid, weight).show()
