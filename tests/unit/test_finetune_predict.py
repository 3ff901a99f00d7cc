"""`finetune predict`: a table in, the same table with answers out, cut as the report was."""

import csv
import json

import pytest
import torch
from own_tables import films, save_tiny_checkpoint, write_table

from bift_utils.data.tables import read_table
from bift_utils.data.texts import split_texts
from bift_utils.finetune import predict
from bift_utils.finetune.__main__ import main
from bift_utils.finetune.output import MARK
from bift_utils.finetune.run import finetune

LONG = "the film was good and " * 30


@pytest.fixture(scope="module")
def run(tokenizer, tmp_path_factory):
    """A model whose scores are of texts cut at 12 of 32 tokens, and its table."""
    folder = tmp_path_factory.mktemp("own")
    checkpoint = save_tiny_checkpoint(folder / "tiny", tokenizer)
    table = write_table(folder / "own.csv", films(160), ("words", "kind"))
    report = finetune(
        table, folder / "model", say=[].append, model=checkpoint, text="words", label="kind",
        epochs=6, learning_rate=5e-3, batch_size=16, max_length=12,
    )  # fmt: skip
    return folder, table, report


def read(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_test_texts_get_the_answers_that_the_report_counted(run, tmp_path):
    folder, table, report = run
    test = split_texts(read_table(table, "words", "kind").labelled)["test"]
    asked = write_table(tmp_path / "new.csv", zip(test.texts, strict=True), ["words"])
    assert (
        main(["predict", str(folder / "model"), str(asked), "--output", str(tmp_path / "a.csv")])
        == 0
    )
    rows = read(tmp_path / "a.csv")
    assert list(rows[0]) == ["words", "predicted_kind", "P(bad)", "P(good)"]
    assert [row["words"] for row in rows] == test.texts
    confusion = [[0, 0], [0, 0]]
    for row, label in zip(rows, test.labels, strict=True):
        confusion[label][["bad", "good"].index(row["predicted_kind"])] += 1
        chances = {name: float(row[f"P({name})"]) for name in ("bad", "good")}
        assert sum(chances.values()) == pytest.approx(1, abs=1e-5)
        assert max(chances, key=chances.get) == row["predicted_kind"]
    assert confusion == report["test"]["confusion"]


def test_rows_come_back_as_they_were_in_their_order_and_long_texts_are_cut(run, tmp_path):
    folder, _, _ = run
    rows = [
        ("1", LONG + "bad", 'he said "x"\nand left'), ("2", "", "no text"), ("3", "the film", ""),
        ("4", LONG + "dull", "é"),
    ]  # fmt: skip
    asked = write_table(tmp_path / "new.tsv", rows, ("id", "words", "note"))
    predict.predict_table(folder / "model", asked, tmp_path / "a.csv", batch_size=2)
    found = read(tmp_path / "a.csv")
    assert [(row["id"], row["words"], row["note"]) for row in found] == rows
    assert found[1]["predicted_kind"] == found[1]["P(bad)"] == ""
    assert found[0]["P(bad)"] == found[3]["P(bad)"] != found[2]["P(bad)"]  # alike where read


def test_blocks_and_batches_change_nothing(run, tmp_path, monkeypatch):
    folder, table, _ = run
    predict.predict_table(folder / "model", table, tmp_path / "one.csv")
    monkeypatch.setattr(predict, "ROWS", 7)
    predict.predict_table(folder / "model", table, tmp_path / "two.csv", batch_size=3)
    one, two = read(tmp_path / "one.csv"), read(tmp_path / "two.csv")
    assert len(one) == len(two) == 160
    for a, b in zip(one, two, strict=True):
        assert a["words"] == b["words"] and a["kind"] == b["kind"]
        assert float(a["P(bad)"]) == pytest.approx(float(b["P(bad)"]), abs=1e-5)


def test_no_more_than_a_block_is_held_at_once(run, tmp_path, monkeypatch):
    folder, table, _ = run
    seen = []
    monkeypatch.setattr(predict, "ROWS", 10)
    answer = predict.Classifier.answer
    monkeypatch.setattr(
        predict.Classifier,
        "answer",
        lambda self, texts: seen.append(len(texts)) or answer(self, texts),
    )
    predict.predict_table(folder / "model", table, tmp_path / "a.csv")
    assert seen == [10] * 16


def test_json_lines_and_the_terminal(run, tmp_path, capsys):
    folder, _, _ = run
    lines = [{"words": "the film was good", "n": 1, "more": [1, 2]}, {"words": None, "n": None}]
    asked = tmp_path / "new.jsonl"
    asked.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    assert main(["predict", str(folder / "model"), str(asked)]) == 0
    first, one, two = csv.reader(capsys.readouterr().out.splitlines())
    assert first == ["words", "n", "more", "predicted_kind", "P(bad)", "P(good)"]
    assert one[:3] == ["the film was good", "1", '["1", "2"]'] and two == [""] * 6


@pytest.mark.parametrize(
    "content, options, message",
    [
        ("text\na\n", [], "new.csv has no column \"words\"; it has 'text'"),
        ("words,predicted_kind\na,b\n", [], 'has a column "predicted_kind" already'),
        ("words\n", [], "has no rows; expected at least one text"),
        ("words\na\n", ["--batch-size", "0"], "batch_size was given as 0; expected 1 or more"),
        ('words,n\na,1\n"b,2,3\n', [], "line 3 has a quotation mark that encloses no field"),
    ],
)
def test_what_cannot_be_used_is_said_and_nothing_is_written(
    run, tmp_path, capsys, content, options, message
):
    folder, _, _ = run
    asked = tmp_path / "new.csv"
    asked.write_text(content, encoding="utf-8")
    given = ["predict", str(folder / "model"), str(asked), "--output", str(tmp_path / "a.csv")]
    assert main([*given, *options]) == 2
    assert message in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["new.csv"]


def test_a_folder_that_is_no_model_the_table_itself_and_one_without_classes(run, tmp_path, capsys):
    folder, table, _ = run
    assert main(["predict", str(tmp_path), str(table)]) == 2
    assert f"There is no file {MARK} in" in capsys.readouterr().err
    assert main(["predict", str(folder / "model"), str(table), "--output", str(table)]) == 2
    assert "is the table itself" in capsys.readouterr().err
    (tmp_path / MARK).write_text(json.dumps({"identity": {"mlm_weight": 1.0}}))
    assert main(["predict", str(tmp_path), str(table)]) == 2
    assert "trained with λ = 1 and has no classes" in capsys.readouterr().err


def test_a_file_that_is_there_is_replaced_only_when_asked(run, tmp_path, capsys):
    folder, _, _ = run
    asked = write_table(tmp_path / "new.csv", [("the film was good",), ("",)], ["words"])
    answers = tmp_path / "a.csv"
    answers.write_text("the work of a week", encoding="utf-8")
    given = ["predict", str(folder / "model"), str(asked), "--output"]
    assert main([*given, str(answers)]) == 2
    found = capsys.readouterr().err
    assert f"There is a file {answers} already" in found and "--overwrite" in found
    assert answers.read_text(encoding="utf-8") == "the work of a week"
    assert main([*given, str(tmp_path)]) == 2
    assert "is a folder; expected a file to write" in capsys.readouterr().err
    assert main([*given, str(tmp_path / "none" / "a.csv")]) == 2
    assert f"There is no folder {tmp_path / 'none'}" in capsys.readouterr().err
    assert main([*given, str(answers), "--overwrite"]) == 0
    assert f"Saved in {answers}: 2 rows, 1 of them with an answer." in capsys.readouterr().out
    assert [row["words"] for row in read(answers)] == ["the film was good", ""]


def test_a_plain_pipeline_that_cuts_agrees(run):
    from transformers import pipeline

    folder, _, _ = run
    classify = pipeline(
        "text-classification", model=str(folder / "model"), truncation=True, top_k=None
    )
    theirs = {row["label"]: row["score"] for row in classify([LONG])[0]}
    ours = predict.Classifier(folder / "model", 8).probabilities([LONG.strip()])[0]
    assert torch.tensor([theirs["bad"], theirs["good"]]).allclose(torch.tensor(ours), atol=1e-5)
