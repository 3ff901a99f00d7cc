"""How much the two objectives share: all layers, the lower k, or nothing (a negative control).

Shapes as in `joint.py`: B rows, T tokens, H hidden width, V vocabulary, K classes.
"""

import copy

import torch
from torch import nn

from bift_utils.models.joint import BertForJointTraining


class PartlySharedModel(nn.Module):
    """Two encoders whose lower layers are the same objects; each objective has its own upper ones.

    Rows to classify go through the task's encoder, all others through the masked-LM's. With
    `shared_layers` ≥ 1 both use the same token and position embeddings and the same lower layers;
    with 0 nothing is shared, not even the embeddings: two models side by side, the negative
    control, whose task half must come out as if the other half did not exist.

    For that to hold to the last bit, dropout on the masked-LM side must not use up random numbers
    of the task side, so its forward pass leaves the random state as it found it.

    Args:
        model: where both start. It becomes the task's half: training changes it.
        shared_layers: k, the number of lower layers that are shared, from 0.

    Raises:
        ValueError: the encoder has fewer layers than are to be shared.

    Source: the article, section 3.3 (shared or separate parameters). Introduced in notebook 06.
    """

    def __init__(self, model: BertForJointTraining, shared_layers: int):
        super().__init__()
        check_shared_layers(model, shared_layers)
        self.shared_layers = shared_layers
        self.task_half, self.mlm_half = model, copy.deepcopy(model)
        if shared_layers:
            ours, theirs = self.mlm_half, self.task_half
            ours.bert.embeddings = theirs.bert.embeddings
            ours.cls.predictions.decoder.weight = theirs.bert.embeddings.word_embeddings.weight
            for i in range(shared_layers):
                ours.bert.encoder.layer[i] = theirs.bert.encoder.layer[i]

    @property
    def config(self):
        return self.task_half.config

    @property
    def device(self) -> torch.device:
        return self.task_half.device

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        token_type_ids: torch.Tensor | None = None,
        masked_positions: torch.Tensor | None = None,
        classified: torch.Tensor | None = None,
    ) -> dict[str, torch.Tensor]:
        """Arguments and result as those of `BertForJointTraining.forward`.

        A row that both heads ask for is read by both halves; `hidden` then holds the task's.
        """
        if attention_mask is None:
            attention_mask = torch.ones_like(input_ids)
        if token_type_ids is None:
            token_type_ids = torch.zeros_like(input_ids)
        inputs = (input_ids, attention_mask, token_type_ids)
        for_task, for_mlm = self._rows(input_ids, masked_positions, classified)
        parts, outputs = [], {}
        if for_task.any():
            found = self.task_half(
                *(tensor[for_task] for tensor in inputs),
                classified=None if classified is None else classified[for_task],
            )
            parts.append((for_task, found))
        if for_mlm.any():
            positions = None if masked_positions is None else masked_positions[for_mlm]
            with torch.random.fork_rng(_cuda(self.device)):
                found = self.mlm_half(
                    *(tensor[for_mlm] for tensor in inputs), masked_positions=positions
                )
            parts.insert(0, (for_mlm, found))
        elif masked_positions is not None:  # nothing was hidden anywhere
            outputs["mlm_logits"] = torch.zeros(0, self.config.vocab_size, device=self.device)
        if classified is not None and not for_task.any():  # no row has a class
            outputs["class_logits"] = torch.zeros(0, self.config.num_labels, device=self.device)
        shape = (*input_ids.shape, self.config.hidden_size)
        hidden = torch.zeros(shape, device=self.device, dtype=parts[0][1]["hidden"].dtype)
        for rows, found in parts:  # the task's last
            hidden[rows] = found.pop("hidden")
            outputs |= found
        return {"hidden": hidden, **outputs}

    def _rows(self, input_ids, masked_positions, classified):
        """Which rows each half reads, two masks (B,)."""
        nowhere = torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)
        if masked_positions is None:  # the task's half answers what no objective claims
            return ~nowhere, nowhere
        for_task = nowhere if classified is None else classified
        return for_task, ~for_task | masked_positions.any(1)


def _cuda(device: torch.device) -> list[torch.device]:
    return [device] if device.type == "cuda" else []


def check_shared_layers(model, shared_layers: int) -> None:
    """Raise `ValueError` unless 0 ≤ k ≤ the number of encoder layers, and rows are classified."""
    if model.pooling == "token":
        raise ValueError(
            "The model labels tokens, so that a row belongs to both objectives; expected one that "
            "classifies rows, which go to one half or the other. Share all layers."
        )
    layers = model.config.num_hidden_layers
    if not 0 <= shared_layers <= layers:
        raise ValueError(
            f"shared_layers was given as {shared_layers}; expected 0 to {layers}, because the "
            f"encoder has {layers} layers."
        )


def share_layers(model: BertForJointTraining, shared_layers: int | None) -> nn.Module:
    """Return a model whose objectives share the lower k layers and the embeddings.

    Args:
        model: where it starts; it becomes part of the result.
        shared_layers: k. None, or all layers, gives `model` itself back: the ordinary joint model.
            0 shares nothing at all.

    Raises:
        ValueError: k is negative, or there are fewer layers than that.

    Introduced in notebook 06.
    """
    if shared_layers is None:
        return model
    check_shared_layers(model, shared_layers)
    if shared_layers == model.config.num_hidden_layers:
        return model
    return PartlySharedModel(model, shared_layers)


def independent_parts(model: nn.Module) -> list[list[nn.Parameter]]:
    """Return the parameters in groups that no loss connects: one, or two if nothing is shared.

    Gradients are clipped group by group. With one clipping over two unconnected halves, a large
    masked-LM gradient would shorten the task's step, and the control would not be one.

    Introduced in notebook 06.
    """
    if isinstance(model, PartlySharedModel) and not model.shared_layers:
        return [list(model.task_half.parameters()), list(model.mlm_half.parameters())]
    return [list(model.parameters())]
