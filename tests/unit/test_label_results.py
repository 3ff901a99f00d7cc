"""Reading the label study: rows by method and seed, pairs, right answers, and what is shipped."""

import numpy
import pandas
import pytest
import torch

from bift_utils import data
from bift_utils.commands.study import labels as made_by
from bift_utils.data.texts import load_reviews
from bift_utils.evaluation.intervals import seed_interval
from bift_utils.results import labels as read_by
from bift_utils.results.files import result_file
from bift_utils.results.labels import (
    SAME_FLOPS,
    answers,
    chosen_weights,
    correct,
    load_labels,
    method_differences,
    run_name,
    runs,
    sizes,
    weight_axis,
)
from bift_utils.results.scores import pack_scores, store_scores

SHIPPED = load_labels()


def row(method, seed, value, labels=128, weight=0.0, rate=3e-4, validation=0.5):
    return {
        "method": method, "labels": labels, "seed": seed, "mlm_weight": weight,
        "learning_rate": rate, "validation_loss": validation, "x": value,
    }  # fmt: skip


TABLE = pandas.DataFrame(
    [
        row("plain", 1, 2.0),
        row("plain", 0, 1.0),
        row("plain", 7, 9.0),
        row("joint", 0, 3.0, weight=0.1, validation=0.7),
        row("joint", 1, 5.0, weight=0.1, validation=0.7),
        row("joint", 0, 1.5, weight=0.5, validation=0.6),
        row("joint", 1, 2.5, weight=0.5, validation=0.6),
        row("joint", 0, 8.0, weight=0.5, rate=1.5e-4),
    ]
)


def test_runs_come_by_seed_with_the_weight_that_validation_chose():
    assert runs(TABLE, "plain", 128)["x"].tolist() == [1.0, 2.0, 9.0]
    assert runs(TABLE, "joint", 128)["x"].tolist() == [1.5, 2.5]
    assert runs(TABLE, "joint", 128, weight=0.1)["x"].tolist() == [3.0, 5.0]
    assert runs(TABLE, "joint", 128, rate=1.5e-4)["x"].tolist() == [8.0]
    with pytest.raises(ValueError, match="no run of 'TAPT' with 128 labels"):
        runs(TABLE, "TAPT", 128)


def test_pairs_are_of_one_seed_and_scaled():
    assert method_differences(TABLE, 128, "joint", "x", "plain") == [0.5, 0.5]
    assert method_differences(TABLE, 128, "joint", "x", "plain", factor=100) == [50.0, 50.0]
    with pytest.raises(ValueError, match="Without pairs"):
        method_differences(TABLE[TABLE["seed"] != 1], 128, "joint", "x", "plain")


def test_right_answers_are_read_from_the_scores(tmp_path, monkeypatch):
    path = tmp_path / "scores.npz"
    monkeypatch.setattr(read_by, "result_file", lambda name: path)
    table = TABLE.assign(checkpoint="bift-mini", precision="fp32")
    chosen = runs(table, "joint", 128)
    p = torch.tensor([[0.1, 0.2, 0.8, 0.3], [0.9, 0.2, 0.5, 0.7]])
    for row, q in zip(chosen.reset_index()[::-1].to_dict("records"), p, strict=True):
        store_scores(path, run_name(row), {"test": pack_scores(torch.stack([1 - q, q], 1))})
    right = correct(chosen, torch.tensor([1, 0, 0, 0]))
    assert right.tolist() == [[1, 1, 1, 0], [0, 1, 0, 1]]  # a tie counts as class 0
    again = {"test": pack_scores(torch.stack([p[0], 1 - p[0]], 1))}
    store_scores(path, run_name(chosen.reset_index().loc[0]), again)  # in place of the first ones
    assert correct(chosen, torch.tensor([1, 0, 0, 0])).tolist() == [[1, 0, 1, 0], [0, 1, 0, 1]]
    assert [file.name for file in tmp_path.iterdir()] == ["scores.npz"]
    with pytest.raises(ValueError, match="no stored scores of the run 'plain, 128, 0, "):
        correct(runs(table, "plain", 128), torch.tensor([1, 0, 0, 0]))


def test_every_shipped_run_has_its_scores_and_no_other():
    with numpy.load(result_file("label_efficiency.npz"), allow_pickle=False) as stored:
        names = sorted(map(run_name, SHIPPED.to_dict("records")))
        assert sorted(stored["run"].tolist()) == names
        assert {stored[part].dtype for part in ("test", "transfer")} == {numpy.dtype("uint8")}


def test_the_shipped_study_is_one_run_a_row_and_all_it_says_is_there():
    assert tuple(SHIPPED.columns) == made_by.COLUMNS
    assert not SHIPPED.duplicated(list(made_by.KEY)).any()
    assert len(SHIPPED["precision"].unique()) == len(SHIPPED["checkpoint"].unique()) == 1
    assert set(SHIPPED["method"]) == set(made_by.METHODS) and sizes(SHIPPED) == list(made_by.SIZES)
    for n in sizes(SHIPPED):
        seeds = {method: list(runs(SHIPPED, method, n).index) for method in made_by.METHODS}
        assert all(found == list(range(len(found))) for found in seeds.values()), (n, seeds)
        assert all(len(found) >= 10 for found in seeds.values()), (n, seeds)
        more = {method for method, found in seeds.items() if len(found) > 10}
        assert more == ({"plain", "joint", SAME_FLOPS} if n in (512, 2048) else set()), n
        assert len({len(seeds[method]) for method in more}) <= 1  # whole seeds


@pytest.mark.parametrize("labels", [512, 2048, made_by.ALL])
def test_the_main_comparison_is_narrow_enough(labels):
    points = method_differences(SHIPPED, labels, "joint", "test_accuracy", "plain", factor=100)
    _, low, high = seed_interval(points)
    assert (high - low) / 2 <= 1.5


def test_half_the_rate_has_the_first_seeds():
    half = SHIPPED[SHIPPED["learning_rate"] == made_by.RATE / 2]
    found = {n: half[half["labels"] == n] for n in (128, 512, 2048)}
    for n, joint, plain in ((128, 5, 5), (512, 10, 34), (2048, 5, 5)):
        for method, count in (("joint", joint), ("plain", plain)):
            seeds = runs(SHIPPED, method, n, rate=made_by.RATE / 2).index
            assert list(seeds) == list(range(count))
    assert sum(map(len, found.values())) == len(half) == 64


def test_the_shipped_axis_has_every_weight_with_five_seeds():
    for n in made_by.AXIS_SIZES:
        axis = weight_axis(SHIPPED, n, "validation_loss")
        assert list(axis.columns) == list(made_by.WEIGHTS)
        assert list(axis.index) == list(made_by.AXIS_SEEDS)
        best = axis.drop(columns=0.0).mean().idxmin()
        assert chosen_weights(SHIPPED)[n] == best


def test_what_a_run_read_fits_its_size():
    n = SHIPPED["labels"]
    assert (SHIPPED["train_texts"] + SHIPPED["validation_texts"] == n).all()
    assert (SHIPPED["validation_texts"] <= made_by.MOST_VALIDATION).all()
    neural = SHIPPED[(SHIPPED["method"] != "NBSVM") & (SHIPPED["method"] != SAME_FLOPS)]
    assert (neural["task_updates"] == neural["labels"].map(made_by.UPDATES)).all()


def test_shipped_scores_give_the_shipped_accuracies():
    classes = {part: answers(part) for part in ("test", "transfer")}
    for part, truth in classes.items():
        measured = correct(SHIPPED, truth, part).mean(1)
        written = torch.tensor(SHIPPED[f"{part}_accuracy"].tolist(), dtype=torch.float64)
        assert torch.allclose(measured, written, atol=1e-5), part


def test_long_reviews_are_not_in_the_training_text():
    from bift_utils.data.corpus import split_reviews

    read, _ = split_reviews(load_reviews("imdb").texts)
    assert not set(data.held_out_reviews().texts) & set(read)
