"""The pooling study: a row a run, resumable, and the committed results it made."""

import csv

import pandas
import pytest

from bift_utils.commands.study import __main__ as study
from bift_utils.commands.study import pooling as pooling_study
from bift_utils.data.texts import load_reviews, split_texts
from bift_utils.results.files import result_file


@pytest.fixture
def quick(monkeypatch):
    """Replace the training by a count of the calls."""
    calls = []

    def train_pooling(tokenizer, few, test, pooling, seed, epochs):
        calls.append((pooling, seed, few.texts, len(test)))
        return {"accuracy": 0.5, "loss": 0.7}

    monkeypatch.setattr(pooling_study, "train_pooling", train_pooling)
    return calls


def test_rows_and_resuming(quick, tmp_path):
    output = tmp_path / "study.csv"
    pooling_study.run_pooling(output, sets=1, size=8, test_size=4)
    assert [call[:2] for call in quick] == [("cls", 0), ("mean", 0), ("pooler", 0)]
    pooling_study.run_pooling(output, sets=2, size=8, test_size=4)
    assert [call[:2] for call in quick[3:]] == [("cls", 1), ("mean", 1), ("pooler", 1)]
    with output.open() as file:
        rows = list(csv.DictReader(file))
    assert [row["set"] for row in rows] == list("000111")
    assert {row["test_accuracy"] for row in rows} == {"0.5"}


def test_the_training_sets_are_disjoint_and_not_the_test_part(quick, tmp_path):
    study.main(["pooling", str(tmp_path / "study.csv"), "--sets", "5"])
    sets = [set(call[2]) for call in quick if call[0] == "cls"]
    assert len(sets) == 5 and len(set().union(*sets)) == 5 * 768
    test = split_texts(load_reviews("rotten_tomatoes"), seed=0)["test"]
    assert not set().union(*sets) & set(test.texts)


def test_one_small_run(tokenizer, tmp_path):
    output = tmp_path / "study.csv"
    pooling_study.run_pooling(output, sets=1, size=32, test_size=16, epochs=1)
    rows = pandas.read_csv(output)
    assert len(rows) == 3 and rows["test_accuracy"].between(0, 1).all()
    assert (rows["test_loss"] > 0).all()


def test_committed_results_are_complete():
    table = pandas.read_csv(result_file("pooling_rotten_tomatoes.csv"))
    assert list(table.columns) == list(pooling_study.COLUMNS)
    assert len(table) == 15 and not table.duplicated(["pooling", "set"]).any()
    assert set(table["train_texts"]) == {768} and set(table["test_texts"]) == {1000}


def test_the_test_texts_are_scored(monkeypatch, tokenizer):
    scored = []
    monkeypatch.setattr(pooling_study, "train", lambda *_: None)
    monkeypatch.setattr(
        pooling_study, "evaluate_sequence", lambda model, loader: scored.append(loader.dataset)
    )
    reviews = load_reviews("rotten_tomatoes")
    few, test = reviews.take(range(8)), reviews.take(range(8, 13))
    pooling_study.train_pooling(tokenizer, few, test, "cls", seed=0, epochs=1)
    (part,) = scored
    assert part.labels == test.labels and len(part) == 5
