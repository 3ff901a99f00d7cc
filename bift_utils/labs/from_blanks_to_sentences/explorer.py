"""The writing explorer: blanks become a sentence, one step after the other."""

from collections.abc import Callable, Mapping

import ipywidgets
import torch
from matplotlib.figure import Figure

from bift_utils.evaluation.unmasking import RULES, Guide, unmask
from bift_utils.labs.core.explorer import Explorer, control_options
from bift_utils.labs.from_blanks_to_sentences.figures import plot_writing
from bift_utils.languages.any_order import Answer
from bift_utils.runtime import make_generator

MASK = "[MASK]"
TEMPERATURES = (0.1, 0.5, 0.8, 1.0, 1.2)


class WritingExplorer(Explorer):
    """Lists for class, order and temperature, a slider for the step, a button for another draw.

    `states` are the sentences of the figure shown, (steps + 1, T).
    """

    def __init__(
        self,
        answer: Answer,
        guides: Mapping[str, Guide | None],
        blanks: torch.Tensor,
        mask_token_id: int,
        spell: Callable[[torch.Tensor], list[str]],
        temperature: float = 1.0,
    ):
        super().__init__()
        if temperature not in TEMPERATURES:
            raise ValueError(
                f"temperature was given as {temperature}; expected one of {TEMPERATURES}."
            )
        self.answer, self.guides, self.blanks = answer, dict(guides), blanks
        self.mask_token_id, self.spell = mask_token_id, spell
        self.written: dict[tuple, torch.Tensor] = {}  # a sentence is written once, then looked at
        self.number = 0
        steps = int((blanks == mask_token_id).sum())
        common = control_options()
        self.step = ipywidgets.IntSlider(
            value=steps, min=0, max=steps, description="step", **common
        )
        del common["continuous_update"]  # lists and buttons have no such option
        self.wanted = ipywidgets.Dropdown(
            options=list(self.guides), description="write for class", **common
        )
        self.rule = ipywidgets.Dropdown(
            options=list(RULES), value="random", description="next blank by", **common
        )
        self.temperature = ipywidgets.Dropdown(
            options=list(TEMPERATURES), value=temperature, description="temperature", **common
        )
        self.another = ipywidgets.Button(description="write another")
        self.another.on_click(self._next)
        self.watch(self.wanted, self.rule, self.temperature, self.step)
        self.controls.append(self.another)

    def _next(self, _button) -> None:
        self.number += 1
        self.react()

    def update(self) -> Figure | None:
        """Write the sentence if it is new, and draw it up to the step; else say why not."""
        guide = self.guides[self.wanted.value]
        if guide and self.rule.value == "drawn":
            self.say(
                "The order “drawn” chooses by the word that was drawn, and a guide changes that "
                "word: the two do not go together. (The figure shows the sentence before.) Choose "
                "another order, or the class “any”."
            )
            return None
        key = (self.wanted.value, self.rule.value, self.temperature.value, self.number)
        if key not in self.written:
            self.written[key] = unmask(
                self.answer, self.blanks[None], self.mask_token_id, make_generator(self.number),
                self.rule.value, self.temperature.value, guide=guide,
            )[:, 0]  # fmt: skip
        self.states = self.written[key]
        step, steps = self.step.value, self.step.max
        shown = [self.spell(state) for state in self.states[: step + 1]]
        left = steps - step
        blanks = "No blank is left." if not left else f"Blanks left: {left}."
        self.say(
            f"Step {step} of {steps}, class: {self.wanted.value}, next blank by: "
            f"{self.rule.value}, temperature {self.temperature.value:g}. {blanks}",
            measured=f"“{' '.join(shown[-1])}”",
        )
        return plot_writing(shown, MASK, f"After step {step} of {steps}")


def writing_explorer(
    answer: Answer,
    guides: Mapping[str, Guide | None],
    blanks: torch.Tensor,
    mask_token_id: int,
    spell: Callable[[torch.Tensor], list[str]],
    temperature: float = 1.0,
) -> WritingExplorer:
    """Show how a sentence is written: which blank is filled when, and with what.

    Args:
        answer: ids (N, T) to log P(token), (N, T, V).
        guides: name of a class to what writes for it, as in `evaluation.unmask`; None for a
            sentence of no particular class.
        blanks: (T,), the ids to begin with, blanks among them.
        mask_token_id: the id of [MASK].
        spell: ids (T,) to the words that are shown, "[MASK]" for a blank.
        temperature: to begin with, one of `TEMPERATURES`.

    Raises:
        ValueError: the temperature is none of those.

    Introduced in notebook 09.
    """
    return WritingExplorer(answer, guides, blanks, mask_token_id, spell, temperature).show()
