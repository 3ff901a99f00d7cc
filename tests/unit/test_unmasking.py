"""Writing: the exact laws against enumeration, the sampler against the laws, bad input."""

import itertools
import math

import pytest
import torch

from bift_utils.evaluation.unmasking import (
    RULES,
    class_guide,
    draw,
    network_answer,
    parallel_law,
    scores,
    unmask,
    written_law,
)
from bift_utils.languages.any_order import blank_posterior, old_man_language, sentence_law
from bift_utils.languages.families import ClassConditionalLanguage, MarkovLanguage
from bift_utils.models.joint import small_bert
from bift_utils.runtime import make_generator, set_seed

V, T = 3, 3
CHAIN = MarkovLanguage([0.6, 0.4, 0.0], [[0.2, 0.5, 0.3], [0.7, 0.0, 0.3], [0.1, 0.6, 0.3]])
CLASSES = ClassConditionalLanguage.random(2, 2, 4, make_generator(5), concentration=0.8)
LAW = sentence_law(CHAIN, T)
CONTEXT_RULES = [rule for rule in RULES if rule != "drawn"]


def exact(rows):
    """The chain's answers; where words cannot stand together, any word will do."""
    found = torch.empty(*rows.shape, V, dtype=torch.float64)
    for i, row in enumerate(rows):
        try:
            found[i] = CHAIN.cavity_posterior(row[None])[0].log()
        except ValueError:
            found[i] = math.log(1 / V)
    return found


def kl(p, q):
    return float((torch.special.xlogy(p, p) - torch.special.xlogy(p, q)).sum())


def shares(rows, law):
    places = law.shape[0] ** torch.arange(law.dim() - 1, -1, -1)
    return (rows * places).sum(1).bincount(minlength=law.numel()).reshape(law.shape) / len(rows)


def by_enumeration(rule, temperature):
    """Follow every order and every word by hand."""
    written = torch.zeros_like(LAW)

    def go_on(seen, chance):
        hidden = tuple(i for i in range(T) if i not in seen)
        if not hidden:
            written[tuple(seen[i] for i in range(T))] += chance
            return
        where = tuple(seen.get(i, slice(None)) for i in range(T))
        p = []
        for position in hidden:
            table = blank_posterior(LAW, position, hidden)
            full = table.expand(LAW.shape)[where]
            keep = hidden.index(position)
            p.append(full.movedim(keep, 0).reshape(V, -1)[:, 0])
        drawn = [(one ** (1 / temperature)) / (one ** (1 / temperature)).sum() for one in p]
        for words in itertools.product(range(V), repeat=len(hidden)):
            together = math.prod(float(q[w]) for q, w in zip(drawn, words, strict=True))
            if not together:
                continue
            if rule == "random":
                picks = {place: 1 / len(hidden) for place in range(len(hidden))}
            else:
                found = [round(float(one[w]), 12) for one, w in zip(p, words, strict=True)]
                picks = {found.index(max(found)): 1.0}
            for place, share in picks.items():
                go_on({**seen, hidden[place]: words[place]}, chance * together * share)

    go_on({}, 1.0)
    return written


@pytest.mark.parametrize("temperature", [1.0, 0.5])
@pytest.mark.parametrize("rule", ["random", "drawn"])
def test_the_written_law_is_the_enumerated_one(rule, temperature):
    found = written_law(LAW, rule, temperature)
    assert float((found - by_enumeration(rule, temperature)).abs().max()) < 1e-12
    assert float(found.sum()) == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("rule", CONTEXT_RULES)
def test_rules_that_read_the_context_are_exact(rule):
    law = sentence_law(old_man_language(), 5)
    assert float((written_law(law, rule) - law).abs().max()) < 1e-12


def test_the_rule_that_reads_the_drawn_word_is_not():
    law = sentence_law(old_man_language(), 5)
    found = written_law(law, "drawn")
    assert float(found.sum()) == pytest.approx(1.0, abs=1e-12)
    assert float((found - law).abs().sum() / 2) == pytest.approx(0.54, abs=0.005)
    assert float(torch.special.entr(found).sum()) == pytest.approx(5.48, abs=0.005)


def test_several_at_once_by_enumeration():
    steps = 2
    wanted = torch.zeros_like(LAW)
    for when in itertools.product(range(steps), repeat=T):  # each word falls into a step
        part = torch.full_like(LAW, steps**-T)
        for i in range(T):
            hidden = tuple(j for j in range(T) if when[j] >= when[i])
            part = part * blank_posterior(LAW, i, hidden)
        wanted += part
    found = parallel_law(LAW, steps)
    assert float((found - torch.where(LAW > 0, wanted, 0.0)).abs().max()) < 1e-12


def test_the_numbers_of_the_old_man():
    law = sentence_law(old_man_language(), 5)
    found = [parallel_law(law, steps) for steps in (1, 2, 3, 4, 5)]
    divergences = [kl(law, q) for q in found]
    assert divergences == pytest.approx([1.588, 0.455, 0.249, 0.167, 0.123], abs=6e-4)
    impossible = [100 * (1 - float(q.sum())) for q in found]
    assert impossible == pytest.approx([45, 20, 13, 9, 7], abs=0.6)
    alone = law.sum((1, 2, 3, 4))
    assert alone.shape == (8,)  # one step: a product of five words that do not know each other
    product = math.prod(law.sum([j for j in range(5) if j != i], keepdim=True) for i in range(5))
    assert float((found[0] - torch.where(law > 0, product, 0.0)).abs().max()) < 1e-12


@pytest.mark.parametrize("rule", RULES)
def test_the_sampler_follows_its_law(rule):
    n = 10_000
    blanks = torch.full((n, T), V)
    states = unmask(lookup(), blanks, V, make_generator(1), rule)
    assert states.shape == (T + 1, n, T)
    assert [int((state == V).sum()) for state in states] == [3 * n, 2 * n, n, 0]
    distance = float((shares(states[-1], LAW) - written_law(LAW, rule)).abs().sum() / 2)
    assert distance < 0.03


def lookup():
    """The chain's answers at once for many rows."""
    every = torch.tensor(list(itertools.product(range(V + 1), repeat=T)))
    table = exact(every)
    return lambda rows: table[(rows * (V + 1) ** torch.arange(T - 1, -1, -1)).sum(1)]


def test_the_sampler_in_steps_follows_its_law():
    n = 10_000
    states = unmask(lookup(), torch.full((n, T), V), V, make_generator(2), steps=2)
    assert len(states) == 3 and not (states[-1] == V).any()
    found, wanted = shares(states[-1], LAW), parallel_law(LAW, 2)
    possible = LAW > 0
    assert float((found - wanted)[possible].abs().sum()) < 0.05
    assert float(found[~possible].sum()) == pytest.approx(1 - float(wanted.sum()), abs=0.02)


def test_what_is_written_stays_and_a_low_temperature_takes_the_best():
    given = torch.tensor([[0, V, 1], [V, 0, 1]])
    kept = given.clone()
    states = unmask(exact, given, V, make_generator(3), "top", temperature=0.01)
    assert torch.equal(given, kept)
    assert torch.equal(states[-1][given != V], given[given != V])
    best = exact(given).argmax(-1)
    assert torch.equal(states[-1][given == V], best[given == V])


def test_draws_have_the_shares_of_the_tempered_answer():
    p = torch.tensor([0.5, 0.3, 0.2, 0.0]).double()
    found = draw(p.log().expand(50_000, -1), 0.5, make_generator(4)).bincount(minlength=4) / 50_000
    assert found.tolist() == pytest.approx((p**2 / (p**2).sum()).tolist(), abs=0.01)
    assert found[3] == 0


def test_scores_read_the_answers():
    p = torch.tensor([[[0.5, 0.5, 0.0], [0.6, 0.2, 0.2], [0.55, 0.45, 0.0]]]).double()
    first = {rule: int(scores(rule, p).argmax()) for rule in ("left", "entropy", "margin", "top")}
    assert first == {"left": 0, "entropy": 2, "margin": 1, "top": 1}


def test_a_guide_writes_the_law_of_its_class():
    """P(x_i | z) · P(y | z, x_i), in any order, is P(x | y): the classifiers' ratios telescope."""
    answer = lambda rows: CLASSES.cavity_posterior(rows).log()  # noqa: E731
    guide = class_guide(CLASSES.label_posterior, 1, "masked")
    n = 4000
    blanks = torch.full((n, T), 4)
    written = unmask(answer, blanks, 4, make_generator(6), guide=guide)[-1]
    of_class, plain = sentence_law(CLASSES, T, 1), sentence_law(CLASSES, T)
    assert float((shares(written, of_class) - of_class).abs().sum() / 2) < 0.05
    assert float((of_class - plain).abs().sum() / 2) > 0.15  # the guide had something to do
    # one step, exactly
    tokens, position = torch.tensor([[4, 2, 4]]), torch.tensor([0])
    found = guide(tokens, position, answer(tokens)[:, 0]).exp()
    wanted = blank_posterior(of_class, 0, (0, 2))[:, 2, 0]
    assert found[0].tolist() == pytest.approx(wanted.tolist(), abs=1e-12)


def test_a_guide_tries_only_its_candidates():
    judge = lambda rows: torch.full((len(rows), 2), 0.5)  # noqa: E731
    guide = class_guide(judge, 0, "masked", candidates=2)
    log_p = torch.tensor([[0.5, 0.1, 0.4]]).log()
    found = guide(torch.tensor([[3, 1]]), torch.tensor([0]), log_p).exp()[0]
    assert found.tolist() == pytest.approx([5 / 9, 0.0, 4 / 9], abs=1e-6)


def test_a_network_never_writes_a_special_token():
    set_seed(0)
    model = small_bert(5, T, width=16, layers=1)
    answer = network_answer(model, torch.tensor([False, True, True, True, True, False]))
    found = answer(torch.full((2, T), 5))
    assert torch.equal(found[..., [0, 5]], torch.full((2, T, 2), -torch.inf).double())
    assert torch.allclose(found.exp().sum(-1), torch.ones(2, T).double())


BLANKS = torch.full((2, T), V)


@pytest.mark.parametrize("call, message", [
    (lambda: unmask(exact, BLANKS, V, make_generator(0), "best"), "The rule was given as 'best'"),
    (lambda: unmask(exact, BLANKS, V, make_generator(0), temperature=0.0), "number above 0"),
    (lambda: unmask(exact, BLANKS, V, make_generator(0), temperature=-1.0), "number above 0"),
    (lambda: unmask(exact, BLANKS, V, make_generator(0), steps=0), "steps was given as 0"),
    (lambda: unmask(exact, BLANKS, V, make_generator(0), "top", steps=2), "Leave one of them out"),
    (lambda: unmask(exact, BLANKS, V, make_generator(0), "drawn", guide=lambda *a: a[2]),
     "a guide with every rule but 'drawn'"),
    (lambda: unmask(exact, torch.tensor([[V, 1], [V, V]]), V, make_generator(0)),
     r"have \[1, 2\] blanks"),
    (lambda: written_law(LAW, "best"), "expected one of"),
    (lambda: written_law(LAW, "random", 0), "number above 0"),
    (lambda: parallel_law(LAW, 0), "steps was given as 0; expected at least 1"),
    (lambda: class_guide(CLASSES.label_posterior, 0, "clean"),
     "classifier_input 'clean'; expected 'masked', because .* the classifier reads blanks"),
])  # fmt: skip
def test_bad_input_is_one_sentence(call, message):
    with pytest.raises(ValueError, match=message):
        call()
