"""Capitals as labels: classes of words, alignment with tokens, and the dictionary baseline."""

import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from transformers import BertTokenizer

from bift_utils.data.capitals import (
    CASES,
    casing,
    casing_dictionary,
    encode_cased,
    look_up,
    read_words,
    restore,
)
from bift_utils.data.corpus import split_reviews
from bift_utils.data.texts import load_reviews
from bift_utils.models.checkpoints import load_tokenizer


@pytest.fixture(scope="module")
def mini():
    return load_tokenizer("bift-mini")


@pytest.mark.parametrize(
    "word, case",
    [
        ("film", 0), ("I", 1), ("a", 0), ("Bob", 1), ("DVD", 2), ("TV", 2), ("iPod", -100),
        ("DVDs", -100), ("McCoy", -100), ("1999", -100), ("!", -100), ("3D", 2), ("2nd", 0),
        ("Été", 1), ("ÉTÉ", 2),
    ],
)  # fmt: skip
def test_casing(word, case):
    assert casing(word) == case


@pytest.mark.parametrize("word", ["film", "Bob", "DVD", "I", "été", "Zoë"])
def test_restoring_the_own_case_changes_nothing(word):
    assert restore(word.lower(), casing(word)) == word


def test_labels_sit_on_first_pieces(mini):
    item = encode_cased(mini, ["I saw Unforgiven in Pasadena, and it was GREAT."]).items[0]
    tokens = mini.convert_ids_to_tokens(item.input_ids)
    assert len(tokens) == len(item.labels)
    for token, label in zip(tokens, item.labels, strict=True):
        if token.startswith("##") or token in ("[CLS]", "[SEP]", ",", "."):
            assert label == -100
    labelled = [label for label in item.labels if label != -100]
    assert labelled == item.cases == [1, 0, 1, 0, 1, 0, 0, 0, 2]
    assert item.words == ["I", "saw", "Unforgiven", "in", "Pasadena", "and", "it", "was", "GREAT"]
    assert item.starts == [True] + [False] * 8


def test_against_plain_splitting(mini):
    """On words of plain letters, tokens and labels follow from splitting at spaces alone."""
    text = "The cast of Titanic WAS good . Some say Bad things ! Why ?"
    item = encode_cased(mini, [text]).items[0]
    words = [word for word in text.split() if word.isalpha()]
    assert item.words == words and item.cases == [casing(word) for word in words]
    ends = {".", "!", "?"}
    before = [None, *text.split()[:-1]]
    starts = [
        b is None or b in ends for b, w in zip(before, text.split(), strict=True) if w.isalpha()
    ]
    assert item.starts == starts
    assert item.input_ids == mini(text)["input_ids"]


def test_quotes_do_not_hide_a_sentence_start(mini):
    item = encode_cased(mini, ['It ended. "Why?" he said.']).items[0]
    assert dict(zip(item.words, item.starts, strict=True)) == {
        "It": True, "ended": False, "Why": True, "he": True, "said": False,
    }  # fmt: skip


@pytest.mark.parametrize("limit", range(3, 16))
def test_a_cut_never_splits_a_word(mini, limit):
    text = "Unforgiven pleased Pasadena ."
    whole = encode_cased(mini, [text]).items[0]
    if limit < 5:  # not even the first word fits
        with pytest.raises(ValueError, match="None of the 1 texts has a word with letters"):
            encode_cased(mini, [text], max_length=limit)
        return
    item = encode_cased(mini, [text], max_length=limit).items[0]
    assert len(item.input_ids) <= limit
    assert item.input_ids == mini(item.text)["input_ids"]
    assert item.words == whole.words[: len(item.words)]
    assert text.startswith(item.text)


def test_rewriting_gives_the_text_back(mini):
    text = "I saw iPods in New York (1999), and it was GREAT!  Zoë's too."
    item = encode_cased(mini, [text]).items[0]
    assert item.rewrite(item.cases) == text
    assert "york" in item.rewrite([0] * len(item.cases))
    with pytest.raises(ValueError, match="There are 1 classes for"):
        item.rewrite([0])


def test_texts_behave_as_examples(mini):
    texts = encode_cased(mini, ["The film.", "Bob hated it, and I did not."])
    assert len(texts) == 2 and texts.lengths == [len(item.input_ids) for item in texts.items]
    assert texts[1] == {"input_ids": texts.items[1].input_ids, "labels": texts.items[1].labels}
    assert len(texts.words) == len(texts.cases) == len(texts.starts) == 9


def test_dictionary_takes_the_commonest_and_of_equals_the_lower():
    words = ["Bob", "bob", "Bob", "The", "the", "DVD"]
    dictionary = casing_dictionary([*words, "iPod", "1999"])
    assert dictionary == {"bob": 1, "the": 0, "dvd": 2}
    assert look_up(dictionary, ["BOB", "the", "new", "dvd"]) == [1, 0, 0, 2]
    assert look_up(dictionary, ["the", "the", "dvd"], [True, False, True]) == [1, 0, 2]


def test_words_read_without_a_tokenizer_are_those_that_get_labels(mini):
    _, held_out = split_reviews(load_reviews("imdb").texts)
    texts = [text for text in held_out[:60] if text.isascii()]
    labelled = encode_cased(mini, texts, max_length=10_000).words
    assert len(texts) > 30
    assert labelled == [word for word in read_words(texts) if casing(word) != -100]


def test_words_end_where_letters_end():
    found = list(read_words(["It's a _3D_ film<br />(1999).", "", "Zoë"]))
    assert found == ["It", "s", "a", "3D", "film", "br", "1999", "Zoë"]


@pytest.mark.parametrize("text", ["", "   "])
def test_empty_texts_are_refused(mini, text):
    with pytest.raises(ValueError, match="Text number 1 is .*; expected some words"):
        encode_cased(mini, ["Fine.", text])


def test_texts_without_any_label_are_refused_and_one_is_kept(mini):
    with pytest.raises(ValueError, match="None of the 2 texts has a word with letters within 128"):
        encode_cased(mini, ["1999 !", ">>>>"])
    with pytest.raises(ValueError, match="None of the 0 texts"):
        encode_cased(mini, [])
    texts = encode_cased(mini, ["1999 !", "Fine."])
    assert len(texts) == 2 and set(texts[0]["labels"]) == {-100} and texts.cases == [1]


def test_a_cased_tokenizer_is_refused():
    vocabulary = {t: i for i, t in enumerate(["[UNK]", "[CLS]", "[SEP]", "film", "FILM"])}
    raw = Tokenizer(models.WordPiece(vocab=vocabulary, unk_token="[UNK]"))
    raw.normalizer = normalizers.BertNormalizer(lowercase=False)
    raw.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    with pytest.raises(ValueError, match="so there is nothing to restore"):
        encode_cased(BertTokenizer(tokenizer_object=raw, do_lower_case=False), ["FILM"])


def test_three_classes():
    assert [restore("dvd", case) for case in range(len(CASES))] == ["dvd", "Dvd", "DVD"]
