import io

import pytest
import torch
from test_widgets import Handle, is_grey

from bift_utils.evaluation.exact import kl_divergence, token_log_probabilities
from bift_utils.labs.mlm_probability.explorer import (
    MASK,
    BayesExplorer,
    bayes_parts,
)
from bift_utils.languages.families import MarkovLanguage
from bift_utils.masking.tokens import CorruptionChannel
from bift_utils.models.joint import small_bert
from bift_utils.runtime import set_seed

WORDS = ["a", "b", "$c$"]
ALWAYS, MIXED = CorruptionChannel(0.4, 1.0, 0.0), CorruptionChannel(0.4, 0.8, 0.1)
# b never follows b, and no sentence begins with $c$
LANGUAGE = MarkovLanguage([0.6, 0.4, 0.0], [[0.2, 0.5, 0.3], [0.7, 0.0, 0.3], [0.1, 0.6, 0.3]])


def networks():
    set_seed(0)
    return {name: (channel, small_bert(3, 3, width=16, layers=1))
            for name, channel in (("100/0/0", ALWAYS), ("80/10/10", MIXED))}  # fmt: skip


@pytest.fixture
def explorer():
    explorer = BayesExplorer(LANGUAGE, WORDS, networks(), f"a {MASK} b", 2)
    explorer.handle = Handle()
    return explorer


def bars(figure, panel):
    return [bar.get_width() for bar in figure.axes[panel].patches]


@pytest.mark.parametrize("channel", [ALWAYS, MIXED])
@pytest.mark.parametrize("ids, position", [([0, 3, 1], 1), ([0, 2, 1], 1), ([3, 3, 0], 0)])
def test_parts_against_enumeration(channel, ids, position):
    if channel is ALWAYS and ids[position] != 3:
        pytest.skip("this channel never asks at a visible word")
    start, transition = LANGUAGE.start, LANGUAGE.transition
    every = torch.einsum("a,ab,bc->abc", start, transition, transition)
    ways = [channel.matrix(3)[:, token] for token in ids]
    ways[position] = channel.selected_matrix(3)[:, ids[position]]
    joint = torch.einsum("abc,a,b,c->" + "abc"[position], every, *ways)
    prior = every.sum([d for d in range(3) if d != position])
    found = bayes_parts(LANGUAGE, torch.tensor([ids]), position, channel)
    assert torch.allclose(found["prior"], prior)
    assert torch.allclose(found["posterior"], joint / joint.sum())
    likelihood = torch.where(prior > 0, joint / prior, 0.0)
    assert torch.allclose(found["likelihood"], likelihood / likelihood.sum())
    product = found["prior"] * found["likelihood"]
    assert torch.allclose(product / product.sum(), found["posterior"])


def test_a_move_redraws(explorer):
    explorer.places[0].value = "b"
    figure = explorer.handle.shown[-1]
    expected = LANGUAGE.cavity_posterior(torch.tensor([[1, 3, 1]]))[0, 1]
    assert bars(figure, 2) == pytest.approx(expected.tolist())
    answer = token_log_probabilities(explorer.networks["100/0/0"][1], torch.tensor([[1, 3, 1]]))
    distance = float(kl_divergence(expected, answer[0, 1]))
    assert f"KL(exact ‖ network): {distance:.3f} nats" in explorer.status.value
    assert figure._suptitle.get_text() == f"b {MASK} b: what is word 2?"
    figure.savefig(io.BytesIO(), format="png")  # dollar signs are no formula


def test_the_network_belongs_to_the_channel(explorer):
    explorer.react()
    first = bars(explorer.handle.shown[-1], 3)
    explorer.channel.value = "80/10/10"
    assert bars(explorer.handle.shown[-1], 3) != pytest.approx(first)


def test_impossible_text_is_a_sentence_and_no_traceback(explorer):
    before = len(explorer.handle.shown)
    explorer.ask.value = 3
    explorer.places[1].value = "b"  # a b b
    assert len(explorer.handle.shown) == before + 2
    assert is_grey(explorer.handle.shown[-1])
    assert "cannot occur with 100/0/0" in explorer.status.value
    explorer.channel.value = "80/10/10"  # there one of them may be a random word
    assert len(explorer.handle.shown) == before + 3 and not is_grey(explorer.handle.shown[-1])
    assert "cannot" not in explorer.status.value


def test_what_a_visible_word_means_is_said(explorer):
    explorer.ask.value = 1
    assert "never asks at a visible word" in explorer.status.value
    explorer.channel.value = "80/10/10"
    assert "may have been drawn at random" in explorer.status.value
    explorer.ask.value = 2
    assert "The word is hidden" in explorer.status.value


def test_all_blanks_give_the_prior(explorer):
    for place in explorer.places:
        place.value = MASK
    figure = explorer.handle.shown[-1]
    assert bars(figure, 0) == pytest.approx(bars(figure, 2))


def test_controls_have_labels_and_keys(explorer):
    names = [control.description for control in explorer.controls]
    assert names == ["word 1", "word 2", "word 3", "text comes from", "ask for word"]
    assert not any(control.disabled for control in explorer.controls)


def test_one_channel_is_no_choice():
    only = {"80/10/10": networks()["80/10/10"]}
    explorer = BayesExplorer(LANGUAGE, WORDS, only, f"a {MASK} b", 2)
    assert [c.description for c in explorer.controls] == [
        "word 1",
        "word 2",
        "word 3",
        "ask for word",
    ]
    assert explorer.update() is not None and "The word is hidden" in explorer.status.value


@pytest.mark.parametrize("sentence, ask", [("a d b", 1), (f"a {MASK}", 3), ("a b", 0)])
def test_bad_input_is_named(sentence, ask):
    with pytest.raises(ValueError, match="expected words of"):
        BayesExplorer(LANGUAGE, WORDS, networks(), sentence, ask)
