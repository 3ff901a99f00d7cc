"""The report of a fine-tuning run: metrics, confusion matrix, examples of errors, history."""

from collections.abc import Sequence
from pathlib import Path

import numpy
import torch

from bift_utils.evaluation.intervals import macro_f1_interval, share_interval
from bift_utils.evaluation.metrics import classification_metrics, macro_f1


def score_classes(
    probabilities: torch.Tensor,
    labels: Sequence[int],
    names: Sequence[str],
    intervals: bool = True,
) -> dict:
    """Measure a classifier on texts with known classes.

    Args:
        probabilities: (B, K), P(class given text).
        labels: B class ids.
        names: K names.
        intervals: measure them, too; they take a moment.

    Returns:
        `texts`, `accuracy`, `loss` (nats), `macro_f1` (mean of the classes' F1), the 95 % intervals
        `accuracy_interval` and `macro_f1_interval` (low and high), `confusion` (K lists of K
        counts: a row is a true class, a column an answer), and `classes`: name to `precision`,
        `recall`, `f1` (0 where there is nothing to divide by) and `texts`.

    Introduced in notebook 08.
    """
    from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

    ids, answers = range(len(names)), probabilities.argmax(-1).tolist()
    rows = precision_recall_fscore_support(list(labels), answers, labels=ids, zero_division=0.0)
    classes = {
        name: dict(zip(("precision", "recall", "f1", "texts"), map(float, row), strict=True))
        for name, row in zip(names, zip(*rows, strict=True), strict=True)
    }
    confusion = confusion_matrix(list(labels), answers, labels=ids)
    found = {
        "texts": len(answers),
        **classification_metrics(probabilities, labels),
        "macro_f1": float(macro_f1(confusion.diagonal(), confusion.sum(1), confusion.sum(0))),
        "confusion": confusion.tolist(),
        "classes": {name: {**row, "texts": int(row["texts"])} for name, row in classes.items()},
    }
    if intervals:
        _, *ends = share_interval(int(confusion.trace()), len(answers))
        _, *macro_ends = macro_f1_interval(confusion, numpy.random.default_rng(0))
        found |= {"accuracy_interval": ends, "macro_f1_interval": macro_ends}
    return found


def surest_errors(
    texts: Sequence[str],
    labels: Sequence[int],
    probabilities: torch.Tensor,
    names: Sequence[str],
    most: int = 10,
) -> list[dict]:
    """Return the wrong answers that the classifier was surest of, the surest first.

    Each is a dict with `text`, `class` (the true one), `answer` and `probability`.

    Introduced in notebook 08.
    """
    sure, answers = probabilities.max(-1)
    wrong = (answers != torch.as_tensor(labels)).nonzero().squeeze(1)
    order = wrong[sure[wrong].argsort(descending=True, stable=True)][:most].tolist()
    return [
        {
            "text": texts[i],
            "class": names[labels[i]],
            "answer": names[int(answers[i])],
            "probability": float(sure[i]),
        }
        for i in order
    ]


def summary_lines(report: dict) -> list[str]:
    """Say in a line or two what came out of a run, from its report.

    Introduced in notebook 08.
    """
    lines = []
    if "test" in report:
        others = ", ".join(f"{k} {100 * v:.1f} %" for k, v in report["baselines"].items())
        lines.append(
            f"{report['test']['texts']} test texts: accuracy {_percent(report['test'])}, macro F1 "
            f"{_macro(report['test'])} ({others})."
        )
    if "mlm" in report:
        before, after, _ = report["mlm"].values()
        lines.append(f"Blanks in validation texts: {before:.2f} nats before, {after:.2f} after.")
    return lines


def report_lines(report: dict) -> list[str]:
    """Write a report, which is also the card of the model, as lines of Markdown.

    Args:
        report: `title`, `data` (lines), `training` (lines), `verdict` (lines), and where there are
            classes `validation`, `test` (`score_classes`), `methods` (name to its scores) and
            `errors` (`surest_errors`); where there are blanks `mlm` (part to its loss).

    Introduced in notebook 08.
    """
    lines = [f"# {report['title']}", ""]
    if report.get("verdict"):
        lines += ["## Verdict", "", *(f"- {line}" for line in report["verdict"]), ""]
    lines += ["## How to load it", "", *_loading(report), ""]
    lines += ["## Texts", "", "```", *report["data"], "```", ""]
    lines += ["## Training", "", "```", *report["training"], "```"]
    if "seconds" in report:
        lines += ["", f"It took {report['seconds']} seconds since it was last started."]
    if "test" in report:
        lines += ["", "## Classes", "", *_classes(report)]
    if "mlm" in report:
        lines += ["", "## Blanks", "", "Masked-LM loss, nats a blank (masks fixed by seed):", ""]
        lines += [f"- {name}: {loss:.3f}" for name, loss in report["mlm"].items()]
    if "errors" in report:
        head = ("text", "class", "answer", "probability")
        rows = [
            (_shortened(e["text"]), e["class"], e["answer"], f"{e['probability']:.3f}")
            for e in report["errors"]
        ]
        lines += ["", "## Surest errors on the validation texts", ""]
        lines += _table(head, rows) if rows else ["None."]
    return [*lines, "", "## Limits", "", *LIMITS]


LIMITS = (
    "- The scores hold for texts like those of the table. Other sources, times and topics may be",
    "  harder; near copies of a text may stand on both sides of a split that was made by chance.",
    "- Intervals hold the luck of the test texts, not that of the training: another seed gives",
    "  another model.",
    "- A probability is what the model says, not how often it is right. Nobody has asked whom its",
    "  errors would harm.",
)


def _loading(report: dict) -> list[str]:
    """Say how the folder is used without this project; texts must be cut as they were here."""
    length = report.get("max_length", "as many as it reads")
    task = "text-classification" if "test" in report else "fill-mask"
    cut = ", truncation=True" if "test" in report else ""
    lines = ["```python", "from transformers import pipeline", ""]
    lines += [f'model = pipeline("{task}", model="this folder"{cut})', "```"]
    if cut:
        lines += [
            "",
            f"All scores below are of texts cut at {length} tokens. `truncation=True` cuts in the",
            "same way; without it, a longer text raises an error, or is read further than was ever",
            "measured. For a whole table: `python -m bift_utils.finetune predict`.",
        ]
    if "test" in report and "mlm" in report:
        lines += [
            "",
            "The file holds two heads. What transformers reports as UNEXPECTED when it loads one",
            'of them (`cls.…`) is the other, for `pipeline("fill-mask")`.',
        ]
    return lines


def _percent(scores: dict) -> str:
    low, high = scores["accuracy_interval"]
    return f"{100 * scores['accuracy']:.1f} % ({100 * low:.1f} to {100 * high:.1f})"


def _macro(scores: dict) -> str:
    low, high = scores["macro_f1_interval"]
    return f"{scores['macro_f1']:.3f} ({low:.3f} to {high:.3f})"


def _classes(report: dict) -> list[str]:
    scores = [
        (f"{m['texts']} {part}", _percent(m), _macro(m), f"{m['loss']:.3f}")
        for part, m in ((part, report[part]) for part in ("validation", "test"))
    ]
    lines = _table(("texts", "accuracy", "macro F1", "loss (nats)"), scores)
    selected = report.get("selected by", "accuracy")
    lines += [
        "",
        f"The best weights were chosen on the validation texts, by their {selected}; the test",
        "texts were scored once, at the end. In brackets: 95 % intervals.",
    ]
    if "methods" in report:
        rows = [(name, _percent(m), _macro(m)) for name, m in report["methods"].items()]
        lines += ["", "All methods on the test texts:", ""]
        lines += _table(("method", "accuracy", "macro F1"), rows)
    classes = report["test"]["classes"]
    each = [
        (name, row["texts"], *(f"{row[key]:.3f}" for key in ("precision", "recall", "f1")))
        for name, row in classes.items()
    ]
    counts = [(name, *row) for name, row in zip(classes, report["test"]["confusion"], strict=True)]
    return [
        *lines,
        "",
        "Test texts, class by class:",
        "",
        *_table(("class", "texts", "precision", "recall", "F1"), each),
        "",
        "Confusion matrix of the test texts (row: true class, column: answer):",
        "",
        *_table(("", *classes), counts),
    ]


def _table(head: Sequence[str], rows: Sequence[Sequence]) -> list[str]:
    """Return a Markdown table; no text ends its cell."""

    def line(cells: Sequence) -> str:
        texts = [str(c).replace("\\", "\\\\").replace("|", "\\|") for c in cells]
        return "| " + " | ".join(text.replace("\n", " ") for text in texts) + " |"

    return [line(head), "|" + "---|" * len(head), *map(line, rows)]


def _shortened(text: str) -> str:
    return text if len(text) <= 200 else text[:199] + "…"


def save_history_figure(history, path: Path) -> None:
    """Draw the losses of a run into a PNG file.

    Introduced in notebook 08.
    """
    import matplotlib.pyplot as plt

    from bift_utils.plotting import figures as plotting

    title = f"{len(history.steps)} updates, the weights of update {history.best_step} kept"
    with plt.rc_context():  # the caller's figures keep their look
        plotting.use_series_style()
        figure = plotting.plot_history(history, title, evaluated=True)
        figure.savefig(path, format="png")
    plt.close(figure)
