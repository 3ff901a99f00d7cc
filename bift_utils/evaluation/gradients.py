"""Do the two objectives pull the shared weights the same way? Cosines between their gradients.

A batch's gradient is noisy, so the control is one and the same loss on two batches.
"""

import torch

from bift_utils.data.batches import move_batch
from bift_utils.training.loop import training_step

OBJECTIVES = ("mlm_loss", "task_loss")


def layer_parameters(model) -> dict[str, list[torch.nn.Parameter]]:
    """Return the encoder's parameters by part: "embeddings", "layer 1", "layer 2" and so on.

    Introduced in notebook 06.
    """
    encoder = model.bert
    parts = {"embeddings": list(encoder.embeddings.parameters())}
    for number, layer in enumerate(encoder.encoder.layer, start=1):
        parts[f"layer {number}"] = list(layer.parameters())
    return parts


def gradient_cosines(model, batch: dict[str, torch.Tensor]) -> dict[str, float]:
    """Return the cosine between the gradients of L_MLM and L_task, for each part of the encoder.

    1 means that both losses ask for the same change, 0 that they do not meet, below 0 that one
    undoes the other. Neither the scale of a loss nor λ plays a part. Dropout is off, the weights
    and their stored gradients stay as they are.

    Args:
        model: a `BertForJointTraining` (both objectives share all its layers).
        batch: a joint batch, with rows for both objectives; see `masking.JointCollator`.

    Returns:
        "embeddings", "layer 1", … to the cosine, from −1 to 1.

    Raises:
        ValueError: the model has no encoder that both objectives share.

    Source: Du et al. 2018 (auxiliary losses judged by gradient cosine). Introduced in notebook 06.
    """
    return _by_part(model, *_gradients(model, batch, OBJECTIVES))


def batch_cosines(
    model, first: dict[str, torch.Tensor], second: dict[str, torch.Tensor], loss: str
) -> dict[str, float]:
    """Return the cosine between the gradients of one loss on two batches, part by part.

    The control for `gradient_cosines`: no two batches of one loss can conflict in their aim, so
    what these cosines fall short of 1 is the noise of a batch.

    Args:
        model: a `BertForJointTraining`.
        first: a joint batch; see `masking.JointCollator`.
        second: another one.
        loss: "mlm_loss" or "task_loss".

    Returns:
        "embeddings", "layer 1", … to the cosine, from −1 to 1.

    Raises:
        ValueError: the model has no encoder that both objectives share, or `loss` is neither.

    Introduced in notebook 06.
    """
    if loss not in OBJECTIVES:
        raise ValueError(f"The loss {loss!r} was given; expected one of {OBJECTIVES}.")
    return _by_part(model, *(_gradients(model, batch, (loss,))[0] for batch in (first, second)))


def _gradients(model, batch, names: tuple[str, ...]) -> list[tuple]:
    """Return for each named loss its gradient, tensor by tensor in the order of the parts."""
    if not hasattr(model, "bert"):
        raise ValueError(
            f"Gradients of a {type(model).__name__} were asked for; expected a "
            "BertForJointTraining, whose layers both objectives share."
        )
    parameters = [p for part in layer_parameters(model).values() for p in part]
    mode = model.training
    model.eval()
    try:
        losses = training_step(model, move_batch(batch, model.device), 0.5)
        return [
            torch.autograd.grad(losses[name], parameters, retain_graph=True, allow_unused=True)
            for name in names
        ]
    finally:
        model.train(mode)


def _by_part(model, first: tuple, second: tuple) -> dict[str, float]:
    pairs = iter(zip(first, second, strict=True))
    parts = layer_parameters(model)
    return {name: _cosine([next(pairs) for _ in part]) for name, part in parts.items()}


def _cosine(pairs: list[tuple]) -> float:
    """Cosine of two gradients given tensor by tensor; what only one of them touches adds length."""
    dot = first = second = 0.0
    for a, b in pairs:
        first += 0.0 if a is None else float(a.double().square().sum())
        second += 0.0 if b is None else float(b.double().square().sum())
        if a is not None and b is not None:
            dot += float((a.double() * b.double()).sum())
    return dot / max((first * second) ** 0.5, 1e-300)
