"""Laws, blanks and orders of known languages, against enumeration by hand to 1e-12."""

import itertools
import math

import pytest
import torch
from scipy.integrate import quad

from bift_utils.languages.any_order import (
    OLD_MAN_WORDS,
    blank_posterior,
    bound_by_count,
    hidden_sets,
    loss_by_count,
    old_man_language,
    order_losses,
    sentence_law,
    sentence_losses,
)
from bift_utils.languages.families import ClassConditionalLanguage, MarkovLanguage
from bift_utils.runtime import make_generator

V, T = 3, 4
# b never follows b, and no sentence begins with c
CHAIN = MarkovLanguage([0.6, 0.4, 0.0], [[0.2, 0.5, 0.3], [0.7, 0.0, 0.3], [0.1, 0.6, 0.3]])
CLASSES = ClassConditionalLanguage.random(2, 2, V, make_generator(5), concentration=0.8)


def exact(language):
    return lambda rows: language.cavity_posterior(rows).log()


def entropy(law):
    return float(torch.special.entr(law).sum())


@pytest.fixture(scope="module")
def old_man():
    language = old_man_language()
    return language, sentence_law(language, 5)


def test_the_law_is_the_product_along_each_path():
    law = sentence_law(CHAIN, T)
    for sentence in itertools.product(range(V), repeat=T):
        p = float(CHAIN.start[sentence[0]])
        for left, right in itertools.pairwise(sentence):
            p *= float(CHAIN.transition[left, right])
        assert float(law[sentence]) == pytest.approx(p, abs=1e-15)


def test_the_law_agrees_with_forward_and_its_labels_mix_to_it():
    law = sentence_law(CLASSES, T)
    possible = law > 0
    assert torch.allclose(law[possible].log(), CLASSES.log_probability(possible.nonzero()),
                          atol=1e-12)  # fmt: skip
    parts = [sentence_law(CLASSES, T, label) for label in (0, 1)]
    mixed = sum(p * part for p, part in zip(CLASSES.prior, parts, strict=True))
    assert torch.allclose(mixed, law, atol=1e-15)
    assert all(float(part.sum()) == pytest.approx(1.0, abs=1e-12) for part in parts)


@pytest.mark.parametrize("language", [CHAIN, CLASSES])
def test_every_blank_is_the_cavity_posterior(language):
    law = sentence_law(language, T)
    sentences = (law > 0).nonzero()
    for count in range(1, T + 1):
        for hidden in hidden_sets(T, count):
            rows = sentences.index_fill(1, torch.tensor(hidden), language.mask_token_id)
            for position in hidden:
                table = blank_posterior(law, position, hidden).expand(law.shape)
                found = table[tuple(sentences.T)]
                wanted = language.cavity_posterior(rows)[:, position]
                wanted = wanted.gather(1, sentences[:, position : position + 1])[:, 0]
                assert torch.allclose(found, wanted, atol=1e-12)


@pytest.mark.parametrize("language", [CHAIN, CLASSES])
def test_counts_add_up_to_the_entropy(language):
    law = sentence_law(language, T)
    losses = loss_by_count(law)
    assert float(losses.sum()) == pytest.approx(entropy(law), abs=1e-12)
    assert losses[0] == pytest.approx(float(language.entropies(T).given_both.mean()), abs=1e-12)
    assert losses[-1] == pytest.approx(float(language.entropies(T).alone.mean()), abs=1e-12)
    assert bool((losses.diff() >= -1e-12).all())  # more blanks, less to read


def test_the_numbers_of_the_old_man(old_man):
    _, law = old_man
    losses = loss_by_count(law)
    assert losses.tolist() == pytest.approx([1.3317, 1.4066, 1.5103, 1.6637, 1.8750], abs=5e-5)
    assert float(losses.sum()) == pytest.approx(7.7873, abs=5e-5)
    assert 5 * float(losses[0]) == pytest.approx(6.6587, abs=5e-4)  # minus the mean PLL
    assert int((law > 0).sum()) == 12_058 and len(OLD_MAN_WORDS) == 8


@pytest.mark.parametrize("seed", range(3))
def test_all_orders_agree_and_the_counts_give_minus_log_p(old_man, seed):
    language, law = old_man
    tokens = language.sample(1, 5, make_generator(seed)).tokens[0]
    losses = sentence_losses(exact(language), tokens, 8)
    surprise = -math.log(float(law[tuple(tokens)]))
    orders = order_losses(losses)
    assert len(orders) == 120
    assert list(orders.values()) == pytest.approx([surprise] * 120, abs=1e-12)
    assert float(bound_by_count(losses).sum()) == pytest.approx(surprise, abs=1e-12)


def test_orders_that_disagree_have_the_counts_for_their_mean():
    made_up = torch.rand(2**T, T, generator=make_generator(1), dtype=torch.float64)
    hidden = torch.arange(2**T)[:, None] >> torch.arange(T) & 1
    losses = made_up * hidden
    orders = list(order_losses(losses).values())
    assert max(orders) - min(orders) > 0.1
    assert sum(orders) / len(orders) == pytest.approx(
        float(bound_by_count(losses).sum()), abs=1e-12
    )
    first = order_losses(losses)[(2, 0, 3, 1)]
    by_hand = losses[0b1111, 2] + losses[0b1011, 0] + losses[0b1010, 3] + losses[0b0010, 1]
    assert first == pytest.approx(float(by_hand), abs=1e-12)


def test_the_integral_over_t_is_the_sum_over_counts(old_man):
    language, _ = old_man
    tokens = language.sample(1, 5, make_generator(0)).tokens[0]
    sums = sentence_losses(exact(language), tokens, 8).sum(1)
    sizes = [bin(row).count("1") for row in range(32)]

    def at(t):
        return sum(float(s) * t**k * (1 - t) ** (5 - k) for s, k in zip(sums, sizes, strict=True))

    linear, _ = quad(lambda t: at(t) / t, 0, 1)
    quarter = math.pi / 2
    # a cosine schedule: visible share 1 − cos, weight −α′/(1 − α)
    cosine, _ = quad(
        lambda u: quarter * math.tan(quarter * u) * at(math.cos(quarter * u)), 0, 1 - 1e-12
    )
    bound = float(bound_by_count(sentence_losses(exact(language), tokens, 8)).sum())
    assert linear == pytest.approx(bound, abs=1e-10) and cosine == pytest.approx(bound, abs=1e-9)


def test_a_pooled_mean_is_another_number(old_man):
    """T times the mean over all blanks, k even, weighs each k by k: here 8.235, not 7.787."""
    _, law = old_man
    counts = torch.arange(1, 6, dtype=torch.float64)
    pooled = 5 * float(counts @ loss_by_count(law) / counts.sum())
    assert pooled == pytest.approx(8.235, abs=5e-4)


@pytest.mark.parametrize("call, message", [
    (lambda: sentence_law(CHAIN, 0), "length was given as 0; expected at least 1"),
    (lambda: sentence_law(CHAIN, 12), r"3\^12 = 531,441 sentences of 12 tokens.*smaller length"),
    (lambda: sentence_law(CLASSES, 3, 2), "label was given as 2; expected 0 to 1"),
    (lambda: hidden_sets(5, 0), "count was given as 0; expected 1 to 5"),
    (lambda: hidden_sets(5, 6), "count was given as 6; expected 1 to 5"),
    (lambda: sentence_losses(exact(CHAIN), torch.zeros(13).long(), 3),
     r"13 tokens has 2\^13 = 8,192 sets of blanks; expected at most 4,096.*shorter"),
    (lambda: sentence_losses(exact(CHAIN), torch.tensor([0, 3]), 3), r"holds \[MASK\]"),
    (lambda: order_losses(torch.zeros(2**9, 9)), r"9 tokens have 9! = 362,880 orders"),
])  # fmt: skip
def test_bad_input_is_one_sentence(call, message):
    with pytest.raises(ValueError, match=message):
        call()
