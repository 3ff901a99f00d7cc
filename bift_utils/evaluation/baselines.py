"""Strong, cheap opponents that know no word order: the commonest class, TF-IDF, NBSVM.

Shapes: N texts, M other texts, V features (words and word pairs).
"""

from collections.abc import Sequence

import numpy
import torch

from bift_utils.data.texts import LabelledTexts, check_labelled_texts


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
