import pytest
import torch
from accelerate import Accelerator
from tiny import tiny_config

from bift_utils.data.batches import IGNORE_INDEX, encode_texts
from bift_utils.masking.collators import JointCollator
from bift_utils.models.joint import new_model
from bift_utils.runtime import make_generator
from bift_utils.training.loop import training_step, update
from bift_utils.training.options import TrainingConfig
from bift_utils.training.pieces import count_answers, split_batch

STILL = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}


class Several(Accelerator):
    """An accelerator that claims to be one of several processes and exchanges nothing."""

    world, rank = 1, 0
    num_processes = property(lambda self: self.world)
    process_index = property(lambda self: self.rank)

    def reduce(self, tensor, reduction="mean", scale=1.0):
        assert reduction == "sum"
        return tensor


def gradients(tokenizer, batch, weight, accumulate=1, world=1, rank=0, **options):
    torch.manual_seed(0)
    model = new_model(tiny_config(tokenizer, **STILL, **options))
    accelerator = Several(cpu=True)
    accelerator.world, accelerator.rank = world, rank
    kept = {}

    class Optimizer:
        def step(self):
            kept.update({n: p.grad for n, p in model.named_parameters() if p.grad is not None})

        def zero_grad(self):
            pass

    config = TrainingConfig(accumulate=accumulate, max_grad_norm=1e9)
    return update(model, Optimizer(), batch, config, accelerator, weight), kept


@pytest.fixture
def batch(tokenizer, texts, labels):
    encoded = encode_texts(tokenizer, texts[:7], labels[:7])
    collator = JointCollator(tokenizer, make_generator(1), mlm_probability=0.3)
    return collator([encoded[i] for i in range(7)])


def test_rows_are_dealt_out_once_each_and_padding_is_cut(batch):
    parts = split_batch(batch, 4)
    for i, part in enumerate(parts):
        rows = batch["input_ids"][i::4]
        width = part["input_ids"].shape[1]
        assert torch.equal(part["input_ids"], rows[:, :width])
        assert not rows[:, width:].any()  # [PAD] is 0
        assert part["attention_mask"].sum(1).max() == width
        assert torch.equal(part["labels"], batch["labels"][i::4])
    assert sum(len(part["labels"]) for part in parts) == 14
    for name, count in count_answers(batch).items():
        assert sum(count_answers(part)[name] for part in parts) == count > 0


def test_one_part_is_the_batch_itself(batch):
    assert split_batch(batch, 1) == [batch]
    with pytest.raises(ValueError, match="split into 0 parts; expected 1 or more"):
        split_batch(batch, 0)


def test_a_part_without_rows_asks_nothing(batch):
    for part in split_batch(batch, 16)[14:]:
        assert len(part["input_ids"]) == 1
        assert count_answers(part) == {"mlm_loss": 0, "task_loss": 0}
    assert count_answers(batch)["task_loss"] == 7  # the batch itself was not changed


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("accumulate", [2, 3, 5, 20])
def test_any_number_of_passes_gives_the_gradient_of_the_whole_batch(
    tokenizer, batch, weight, accumulate
):
    whole, expected = gradients(tokenizer, batch, weight)
    losses, found = gradients(tokenizer, batch, weight, accumulate)
    assert losses.keys() == whole.keys()
    for name, value in whole.items():
        assert losses[name] == pytest.approx(value, rel=1e-6, abs=1e-6)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_the_processes_average_to_the_gradient_of_the_whole_batch(tokenizer, batch, accumulate):
    whole, expected = gradients(tokenizer, batch, 0.3)
    ranks = [gradients(tokenizer, batch, 0.3, accumulate, world=3, rank=r) for r in range(3)]
    for name, value in whole.items():
        assert sum(losses[name] for losses, _ in ranks) == pytest.approx(value, rel=1e-5)
    for name, value in expected.items():
        mean = sum(found[name] for _, found in ranks) / 3
        torch.testing.assert_close(mean, value, rtol=1e-5, atol=1e-6)


def test_a_mean_of_means_would_be_wrong_here(tokenizer, batch):
    """Guard of the test above: the parts hold different numbers of hidden tokens."""
    counts = [count_answers(part)["mlm_loss"] for part in split_batch(batch, 3)]
    assert len(set(counts)) > 1
    whole, _ = gradients(tokenizer, batch, 0.3)
    torch.manual_seed(0)
    model = new_model(tiny_config(tokenizer, **STILL))
    means = [training_step(model, part, 0.3)["mlm_loss"] for part in split_batch(batch, 3)]
    assert abs(sum(means) / 3 - whole["mlm_loss"]) > 1e-3


def test_one_pass_is_the_training_step_bit_for_bit(tokenizer, batch):
    torch.manual_seed(0)
    model = new_model(tiny_config(tokenizer, **STILL))
    losses = training_step(model, batch, 0.3)
    losses["loss"].backward()
    ours, found = gradients(tokenizer, batch, 0.3)
    assert all(ours[name] == float(losses[name]) for name in losses)
    for name, parameter in model.named_parameters():
        assert (name in found) == (parameter.grad is not None)
        assert parameter.grad is None or torch.equal(found[name], parameter.grad)


def test_a_part_divided_by_the_answers_of_the_whole_is_its_share(tokenizer, batch):
    torch.manual_seed(0)
    model = new_model(tiny_config(tokenizer, **STILL))
    whole = training_step(model, batch, 0.3)
    answers = count_answers(batch)
    shares = [training_step(model, part, 0.3, answers) for part in split_batch(batch, 3)]
    for name, value in whole.items():
        torch.testing.assert_close(sum(share[name] for share in shares), value)


def test_left_padding_is_kept(batch):
    """The columns that hold real tokens at the right are not cut, whatever stands at the left."""
    flipped = {name: v.flip(1) if v.ndim == 2 else v for name, v in batch.items()}
    for part in split_batch(flipped, 2):
        assert part["input_ids"].shape == (7, batch["input_ids"].shape[1])
    parts = [count_answers(part) for part in split_batch(flipped, 2)]
    whole = count_answers(batch)
    assert {name: sum(part[name] for part in parts) for name in whole} == whole


def test_a_batch_with_no_answers_gives_zero(tokenizer, batch):
    silent = {**batch, "mlm_labels": torch.full_like(batch["mlm_labels"], IGNORE_INDEX),
              "labels": torch.full_like(batch["labels"], IGNORE_INDEX)}  # fmt: skip
    model = new_model(tiny_config(tokenizer, **STILL))
    losses = training_step(model, silent, 0.3, count_answers(silent))
    assert [float(value) for value in losses.values()] == [0.0, 0.0, 0.0]
