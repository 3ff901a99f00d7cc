import csv
import itertools
import math

import pandas
import pytest
import torch
from tiny import make_reviews, tiny_config

from bift_utils import data
from bift_utils.commands.study import __main__ as study
from bift_utils.commands.study import label_runs
from bift_utils.commands.study import labels as study_module
from bift_utils.commands.study.label_runs import LabelledAndText, Material, loader_flops
from bift_utils.commands.study.labels import method_cells
from bift_utils.data import corpus
from bift_utils.data.batches import EncodedTexts, encode_texts
from bift_utils.evaluation.flops import FlopMeter
from bift_utils.models.checkpoints import save_checkpoint
from bift_utils.models.joint import new_model
from bift_utils.results import labels as label_results
from bift_utils.results.labels import (
    axis_size,
    choose_weight,
    stored_scores,
)
from bift_utils.results.methods import draw_labelled
from bift_utils.results.scores import pack_scores, unpack_scores
from bift_utils.training.history import History
from bift_utils.training.loop import train
from bift_utils.training.options import TrainingConfig


@pytest.fixture(scope="module")
def few(tokenizer, tmp_path_factory):
    """The study on tiny texts and a tiny model: its rows, each with the scores stored beside."""
    folder = tmp_path_factory.mktemp("labels")
    torch.manual_seed(0)
    save_checkpoint(new_model(tiny_config(tokenizer)), tokenizer, folder / "tiny")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(study_module, "load_reviews", make_reviews)
        patch.setattr(corpus, "load_reviews", make_reviews)
        for module in (study_module, label_results):
            patch.setattr(module, "AXIS_SIZES", (16,))
            patch.setattr(module, "AXIS_SEEDS", (0,))
            patch.setattr(module, "WEIGHTS", (0.0, 0.3, 0.9))
        patch.setattr(study_module, "UPDATES", {16: 3, 32: 6})
        patch.setattr(study_module, "SIZES", (16, 32))
        patch.setattr(study, "SIZES", (16, 32))
        arguments = ["labels", str(folder / "rows.csv"), "--seeds", "2"]
        study.main([*arguments, "--checkpoint", str(folder / "tiny")])
        written = (folder / "rows.csv").read_text(encoding="utf-8")
        study.main([*arguments, "--checkpoint", str(folder / "tiny")])
        assert (folder / "rows.csv").read_text(encoding="utf-8") == written  # nothing run twice
        more = ["--first-seed", "2", "--seeds", "1", "--sizes", "32", "--methods", "plain", "joint"]
        study.main([*arguments[:2], *more, "--checkpoint", str(folder / "tiny")])
        half = ["--seeds", "1", "--sizes", "32", "--methods", "plain", "--half-rate"]
        study.main([*arguments[:2], *half, "--checkpoint", str(folder / "tiny")])
        added = (folder / "rows.csv").read_text(encoding="utf-8").removeprefix(written)
    assert [line.split(",")[:5] for line in added.splitlines()] == [
        ["plain", "32", "2", "0.0", "0.0003"], ["joint", "32", "2", "0.3", "0.0003"],
        ["plain", "32", "0", "0.0", "0.00015"],
    ]  # fmt: skip
    rows = list(csv.DictReader(written.splitlines()))
    scores = stored_scores(pandas.DataFrame(rows), path=folder / "rows.npz")
    return [{**row, "test_scores": answers} for row, answers in zip(rows, scores, strict=True)]


def pick(rows, **wanted):
    return [row for row in rows if all(row[key] == str(value) for key, value in wanted.items())]


def test_every_method_size_and_seed_has_one_row(few):
    for labels, seed in itertools.product((16, 32), (0, 1)):
        for method in study_module.METHODS:
            rows = pick(few, labels=labels, seed=seed, method=method, learning_rate=0.0003)
            on_axis = labels == 16 and seed == 0 and method == "joint"
            assert len(rows) == 1 + on_axis, (method, labels, seed)  # λ = 0.3 and λ = 0.9


def test_budgets_are_as_announced(few):
    for row in pick(few, labels=32):
        assert (row["train_texts"], row["validation_texts"]) == ("24", "8")
    plain, joint, tapt, alternating, finish = (
        pick(few, labels=32, seed=0, method=method)[0]
        for method in ("plain", "joint", "TAPT", "alternating", "joint, task-only finish")
    )
    for row in (plain, joint, tapt, alternating, finish):
        assert row["task_updates"] == "6"
    updates = [row["mlm_updates"] for row in (plain, joint, tapt, alternating, finish)]
    assert updates == ["0", "6", "6", "6", "4"]
    same = pick(few, labels=32, seed=0, method="plain, same FLOPs")[0]
    assert int(same["task_updates"]) > 6
    ratio = int(same["flops"]) / int(joint["flops"])
    assert 0.7 < ratio < 1.4  # a whole number of updates in three passes
    assert int(alternating["flops"]) <= int(joint["flops"])  # less padding in two batches
    assert int(finish["flops"]) < int(joint["flops"])


def test_methods_share_what_they_should(few):
    one, other = (pick(few, method="plain", labels=16, seed=seed)[0] for seed in (0, 1))
    assert not torch.equal(one["test_scores"], other["test_scores"])
    for row in few:
        right = (row["test_scores"] > 0.5).long().tolist()
        labels = study_module.split_texts(make_reviews(), seed=0)["test"].labels
        share = sum(a == b for a, b in zip(right, labels, strict=True)) / len(labels)
        assert share == pytest.approx(float(row["test_accuracy"]), abs=1e-5)


def test_the_stored_scores_come_back():
    p = torch.tensor([0.003, 0.2, 0.5, 0.9, 0.99])
    back = unpack_scores(pack_scores(torch.stack([1 - p, p], 1)))
    assert torch.allclose(back, p.double(), atol=0.007)
    assert ((back > 0.5) == (p > 0.5)).all()  # a tie stays class 0
    sure = unpack_scores(pack_scores(torch.tensor([[1.0, 0.0], [0.0, 1.0]])))
    assert sure[0] < 0.002 and sure[1] > 0.998


def test_lambda_is_chosen_on_validation_at_the_nearer_size():
    columns = ("method", "labels", "learning_rate", "mlm_weight", "validation_loss", "seed")
    table = pandas.DataFrame(
        [
            ("plain", 128, 3e-4, 0.0, 0.1, 0),
            ("joint", 128, 3e-4, 0.1, 0.6, 0),
            ("joint", 128, 3e-4, 0.1, 0.8, 0),
            ("joint", 128, 3e-4, 0.5, 0.65, 0),
            ("joint", 128, 3e-4, 0.5, 0.65, 0),
            ("joint", 128, 1.5e-4, 0.9, 0.2, 0),
            ("joint", 2048, 3e-4, 0.1, 0.4, 0),
            ("joint", 2048, 3e-4, 0.5, 0.5, 0),
            ("joint", 128, 3e-4, 0.1, 0.0, 9),  # a later seed does not count
        ],
        columns=columns,
    )
    assert choose_weight(table, 32) == choose_weight(table, 512 - 1) == 0.5
    assert choose_weight(table, 7250) == 0.1
    with pytest.raises(ValueError, match="There are no joint runs with 2048 labels"):
        choose_weight(table[table["labels"] == 128], 2048)
    assert [axis_size(n) for n in (32, 128, 512, 2048, 7250)] == [128, 128, 128, 2048, 2048]


def test_labelled_sets_are_nested_and_balanced():
    pool = make_reviews()
    small, large = (draw_labelled(pool.labels, n, seed=5) for n in (16, 64))
    assert large[:16] == small and len(set(large)) == 64
    assert sum(pool.labels[i] for i in small) == 8
    assert sorted(draw_labelled(pool.labels, 1000, seed=5)) == list(range(len(pool)))
    assert draw_labelled(pool.labels, 16, seed=6) != small


def test_a_plan_names_its_lambda_only_where_it_counts():
    cells = list(method_cells(range(1), [512], 0.1))
    assert {c["method"]: c["mlm_weight"] for c in cells} == {
        "plain": 0.0, "plain, same FLOPs": 0.0, "TAPT": 0.0, "joint": 0.1,
        "joint, task-only finish": 0.1, "alternating": 0.1, "NBSVM": 0.0,
    }  # fmt: skip


@pytest.fixture
def loader_of(tokenizer):
    pool = make_reviews()
    text = encode_texts(tokenizer, pool.texts, pool.labels)
    labelled = encode_texts(tokenizer, pool.texts[:9] + pool.texts[-9:], [1] * 9 + [0] * 9)
    return lambda updates=5, seed=0: LabelledAndText(
        labelled, text, tokenizer, updates, batch_size=8, seed=seed, window=3
    )


def test_a_batch_holds_labelled_rows_and_other_text(loader_of):
    batches = list(loader_of())
    assert len(batches) == 5
    for batch in batches:
        clean = batch["labels"] >= 0
        assert (batch["mlm_labels"][clean] == -100).all()
        assert not (batch["input_ids"][clean] == 4).any()  # no [MASK]
        assert int((~clean).sum()) in (8, 144 % 8 or 8)


def test_the_cost_announced_is_the_cost_paid(loader_of, tokenizer):
    for weight in (0.0, 0.5):
        model = new_model(tiny_config(tokenizer))
        with FlopMeter(model) as meter:
            train(model, loader_of(), TrainingConfig(mlm_weight=weight, epochs=1))
        announced = loader_flops(model.config, loader_of(), 1, text=weight > 0)
        assert announced == pytest.approx(meter.flops, rel=0.1 if weight else 1e-9)


def test_the_transfer_reviews_have_both_classes_and_were_never_read():
    reviews = data.held_out_reviews(200)
    assert 60 < sum(reviews.labels) < 140
    known, _ = corpus.split_reviews(corpus.load_reviews("imdb").texts)
    assert not set(reviews.texts) & set(known)


def material(tokenizer):
    pool = make_reviews()
    part = pool.take(range(0, len(pool), 9))  # some of each length
    both = part, encode_texts(tokenizer, part.texts, part.labels)
    return Material(both, both, both, both, both[1])


def test_answers_come_back_in_the_order_of_the_texts(tokenizer, tiny_model):
    encoded = material(tokenizer).train[1]
    together = label_runs.neural_probabilities(tiny_model, tokenizer, encoded)
    for i, ids in enumerate(encoded.input_ids):
        one = EncodedTexts([ids], [encoded.labels[i]])
        alone = label_runs.neural_probabilities(tiny_model, tokenizer, one)
        torch.testing.assert_close(together[i : i + 1], alone)


def test_the_loss_that_chooses_is_that_of_the_weights_kept(tokenizer, tiny_model, monkeypatch):
    losses = [{"step": i + 1, "loss": loss} for i, loss in enumerate((0.9, 0.4, 0.7))]
    monkeypatch.setattr(label_runs, "train", lambda *_: History([], losses, best_step=2))
    options = {"method": "joint", "mlm_weight": 0.1, "updates": 3, "learning_rate": 3e-4,
               "precision": "fp32"}  # fmt: skip
    found = label_runs.train_method(tiny_model, tokenizer, material(tokenizer), options, seed=0)
    assert (found["validation_loss"], found["best_update"]) == (0.4, 2)


def test_validation_chooses_the_strength_of_counted_words(tokenizer, monkeypatch):
    def certain(known, labels, asked, strength):
        sure = {0.1: 0.6, 1.0: 0.9, 10.0: 0.7}[strength]
        right = torch.tensor([sure if "good" in text else 1 - sure for text in asked])
        return torch.stack([1 - right, right], 1)

    monkeypatch.setattr(label_runs, "nbsvm_probabilities", certain)
    chosen, found = label_runs.counted_words(material(tokenizer))
    assert chosen["strength"] == 1.0
    assert chosen["validation_loss"] == pytest.approx(-math.log(0.9), abs=1e-6)
    assert float(found["test"].max()) == pytest.approx(0.9)
