"""A small BERT on a known language: its shape, its batches, and its distance from the exact answer.

Shapes: N sentences, T positions, V tokens. Token V is [MASK], so the model's vocabulary is V + 1.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from transformers import BertConfig

from bift_utils.evaluation import evaluating
from bift_utils.losses import IGNORE_INDEX
from bift_utils.masking import MaskingConfig
from bift_utils.modeling import BertForJointTraining, new_model
from bift_utils.synthetic import KnownLanguage

# corrupts clean tokens (N, T) with a generator: returns what the model sees, and the labels
Corruption = Callable[[Tensor, torch.Generator], tuple[Tensor, Tensor]]


def small_bert(
    vocab_size: int,
    length: int,
    width: int = 64,
    layers: int = 2,
    heads: int = 2,
    causal: bool = False,
    num_labels: int = 2,
    pooling: str = "mean",
) -> BertForJointTraining:
    """Return an untrained BERT for sentences of a known language, without dropout.

    Args:
        vocab_size: V, the tokens of the language; [MASK] is added.
        length: T, positions; there is no [CLS] and no [SEP].
        width, layers, heads: of the encoder.
        causal: True lets position i attend to positions up to i only (the mask of a GPT).
        num_labels, pooling: of the classifier.

    Introduced in notebook 01.
    """
    config = BertConfig(
        vocab_size=vocab_size + 1,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=4 * width,
        max_position_embeddings=length,
        initializer_range=0.1,  # narrow layers need larger weights than BERT's 0.02
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        num_labels=num_labels,
        is_decoder=causal,
    )
    config.pooling = pooling
    return new_model(config)


def language_masking(vocab_size: int, **rates: float) -> MaskingConfig:
    """Return masking options for a known language: every token of it may be hidden or drawn.

    Args:
        vocab_size: V.
        rates: `mlm_probability`, `mask_replace_prob`, `random_replace_prob`, as in `MaskingConfig`.

    Introduced in notebook 03.
    """
    ordinary = torch.ones(vocab_size + 1, dtype=torch.bool)
    ordinary[vocab_size] = False
    return MaskingConfig(vocab_size, ordinary, **rates)


def hide_one(
    tokens: Tensor, generator: torch.Generator, mask_token_id: int
) -> tuple[Tensor, Tensor]:
    """Put [MASK] at one position of each sentence, drawn evenly; `tokens` is not changed.

    Returns:
        The corrupted ids and the labels, both (N, T): a label is the hidden token at its position
        and `IGNORE_INDEX` elsewhere.

    Introduced in notebook 01.
    """
    position = torch.randint(tokens.shape[1], (len(tokens), 1), generator=generator)
    labels = torch.full_like(tokens, IGNORE_INDEX).scatter(1, position, tokens.gather(1, position))
    return tokens.scatter(1, position, mask_token_id), labels


class LanguageBatches:
    """Fresh sentences for every step, corrupted: a loader for `training.train`, never the same.

    Args:
        language: any known language.
        corrupt: hides tokens, for instance `hide_one` or `masking.mask_tokens` with its options.
        steps: number of batches.
        batch_size: sentences a batch.
        length: T.
        generator: source of all randomness.

    Introduced in notebook 01.
    """

    def __init__(
        self,
        language: KnownLanguage,
        corrupt: Corruption,
        steps: int,
        batch_size: int,
        length: int,
        generator: torch.Generator,
    ):
        self.language, self.corrupt, self.steps = language, corrupt, steps
        self.batch_size, self.length, self.generator = batch_size, length, generator

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        for _ in range(self.steps):
            clean = self.language.sample(self.batch_size, self.length, self.generator).tokens
            yield make_batch(*self.corrupt(clean, self.generator))


def make_batch(corrupted: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """Name the tensors as `training.training_step` wants them.

    Introduced in notebook 01.
    """
    return {
        "input_ids": corrupted,
        "attention_mask": torch.ones_like(corrupted),
        "mlm_labels": labels,
    }


def token_log_probabilities(model: BertForJointTraining, corrupted: Tensor) -> Tensor:
    """Return the model's log P(token) at every position, (N, T, V + 1), float64 on the CPU.

    The last column is [MASK], which is never an answer.

    Introduced in notebook 03.
    """
    rows = []
    with evaluating(model):
        for part in corrupted.to(model.device).split(1024):
            everywhere = torch.ones_like(part, dtype=torch.bool)
            logits = model(part, masked_positions=everywhere)["mlm_logits"]
            rows.append(logits.double().log_softmax(-1).view(*part.shape, -1).cpu())
    return torch.cat(rows)


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
