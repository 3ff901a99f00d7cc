import pytest
from own_tables import films, messages, write_table

from bift_utils.data.batches import IGNORE_INDEX
from bift_utils.data.tables import read_table
from bift_utils.finetune.options import FinetuneOptions
from bift_utils.finetune.texts import (
    file_digest,
    prepare_texts,
    read_texts,
    split_without_classes,
)
from bift_utils.masking.collators import JointCollator
from bift_utils.runtime import make_generator
from bift_utils.training.pieces import needed_rows

EXTRA = [(f"the cast and the story {'. ' * i}", "") for i in range(8)]


def prepare(tmp_path, tokenizer, rows, weight=0.3, label="label", max_length=16, **changed):
    table = read_table(write_table(tmp_path / "own.csv", rows), label=label)
    return prepare_texts(table, tokenizer, "tiny", weight, max_length, **{"seed": 0, **changed})


def test_what_is_said_about_the_texts(tmp_path, tokenizer):
    texts = prepare(tmp_path, tokenizer, [*films(100), *films(10), *EXTRA])
    assert texts.lines == [
        f"Texts with a class: 110 ({len(texts.parts['train'])} train, "
        f"{len(texts.parts['validation'])} validation, {len(texts.parts['test'])} test); "
        "without: 8.",
        "bad       55   50.0 %",
        "good      55   50.0 %",
        *texts.lines[3:6],
        texts.lines[6],
    ]
    assert texts.lines[3].startswith("Lengths: half of the 118 texts have")
    assert texts.lines[4].startswith("Cut at 16 tokens: ")
    assert texts.lines[5].startswith("Unknown to the tokenizer ([UNK]): 0 of ")
    assert texts.lines[6].startswith("Copies of other texts, kept on the same side of the split: ")
    assert texts.warnings == []


def test_texts_without_a_class_join_the_training_part_only(tmp_path, tokenizer):
    texts = prepare(tmp_path, tokenizer, [*films(100), *EXTRA])
    labels = {name: encoded.labels for name, encoded in texts.encoded.items()}
    assert labels["train"].count(IGNORE_INDEX) == len(EXTRA)
    assert IGNORE_INDEX not in labels["validation"] + labels["test"]
    assert len(texts.encoded["train"]) == len(texts.parts["train"]) + len(EXTRA)


def test_where_most_texts_have_no_class_that_is_warned_of(tmp_path, tokenizer):
    many = [(f"the cast and the story {'. ' * i}", "") for i in range(30)]
    texts = prepare(tmp_path, tokenizer, [*films(20), *many])
    known = len(texts.parts["train"])
    assert texts.warnings[-1].startswith(
        f"30 texts without a class fill the batches beside {known} with one"
    )
    assert prepare(tmp_path, tokenizer, [*films(20), *many], weight=0.0).warnings == []
    assert prepare(tmp_path, tokenizer, [*films(20), *many[:known]]).warnings == []


def test_with_lambda_zero_they_are_of_no_use_and_that_is_said(tmp_path, tokenizer):
    texts = prepare(tmp_path, tokenizer, [*films(100), *EXTRA], weight=0.0)
    assert IGNORE_INDEX not in texts.encoded["train"].labels
    assert "Texts without a class, of no use with λ = 0: 8." in texts.lines


def test_a_text_without_a_class_that_equals_a_held_out_one_is_left_out(tmp_path, tokenizer):
    rows = films(100)
    parts = prepare(tmp_path, tokenizer, rows).parts
    leaks = [(text.upper(), "") for text in (parts["test"].texts[0], parts["validation"].texts[0])]
    leaks.append((parts["test"].texts[1].replace(" ", "  "), ""))
    harmless = [(parts["train"].texts[0], "")]
    texts = prepare(tmp_path, tokenizer, [*rows, *leaks, *harmless])
    assert texts.parts == parts
    assert texts.encoded["train"].labels.count(IGNORE_INDEX) == 1
    assert "Texts without a class that equal a held-out text, left out: 3." in texts.lines


def test_no_text_is_on_two_sides(tmp_path, tokenizer):
    rows = films(150) + [(text.upper(), name) for text, name in films(150)]
    parts = prepare(tmp_path, tokenizer, rows).parts.values()
    train, validation, test = ({text.lower() for text in part.texts} for part in parts)
    assert train and validation and test
    assert not (train & validation or train & test or validation & test)


def test_tokens_nobody_knows_are_warned_of_above_a_tenth(tmp_path, tokenizer):
    texts = prepare(tmp_path, tokenizer, messages(60))
    (warning,) = texts.warnings
    assert "% of the tokens are unknown to tiny: the model cannot tell them apart." in warning
    assert 'The checkpoint "bift-mini" knows them better: 0.0 % [UNK].' in warning


def test_the_lengths_are_those_before_the_split_and_before_the_cut(tmp_path, tokenizer):
    rows = [*films(100), ("a " * 100_000, "good")]
    texts = prepare(tmp_path, tokenizer, rows, max_length=32)
    assert "Cut at 32 tokens: 1 texts (1.0 %)." in texts.lines
    assert any(line.endswith("the longest 100002.") for line in texts.lines)
    assert max(max(encoded.lengths) for encoded in texts.encoded.values()) == 32


def test_cut_texts_of_all_parts_are_counted(tmp_path, tokenizer):
    rows = [*films(100), *[("a " * (100 + i), "good") for i in range(20)]]
    texts = prepare(tmp_path, tokenizer, rows, max_length=32)
    assert 0 < texts.encoded["train"].num_cut < 20
    (cut,) = (line for line in texts.lines if line.startswith("Cut at "))
    assert cut.startswith("Cut at 32 tokens: 20 texts (16.7 %). The model has no more positions:")


HELD_OUT = [(f"another film was {('good', 'bad')[i % 2]} {'. ' * i}", ("good", "bad")[i % 2])
            for i in range(8)]  # fmt: skip


@pytest.mark.parametrize("given", [("test",), ("validation",), ("validation", "test")])
def test_held_out_texts_may_come_from_files_of_their_own(tmp_path, tokenizer, given):
    rows = films(100)
    leak, held = rows[0], {}
    for name in given:
        held[name] = str(write_table(tmp_path / f"{name}.csv", [*HELD_OUT, leak, ("no class", "")]))
    own = write_table(tmp_path / "own.csv", rows)
    table, parts = read_texts(own, FinetuneOptions(**held))
    texts = prepare_texts(table, tokenizer, "tiny", 0.3, 32, 0, held_out=parts)
    alone = prepare_texts(table, tokenizer, "tiny", 0.3, 32, 0).parts
    for name in given:
        assert texts.parts[name].texts == [" ".join(t.split()) for t, _ in [*HELD_OUT, leak]]
        assert texts.parts[name].labels[:2] == [1, 0]  # the classes of the table
        assert f"Texts of the {name} file without one of the classes: 1." in texts.lines
    copies = [text for text, _ in rows].count(leak[0])
    left = sum(len(alone[name]) for name in alone if name not in given) + sum(
        len(alone[name]) for name in given
    )
    kept = sum(len(texts.parts[name]) for name in texts.parts if name not in given)
    assert kept == left - copies == 100 - copies
    assert leak[0] not in texts.parts["train"].texts
    assert any(line.endswith(f"held-out texts, left out: {copies}.") for line in texts.lines)


def test_a_held_out_text_of_an_unknown_class_is_refused_or_left_out_with_the_rare_ones(tmp_path):
    own = write_table(tmp_path / "own.csv", [*films(100), ("one", "rare")])
    test = write_table(tmp_path / "test.csv", [*HELD_OUT, ("two", "rare"), ("three", "rare")])
    table, parts = read_texts(own, FinetuneOptions(test=str(test), drop_rare=3))
    assert len(parts["test"]) == 8
    assert "Texts of the test file without one of the classes: 2." in table.notes
    own = write_table(tmp_path / "own.csv", films(100))
    with pytest.raises(ValueError, match=r"of test.csv holds 'rare'; expected the classes of the "):
        read_texts(own, FinetuneOptions(test=str(test)))


def test_without_classes_the_texts_are_split_all_the_same(tmp_path, tokenizer):
    texts = prepare(tmp_path, tokenizer, films(100), weight=1.0, label=None)
    assert texts.lines[0].startswith("Texts: 100 (")
    assert texts.lines[0].endswith("test); no classes are read.")
    assert sum(map(len, texts.parts.values())) == 100
    assert set(texts.encoded["test"].labels) == {IGNORE_INDEX}
    assert prepare(tmp_path, tokenizer, films(100), 1.0, None).parts == texts.parts
    assert prepare(tmp_path, tokenizer, films(100), 1.0, None, seed=1).parts != texts.parts


def test_equal_texts_without_classes_stay_on_one_side():
    parts = split_without_classes([f"text {i % 20}" for i in range(100)], seed=0)
    sets = [set(part.texts) for part in parts.values()]
    assert [len(found) for found in sets] == [14, 3, 3]
    assert len(set.union(*sets)) == 20
    with pytest.raises(ValueError, match="There are 2 different texts; expected at least 3"):
        split_without_classes(["a", "b", "A "], seed=0)


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_rows_that_ask_nothing_are_left_out(tmp_path, tokenizer, weight):
    encoded = prepare(tmp_path, tokenizer, [*films(40), *EXTRA]).encoded["train"]
    examples = [encoded[i] for i in range(len(encoded))]
    named = sum(example["labels"] != IGNORE_INDEX for example in examples)
    everything = JointCollator(tokenizer, make_generator(1), mlm_probability=0.4)(examples)
    batch = needed_rows(everything, weight)
    asks_class = batch["labels"] != IGNORE_INDEX
    asks_word = (batch["mlm_labels"] != IGNORE_INDEX).any(1)
    assert (asks_class | asks_word).all() and not (asks_class & asks_word).any()
    assert asks_class.sum() == (named if weight < 1 else 0)
    hidden = (everything["mlm_labels"] != IGNORE_INDEX).any(1)
    assert asks_word.sum() == (hidden.sum() if weight > 0 else 0)
    assert (asks_word.sum() > named) == (weight > 0)  # so some of EXTRA are asked for words


def test_a_table_is_known_again_by_its_content(tmp_path):
    one, two = write_table(tmp_path / "1.csv", films(9)), write_table(tmp_path / "2.csv", films(9))
    assert file_digest(one) == file_digest(two)
    write_table(two, films(10))
    assert file_digest(one) != file_digest(two)
