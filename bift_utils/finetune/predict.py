"""Answers for new texts, with a model that `finetune` has saved: a table in, a table out."""

import csv
import itertools
import json
import os
import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bift_utils.data.batches import batches_by_length, encode_texts
from bift_utils.data.table_files import TableFile, check_columns, many_lines_are_rows
from bift_utils.data.tables import as_text
from bift_utils.data.texts import clean_text
from bift_utils.evaluation.predict import predict_classes
from bift_utils.finetune.output import MARK
from bift_utils.masking.collators import SequenceCollator
from bift_utils.models.checkpoints import load_model, load_tokenizer
from bift_utils.runtime import get_device

ROWS = 1024  # rows held at once


def predict_table(
    model: str | Path,
    table: str | Path,
    output: str | Path | None = None,
    text: str | None = None,
    encoding: str | None = None,
    separator: str | None = None,
    batch_size: int = 64,
    overwrite: bool = False,
) -> None:
    """Write a table as it came, with the class and the probability of each class behind it.

    The table is read and written as a stream, so it may be larger than the memory. Texts are cut
    as in training. A row without a text gets no answer. The new columns are `predicted_` and the
    name of the label column, and `P(…)` for each class.

    Args:
        model: folder that `finetune` has written.
        table: CSV, TSV or JSON lines; see `data.TableFile`.
        output: CSV file to write, whole or not at all; None for the terminal.
        text: column with the texts; None for the one of the training table.
        encoding, separator: of the table.
        batch_size: texts at once; changes nothing but memory and time.
        overwrite: replace a file that is there already.

    Raises:
        FileExistsError: there is a file `output` already, and `overwrite` was not asked for.
        FileNotFoundError: there is no such model or table, or no folder for `output`.
        ValueError: the model has no classes, or the table cannot be used.

    Introduced in notebook 08.
    """
    folder = Path(model)
    identity = read_identity(folder)
    if batch_size < 1:
        raise ValueError(f"batch_size was given as {batch_size}; expected 1 or more.")
    if output is not None and Path(output).absolute() == Path(table).absolute():
        raise ValueError(f"{output} is the table itself; name another file to write.")
    if output is not None:
        check_target(Path(output), overwrite)
    column = text or identity["text"]
    source = TableFile(table, [column], encoding, separator)
    rows = enumerate(source.rows(many_lines_are_rows), start=1)
    classifier = Classifier(folder, batch_size)
    new = [f"predicted_{identity['label']}", *(f"P({name})" for name in classifier.names)]
    asked = answered = 0
    with _writer(output) as writer:
        header: list[str] = []
        while some := list(itertools.islice(rows, ROWS)):
            if not header:
                header = source.names or list(some[0][1])
                check_columns(source.path, header, [column])
                _check_free(header, new, source.path)
                writer.writerow([*header, *new])
            texts = [as_text(row.get(column), i, source.path, column) for i, row in some]
            answers = classifier.answer(texts)
            asked += len(answers)
            answered += sum(bool(answer[0]) for answer in answers)
            for (_, row), answer in zip(some, answers, strict=True):
                writer.writerow([*(_cell(row.get(name)) for name in header), *answer])
        if not header:
            raise ValueError(
                f"The file {source.path.name} has no rows; expected at least one text."
            )
    for note in source.notes:
        print(f"finetune: {note}", file=sys.stderr)
    if output is not None:
        print(f"Saved in {output}: {asked} rows, {answered} of them with an answer.")


def read_identity(folder: Path) -> dict:
    """Return the options with which `finetune` trained the classifier in a folder.

    Raises:
        FileNotFoundError: it was not written by `finetune`.
        ValueError: it was trained with λ = 1 and has no classes.

    Introduced in notebook 08.
    """
    if not (folder / MARK).is_file():
        raise FileNotFoundError(
            f"There is no file {MARK} in {folder}; expected the folder of a model that "
            "python -m bift_utils.finetune has written."
        )
    identity = json.loads((folder / MARK).read_text(encoding="utf-8"))["identity"]
    if identity["mlm_weight"] == 1:
        raise ValueError(
            f"The model in {folder} was trained with λ = 1 and has no classes; expected one that "
            "has. Train with λ below 1."
        )
    return identity


def check_target(output: Path, overwrite: bool) -> None:
    """Raise unless a table of answers may be written there.

    Raises:
        FileExistsError: there is a folder of that name, or a file that is not to be replaced.
        FileNotFoundError: there is no folder to write into.

    Introduced in notebook 08.
    """
    if output.is_dir():
        raise FileExistsError(f"{output} is a folder; expected a file to write. Choose another.")
    if output.exists() and not overwrite:
        raise FileExistsError(
            f"There is a file {output} already. Choose another, or ask to overwrite it "
            "(--overwrite)."
        )
    if not output.absolute().parent.is_dir():
        raise FileNotFoundError(
            f"There is no folder {output.parent} to write {output.name} into. Make it first."
        )


class Classifier:
    """A saved model with its tokenizer and the length at which it cuts texts.

    Args:
        folder: of the model.
        batch_size: texts at once.

    Introduced in notebook 08.
    """

    def __init__(self, folder: Path, batch_size: int):
        self.tokenizer, self.batch_size = load_tokenizer(folder), batch_size
        self.model = load_model(folder).to(get_device())
        self.max_length = self.tokenizer.model_max_length
        labels = self.model.config.id2label
        self.names = [labels[i] for i in range(len(labels))]

    def answer(self, texts: Iterable[str]) -> list[list[str]]:
        """Return a row for each text: the likeliest class, and the probability of every class."""
        tidy = [clean_text(text) for text in texts]
        asked = [text for text in tidy if text]
        found = iter(self.probabilities(asked)) if asked else iter(())
        nothing = [""] * (1 + len(self.names))
        rows = []
        for text in tidy:
            chances = next(found) if text else []
            likeliest = max(range(len(chances)), key=chances.__getitem__) if chances else 0
            shares = [f"{chance:.6f}" for chance in chances]
            rows.append([self.names[likeliest], *shares] if chances else nothing)
        return rows

    def probabilities(self, texts: list[str]) -> list[list[float]]:
        """Return P(class given text) for texts that have words."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that texts are cut was said in training
            encoded = encode_texts(self.tokenizer, texts, max_length=self.max_length)
        collator = SequenceCollator(self.tokenizer)
        batches, places = batches_by_length(encoded, collator, self.batch_size)
        return predict_classes(self.model, batches)[places].tolist()


def _check_free(header: list[str], new: list[str], path: Path) -> None:
    taken = [name for name in new if name in header]
    if taken:
        raise ValueError(
            f'The file {path.name} has a column "{taken[0]}" already; expected none of that name, '
            "because the answers go there. Rename it."
        )


def _cell(value) -> str:
    """Return a field as text; JSON may also hold numbers, lists and nothing."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


@contextmanager
def _writer(output: str | Path | None) -> Iterator:
    """Yield a CSV writer to the terminal, or to a file that takes its name when it is whole."""
    if output is None:
        yield csv.writer(sys.stdout, lineterminator="\n")
        return
    target = Path(output)
    partial = target.with_name(target.name + ".partial")
    try:
        with partial.open("w", newline="", encoding="utf-8") as file:
            yield csv.writer(file)
        os.replace(partial, target)
    finally:
        partial.unlink(missing_ok=True)
