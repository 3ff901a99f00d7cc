import math

import pytest
import torch

from bift_utils.data.batches import IGNORE_INDEX
from bift_utils.training.losses import joint_loss, masked_lm_loss, sequence_loss


def test_masked_lm_loss_by_hand():
    logits = torch.tensor([[0.0, 0.0], [math.log(3.0), 0.0], [5.0, -5.0]])
    labels = torch.tensor([0, 1, IGNORE_INDEX])
    expected = (math.log(2) + math.log(4)) / 2  # P = 1/2 and 1/4; the third has no answer
    assert masked_lm_loss(logits, labels).item() == pytest.approx(expected, rel=1e-6)


def test_masked_lm_loss_scores_each_position_against_itself():
    labels = torch.tensor([[3, 1, 2, 0]])
    copies = 50.0 * torch.nn.functional.one_hot(labels, 4).float()
    assert masked_lm_loss(copies, labels).item() < 1e-6
    assert masked_lm_loss(copies.roll(1, dims=1), labels).item() > 10  # shifted answers are wrong


def test_token_zero_is_an_answer_like_any_other():
    logits = torch.tensor([[0.0, math.log(3.0)]])
    assert masked_lm_loss(logits, torch.tensor([0])).item() == pytest.approx(math.log(4), rel=1e-6)


@pytest.mark.parametrize("shape", [(0, 5), (4, 5)])
def test_nothing_masked_gives_zero_loss_and_zero_gradient(shape):
    logits = torch.randn(shape, requires_grad=True)
    loss = masked_lm_loss(logits, torch.full(shape[:1], IGNORE_INDEX))
    loss.backward()
    assert loss.item() == 0.0
    assert torch.count_nonzero(logits.grad) == 0
    assert torch.isfinite(logits.grad).all()


def test_sequence_loss_is_the_mean_over_labelled_sentences():
    logits = torch.tensor([[0.0, 0.0], [0.0, math.log(3.0)], [9.0, 0.0]])
    labels = torch.tensor([0, 1, IGNORE_INDEX])
    expected = (math.log(2) + math.log(4 / 3)) / 2
    assert sequence_loss(logits, labels).item() == pytest.approx(expected, rel=1e-6)
    assert sequence_loss(logits[:0], labels[:0]).item() == 0.0


@pytest.mark.parametrize("loss", [masked_lm_loss, sequence_loss])
def test_a_single_answer_is_its_own_mean(loss):
    logits = torch.tensor([[0.0, math.log(3.0)], [9.0, 0.0]])
    labels = torch.tensor([0, IGNORE_INDEX])
    assert loss(logits, labels).item() == pytest.approx(math.log(4), rel=1e-6)


def test_joint_loss_weights_and_limits():
    mlm, task, nan = torch.tensor(4.0), torch.tensor(0.5), torch.tensor(float("nan"))
    assert joint_loss(mlm, task, 0.25).item() == pytest.approx(1.375)
    assert joint_loss(nan, task, 0.0) is task
    assert joint_loss(mlm, nan, 1.0) is mlm
    assert joint_loss(None, task, 0.0) is task


@pytest.mark.parametrize("weight", [-0.1, 1.1, float("nan")])
def test_weight_outside_zero_and_one_is_refused(weight):
    with pytest.raises(ValueError, match="MLM weight λ was given as .* expected a number from 0"):
        joint_loss(torch.tensor(1.0), torch.tensor(1.0), weight)


def test_a_missing_loss_with_weight_is_refused():
    with pytest.raises(ValueError, match="got no task loss although its weight is 0.7"):
        joint_loss(torch.tensor(1.0), None, 0.3)


def test_shapes_that_do_not_match_are_refused():
    with pytest.raises(
        ValueError, match=r"labels of shape \(3,\); expected labels of shape \(4,\)"
    ):
        masked_lm_loss(torch.zeros(4, 5), torch.zeros(3, dtype=torch.long))
    with pytest.raises(ValueError, match="one label per row"):
        sequence_loss(torch.zeros(4, 2), torch.zeros(3, dtype=torch.long))


@pytest.mark.parametrize("loss", [masked_lm_loss, sequence_loss])
@pytest.mark.parametrize("label", [2, -1, -99])
def test_a_label_out_of_range_is_named(loss, label):
    with pytest.raises(ValueError, match=f"got the label {label}; expected 0 to 1, or -100"):
        loss(torch.zeros(2, 2), torch.tensor([0, label]))


@pytest.mark.parametrize("loss", [masked_lm_loss, sequence_loss])
def test_labels_of_any_integer_type_and_shape_count_alike(loss):
    logits = torch.randn(3, 4, 4, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([[0, 1, 2, 3], [3, 3, IGNORE_INDEX, 0], [1, 1, 1, IGNORE_INDEX]])
    expected = loss(logits.flatten(0, 1), labels.flatten())
    assert torch.equal(loss(logits, labels), expected)
    assert torch.equal(loss(logits, labels.int()), expected)
    with pytest.raises(ValueError, match=r"torch\.float32; expected whole numbers"):
        loss(logits, labels.float())


@pytest.mark.parametrize("weight", ["0.3", None, True])
def test_a_weight_that_is_no_number_is_refused(weight):
    with pytest.raises(ValueError, match="MLM weight λ was given as"):
        joint_loss(torch.tensor(1.0), torch.tensor(1.0), weight)
