"""The tagging head against the library's, its batches, and the loop that trains it."""

import pytest
import torch
from tiny import tiny_config
from transformers import BertForTokenClassification

from bift_utils.data.batches import IGNORE_INDEX, TokenCollator
from bift_utils.evaluation.intervals import f1_gap_interval
from bift_utils.evaluation.predict import tag_log_probabilities
from bift_utils.languages.batches import TaggedBatches
from bift_utils.languages.families import HiddenMarkovLanguage
from bift_utils.models.checkpoints import load_model
from bift_utils.models.joint import evaluating, new_model
from bift_utils.runtime import make_generator
from bift_utils.training.loop import train
from bift_utils.training.options import TrainingConfig


@pytest.fixture
def tagger(tokenizer):
    torch.manual_seed(0)
    return new_model(tiny_config(tokenizer, num_labels=3, pooling="token"))


def some_batch():
    labels = torch.tensor([[IGNORE_INDEX, 2, 0, 1], [IGNORE_INDEX, 1, IGNORE_INDEX, IGNORE_INDEX]])
    return {
        "input_ids": torch.tensor([[2, 6, 7, 8], [2, 9, 3, 0]]),
        "attention_mask": torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]]),
        "labels": labels,
    }


def shared_weights(tagger):
    """Our weights without what a tagger of the library lacks: masked-LM head and pooler."""
    return {
        name: value for name, value in tagger.state_dict().items()
        if not name.startswith(("cls.", "bert.pooler."))
    }  # fmt: skip


def test_same_scores_as_the_library(tagger):
    theirs = BertForTokenClassification(tagger.config)
    theirs.load_state_dict(shared_weights(tagger))  # strict: the names agree
    batch = some_batch()
    asked = batch["labels"] != IGNORE_INDEX
    with evaluating(tagger), evaluating(theirs):
        ours = tagger(batch["input_ids"], batch["attention_mask"], classified=asked)
        expected = theirs(batch["input_ids"], batch["attention_mask"]).logits
    assert torch.equal(ours["class_logits"], expected[asked])
    assert ours["class_logits"].shape == (4, 3) and ours["hidden"].shape == (2, 4, 16)


def test_same_loss_as_the_library(tagger):
    from bift_utils.training.loop import training_step

    theirs = BertForTokenClassification(tagger.config)
    theirs.load_state_dict(shared_weights(tagger))
    batch = some_batch()
    with evaluating(tagger), evaluating(theirs):
        ours = training_step(tagger, batch, mlm_weight=0.0)["loss"]
        assert torch.isclose(ours, theirs(**batch).loss)


def test_no_label_at_all_costs_nothing_and_spoils_nothing(tagger):
    from bift_utils.training.loop import training_step

    batch = some_batch()
    batch["labels"] = torch.full_like(batch["labels"], IGNORE_INDEX)
    loss = training_step(tagger, batch, mlm_weight=0.0)["loss"]
    loss.backward()
    assert loss.item() == 0.0
    assert all(torch.isfinite(p.grad).all() for p in tagger.parameters() if p.grad is not None)


def test_scores_only_where_asked(tagger):
    assert set(tagger(torch.tensor([[2, 6, 3]]))) == {"hidden"}


def test_both_objectives_in_one_step(tagger):
    """A batch for tags and blanks at once: the sum of the two losses, by hand."""
    from bift_utils.training.loop import training_step

    batch = some_batch()
    batch["mlm_labels"] = torch.tensor([[-100, 5, -100, -100], [-100, -100, -100, -100]])
    with evaluating(tagger):
        both = training_step(tagger, batch, mlm_weight=0.3)
        alone = [training_step(tagger, batch, w)["loss"] for w in (1.0, 0.0)]
    torch.testing.assert_close(both["loss"], 0.3 * alone[0] + 0.7 * alone[1])


def test_collator_pads_labels_with_no_answer(tokenizer):
    batch = TokenCollator(tokenizer)(
        [
            {"input_ids": [2, 6, 7, 3], "labels": [-100, 0, 1, -100]},
            {"input_ids": [2, 6, 3], "labels": [-100, 2, -100]},
        ]
    )
    assert batch["input_ids"].tolist() == [[2, 6, 7, 3], [2, 6, 3, tokenizer.pad_token_id]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 1], [1, 1, 1, 0]]
    assert batch["labels"].tolist() == [[-100, 0, 1, -100], [-100, 2, -100, -100]]


def test_labels_of_another_length_are_refused(tokenizer):
    with pytest.raises(ValueError, match="Example 1 of the batch has 3 tokens and 2 labels"):
        TokenCollator(tokenizer)(
            [
                {"input_ids": [2, 6, 3], "labels": [-100, 0, -100]},
                {"input_ids": [2, 6, 3], "labels": [0, 1]},
            ]
        )


def test_predictions_are_in_reading_order(tagger):
    batch = some_batch()
    both = tag_log_probabilities(tagger, [batch])
    rows = [{key: value[i : i + 1] for key, value in batch.items()} for i in range(2)]
    assert both.shape == (4, 3) and both.dtype == torch.float64
    assert torch.allclose(both.exp().sum(-1), torch.ones(4, dtype=torch.float64))
    assert torch.allclose(both, tag_log_probabilities(tagger, rows), atol=1e-5)


def test_loaded_encoder_is_the_checkpoints():
    tagger = load_model("bift-mini", 3, pooling="token", dropout=0.0)
    model = load_model("bift-mini")
    for name, value in model.bert.encoder.state_dict().items():
        assert torch.equal(value, tagger.bert.encoder.state_dict()[name])
    assert tagger.classifier.weight.shape == (3, 256) and tagger.dropout.p == 0.0


@pytest.fixture
def language():
    return HiddenMarkovLanguage.random(3, 5, make_generator(1))


def test_tagged_batches_are_the_languages_samples(language):
    batches = list(TaggedBatches(language, 3, 4, 6, make_generator(2)))
    generator = make_generator(2)
    assert len(batches) == 3
    for batch in batches:
        sample = language.sample(4, 6, generator)
        assert torch.equal(batch["input_ids"], sample.tokens)
        assert torch.equal(batch["labels"], sample.states)
        assert (batch["attention_mask"] == 1).all()


def test_the_common_loop_trains_a_tagger(tokenizer):
    """Tags that copy the token: the loop of the sentence classifier must learn them."""
    torch.manual_seed(0)
    config = tiny_config(
        tokenizer, num_labels=4, pooling="token",
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    tagger = new_model(config)
    ids = torch.randint(5, 9, (64, 16, 8), generator=make_generator(3))
    batches = [{"input_ids": i, "attention_mask": torch.ones_like(i), "labels": i - 5} for i in ids]
    train(tagger, batches, TrainingConfig(mlm_weight=0.0, epochs=1, learning_rate=1e-2))
    found = tag_log_probabilities(tagger, batches[:4]).argmax(-1)
    assert (found == (ids[:4] - 5).flatten()).double().mean() > 0.95


def test_f1_gap_is_the_difference_and_its_interval_holds_it():
    from sklearn.metrics import f1_score

    truth = torch.randint(3, (600,), generator=make_generator(1))
    lots = torch.rand(2, 600, generator=make_generator(2))
    one, other = torch.where(lots[0] < 0.2, 0, truth), torch.where(lots[1] < 0.5, 0, truth)
    groups = torch.arange(600) // 10
    gap, low, high = f1_gap_interval(truth, one, other, groups, 1, make_generator(3))
    scores = [f1_score(truth, guess, average=None)[1] for guess in (one, other)]
    assert gap == pytest.approx(scores[0] - scores[1])
    assert 0 < low < gap < high < 0.4
    same = f1_gap_interval(truth, one, one, groups, 1, make_generator(3))
    assert same == (0.0, 0.0, 0.0)


def test_f1_interval_is_that_of_a_plain_loop():
    from sklearn.metrics import f1_score

    truth = torch.randint(2, (120,), generator=make_generator(1))
    one = torch.where(torch.rand(120, generator=make_generator(2)) < 0.3, 1 - truth, truth)
    other, groups = torch.zeros_like(truth), torch.arange(120) // 6
    _, low, high = f1_gap_interval(truth, one, other, groups, 1, make_generator(3), draws=50)
    drawn = []
    for lot in torch.randint(20, (50, 20), generator=make_generator(3)).tolist():
        words = torch.cat([torch.where(groups == group)[0] for group in lot])
        drawn.append(f1_score(truth[words], one[words]))  # the other never says 1, so its F1 is 0
    expected = torch.tensor(drawn).double().quantile(torch.tensor([0.025, 0.975]).double())
    assert [low, high] == pytest.approx(expected.tolist())
