"""Measuring without changing: losses with fixed masks, accuracy, and intervals over seeds."""

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import torch

from bift_utils.data import encode_texts, make_loader
from bift_utils.losses import IGNORE_INDEX, masked_lm_loss, sequence_loss
from bift_utils.masking import SequenceCollator


@contextmanager
def evaluating(model: torch.nn.Module) -> Iterator[torch.nn.Module]:
    """Switch dropout and gradients off, and put the model back as it was, whatever happens.

    Introduced in notebook 04.
    """
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with torch.no_grad():
            yield model
    finally:
        for module, mode in modes.items():  # a part that was frozen by hand stays so
            module.training = mode


def move_batch(batch: dict[str, torch.Tensor], device: torch.device) -> dict[str, torch.Tensor]:
    """Return the batch with every tensor on `device`."""
    return {key: value.to(device) for key, value in batch.items()}


def evaluate_masked_lm(model, batches: Iterable[dict[str, torch.Tensor]]) -> dict[str, float]:
    """Measure the masked-LM head on batches that are already masked.

    The masks are part of the batches, drawn once by a seed: two evaluations of one model agree,
    and two models answer the same blanks. Losses at different masking rates cannot be compared.

    Args:
        model: a `BertForJointTraining`.
        batches: dicts with `input_ids`, `attention_mask` and `mlm_labels`, all (B, T).

    Returns:
        `loss` (nats a blank, averaged over all blanks), `accuracy` (0 to 1) and `blanks`.

    Introduced in notebook 04.
    """
    total, right, blanks = 0.0, 0, 0
    with evaluating(model):
        for batch in batches:
            batch = move_batch(batch, model.device)
            positions = batch["mlm_labels"] != IGNORE_INDEX
            answers = batch["mlm_labels"][positions]
            logits = model(batch["input_ids"], batch["attention_mask"], masked_positions=positions)[
                "mlm_logits"
            ]
            total += float(masked_lm_loss(logits, answers)) * len(answers)
            right += int((logits.argmax(-1) == answers).sum())
            blanks += len(answers)
    return {"loss": total / max(blanks, 1), "accuracy": right / max(blanks, 1), "blanks": blanks}


def predict_classes(model, batches: Iterable[dict[str, torch.Tensor]]) -> torch.Tensor:
    """Return P(class given text) for every text, (B, K), in the order of the batches.

    Introduced in notebook 05.
    """
    rows = []
    with evaluating(model):
        for batch in batches:
            batch = move_batch(batch, model.device)
            everyone = torch.ones(len(batch["input_ids"]), dtype=torch.bool, device=model.device)
            logits = model(batch["input_ids"], batch["attention_mask"], sequence_rows=everyone)[
                "sequence_logits"
            ]
            rows.append(logits.float().softmax(-1).cpu())
    return torch.cat(rows)


def classification_metrics(probabilities: torch.Tensor, labels: Sequence[int]) -> dict[str, float]:
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


def seed_interval(
    values: Sequence[float], test_over_train: float = 0.0, confidence: float = 0.95
) -> tuple[float, float, float]:
    """Return mean, low and high of Student's t interval for the mean over seeds.

    Seeds that split one data set anew share sentences, so their scores are not independent; with
    `test_over_train` the variance s²/J becomes s²·(1/J + test size / training size).

    Args:
        values: one number a seed, J of them, at least two.
        test_over_train: size of the test part over that of the training part; 0 when the seeds
            do not split the data.
        confidence: coverage, 0.95 by default.

    Raises:
        ValueError: fewer than two values.

    Source: Nadeau and Bengio 2003, section 3 (the correction). Introduced in notebook 06.
    """
    from scipy import stats

    if len(values) < 2:
        raise ValueError(f"An interval over seeds needs two values or more, got {len(values)}.")
    numbers = torch.tensor(values, dtype=torch.float64)
    mean, count = float(numbers.mean()), len(values)
    error = float(numbers.std()) * math.sqrt(1 / count + test_over_train)
    half = float(stats.t.ppf(0.5 + confidence / 2, count - 1)) * error
    return mean, mean - half, mean + half


def majority_accuracy(train_labels: Sequence[int], labels: Sequence[int]) -> float:
    """Return the accuracy of always answering with the commonest class of the training labels.

    Introduced in notebook 05.
    """
    commonest = max(sorted(set(train_labels)), key=list(train_labels).count)
    return sum(label == commonest for label in labels) / len(labels)


def bag_of_words_probabilities(
    texts: Sequence[str], labels: Sequence[int], others: Sequence[str], strength: float = 16.0
) -> torch.Tensor:
    """Train TF-IDF of words and word pairs with logistic regression, and classify other texts.

    A strong, fast baseline that knows no word order beyond pairs and has read nothing else.

    Args:
        texts, labels: the training examples.
        others: M texts to classify.
        strength: C, the inverse of the regularisation; 16 was chosen on validation parts of
            Rotten Tomatoes, all training sentences given.

    Returns:
        P(class given text), (M, K).

    Introduced in notebook 05.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    model = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2)), LogisticRegression(C=strength, max_iter=1000)
    )
    model.fit(list(texts), list(labels))
    return torch.from_numpy(model.predict_proba(list(others)))


def fill_blank(model, tokenizer, text: str, top: int = 5) -> dict[str, float]:
    """Return the likeliest tokens for the one [MASK] in a text, with their probabilities.

    Args:
        model: a `BertForJointTraining`.
        tokenizer: its tokenizer.
        text: holds "[MASK]" exactly once.
        top: how many candidates.

    Raises:
        ValueError: the text does not hold exactly one [MASK].

    Introduced in notebook 00.
    """
    encoded = encode_texts(tokenizer, [text], max_length=model.config.max_position_embeddings)
    input_ids = torch.tensor(encoded.input_ids, device=model.device)
    blanks = input_ids == tokenizer.mask_token_id
    if encoded.num_cut and not blanks.any() and tokenizer.mask_token in text:
        raise ValueError(
            f"The blank lies past the {model.config.max_position_embeddings} tokens that the model "
            "can read. Take a shorter text around it."
        )
    if int(blanks.sum()) != 1:
        raise ValueError(
            f"The text {text!r} has {int(blanks.sum())} blanks; expected exactly one. "
            f"Write {tokenizer.mask_token} in place of one word."
        )
    with evaluating(model):
        probabilities = model(input_ids, masked_positions=blanks)["mlm_logits"][0].softmax(-1)
    best = probabilities.topk(top)
    tokens = tokenizer.convert_ids_to_tokens(best.indices.tolist())
    return dict(zip(tokens, best.values.tolist(), strict=True))


def judge_texts(model, tokenizer, texts: Sequence[str]) -> torch.Tensor:
    """Return P(class given text) for texts as a reader types them, (N, K).

    Raises:
        ValueError: a text is empty or only spaces.

    Introduced in notebook 00.
    """
    encoded = encode_texts(tokenizer, texts, max_length=model.config.max_position_embeddings)
    return predict_classes(
        model, make_loader(encoded, SequenceCollator(tokenizer), batch_size=32, shuffle=False)
    )
