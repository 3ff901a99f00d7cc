"""How far a network is from the exact answers of a known language.

Shapes: N sentences, T positions, V tokens.
"""

import torch
from torch import Tensor

from bift_utils.evaluation.predict import predict, predict_classes
from bift_utils.languages.batches import KnownTest, language_masking
from bift_utils.masking.tokens import MaskingConfig, first_pieces
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

    What never happens costs nothing, not even where the model too gives it the probability 0.

    Args:
        exact: (..., V), probabilities that sum to one.
        log_probabilities: (..., V) or wider; columns past V are what the language does not have.

    Introduced in notebook 03.
    """
    ours = log_probabilities[..., : exact.shape[-1]].double()
    both_never = (exact == 0) & (ours == -torch.inf)  # 0 · ∞ is NaN, and the limit is 0
    weighed = torch.where(both_never, 0.0, exact * ours)
    return (torch.special.xlogy(exact, exact) - weighed).sum(-1)


def pseudo_log_likelihood(
    model: BertForJointTraining,
    tokens: Tensor,
    masking: int | MaskingConfig,
    attention_mask: Tensor | None = None,
) -> Tensor:
    """Return Σ_i log P(x_i | all other tokens) by the model, (N,), in nats, float64.

    Each position is hidden in turn, so a sentence of T tokens takes T rows. It ranks sentences; it
    is no log-probability: exp of it does not sum to one over all sentences.

    Of real text only ordinary tokens are scored, not [CLS], [SEP] and padding, which are there in
    every sentence. A word of several pieces gives its later pieces away: beside `##ing` nearly
    every first piece is sure. With `MaskingConfig.from_tokenizer(tokenizer, whole_words=True)` the
    pieces of the same word to the right are therefore hidden, too, while a piece is scored.

    Args:
        model: a masked-LM model.
        tokens: (N, T), whole sentences without [MASK].
        masking: for real text the options that say which tokens are ordinary; their rates do not
            matter here. For a known language, where every token counts, the id of [MASK].
        attention_mask: (N, T), 1 for real tokens; None finds the padding by its id in the model's
            configuration, for a known language there is none.

    Raises:
        ValueError: a sentence holds [MASK], or real text was given with the id of [MASK] alone.

    Source: Salazar et al. 2020, section 2.2; Kauf and Ivanova 2023, section 3 (pieces of words).
    Introduced in notebook 03b.
    """
    tokens = tokens.cpu().long()
    known_language = not isinstance(masking, MaskingConfig)
    config = masking if isinstance(masking, MaskingConfig) else _of_a_language(model, masking)
    mask_token_id = config.mask_token_id
    if (tokens == mask_token_id).any():
        raise ValueError(
            f"The tokens hold {int((tokens == mask_token_id).sum())} [MASK]; expected whole "
            "sentences, because every token of a sentence is scored. Fill the blanks first."
        )
    if attention_mask is None:
        padding = -1 if known_language else model.config.pad_token_id
        attention_mask = (tokens != padding).long()
    attention_mask = attention_mask.cpu()
    scored = config.ordinary[tokens] & attention_mask.bool()  # (N, T)
    words = torch.arange(tokens.shape[1]).expand_as(tokens)  # each token a word of its own
    if config.continues is not None:
        words = first_pieces(tokens, config.ordinary, config.continues)
    total = torch.zeros(len(tokens), dtype=torch.float64)
    for i in range(tokens.shape[1]):
        rows = scored[:, i]
        if not rows.any():
            continue
        hidden = tokens[rows]
        same_word = words[rows] == words[rows, i : i + 1]
        same_word[:, :i] = False  # what stands to the left stays in sight
        hidden[same_word] = mask_token_id
        answers = _answers_at(model, hidden, attention_mask[rows], i)
        total[rows] += answers.gather(1, tokens[rows, i : i + 1])[:, 0]
    return total


def _of_a_language(model: BertForJointTraining, mask_token_id: int) -> MaskingConfig:
    """Return masking options under which every token of a known language counts."""
    if mask_token_id != model.config.vocab_size - 1:
        raise ValueError(
            f"The id of [MASK] was given as {mask_token_id}, and the model has "
            f"{model.config.vocab_size} tokens; in a known language [MASK] is the last. For real "
            "text pass MaskingConfig.from_tokenizer(tokenizer), which knows the special tokens."
        )
    return language_masking(mask_token_id)


def _answers_at(
    model: BertForJointTraining, hidden: Tensor, attention_mask: Tensor, position: int
) -> Tensor:
    """Return log P(token) at one position of every row, (N, V)."""

    def ask(batch: dict[str, Tensor]) -> dict[str, Tensor]:
        asked = torch.zeros_like(batch["input_ids"], dtype=torch.bool)
        asked[:, position] = True
        return {"masked_positions": asked}

    parts = zip(hidden.split(1024), attention_mask.split(1024), strict=True)
    batches = ({"input_ids": ids, "attention_mask": mask} for ids, mask in parts)
    found = [outputs["mlm_logits"].cpu() for _, outputs in predict(model, batches, ask)]
    return torch.cat(found).double().log_softmax(-1)


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
    labels = predict_classes(model, batches)
    label_kl = float(kl_divergence(test.label_posterior, labels.log()).mean())
    tokens = token_log_probabilities(model, test.corrupted)[test.blanks]
    chosen = labels.argmax(-1, keepdim=True)
    return {
        "loss": test.label_entropy + label_kl,
        "accuracy": float(test.label_posterior.gather(1, chosen).mean()),
        "label_kl": label_kl,
        "token_kl": float(kl_divergence(test.token_posterior, tokens).mean()),
    }
