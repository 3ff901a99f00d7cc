import pandas
import pytest
from test_widgets import Handle, is_grey

from bift_utils.labs.does_it_help.explorer import CHALLENGERS, MEASURES, OpponentsExplorer
from bift_utils.results.methods import OPPONENTS, PASSES, TRIES, TUNING_SEEDS

GAINS = {method: place for place, method in enumerate((*OPPONENTS, *CHALLENGERS))}


@pytest.fixture(scope="module")
def table():
    """A small study: each method a point better than the one before; loss the other way round."""
    rows = []
    for labels, passes in PASSES.items():
        for method in GAINS:
            if method == "alternating" and labels != 512:
                continue
            tries = TRIES.get(method, ((0.0, 0.0),))
            for rate, weight in tries:
                for count in passes if method in TRIES else (0.0,):
                    best = (rate, weight, count) == (*tries[0], passes[0] if count else 0.0)
                    recipe = {"passes": count, "learning_rate": rate, "mlm_weight": weight}
                    for seed in (*TUNING_SEEDS, *(range(3) if best else ())):
                        rows.append({
                            "method": method, "labels": labels, "seed": seed, **recipe,
                            "validation_loss": 0.4 if best else 0.6,
                            "validation_accuracy": 0.7 + GAINS[method] / 100,
                            "test_accuracy": 0.7 + GAINS[method] / 100 + seed % 5 / 1000,
                            "test_loss": 0.6 - GAINS[method] / 100 - seed % 5 / 1000,
                            "scaled_loss": 0.5 - GAINS[method] / 100,
                        })  # fmt: skip
    return pandas.DataFrame(rows)


@pytest.fixture
def explorer(table):
    explorer = OpponentsExplorer(table)
    explorer.handle = Handle()
    return explorer


def test_a_move_draws_the_method_minus_each_opponent(explorer):
    explorer.labels.value = 128
    axes = explorer.handle.shown[-1].axes[0]
    names = [text.get_text() for text in axes.get_yticklabels()]
    assert names == list(OPPONENTS)  # the largest gain first
    middles = [line for line in axes.lines if line.get_marker() == "D"]
    assert [line.get_xdata()[0] for line in middles] == pytest.approx([7, 6, 5, 4, 3, 2, 1])
    assert "128 labels, accuracy, joint minus TF-IDF (the strongest" in explorer.status.value
    assert "+1 points [+1, +1]: better" in explorer.status.value


def test_of_a_loss_less_is_better(explorer):
    explorer.measure.value = "loss"
    assert "nats" in explorer.handle.shown[-1].axes[0].get_xlabel()
    assert "-0.01 nats [-0.01, -0.01]: better" in explorer.status.value


def test_what_was_not_run_is_said(explorer):
    explorer.method.value = "alternating"
    before = len(explorer.handle.shown)
    explorer.labels.value = 2048
    assert len(explorer.handle.shown) == before + 1 and is_grey(explorer.handle.shown[-1])
    assert "“alternating” was run with 512 labels" in explorer.status.value
    explorer.labels.value = 512
    assert not is_grey(explorer.handle.shown[-1])


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("method", CHALLENGERS)
def test_every_choice_has_a_figure(explorer, method, measure):
    explorer.method.value, explorer.measure.value = method, measure
    assert explorer.update() is not None


def test_controls_have_labels_and_keys(explorer):
    assert [control.description for control in explorer.controls] == [
        "labels", "method", "measure",
    ]  # fmt: skip
    assert not any(control.disabled for control in explorer.controls)
