"""How far a network is from the exact answers of a known language.

Shapes: N sentences, T positions, V tokens.
"""

import torch
from torch import Tensor

from bift_utils.evaluation.predict import predict, predict_classes
from bift_utils.languages.batches import KnownTest
from bift_utils.models.joint import BertForJointTraining


def token_log_probabilities(model: BertForJointTraining, corrupted: Tensor) -> Tensor:
    """Return the model's log P(token) at every position, (N, T, V + 1), float64 on the CPU.

    The last column is [MASK], which is never an answer.

    Introduced in notebook 03.
    """
    batches = (
        {"input_ids": part, "attention_mask": torch.ones_like(part)}
        for part in corrupted.split(1024)
    )
    rows = predict(model, batches, everywhere)
    logits = torch.cat([found["mlm_logits"].cpu() for _, found in rows]).double()
    return logits.log_softmax(-1).view(*corrupted.shape, -1)


def everywhere(batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """Ask the masked-LM head at every position."""
    return {"masked_positions": torch.ones_like(batch["input_ids"], dtype=torch.bool)}


def kl_divergence(exact: Tensor, log_probabilities: Tensor) -> Tensor:
    """Return KL(exact ‖ model) in nats for each row: what the model loses by not being exact.

    Args:
        exact: (..., V), probabilities that sum to one.
        log_probabilities: (..., V) or wider; columns past V are what the language does not have.

    Introduced in notebook 03.
    """
    ours = log_probabilities[..., : exact.shape[-1]].double()
    return (torch.special.xlogy(exact, exact) - exact * ours).sum(-1)


def pseudo_log_likelihood(
    model: BertForJointTraining, tokens: Tensor, mask_token_id: int
) -> Tensor:
    """Return Σ_i log P(x_i | all other tokens) by the model, (N,), in nats, float64.

    Each position is hidden in turn, so a sentence of T tokens takes T rows. It ranks sentences; it
    is no log-probability: exp of it does not sum to one over all sentences.

    Args:
        model: a masked-LM model.
        tokens: (N, T), whole sentences without [MASK].
        mask_token_id: the id of [MASK].

    Raises:
        ValueError: a sentence holds [MASK].

    Source: Salazar et al. 2020, section 2.2. Introduced in notebook 03.
    """
    if (tokens == mask_token_id).any():
        raise ValueError(
            f"The tokens hold {int((tokens == mask_token_id).sum())} [MASK]; expected whole "
            "sentences, because every token of a sentence is scored. Fill the blanks first."
        )
    total = torch.zeros(len(tokens), dtype=torch.float64)
    for i in range(tokens.shape[1]):
        hidden = tokens.clone()
        hidden[:, i] = mask_token_id
        answers = token_log_probabilities(model, hidden)[:, i]  # (N, V + 1)
        total += answers.gather(1, tokens[:, i : i + 1].cpu())[:, 0]
    return total


def evaluate_heads(model, test: KnownTest) -> dict[str, float]:
    """Return how far both heads are from the exact answers, over all sentences of the test.

    Returns:
        `label_kl` and `token_kl`: KL(exact ‖ model) in nats a sentence and nats a blank; `loss`:
        expected cross-entropy of the labels (their entropy plus `label_kl`); `accuracy`: expected
        share of right labels, when each sentence's label is drawn from its exact posterior.

    Introduced in notebook 06.
    """
    batches = [
        {"input_ids": part, "attention_mask": torch.ones_like(part)}
        for part in test.tokens.split(512)
    ]
    labels = predict_classes(model, batches).double()
    label_kl = float(kl_divergence(test.label_posterior, labels.clamp(min=1e-12).log()).mean())
    tokens = token_log_probabilities(model, test.corrupted)[test.blanks]
    chosen = labels.argmax(-1, keepdim=True)
    return {
        "loss": test.label_entropy + label_kl,
        "accuracy": float(test.label_posterior.gather(1, chosen).mean()),
        "label_kl": label_kl,
        "token_kl": float(kl_divergence(test.token_posterior, tokens).mean()),
    }
