"""Losses that need no context: what a real model gains below them, it gains from context."""

import torch

from bift_utils.data.batches import IGNORE_INDEX
from bift_utils.masking.tokens import CorruptionChannel


def unigram_loss(
    reviews: list[list[list[int]]], batches: list[dict[str, torch.Tensor]], vocab_size: int
) -> float:
    """Return the loss of a model that knows how common each token is and nothing else.

    It answers every blank with the token frequencies of `reviews` (one added to each count); what
    a real model gains below this line, it gains from context.

    Args:
        reviews: token ids of each sentence of each training review.
        batches: masked batches with `mlm_labels` (B, T).
        vocab_size: V.

    Returns:
        Cross-entropy in nats a blank.

    Introduced in notebook 04.
    """
    tokens = torch.tensor([i for review in reviews for sentence in review for i in sentence])
    counts = torch.bincount(tokens, minlength=vocab_size).double() + 1
    answers = torch.cat(
        [batch["mlm_labels"][batch["mlm_labels"] != IGNORE_INDEX] for batch in batches]
    )
    return float(-(counts / counts.sum()).log()[answers].mean())


def context_free_loss(counts: torch.Tensor, channel: CorruptionChannel | None = None) -> float:
    """Return the lowest masked-LM loss that is possible without reading any context.

    Such a model knows how common each token is, and it sees the token that stands at the position
    it is asked for. At [MASK] it can only answer with the frequencies p. At a visible token w it
    copies with weight κ = c·p(w) / (c·p(w) + b/V) and answers with p otherwise, because w was
    either kept or drawn at random. What a model gains below this line, it gains from context.

    Args:
        counts: (V,), how often each ordinary token occurs; all above zero.
        channel: how the text is corrupted; 80/10/10 if left out. The rate does not matter.

    Returns:
        Expected cross-entropy in nats a blank, in closed form.

    Raises:
        ValueError: a count is zero or less.

    Source: Bayes' rule (notebook 03), for tokens that do not depend on each other.
    Introduced in notebook 04.
    """
    if not bool((counts > 0).all()):
        raise ValueError("A token has the count 0; expected counts above zero. Add one to each.")
    channel = channel or CorruptionChannel()
    a, b = channel.mask_replace_prob, channel.random_replace_prob
    c = max(0.0, 1.0 - a - b)
    p = counts.double() / counts.double().sum()
    entropy = float(-(p * p.log()).sum())
    copied = c * p + b / len(p)  # P(w is shown | selected and not masked), without the factor
    copy = c * p / copied.clamp(min=1e-300)  # κ
    kept = -(copy + (1 - copy) * p).log()  # loss where the visible token is the answer
    drawn = -(1 - copy).clamp(min=1e-300).log()  # and what it adds where it is not
    as_random = (drawn + entropy + p * (kept - drawn + p.log())).mean()
    return a * entropy + c * float((p * kept).sum()) + b * float(as_random)
