import pytest
from test_widgets import Handle, is_grey

from bift_utils.evaluation.intervals import seed_interval
from bift_utils.labs.joint_training.explorer import HOW, MEASURES, WeightExplorer
from bift_utils.results.grid import TEST_OVER_TRAIN, WEIGHTS, load_grid, paired_differences

GRID = load_grid()


@pytest.fixture
def explorer():
    explorer = WeightExplorer(GRID)
    explorer.handle = Handle()
    return explorer


def seeds_of(figure):
    """The dots of the chosen setting: one a seed."""
    return [list(line.get_ydata()) for line in figure.axes[0].lines if len(line.get_ydata()) == 5]


def test_a_move_draws_the_differences_of_the_grid(explorer):
    explorer.weight.value = 0.5
    figure = explorer.handle.shown[-1]
    expected = [100 * d for d in paired_differences(GRID, {"mlm_weight": 0.5}, "test_accuracy")]
    assert seeds_of(figure) == [pytest.approx(expected)]
    grey = next(line for line in figure.axes[0].lines if list(line.get_xdata()) == list(WEIGHTS))
    mean, low, high = seed_interval(expected, TEST_OVER_TRAIN)
    assert grey.get_ydata()[WEIGHTS.index(0.5)] == pytest.approx(mean)  # on the same scale
    assert f"{mean:+.1f} points [{low:+.1f}, {high:+.1f}]" in explorer.status.value
    assert "2.0 times the rows" in explorer.status.value
    assert "λ = 0.5" in figure.axes[0].get_title(loc="left") + figure.axes[0].get_title()


def test_the_measure_changes_numbers_and_unit(explorer):
    explorer.measure.value = "masked-LM loss on test text"
    figure = explorer.handle.shown[-1]
    expected = paired_differences(GRID, {"mlm_weight": 0.33}, "test_mlm_loss")
    assert seeds_of(figure) == [pytest.approx(expected)]
    assert "nats a blank" in figure.axes[0].get_ylabel()
    assert "better" in explorer.status.value  # lower is better


def test_nothing_shared_is_said_to_change_nothing(explorer):
    explorer.how.value = "nothing shared"
    assert "[+0.0, +0.0]: the same" in explorer.status.value


def test_half_the_rate_is_held_against_plain_fine_tuning_at_half_the_rate(explorer):
    explorer.how.value = "half the learning rate"
    half = {"learning_rate": 1.5e-4}
    differences = paired_differences(GRID, half, "test_accuracy", {"mlm_weight": 0.0, **half})
    mean = seed_interval([100 * d for d in differences])[0]
    assert f"at the same rate: {mean:+.1f} points" in explorer.status.value
    explorer.weight.value = 0.0
    assert "[+0.0, +0.0]: the same" in explorer.status.value


def test_what_was_not_run_is_said(explorer):
    explorer.how.value = "task-only finish"
    before = len(explorer.handle.shown)
    explorer.weight.value = 0.5
    assert len(explorer.handle.shown) == before + 1 and is_grey(explorer.handle.shown[-1])
    assert "it was run with λ = 0.33 or 0.952" in explorer.status.value
    explorer.weight.value = 0.952
    assert len(explorer.handle.shown) == before + 2 and not is_grey(explorer.handle.shown[-1])


@pytest.mark.parametrize("how", HOW)
def test_every_way_was_run_with_some_weight(explorer, how):
    assert explorer._weights_of(how)


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("weight", WEIGHTS)
def test_every_weight_has_a_figure(explorer, weight, measure):
    explorer.weight.value, explorer.measure.value = weight, measure
    assert explorer.update() is not None


def test_controls_have_labels_and_keys(explorer):
    assert [control.description for control in explorer.controls] == ["λ", "how", "measure"]
    assert not any(control.disabled for control in explorer.controls)
