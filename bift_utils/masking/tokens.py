"""Hiding tokens: the 80/10/10 corruption of BERT, as a pure function and as a table of chances."""

from dataclasses import dataclass

import torch
from torch import Tensor

from bift_utils.data.batches import IGNORE_INDEX
from bift_utils.runtime import check_options, number, of_type, or_none, whole

SHARES = {
    "mlm_probability": number(0.0, 1.0, above=True, below=True),  # BERT uses 0.15
    "mask_replace_prob": number(0.0, 1.0),
    "random_replace_prob": number(0.0, 1.0),
}


@dataclass(frozen=True)
class CorruptionChannel:
    """How text is corrupted for masked-LM: what `masking.mask_tokens` does, as a table.

    Args:
        mlm_probability: chance m that a token is selected, in (0, 1).
        mask_replace_prob: share a of the selected tokens that become [MASK].
        random_replace_prob: share b of the selected tokens replaced by a token drawn uniformly
            from all V, the original included. The rest, c = 1 − a − b, stay as they are.

    Raises:
        ValueError: a rate is no number, or outside its range.

    Source: Devlin et al. 2019, section 3.1 and appendix A.1. Introduced in notebook 03.
    """

    mlm_probability: float = 0.15
    mask_replace_prob: float = 0.8
    random_replace_prob: float = 0.1

    def __post_init__(self):
        check_options(self, SHARES)
        shares = (self.mask_replace_prob, self.random_replace_prob)
        if sum(shares) > 1.0 + 1e-12:
            raise ValueError(
                f"mask_replace_prob and random_replace_prob were given as {shares[0]} and "
                f"{shares[1]}; expected two shares from 0 to 1 that sum to at most 1."
            )

    def selected_matrix(self, vocab_size: int) -> Tensor:
        """Return P(z | x, selected), (V, V + 1): a row per token x, the last column for [MASK]."""
        kept = max(0.0, 1.0 - self.mask_replace_prob - self.random_replace_prob)
        matrix = kept * torch.eye(vocab_size, vocab_size + 1, dtype=torch.float64)
        matrix[:, :-1] += self.random_replace_prob / vocab_size
        matrix[:, -1] = self.mask_replace_prob
        return matrix

    def matrix(self, vocab_size: int) -> Tensor:
        """Return P(z | x), (V, V + 1), for a reader who does not know what was selected."""
        untouched = torch.eye(vocab_size, vocab_size + 1, dtype=torch.float64)
        selected = self.selected_matrix(vocab_size)
        return (1.0 - self.mlm_probability) * untouched + self.mlm_probability * selected


OUTCOMES = ("not selected", "[MASK]", "random", "kept")  # what can become of a token


@dataclass(frozen=True)
class MaskingConfig:
    """What may be hidden, how often, and what stands in its place.

    Args:
        mask_token_id: id of [MASK].
        ordinary: (V,) bool, True for ids that may be hidden and may be drawn as replacements:
            everything but the special tokens.
        mlm_probability: chance that an ordinary token is selected, in (0, 1).
        mask_replace_prob: share of the selected tokens that become [MASK].
        random_replace_prob: share of the selected tokens replaced by a random ordinary token; the
            rest stay as they are. The three shares are BERT's 80/10/10 by default.
        continues: (V,) bool, True for ids of word pieces that continue a word (`##` in BERT); when
            given, the pieces of a word are selected together. None selects each token alone.

    Raises:
        ValueError: an option is not of its type, or outside its range.

    Source: Devlin et al. 2019, section 3.1 and appendix A.1. Introduced in notebook 02.
    """

    mask_token_id: int
    ordinary: torch.Tensor
    mlm_probability: float = 0.15
    mask_replace_prob: float = 0.8
    random_replace_prob: float = 0.1
    continues: torch.Tensor | None = None

    def __post_init__(self):
        marks = of_type(torch.Tensor, "a row of True and False, one for each token id")
        rules = {
            "mask_token_id": whole(0),
            "ordinary": marks,
            "continues": or_none(marks, "each token alone"),
            **SHARES,
        }
        check_options(self, rules)
        _ = self.channel  # building it checks the rates together
        for name in ("ordinary", "continues"):
            table = getattr(self, name)
            if table is not None and (table.dtype != torch.bool or table.dim() != 1):
                raise ValueError(
                    f"{name} was given as {table.dtype} of shape {tuple(table.shape)}; expected "
                    f"{marks.expected}."
                )
        if self.mask_token_id >= len(self.ordinary):
            raise ValueError(
                f"mask_token_id was given as {self.mask_token_id} with a vocabulary of "
                f"{len(self.ordinary)}; expected an id of it."
            )
        if not self.ordinary.any():
            raise ValueError(
                "ordinary marks no token; expected at least one that may be hidden and drawn."
            )

    @property
    def channel(self) -> CorruptionChannel:
        """The same rates as a table of probabilities, for exact posteriors (notebook 03)."""
        return CorruptionChannel(
            self.mlm_probability, self.mask_replace_prob, self.random_replace_prob
        )

    @classmethod
    def from_tokenizer(cls, tokenizer, whole_words: bool = False, **rates) -> "MaskingConfig":
        """Read [MASK], the special tokens and the word pieces from a tokenizer.

        Args:
            tokenizer: a BERT tokenizer.
            whole_words: select the pieces of a word together.
            rates: `mlm_probability`, `mask_replace_prob`, `random_replace_prob`, as in the class.
        """
        if tokenizer.mask_token_id is None:
            raise ValueError(
                f"The tokenizer {type(tokenizer).__name__} has no [MASK] token; "
                "masked-LM needs one. Use a BERT tokenizer."
            )
        ordinary = torch.ones(len(tokenizer), dtype=torch.bool)
        ordinary[tokenizer.all_special_ids] = False
        continues = None
        if whole_words:
            tokens = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
            continues = torch.tensor([token.startswith("##") for token in tokens])
        return cls(tokenizer.mask_token_id, ordinary, continues=continues, **rates)


def first_pieces(
    input_ids: torch.Tensor, ordinary: torch.Tensor, continues: torch.Tensor
) -> torch.Tensor:
    """Return for each position the position of the first piece of its word.

    A piece continues the word to its left, unless there is none: at the start of a row, or after a
    special token (in text cut in mid-word), it begins a word of its own.

    Args:
        input_ids: (..., T), token ids below V.
        ordinary: (V,) bool, False for special tokens.
        continues: (V,) bool, True for ids that continue a word (`##` in BERT).

    Returns:
        Positions 0…T−1, shaped as `input_ids`. Two positions belong to one word exactly when
        their answers are equal.

    Introduced in notebook 02.
    """
    inside = continues[input_ids]
    inside[..., 1:] &= ordinary[input_ids[..., :-1]]
    positions = torch.arange(input_ids.shape[-1]).expand(input_ids.shape)  # the first is 0 anyway
    return positions.masked_fill(inside, 0).cummax(-1).values


def mask_tokens(
    input_ids: torch.Tensor, config: MaskingConfig, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Corrupt a batch for masked-LM and return it with its labels; `input_ids` is not changed.

    Each ordinary token is selected independently with `mlm_probability`. One uniform number a
    position decides everything, so the outcomes cannot overlap: with rate m and shares a, b it is
    [MASK] below m·a, a random token below m·(a + b), and kept as it is below m.

    With `config.continues`, each word is selected with `mlm_probability`, all its pieces or none,
    and every piece of a selected word then gets its own outcome, as in BERT's whole-word variant.

    Args:
        input_ids: (..., T), token ids below V, of any integer type.
        config: what may be hidden and how often.
        generator: source of all randomness.

    Returns:
        The corrupted ids and the labels, both int64, as the model and the losses want them, and
        shaped as `input_ids`; a label is the original id where the token was selected and
        `IGNORE_INDEX` elsewhere.

    Raises:
        ValueError: the ids are no whole numbers, or one is not in the vocabulary.

    Source: Devlin et al. 2019, appendix A.1. Introduced in notebook 02.
    """
    ids = _check_ids(input_ids, len(config.ordinary))
    rate = config.mlm_probability
    uniform = torch.rand(ids.shape, generator=generator)
    if config.continues is not None:
        first = first_pieces(ids, config.ordinary, config.continues)
        uniform = _draw_for_words(uniform, first, rate, generator)
    uniform.masked_fill_(~config.ordinary[ids], 1.0)  # special tokens are never selected
    as_mask = uniform < rate * config.mask_replace_prob
    as_random = uniform < rate * (config.mask_replace_prob + config.random_replace_prob)
    as_random &= ~as_mask
    labels = ids.masked_fill(uniform >= rate, IGNORE_INDEX)
    corrupted = ids.masked_fill(as_mask, config.mask_token_id)
    choices = config.ordinary.nonzero().squeeze(1)
    drawn = torch.randint(len(choices), (int(as_random.sum()),), generator=generator)
    corrupted[as_random] = choices[drawn]
    return corrupted.to(input_ids.device), labels.to(input_ids.device)


def _check_ids(input_ids: torch.Tensor, vocab_size: int) -> torch.Tensor:
    """Return the ids as int64 on the CPU, or raise."""
    if input_ids.dtype == torch.bool or input_ids.is_floating_point():
        raise ValueError(
            f"The token ids were given as {input_ids.dtype}; expected whole numbers. Pass the "
            "input_ids of a tokenizer."
        )
    ids = input_ids.cpu().long()
    outside = (ids < 0) | (ids >= vocab_size)
    if outside.any():
        raise ValueError(
            f"The text has the token id {int(ids[outside][0])}; expected 0 to {vocab_size - 1}. "
            "Take the masking options from the tokenizer that made the text."
        )
    return ids


def _draw_for_words(
    uniform: torch.Tensor, first: torch.Tensor, rate: float, generator: torch.Generator
) -> torch.Tensor:
    """Let the first piece of a word decide for all of it; a second draw gives each its outcome."""
    # a fresh number below the rate stands for "selected"; the clamp undoes rounding up to the rate
    fresh = (torch.rand(first.shape, generator=generator) * rate).clamp(max=rate * (1 - 1e-6))
    return torch.where(uniform.gather(-1, first) < rate, fresh, 1.0)


def outcomes(
    input_ids: torch.Tensor, corrupted: torch.Tensor, labels: torch.Tensor, mask_token_id: int
) -> torch.Tensor:
    """Read off what became of each token: a number 0…3, the place of its name in `OUTCOMES`.

    A random draw that gives the original back cannot be told from "kept", and counts as it.

    Args:
        input_ids: (...), the clean ids.
        corrupted: (...), what the model sees.
        labels: (...), `IGNORE_INDEX` where the token was not selected.
        mask_token_id: id of [MASK].

    Introduced in notebook 02.
    """
    found = torch.full_like(labels, OUTCOMES.index("random"))
    found[corrupted == input_ids] = OUTCOMES.index("kept")
    found[corrupted == mask_token_id] = OUTCOMES.index("[MASK]")
    found[labels == IGNORE_INDEX] = OUTCOMES.index("not selected")
    return found
