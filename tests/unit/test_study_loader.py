"""Batches of few labelled sentences and much text: what they hold, and what they cost."""

import pytest
import torch
from tiny import make_reviews, tiny_config

from bift_utils.commands.study.loader import LabelledAndText, loader_flops
from bift_utils.data.batches import encode_texts
from bift_utils.evaluation.flops import FlopMeter
from bift_utils.models.joint import new_model
from bift_utils.training.loop import train
from bift_utils.training.options import TrainingConfig


@pytest.fixture
def loader_of(tokenizer):
    pool = make_reviews()
    text = encode_texts(tokenizer, pool.texts, pool.labels)
    labelled = encode_texts(tokenizer, pool.texts[:9] + pool.texts[-9:], [1] * 9 + [0] * 9)
    return lambda updates=5, seed=0: LabelledAndText(
        labelled, text, tokenizer, updates, batch_size=8, seed=seed, window=3
    )


def test_a_batch_holds_labelled_rows_and_other_text(loader_of):
    batches = list(loader_of())
    assert len(batches) == 5
    for batch in batches:
        clean = batch["labels"] >= 0
        assert (batch["mlm_labels"][clean] == -100).all()
        assert not (batch["input_ids"][clean] == 4).any()  # no [MASK]
        assert int((~clean).sum()) in (8, 144 % 8 or 8)


def test_labelled_rows_depend_on_the_seed_alone(loader_of):
    def labelled(loader):
        batches = list(loader)
        return [batch["input_ids"][batch["labels"] >= 0].tolist() for batch in batches]

    assert labelled(loader_of()) == labelled(loader_of()) != labelled(loader_of(seed=1))


def test_another_seed_draws_other_masks(loader_of):
    one, other = (loader_of(seed=seed).masked.generator.initial_seed() for seed in (0, 1))
    assert one != other


def test_the_cost_announced_is_the_cost_paid(loader_of, tokenizer):
    for weight in (0.0, 0.5):
        model = new_model(tiny_config(tokenizer))
        with FlopMeter(model) as meter:
            train(model, loader_of(), TrainingConfig(mlm_weight=weight, epochs=1))
        announced = loader_flops(model.config, loader_of(), 1, text=weight > 0)
        assert announced == pytest.approx(meter.flops, rel=0.1 if weight else 1e-9)
        assert torch.isfinite(torch.tensor(announced, dtype=torch.float64))
