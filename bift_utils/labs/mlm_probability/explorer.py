"""The Bayes explorer: a sentence of a known language, and prior, likelihood, posterior, network."""

from collections.abc import Mapping, Sequence

import ipywidgets
import torch
from matplotlib.figure import Figure

from bift_utils.evaluation.exact import kl_divergence, token_log_probabilities
from bift_utils.labs.core.explorer import Explorer, control_options
from bift_utils.labs.mlm_probability.figures import plot_candidates
from bift_utils.languages.families import KnownLanguage
from bift_utils.masking.tokens import CorruptionChannel
from bift_utils.models.joint import BertForJointTraining

MASK = "[MASK]"
COLOURS = {
    "prior": "light",
    "likelihood, scaled": "light",
    "posterior": "neutral",
    "network": "mlm",
}


def bayes_parts(
    language: KnownLanguage, corrupted: torch.Tensor, position: int, channel: CorruptionChannel
) -> dict[str, torch.Tensor]:
    """Return prior, likelihood and posterior of the token at one position, (V,) each, float64.

    Args:
        language: any known language.
        corrupted: (1, T), ids, or V for [MASK].
        position: i, the position asked for, taken as selected.
        channel: how the sentence was corrupted.

    Returns:
        `prior` P(x_i), nothing seen; `likelihood` P(z given x_i, i selected), divided by its sum,
        0 where the prior is 0; `posterior` P(x_i given z, i selected).

    Raises:
        ValueError: the sentence is impossible under the language and the channel.

    Introduced in notebook 03.
    """
    prior = language.marginals(corrupted.shape[1])[position]
    posterior = language.masked_token_posterior(corrupted, channel)[0, position]
    likelihood = torch.where(prior > 0, posterior / prior.clamp(min=1e-300), 0.0)
    return {
        "prior": prior,
        "likelihood": likelihood / likelihood.sum(),
        "posterior": posterior,
    }


class BayesExplorer(Explorer):
    """A list for each word, one for the channel if there are several, one for the position asked.

    `distance` is KL(exact ‖ network) of the figure shown, in nats.
    """

    def __init__(
        self,
        language: KnownLanguage,
        words: Sequence[str],
        networks: Mapping[str, tuple[CorruptionChannel, BertForJointTraining]],
        sentence: str,
        ask: int,
    ):
        super().__init__()
        self.language, self.words, self.networks = language, list(words), dict(networks)
        given = sentence.split()
        unknown = [word for word in given if word not in (*self.words, MASK)]
        if unknown or not 1 <= ask <= len(given):
            raise ValueError(
                f"The sentence {sentence!r} and position {ask} were given; expected words of "
                f"{self.words} or {MASK}, and a position from 1 to the number of words."
            )
        common = control_options()
        del common["continuous_update"]  # lists have no such option
        self.places = [
            ipywidgets.Dropdown(
                options=[*self.words, MASK], value=word, description=f"word {i}", **common
            )
            for i, word in enumerate(given, start=1)
        ]
        self.channel = ipywidgets.Dropdown(
            options=list(self.networks), description="text comes from", **common
        )
        self.ask = ipywidgets.Dropdown(
            options=list(range(1, len(given) + 1)), value=ask, description="ask for word", **common
        )
        choices = [self.channel] if len(self.networks) > 1 else []  # one is no choice
        self.watch(*self.places, *choices, self.ask)

    def update(self) -> Figure | None:
        """Compute the four distributions and draw them; else say why there is nothing to draw."""
        seen = [place.value for place in self.places]
        ids = [self.words.index(word) if word != MASK else len(self.words) for word in seen]
        corrupted, position = torch.tensor([ids]), self.ask.value - 1
        channel, model = self.networks[self.channel.value]
        sentence = " ".join(seen)
        try:
            parts = bayes_parts(self.language, corrupted, position, channel)
        except ValueError:
            self.say(
                f"“{sentence}” cannot occur with {self.channel.value}: no sentence of the language "
                "could turn into it, so the evidence is 0 and Bayes' rule has no answer. (The grey "
                "figure shows the sentence before.) Change a word, or put [MASK] in its place."
            )
            return None
        answer = token_log_probabilities(model, corrupted)[0, position]
        self.distance = float(kl_divergence(parts["posterior"], answer))
        self.say(
            self._meaning(seen[position], channel),
            measured=f"KL(exact ‖ network): {self.distance:.3f} nats.",
        )
        panels = (
            parts["prior"],
            parts["likelihood"],
            parts["posterior"],
            answer.exp()[: len(self.words)],
        )
        title = f"{sentence}: what is word {self.ask.value}?"
        return plot_candidates(self.words, dict(zip(COLOURS, panels, strict=True)), title, COLOURS)

    def _meaning(self, word: str, channel: CorruptionChannel) -> str:
        """Say what the question is when the asked position is a blank, or a visible word."""
        if word == MASK:
            return "The word is hidden."
        if channel.mask_replace_prob == 1.0:
            return (
                f"“{word}” is visible, and this training never asks at a visible word: the exact "
                "answer shown is what the others say, the network's means nothing."
            )
        return f"“{word}” is visible; if it was selected, it may have been drawn at random."


def bayes_explorer(
    language: KnownLanguage,
    words: Sequence[str],
    networks: Mapping[str, tuple[CorruptionChannel, BertForJointTraining]],
    sentence: str,
    ask: int,
) -> BayesExplorer:
    """Show prior, likelihood and posterior of a word in a sentence, and a network's answer.

    Args:
        language: any known language.
        words: the names of its V tokens.
        networks: name of a channel to the channel and the network trained on it.
        sentence: T words, or [MASK], to begin with.
        ask: the position asked for at first, counted from 1.

    Raises:
        ValueError: an unknown word, or no such position.

    Introduced in notebook 03.
    """
    return BayesExplorer(language, words, networks, sentence, ask).show()
