"""Accuracy and loss of classes."""

from collections.abc import Iterable, Sequence

import torch

from bift_utils.data.batches import IGNORE_INDEX
from bift_utils.evaluation.predict import predict_classes
from bift_utils.training.losses import sequence_loss


def classification_metrics(
    probabilities: torch.Tensor, labels: Sequence[int] | torch.Tensor
) -> dict[str, float]:
    """Return `accuracy` (0 to 1) and `loss` (mean negative log-likelihood in nats).

    Both are taken over the rows that have a label. An answer that was given the probability 0 and
    was right all the same makes the loss infinite.

    Args:
        probabilities: (B, K), rows that sum to one.
        labels: B class ids; `IGNORE_INDEX` for a row without a label.

    Raises:
        ValueError: no row has a label, a label is not one of 0…K−1, or there are more or fewer
            labels than rows.

    Introduced in notebook 05.
    """
    answers = torch.as_tensor(labels)
    loss = float(sequence_loss(probabilities.log(), answers))  # checks shapes and labels
    asked = answers != IGNORE_INDEX
    if not asked.any():
        raise ValueError(
            f"None of the {len(answers)} rows has a label; expected at least one. Score a part "
            "whose texts have classes."
        )
    right = probabilities.argmax(-1)[asked] == answers[asked]
    return {"accuracy": float(right.double().mean()), "loss": loss}


def evaluate_sequence(model, batches: Iterable[dict[str, torch.Tensor]]) -> dict[str, float]:
    """Return accuracy and loss of the sequence head on labelled batches.

    Raises:
        ValueError: there is no batch, or no row has a label.

    Introduced in notebook 05.
    """
    batches = list(batches)
    probabilities = predict_classes(model, batches)
    labels = torch.cat([batch["labels"] for batch in batches])
    return classification_metrics(probabilities, labels)
