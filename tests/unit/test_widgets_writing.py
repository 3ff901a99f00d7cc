"""The writing explorer and the figures of notebook 09 show what is written, step by step."""

import io

import pytest
import torch
from test_widgets import Handle, is_grey

from bift_utils.evaluation.unmasking import class_guide, unmask
from bift_utils.labs.from_blanks_to_sentences import figures
from bift_utils.labs.from_blanks_to_sentences.explorer import WritingExplorer
from bift_utils.languages.families import ClassConditionalLanguage
from bift_utils.runtime import make_generator

LANGUAGE = ClassConditionalLanguage.random(2, 2, 3, make_generator(5), concentration=2.0)
WORDS = ["a", "b", "$c$", "[MASK]"]


def answer(rows):
    return LANGUAGE.cavity_posterior(rows).log()


def spell(ids):
    return [WORDS[i] for i in ids.tolist()]


@pytest.fixture
def explorer():
    guides = {"any": None, "one": class_guide(LANGUAGE.label_posterior, 1, "masked")}
    explorer = WritingExplorer(answer, guides, torch.tensor([3, 0, 3, 3]), 3, spell)
    explorer.handle = Handle()
    return explorer


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def test_the_figure_shows_every_state_up_to_the_step(explorer):
    explorer.react()
    states = unmask(answer, torch.tensor([[3, 0, 3, 3]]), 3, make_generator(0))[:, 0]
    assert torch.equal(explorer.states, states)
    shown = texts(explorer.handle.shown[-1])
    assert shown == ["▁▁" if i == 3 else WORDS[i] for state in states for i in state.tolist()]
    explorer.step.value = 1
    figure = explorer.handle.shown[-1]
    assert texts(figure) == shown[:8]
    bold = [text.get_text() for text in figure.axes[0].texts if text.get_weight() == "bold"]
    assert len(bold) == 1  # the word that this step wrote
    assert "Blanks left: 2." in explorer.said and "Step 1 of 3" in explorer.said
    figure.savefig(io.BytesIO(), format="png")  # dollar signs are no formula


def test_what_is_drawn_is_left_out_where_the_line_is_kept(explorer):
    explorer.react()
    sentence = " ".join(spell(explorer.states[-1]))
    assert (
        sentence in explorer.status.value.replace("&quot;", '"') and sentence not in explorer.said
    )


def test_each_choice_counts_and_what_was_written_is_kept(explorer):
    explorer.react()
    first = explorer.states
    explorer.wanted.value = "one"
    guided = explorer.states
    wanted = unmask(answer, torch.tensor([[3, 0, 3, 3]]), 3, make_generator(0),
                    guide=explorer.guides["one"])[:, 0]  # fmt: skip
    assert torch.equal(guided, wanted)
    explorer.wanted.value = "any"
    assert explorer.states is first
    explorer.temperature.value, explorer.rule.value = 0.5, "entropy"
    assert len(explorer.written) == 4
    explorer.another.click()
    assert len(explorer.written) == 5 and explorer.number == 1


def test_a_rule_that_takes_no_guide_is_a_sentence(explorer):
    explorer.wanted.value = "one"
    assert not is_grey(explorer.handle.shown[-1])
    explorer.rule.value = "drawn"
    assert is_grey(explorer.handle.shown[-1])
    assert "do not go together" in explorer.status.value
    explorer.wanted.value = "any"
    assert not is_grey(explorer.handle.shown[-1])


def test_a_temperature_that_is_not_offered_is_named():
    with pytest.raises(ValueError, match="temperature was given as 3; expected one of"):
        WritingExplorer(answer, {"any": None}, torch.tensor([3]), 3, spell, temperature=3)


def test_the_area_has_a_bar_for_each_range():
    figure = figures.plot_area([0.25, 0.75], [3.0, 5.0], {"unigram": 6.5}, "Found")
    axes = figure.axes[0]
    assert [(bar.get_width(), bar.get_height()) for bar in axes.patches] == [(0.5, 3), (0.5, 5)]
    line = axes.lines[1]
    assert line.get_linestyle() == ":" and set(line.get_ydata()) == {6.5}
    assert axes.texts[0].get_text() == "unigram: 6.50"


def test_steps_have_two_panels_with_the_exact_line():
    figure = figures.plot_steps([1, 2], [1.5, 0.4], [45, 20], "Found")
    for axes, values in zip(figure.axes, ([1.5, 0.4], [45, 20]), strict=True):
        curve, optimum = axes.lines
        assert list(curve.get_ydata()) == values
        assert optimum.get_linestyle() == "--" and set(optimum.get_ydata()) == {0.0}
