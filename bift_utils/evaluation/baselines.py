"""Strong, cheap opponents: the commonest class, TF-IDF, NBSVM, and the frozen encoder.

Shapes: N texts, M other texts, V features (words and word pairs).
"""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy
import torch

from bift_utils.data.texts import LabelledTexts, check_labelled_texts
from bift_utils.evaluation.predict import predict
from bift_utils.models.joint import pool
from bift_utils.runtime import check_options, make_generator, whole
from bift_utils.training.losses import sequence_loss


def majority_accuracy(train_labels: Sequence[int], labels: Sequence[int]) -> float:
    """Return the accuracy of always answering with the commonest class of the training labels.

    Introduced in notebook 05.
    """
    commonest = max(sorted(set(train_labels)), key=list(train_labels).count)
    return sum(label == commonest for label in labels) / len(labels)


@dataclass(frozen=True)
class Limits:
    """How much a baseline may cost, whatever the table: it must never outgrow what it is beside.

    Args:
        characters: most characters of training texts, drawn by chance; their n-grams are held.
        weights: most weights, over all classes.
        products: about how many products the fit may take.
        seed: of the draw.
    """

    characters: int = 4_000_000
    weights: int = 1_000_000
    products: int = 10**10
    seed: int = 0

    def __post_init__(self):
        rules = dict.fromkeys(("characters", "weights", "products"), whole(1))
        check_options(self, {**rules, "seed": whole(0, 2**32 - 1)})

    def sample(self, texts: Sequence[str], labels: Sequence[int]) -> tuple[list[str], list[int]]:
        """Return texts within the limit, drawn by chance, one of each class at least."""
        if sum(map(len, texts)) <= self.characters:
            return list(texts), list(labels)
        order = torch.randperm(len(texts), generator=make_generator(self.seed)).tolist()
        chosen, seen, room = [], set(), self.characters
        for i in order:
            if labels[i] not in seen or len(texts[i]) <= room:
                seen.add(labels[i])
                chosen.append(i)
                room -= len(texts[i])
        return [texts[i] for i in chosen], [labels[i] for i in chosen]

    def rounds(self, products: int) -> int:
        """Return how many rounds of the fit fit in, each of so many products."""
        return min(1000, max(10, self.products // max(products, 1)))


def bag_of_words_probabilities(
    texts: Sequence[str],
    labels: Sequence[int],
    others: Sequence[str],
    strength: float = 16.0,
    characters: bool = False,
    limits: Limits | None = None,
) -> torch.Tensor:
    """Train TF-IDF of words and word pairs with logistic regression, and classify other texts.

    A strong, fast baseline that knows no word order beyond pairs and has read nothing else.

    Args:
        texts, labels: the training examples.
        others: M texts to classify.
        strength: C, the inverse of the regularisation; 16 was chosen on validation parts of
            Rotten Tomatoes, all training sentences given.
        characters: count strings of one to four characters within words in place of words, for
            languages that put no spaces between them, and for texts full of typing errors.
        limits: bounds of time and memory; None for none.

    Returns:
        P(class given text), (M, K).

    Raises:
        ValueError: the texts have nothing to count.

    Introduced in notebook 05.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    grams: dict[str, Any] = {"ngram_range": (1, 2)}
    if characters:
        grams = {"ngram_range": (1, 4), "analyzer": "char_wb"}
    texts, labels, classes = list(texts), list(labels), len(set(labels))
    if limits is not None:
        texts, labels = limits.sample(texts, labels)
        grams["max_features"] = limits.weights // classes
    counter = TfidfVectorizer(**grams)
    counts = counter.fit_transform(texts)
    rounds = 1000 if limits is None else limits.rounds(counts.nnz * classes)
    model = _regression(counts, labels, strength, rounds)
    return torch.from_numpy(model.predict_proba(counter.transform(list(others))))


def _regression(features, labels: Sequence[int], strength: float, rounds: int):
    """Fit a logistic regression; where its rounds do not suffice, what it has must do."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=strength, max_iter=rounds)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(features, list(labels))


def log_count_ratios(counts, labels: Sequence[int], alpha: float = 1.0) -> numpy.ndarray:
    """Return r = log((p / ‖p‖₁) / (q / ‖q‖₁)), (V,): how much a feature speaks for class 1.

    p and q are the feature counts of class 1 and of class 0, `alpha` added to each, so that a
    feature that one class lacks gets a large ratio and not an infinite one.

    Args:
        counts: (N, V), array or SciPy sparse matrix; for Wang and Manning 0 or 1: is it there?
        labels: N class ids, 0 or 1, both present.
        alpha: smoothing count, above zero.

    Raises:
        ValueError: texts and labels differ in number, a class is missing, or there are more than
            two, or alpha is not above zero.

    Source: Wang and Manning 2012, section 2. Introduced in notebook 05.
    """
    answers = numpy.asarray(labels)
    if counts.shape[0] != len(answers):
        raise ValueError(
            f"There are counts of {counts.shape[0]} texts and {len(answers)} labels; expected one "
            "label a text."
        )
    if set(answers.tolist()) != {0, 1}:
        raise ValueError(
            f"The labels are {sorted(set(answers.tolist()))}; expected both 0 and 1 and nothing "
            "else. A log-count ratio compares two classes."
        )
    if not alpha > 0:
        raise ValueError(f"alpha was given as {alpha}; expected a number above 0.")
    positive = alpha + numpy.asarray(counts[answers == 1].sum(0), dtype=float).ravel()
    negative = alpha + numpy.asarray(counts[answers == 0].sum(0), dtype=float).ravel()
    return numpy.log(positive / positive.sum()) - numpy.log(negative / negative.sum())


def binary_counter():
    """Return an unfitted counter of words and word pairs: 1 if a text has it, else 0.

    Words are what white space separates, so punctuation that stands alone counts as a word.
    Introduced in notebook 05.
    """
    from sklearn.feature_extraction.text import CountVectorizer

    return CountVectorizer(ngram_range=(1, 2), binary=True, token_pattern=r"\S+")


def nbsvm_probabilities(
    texts: Sequence[str],
    labels: Sequence[int],
    others: Sequence[str],
    strength: float = 1.0,
    alpha: float = 1.0,
) -> torch.Tensor:
    """Train a linear classifier on features times their log-count ratios; classify other texts.

    Naive Bayes says which words speak for which class, the classifier how much to believe it. Wang
    and Manning use a support vector machine; this takes logistic regression in its place, which
    they did not, for its probabilities, and leaves out their interpolation of the weights.

    Args:
        texts, labels: the training examples; classes 0 and 1.
        others: M texts to classify.
        strength: C, the inverse of the regularisation.
        alpha: see `log_count_ratios`.

    Returns:
        P(class given text), (M, 2).

    Raises:
        ValueError: the examples are not usable (`data.check_labelled_texts`), or there are more
            than two classes.

    Source: Wang and Manning 2012. Introduced in notebook 05.
    """
    from sklearn.linear_model import LogisticRegression

    check_labelled_texts(LabelledTexts(list(texts), list(labels)))
    counter = binary_counter()
    counts = counter.fit_transform(texts)
    ratios = log_count_ratios(counts, labels, alpha)
    model = LogisticRegression(C=strength, max_iter=1000)
    model.fit(counts.multiply(ratios).tocsr(), list(labels))
    scaled = counter.transform(others).multiply(ratios).tocsr()
    return torch.from_numpy(model.predict_proba(scaled))


def frozen_vectors(model, batches: Iterable[dict[str, torch.Tensor]]) -> torch.Tensor:
    """Return the mean of the token vectors of each text, (N, H), from an encoder as it is.

    Args:
        model: a `BertForJointTraining`.
        batches: dicts with `input_ids` and `attention_mask`, both (B, T).

    Introduced in notebook 05.
    """
    rows = predict(model, batches, lambda batch: {})
    means = [pool(found["hidden"], batch["attention_mask"], "mean").cpu() for batch, found in rows]
    return torch.cat(means)


def probe_probabilities(
    vectors: dict[str, torch.Tensor],
    labels: Mapping[str, Sequence[int]],
    strengths: Sequence[float] = (0.01, 0.1, 1.0),
    limits: Limits | None = None,
) -> dict[str, torch.Tensor]:
    """Train logistic regression on vectors that stay as they are, and classify the other parts.

    Args:
        vectors: "train", "validation" and any other part: (N, H).
        labels: the class ids of "train" and "validation".
        strengths: C is that with the lowest validation loss.
        limits: bounds of time; None for none.

    Returns:
        P(class given text) for each part but "train", (N, K).

    Introduced in notebook 05.
    """
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(vectors["train"])
    scaled = {name: scaler.transform(rows) for name, rows in vectors.items()}
    products = scaled["train"].size * len(set(labels["train"])) * len(strengths)
    rounds = 500 if limits is None else min(500, limits.rounds(products))
    answers, best = torch.as_tensor(labels["validation"]), float("inf")
    found: dict[str, torch.Tensor] = {}
    for strength in strengths:
        model = _regression(scaled["train"], labels["train"], strength, rounds)
        chances = {
            name: torch.from_numpy(model.predict_proba(rows))
            for name, rows in scaled.items()
            if name != "train"
        }
        loss = float(sequence_loss(chances["validation"].clamp(min=1e-12).log(), answers))
        if loss < best:
            found, best = chances, loss
    return found
