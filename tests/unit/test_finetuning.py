"""`finetune` in one call: what it says, saves and measures, and what each option does."""

import json
import subprocess
import sys

import pytest
import torch
from own_tables import films, save_tiny_checkpoint, write_table
from safetensors.torch import load_file
from test_exporting import outside

from bift_utils.data.tables import read_table
from bift_utils.data.texts import split_texts
from bift_utils.evaluation.ask import fill_blank
from bift_utils.finetune import run as finetuning
from bift_utils.finetune import steps
from bift_utils.finetune.output import MARK
from bift_utils.finetune.run import finetune
from bift_utils.models.checkpoints import load_model, load_tokenizer
from bift_utils.models.joint import BertForJointTraining

FAST = {"epochs": 8, "learning_rate": 5e-3, "batch_size": 16, "mlm_weight": 0.3}
LONELY = [("the warm cast and the funny film", ""), ("a dull story and a dull film .", "")] * 3


@pytest.fixture(scope="module")
def checkpoint(tokenizer, tmp_path_factory):
    return save_tiny_checkpoint(tmp_path_factory.mktemp("tiny"), tokenizer)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return write_table(tmp_path_factory.mktemp("own") / "own.csv", [*films(160), *LONELY])


@pytest.fixture(scope="module")
def run(table, checkpoint):
    """Fine-tune once with λ = 0.3: the folder, the report, and what was said."""
    said, output = [], table.parent / "model"
    report = finetune(table, output, say=said.append, model=checkpoint, **FAST)
    return output, report, said


def test_everything_is_said_in_order(run):
    output, report, said = run
    beginnings = [
        "Texts with a class: 160 (109 train, 26 validation, 25 test); without: 6.",
        "bad ", "good ", "Lengths: ", "Cut at 32 tokens: 0", "Unknown to the tokenizer", "Copies",
        "Not in the checkpoint, created anew: classifier, pooler.",
        "Training: 8 epochs of 8 updates, λ = 0.3, learning rate 0.005, fp32, 1 process.",
        f"Saved in {output}: the model, report.md, history.png.",
        "25 test texts: accuracy ", "Blanks in validation texts: ", *report["verdict"],
    ]  # fmt: skip
    assert report["verdict"][-1] == report["take"]
    assert len(said) == len(beginnings)
    assert all(line.startswith(start) for line, start in zip(said, beginnings, strict=True)), said
    assert report["data"] == said[:7]


def test_it_learns_both_objectives(run):
    _, report, _ = run
    assert report["test"]["accuracy"] > report["baselines"]["commonest class"] + 0.2
    assert report["mlm"]["test, after"] < report["mlm"]["validation, before training"] - 0.5
    assert len(report["history"]["steps"]) == 64
    assert len(report["history"]["evaluations"]) == 16


def test_what_was_measured_on_the_way_is_what_the_report_measures(run):
    _, report, _ = run
    history = report["history"]
    best = next(row for row in history["evaluations"] if row["step"] == history["best_step"])
    for name in ("accuracy", "macro_f1", "loss"):
        assert best[name] == pytest.approx(report["validation"][name], rel=1e-5), name
    assert best["mlm_loss"] == pytest.approx(report["mlm"]["validation, after"], rel=1e-5)


def test_the_folder_holds_all_and_nothing_lies_beside_it(run):
    output, report, _ = run
    assert sorted(path.name for path in output.iterdir()) == [
        "config.json", MARK, "history.png", "model.safetensors", "report.md", "tokenizer.json",
        "tokenizer_config.json",
    ]  # fmt: skip
    assert not [path for path in output.parent.iterdir() if path.name not in ("own.csv", "model")]
    assert json.loads((output / MARK).read_text(encoding="utf-8")) == report
    text = (output / "report.md").read_text("utf-8")
    assert f"| {report['test']['texts']} test |" in text
    for line in ("table = own.csv", "batch_size = 16", "seed = 0", "max_length = 32", "torch "):
        assert f"\n{line}" in text, line
    assert "\nIt took " in text


def test_plain_pipelines_on_another_machine_score_what_the_report_says(run, table):
    output, report, _ = run
    test = split_texts(read_table(table).labelled)["test"]
    found = outside(output, test.texts)
    assert found["kinds"] == ["BertForSequenceClassification", "BertForMaskedLM"]
    assert found["dtypes"] == ["torch.float32"] * 2 and found["tied"]
    right = [
        max(row, key=row.get) == ("bad", "good")[label]
        for row, label in zip(found["classes"], test.labels, strict=True)
    ]
    assert sum(right) / len(right) == report["test"]["accuracy"]


def test_the_test_texts_are_read_once(table, checkpoint, tmp_path, monkeypatch):
    made, seen = [], []
    original = BertForJointTraining.forward

    def forward(self, input_ids, *rest, **options):
        seen.append(input_ids)
        return original(self, input_ids, *rest, **options)

    class Remembered(finetuning.FinetuneRun):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            made.append(self)

    monkeypatch.setattr(BertForJointTraining, "forward", forward)
    monkeypatch.setattr(finetuning, "FinetuneRun", Remembered)
    finetune(table, tmp_path / "model", say=[].append, model=checkpoint, **{**FAST, "epochs": 2})

    def count(part, kind):
        (batch,) = made[0].batches[part][kind]
        return sum(torch.equal(batch["input_ids"], ids.cpu()) for ids in seen)

    assert (count("test", "task"), count("test", "mlm")) == (1, 1)
    assert count("validation", "task") == 1 + 4 + 1  # before, at evaluations, in the report


def test_texts_without_a_class_are_trained_on_as_blanks(table, checkpoint, tmp_path):
    """The word "and" stands in no other text."""
    chance = {}
    for name, rows in {"with": [*films(160), *LONELY * 20], "without": films(160)}.items():
        own = write_table(tmp_path / f"{name}.csv", rows)
        finetune(own, tmp_path / name, say=[].append, model=checkpoint, **FAST)
        model, tokenizer = load_model(tmp_path / name), load_tokenizer(tmp_path / name)
        words = fill_blank(model, tokenizer, "the warm cast [MASK] the funny film", top=21)
        chance[name] = words["and"]
    assert chance["with"] > 0.08 > 10 * chance["without"], chance


@pytest.mark.parametrize("weight, kind", [(0.0, "task"), (1.0, "mlm")])
def test_at_the_ends_one_objective_is_trained_alone(table, checkpoint, tmp_path, weight, kind):
    said = []
    options = {**FAST, "epochs": 2, "mlm_weight": weight}
    if kind == "mlm":
        options["label"] = "no such column"  # none is read
    report = finetune(table, tmp_path / "model", say=said.append, model=checkpoint, **options)
    assert {step["objective"] for step in report["history"]["steps"]} == {kind}
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    weights = load_file(tmp_path / "model" / "model.safetensors")
    if kind == "task":
        assert "mlm" not in report and "test" in report
        assert config["architectures"] == ["BertForSequenceClassification"]
        assert config["id2label"] == {"0": "bad", "1": "good"}
    else:
        assert "test" not in report and "mlm" in report
        assert config["architectures"] == ["BertForMaskedLM"]
        assert not [name for name in weights if name.startswith("classifier")]
        assert said[0] == "Texts: 166 (120 train, 23 validation, 23 test); no classes are read."


def test_the_kept_weights_are_best_at_what_was_asked_for(table, checkpoint, tmp_path, monkeypatch):
    """Two evaluations disagree: which is kept follows `select`."""
    scores = iter([])

    def evaluate(run, model):
        measured = original(run, model)
        accuracy, macro = next(scores)
        measured |= {"accuracy": accuracy, "macro_f1": macro}
        return {**measured, "score": measured[run.options.select]}

    original = finetuning.FinetuneRun.evaluate
    monkeypatch.setattr(finetuning.FinetuneRun, "evaluate", evaluate)
    for select, best in (("accuracy", 4), ("macro_f1", 8)):
        scores = iter([(0.5, 0.5), (0.9, 0.3), (0.8, 0.7)])
        report = finetune(
            table, tmp_path / select, say=[].append, model=checkpoint, select=select,
            **{**FAST, "epochs": 1},
        )  # fmt: skip
        assert report["history"]["best_step"] == best and report["selected by"] == select


def test_the_run_beside_it_has_lambda_zero_and_the_same_budget(checkpoint, tmp_path, monkeypatch):
    fast, budgets = {**FAST, "epochs": 2, "dropout": 0.0}, []
    fit = steps.FinetuneRun.fit

    def counted(run, model, encoded, config, checkpoint):
        history = fit(run, model, encoded, config, checkpoint)
        budgets.append((len(encoded), len(history.steps)))
        return history

    monkeypatch.setattr(steps.FinetuneRun, "fit", counted)
    table = write_table(tmp_path / "own.csv", films(160))
    plain = finetune(
        table, tmp_path / "plain", say=[].append, model=checkpoint, **{**fast, "mlm_weight": 0.0}
    )
    both = finetune(table, tmp_path / "both", say=[].append, model=checkpoint, compare=True, **fast)
    ours = both["methods"]["fine-tuned with λ = 0"]
    del both["methods"]["fine-tuned with λ = 0"]
    assert set(both["methods"]) == set(plain["methods"])
    assert both["methods"] != plain["methods"]
    assert ours["accuracy"] == plain["methods"]["fine-tuned"]["accuracy"]
    assert not (tmp_path / "both.state").exists()
    table = write_table(tmp_path / "more.csv", [*films(160), *LONELY[:2] * 60])
    finetune(table, tmp_path / "more", say=[].append, model=checkpoint, compare=True, **fast)
    assert budgets == [(109, 14), (109, 14), (109, 14), (229, 30), (109, 28)]


def test_nothing_that_is_measured_beside_it_can_lose_the_model(
    table, checkpoint, tmp_path, monkeypatch
):
    """It is saved before, with a report; `resume` measures the rest and trains nothing."""

    def never(*arguments):
        assert (tmp_path / "model" / "model.safetensors").exists()
        raise KeyboardInterrupt

    fast = {**FAST, "epochs": 2}
    monkeypatch.setattr(steps, "measure_opponents", never)
    with pytest.raises(KeyboardInterrupt, match="--resume goes on"):
        finetune(table, tmp_path / "model", say=[].append, model=checkpoint, **fast)
    weights = (tmp_path / "model" / "model.safetensors").read_bytes()
    text = (tmp_path / "model" / "report.md").read_text("utf-8")
    assert "## Classes" in text and "All methods" not in text
    monkeypatch.undo()
    calls, said = [], []
    evaluate = finetuning.FinetuneRun.evaluate
    monkeypatch.setattr(
        finetuning.FinetuneRun, "evaluate", lambda *a: calls.append(1) or evaluate(*a)
    )
    report = finetune(
        table, tmp_path / "model", resume=True, say=said.append, model=checkpoint, **fast
    )
    assert len(calls) == 1 and "Going on from the saved state." in said
    assert set(report["baselines"]) == {
        "commonest class", "bag of words", "bag of characters", "frozen encoder",
    }  # fmt: skip
    assert (tmp_path / "model" / "model.safetensors").read_bytes() == weights
    assert "All methods" in (tmp_path / "model" / "report.md").read_text("utf-8")


def test_a_ruined_run_says_so(table, checkpoint, tmp_path):
    report = finetune(
        table, tmp_path / "model", say=[].append, model=checkpoint,
        **{**FAST, "epochs": 3, "learning_rate": 5.0, "mlm_weight": 0.0},
    )  # fmt: skip
    assert any("nothing was learned: lower the learning rate" in row for row in report["verdict"])


def test_conflicts_are_found_before_anything_is_tokenised(table, checkpoint, tmp_path, monkeypatch):
    state = tmp_path / "model.state"
    state.mkdir()
    (state / "state.pt").write_bytes(b"work of a night")
    (state / "options.json").write_text(json.dumps({"table": "another"}))
    monkeypatch.setattr(steps, "read_texts", None)  # not to be called
    with pytest.raises(ValueError, match="the table has changed"):
        finetune(table, tmp_path / "model", resume=True, model=checkpoint, **FAST)
    with pytest.raises(FileExistsError, match="was broken off"):
        finetune(table, tmp_path / "model", model=checkpoint, **FAST)
    assert sorted(path.name for path in state.iterdir()) == ["options.json", "state.pt"]


@pytest.mark.skipif(sys.platform != "linux", reason="what is set is glibc's")
def test_a_large_tensor_that_is_freed_goes_back_to_the_system():
    script = """if True:
        import torch
        from bift_utils.finetune.__main__ import give_memory_back

        def resident():
            pages = int(open("/proc/self/statm").read().split()[1])
            return pages * 4096 / 2**20

        give_memory_back()
        before = resident()
        kept = []
        for turn in range(30):  # a small one is kept between large ones of changing sizes
            large = [torch.ones((5 + (7 * turn + i) % 5) * 2**18) for i in range(8)]  # 5 to 9 MB
            kept.append(torch.ones(2**12))
            del large
        print(resident() - before)
    """
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert float(done.stdout) < 25  # MB
