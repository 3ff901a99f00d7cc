"""Accuracy and loss of classes."""

from collections.abc import Iterable, Sequence

import torch

from bift_utils.evaluation.predict import predict_classes
from bift_utils.training.losses import sequence_loss


def classification_metrics(
    probabilities: torch.Tensor, labels: Sequence[int] | torch.Tensor
) -> dict[str, float]:
    """Return `accuracy` (0 to 1) and `loss` (mean negative log-likelihood in nats).

    Args:
        probabilities: (B, K), rows that sum to one.
        labels: B class ids.

    Introduced in notebook 05.
    """
    answers = torch.as_tensor(labels)
    return {
        "accuracy": float((probabilities.argmax(-1) == answers).double().mean()),
        "loss": float(sequence_loss(probabilities.clamp(min=1e-12).log(), answers)),
    }


def evaluate_sequence(model, batches: Iterable[dict[str, torch.Tensor]]) -> dict[str, float]:
    """Return accuracy and loss of the sequence head on labelled batches.

    Introduced in notebook 05.
    """
    batches = list(batches)
    labels = torch.cat([batch["labels"] for batch in batches])
    return classification_metrics(predict_classes(model, batches), labels)
