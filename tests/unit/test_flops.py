import pytest
import torch
from tiny import tiny_config
from torch.utils.flop_counter import FlopCounterMode

from bift_utils.data.batches import encode_texts, make_loader
from bift_utils.evaluation.flops import FlopMeter, forward_flops
from bift_utils.masking.collators import JointCollator
from bift_utils.models.joint import new_model
from bift_utils.runtime import make_generator
from bift_utils.training.loop import train, training_step
from bift_utils.training.options import TrainingConfig
from bift_utils.training.pieces import needed_rows


@pytest.mark.parametrize("pooling", ["mean", "cls", "pooler"])
def test_the_count_is_that_of_the_library(tokenizer, texts, labels, pooling):
    config = tiny_config(tokenizer, attn_implementation="eager", num_labels=3)
    config.pooling = pooling
    model = new_model(config)
    encoded = encode_texts(tokenizer, texts, labels)
    collator = JointCollator(tokenizer, make_generator(0), mlm_probability=0.4)
    batch = needed_rows(next(iter(make_loader(encoded, collator, 8))), 0.3)
    with FlopMeter(model.train()) as meter, FlopCounterMode(display=False) as counter:
        training_step(model, batch, 0.3)["loss"].backward()
    unused = 2 * len(batch["labels"]) * 16 * 16  # `BertModel` runs its pooler in any case
    assert meter.flops == counter.get_total_flops() - unused
    assert meter.tokens == int(batch["attention_mask"].sum())


def test_heads_that_are_not_asked_cost_nothing(tokenizer):
    config = tiny_config(tokenizer)
    alone = forward_flops(config, rows=2, tokens=5)
    assert forward_flops(config, 2, 5, blanks=1) - alone == 2 * 16 * (16 + len(tokenizer))
    assert forward_flops(config, 4, 5) == 2 * alone


def test_only_training_passes_are_counted(tokenizer, texts, labels):
    model = new_model(tiny_config(tokenizer))
    encoded = encode_texts(tokenizer, texts, labels)
    loader = list(make_loader(encoded, JointCollator(tokenizer, make_generator(0)), 4))

    def evaluate(model):
        model.eval()
        model(torch.ones(2, 3, dtype=torch.long), torch.ones(2, 3))
        return {"loss": 0.0}

    with FlopMeter(model) as meter:
        train(model, loader, TrainingConfig(epochs=1), evaluate)
    # each sentence once clean, and once masked if anything was hidden in it
    read = [needed_rows(batch, 0.3)["attention_mask"] for batch in loader]
    assert meter.tokens == sum(int(mask.sum()) for mask in read) > sum(encoded.lengths)
    assert meter.rows == sum(map(len, read)) > len(encoded)
    before = meter.flops
    model.train()
    model(torch.ones(2, 3, dtype=torch.long), torch.ones(2, 3))
    assert meter.flops == before  # closed
