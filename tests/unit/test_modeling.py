import pytest
import torch
from tiny import tiny_config
from transformers import BertForMaskedLM, BertForSequenceClassification

from bift_utils.models.joint import BertForJointTraining, new_model, pool, sinusoidal_positions
from bift_utils.training.losses import masked_lm_loss


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    input_ids = torch.randint(5, 20, (3, 7), generator=generator)
    attention_mask = torch.ones_like(input_ids)
    attention_mask[1, 5:] = 0
    return {"input_ids": input_ids, "attention_mask": attention_mask}


def everywhere(batch):
    return batch["attention_mask"].bool()


def rows(batch):
    return torch.ones(len(batch["input_ids"]), dtype=torch.bool)


@pytest.mark.parametrize("training", [False, True])
def test_masked_lm_head_equals_transformers(tiny_model, batch, training):
    theirs = BertForMaskedLM(tiny_model.config)
    theirs.load_state_dict(tiny_model.state_dict(), strict=False)
    torch.manual_seed(1)
    expected = theirs.train(training)(**batch).logits[everywhere(batch)]
    torch.manual_seed(1)
    ours = tiny_model.train(training)(**batch, masked_positions=everywhere(batch))["mlm_logits"]
    torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("training", [False, True])
def test_sequence_head_equals_transformers(tokenizer, batch, training):
    torch.manual_seed(0)
    model = new_model(tiny_config(tokenizer, num_labels=3, pooling="pooler"))
    theirs = BertForSequenceClassification(model.config)
    theirs.load_state_dict(model.state_dict(), strict=False)
    torch.manual_seed(1)
    expected = theirs.train(training)(**batch).logits
    torch.manual_seed(1)
    ours = model.train(training)(**batch, classified=rows(batch))["class_logits"]
    assert torch.equal(ours, expected)


def test_sparse_head_has_the_loss_and_gradients_of_the_dense_one(tiny_model, batch):
    labels = torch.full_like(batch["input_ids"], -100)
    labels[0, 2], labels[2, 5], labels[2, 6] = 7, 8, 9
    tiny_model.eval()
    dense = BertForMaskedLM(tiny_model.config).eval()
    dense.load_state_dict(tiny_model.state_dict(), strict=False)
    dense_loss = dense(**batch, labels=labels).loss
    dense_loss.backward()
    positions = labels != -100
    sparse_loss = masked_lm_loss(
        tiny_model(**batch, masked_positions=positions)["mlm_logits"], labels[positions]
    )
    sparse_loss.backward()
    torch.testing.assert_close(sparse_loss, dense_loss, rtol=1e-6, atol=1e-6)
    ours = dict(tiny_model.named_parameters())
    compared = 0
    for name, parameter in dense.named_parameters():
        torch.testing.assert_close(ours[name].grad, parameter.grad, rtol=1e-4, atol=1e-7)
        compared += 1
    assert compared > 30


def test_clean_and_masked_rows_in_one_call_are_as_in_two(tiny_model, batch):
    tiny_model.eval()
    both = {key: torch.cat([value, value.flip(0)]) for key, value in batch.items()}
    positions = torch.zeros_like(both["input_ids"], dtype=torch.bool)
    positions[3:, 1] = True
    chosen = torch.arange(6) < 3
    together = tiny_model(**both, masked_positions=positions, classified=chosen)
    clean = tiny_model(**batch, classified=rows(batch))["class_logits"]
    flipped = {key: value.flip(0) for key, value in batch.items()}
    masked = tiny_model(**flipped, masked_positions=positions[3:])["mlm_logits"]
    torch.testing.assert_close(together["class_logits"], clean, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(together["mlm_logits"], masked, rtol=1e-5, atol=1e-6)


def test_the_output_matrix_is_the_token_embeddings(tiny_model):
    decoder = tiny_model.cls.predictions.decoder
    assert decoder.weight is tiny_model.bert.embeddings.word_embeddings.weight
    assert decoder.bias is tiny_model.cls.predictions.bias


def test_a_head_that_is_not_asked_for_is_absent(tiny_model, batch):
    assert set(tiny_model(**batch)) == {"hidden"}
    assert tiny_model(**batch)["hidden"].shape == (3, 7, 16)


def test_poolings_by_hand():
    hidden = torch.tensor([[[1.0, 2.0], [3.0, 6.0], [100.0, 100.0]]])  # (1, 3, 2)
    mask = torch.tensor([[1, 1, 0]])
    assert pool(hidden, mask, "cls", None).tolist() == [[1.0, 2.0]]
    assert pool(hidden, mask, "mean", None).tolist() == [[2.0, 4.0]]
    assert pool(hidden, mask, "pooler", lambda h: 10 * h[:, 0]).tolist() == [[10.0, 20.0]]


def test_padding_changes_nothing(tokenizer, batch):
    for pooling in ("cls", "mean", "pooler"):
        torch.manual_seed(0)
        model = new_model(tiny_config(tokenizer, pooling=pooling)).eval()
        short = {key: value[1:2, :5] for key, value in batch.items()}
        long = {key: value[1:2] for key, value in batch.items()}
        one = torch.ones(1, dtype=torch.bool)
        torch.testing.assert_close(
            model(**short, classified=one)["class_logits"],
            model(**long, classified=one)["class_logits"],
            rtol=1e-5, atol=1e-6,
        )  # fmt: skip


def test_rows_longer_than_the_positions_are_refused(tiny_model):
    with pytest.raises(ValueError, match="rows have 17 tokens, but the model has 16 positions"):
        tiny_model(torch.full((1, 17), 5))


def test_unknown_pooling_is_refused(tokenizer):
    with pytest.raises(ValueError, match="pooling was given as 'max'"):
        BertForJointTraining(tiny_config(tokenizer, pooling="max"))


def test_sinusoidal_positions_by_hand():
    table = sinusoidal_positions(3, 4)
    assert table[0].tolist() == [0.0, 1.0, 0.0, 1.0]
    two = torch.tensor([2.0, 2.0, 0.02, 0.02])
    expected = torch.stack([two[0].sin(), two[1].cos(), two[2].sin(), two[3].cos()])
    torch.testing.assert_close(table[2], expected)
