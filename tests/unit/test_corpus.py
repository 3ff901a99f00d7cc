import math
import random

import pytest
import torch

from bift_utils.data.batches import IGNORE_INDEX
from bift_utils.data.corpus import (
    SPECIAL_TOKENS,
    encode_sentences,
    make_windows,
    pack_windows,
    split_reviews,
    split_sentences,
    train_tokenizer,
)
from bift_utils.data.texts import load_reviews
from bift_utils.evaluation.floors import context_free_loss, unigram_loss
from bift_utils.evaluation.predict import validation_batches
from bift_utils.languages.families import MarkovLanguage
from bift_utils.masking.tokens import CorruptionChannel
from bift_utils.runtime import make_generator


@pytest.fixture(scope="module")
def imdb():
    return load_reviews("imdb").texts[:300]


@pytest.fixture(scope="module")
def learned(imdb):
    return train_tokenizer(imdb, 1200)


@pytest.fixture(scope="module")
def encoded(learned, imdb):
    return encode_sentences(learned, imdb)


def joined(parts):
    return [token for part in parts for token in part]


# what is held out


def test_a_tenth_is_held_out_and_nothing_is_lost():
    texts = [f"text {i}" for i in range(200)]
    training, held_out = split_reviews(texts)
    assert len(held_out) == 20
    assert sorted(training + held_out) == sorted(texts)


def test_the_held_out_reviews_are_the_same_for_ever():
    held_out = split_reviews([f"text {i}" for i in range(100)])[1]
    assert [int(text.split()[1]) for text in held_out] == [8, 9, 39, 57, 60, 71, 84, 88, 97, 99]


def test_the_held_out_reviews_do_not_depend_on_the_global_stream():
    texts = [f"text {i}" for i in range(200)]
    torch.manual_seed(1)
    first = split_reviews(texts)
    torch.manual_seed(2)
    assert split_reviews(texts) == first


def test_equal_reviews_are_on_one_side():
    texts = [f"text {i}" for i in range(100)] + [f"Text  {i}" for i in range(100)]
    training, held_out = (
        {text.lower().replace("  ", " ") for text in part} for part in split_reviews(texts)
    )
    assert not training & held_out
    assert len(held_out) == 10


# sentences and windows


@pytest.mark.parametrize(
    "text, sentences",
    [
        ("Good. Very good! Why? Because.", ["Good.", "Very good!", "Why?", "Because."]),
        ("no end", ["no end"]),
        ("It cost 3.50 or so... I think.", ["It cost 3.50 or so...", "I think."]),
        ("One.  Two.\nThree. ", ["One.", "Two.", "Three."]),
        ('He said "Go." She went.', ['He said "Go."', "She went."]),
        ('(He said "No!") Why? [Yes.] So.', ['(He said "No!")', "Why?", "[Yes.]", "So."]),
    ],
)
def test_sentences_by_hand(text, sentences):
    assert split_sentences(text) == sentences


@pytest.mark.parametrize(
    "sentences, size, first, windows",
    [
        ([[1, 2], [3, 4, 5], [6]], 4, None, [[1, 2], [3, 4, 5, 6]]),
        ([[1, 2], [3, 4]], 4, None, [[1, 2, 3, 4]]),
        ([[1], [2, 3, 4, 5, 6, 7, 8], [9, 10]], 3, None, [[1], [2, 3, 4], [5, 6, 7], [8, 9, 10]]),
        ([[1, 2], [3, 4], [5, 6]], 4, 2, [[1, 2], [3, 4, 5, 6]]),
        ([[1, 2, 3], [4]], 4, 2, [[1, 2], [3, 4]]),
        ([[1, 2, 3, 4]], 2, None, [[1, 2], [3, 4]]),
        ([[], [1], []], 3, None, [[1]]),
        ([], 3, None, []),
    ],
)
def test_windows_by_hand(sentences, size, first, windows):
    assert pack_windows(sentences, size, first) == windows


@pytest.mark.parametrize("size, first", [(0, None), (8, -1)])
def test_windows_of_no_tokens_are_refused(size, first):
    with pytest.raises(ValueError, match="expected 1 token or more"):
        pack_windows([[1, 2]], size, first)


def random_sentences(rng, longest):
    """Sentences of 0 to `longest` tokens, all tokens different."""
    tokens = iter(range(10_000))
    return [
        [next(tokens) for _ in range(rng.randint(0, longest))] for _ in range(rng.randint(0, 20))
    ]


def test_windows_lose_and_reorder_nothing():
    rng = random.Random(0)
    for _ in range(500):
        size = rng.randint(1, 12)
        first = rng.choice([None, rng.randint(1, size)])
        sentences = random_sentences(rng, longest=3 * size)
        windows = pack_windows(sentences, size, first)
        assert joined(windows) == joined(sentences)
        assert all(1 <= len(window) <= size for window in windows)
        assert not windows or len(windows[0]) <= (first or size)


def test_windows_begin_where_sentences_begin():
    for seed in range(50):
        sentences = random_sentences(random.Random(seed), longest=8)
        starts = {sentence[0] for sentence in sentences if sentence}
        assert all(window[0] in starts for window in pack_windows(sentences, 8))


@pytest.mark.parametrize("seed", [None, 0])
def test_windows_have_special_tokens_and_fit_the_positions(learned, encoded, seed):
    generator = None if seed is None else make_generator(seed)
    windows = make_windows(encoded, learned, 32, generator)
    assert max(len(window) for window in windows) == 32
    assert {window[0] for window in windows} == {learned.cls_token_id}
    assert {window[-1] for window in windows} == {learned.sep_token_id}
    inside = joined(window[1:-1] for window in windows)
    assert inside == joined(joined(review) for review in encoded)


def test_each_epoch_cuts_at_other_places(learned, encoded):
    generator = make_generator(0)
    one = make_windows(encoded, learned, 32, generator)
    two = make_windows(encoded, learned, 32, generator)
    assert one != two
    assert one == make_windows(encoded, learned, 32, make_generator(0))


# the tokenizer


def test_the_same_texts_give_the_same_vocabulary(learned, imdb):
    assert train_tokenizer(imdb, 1200).get_vocab() == learned.get_vocab()
    assert len(learned) == 1200


def test_the_vocabulary_begins_with_the_special_tokens(learned):
    assert learned.convert_ids_to_tokens(range(5)) == SPECIAL_TOKENS
    assert learned.mask_token_id == 4
    assert learned.model_max_length == 128


def test_the_vocabulary_is_uncased_and_knows_each_letter(learned):
    vocabulary = set(learned.get_vocab()) - set(SPECIAL_TOKENS)
    assert all(token == token.lower() for token in vocabulary)
    assert learned("THE Film")["input_ids"] == learned("the film")["input_ids"]
    assert learned.unk_token_id not in learned("zyxwvutsrqponmlkjihgfedcba")["input_ids"]


def test_the_tokenizer_decodes_what_it_encodes(learned):
    ids = learned("This film was unbelievably good.", add_special_tokens=False)["input_ids"]
    assert len(ids) > 6  # some word is in pieces
    assert learned.decode(ids).replace(" .", ".") == "this film was unbelievably good."


def test_sentences_are_encoded_in_their_review(learned, imdb, encoded):
    assert [len(review) for review in encoded] == [len(split_sentences(text)) for text in imdb]
    for number in (0, 17, 299):
        for ids, sentence in zip(encoded[number], split_sentences(imdb[number]), strict=True):
            assert ids == learned(sentence, add_special_tokens=False)["input_ids"]


# validation


def test_validation_batches_are_the_same_each_time(learned, encoded):
    torch.manual_seed(1)
    one = validation_batches(encoded, learned, 64)
    torch.manual_seed(2)
    two = validation_batches(encoded, learned, 64)
    for a, b in zip(one, two, strict=True):
        assert all(torch.equal(a[key], b[key]) for key in ("input_ids", "mlm_labels"))


def test_validation_hides_15_percent_of_the_words_and_no_special_token(learned, encoded):
    batches = validation_batches(encoded, learned, 64)
    words = sum(len(sentence) for review in encoded for sentence in review)
    blanks = sum(int((batch["mlm_labels"] != IGNORE_INDEX).sum()) for batch in batches)
    assert abs(blanks - 0.15 * words) < 6 * math.sqrt(words * 0.15 * 0.85)
    asked = torch.cat([batch["mlm_labels"][batch["mlm_labels"] >= 0] for batch in batches])
    assert not torch.isin(asked, torch.tensor(learned.all_special_ids)).any()
    for batch in batches:
        assert (batch["mlm_labels"][batch["attention_mask"] == 0] == IGNORE_INDEX).all()


def test_validation_draws_other_masks_for_each_batch(learned, encoded):
    one, two = validation_batches([[encoded[0][0]]] * 64, learned, 64)
    assert one["mlm_labels"].shape == two["mlm_labels"].shape
    assert not torch.equal(one["mlm_labels"], two["mlm_labels"])


def test_limit_draws_windows_of_the_whole_set(learned, encoded):
    drawn = validation_batches(encoded, learned, 64, limit=40)
    assert [len(batch["input_ids"]) for batch in drawn] == [32, 8]
    lengths = [int(n) for batch in drawn for n in batch["attention_mask"].sum(1)]
    assert lengths == sorted(lengths)


def test_unigram_loss_by_hand():
    reviews = [[[0, 0], [1]], [[0]]]  # three 0, one 1; with one added: 4, 2 and 1 of 7
    batches = [
        {"mlm_labels": torch.tensor([[0, IGNORE_INDEX, 1]])},
        {"mlm_labels": torch.tensor([[2, IGNORE_INDEX]])},
    ]
    expected = -(math.log(4 / 7) + math.log(2 / 7) + math.log(1 / 7)) / 3
    assert unigram_loss(reviews, batches, 3) == pytest.approx(expected, rel=1e-12)


# what can be known without context


@pytest.mark.parametrize("shares", [(0.8, 0.1), (0.5, 0.3), (1.0, 0.0), (0.5, 0.5), (0.9, 0.0)])
def test_context_free_loss_is_the_exact_optimum_where_there_is_no_context(shares):
    counts = torch.tensor([5.0, 3.0, 1.0, 0.2])
    p, channel = counts.double() / counts.double().sum(), CorruptionChannel(0.15, *shares)
    language = MarkovLanguage(p, p.expand(4, 4))  # every token is drawn anew
    answer = language.masked_token_posterior(torch.arange(5)[:, None], channel)[:, 0]  # (z, x)
    shown = channel.selected_matrix(4)  # (x, z)
    by_enumeration = -sum(
        p[x] * shown[x, z] * answer[z, x].log()
        for x in range(4)
        for z in range(5)
        if shown[x, z] > 0
    )
    assert context_free_loss(counts, channel) == pytest.approx(float(by_enumeration), rel=1e-12)


def test_context_free_loss_lies_below_the_entropy_because_of_copying():
    counts = torch.tensor([9.0, 4.0, 2.0, 1.0])
    p = counts.double() / 16
    entropy = float(-(p * p.log()).sum())
    assert context_free_loss(counts) < entropy
    always = context_free_loss(counts, CorruptionChannel(0.15, 1.0, 0.0))
    assert always == pytest.approx(entropy, rel=1e-12)


def test_context_free_loss_does_not_depend_on_the_rate():
    counts = torch.tensor([9.0, 4.0, 2.0])
    one, two = (context_free_loss(counts, CorruptionChannel(rate)) for rate in (0.15, 0.4))
    assert one == two


def test_context_free_loss_refuses_a_count_of_zero():
    with pytest.raises(ValueError, match="Add one to each"):
        context_free_loss(torch.tensor([3.0, 0.0]))
