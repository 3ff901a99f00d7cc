"""What a checkpoint is judged by: on few texts, and never on the test part unasked."""

import json

import pytest
import torch
from tiny import make_reviews, tiny_config

from bift_utils.commands import judge
from bift_utils.models.checkpoints import save_checkpoint
from bift_utils.models.joint import new_model


@pytest.fixture
def checkpoint(tokenizer, tmp_path, monkeypatch):
    torch.manual_seed(0)
    save_checkpoint(new_model(tiny_config(tokenizer)), tokenizer, tmp_path / "tiny")
    monkeypatch.setattr(judge, "load_reviews", lambda source: make_reviews())
    monkeypatch.setattr(judge, "SIZES", (16,))
    monkeypatch.setattr(judge, "SEEDS", range(2))
    monkeypatch.setattr(judge, "AREA_TEXTS", 4)
    monkeypatch.setattr(judge, "AREA_ROUNDS", 2)
    monkeypatch.setattr(judge, "POSITIONS", 16)
    return str(tmp_path / "tiny")


def test_every_measure_of_the_card_is_there(checkpoint, capsys):
    judge.main([checkpoint])
    found = json.loads(capsys.readouterr().out)
    assert list(found)[:4] == [
        "nats a blank", "nats a word", "blanks filled in exactly (%)", "area (nats a token)",
    ]  # fmt: skip
    assert all(value >= 0 for value in found.values())
    assert found["nats a word"] >= found["nats a blank"] > 0  # a word is one token or more
    assert "frozen, 16 labels, validation (%)" in found
    assert not any("test" in name for name in found)


def test_the_test_part_is_read_when_asked_for(checkpoint):
    found = judge.judge(checkpoint, test=True)
    assert sum("test (%)" in name for name in found) == 2  # 16 labels, and all of them
