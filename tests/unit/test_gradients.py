import pytest
import torch
from tiny import tiny_config
from torch.nn import functional

from bift_utils.data.batches import encode_texts
from bift_utils.evaluation.gradients import batch_cosines, gradient_cosines, layer_parameters
from bift_utils.masking.collators import JointCollator
from bift_utils.models.joint import new_model
from bift_utils.models.sharing import share_layers
from bift_utils.runtime import make_generator, set_seed
from bift_utils.training.loop import training_step


@pytest.fixture
def batch(tokenizer, texts, labels):
    encoded = encode_texts(tokenizer, texts, labels)
    collator = JointCollator(tokenizer, make_generator(1), mlm_probability=0.4)
    return collator([encoded[i] for i in range(len(encoded))])


@pytest.fixture
def model(tokenizer):
    set_seed(0)
    return new_model(tiny_config(tokenizer, pooling="mean"))


def flat_gradient(model, loss, part):
    model.zero_grad()
    loss().backward()
    return torch.cat(
        [(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in part]
    ).double()


def test_cosines_are_those_of_two_separate_backward_passes(model, batch):
    found = gradient_cosines(model, batch)
    model.eval()
    asked, rows = batch["mlm_labels"] != -100, batch["labels"] != -100
    inputs = (batch["input_ids"], batch["attention_mask"])

    def mlm():
        logits = model(*inputs, masked_positions=asked)["mlm_logits"]
        return functional.cross_entropy(logits, batch["mlm_labels"][asked])

    def task():
        logits = model(*inputs, classified=rows)["class_logits"]
        return 3.0 * functional.cross_entropy(logits, batch["labels"][rows])  # scale is nothing

    parts = layer_parameters(model)
    assert list(found) == list(parts) == ["embeddings", "layer 1", "layer 2"]
    for name, part in parts.items():
        a, b = flat_gradient(model, mlm, part), flat_gradient(model, task, part)
        assert found[name] == pytest.approx(float(a @ b / a.norm() / b.norm()), abs=1e-5)
        assert -1 <= found[name] <= 1


def test_weights_gradients_and_mode_stay_as_they_were(model, batch):
    model.train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    gradient_cosines(model, batch)
    assert model.training and all(p.grad is None for p in model.parameters())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_two_halves_have_no_common_gradient(model, batch):
    with pytest.raises(
        ValueError, match="of a PartlySharedModel were asked for; expected a BertForJoint"
    ):
        gradient_cosines(share_layers(model, 0), batch)


def test_one_loss_on_one_batch_twice_has_cosine_1_and_on_two_batches_that_of_its_gradients(
    model, batch, tokenizer, texts, labels
):
    same = batch_cosines(model, batch, batch, "task_loss")
    assert list(same.values()) == pytest.approx([1.0] * len(same))
    encoded = encode_texts(tokenizer, texts, labels)
    collator = JointCollator(tokenizer, make_generator(7), mlm_probability=0.4)
    other = collator([encoded[i] for i in range(len(encoded))])
    found = batch_cosines(model, batch, other, "mlm_loss")
    model.eval()
    losses = [lambda b=b: training_step(model, b, 0.5)["mlm_loss"] for b in (batch, other)]
    for name, part in layer_parameters(model).items():
        a, b = (flat_gradient(model, loss, part) for loss in losses)
        assert found[name] == pytest.approx(float(a @ b / a.norm() / b.norm()), abs=1e-5)
        assert found[name] < 0.999


def test_an_unknown_loss_is_named(model, batch):
    with pytest.raises(ValueError, match="The loss 'mlm' was given"):
        batch_cosines(model, batch, batch, "mlm")
