"""The known languages: what they are given, what they refuse, and two formulas from the text."""

import math

import pytest
import torch

from bift_utils.languages.families import (
    ClassConditionalLanguage,
    HiddenMarkovLanguage,
    MarkovLanguage,
)
from bift_utils.masking.tokens import CorruptionChannel


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_copy_or_doubt_formula():
    language = HiddenMarkovLanguage.random(3, 5, generator(5), 0.5)
    channel = CorruptionChannel(0.15, 0.8, 0.1)
    z = torch.tensor([[0, 5, 2, 4, 5, 1]])
    around = language.cavity_posterior(z, channel)[0]
    optimum = language.masked_token_posterior(z, channel)[0]
    for i, token in enumerate(z[0].tolist()):
        if token == language.mask_token_id:
            expected = around[i]
        else:
            kept = 0.1 * around[i, token] / (0.1 * around[i, token] + 0.1 / 5)
            copy = torch.nn.functional.one_hot(torch.tensor(token), 5)
            expected = kept * copy + (1 - kept) * around[i]
        assert torch.allclose(optimum[i], expected, rtol=0, atol=1e-12)


def test_a_sentence_that_changes_its_mind_loses_no_class():
    # after 60 tokens the classes are a factor of 1e540 apart, more than one float64 scale holds
    classes = [
        HiddenMarkovLanguage([1.0], [[1.0]], [[1 - 1e-9, 1e-9]]),
        HiddenMarkovLanguage([1.0], [[1.0]], [[1e-9, 1 - 1e-9]]),
    ]
    language = ClassConditionalLanguage([0.5, 0.5], classes)
    tokens = torch.tensor([[0] * 60 + [1] * 60])
    assert language.label_posterior(tokens)[0].tolist() == pytest.approx([0.5, 0.5], abs=1e-12)
    # without the first token the other class is ahead by a factor of 1e9
    expected = 2e-9 * (1 - 1e-9)
    assert float(language.cavity_posterior(tokens)[0, 0, 0]) == pytest.approx(expected, abs=1e-15)
    # states that never change are classes by another name
    emission = torch.cat([part.emission for part in classes])
    states = HiddenMarkovLanguage([0.5, 0.5], torch.eye(2), emission)
    for method in ("log_probability", "left_posterior", "cavity_posterior", "token_posterior"):
        found, wanted = (getattr(one, method)(tokens) for one in (states, language))
        torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-15)
    which = states.state_posterior(tokens)[0]
    torch.testing.assert_close(which, torch.full_like(which, 0.5), rtol=1e-12, atol=0)


def test_a_long_text_of_states_that_stay_is_exact():
    language = HiddenMarkovLanguage([0.5, 0.5], torch.eye(2), [[0.9, 0.1], [0.1, 0.9]])
    tokens = torch.tensor([[0] * 900 + [1] * 1100])
    # the second state is right; the first is a factor of 9**200 behind at the end
    expected = math.log(0.5) + 900 * math.log(0.1) + 1100 * math.log(0.9)
    assert float(language.log_probability(tokens)) == pytest.approx(expected, rel=1e-12)
    at_the_end = torch.tensor([0.1, 0.9], dtype=torch.float64)
    for posterior in (language.left_posterior, language.cavity_posterior):
        torch.testing.assert_close(posterior(tokens)[0, -1], at_the_end, rtol=1e-12, atol=0)


@pytest.mark.parametrize("rare", [1e-100, 1e-162, 1e-200, 1e-290, 5e-324])
def test_steps_as_rare_as_float64_has_numbers_are_exact(rare):
    language = MarkovLanguage([0.5, 0.5], [[1.0, rare], [rare, 1.0]])
    odd = torch.tensor([[0, 1, 0]])
    expected = math.log(0.5) + 2 * math.log(rare)
    assert float(language.log_probability(odd)) == pytest.approx(expected, rel=1e-12)
    for posterior in (language.token_posterior, language.state_posterior):
        assert posterior(odd)[0].argmax(-1).tolist() == [0, 1, 0]
        assert posterior(odd).sum(-1).tolist() == [[1.0, 1.0, 1.0]]
    around = language.cavity_posterior(odd)[0]
    assert around[1].tolist() == pytest.approx([1.0, 0.0], abs=1e-99)
    assert around[0].tolist() == pytest.approx([0.0, 1.0], abs=1e-99)


@pytest.mark.parametrize("concentration", [1e-3, 1e-5, 1e-300, 5e-324])
def test_however_peaked_a_random_language_is_one(concentration):
    first = torch.zeros(4)
    for seed in range(100):
        language = MarkovLanguage.random(4, generator(seed), concentration)
        rows = torch.cat([language.start[None], language.transition])
        assert torch.isfinite(rows).all()
        first += torch.nn.functional.one_hot(rows.argmax(1), 4).sum(0)
        language.log_probability(language.sample(3, 5, generator(seed)).tokens)
    # 500 rows: each token is the likely one in a quarter of them
    assert ((first - 125).abs() < 6 * math.sqrt(500 * 3 / 16)).all()


def test_the_generator_decides_every_draw():
    languages = [ClassConditionalLanguage.random(2, 3, 4, generator(1), 0.2) for _ in range(2)]
    first, second = (language.sample(20, 5, generator(3)) for language in languages)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert not torch.equal(first.tokens, languages[0].sample(20, 5, generator(4)).tokens)
    assert first.tokens.shape == first.states.shape == (20, 5)
    assert first.labels.shape == (20,)
    assert first.tokens.dtype == first.states.dtype == first.labels.dtype == torch.int64


MAKERS = {
    "markov": lambda g, **options: MarkovLanguage.random(4, g, **options),
    "hidden": lambda g, **options: HiddenMarkovLanguage.random(3, 4, g, **options),
    "classes": lambda g, **options: ClassConditionalLanguage.random(2, 3, 4, g, **options),
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_a_seed_keeps_its_language_and_no_other_has_it(make):
    tables = [make(generator(seed)).tables.transition for seed in range(300)]
    assert len({tuple(table.flatten().tolist()) for table in tables}) == 300
    torch.manual_seed(7)  # the global stream has no say
    language = make(generator(5))
    assert torch.equal(language.tables.transition, tables[5])
    same = make(generator(5), concentration=0.3)
    assert torch.equal(language.tables.transition, same.tables.transition)
    # the first word has rows of its own: they are none of the transitions
    start, moves = language.tables.start.flatten(), language.tables.transition.flatten()
    assert not set(start.tolist()) & set(moves.tolist())


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_estimates_follow_their_generator(make):
    language, found = make(generator(1)), []
    for seed in (1, 2):
        torch.manual_seed(seed)
        found.append(language.estimate_entropies(5, 50, generator(3)))
    (first, _), (second, _) = found
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_lower_concentration_is_more_predictable():
    means = [
        MarkovLanguage.random(10, generator(0), concentration).entropies(10).given_left.mean()
        for concentration in (0.05, 0.5, 5.0)
    ]
    assert means[0] < means[1] < means[2] < math.log(10)


def test_float32_rows_and_integer_ids_of_any_width_are_fine():
    rows = torch.rand(6, 7, generator=generator()).softmax(1)
    language = HiddenMarkovLanguage(rows[0, :6] / rows[0, :6].sum(), rows[:, :6].softmax(1), rows)
    assert (language.emission.sum(1) - 1).abs().max() < 1e-15
    tokens = language.sample(3, 5, generator()).tokens
    for dtype in (torch.uint8, torch.int32):
        posterior = language.token_posterior(tokens.to(dtype), CorruptionChannel())
        assert torch.equal(posterior, language.token_posterior(tokens, CorruptionChannel()))


def test_bad_tables_are_named():
    good = [[0.5, 0.5], [0.5, 0.5]]
    with pytest.raises(ValueError, match=r"transition row 1 sums to 0\.9"):
        MarkovLanguage([0.5, 0.5], [[0.5, 0.5], [0.5, 0.4]])
    with pytest.raises(ValueError, match=r"start sums to 1\.00001 "):
        MarkovLanguage([0.50001, 0.5], good)
    with pytest.raises(ValueError, match=r"emission row 0 .*smallest entry is -0\.1"):
        HiddenMarkovLanguage([0.5, 0.5], good, [[-0.1, 1.1], [0.5, 0.5]])
    with pytest.raises(ValueError, match="start sums to nan"):
        MarkovLanguage([math.nan, 0.5], good)
    with pytest.raises(ValueError, match=r"transition has shape \(2, 2\); expected \(3, 3\)"):
        MarkovLanguage([0.2, 0.3, 0.5], good)
    with pytest.raises(ValueError, match=r"emission has shape \(1, 2\); expected \(2, any\)"):
        HiddenMarkovLanguage([0.5, 0.5], good, [[0.5, 0.5]])
    with pytest.raises(ValueError, match=r"start has shape \(0,\)"):
        MarkovLanguage([], [])
    with pytest.raises(ValueError, match="concentration was given as 0"):
        MarkovLanguage.random(3, generator(), 0)
    with pytest.raises(ValueError, match=r"states or tokens was given as 0"):
        HiddenMarkovLanguage.random(3, 0, generator())


def test_bad_classes_are_named():
    two, three = (MarkovLanguage.random(size, generator()) for size in (2, 3))
    with pytest.raises(ValueError, match=r"prior sums to 0\.7"):
        ClassConditionalLanguage([0.5, 0.2], [two, two])
    with pytest.raises(ValueError, match=r"prior has shape \(2,\); expected \(3\)"):
        ClassConditionalLanguage([0.5, 0.5], [two, two, two])
    with pytest.raises(ValueError, match=r"\[\(2, 2\), \(3, 3\)\]; expected the same"):
        ClassConditionalLanguage([0.5, 0.5], [two, three])
    with pytest.raises(ValueError, match="label 1 is a ClassConditionalLanguage"):
        ClassConditionalLanguage([0.5, 0.5], [two, ClassConditionalLanguage([1.0], [two])])
    with pytest.raises(ValueError, match="number of languages was given as 0"):
        ClassConditionalLanguage([], [])


def test_bad_text_is_named():
    language = HiddenMarkovLanguage.random(2, 3, generator())
    with pytest.raises(
        ValueError, match="Sequence 1 has token id 4 at position 2; expected 0 to 2"
    ):
        language.cavity_posterior(torch.tensor([[0, 1, 2], [0, 1, 4]]))
    with pytest.raises(ValueError, match="token id -100 at position 0"):
        language.log_probability(torch.tensor([[-100, 1, 2]]))
    with pytest.raises(ValueError, match="length 0"):
        language.left_posterior(torch.zeros(2, 0, dtype=torch.long))
    with pytest.raises(ValueError, match=r"shape \(3,\).*pass tokens\[None\]"):
        language.state_posterior(torch.tensor([0, 1, 2]))
    with pytest.raises(ValueError, match=r"torch\.float32"):
        language.state_posterior(torch.zeros(2, 3))


def test_impossible_evidence_is_named():
    cycle = MarkovLanguage([1.0, 0.0], [[0.0, 1.0], [1.0, 0.0]])
    right, wrong = [0, 1, 0, 1], [0, 1, 1, 0]
    with pytest.raises(ValueError, match=r"Sequence 1 is impossible.* token 1 at position 2 "):
        cycle.cavity_posterior(torch.tensor([right, wrong]))
    with pytest.raises(ValueError, match=r"Sequence 0 is impossible.* position 2 "):
        cycle.log_probability(torch.tensor([wrong]), CorruptionChannel(0.15, 1.0, 0.0))
    assert cycle.log_probability(torch.tensor([wrong]), CorruptionChannel()).isfinite().all()
    with pytest.raises(ValueError, match=r"impossible.* \[MASK\] at position 3 "):
        never_masks = CorruptionChannel(0.15, 0.0, 1.0)
        cycle.masked_token_posterior(torch.tensor([[0, 1, 0, 2]]), never_masks)
    classes = ClassConditionalLanguage(
        [0.5, 0.5], [cycle, MarkovLanguage([1.0, 0.0], cycle.start.expand(2, -1))]
    )
    with pytest.raises(ValueError, match=r"impossible.* token 1 at position 2 "):
        classes.label_posterior(torch.tensor([wrong]))


def test_bad_sizes_and_rates_are_named():
    language = HiddenMarkovLanguage.random(2, 3, generator())
    markov = MarkovLanguage.random(3, generator())
    for call in (language.entropies, markov.entropies, language.marginals):
        with pytest.raises(ValueError, match="length was given as 0; expected at least 1"):
            call(0)
    with pytest.raises(ValueError, match="length was given as 0"):
        language.sample(3, 0, generator())
    with pytest.raises(ValueError, match="n was given as 0"):
        language.sample(0, 3, generator())
    with pytest.raises(ValueError, match="n was given as 1; expected at least 2"):
        language.estimate_entropies(3, 1, generator())
    with pytest.raises(ValueError, match=r"3\^20 sentences of 20 tokens.*estimate_entropies"):
        language.entropies(20)
    for rate in (0.0, 1.0, math.nan):
        with pytest.raises(ValueError, match="mlm_probability was given as"):
            CorruptionChannel(rate)
    with pytest.raises(ValueError, match="two shares from 0 to 1"):
        CorruptionChannel(0.15, 0.8, 0.3)
    for shares in ((-0.1, 0.5), (math.nan, 0.1)):
        with pytest.raises(ValueError, match="mask_replace_prob was given as"):
            CorruptionChannel(0.15, *shares)
