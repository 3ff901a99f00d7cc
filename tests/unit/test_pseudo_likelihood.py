"""Pseudo-log-likelihood, against one row at a time and against the exact conditionals."""

import pytest
import torch

from bift_utils.evaluation.exact import pseudo_log_likelihood, token_log_probabilities
from bift_utils.languages.families import MarkovLanguage
from bift_utils.models.joint import small_bert
from bift_utils.runtime import make_generator, set_seed

V, T = 4, 3


@pytest.fixture
def model():
    set_seed(0)
    return small_bert(V, T, width=16, layers=1)


def test_each_token_is_hidden_while_it_is_scored(model):
    tokens = torch.tensor([[0, 3, 1], [2, 2, 0]])
    kept = tokens.clone()
    found = pseudo_log_likelihood(model, tokens, V)
    for row, value in zip(tokens.tolist(), found.tolist(), strict=True):
        by_hand = 0.0
        for i, token in enumerate(row):
            blank = torch.tensor([[*row[:i], V, *row[i + 1 :]]])
            by_hand += float(token_log_probabilities(model, blank)[0, i, token])
        assert value == pytest.approx(by_hand, abs=1e-6)
    assert torch.equal(tokens, kept)
    seen = token_log_probabilities(model, tokens).gather(2, tokens[..., None])[..., 0].sum(1)
    assert not torch.allclose(found, seen, atol=1e-3)  # without hiding it is another number


def test_exact_conditionals_give_the_exact_sum(monkeypatch):
    language = MarkovLanguage.random(V, make_generator(2), concentration=2.0)
    tokens = language.sample(6, T, make_generator(3)).tokens

    def exact(_model, corrupted):
        return language.cavity_posterior(corrupted).log()

    monkeypatch.setattr("bift_utils.evaluation.exact.token_log_probabilities", exact)
    conditionals = language.cavity_posterior(tokens).gather(2, tokens[..., None])[..., 0]
    found = pseudo_log_likelihood(None, tokens, V)
    assert torch.allclose(found, conditionals.log().sum(1), atol=1e-12)


def test_a_blank_is_refused(model):
    with pytest.raises(ValueError, match=r"hold 1 \[MASK\].*Fill the blanks"):
        pseudo_log_likelihood(model, torch.tensor([[0, V, 1]]), V)
