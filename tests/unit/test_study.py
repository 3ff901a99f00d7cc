import csv
import itertools

import pytest
import torch
from tiny import tiny_config

from bift_utils.commands.study import __main__ as study_main
from bift_utils.commands.study import comparison as study
from bift_utils.data.texts import LabelledTexts, split_texts
from bift_utils.evaluation.baselines import bag_of_words_probabilities, majority_accuracy
from bift_utils.evaluation.metrics import classification_metrics
from bift_utils.models.checkpoints import save_checkpoint
from bift_utils.models.joint import new_model
from bift_utils.results.files import result_file

SETTINGS = ["--mlm-weights", "0", "0.3", "--seeds", "2", "--epochs", "1", "--batch-size", "16"]
METHODS = [("majority", ""), ("bag of words", ""), ("plain", "0.0"), ("joint", "0.3")]


def make_reviews():
    """Sixty texts in tiny's vocabulary; the last word tells the class, 24 of 60 are positive."""
    words = itertools.product(["the", "a"], ["film", "story", "cast"], ["was", "was not", "and"])
    starts = [" ".join(parts) for parts in itertools.product(map(" ".join, words), ["very", ","])]
    texts = [f"{start} good ." for start in starts[:24]] + [f"{start} dull ." for start in starts]
    return LabelledTexts(texts, [1] * 24 + [0] * 36)


@pytest.fixture(scope="module")
def checkpoint(tokenizer, tmp_path_factory):
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("tiny") / "checkpoint"
    save_checkpoint(new_model(tiny_config(tokenizer)), tokenizer, folder)
    return str(folder)


@pytest.fixture(scope="module", autouse=True)
def few_reviews():
    def load(source):
        assert source == "rotten_tomatoes"
        return make_reviews()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(study, "load_reviews", load)
        yield


def run(path, checkpoint):
    study_main.main([str(path), *SETTINGS, "--checkpoint", checkpoint])


@pytest.fixture(scope="module")
def finished(checkpoint, tmp_path_factory, few_reviews):
    path = tmp_path_factory.mktemp("study") / "new" / "results.csv"
    run(path, checkpoint)
    return path


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def without_seconds(path):
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows(path)]


def test_there_is_one_row_for_each_method_and_seed(finished):
    found = [(row["method"], row["mlm_weight"], row["seed"]) for row in rows(finished)]
    assert found == [(*method, seed) for seed in "01" for method in METHODS]


def test_a_row_of_training_has_every_column(finished, checkpoint):
    trained = [row for row in rows(finished) if row["method"] in ("plain", "joint")]
    for row in trained:
        assert tuple(row) == study.COLUMNS
        assert all(row.values()), row
        assert row["checkpoint"] == checkpoint
        assert (row["train_texts"], row["updates"], row["epochs"]) == ("42", "3", "1")
        assert 1 <= int(row["best_step"]) <= 3
        for part in ("validation", "test"):
            assert 0 <= float(row[f"{part}_accuracy"]) <= 1
            assert 0 < float(row[f"{part}_loss"]) < 10
    assert len({row["test_loss"] for row in trained}) == 4


def test_baselines_are_those_of_the_parts_of_the_seed(finished):
    for row in rows(finished):
        parts = split_texts(make_reviews(), seed=int(row["seed"]))
        train, test = parts["train"], parts["test"]
        if row["method"] == "majority":
            expected = majority_accuracy(train.labels, test.labels)
            assert float(row["test_accuracy"]) == pytest.approx(expected)
        if row["method"] == "bag of words":
            found = bag_of_words_probabilities(train.texts, train.labels, test.texts)
            expected = classification_metrics(found, test.labels)
            assert float(row["test_accuracy"]) == expected["accuracy"] == 1.0  # one word tells
            assert float(row["test_loss"]) == pytest.approx(expected["loss"], abs=1e-5)


def test_the_majority_is_that_of_the_training_part():
    part = LabelledTexts(["good film", "dull film", "good cast"], [1, 0, 1])
    train = LabelledTexts(["good story", "dull story", "dull one"], [1, 0, 0])
    found = study.run_baselines({"train": train, "validation": part, "test": part})
    assert found["majority"]["test_accuracy"] == pytest.approx(1 / 3)


def test_each_run_trains_with_its_weight_and_draws_masks_by_its_seed(
    checkpoint, tmp_path, monkeypatch
):
    weights, masks = [], []
    train = study.train

    def watched(model, loader, config, evaluate):
        weights.append(config.mlm_weight)
        masks.append(loader.collate_fn.masked.generator.initial_seed())
        return train(model, loader, config, evaluate)

    monkeypatch.setattr(study, "train", watched)
    run(tmp_path / "results.csv", checkpoint)
    assert weights == [0.0, 0.3] * 2
    assert masks[0] == masks[1] != masks[2] == masks[3]


def test_the_test_part_is_scored_once_and_does_not_choose_the_weights(
    finished, checkpoint, tmp_path, monkeypatch
):
    sizes = []
    evaluate = study.evaluate_sequence

    def watched(model, batches):
        sizes.append(len(batches))
        return evaluate(model, batches)

    monkeypatch.setattr(study, "evaluate_sequence", watched)
    monkeypatch.setattr(study, "make_loader", tagged(study.make_loader))
    study_main.main([
        str(tmp_path / "one.csv"), "--mlm-weights", "0", "--seeds", "1", "--epochs", "1",
        "--checkpoint", checkpoint,
    ])  # fmt: skip
    assert sizes[-2:] == [1, 2]
    assert set(sizes[:-1]) == {1}


def tagged(make_loader):
    """Give the third loader, that of the test part, two batches, so that it can be told apart."""
    calls = itertools.count(1)

    def make(encoded, collator, batch_size, *args, **options):
        third = next(calls) == 3
        return make_loader(encoded, collator, 5 if third else batch_size, *args, **options)

    return make


def test_a_second_call_adds_nothing(finished, checkpoint, monkeypatch):
    before = finished.read_bytes()
    monkeypatch.setattr(study, "run_joint", None)  # to call it would raise TypeError
    monkeypatch.setattr(study, "run_baselines", None)
    run(finished, checkpoint)
    assert finished.read_bytes() == before


@pytest.mark.parametrize("kept", [1, 4, 8])  # lines of the file, header included
def test_a_killed_study_is_completed_with_the_same_numbers(finished, checkpoint, tmp_path, kept):
    path = tmp_path / "killed.csv"
    lines = finished.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:kept]))
    run(path, checkpoint)
    assert without_seconds(path) == without_seconds(finished)


def test_a_new_weight_is_added_to_what_is_there(finished, checkpoint, tmp_path):
    path = tmp_path / "more.csv"
    path.write_bytes(finished.read_bytes())
    study_main.main([str(path), *SETTINGS, "--checkpoint", checkpoint, "--mlm-weights", "0", "0.5"])
    added = without_seconds(path)[8:]
    assert [(row["method"], row["mlm_weight"], row["seed"]) for row in added] == [
        ("joint", "0.5", "0"), ("joint", "0.5", "1"),
    ]  # fmt: skip
    assert without_seconds(path)[:8] == without_seconds(finished)


def copy_of(finished, tmp_path, text=None):
    path = tmp_path / "copy.csv"
    path.write_text(finished.read_text() if text is None else text)
    return path


def test_an_interrupted_training_leaves_no_row(checkpoint, few_reviews, tmp_path, monkeypatch):
    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("bift_utils.training.loop.update", interrupt)
    path = tmp_path / "results.csv"
    with pytest.raises(KeyboardInterrupt):
        run(path, checkpoint)
    assert [row["method"] for row in rows(path)] == ["majority", "bag of words"]


def test_a_study_killed_between_the_baselines_gets_the_second_one(
    finished, checkpoint, few_reviews, tmp_path
):
    lines = finished.read_text().splitlines(keepends=True)
    kept = [line for line in lines if not line.startswith("bag of words,,0")]
    assert len(kept) == len(lines) - 1
    path = copy_of(finished, tmp_path, "".join(kept))
    run(path, checkpoint)
    key = lambda row: (row["seed"], row["method"], row["mlm_weight"])  # noqa: E731
    assert sorted(without_seconds(path), key=key) == sorted(without_seconds(finished), key=key)


@pytest.mark.parametrize("lost", [60, 3])  # several columns, or a part of the last one
def test_a_row_cut_in_the_middle_is_run_again(lost, finished, checkpoint, few_reviews, tmp_path):
    path = copy_of(finished, tmp_path, finished.read_text()[:-lost])
    run(path, checkpoint)
    assert without_seconds(path) == without_seconds(finished)


def test_other_options_are_not_taken_for_the_same_run(finished, checkpoint, few_reviews, tmp_path):
    path = copy_of(finished, tmp_path)
    study_main.main([str(path), *SETTINGS, "--checkpoint", checkpoint, "--pooling", "cls"])
    trained = [row for row in rows(path) if row["method"] in ("plain", "joint")]
    assert len(trained) == 2 * sum(row["method"] in ("plain", "joint") for row in rows(finished))


def test_the_shipped_results_come_from_finished_runs():
    with result_file("joint_rotten_tomatoes.csv").open(newline="") as file:
        shipped = list(csv.DictReader(file))
    seeds = {}
    for row in shipped:
        assert row["test_accuracy"] and row["device"] and row["torch"]
        seeds.setdefault(row["method"], set()).add(row["seed"])
        if row["method"] in ("plain", "joint"):
            assert all(row.values()), row
    assert set(seeds) == {"majority", "bag of words", "plain", "joint"}
    assert all(found == set("01234") for found in seeds.values())
