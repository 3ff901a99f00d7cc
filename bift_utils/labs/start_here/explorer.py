"""Fill in the blank: a text with [MASK], and the likeliest tokens for it as bars."""

import warnings

import ipywidgets
from matplotlib.figure import Figure

from bift_utils.evaluation.ask import fill_blank
from bift_utils.labs.core.explorer import Explorer, control_options
from bift_utils.plotting.figures import plot_bars

MOST_WORDS = 30  # that the line repeats on each side of the blank


def excerpt(text: str, mask: str, word: str) -> str:
    """Return a text with a word in place of its blank, and of a long text only what is near it."""
    before, after = text.split(mask, 1)
    left, right = before.split(), after.split()
    if len(left) > MOST_WORDS:
        before = "… " + " ".join(left[-MOST_WORDS:]) + " "
    if len(right) > MOST_WORDS:
        after = " " + " ".join(right[:MOST_WORDS]) + " …"
    return before + word + after


class BlankFiller(Explorer):
    """A text box and a slider for the number of candidates."""

    def __init__(self, model, tokenizer, text: str):
        super().__init__()
        self.model, self.tokenizer = model, tokenizer
        common = control_options("130px")
        self.text = ipywidgets.Text(value=text, description="text with [MASK]", **common)
        self.top = ipywidgets.IntSlider(5, 1, 15, description="candidates", **common)
        self.watch(self.text, self.top)

    def update(self) -> Figure | None:
        """Ask the model for the blank and draw its best candidates; else say what is missing."""
        if not self.text.value.strip():
            self.say("Type some words into the box, with [MASK] in place of one.")
            return None
        most = self.model.config.max_position_embeddings
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that the text is cut is said below
                found = fill_blank(self.model, self.tokenizer, self.text.value, self.top.value)
        except ValueError as error:
            self.say(str(error))
            return None
        best, share = next(iter(found.items()))
        line = excerpt(self.text.value, self.tokenizer.mask_token, best)
        lost = len(self.tokenizer(self.text.value, verbose=False)["input_ids"]) - most
        if lost > 0:
            line += f" (The model reads {most} tokens; {lost} at the end of your text were cut.)"
        self.say(line)
        return plot_bars(
            found,
            f"Likeliest at the blank: “{best}”, {share:.0%}",
            "P(token | the rest)",
            limit=1.0,
        )


def blank_filler(model, tokenizer, text: str) -> BlankFiller:
    """Show a box for a text with [MASK] and the model's candidates for the blank.

    Args:
        model: a `BertForJointTraining`.
        tokenizer: its tokenizer.
        text: the text to begin with; holds [MASK] once.

    Introduced in notebook 00.
    """
    return BlankFiller(model, tokenizer, text).show()
