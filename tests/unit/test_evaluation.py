import math

import numpy
import pytest
import torch
from scipy import stats
from sklearn.metrics import confusion_matrix, f1_score

from bift_utils.data.batches import IGNORE_INDEX, encode_texts, make_loader
from bift_utils.evaluation.ask import fill_blank, judge_texts
from bift_utils.evaluation.baselines import bag_of_words_probabilities, majority_accuracy
from bift_utils.evaluation.intervals import (
    holm,
    macro_f1_interval,
    p_value,
    prediction_interval,
    seed_interval,
    share_interval,
    two_way_interval,
    verdict,
)
from bift_utils.evaluation.metrics import classification_metrics, evaluate_sequence, macro_f1
from bift_utils.evaluation.predict import (
    evaluate_masked_lm,
    predict_classes,
    tag_log_probabilities,
)
from bift_utils.masking.collators import MaskedLMCollator, SequenceCollator
from bift_utils.models.joint import evaluating
from bift_utils.runtime import make_generator


class TableModel(torch.nn.Module):
    """Answers a blank with the row of a table that its token id names."""

    device = torch.device("cpu")

    def __init__(self, table):
        super().__init__()
        self.table = torch.tensor(table)

    def forward(self, input_ids, attention_mask, masked_positions):
        return {"mlm_logits": self.table[input_ids[masked_positions]]}


def masked_batch(input_ids, labels):
    ids = torch.tensor([input_ids])
    return {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "mlm_labels": torch.tensor([labels]),
    }


# modes


@pytest.mark.parametrize("training", [True, False])
def test_the_mode_is_restored(tiny_model, training):
    tiny_model.train(training)
    with evaluating(tiny_model) as model:
        assert model is tiny_model
        assert not any(module.training for module in model.modules())
        assert not torch.is_grad_enabled()
    assert all(module.training == training for module in tiny_model.modules())
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("training", [True, False])
def test_the_mode_is_restored_after_an_exception(tiny_model, training):
    tiny_model.train(training)
    with pytest.raises(KeyboardInterrupt), evaluating(tiny_model):
        raise KeyboardInterrupt
    assert tiny_model.training == tiny_model.bert.training == training
    assert torch.is_grad_enabled()


# the masked-LM head


def test_loss_and_accuracy_are_averaged_over_blanks_and_not_over_batches():
    model = TableModel([[0.0, 0.0], [math.log(3.0), 0.0]])  # P = (1/2, 1/2) and (3/4, 1/4)
    three = masked_batch([0, 0, 0, 1], [0, 0, 0, IGNORE_INDEX])
    one = masked_batch([1, 0], [1, IGNORE_INDEX])
    measured = evaluate_masked_lm(model, [three, one])
    assert measured["loss"] == pytest.approx((3 * math.log(2) + math.log(4)) / 4, rel=1e-6)
    assert measured["accuracy"] == 0.75
    assert measured["blanks"] == 4


def test_a_batch_without_blanks_counts_for_nothing():
    model = TableModel([[0.0, 0.0], [math.log(3.0), 0.0]])
    none = masked_batch([0, 1], [IGNORE_INDEX, IGNORE_INDEX])
    one = masked_batch([1], [0])
    expected = {"loss": pytest.approx(math.log(4 / 3), rel=1e-6), "accuracy": 1.0, "blanks": 1}
    assert evaluate_masked_lm(model, [none, one]) == expected
    for nothing in ([none], []):  # a loss of 0 would be the best there is
        with pytest.raises(ValueError, match="The batches hold no blank; expected at least one"):
            evaluate_masked_lm(model, nothing)


def test_two_evaluations_agree_and_dropout_stays_on_for_training(tiny_model, tokenizer, texts):
    tiny_model.train()
    collator = MaskedLMCollator(tokenizer, make_generator(0), mlm_probability=0.4)
    batches = list(make_loader(encode_texts(tokenizer, texts), collator, 3, shuffle=False))
    first = evaluate_masked_lm(tiny_model, batches)
    assert evaluate_masked_lm(tiny_model, batches) == first
    assert first["blanks"] == sum(int((b["mlm_labels"] >= 0).sum()) for b in batches)
    assert tiny_model.training


# the classifier


def loader(tokenizer, texts, labels=None, batch_size=3):
    encoded = encode_texts(tokenizer, texts, labels)
    return make_loader(encoded, SequenceCollator(tokenizer), batch_size, shuffle=False)


def test_predictions_are_probabilities_in_the_order_of_the_texts(tiny_model, tokenizer, texts):
    forward = predict_classes(tiny_model, loader(tokenizer, texts))
    backward = predict_classes(tiny_model, loader(tokenizer, texts[::-1]))
    assert forward.shape == (8, 2)
    torch.testing.assert_close(forward.sum(1), torch.ones(8, dtype=torch.float64))
    torch.testing.assert_close(forward, backward.flip(0), rtol=1e-5, atol=1e-6)
    assert forward[:, 0].std() > 1e-4  # else any order would pass


def test_metrics_by_hand():
    probabilities = torch.tensor([[0.75, 0.25], [0.4, 0.6], [0.8, 0.2], [0.1, 0.9]])
    measured = classification_metrics(probabilities, [0, 1, 1, 1])
    assert measured["accuracy"] == 0.75
    expected = -(math.log(0.75) + math.log(0.6) + math.log(0.2) + math.log(0.9)) / 4
    assert measured["loss"] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("gap", [10.0, 100.0, 700.0])
def test_a_sure_and_wrong_answer_costs_what_its_logits_say(tiny_model, tokenizer, gap):
    tiny_model.classifier.weight.data.zero_()
    tiny_model.classifier.bias.data[:] = torch.tensor([0.0, gap])
    measured = evaluate_sequence(tiny_model, loader(tokenizer, ["good"], [0]))
    assert measured["loss"] == pytest.approx(gap, abs=1e-4)
    assert classification_metrics(torch.tensor([[1.0, 0.0]]), [1])["loss"] == math.inf


def test_rows_without_a_label_count_for_nothing():
    probabilities = torch.tensor([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6]])
    measured = classification_metrics(probabilities, [0, IGNORE_INDEX, 0])
    assert measured["accuracy"] == 0.5
    assert measured["loss"] == pytest.approx(-(math.log(0.9) + math.log(0.4)) / 2, rel=1e-6)
    with pytest.raises(ValueError, match="None of the 3 rows has a label"):
        classification_metrics(probabilities, [IGNORE_INDEX] * 3)
    with pytest.raises(ValueError, match="got the label 2; expected 0 to 1"):
        classification_metrics(probabilities, [0, 1, 2])


@pytest.mark.parametrize("evaluate", [evaluate_sequence, predict_classes, tag_log_probabilities])
def test_without_a_batch_there_is_nothing_to_evaluate(tiny_model, evaluate):
    with pytest.raises(ValueError, match="There is no batch; expected at least one"):
        evaluate(tiny_model, [])


def test_evaluate_sequence_is_the_metrics_of_the_predictions(tiny_model, tokenizer, texts, labels):
    expected = classification_metrics(
        predict_classes(tiny_model, loader(tokenizer, texts)), torch.tensor(labels)
    )
    assert evaluate_sequence(tiny_model, loader(tokenizer, texts, labels)) == expected
    generator = (batch for batch in loader(tokenizer, texts, labels))
    assert evaluate_sequence(tiny_model, generator) == expected


# intervals and baselines


@pytest.mark.parametrize("confidence", [0.95, 0.8])
def test_interval_of_three_seeds_in_closed_form(confidence):
    p = 0.5 + confidence / 2
    quantile = (2 * p - 1) / math.sqrt(2 * p * (1 - p))  # Student's t with 2 degrees of freedom
    mean, low, high = seed_interval([1.0, 2.0, 3.0], confidence=confidence)
    assert mean == 2.0
    assert high - mean == pytest.approx(quantile / math.sqrt(3), rel=1e-9)
    assert mean - low == pytest.approx(high - mean, rel=1e-9)


def test_interval_equals_that_of_scipy():
    values = [0.71, 0.74, 0.69, 0.73, 0.75]
    mean, low, high = seed_interval(values)
    expected = stats.t.interval(0.95, 4, loc=mean, scale=stats.sem(values))
    assert (low, high) == pytest.approx(expected, rel=1e-9)


def test_equal_values_have_an_interval_of_no_width():
    assert seed_interval([0.5, 0.5]) == (0.5, 0.5, 0.5)


@pytest.mark.parametrize("values", [[], [0.7]])
def test_one_seed_has_no_interval(values):
    with pytest.raises(ValueError, match=f"needs two values or more, got {len(values)}"):
        seed_interval(values)


def test_majority_is_that_of_the_training_labels():
    assert majority_accuracy([1, 1, 0], [0, 0, 0, 1]) == 0.25
    assert majority_accuracy([2, 0, 2, 1], [2, 2]) == 1.0


def test_bag_of_words_learns_what_one_word_tells():
    words = ["film", "story", "cast", "plot"]
    train = [f"{mood} {word}" for mood in ("bad", "good", "odd") for word in words]
    labels = [label for label in range(3) for _ in words]
    found = bag_of_words_probabilities(train, labels, ["good script", "odd script", "bad script"])
    assert found.shape == (3, 3)
    assert found.argmax(1).tolist() == [1, 2, 0]
    torch.testing.assert_close(found.sum(1), torch.ones(3, dtype=torch.float64))


# what a reader types


def test_blank_answers_are_the_likeliest_first_and_sum_to_one(tiny_model, tokenizer):
    answers = fill_blank(tiny_model, tokenizer, "A [MASK] film.", top=len(tokenizer))
    values = list(answers.values())
    assert set(answers) == set(tokenizer.get_vocab())
    assert values == sorted(values, reverse=True)
    assert math.fsum(values) == pytest.approx(1.0, abs=1e-5)
    best = fill_blank(tiny_model, tokenizer, "A [MASK] film.", top=2)
    assert list(best.items()) == list(answers.items())[:2]


def test_blank_answers_are_those_of_the_head_at_the_blank(tiny_model, tokenizer):
    input_ids = torch.tensor([tokenizer("a [MASK] film .")["input_ids"]])
    tiny_model.eval()
    logits = tiny_model(input_ids, masked_positions=input_ids == 4)["mlm_logits"]
    expected = logits.softmax(-1)[0, tokenizer.convert_tokens_to_ids("good")].item()
    found = fill_blank(tiny_model.train(), tokenizer, "a [MASK] film .", top=21)["good"]
    assert found == pytest.approx(expected, rel=1e-5)
    assert tiny_model.training


@pytest.mark.parametrize("text, blanks", [("a good film", 0), ("a [MASK] [MASK] film", 2)])
def test_a_text_without_exactly_one_blank_is_refused(tiny_model, tokenizer, text, blanks):
    with pytest.raises(ValueError, match=rf"has {blanks} blanks; .* Write \[MASK\] in place of"):
        fill_blank(tiny_model, tokenizer, text)


def test_a_blank_past_the_end_of_the_model_is_said(tiny_model, tokenizer):
    with pytest.raises(ValueError, match="blank lies past the 16 tokens that the model can read"):
        fill_blank(tiny_model, tokenizer, "good " * 14 + "[MASK]")
    last = fill_blank(tiny_model, tokenizer, "good " * 13 + "[MASK]")
    with pytest.warns(UserWarning, match="was cut after 16 tokens, behind the blank"):
        assert fill_blank(tiny_model, tokenizer, "good " * 13 + "[MASK] film") == last


def test_other_special_tokens_beside_the_blank_are_plain_text(tiny_model, tokenizer):
    plain = fill_blank(tiny_model, tokenizer, "a zz zz zz [MASK] film .")  # three unknown words
    with pytest.warns(UserWarning, match="read as plain text"):
        assert fill_blank(tiny_model, tokenizer, "a [SEP] [MASK] film .") == plain


def test_a_head_that_was_created_anew_answers_nothing(tiny_model, tokenizer):
    tiny_model.created = ["cls.predictions.bias", "classifier.weight"]  # as `load_model` says it
    with pytest.raises(ValueError, match="no masked-LM head: it was created anew.*bift-mini"):
        fill_blank(tiny_model, tokenizer, "a [MASK] film .")
    with pytest.raises(ValueError, match="no classifier: it was created anew"):
        judge_texts(tiny_model, tokenizer, ["a good film ."])
    tiny_model.created = []
    fill_blank(tiny_model, tokenizer, "a [MASK] film .")
    judge_texts(tiny_model, tokenizer, ["a good film ."])


def test_a_judgement_does_not_depend_on_the_other_texts(tiny_model, tokenizer, texts):
    many = (texts * 5)[:37]  # two batches, each with padding
    together = judge_texts(tiny_model.train(), tokenizer, many)
    alone = torch.cat([judge_texts(tiny_model, tokenizer, [text]) for text in many])
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-6)
    assert tiny_model.training


def test_a_text_longer_than_the_model_is_judged_by_its_beginning(tiny_model, tokenizer):
    with pytest.warns(UserWarning, match="1 of 1 texts were longer than 16 tokens"):
        judged = judge_texts(tiny_model, tokenizer, ["good " * 30])
    whole = judge_texts(tiny_model, tokenizer, ["good " * 14])
    torch.testing.assert_close(judged, whole)


def test_a_text_of_spaces_cannot_be_judged(tiny_model, tokenizer):
    with pytest.raises(ValueError, match="Text number 1 is ' '"):
        judge_texts(tiny_model, tokenizer, ["good", " "])


def test_overlapping_splits_widen_the_interval():
    mean, low, _ = seed_interval([1.0, 2.0, 3.0])
    same, wider, _ = seed_interval([1.0, 2.0, 3.0], test_over_train=1 / 3)
    assert same == mean
    assert (mean - wider) / (mean - low) == pytest.approx(2**0.5)  # 1/3 + 1/3 instead of 1/3


@pytest.mark.parametrize("confidence", [95, 0.0, 1.0, math.nan])
def test_a_confidence_is_a_share(confidence):
    table = torch.tensor([[0.1, 0.2], [0.3, 0.1]])
    for interval in (seed_interval, prediction_interval, two_way_interval):
        values = table if interval is two_way_interval else [1.0, 2.0, 3.0]
        with pytest.raises(ValueError, match="The confidence was given as .*; expected a share"):
            interval(values, confidence=confidence)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_seed_without_a_result_is_never_compared(value):
    for statistic in (seed_interval, prediction_interval, p_value):
        with pytest.raises(ValueError, match="expected finite numbers. Leave out the seeds"):
            statistic([1.0, value, 2.0])
    with pytest.raises(ValueError, match="1 of the differences are no finite numbers"):
        two_way_interval(torch.tensor([[0.1, value], [0.3, 0.1]]))
    with pytest.raises(ValueError, match="p-value of ours was given as nan"):
        holm({"theirs": 0.01, "ours": math.nan})
    with pytest.raises(ValueError, match="interval goes from nan to 1"):
        verdict((0.5, math.nan, 1.0))
    with pytest.raises(ValueError, match="two values or more, got 1"):
        p_value([1.0])


def test_the_interval_of_a_share_is_the_exact_one():
    share, low, high = share_interval(55, 60)
    assert share == 55 / 60
    assert stats.binom.sf(54, 60, low) == pytest.approx(0.025, abs=1e-6)  # 55 or more
    assert stats.binom.cdf(55, 60, high) == pytest.approx(0.025, abs=1e-6)  # 55 or fewer
    assert share_interval(0, 5)[1] == 0 and share_interval(5, 5)[2] == 1


def test_macro_f1_and_its_interval_are_those_of_texts_drawn_anew():
    rng = numpy.random.default_rng(0)
    truth = rng.integers(0, 3, 200)
    given = numpy.where(rng.random(200) < 0.7, truth, rng.integers(0, 3, 200))
    table = confusion_matrix(truth, given)
    value, low, high = macro_f1_interval(table.tolist(), numpy.random.default_rng(1), draws=4000)
    assert value == pytest.approx(f1_score(truth, given, average="macro"))
    drawn = []
    for _ in range(400):
        rows = rng.integers(0, 200, 200)
        drawn.append(f1_score(truth[rows], given[rows], average="macro"))
    assert (low, high) == pytest.approx(tuple(numpy.quantile(drawn, [0.025, 0.975])), abs=0.02)


def test_a_class_without_texts_does_not_count():
    assert macro_f1([2, 0, 0], [2, 0, 1], [2, 1, 0]) == pytest.approx(0.5)
