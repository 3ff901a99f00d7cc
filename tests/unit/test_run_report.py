import math

import matplotlib.pyplot as plt
import pytest
import torch

from bift_utils.finetune.report import (
    report_lines,
    save_history_figure,
    score_classes,
    summary_lines,
    surest_errors,
)
from bift_utils.training.history import History

NAMES = ["a", "b|c", "never"]
ROWS = torch.tensor([[0.8, 0.1, 0.1], [0.3, 0.6, 0.1], [0.9, 0.05, 0.05], [0.2, 0.5, 0.3]])
LABELS = [0, 0, 1, 1]


@pytest.fixture
def report():
    found = score_classes(ROWS, LABELS, NAMES)
    return {
        "title": "tiny",
        "data": ["Texts: 4"],
        "training": ["epochs = 1"],
        "validation": found,
        "test": found,
        "baselines": {"commonest class": 0.5},
        "methods": {"fine-tuned": found, "commonest class": found},
        "verdict": ["Take it."],
        "max_length": 12,
        "errors": surest_errors(["w", "x|y", "z " * 200, "v"], LABELS, ROWS, NAMES),
        "mlm": {"validation, before training": 3.0, "validation, after": 2.0, "test, after": 2.1},
    }


def test_scores_by_hand():
    found = score_classes(ROWS, LABELS, NAMES)
    assert found["confusion"] == [[1, 1, 0], [1, 1, 0], [0, 0, 0]]
    assert found["texts"] == 4 and found["accuracy"] == 0.5
    loss = -sum(map(math.log, (0.8, 0.3, 0.05, 0.5))) / 4
    assert found["loss"] == pytest.approx(loss, rel=1e-5)
    assert found["classes"]["a"] == {"precision": 0.5, "recall": 0.5, "f1": 0.5, "texts": 2}
    assert found["classes"]["never"] == {"precision": 0, "recall": 0, "f1": 0, "texts": 0}
    assert found["macro_f1"] == 0.5  # a class without texts cannot be got right or wrong


def test_rows_of_the_confusion_matrix_are_true_classes():
    assert score_classes(ROWS[:2], [0, 0], NAMES)["confusion"][0] == [1, 1, 0]


def test_the_surest_errors_come_first():
    errors = surest_errors(list("wxyz"), LABELS, ROWS, NAMES)
    assert [(e["text"], e["class"], e["answer"]) for e in errors] == [
        ("y", "b|c", "a"), ("x", "a", "b|c"),
    ]  # fmt: skip
    assert [e["probability"] for e in errors] == pytest.approx([0.9, 0.6])
    assert len(surest_errors(list("wxyz"), LABELS, ROWS, NAMES, most=1)) == 1
    assert surest_errors(["w"], [0], ROWS[:1], NAMES) == []


def test_the_report_is_readable_markdown(report):
    text = "\n".join(report_lines(report))
    ends = "50.0 % (6.8 to 93.2) | 0.500 ("
    assert f"| 4 test | {ends}" in text and f"| commonest class | {ends}" in text
    assert "## Verdict\n\n- Take it." in text
    assert 'pipeline("text-classification", model="this folder", truncation=True)' in text
    assert "cut at 12 tokens" in text and "## Limits" in text
    assert "| b\\|c | 1 | 1 | 0 |" in text  # a bar in a name does not end its cell
    assert "| x\\|y | a | b\\|c | 0.600 |" in text
    assert "- validation, after: 2.000" in text
    assert max(map(len, text.split("\n"))) < 260  # long texts are cut
    assert "None." in "\n".join(report_lines({**report, "errors": []}))


def test_a_report_without_classes_or_without_blanks(report):
    alone = {key: report[key] for key in ("title", "data", "training", "mlm")}
    text = "\n".join(report_lines(alone))
    assert "## Classes" not in text and 'pipeline("fill-mask"' in text
    assert summary_lines(alone) == ["Blanks in validation texts: 3.00 nats before, 2.00 after."]
    del report["mlm"]
    assert "## Blanks" not in "\n".join(report_lines(report))
    low, high = report["test"]["macro_f1_interval"]
    assert summary_lines(report) == [
        "4 test texts: accuracy 50.0 % (6.8 to 93.2), macro F1 0.500 "
        f"({low:.3f} to {high:.3f}) (commonest class 50.0 %)."
    ]


def test_the_figure_is_a_picture_and_changes_no_style(tmp_path):
    history = History([{"step": 1, "objective": "joint", "mlm_loss": 1.0, "task_loss": 0.5}])
    before = dict(plt.rcParams)
    save_history_figure(history, tmp_path / "history.png")
    assert (tmp_path / "history.png").read_bytes().startswith(b"\x89PNG")
    assert dict(plt.rcParams) == before and not plt.get_fignums()


def test_a_line_break_in_a_text_does_not_end_its_row(report):
    report["errors"][0]["text"] = "two\nlines"
    assert "| two lines | b\\|c | a | 0.900 |" in report_lines(report)
