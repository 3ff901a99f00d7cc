"""Two masked-LM losses that both train well. One of them is wrong; notebook 04 asks which.

The names `A` and `B` give nothing away: read on only when you have found out from the symptoms.
"""

from collections.abc import Callable

from torch import Tensor
from torch.nn import functional

from bift_utils.data.batches import IGNORE_INDEX
from bift_utils.training.losses import masked_lm_loss

Loss = Callable[[Tensor, Tensor], Tensor]


def one_place_early(logits: Tensor, labels: Tensor) -> Tensor:
    """Score position i − 1 against the label of position i, as section 5.2 of the article does.

    That is the loss of a causal model, which is asked for the *next* token. A model that reads
    both ways can still lower it, by writing each answer one position too early.

    Args:
        logits: (B, T, V), scores at every position.
        labels: (B, T), token ids; `IGNORE_INDEX` where nothing is asked.

    Returns:
        Mean cross-entropy in nats over the labels of positions 1…T−1; NaN when there is none.

    Raises:
        ValueError: the shapes do not match.

    Source: the article, section 5.2. Introduced in notebook 04.
    """
    if logits.dim() != 3 or logits.shape[:-1] != labels.shape:
        raise ValueError(
            f"The logits have shape {tuple(logits.shape)} and the labels {tuple(labels.shape)}; "
            "expected (B, T, V) and (B, T): scores at every position, not only at the blanks."
        )
    early, answers = logits[:, :-1], labels[:, 1:]
    return functional.cross_entropy(
        early.flatten(0, 1), answers.flatten(), ignore_index=IGNORE_INDEX
    )


LOSS_ZOO: dict[str, Loss] = {"A": masked_lm_loss, "B": one_place_early}
