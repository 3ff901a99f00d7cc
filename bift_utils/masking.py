"""Hiding tokens: the 80/10/10 corruption of BERT, as a pure function, and the batch collators."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from bift_utils.data import pad_batch
from bift_utils.forward_backward import CorruptionChannel
from bift_utils.losses import IGNORE_INDEX, check_mlm_weight

CLASSIFIER_INPUTS = ("clean", "masked")  # what the classifier sees in joint training
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
        ValueError: a rate is outside its range.

    Source: Devlin et al. 2019, section 3.1 and appendix A.1. Introduced in notebook 02.
    """

    mask_token_id: int
    ordinary: torch.Tensor
    mlm_probability: float = 0.15
    mask_replace_prob: float = 0.8
    random_replace_prob: float = 0.1
    continues: torch.Tensor | None = None

    def __post_init__(self):
        _ = self.channel  # building it checks the rates

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
        input_ids: (..., T), token ids below V.
        config: what may be hidden and how often.
        generator: source of all randomness.

    Returns:
        The corrupted ids and the labels, both shaped as `input_ids`; a label is the original id
        where the token was selected and `IGNORE_INDEX` elsewhere.

    Source: Devlin et al. 2019, appendix A.1. Introduced in notebook 02.
    """
    ids = input_ids.cpu()
    rate = config.mlm_probability
    uniform = torch.rand(ids.shape, generator=generator)
    if config.continues is not None:
        uniform = _draw_for_words(uniform, ids, config, generator)
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


def _draw_for_words(
    uniform: torch.Tensor, ids: torch.Tensor, config: MaskingConfig, generator: torch.Generator
) -> torch.Tensor:
    """Let the first piece of a word decide for all of it; a second draw gives each its outcome."""
    first = first_pieces(ids, config.ordinary, config.continues)
    rate = config.mlm_probability
    # a fresh number below the rate stands for "selected"; the clamp undoes rounding up to the rate
    fresh = (torch.rand(ids.shape, generator=generator) * rate).clamp(max=rate * (1 - 1e-6))
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


class SequenceCollator:
    """Pad encoded texts into a batch for a classifier.

    Returns a dict with `input_ids` and `attention_mask` (B, T), and `labels` (B,) where the texts
    have labels.

    Introduced in notebook 05.
    """

    def __init__(self, tokenizer):
        self.pad_token_id = tokenizer.pad_token_id

    def __call__(self, examples: Sequence[dict]) -> dict[str, torch.Tensor]:
        batch = pad_batch([example["input_ids"] for example in examples], self.pad_token_id)
        if "labels" in examples[0]:
            batch["labels"] = torch.tensor([example["labels"] for example in examples])
        return batch


class MaskedLMCollator:
    """Pad encoded texts and hide some of their tokens: a batch for masked-LM alone.

    Returns a dict with `input_ids` (corrupted), `attention_mask` and `mlm_labels`, all (B, T).
    Options as in `MaskingConfig.from_tokenizer`: rates, and `whole_words=True`.

    Introduced in notebook 02.
    """

    def __init__(self, tokenizer, generator: torch.Generator, **rates):
        self.pad_token_id = tokenizer.pad_token_id
        self.config = MaskingConfig.from_tokenizer(tokenizer, **rates)
        self.generator = generator

    def __call__(self, examples: Sequence[dict]) -> dict[str, torch.Tensor]:
        batch = pad_batch([example["input_ids"] for example in examples], self.pad_token_id)
        batch["input_ids"], batch["mlm_labels"] = mask_tokens(
            batch["input_ids"], self.config, self.generator
        )
        return batch


class JointCollator:
    """Build the batch of both objectives: each text once clean for the task, once masked for MLM.

    A row carries the labels that it has. Clean rows have a class in `labels` and `IGNORE_INDEX`
    all along `mlm_labels`; masked rows have it the other way round. One encoder call serves both.
    With λ = 0 the masked rows are left out, with λ = 1 the clean ones: what has no weight costs
    no time and cannot change the result.

    With `classifier_input="masked"` there are no clean rows: each masked row carries its class as
    well, and the classifier learns from text with holes (Yao et al. 2022), for half the compute.

    Returns a dict with `input_ids`, `attention_mask` and `mlm_labels` (R, T), and `labels` (R,);
    R is 2B for clean input and 0 < λ < 1, and B otherwise.

    Raises:
        ValueError: λ is outside [0, 1], or the classifier's input is neither "clean" nor "masked".

    Introduced in notebook 06.
    """

    def __init__(
        self,
        tokenizer,
        generator: torch.Generator,
        mlm_weight: float,
        classifier_input: str = "clean",
        **rates,
    ):
        self.mlm_weight = check_mlm_weight(mlm_weight)
        if classifier_input not in CLASSIFIER_INPUTS:
            raise ValueError(
                f"classifier_input was given as {classifier_input!r}; expected one of "
                f"{CLASSIFIER_INPUTS}."
            )
        self.classifier_input = classifier_input
        self.clean = SequenceCollator(tokenizer)
        self.masked = MaskedLMCollator(tokenizer, generator, **rates)

    def __call__(self, examples: Sequence[dict]) -> dict[str, torch.Tensor]:
        if self.classifier_input == "masked":
            classes = torch.tensor([example["labels"] for example in examples])
            return {**self.masked(examples), "labels": classes}
        parts = []
        if self.mlm_weight < 1.0:
            clean = self.clean(examples)
            clean["mlm_labels"] = torch.full_like(clean["input_ids"], IGNORE_INDEX)
            parts.append(clean)
        if self.mlm_weight > 0.0:
            masked = self.masked(examples)
            masked["labels"] = torch.full((len(examples),), IGNORE_INDEX)
            parts.append(masked)
        return {key: torch.cat([part[key] for part in parts]) for key in parts[0]}
