"""Hiding tokens of a known language: one a sentence, at every place alike."""

import torch

from bift_utils.data.batches import IGNORE_INDEX
from bift_utils.languages.batches import LanguageBatches, hide_one, language_masking
from bift_utils.languages.families import MarkovLanguage
from bift_utils.runtime import make_generator


def test_one_token_is_hidden_and_asked_for():
    tokens = torch.randint(5, (400, 6), generator=make_generator(0))
    before = tokens.clone()
    corrupted, labels = hide_one(tokens, make_generator(1), mask_token_id=5)
    assert torch.equal(tokens, before)
    hidden = corrupted == 5
    assert (hidden.sum(1) == 1).all() and torch.equal(hidden, labels != IGNORE_INDEX)
    assert torch.equal(labels[hidden], tokens[hidden])
    assert torch.equal(corrupted[~hidden], tokens[~hidden])


def test_every_place_is_hidden_alike():
    n, length = 12_000, 6
    tokens = torch.zeros(n, length, dtype=torch.long)
    _, labels = hide_one(tokens, make_generator(2), mask_token_id=5)
    counts = (labels != IGNORE_INDEX).sum(0).double()
    p = 1 / length
    assert ((counts - n * p).abs() < 6 * (n * p * (1 - p)) ** 0.5).all()


def test_every_token_of_a_language_may_be_hidden_or_drawn_but_not_mask():
    options = language_masking(7, mlm_probability=0.3)
    assert options.ordinary.tolist() == [True] * 7 + [False] and options.mask_token_id == 7


def test_batches_are_fresh_and_as_many_as_announced():
    language = MarkovLanguage.random(5, make_generator(3))
    loader = LanguageBatches(
        language, lambda t, g: hide_one(t, g, 5), 3, 4, length=6, generator=make_generator(4)
    )
    batches = list(loader)
    assert len(batches) == len(loader) == 3
    assert not torch.equal(batches[0]["input_ids"], batches[1]["input_ids"])
    assert all((batch["attention_mask"] == 1).all() for batch in batches)
