"""Pseudo-log-likelihood, against one row at a time and against the exact conditionals."""

from types import SimpleNamespace

import pytest
import torch

from bift_utils.data.batches import encode_texts, pad_batch
from bift_utils.evaluation.exact import pseudo_log_likelihood, token_log_probabilities
from bift_utils.languages.families import MarkovLanguage
from bift_utils.masking.tokens import MaskingConfig
from bift_utils.models.checkpoints import load_model, load_tokenizer
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


def test_exact_conditionals_give_the_exact_sum():
    language = MarkovLanguage.random(V, make_generator(2), concentration=2.0)
    tokens = language.sample(6, T, make_generator(3)).tokens

    class Exact(torch.nn.Module):
        """Answers at each position with what the language says."""

        device, config = torch.device("cpu"), SimpleNamespace(vocab_size=V + 1)

        def forward(self, input_ids, attention_mask, masked_positions):
            return {"mlm_logits": language.cavity_posterior(input_ids).log()[masked_positions]}

    conditionals = language.cavity_posterior(tokens).gather(2, tokens[..., None])[..., 0]
    found = pseudo_log_likelihood(Exact(), tokens, V)
    assert torch.allclose(found, conditionals.log().sum(1), atol=1e-12)


def test_a_blank_is_refused(model):
    with pytest.raises(ValueError, match=r"hold 1 \[MASK\].*Fill the blanks"):
        pseudo_log_likelihood(model, torch.tensor([[0, V, 1]]), V)


TEXTS = ["an unputdownable novella .", "a fine film , warmly played and sometimes unforgettable ."]


@pytest.fixture(scope="module")
def bift_mini():
    return load_model("bift-mini"), load_tokenizer("bift-mini")


@pytest.mark.parametrize("whole_words", [False, True])
def test_real_text_is_scored_by_its_ordinary_tokens_whatever_pads_it(bift_mini, whole_words):
    model, tokenizer = bift_mini
    options = MaskingConfig.from_tokenizer(tokenizer, whole_words=whole_words)
    rows = encode_texts(tokenizer, TEXTS).input_ids
    batch = pad_batch(rows, tokenizer.pad_token_id)
    together = pseudo_log_likelihood(model, batch["input_ids"], options, batch["attention_mask"])
    assert torch.equal(pseudo_log_likelihood(model, batch["input_ids"], options), together)
    for ids, value in zip(rows, together.tolist(), strict=True):
        pieces = tokenizer.convert_ids_to_tokens(ids)
        by_hand = 0.0
        for i in range(1, len(ids) - 1):
            end = i + 1
            while whole_words and pieces[end].startswith("##"):
                end += 1
            blank = torch.tensor([[*ids[:i], *[tokenizer.mask_token_id] * (end - i), *ids[end:]]])
            by_hand += float(token_log_probabilities(model, blank)[0, i, ids[i]])
        assert value == pytest.approx(by_hand, abs=1e-3)


def test_a_word_does_not_give_its_own_beginning_away(bift_mini):
    model, tokenizer = bift_mini
    ids = torch.tensor(encode_texts(tokenizer, TEXTS[:1]).input_ids)
    assert any(piece.startswith("##") for piece in tokenizer.convert_ids_to_tokens(ids[0]))
    alone, word = (
        pseudo_log_likelihood(
            model, ids, MaskingConfig.from_tokenizer(tokenizer, whole_words=whole_words)
        )
        for whole_words in (False, True)
    )
    assert float(word) < float(alone) - 1.0


def test_real_text_needs_to_know_its_special_tokens(bift_mini):
    model, tokenizer = bift_mini
    with pytest.raises(ValueError, match=r"For real text pass MaskingConfig.from_tokenizer"):
        pseudo_log_likelihood(model, torch.tensor([[2, 9, 3]]), tokenizer.mask_token_id)
