"""What cannot be used is said in one sentence, before any training, and nothing is lost."""

import pytest
from own_tables import films, save_tiny_checkpoint, write_table

from bift_utils.data.tables import read_table
from bift_utils.finetune import steps
from bift_utils.finetune.__main__ import main
from bift_utils.finetune.options import FinetuneOptions
from bift_utils.finetune.output import MARK
from bift_utils.finetune.run import finetune
from bift_utils.finetune.steps import FinetuneRun

GOOD = "text,label\n" + "".join(f"{text.replace(',', '')},{name}\n" for text, name in films(60))
BAD_TABLES = {
    "no such column": ("review,stars\na,1\n", "has no column \"text\"; it has 'review', 'stars'"),
    "all texts empty": ("text,label\n,x\n ,y\n", 'column "text" of own.csv is empty in all 2'),
    "all labels empty": ("text,label\na,\nb,\n", 'column "label" of own.csv is empty in all 2'),
    "one class": (GOOD.replace(",good\n", ",bad\n"), "holds 'bad' and nothing else"),
    "one example": (GOOD + "one more,rare\n", "too few different texts: 'rare' has 1; expected at"),
    "two rare ones": (GOOD + "a,x\nb,y\n", "'x' has 1, 'y' has 1; expected at least 3"),
    "amounts": ("text,label\na,0.5\nb,1\n", "numbers that are not whole ('0.5')"),
    "bytes": (GOOD.encode() + b"caf\xe9,good\n", "not in UTF-8: line 62 holds the byte 0xe9"),
    "no rows": ("text,label\n", "has no rows; expected at least one text"),
    "nothing": ("", "own.csv is empty; expected a table of texts"),
    "torn rows": (GOOD + "a,b,c\n", "not a whole table"),
}
BAD_OPTIONS = {
    "λ": (["--mlm-weight", "1.5"], "1.5"),
    "no epochs": (["--epochs", "0"], "epochs was given as 0"),
    "length": (["--max-length", "64"], "max_length was given as 64; expected 3 to 32"),
    "head": (["--pooling", "mean"], "which plain transformers cannot represent"),
    "no model": (["--model", "no/such-model"], "was given as 'no/such-model'; there is no folder"),
    "no validation": (["--validation", "none.csv"], "There is no file none.csv; expected a table"),
    "drop": (
        ["--drop-rare", "1"],
        "drop_rare was given as 1; expected a whole number of 3",
    ),
    "rate": (["--learning-rate", "inf"], "learning_rate was given as inf; expected a finite"),
    "another column": (["--text", "words"], "has no column \"words\"; it has 'text', 'label'"),
}


@pytest.fixture(scope="module")
def checkpoint(tokenizer, tmp_path_factory):
    return save_tiny_checkpoint(tmp_path_factory.mktemp("tiny"), tokenizer)


@pytest.fixture(autouse=True)
def untrained(monkeypatch):
    """No test of this file may train anything."""

    def train(*arguments, **options):
        raise AssertionError("training has begun")

    monkeypatch.setattr(steps, "train", train)


def refused(capsys, table, *arguments):
    """Run the command; return its one sentence, after checking that nothing was written."""
    before = sorted((path, path.is_dir() or path.read_bytes()) for path in folder_of(table))
    assert main([str(table), "--output", str(table.parent / "model"), *arguments]) == 2
    after = sorted((path, path.is_dir() or path.read_bytes()) for path in folder_of(table))
    assert after == before
    (sentence,) = capsys.readouterr().err.splitlines()
    assert sentence.startswith("finetune: ") and sentence.endswith(".")
    return sentence


def folder_of(table):
    return table.parent.rglob("*")


@pytest.mark.parametrize("kind", BAD_TABLES)
def test_a_table_that_cannot_be_used(tmp_path, capsys, checkpoint, kind):
    content, message = BAD_TABLES[kind]
    table = tmp_path / "own.csv"
    table.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert message in refused(capsys, table, "--model", str(checkpoint))


@pytest.mark.parametrize("kind", BAD_OPTIONS)
def test_options_that_cannot_be_used(tmp_path, capsys, checkpoint, kind):
    options, message = BAD_OPTIONS[kind]
    table = write_table(tmp_path / "own.csv", films(60))
    assert message in refused(capsys, table, "--model", str(checkpoint), *options)


def test_lambda_one_needs_texts_and_no_label(tmp_path, capsys, checkpoint):
    table = tmp_path / "own.csv"
    table.write_text("id,text\n1, \n2,\n")
    alone = ("--mlm-weight", "1", "--model", str(checkpoint))
    assert "is empty in all 2 rows; expected some words" in refused(capsys, table, *alone)
    table.write_text("text\nthe film\nTHE film\nthe cast\n")
    assert "There are 2 different texts; expected at least 3" in refused(capsys, table, *alone)
    with pytest.raises(AssertionError, match="training has begun"):
        long = " was good and the story was warm" * 4  # a text with no blank measures nothing
        table.write_text(f"text\nthe film{long}\na film{long}\nthe cast{long}\n")
        main([str(table), "--output", str(tmp_path / "model"), *alone])


def test_there_is_no_table(tmp_path, capsys):
    assert "There is no file" in refused(capsys, tmp_path / "own.csv")


def test_an_output_folder_that_exists_is_refused_first(tmp_path, capsys):
    """Even before the table is read: reading may take minutes."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / MARK).write_text("{}")
    table = tmp_path / "own.csv"
    found = refused(capsys, table)
    assert "already holds a model. Choose another folder, or ask" in found
    assert "(--overwrite)" in found  # in a terminal one has to know the word
    assert "There is no file" in refused(capsys, table, "--overwrite")
    (tmp_path / "model" / MARK).rename(tmp_path / "model" / "thesis.tex")
    assert "not written by this command" in refused(capsys, table, "--overwrite")


def test_a_run_that_was_broken_off_is_not_lost(tmp_path, capsys, checkpoint):
    table = write_table(tmp_path / "own.csv", films(60))
    state = tmp_path / "model.state"
    state.mkdir()
    (state / "state.pt").write_bytes(b"work of a night")
    found = refused(capsys, table, "--model", str(checkpoint))
    assert "was broken off; its state lies in" in found and "(--resume)" in found


# what is odd but can be used


def prepared(path, checkpoint, **options):
    said = []
    options = FinetuneOptions(model=str(checkpoint), **options)
    run = FinetuneRun(read_table(path), options, said.append)
    return run, "\n".join(said)


def test_marks_line_breaks_and_long_texts_are_read(tmp_path, checkpoint):
    rows = [*films(60), ('the film\nwas "good"', "good"), ("the film was good " * 6000, "good")]
    plain, _ = prepared(write_table(tmp_path / "a.csv", rows), checkpoint)
    table = write_table(tmp_path / "b.csv", rows, encoding="utf-8-sig")
    assert len(rows[-1][0]) > 100_000
    run, said = prepared(table, checkpoint)
    assert run.texts.parts == plain.texts.parts
    texts = [text for part in run.texts.parts.values() for text in part.texts]
    assert 'the film was "good"' in texts
    assert "Cut at 32 tokens: 1 texts (1.6 %)." in said


def test_copies_stay_on_one_side(tmp_path, checkpoint):
    rows = [row for row in films(60) for _ in range(3)]
    run, said = prepared(write_table(tmp_path / "own.csv", rows), checkpoint)
    train, validation, test = (set(part.texts) for part in run.texts.parts.values())
    assert not (train & validation or train & test or validation & test)
    assert "Copies of other texts, kept on the same side of the split: 1" in said


def test_unknown_tokens_are_warned_of(tmp_path, checkpoint):
    rows = [(f"{text} 🎉 zebra zebra", name) for text, name in films(60)]
    _, said = prepared(write_table(tmp_path / "own.csv", rows), checkpoint)
    assert "\nWARNING: " in said and 'The checkpoint "' in said
    assert "WARNING" not in prepared(write_table(tmp_path / "fine.csv", films(60)), checkpoint)[1]


def test_a_wrong_name_of_an_option_is_an_error(tmp_path):
    with pytest.raises(TypeError, match="lambda_"):
        finetune(tmp_path / "own.csv", tmp_path / "model", lambda_=0.3)
