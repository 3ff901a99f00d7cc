"""The exact posteriors and entropies of the known languages, against brute-force enumeration."""

import itertools

import pytest
import torch

from bift_utils.languages.families import (
    ClassConditionalLanguage,
    HiddenMarkovLanguage,
    KnownLanguage,
    MarkovLanguage,
)
from bift_utils.masking.tokens import CorruptionChannel, MaskingConfig, mask_tokens

TOLERANCE = 1e-12
LENGTH = 4
RATES = [  # mlm_probability, mask_replace_prob, random_replace_prob
    (0.15, 0.8, 0.1),
    (0.15, 1.0, 0.0),
    (0.4, 0.8, 0.1),
    (0.3, 0.0, 1.0),
    (0.6, 0.5, 0.5),
    (0.25, 0.7, 0.0),
    (0.9, 0.0, 0.0),
    (0.37, 0.123, 0.456),
]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def sparse_language():
    """Two classes with zeros in them, so that one position can rule a class out."""
    first = HiddenMarkovLanguage(
        [0.5, 0.5], [[0.2, 0.8], [0.0, 1.0]], [[0.0, 0.6, 0.4], [0.3, 0.7, 0.0]]
    )
    second = HiddenMarkovLanguage(
        [1.0, 0.0], [[0.5, 0.5], [0.9, 0.1]], [[0.1, 0.0, 0.9], [0.0, 1.0, 0.0]]
    )
    return ClassConditionalLanguage([0.3, 0.7], [first, second])


def markov_classes():
    source = generator(7)
    languages = [MarkovLanguage.random(3, source, 1.0) for _ in range(3)]
    return ClassConditionalLanguage([0.2, 0.5, 0.3], languages)


LANGUAGES = {
    "markov": lambda: MarkovLanguage.random(3, generator(1), 0.5),
    "hidden": lambda: HiddenMarkovLanguage.random(2, 3, generator(2), 1.0),
    "hidden-peaked": lambda: HiddenMarkovLanguage.random(3, 2, generator(3), 0.1),
    "classes": lambda: ClassConditionalLanguage.random(2, 2, 3, generator(4), 0.8),
    "classes-markov": markov_classes,
    "classes-sparse": sparse_language,
}


class BruteForce:
    """Every (label, states, tokens) of a language with its probability, multiplied out by hand."""

    def __init__(self, language, length=LENGTH):
        self.vocab_size, self.length = language.vocab_size, length
        parts = getattr(language, "languages", [language])
        prior = getattr(language, "prior", torch.ones(1)).tolist()
        rows = []
        for label, part in enumerate(parts):
            start, transition = part.start.tolist(), part.transition.tolist()
            count = len(start)
            emission = part.emission.tolist() if hasattr(part, "emission") else None
            for states in itertools.product(range(count), repeat=length):
                p = prior[label] * start[states[0]]
                for before, after in itertools.pairwise(states):
                    p *= transition[before][after]
                outputs = itertools.product(range(self.vocab_size), repeat=length)
                for tokens in outputs if emission else [states]:
                    q = p
                    for state, token in zip(states, tokens, strict=True) if emission else ():
                        q *= emission[state][token]
                    rows.append((q, label, states, tokens))
        probability, labels, states, tokens = zip(*rows, strict=True)
        self.probability = torch.tensor(probability, dtype=torch.float64)  # (R,)
        self.labels, self.states = torch.tensor(labels), torch.tensor(states)
        self.tokens = torch.tensor(tokens)  # (R, T)
        self.num_labels, self.num_states = len(parts), count

    def share(self, weights, values, count):
        """P(value = k) under weights (N, R) of the rows, for k below count: (N, count)."""
        sums = weights @ torch.nn.functional.one_hot(values, count).double()
        return sums / weights.sum(1, keepdim=True)

    def weights(self, corrupted, table, without=None, selected=None, selected_table=None):
        """Probability of each row times that of z given it, (N, R); z_i dropped or selected."""
        weights = self.probability.expand(len(corrupted), -1)
        for i in range(self.length):
            if i != without:
                chosen = selected_table if i == selected else table
                weights = weights * chosen[self.tokens[:, i]][:, corrupted[:, i]].T
        return weights

    def tokens_at(self, weights, i):
        return self.share(weights, self.tokens[:, i], self.vocab_size)


def outcome_tables(vocab_size, rates):
    """P(z | x) and P(z | x, selected), by adding up every outcome of the corruption."""
    rate, as_mask, as_random = rates
    selected = torch.zeros(vocab_size, vocab_size + 1, dtype=torch.float64)
    for token in range(vocab_size):
        selected[token, vocab_size] += as_mask
        for drawn in range(vocab_size):
            selected[token, drawn] += as_random / vocab_size
        selected[token, token] += 1 - as_mask - as_random if as_mask + as_random < 1 else 0.0
    everything = rate * selected
    for token in range(vocab_size):
        everything[token, token] += 1 - rate
    return everything, selected


def all_corrupted(language, truth, table):
    """Every corrupted sentence that can occur, (N, T)."""
    ids = range(language.vocab_size + 1)
    corrupted = torch.tensor(list(itertools.product(ids, repeat=LENGTH)))
    return corrupted[truth.weights(corrupted, table).sum(1) > 0]


def assert_same(actual, expected):
    assert actual.dtype == torch.float64
    assert actual.shape == expected.shape
    assert float((actual - expected).abs().max()) < TOLERANCE


@pytest.fixture(scope="module", params=LANGUAGES)
def known(request):
    language = LANGUAGES[request.param]()
    return language, BruteForce(language)


@pytest.mark.parametrize("rates", [None, *RATES])
def test_posteriors_match_enumeration(known, rates):
    language, truth = known
    vocab_size = language.vocab_size
    if rates is None:  # visible tokens are certain, [MASK] is a blank
        channel, selected = None, None
        table = torch.cat([torch.eye(vocab_size), torch.ones(vocab_size, 1)], 1).double()
    else:
        channel = CorruptionChannel(*rates)
        table, selected = outcome_tables(vocab_size, rates)
        assert_same(channel.matrix(vocab_size), table)
        assert_same(channel.selected_matrix(vocab_size), selected)
    z = all_corrupted(language, truth, table)
    weights = truth.weights(z, table)
    positions = range(LENGTH)

    assert_same(language.log_probability(z, channel), weights.sum(1).log())
    cavity = [truth.tokens_at(truth.weights(z, table, without=i), i) for i in positions]
    assert_same(language.cavity_posterior(z, channel), torch.stack(cavity, 1))
    tokens = [truth.tokens_at(weights, i) for i in positions]
    assert_same(language.token_posterior(z, channel), torch.stack(tokens, 1))
    states = [truth.share(weights, truth.states[:, i], truth.num_states) for i in positions]
    assert_same(language.state_posterior(z, channel), torch.stack(states, 1))
    if isinstance(language, ClassConditionalLanguage):
        labels = truth.share(weights, truth.labels, truth.num_labels)
        assert_same(language.label_posterior(z, channel), labels)
    if channel is not None:
        actual = language.masked_token_posterior(z, channel)
        for i in positions:
            scored = truth.weights(z, table, selected=i, selected_table=selected)
            never = scored.sum(1) == 0
            expected = torch.where(never[:, None], cavity[i], truth.tokens_at(scored, i))
            assert_same(actual[:, i], expected)


def test_left_posterior_is_the_cavity_with_blanks_to_the_right(known):
    language, _ = known
    channel = CorruptionChannel(0.3, 0.5, 0.3)
    blanks = CorruptionChannel(0.3, 1.0, 0.0)
    tokens = language.sample(50, LENGTH, generator()).tokens
    for evidence in (None, channel, blanks):
        left = language.left_posterior(tokens, evidence)
        for i in range(LENGTH):
            blanked = tokens.clone()
            blanked[:, i:] = language.mask_token_id
            assert_same(left[:, i], language.cavity_posterior(blanked, evidence)[:, i])
    assert_same(left, language.left_posterior(tokens))


def entropy_of_groups(probability, keys):
    _, group = torch.unique(keys, dim=0, return_inverse=True)
    sums = torch.zeros(int(group.max()) + 1).double().index_add(0, group, probability)
    return torch.special.entr(sums).sum()


def test_entropies_match_enumeration(known):
    language, truth = known

    def entropy(keys):
        return entropy_of_groups(truth.probability, keys) if keys.shape[1] else 0.0

    exact = language.entropies(LENGTH)
    sentence = entropy(truth.tokens)
    for i in range(LENGTH):
        before, through = truth.tokens[:, :i], truth.tokens[:, : i + 1]
        others = torch.cat([before, truth.tokens[:, i + 1 :]], 1)
        assert_same(exact.alone[i], entropy(truth.tokens[:, i : i + 1]))
        assert_same(exact.given_left[i], entropy(through) - entropy(before))
        assert_same(exact.given_both[i], sentence - entropy(others))
    labelled = torch.cat([truth.labels[:, None], truth.tokens], 1)
    assert_same(exact.label, entropy(labelled) - sentence)
    assert_same(exact.given_left.sum(), sentence)


@pytest.mark.parametrize("length", [1, 2, 3, 7])
def test_markov_closed_form_matches_enumeration(length):
    language = MarkovLanguage.random(4, generator(6), 0.4)
    for closed, enumerated in zip(
        language.entropies(length), KnownLanguage.entropies(language, length), strict=True
    ):
        assert_same(closed, enumerated)


@pytest.mark.parametrize("name", ["markov", "hidden", "classes", "classes-sparse"])
def test_estimated_entropies_lie_within_their_error(name):
    language = LANGUAGES[name]()
    exact = language.entropies(6)
    estimate, error = language.estimate_entropies(6, 4000, generator(11))
    assert_same(estimate.alone, exact.alone)
    assert error.alone.tolist() == [0.0] * 6
    for value, truth, spread in zip(estimate, exact, error, strict=True):
        assert ((value - truth).abs() <= 4.5 * spread + TOLERANCE).all()
        assert (spread < 0.03).all()


@pytest.mark.parametrize("name", LANGUAGES)
def test_samples_follow_the_language(name):
    language, n = LANGUAGES[name](), 40_000
    truth = BruteForce(language, length=2)
    drawn = language.sample(n, 2, generator(12))
    size = max(truth.num_labels, truth.num_states, truth.vocab_size)

    def code(labels, states, tokens):
        columns = torch.cat([labels[:, None], states, tokens], 1)
        return (columns * size ** torch.arange(5)).sum(1)

    expected = torch.zeros(size**5).double()
    expected.index_add_(0, code(truth.labels, truth.states, truth.tokens), truth.probability)
    counts = code(drawn.labels, drawn.states, drawn.tokens).bincount(minlength=size**5)
    assert (counts[expected == 0] == 0).all()
    spread = (expected * (1 - expected) / n).sqrt()
    assert ((counts / n - expected).abs() <= 5 * spread + 1 / n).all()


def test_the_channel_is_that_of_mask_tokens():
    n, vocab_size = 100_000, 4
    ordinary = torch.arange(vocab_size + 1) < vocab_size
    for rates in RATES:
        tokens = torch.arange(vocab_size).expand(n, -1)
        config = MaskingConfig(vocab_size, ordinary, *rates)
        corrupted, labels = mask_tokens(tokens, config, generator(8))
        outcome = torch.nn.functional.one_hot(corrupted, vocab_size + 1).double()  # (n, V, V + 1)
        scored = (labels >= 0).double().unsqueeze(-1)
        channel = CorruptionChannel(*rates)
        joint = rates[0] * channel.selected_matrix(vocab_size)
        for seen, table in (
            (outcome, channel.matrix(vocab_size)),
            (outcome * scored, joint),
        ):
            spread = (table * (1 - table) / n).sqrt()
            assert ((seen.mean(0) - table).abs() <= 5 * spread).all()
