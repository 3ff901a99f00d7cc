"""Accuracy and loss of classes."""

from collections.abc import Iterable, Sequence

import numpy
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


def macro_f1(right, texts, answers):
    """Return the mean F1 of the classes that have a text; every class counts alike.

    Args:
        right, texts, answers: (…, K), right answers, texts and answers of each class.

    Returns:
        (…,), from 0 to 1.

    Introduced in notebook 08.
    """
    f1 = 2 * numpy.asarray(right) / numpy.maximum(numpy.add(texts, answers), 1)
    present = numpy.asarray(texts) > 0
    return (f1 * present).sum(-1) / numpy.maximum(present.sum(-1), 1)
