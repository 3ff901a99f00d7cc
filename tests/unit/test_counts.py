"""A number of blanks drawn first: how it is hidden, what the loss makes of it, and the curve."""

import pytest
import torch
from scipy import stats

from bift_utils.evaluation.counts import kl_by_count, losses_by_share
from bift_utils.evaluation.exact import token_log_probabilities
from bift_utils.languages.any_order import loss_by_count, sentence_law
from bift_utils.languages.batches import language_masking
from bift_utils.languages.families import MarkovLanguage
from bift_utils.masking.counts import hide_count, hide_uniform_count
from bift_utils.masking.tokens import MaskingConfig
from bift_utils.models.joint import small_bert
from bift_utils.runtime import make_generator, set_seed
from bift_utils.training.losses import masked_lm_loss, masked_lm_loss_by_row

CLS, MASK = 0, 1
ORDINARY = torch.tensor([False, False, *[True] * 8])
CONFIG = MaskingConfig(MASK, ORDINARY)
CHAIN = MarkovLanguage([0.6, 0.4, 0.0], [[0.2, 0.5, 0.3], [0.7, 0.0, 0.3], [0.1, 0.6, 0.3]])


def rows(n):
    """Sentences of five ordinary tokens after [CLS]."""
    ids = torch.randint(2, 10, (n, 6), generator=make_generator(0))
    return ids.index_fill(1, torch.tensor(0), CLS)


def test_exactly_so_many_are_hidden_and_never_a_special_token():
    ids = rows(500)
    kept = ids.clone()
    counts = torch.arange(500) % 5 + 1
    hidden, labels = hide_count(ids, counts, CONFIG, make_generator(1))
    blank = hidden == MASK
    assert torch.equal(ids, kept) and torch.equal(blank.sum(1), counts)
    assert not blank[:, 0].any()
    assert torch.equal(labels[blank], ids[blank]) and bool((labels[~blank] == -100).all())
    assert torch.equal(hidden[~blank], ids[~blank])


def test_every_count_and_every_set_is_equally_likely():
    n = 60_000
    hidden, _ = hide_uniform_count(rows(n), CONFIG, make_generator(2))
    blank = (hidden == MASK)[:, 1:]
    counts = blank.sum(1).bincount(minlength=6)[1:]
    assert stats.chisquare(counts.numpy()).pvalue > 1e-6 and int(counts.sum()) == n
    pairs = blank[blank.sum(1) == 2]
    sets = (pairs * 2 ** torch.arange(5)).sum(1).bincount()
    assert stats.chisquare(sets[sets > 0].numpy()).pvalue > 1e-6 and int((sets > 0).sum()) == 10


@pytest.mark.parametrize("count", [0, 6])
def test_a_count_outside_the_sentence_is_named(count):
    with pytest.raises(ValueError, match=rf"Row 1 should hide {count} of its 5 ordinary tokens"):
        hide_count(rows(2), torch.tensor([1, count]), CONFIG, make_generator(0))


def test_a_row_of_special_tokens_is_refused():
    with pytest.raises(ValueError, match="of its 0 ordinary tokens; expected at least 1"):
        hide_uniform_count(torch.full((1, 3), CLS), CONFIG, make_generator(0))


def test_the_loss_by_row_counts_every_row_alike():
    labels = torch.tensor([[3, -100, -100], [4, 5, 2]])
    logits = torch.randn(4, 10, generator=make_generator(3))
    losses = torch.nn.functional.cross_entropy(logits, labels[labels >= 0], reduction="none")
    found = masked_lm_loss_by_row(logits, labels)
    assert float(found) == pytest.approx(float((losses[0] + losses[1:].mean()) / 2), abs=1e-6)
    pooled = masked_lm_loss(logits, labels[labels >= 0])
    assert abs(float(found - pooled)) > 1e-3


@pytest.mark.parametrize("rows, labels", [(3, [[3, -100], [4, 5]]), (1, [[3, -100], [-100, -100]])])
def test_the_loss_by_row_wants_a_blank_in_every_row(rows, labels):
    if rows == 3:
        rows = 2  # one too few
    with pytest.raises(ValueError, match="at least one blank in each row"):
        masked_lm_loss_by_row(torch.zeros(rows, 10), torch.tensor(labels))


def test_uniform_counts_and_the_loss_by_row_estimate_the_entropy():
    """With the exact answer T times the loss is the entropy of a sentence, on average."""
    law = sentence_law(CHAIN, 4)
    tokens = CHAIN.sample(40_000, 4, make_generator(4)).tokens
    hidden, labels = hide_uniform_count(tokens, language_masking(3), make_generator(5))
    blanks = labels != -100
    logits = CHAIN.cavity_posterior(hidden)[blanks].clamp(min=1e-30).log()
    entropy = float(torch.special.entr(law).sum())
    by_row = 4 * float(masked_lm_loss_by_row(logits, labels))
    pooled = 4 * float(masked_lm_loss(logits, labels[blanks]))
    assert by_row == pytest.approx(entropy, abs=0.03) and pooled > entropy + 0.1


def test_kl_by_count_is_the_loss_above_the_exact_one():
    law = sentence_law(CHAIN, 4)
    exact = kl_by_count(law, lambda rows: CHAIN.cavity_posterior(rows).clamp(min=1e-300).log())
    assert float(exact.abs().max()) < 1e-12
    # an answer that ignores the sentence loses what the sentence says
    uniform = kl_by_count(law, lambda rows: torch.full((*rows.shape, 3), 1 / 3).log())
    assert torch.allclose(uniform + loss_by_count(law), torch.tensor(3.0).log().double(), atol=1e-6)


def test_the_curve_of_a_network_is_its_mean_over_draws():
    set_seed(0)
    model = small_bert(3, 4, width=16, layers=1)
    answer = lambda rows: token_log_probabilities(model, rows)  # noqa: E731
    law = sentence_law(CHAIN, 4)
    rows = CHAIN.sample(6000, 4, make_generator(6)).tokens.tolist()
    found = losses_by_share(model, rows, language_masking(3), 4, make_generator(7))
    wanted = kl_by_count(law, answer) + loss_by_count(law)
    assert found.shape == (6000, 4)
    assert found.mean(0).tolist() == pytest.approx(wanted.tolist(), abs=0.06)
    with pytest.raises(ValueError, match="draws was given as 0"):
        losses_by_share(model, rows, language_masking(3), 0, make_generator(7))


def test_texts_of_different_length_keep_their_places():
    set_seed(0)
    model = small_bert(9, 6, width=16, layers=1)
    config = MaskingConfig(9, torch.tensor([False, *[True] * 8, False]))
    short, long = [3, 4], [5, 6, 7, 8, 1, 2]
    found = losses_by_share(model, [long, short], config, 1, make_generator(1))
    turned = losses_by_share(model, [short, long], config, 1, make_generator(1))
    assert torch.allclose(found, turned.flip(0), atol=1e-5)
