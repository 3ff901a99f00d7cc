"""What moves an output, and texts with one side taken away."""

import pytest
import torch

from bift_utils.evaluation.predict import evaluate_masked_lm
from bift_utils.evaluation.sides import SIDES, answer_each, influence, keep_sides
from bift_utils.models.joint import evaluating, small_bert

T, V = 6, 9


def read(model):
    return lambda ids: model(ids)["hidden"]


@pytest.mark.parametrize("causal", [True, False])
def test_influence_follows_the_mask(causal):
    torch.manual_seed(0)
    model = small_bert(V, T, width=16, causal=causal).eval()
    table = influence(read(model), torch.arange(T), torch.arange(T) + 1)
    expected = torch.ones(T, T, dtype=torch.bool)
    assert torch.equal(table > 1e-4, expected.tril() if causal else expected)


def test_influence_is_the_relative_change():
    vectors = torch.tensor([[1.0, 0.0], [0.0, 2.0], [3.0, 4.0]])

    def encode(ids):  # each position gets its own vector plus half of the one before
        own = vectors[ids]
        return own + 0.5 * own.roll(1, 1)

    table = influence(encode, torch.tensor([0, 1, 2]), torch.tensor([1, 0, 2]))
    first = vectors[0] + 0.5 * vectors[2]
    second = vectors[1] + 0.5 * vectors[0]
    change = (vectors[1] - vectors[0]).norm()
    assert float(table[0, 0]) == pytest.approx(float(change / first.norm()))
    assert float(table[1, 0]) == pytest.approx(float(0.5 * change / second.norm()))
    assert float(table[2, 0]) == 0.0  # two places away
    assert (table[:, 2] == 0).all()  # replaced by itself


def test_influence_changes_nothing():
    ids, others = torch.arange(T), torch.arange(T).flip(0)
    kept = ids.clone(), others.clone()
    influence(lambda rows: rows[..., None].float() + 1, ids, others)
    assert torch.equal(ids, kept[0]) and torch.equal(others, kept[1])


def test_influence_wants_two_rows_of_one_length():
    with pytest.raises(ValueError, match="expected two rows of the same length"):
        influence(read(None), torch.arange(4), torch.arange(5))
    with pytest.raises(ValueError, match="expected two rows of the same length"):
        influence(read(None), torch.zeros(2, 3), torch.zeros(2, 3))


def by_hand(tokens, at, keep, tokenizer):
    """Build one row of `keep_sides` with lists."""
    mask = [tokenizer.mask_token_id]
    left, right = tokens[:at], tokens[at + 1 :]
    left = left if keep in ("both", "left") else mask * len(left)
    right = right if keep in ("both", "right") else mask * len(right)
    row = [tokenizer.cls_token_id, *left, *mask, *right, tokenizer.sep_token_id]
    return row, len(left) + 1


@pytest.mark.parametrize("keep", SIDES)
def test_sides_are_kept_as_by_hand(tokenizer, keep):
    windows = torch.tensor([[50, 51, 52, 53, 54], [60, 61, 62, 63, 64], [70, 71, 72, 73, 74]])
    positions = torch.tensor([2, 0, 4])
    kept = windows.clone()
    batch = keep_sides(windows, positions, keep, tokenizer)
    for i, (window, at) in enumerate(zip(windows.tolist(), positions.tolist(), strict=True)):
        row, place = by_hand(window, at, keep, tokenizer)
        real = batch["attention_mask"][i].bool()
        assert batch["input_ids"][i][real].tolist() == row
        asked = (batch["mlm_labels"][i] != -100).nonzero()[:, 0]
        assert asked.tolist() == [place]
        assert int(batch["mlm_labels"][i, place]) == window[at]
    assert torch.equal(windows, kept)


def test_wrong_sides_and_positions_are_named(tokenizer):
    windows = torch.full((2, 5), 50)
    with pytest.raises(ValueError, match="keep was given as 'up'; expected one of"):
        keep_sides(windows, torch.tensor([1, 1]), "up", tokenizer)
    with pytest.raises(ValueError, match="go from 1 to 5; expected 0 to 4"):
        keep_sides(windows, torch.tensor([1, 5]), "both", tokenizer)


def test_each_answer_adds_up_to_the_mean(tiny_model, tokenizer):
    generator = torch.Generator().manual_seed(0)
    windows = torch.randint(5, 15, (7, 9), generator=generator)
    positions = torch.randint(9, (7,), generator=generator)
    batch = keep_sides(windows, positions, "left", tokenizer)
    losses, best = answer_each(tiny_model, batch, size=3)
    whole = evaluate_masked_lm(tiny_model, [batch])
    assert losses.shape == best.shape == (7,)
    assert float(losses.mean()) == pytest.approx(whole["loss"], rel=1e-5)
    answers = windows.gather(1, positions[:, None])[:, 0]
    assert float((best == answers).double().mean()) == pytest.approx(whole["accuracy"])
    with evaluating(tiny_model):  # one row alone gives the same loss
        row = {key: value[:1] for key, value in batch.items()}
        assert float(answer_each(tiny_model, row)[0]) == pytest.approx(float(losses[0]), rel=1e-4)
