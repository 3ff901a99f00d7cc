import math

import pytest
import torch

from bift_utils.evaluation.exact import evaluate_heads, kl_divergence
from bift_utils.languages.batches import JointLanguageBatches, KnownTest, example_language
from bift_utils.languages.families import ClassConditionalLanguage
from bift_utils.models import joint as oracle
from bift_utils.runtime import make_generator, set_seed
from bift_utils.training.loop import train
from bift_utils.training.options import TrainingConfig

LENGTH = 6


@pytest.fixture(scope="module")
def language():
    return ClassConditionalLanguage.random(2, 3, 5, make_generator(4))


@pytest.fixture(scope="module")
def labelled(language):
    return language.sample(7, LENGTH, make_generator(1))


@pytest.fixture(scope="module")
def test(language):
    return KnownTest.draw(language, 50, LENGTH, seed=2)


def test_a_batch_holds_labelled_rows_and_rows_with_a_blank(language, labelled):
    batches = list(JointLanguageBatches(language, labelled, steps=3, batch_size=4))
    assert len(batches) == 3
    pairs = {(*t, y) for t, y in zip(map(tuple, labelled.tokens.tolist()), labelled.labels.tolist(),
                                     strict=True)}  # fmt: skip
    for batch in batches:
        assert all(len(value) == 8 for value in batch.values())
        ids, classes = batch["input_ids"].tolist(), batch["labels"].tolist()
        assert all((*ids[i], classes[i]) in pairs for i in range(4))
        assert (batch["mlm_labels"][:4] == -100).all() and classes[4:] == [-100] * 4
        blanks = batch["input_ids"] == language.mask_token_id
        assert blanks[:4].sum() == 0 and (blanks[4:].sum(1) == 1).all()
        assert ((batch["mlm_labels"] != -100) == blanks).all()


def test_the_labelled_order_does_not_depend_on_the_text(language, labelled):
    def clean(**options):
        loader = JointLanguageBatches(language, labelled, 4, 4, **options)
        return torch.cat([batch["input_ids"][:4] for batch in loader])

    assert torch.equal(clean(text=labelled.tokens), clean())
    assert not torch.equal(clean(seed=1), clean())


def test_given_text_is_all_that_is_masked(language, labelled):
    text = labelled.tokens[:2]
    (batch,) = JointLanguageBatches(language, labelled, 1, 16, text=text)
    whole = torch.where(batch["mlm_labels"] == -100, batch["input_ids"], batch["mlm_labels"])[16:]
    assert {tuple(row) for row in whole.tolist()} == {tuple(row) for row in text.tolist()}


def test_a_masked_classifier_sees_holes_and_answers_for_both(language, labelled):
    loader = JointLanguageBatches(language, labelled, 2, 6, classifier_input="masked")
    clean = JointLanguageBatches(language, labelled, 2, 6)
    for batch, whole in zip(loader, clean, strict=True):
        blanks = batch["input_ids"] == language.mask_token_id
        assert (blanks.sum(1) == 1).all() and (batch["labels"][:6] >= 0).all()
        assert ((batch["mlm_labels"] != -100) == blanks).all()
        filled = torch.where(blanks, batch["mlm_labels"], batch["input_ids"])
        assert torch.equal(filled[:6], whole["input_ids"][:6])  # the same sentences as without
        assert torch.equal(batch["labels"], whole["labels"])


def test_an_unknown_classifier_input_is_refused(language, labelled):
    with pytest.raises(ValueError, match="given as 'half'; expected one of"):
        JointLanguageBatches(language, labelled, 1, classifier_input="half")


def test_the_example_is_always_the_same_and_not_too_easy():
    first, second = example_language(), example_language()
    assert torch.equal(first.tables.emission, second.tables.emission)
    test = KnownTest.draw(first, 300, 12, seed=4)
    assert 0.01 < test.label_entropy < 0.1 and test.best_accuracy > 0.95


def test_nothing_to_draw_from_is_refused(language, labelled):
    with pytest.raises(ValueError, match="no sentences to draw from"):
        JointLanguageBatches(language, labelled, 1, text=labelled.tokens[:0])


def by_enumeration(language, sentence):
    """Joint probability P(y, sentence) for each label, from the definition."""
    prior, start, transition, emission = language.tables
    found = []
    for y in range(2):
        alpha = start[y] * emission[y, :, sentence[0]]
        for token in sentence[1:]:
            alpha = (alpha @ transition[y]) * emission[y, :, token]
        found.append(float(prior[y] * alpha.sum()))
    return found


def test_the_exact_answers_are_those_of_enumeration(language, test):
    for i in range(10):
        joint = by_enumeration(language, test.tokens[i].tolist())
        expected = joint[1] / sum(joint)
        assert float(test.label_posterior[i, 1]) == pytest.approx(expected, abs=1e-9)
        place = int(test.blanks[i].nonzero())
        totals = []
        for token in range(5):
            filled = test.tokens[i].tolist()
            filled[place] = token
            totals.append(sum(by_enumeration(language, filled)))
        total = torch.tensor(totals, dtype=torch.float64)
        torch.testing.assert_close(test.token_posterior[i], total / total.sum())


class Oracle(torch.nn.Module):
    """Answers both questions exactly, with a sharpness that can be spoilt."""

    def __init__(self, language, power=1.0):
        super().__init__()
        self.language, self.power, self.device = language, power, torch.device("cpu")

    def forward(self, ids, attention_mask=None, masked_positions=None, classified=None):
        if classified is not None:
            logits = self.power * self.language.label_posterior(ids).clamp(min=1e-300).log()
            return {"class_logits": logits.float()}
        logits = self.power * self.language.cavity_posterior(ids).clamp(min=1e-300).log()
        logits = torch.cat([logits, torch.full((*ids.shape, 1), -1e4)], -1)
        return {"mlm_logits": logits[masked_positions]}


def test_the_exact_model_is_at_the_floor_and_no_other_is(language, test):
    exact = evaluate_heads(Oracle(language), test)
    assert exact["label_kl"] == pytest.approx(0.0, abs=1e-6)
    assert exact["token_kl"] == pytest.approx(0.0, abs=1e-6)
    assert exact["loss"] == pytest.approx(test.label_entropy, abs=1e-6)
    assert exact["accuracy"] == pytest.approx(test.best_accuracy)
    flat = evaluate_heads(Oracle(language, power=0.0), test)
    assert flat["loss"] == pytest.approx(math.log(2), abs=1e-6)
    assert flat["label_kl"] == pytest.approx(math.log(2) - test.label_entropy, abs=1e-6)
    assert flat["token_kl"] > 0.01
    assert flat["accuracy"] == pytest.approx(float(test.label_posterior[:, 0].mean()))
    sharp = evaluate_heads(Oracle(language, power=3.0), test)  # as right, but too sure
    assert sharp["accuracy"] == pytest.approx(test.best_accuracy) and sharp["label_kl"] > 0.01


def test_training_brings_both_heads_nearer(language, test):
    set_seed(0)
    model = oracle.small_bert(5, LENGTH, width=16, layers=1)
    labelled = language.sample(300, LENGTH, make_generator(5))
    loader = JointLanguageBatches(language, labelled, steps=150)
    before = evaluate_heads(model, test)
    train(model, loader, TrainingConfig(0.5, epochs=1, learning_rate=1e-2))
    after = evaluate_heads(model, test)
    assert after["label_kl"] < 0.5 * before["label_kl"]
    assert after["token_kl"] < 0.5 * before["token_kl"]


def test_each_head_is_asked_about_its_own_text(language, test):
    class Watched(Oracle):
        def forward(self, ids, attention_mask=None, masked_positions=None, classified=None):
            seen["label" if masked_positions is None else "token"] = ids
            return super().forward(ids, attention_mask, masked_positions, classified)

    seen = {}
    evaluate_heads(Watched(language), test)
    assert torch.equal(seen["label"], test.tokens)
    assert torch.equal(seen["token"], test.corrupted)


def test_what_never_happens_costs_nothing():
    exact = torch.tensor([[1.0, 0.0], [0.5, 0.5]], dtype=torch.float64)
    never = torch.tensor([[0.0, -torch.inf], [0.0, -torch.inf]], dtype=torch.float64)
    assert kl_divergence(exact, never).tolist() == [0.0, torch.inf]
    assert kl_divergence(exact[:1], torch.tensor([[0.0, torch.nan]])).isnan()
