import pytest
from test_widgets import Handle, is_grey, title_of

from bift_utils.evaluation.ask import fill_blank
from bift_utils.labs.start_here.explorer import MOST_WORDS, BlankFiller, excerpt

TEXT = "the [MASK] was very good ."


@pytest.fixture
def filler(tiny_model, tokenizer):
    filler = BlankFiller(tiny_model, tokenizer, TEXT)
    filler.handle = Handle()
    return filler


def names_of(figure):
    return [label.get_text() for label in figure.axes[0].get_yticklabels()]


def test_the_bars_are_the_answers_of_the_model(filler):
    found = fill_blank(filler.model, filler.tokenizer, TEXT, 5)
    figure = filler.update()
    assert names_of(figure) == list(found)
    assert [bar.get_width() for bar in figure.axes[0].patches] == list(found.values())
    best = next(iter(found))
    assert best in title_of(figure)
    assert filler.status.value == f"<p>the {best} was very good .</p>"


def test_the_slider_sets_how_many(filler):
    filler.top.value = 2
    assert len(names_of(filler.handle.shown[-1])) == 2


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "Type some words"),
        ("the film", "has 0 blanks"),
        ("[MASK] [MASK]", "has 2 blanks"),
        ("good " * 40 + "[MASK]", "blank lies past"),
    ],
)
def test_what_cannot_be_asked_is_said(filler, text, message):
    filler.text.value = text
    assert message in filler.status.value and not filler.handle.shown


def test_after_a_text_without_an_answer_the_figure_is_grey(filler):
    filler.text.value = "a [MASK] film ."
    assert not is_grey(filler.handle.shown[-1])
    filler.text.value = "a film ."
    assert is_grey(filler.handle.shown[-1])


def test_of_a_long_text_what_is_near_the_blank_is_repeated(filler):
    filler.text.value = "[MASK] " + "good " * 500
    line = filler.status.value
    assert line.count("good") == MOST_WORDS + (filler.status.value[3:7] == "good")
    assert "…" in line and "reads 16 tokens; 487 at the end of your text were cut" in line
    assert excerpt("a " * 40 + "[MASK] b", "[MASK]", "x") == "… " + "a " * MOST_WORDS + "x b"
    filler.text.value = "bad " * 600
    assert filler.status.value.count("bad") < 40


def test_what_a_reader_types_is_escaped(filler):
    filler.text.value = "<b>[MASK]</b>"
    inside = filler.status.value.removeprefix("<p>").removesuffix("</p>")
    assert not set("<>") & set(inside)
