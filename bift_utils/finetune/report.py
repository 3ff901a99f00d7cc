"""The report of a fine-tuning run: metrics, confusion matrix, examples of errors, history."""

from collections.abc import Sequence
from pathlib import Path

import torch

from bift_utils.data.texts import LabelledTexts
from bift_utils.evaluation.baselines import bag_of_words_probabilities, majority_accuracy
from bift_utils.evaluation.metrics import classification_metrics
from bift_utils.evaluation.predict import predict_classes


def measure_classes(
    model, batches: dict[str, list], parts: dict[str, LabelledTexts], names: Sequence[str]
) -> dict:
    """Measure a classifier and two baselines on held-out texts; each part is read once.

    Args:
        model: a `BertForJointTraining`.
        batches: clean ones of "validation" and "test", in the order of the texts.
        parts: the texts of "train", "validation" and "test".
        names: K names of classes.

    Returns:
        `validation` and `test` (see `score_classes`), `errors` (the surest on the validation
        texts), and `baselines`: name to test accuracy.

    Introduced in notebook 08.
    """
    found: dict = {}
    known, asked = parts["train"], parts["test"]
    for name in ("validation", "test"):
        probabilities = predict_classes(model, batches[name])
        found[name] = score_classes(probabilities, parts[name].labels, names)
        if name == "validation":
            part = parts[name]
            found["errors"] = surest_errors(part.texts, part.labels, probabilities, names)
    words = bag_of_words_probabilities(known.texts, known.labels, asked.texts)
    found["baselines"] = {
        "commonest class": majority_accuracy(known.labels, asked.labels),
        "bag of words": classification_metrics(words, asked.labels)["accuracy"],
    }
    return found


def score_classes(probabilities: torch.Tensor, labels: Sequence[int], names: Sequence[str]) -> dict:
    """Measure a classifier on texts with known classes.

    Args:
        probabilities: (B, K), P(class given text).
        labels: B class ids.
        names: K names.

    Returns:
        `texts`, `accuracy`, `loss` (nats), `macro_f1` (mean of the classes' F1), `confusion`
        (K lists of K counts: a row is a true class, a column an answer), and `classes`: name to
        `precision`, `recall`, `f1` (0 where there is nothing to divide by) and `texts`.

    Introduced in notebook 08.
    """
    from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

    ids, answers = range(len(names)), probabilities.argmax(-1).tolist()
    rows = precision_recall_fscore_support(list(labels), answers, labels=ids, zero_division=0.0)
    classes = {
        name: dict(zip(("precision", "recall", "f1", "texts"), map(float, row), strict=True))
        for name, row in zip(names, zip(*rows, strict=True), strict=True)
    }
    present = [row["f1"] for row in classes.values() if row["texts"]]
    return {
        "texts": len(answers),
        **classification_metrics(probabilities, labels),
        "macro_f1": sum(present) / len(present),
        "confusion": confusion_matrix(list(labels), answers, labels=ids).tolist(),
        "classes": {name: {**row, "texts": int(row["texts"])} for name, row in classes.items()},
    }


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
            f"{report['test']['texts']} test texts: accuracy "
            f"{100 * report['test']['accuracy']:.1f} %, macro F1 {report['test']['macro_f1']:.3f} "
            f"({others})."
        )
    if "mlm" in report:
        before, after, _ = report["mlm"].values()
        lines.append(f"Blanks in validation texts: {before:.2f} nats before, {after:.2f} after.")
    return lines


def report_lines(report: dict) -> list[str]:
    """Write a report as lines of Markdown.

    Args:
        report: `title`, `data` (lines), `training` (lines), and where there are classes
            `validation`, `test` (`score_classes`), `baselines` (name to test accuracy) and
            `errors` (`surest_errors`); where there are blanks `mlm` (part to its loss).

    Introduced in notebook 08.
    """
    fenced = [
        "```",
        *report["data"],
        "```",
        "",
        "## Training",
        "",
        "```",
        *report["training"],
        "```",
    ]
    lines = [f"# {report['title']}", "", "## Texts", "", *fenced]
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
    return lines


def _classes(report: dict) -> list[str]:
    scores = [
        (f"{m['texts']} {part}", f"{100 * m['accuracy']:.1f} %", f"{m['macro_f1']:.3f}",
         f"{m['loss']:.3f}")
        for part, m in ((part, report[part]) for part in ("validation", "test"))
    ]  # fmt: skip
    for name, accuracy in report.get("baselines", {}).items():
        scores.append((f"{name}, test", f"{100 * accuracy:.1f} %", "", ""))
    classes = report["test"]["classes"]
    each = [
        (name, row["texts"], *(f"{row[key]:.3f}" for key in ("precision", "recall", "f1")))
        for name, row in classes.items()
    ]
    counts = [(name, *row) for name, row in zip(classes, report["test"]["confusion"], strict=True)]
    return [
        *_table(("texts", "accuracy", "macro F1", "loss (nats)"), scores),
        "",
        "The best weights were chosen on the validation texts; the test texts were",
        "scored once, at the end.",
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
