import csv

import pytest
import torch

from bift_utils.commands.study import __main__ as study
from bift_utils.commands.study import exact as exact_grid
from bift_utils.commands.study.exact import plan_exact, run_exact_cell
from bift_utils.languages.experiment import draw_test, draw_training, hide, make_language
from bift_utils.runtime import make_generator
from bift_utils.training.history import History

CELL = {"seed": 0, "mlm_weight": 0.5, "labelled": 32, "unlabelled": 64, "width": 8, "updates": 6,
        "learning_rate": 1e-3}  # fmt: skip


@pytest.fixture(scope="module")
def language():
    return make_language()


@pytest.fixture(scope="module")
def test(language):
    return draw_test(language, 60)


def test_the_reference_is_exact_and_never_reached(language, test):
    assert test.token_posterior.shape == (int(test.blanks.sum()), 12)
    exact = language.cavity_posterior(test.corrupted)[test.blanks]
    assert torch.equal(exact, test.token_posterior)
    found = run_exact_cell(language, test, CELL, evaluations=2)
    assert found["label_kl"] > 0 and found["token_kl"] > 0
    assert found["loss"] == pytest.approx(test.label_entropy + found["label_kl"], abs=2e-6)
    assert found["accuracy"] < test.best_accuracy
    assert (
        found["best_update"] in (3, 6)
        and 6 * 32 * 12 < found["tokens"] <= 6 * 64 * 12
        and found["flops"] > 0
    )


def test_what_is_visible_is_true(language):
    tokens = language.sample(200, 12, make_generator(0)).tokens
    corrupted, answers = hide(tokens, make_generator(1))
    hidden = corrupted == language.mask_token_id
    assert torch.equal(answers != -100, hidden) and torch.equal(corrupted[~hidden], tokens[~hidden])
    assert 0.2 < hidden.double().mean() < 0.3


def test_sets_are_nested_apart_and_of_the_right_size(language):
    training, validation, text = draw_training(language, 32, 64, seed=3)
    assert (len(training.tokens), len(validation.tokens), len(text)) == (24, 8, 88)
    assert torch.equal(text[:24], training.tokens)
    larger, _, more = draw_training(language, 256, 128, seed=3)
    assert torch.equal(more[192:256], text[24:])  # the smaller amount of text comes first
    everything = torch.cat([validation.tokens, training.tokens])
    both = draw_training(language, 256, 0, seed=3)
    assert torch.equal(torch.cat([both[1].tokens, both[0].tokens])[:32], everything)
    assert not torch.equal(draw_training(language, 32, 0, seed=4)[2], text[:24])
    assert len(larger.tokens) == 192


def test_text_without_labels_changes_nothing_at_weight_zero(language, test):
    cells = [{**CELL, "mlm_weight": 0.0, "unlabelled": m} for m in (0, 64)]
    one, other = (run_exact_cell(language, test, cell, evaluations=2) for cell in cells)
    assert {**one, "seconds": 0} == {**other, "seconds": 0}


def test_at_weight_one_the_last_weights_are_kept(language, test):
    found = run_exact_cell(language, test, {**CELL, "mlm_weight": 1.0}, evaluations=3)
    assert found["best_update"] == 6 and found["token_kl"] == found["last_token_kl"]


def test_the_plan_holds_every_cell_once():
    cells = [tuple(cell.values()) for cell in plan_exact(range(5))]
    assert len(cells) == len(set(cells)) == 5 * 2 * 3 * (3 * 6 + 1)
    assert {cell[1] for cell in cells} == {0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0}


def test_the_command_writes_rows_and_goes_on(tmp_path, monkeypatch):
    few = [{k: v for k, v in CELL.items() if k not in ("updates", "learning_rate")}]
    few.append({**few[0], "mlm_weight": 0.0})
    monkeypatch.setattr(exact_grid, "plan_exact", lambda seeds, widths: iter(few))
    path = tmp_path / "new" / "exact.csv"
    arguments = ["exact", str(path), "--seeds", "1", "--updates", "4", "--widths", "8"]
    study.main(arguments)
    written = path.read_text(encoding="utf-8")
    rows = list(csv.DictReader(written.splitlines()))
    assert [row["mlm_weight"] for row in rows] == ["0.5", "0.0"]
    assert all(row[column] for row in rows for column in exact_grid.COLUMNS)
    study.main(arguments)
    assert path.read_text(encoding="utf-8") == written


def test_each_brake_acts_and_weak_ones_change_nothing(language, test):
    plain = {**CELL, "mlm_weight": 0.0}
    found = {
        name: run_exact_cell(language, test, {**plain, **brake})["last_loss"]
        for name, brake in {
            "none": {}, "weak": {"dropout": 0.0, "weight_decay": 0.01, "looks": 10},
            "dropout": {"dropout": 0.3}, "decay": {"weight_decay": 10.0},
        }.items()
    }  # fmt: skip
    assert found["weak"] == found["none"]
    assert len({found["none"], found["dropout"], found["decay"]}) == 3


def test_the_command_runs_brakes_into_a_table_of_their_own(tmp_path, monkeypatch):
    plan = [{**cell, "width": 8} for cell in list(exact_grid.plan_brakes(range(1)))[:2]]
    monkeypatch.setattr(exact_grid, "plan_brakes", lambda seeds: iter(plan))
    study.main(["exact", str(tmp_path / "brakes.csv"), "--brakes", "--updates", "4"])
    rows = list(csv.DictReader((tmp_path / "brakes.csv").read_text(encoding="utf-8").splitlines()))
    assert [(row["mlm_weight"], row["dropout"]) for row in rows] == [("0.0", "0.0"), ("0.1", "0.0")]
    assert {row["looks"] for row in rows} == {"60"} and all(row["label_kl"] for row in rows)


def test_an_interrupt_leaves_no_row(language, test, monkeypatch):
    stopped = History(stopped="stopped by hand")
    monkeypatch.setattr(exact_grid, "train", lambda *_: stopped)
    with pytest.raises(KeyboardInterrupt):
        run_exact_cell(language, test, CELL)
