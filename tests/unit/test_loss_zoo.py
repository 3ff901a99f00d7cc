import math

import pytest
import torch

from bift_utils.data.batches import IGNORE_INDEX
from bift_utils.labs.pretraining.loss_zoo import LOSS_ZOO, one_place_early
from bift_utils.runtime import make_generator
from bift_utils.training.losses import masked_lm_loss

LABELS = torch.tensor([[IGNORE_INDEX, 2, IGNORE_INDEX, 0], [IGNORE_INDEX, IGNORE_INDEX, 1, 3]])


def sure_of(answers, vocab_size=4):
    """Return scores (B, T, V) that put all probability on `answers` (B, T)."""
    return 50.0 * torch.nn.functional.one_hot(answers, vocab_size).float()


def test_the_article_is_content_with_answers_one_position_early():
    answers = LABELS.clamp(min=0)
    at_the_blank, one_early = sure_of(answers), sure_of(answers.roll(-1, 1))
    assert float(one_place_early(one_early, LABELS)) < 1e-6
    assert float(one_place_early(at_the_blank, LABELS)) > 10
    assert float(masked_lm_loss(at_the_blank, LABELS)) < 1e-6
    assert float(masked_lm_loss(one_early, LABELS)) > 10


def test_it_is_the_mean_over_the_labels_read_one_to_the_left():
    logits = torch.randn(2, 4, 4, generator=make_generator(0))
    log_p = logits.log_softmax(-1)
    by_hand = [
        -float(log_p[row, place - 1, LABELS[row, place]])
        for row in range(2)
        for place in range(1, 4)
        if LABELS[row, place] != IGNORE_INDEX
    ]
    assert float(one_place_early(logits, LABELS)) == pytest.approx(sum(by_hand) / 4, rel=1e-6)


def test_the_first_label_is_never_asked_and_nothing_gives_nan():
    only_first = torch.tensor([[2, IGNORE_INDEX, IGNORE_INDEX]])
    assert math.isnan(float(one_place_early(torch.zeros(1, 3, 4), only_first)))


def test_the_gradient_arrives_one_position_early():
    logits = torch.zeros(2, 4, 4, requires_grad=True)
    one_place_early(logits, LABELS).backward()
    assert torch.equal(logits.grad.abs().sum(-1) > 0, (LABELS != IGNORE_INDEX).roll(-1, 1))


def test_scores_of_the_blanks_alone_are_refused():
    with pytest.raises(ValueError, match="scores at every position"):
        one_place_early(torch.zeros(4, 4), torch.tensor([1, 2, 3, 0]))


def test_the_lab_holds_the_right_loss_and_the_article():
    assert set(LOSS_ZOO.values()) == {masked_lm_loss, one_place_early}
