"""Hiding a number of tokens that is drawn first, every number equally likely."""

import torch
from torch import Tensor

from bift_utils.data.batches import IGNORE_INDEX
from bift_utils.masking.tokens import MaskingConfig


def hide_count(
    input_ids: Tensor, counts: Tensor, config: MaskingConfig, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Put [MASK] at exactly `counts[n]` ordinary tokens of row n; `input_ids` is not changed.

    Every set of that many tokens is equally likely. The rates of `config` are not used.

    Args:
        input_ids: (N, T), token ids.
        counts: (N,), whole numbers from 1 to the number of ordinary tokens in the row.
        config: which id is [MASK], and which tokens may be hidden.
        generator: source of all randomness.

    Returns:
        The corrupted ids and the labels, both (N, T); a label is the original id where a token is
        hidden and `IGNORE_INDEX` elsewhere.

    Raises:
        ValueError: a count is not from 1 to the number of ordinary tokens in its row.

    Introduced in notebook 09.
    """
    ids, counts = input_ids.cpu(), counts.cpu()
    ordinary = config.ordinary[ids]  # (N, T)
    most = ordinary.sum(1)
    outside = (counts < 1) | (counts > most)
    if outside.any():
        row = int(outside.nonzero()[0])
        raise ValueError(
            f"Row {row} should hide {int(counts[row])} of its {int(most[row])} ordinary tokens; "
            "expected at least 1 and at most all of them."
        )
    lots = torch.rand(ids.shape, generator=generator, dtype=torch.float64)
    lots = lots.masked_fill(~ordinary, 2.0)  # after all others, so never among the first
    place = lots.argsort(1).argsort(1)  # 0 for the smallest lot of its row
    hidden = place < counts[:, None]
    corrupted = ids.masked_fill(hidden, config.mask_token_id)
    labels = ids.masked_fill(~hidden, IGNORE_INDEX)
    return corrupted.to(input_ids.device), labels.to(input_ids.device)


def hide_uniform_count(
    input_ids: Tensor, config: MaskingConfig, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Hide k ordinary tokens of each row, k drawn evenly from 1 to all of them, anew for each row.

    Arguments, results and errors as in `hide_count`; a row without ordinary tokens is refused.

    Source: Uria, Murray and Larochelle 2014, section 4. Introduced in notebook 09.
    """
    most = config.ordinary[input_ids.cpu()].sum(1)
    drawn = torch.rand(len(most), generator=generator, dtype=torch.float64)
    return hide_count(input_ids, (drawn * most).floor().long() + 1, config, generator)
