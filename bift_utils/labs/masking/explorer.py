"""The masking playground: a sentence, the rate and the three shares as controls."""

import warnings
from dataclasses import dataclass

import ipywidgets
import torch
from matplotlib.figure import Figure

from bift_utils.data.batches import IGNORE_INDEX, encode_texts
from bift_utils.labs.core.explorer import Explorer, control_options
from bift_utils.labs.masking.figures import plot_tokens
from bift_utils.masking.tokens import OUTCOMES, MaskingConfig, mask_tokens, outcomes
from bift_utils.runtime import make_generator

MOST_TOKENS = 60  # more would not fit into a figure


@dataclass
class Draw:
    """One masked sentence: what the model sees, what became of each token, what is asked for.

    `cut` says whether the sentence was too long to be shown whole.
    """

    tokens: list[str]
    names: list[str]
    answers: list[str]
    cut: bool

    def count(self, name: str) -> int:
        """Return how many tokens had the outcome `name`."""
        return self.names.count(name)


def draw_masks(tokenizer, text: str, config: MaskingConfig, generator: torch.Generator) -> Draw:
    """Mask one sentence and put the result into words.

    Args:
        tokenizer: a BERT tokenizer.
        text: some words; cut after `MOST_TOKENS` tokens.
        config: rates, as in `masking`.
        generator: source of all randomness.

    Raises:
        ValueError: the text is empty or only spaces.

    Introduced in notebook 02.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the text is cut is said beside the figure
        encoded = encode_texts(tokenizer, [text], max_length=MOST_TOKENS)
    clean = torch.tensor(encoded.input_ids[0])
    corrupted, labels = mask_tokens(clean, config, generator)
    found = outcomes(clean, corrupted, labels, config.mask_token_id)
    asked = torch.where(labels == IGNORE_INDEX, clean, labels)
    return Draw(
        tokenizer.convert_ids_to_tokens(corrupted.tolist()),
        [OUTCOMES[i] for i in found.tolist()],
        tokenizer.convert_ids_to_tokens(asked.tolist()),
        bool(encoded.num_cut),
    )


class MaskingPlayground(Explorer):
    """Sliders for the rate and the three shares, a text box, and a button for a new draw.

    The sliders keep the random numbers and move the limits, so that their effect shows alone; the
    button draws new numbers. The three shares are scaled to sum to 100 %.
    """

    def __init__(self, tokenizer, text: str, seed: int = 0):
        super().__init__()
        self.tokenizer, self.seed, self.draws = tokenizer, seed, 0
        self.config = MaskingConfig.from_tokenizer(tokenizer)
        common = control_options()
        self.text = ipywidgets.Text(value=text, description="sentence", **common)
        self.rate = ipywidgets.IntSlider(15, 1, 99, description="rate (%)", **common)
        self.shares = [
            ipywidgets.IntSlider(value, 0, 100, description=f"{name} (parts)", **common)
            for name, value in zip(OUTCOMES[1:], (80, 10, 10), strict=True)
        ]
        self.button = ipywidgets.Button(description="Draw again", layout={"width": "140px"})
        self.button.on_click(self._draw_again)  # before the redraw that `watch` adds
        self.watch(self.text, self.rate, *self.shares, self.button)

    def _draw_again(self, _button) -> None:
        self.draws += 1

    def update(self) -> Figure | None:
        """Mask the sentence as the controls say, write the line of text, return the figure.

        Returns None where there is nothing to draw; the line of text then says why.
        """
        parts = [slider.value for slider in self.shares]
        if not self.text.value.strip():
            self.say("Type some words into the box.")
            return None
        if not sum(parts):
            self.say("All three shares are 0; raise at least one.")
            return None
        as_mask, as_random, as_kept = (part / sum(parts) for part in parts)
        config = MaskingConfig(
            self.config.mask_token_id,
            self.config.ordinary,
            mlm_probability=self.rate.value / 100,
            mask_replace_prob=as_mask,
            random_replace_prob=as_random,
        )
        draw = draw_masks(
            self.tokenizer, self.text.value, config, make_generator(self.seed, self.draws)
        )
        counts = ", ".join(f"{draw.count(name)} {name}" for name in OUTCOMES[1:])
        selected = len(draw.tokens) - draw.count("not selected")
        title = f"{selected} of {len(draw.tokens)} tokens selected: {counts}"
        cut = f"; cut after {MOST_TOKENS} tokens" if draw.cut else ""
        self.say(
            f"rate {self.rate.value} %, shares {as_mask:.0%} / {as_random:.0%} / {as_kept:.0%}"
            f"{cut}; the model sees: " + " ".join(draw.tokens)
        )
        return plot_tokens(draw.tokens, draw.names, draw.answers, title)


def masking_playground(tokenizer, text: str, seed: int = 0) -> MaskingPlayground:
    """Show a playground for masking: sentence, rate and shares; a new draw at each press.

    Args:
        tokenizer: a BERT tokenizer.
        text: the sentence to begin with.
        seed: of the first draw.

    Introduced in notebook 02.
    """
    return MaskingPlayground(tokenizer, text, seed).show()
