import io

import matplotlib.pyplot as plt
import pytest

from bift_utils.labs.core import explorer as core
from bift_utils.labs.masking.explorer import (
    MOST_TOKENS,
    MaskingPlayground,
    draw_masks,
    masking_playground,
)
from bift_utils.labs.masking.figures import OUTCOME_COLOURS
from bift_utils.masking.tokens import OUTCOMES, MaskingConfig
from bift_utils.models.checkpoints import load_tokenizer
from bift_utils.plotting.figures import COLOURS
from bift_utils.runtime import make_generator

TEXT = "the film was very good , and the cast was warm and funny ."


class Handle:
    """Stands for the display of the figure."""

    def __init__(self):
        self.shown = []

    def update(self, figure):
        self.shown.append(figure)


@pytest.fixture
def playground(tokenizer):
    playground = MaskingPlayground(tokenizer, TEXT)
    playground.handle = Handle()
    return playground


def title_of(figure):
    return "".join(figure.axes[0].get_title(loc=place) for place in ("left", "center"))


def is_grey(figure):
    return core.PAST in [text.get_text() for text in figure.texts]


def words_of(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def test_a_draw_in_words(tokenizer):
    config = MaskingConfig.from_tokenizer(tokenizer, mlm_probability=0.6)
    draw = draw_masks(tokenizer, TEXT, config, make_generator(0))
    clean = ["[CLS]", *tokenizer.tokenize(TEXT), "[SEP]"]
    assert draw.answers == clean
    for seen, name, answer in zip(draw.tokens, draw.names, draw.answers, strict=True):
        if name in ("not selected", "kept"):
            assert seen == answer
        elif name == "[MASK]":
            assert seen == "[MASK]"
        else:
            assert seen != answer
    assert draw.names[0] == draw.names[-1] == "not selected"


def test_each_press_is_a_new_draw(playground):
    playground.rate.value = 50
    seen = {playground.status.value}
    for _ in range(3):
        playground.button.click()
        seen.add(playground.status.value)
    assert len(seen) == 4
    assert len(playground.handle.shown) == 4  # one for the slider, three for the button


def test_a_higher_rate_only_adds(playground):
    counts = []
    for rate in (10, 30, 60, 99):
        playground.rate.value = rate
        counts.append(int(title_of(playground.handle.shown[-1]).split()[0]))
    assert counts == sorted(counts) and counts[0] < counts[-1]


def test_shares_are_scaled_to_a_hundred(playground):
    for slider, value in zip(playground.shares, (40, 5, 5), strict=True):
        slider.value = value
    assert "shares 80% / 10% / 10%" in playground.status.value


@pytest.mark.parametrize("shares, name", [((100, 0, 0), "[MASK]"), ((0, 0, 50), "kept")])
def test_one_share_alone(playground, shares, name):
    playground.rate.value = 80
    for slider, value in zip(playground.shares, shares, strict=True):
        slider.value = value
    shown = words_of(playground.handle.shown[-1])
    others = set(OUTCOMES[1:]) - {name}
    assert name in shown and not others & set(shown)


def test_what_a_reader_types_is_escaped():
    playground = MaskingPlayground(load_tokenizer("bift-mini"), TEXT)
    playground.handle = Handle()
    playground.rate.value = 1
    playground.text.value = "<b onclick='x'>good</b> & $x$ film"
    inside = playground.status.value.removeprefix("<p>").removesuffix("</p>")
    assert not set("<>") & set(inside) and "good" in inside
    figure = playground.handle.shown[-1]
    figure.savefig(io.BytesIO(), format="png")  # dollar signs are no formula


def test_a_page_without_a_kernel_shows_the_line(monkeypatch):
    shown = []
    monkeypatch.setattr(core, "display", lambda *items, **_: shown.extend(items))

    class Dice(core.Explorer):
        def update(self):
            self.say("a < b & c", measured="0.123 s")

    dice = Dice().show()
    assert shown[0]["text/plain"] == "Run this cell for the controls.\na < b & c"
    assert dice.status.value == "<p>a &lt; b &amp; c 0.123 s</p>"


def test_a_figure_finds_its_place_though_the_first_text_has_none(tokenizer, monkeypatch):
    monkeypatch.setattr(core, "display", lambda *_, display_id=False, **__: display_id and Handle())
    playground = masking_playground(tokenizer, " ")
    playground.text.value = TEXT
    assert len(playground.handle.shown) == 1 and not is_grey(playground.handle.shown[0])


def test_nothing_to_draw_is_said(playground):
    before = len(playground.handle.shown)
    playground.text.value = "   "
    assert "Type some words" in playground.status.value
    playground.text.value = TEXT
    for slider in playground.shares:
        slider.value = 0
    assert "raise at least one" in playground.status.value
    assert len(playground.handle.shown) > before  # the states in between were drawn
    assert is_grey(playground.handle.shown[-1])
    before = len(playground.handle.shown)
    playground.rate.value = 20
    assert len(playground.handle.shown) == before  # it is grey already
    playground.shares[0].value = 80
    assert not is_grey(playground.handle.shown[-1])


def test_the_line_below_follows_the_controls(playground):
    for rate in (40, 20):
        playground.rate.value = rate
        assert f"rate {rate} %, shares 80% / 10% / 10%; the model" in playground.status.value


def test_a_long_text_is_cut(playground):
    playground.text.value = "good " * 500
    assert len(playground.handle.shown[-1].axes[0].patches) == MOST_TOKENS
    assert "cut after 60 tokens" in playground.status.value


def test_controls_have_labels_and_keys(playground):
    controls = [playground.text, playground.rate, *playground.shares, playground.button]
    names = [control.description for control in controls]
    assert all(names) and len(set(names)) == len(names)
    assert not any(getattr(control, "disabled", False) for control in controls)
    assert {OUTCOME_COLOURS[name] for name in OUTCOMES} <= set(COLOURS)


def test_the_figure_is_shown_once_and_needs_no_kernel(tokenizer, monkeypatch):
    shown = []

    def display(thing, **options):
        shown.append((thing, options))
        return Handle() if options.get("display_id") else None

    monkeypatch.setattr(core, "display", display)
    playground = masking_playground(tokenizer, TEXT)
    (bundle, raw), (figure, options) = shown
    assert raw == {"raw": True} and "Run this cell" in bundle["text/plain"]
    assert "model_id" in bundle["application/vnd.jupyter.widget-view+json"]
    assert options == {"display_id": True} and "good" in words_of(figure)
    assert not plt.get_fignums(), "an open figure would be drawn again at the end of the cell"
    playground.button.click()
    assert len(playground.handle.shown) == 1
