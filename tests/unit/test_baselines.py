"""Naive Bayes ratios against the library's, NBSVM on easy and on impossible data."""

import numpy
import pytest
import torch
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import MultinomialNB

from bift_utils.data.batches import batches_by_length
from bift_utils.data.texts import LabelledTexts, check_parts, load_reviews, split_texts
from bift_utils.evaluation.baselines import (
    Limits,
    bag_of_words_probabilities,
    binary_counter,
    frozen_vectors,
    log_count_ratios,
    nbsvm_probabilities,
    probe_probabilities,
)
from bift_utils.evaluation.metrics import classification_metrics
from bift_utils.evaluation.predict import for_all_rows, predict
from bift_utils.masking.collators import SequenceCollator


@pytest.mark.parametrize("alpha", [0.1, 1.0, 3.0])
@pytest.mark.parametrize("sparse", [False, True])
def test_ratios_are_the_weights_of_naive_bayes(alpha, sparse):
    source = numpy.random.RandomState(0)
    counts, labels = source.randint(0, 3, (40, 12)), source.randint(0, 2, 40)
    library = MultinomialNB(alpha=alpha).fit(counts, labels).feature_log_prob_
    ours = log_count_ratios(csr_matrix(counts) if sparse else counts, labels.tolist(), alpha)
    numpy.testing.assert_allclose(ours, library[1] - library[0], atol=1e-12)


def test_ratios_by_hand():
    ratios = log_count_ratios(numpy.array([[1, 1, 0], [1, 0, 0], [0, 0, 1]]), [1, 1, 0])
    # class 1: (2, 1, 0) + 1 = (3, 2, 1) of 6; class 0: (0, 0, 1) + 1 = (1, 1, 2) of 4
    expected = [3 / 6 / (1 / 4), 2 / 6 / (1 / 4), 1 / 6 / (2 / 4)]
    numpy.testing.assert_allclose(ratios, numpy.log(expected))


@pytest.mark.parametrize(
    "labels, alpha, message",
    [
        ([0, 1], 1.0, "counts of 3 texts and 2 labels"),
        ([1, 1, 1], 1.0, r"The labels are \[1\]; expected both 0 and 1"),
        ([0, 1, 2], 1.0, "compares two classes"),
        ([0, 1, 1], 0.0, "alpha was given as 0.0; expected a number above 0"),
    ],
)
def test_bad_input_is_refused(labels, alpha, message):
    with pytest.raises(ValueError, match=message):
        log_count_ratios(numpy.ones((3, 2)), labels, alpha)


def test_counter_keeps_punctuation_and_pairs_and_counts_once():
    counter = binary_counter()
    counts = counter.fit_transform(["good . good .", "not good"])
    names = counter.get_feature_names_out().tolist()
    assert names == [". good", ".", "good", "good .", "not", "not good"] or set(names) == {
        ".", ". good", "good", "good .", "not", "not good",
    }  # fmt: skip
    assert counts.max() == 1


def test_nbsvm_learns_pairs():
    texts = ["good", "not bad", "bad", "not good"] * 5
    labels = [1, 1, 0, 0] * 5
    probabilities = nbsvm_probabilities(texts, labels, ["not bad", "not good", "unknown"], 10.0)
    assert probabilities.shape == (3, 2) and probabilities.dtype == torch.float64
    assert torch.allclose(probabilities.sum(-1), torch.ones(3, dtype=torch.float64))
    assert probabilities[0, 1] > 0.5 > probabilities[1, 1]


def test_nbsvm_on_real_reviews_is_near_the_other_bag_of_words():
    parts = split_texts(load_reviews("rotten_tomatoes"), seed=0)
    few, others = parts["train"].take(range(2000)), parts["validation"]
    found = classification_metrics(
        nbsvm_probabilities(few.texts, few.labels, others.texts), others.labels
    )
    assert 0.67 < found["accuracy"] < 0.76


def test_characters_tell_what_has_no_spaces_apart():
    texts = ["好看的电影", "真好看", "难看的电影", "真难看"] * 5
    labels = [1, 1, 0, 0] * 5
    others, wanted = ["这个好看", "这个难看"], [1, 0]
    characters = bag_of_words_probabilities(texts, labels, others, characters=True)
    assert characters.argmax(-1).tolist() == wanted
    words = bag_of_words_probabilities(texts, labels, others)
    assert torch.allclose(words[0], words[1])  # it has seen neither "word"


def test_a_bag_stays_within_its_limits():
    rng = numpy.random.default_rng(0)
    words = [f"word{i}" for i in range(3000)]
    texts = [" ".join(rng.choice(words, 50)) for _ in range(600)]
    labels = [i % 30 for i in range(600)]
    limits = Limits(characters=50_000, weights=6_000, products=10**6)
    kept, classes = limits.sample(texts, labels)
    assert sum(map(len, kept)) <= 50_000 + 30 * max(map(len, texts))
    assert set(classes) == set(range(30)) and (kept, classes) == limits.sample(texts, labels)
    assert limits.sample(texts[:40], labels[:40]) == (texts[:40], labels[:40])
    assert (limits.rounds(10**4), limits.rounds(1), limits.rounds(10**9)) == (100, 1000, 10)
    fits = []

    class Watched(LogisticRegression):
        def fit(self, features, labels):
            fits.append((features.shape, self.max_iter))
            return super().fit(features, labels)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sklearn.linear_model.LogisticRegression", Watched)
        found = bag_of_words_probabilities(texts, labels, texts[:5], limits=limits)
        bag_of_words_probabilities(texts[:60], labels[:60], texts[:5])
    assert found.shape == (5, 30)
    (rows, features), rounds = fits[0]
    assert rows == len(kept) and features == 6_000 // 30 and 10 <= rounds < 1000
    assert fits[1][0][1] > 200 and fits[1][1] == 1000  # without limits nothing is cut


def test_the_probe_finds_what_the_vectors_hold(tokenizer, tiny_model, encoded):
    batches, places = batches_by_length(encoded, SequenceCollator(tokenizer), 8)
    vectors = frozen_vectors(tiny_model, batches)[places]
    hidden = [
        next(iter(predict(tiny_model, [SequenceCollator(tokenizer)([encoded[i]])], for_all_rows)))
        for i in (0, 5)
    ]
    for i, (_, found) in zip((0, 5), hidden, strict=True):
        torch.testing.assert_close(vectors[i], found["hidden"][0].mean(0), rtol=1e-4, atol=1e-5)
    generator = torch.Generator().manual_seed(0)
    parts = {name: torch.randn(90, 6, generator=generator) for name in ("train", "validation")}
    labels = {name: (rows[:, 2] > 0).long().tolist() for name, rows in parts.items()}
    asked = torch.eye(6)[[2, 2]] * torch.tensor([[3.0], [-3.0]])
    found = probe_probabilities({**parts, "test": asked}, labels)
    assert found["test"].argmax(-1).tolist() == [1, 0] and set(found) == {"validation", "test"}
    truth = torch.tensor(labels["validation"])
    assert (found["validation"].argmax(-1) == truth).double().mean() > 0.9


def test_nbsvm_refuses_one_class():
    with pytest.raises(ValueError, match="expected at least two classes"):
        nbsvm_probabilities(["a", "b"], [0, 0], ["c"])


def test_nbsvm_refuses_labels_of_another_length():
    with pytest.raises(ValueError, match="There are 2 texts and 3 labels"):
        nbsvm_probabilities(["a", "b"], [0, 1, 1], ["c"])


def parts_of(train_labels, test_labels):
    return {
        "train": LabelledTexts([f"text {i}" for i in range(len(train_labels))], train_labels),
        "test": LabelledTexts([f"other {i}" for i in range(len(test_labels))], test_labels),
    }


def test_good_parts_pass():
    assert check_parts(parts_of([0, 1, 2], [1])) == 3


@pytest.mark.parametrize(
    "train_labels, test_labels, message",
    [
        ([0, 1], [1, 2], r"test part has the classes \[2\], of which the training part has no"),
        ([0, 2], [1], "expected whole numbers 0…K−1 with none missing"),
        ([0, 0], [0], "expected at least two classes"),
        ([0, 1], [], "The test part is empty"),
        ([], [0], "There are no examples"),
    ],
)
def test_parts_that_cannot_be_trained_on_are_refused(train_labels, test_labels, message):
    with pytest.raises(ValueError, match=message):
        check_parts(parts_of(train_labels, test_labels))
