import copy

import pytest
import torch
from tiny import tiny_config

from bift_utils.data.batches import make_loader
from bift_utils.evaluation.metrics import evaluate_sequence
from bift_utils.evaluation.predict import evaluate_masked_lm, predict_classes
from bift_utils.masking.collators import JointCollator, MaskedLMCollator, SequenceCollator
from bift_utils.models.joint import new_model
from bift_utils.models.sharing import PartlySharedModel, independent_parts, share_layers
from bift_utils.runtime import make_generator, set_seed
from bift_utils.training.loop import train, training_step
from bift_utils.training.options import TrainingConfig
from bift_utils.training.pieces import count_answers


def make_model(tokenizer, **options):
    set_seed(0)
    return new_model(tiny_config(tokenizer, pooling="mean", **options))


def joint_batch(tokenizer, encoded, **options):
    collator = JointCollator(tokenizer, make_generator(1), mlm_probability=0.3, **options)
    return collator([encoded[i] for i in range(8)])


def loader(tokenizer, encoded, weight, **options):
    collator = JointCollator(tokenizer, make_generator(1), mlm_probability=0.3, **options)
    return make_loader(encoded, collator, 8, seed=0)


def call(model, batch):
    return model(
        batch["input_ids"], batch["attention_mask"],
        masked_positions=batch["mlm_labels"] != -100, classified=batch["labels"] != -100,
    )  # fmt: skip


@pytest.mark.parametrize("shared", [0, 1])
@pytest.mark.parametrize("classifier_input", ["clean", "masked"])
def test_at_the_start_the_split_model_answers_as_the_whole_one(
    tokenizer, encoded, shared, classifier_input
):
    whole = make_model(tokenizer).eval()
    split = share_layers(copy.deepcopy(whole), shared).eval()
    batch = joint_batch(tokenizer, encoded, classifier_input=classifier_input)
    expected, found = call(whole, batch), call(split, batch)
    assert set(found) == set(expected)
    for name in ("mlm_logits", "class_logits"):
        torch.testing.assert_close(found[name], expected[name])
    used = (batch["attention_mask"] == 1).unsqueeze(-1)
    torch.testing.assert_close(found["hidden"] * used, expected["hidden"] * used)


def test_evaluation_takes_the_split_model_as_any_other(tokenizer, encoded):
    whole = make_model(tokenizer)
    split = share_layers(copy.deepcopy(whole), 1)
    plain = list(make_loader(encoded, SequenceCollator(tokenizer), 8, shuffle=False))
    hide = MaskedLMCollator(tokenizer, make_generator(3), mlm_probability=0.4)
    blanks = list(make_loader(encoded, hide, 8, shuffle=False))
    assert evaluate_sequence(split, plain) == pytest.approx(evaluate_sequence(whole, plain))
    assert evaluate_masked_lm(split, blanks) == pytest.approx(evaluate_masked_lm(whole, blanks))


def names_of(parameters, model):
    ids = {id(p) for p in parameters}
    return {name for name, p in model.named_parameters() if id(p) in ids}


def test_one_shared_layer_gets_both_gradients_and_the_upper_ones_their_own(tokenizer, encoded):
    split = share_layers(make_model(tokenizer), 1)
    task, mlm = split.task_half.bert, split.mlm_half.bert
    assert task.embeddings is mlm.embeddings
    assert task.encoder.layer[0] is mlm.encoder.layer[0]
    assert task.encoder.layer[1] is not mlm.encoder.layer[1]
    decoder = split.mlm_half.cls.predictions.decoder.weight
    assert decoder is task.embeddings.word_embeddings.weight  # still tied
    batch = joint_batch(tokenizer, encoded)
    losses = training_step(split.eval(), batch, 0.3)
    shared = task.encoder.layer[0].output.dense.weight
    g_mlm = torch.autograd.grad(losses["mlm_loss"], shared, retain_graph=True)[0]
    g_task = torch.autograd.grad(losses["task_loss"], shared, retain_graph=True)[0]
    losses["loss"].backward()
    torch.testing.assert_close(shared.grad, 0.3 * g_mlm + 0.7 * g_task)
    assert g_mlm.abs().max() > 0 and g_task.abs().max() > 0
    upper = task.encoder.layer[1].output.dense.weight
    again = training_step(split, batch, 0.3)
    own = torch.autograd.grad(again["task_loss"], upper, retain_graph=True)[0]
    torch.testing.assert_close(upper.grad, 0.7 * own)
    unused = torch.autograd.grad(again["mlm_loss"], upper, allow_unused=True)[0]
    assert unused is None


def test_with_nothing_shared_no_parameter_belongs_to_both(tokenizer, encoded):
    split = share_layers(make_model(tokenizer), 0)
    first, second = independent_parts(split)
    assert not {id(p) for p in first} & {id(p) for p in second}
    assert len(first) + len(second) == len(list(split.parameters()))
    losses = training_step(split, joint_batch(tokenizer, encoded), 0.3)
    for name, others in (("mlm_loss", first), ("task_loss", second)):
        found = torch.autograd.grad(losses[name], others, retain_graph=True, allow_unused=True)
        assert all(gradient is None for gradient in found)


def test_what_shares_something_is_one_part(tokenizer):
    assert len(independent_parts(make_model(tokenizer))) == 1
    assert len(independent_parts(share_layers(make_model(tokenizer), 1))) == 1


def trained(tokenizer, encoded, weight, shared, seed=5, **options):
    model = share_layers(make_model(tokenizer), shared)  # with dropout
    config = TrainingConfig(
        mlm_weight=weight, epochs=3, learning_rate=1e-2, max_grad_norm=0.5, **options
    )
    set_seed(seed)
    train(model, loader(tokenizer, encoded, weight), config)
    return model


def test_nothing_shared_nothing_gained_bit_for_bit(tokenizer, encoded):
    """The negative control: the task's half is that of plain fine-tuning, whatever λ."""
    plain = trained(tokenizer, encoded, 0.0, None)
    halves = {w: trained(tokenizer, encoded, w, 0) for w in (0.0, 0.1, 0.5, 0.952)}
    alternating = trained(tokenizer, encoded, 0.5, 0, schedule="alternating")
    expected = plain.state_dict()
    for weight, model in halves.items():
        for name, value in model.task_half.state_dict().items():
            assert torch.equal(value, expected[name]), (weight, name)
    assert torch.equal(halves[0.1].mlm_half.cls.predictions.transform.dense.weight,
                       halves[0.5].mlm_half.cls.predictions.transform.dense.weight)  # fmt: skip
    moved = halves[0.5].mlm_half.bert.encoder.layer[0].output.dense.weight
    assert not torch.equal(moved, halves[0.0].mlm_half.bert.encoder.layer[0].output.dense.weight)
    # alternating 1 : 1, a task update comes at the same point of the rise and fall of the rate
    for name, value in alternating.task_half.state_dict().items():
        assert torch.equal(value, expected[name]), name


@pytest.mark.parametrize("shared", [None, 1])
def test_the_control_can_fail(tokenizer, encoded, shared):
    """With anything shared λ does change the task's weights: the control measures something."""
    one, two = (trained(tokenizer, encoded, w, shared) for w in (0.1, 0.5))
    heads = [getattr(model, "task_half", model).classifier.weight for model in (one, two)]
    assert not torch.equal(*heads)


def test_one_clipping_over_both_halves_would_spoil_the_control(tokenizer, encoded, monkeypatch):
    plain = trained(tokenizer, encoded, 0.0, None)
    monkeypatch.setattr(
        "bift_utils.training.loop.independent_parts", lambda model: [list(model.parameters())]
    )
    spoilt = trained(tokenizer, encoded, 0.5, 0)
    assert not torch.equal(spoilt.task_half.classifier.weight, plain.classifier.weight)


def test_dropout_of_the_other_half_uses_no_random_numbers_of_the_task(tokenizer, encoded):
    split = share_layers(make_model(tokenizer), 0).train()
    batch = joint_batch(tokenizer, encoded)
    clean = {key: value[:8] for key, value in batch.items()}
    states = []
    for rows in (batch, clean):
        set_seed(9)
        call(split, rows)
        states.append(torch.get_rng_state())
    assert torch.equal(*states)


def test_all_layers_is_the_model_itself(tokenizer):
    model = make_model(tokenizer)
    assert share_layers(model, None) is model and share_layers(model, 2) is model
    assert isinstance(share_layers(model, 1), PartlySharedModel)


@pytest.mark.parametrize("shared", [-1, 3])
def test_more_layers_than_there_are_cannot_be_shared(tokenizer, shared):
    message = f"shared_layers was given as {shared}; expected 0 to 2, because the encoder has 2"
    with pytest.raises(ValueError, match=message):
        share_layers(make_model(tokenizer), shared)
    with pytest.raises(ValueError, match=message):
        PartlySharedModel(make_model(tokenizer), shared)


def test_a_batch_with_nothing_hidden_does_no_harm(tokenizer, encoded):
    split = share_layers(make_model(tokenizer), 0)
    batch = joint_batch(tokenizer, encoded, classifier_input="masked")
    batch["mlm_labels"].fill_(-100)
    losses = training_step(split, batch, 0.3)
    losses["loss"].backward()
    assert losses["mlm_loss"].item() == 0.0
    assert predict_classes(split, [batch]).shape == (8, 2)


@pytest.mark.parametrize("shared", [0, 1])
def test_a_part_without_a_classified_row_is_no_obstacle(tokenizer, encoded, shared):
    model = share_layers(new_model(tiny_config(tokenizer)), shared)
    batch = joint_batch(tokenizer, encoded)
    masked = {name: value[8:] for name, value in batch.items()}
    losses = training_step(model, masked, 0.3, count_answers(batch))
    assert losses["task_loss"].item() == 0.0 and losses["mlm_loss"].item() > 0
    losses["loss"].backward()


def test_a_model_that_labels_tokens_is_not_shared_in_part(tokenizer):
    model = new_model(tiny_config(tokenizer, pooling="token"))
    assert share_layers(model, None) is model
    with pytest.raises(ValueError, match="labels tokens.* Share all layers"):
        share_layers(model, 1)
