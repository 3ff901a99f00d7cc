"""Maskers on which exercise 02.2 tries a learner's test: right ones, and ones with a single fault.

All have the signature of `masking.mask_tokens`, with BERT's shares built in, and draw from the ids
5 to 1,004: they are made for `masking.zoo.practice_batch`.
"""

from dataclasses import replace
from itertools import cycle

import torch

from bift_utils.data.batches import IGNORE_INDEX
from bift_utils.masking import zoo
from bift_utils.masking.tokens import MaskingConfig, mask_tokens


def edits_in_place(
    input_ids: torch.Tensor, config: MaskingConfig, generator: torch.Generator
) -> zoo.Masked:
    """Mask the tensor it is given instead of a copy."""
    corrupted, labels = mask_tokens(input_ids, config, generator)
    return input_ids.copy_(corrupted), labels


def changes_others(
    input_ids: torch.Tensor, config: MaskingConfig, generator: torch.Generator
) -> zoo.Masked:
    """Replace one token in a hundred that has no label."""
    corrupted, labels = mask_tokens(input_ids, config, generator)
    also = (torch.rand(input_ids.shape, generator=generator) < 0.01) & config.ordinary[input_ids]
    drawn = torch.randint(5, 1005, input_ids.shape, generator=generator)
    return torch.where(also & (labels == IGNORE_INDEX), drawn, corrupted), labels


def with_shares(as_mask: float, as_random: float) -> zoo.Masker:
    """Build a masker whose only fault, if any, is in its shares of [MASK] and random tokens."""

    def masker(input_ids, config, generator):
        u = torch.rand(input_ids.shape, generator=generator) / config.mlm_probability
        u.masked_fill_(~config.ordinary[input_ids], 1.0)
        drawn = torch.randint(5, 1005, input_ids.shape, generator=generator)
        corrupted = torch.where(u < as_mask + as_random, drawn, input_ids)
        corrupted = corrupted.masked_fill(u < as_mask, config.mask_token_id)
        return corrupted, input_ids.masked_fill(u >= 1.0, IGNORE_INDEX)

    return masker


def never_the_original(
    input_ids: torch.Tensor, config: MaskingConfig, generator: torch.Generator
) -> zoo.Masked:
    """Draw replacements that differ from the original: a correct masker too."""
    corrupted, labels = with_shares(0.8, 0.0)(input_ids, config, generator)
    rest = (labels != IGNORE_INDEX) & (corrupted == input_ids)
    as_random = rest & (torch.rand(input_ids.shape, generator=generator) < 0.5)
    return torch.where(as_random, _another(input_ids, generator), corrupted), labels


def counted_out(*errors: float) -> zoo.Masker:
    """Build a masker whose kept share is off by a number of standard errors, exactly.

    It counts its outcomes out instead of drawing them: 80 % [MASK], 10 % kept and so many standard
    errors more, and the rest random. The numbers take turns, one a call; where they add up to zero
    the masker is right in the long run, and each call is a possible outcome of a right one.
    """
    turns = cycle(errors)

    def masker(input_ids, config, generator):
        hidden = replace(config, mask_replace_prob=1.0, random_replace_prob=0.0)
        corrupted, labels = mask_tokens(input_ids, hidden, generator)
        places = (labels != IGNORE_INDEX).flatten().nonzero()[:, 0]
        n = len(places)
        kept = round(0.1 * n + next(turns) * (0.1 * 0.9 * n) ** 0.5)
        rest = places[torch.randperm(n, generator=generator)][round(0.8 * n) :]
        shown, clean = corrupted.flatten(), input_ids.flatten()
        shown[rest] = _another(clean[rest], generator)
        shown[rest[:kept]] = clean[rest[:kept]]
        return shown.reshape(input_ids.shape), labels

    return masker


def _another(input_ids: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Draw an ordinary id for each ordinary id, any but itself."""
    step = torch.randint(1, 1000, input_ids.shape, generator=generator)
    return (input_ids - 5 + step) % 1000 + 5
