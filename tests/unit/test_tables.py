import csv
import json
import re
import tracemalloc

import pytest

from bift_utils.data.table_files import TableFile, many_lines_are_rows
from bift_utils.data.tables import _oddities, check_class_sizes, name_classes, read_table
from bift_utils.data.texts import LabelledTexts, split_texts

ROWS = [
    ("Win a FREE prize, call now!", "spam"),
    ("see you at six", "ham"),
    ('she said "maybe"\nand left', "ham"),
    ("URGENT! your account 🚨 is locked", "spam"),
    ("ok 👍", "ham"),
    ("cheap loans; reply YES", "spam"),
    ("NA", "ham"),
]
TEXTS = [" ".join(text.split()) for text, _ in ROWS]
IDS = [1, 0, 0, 1, 0, 1, 0]


def write(path, rows, names=("text", "label"), **options):
    with path.open("w", newline="", encoding=options.pop("encoding", "utf-8")) as file:
        writer = csv.writer(file, **options)
        writer.writerows([names, *rows])
    return path


def write_raw(tmp_path, content, name="own.csv"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


# what is read


@pytest.mark.parametrize(
    "name, options",
    [
        ("own.csv", {}),
        ("own.CSV", {}),
        ("own.csv", {"delimiter": ";"}),
        ("own.csv", {"encoding": "utf-8-sig"}),
        ("own.csv", {"encoding": "utf-16"}),
        ("own.csv", {"lineterminator": "\n"}),
        ("own.tsv", {"delimiter": "\t"}),
    ],
)
def test_tables_as_spreadsheets_write_them(tmp_path, name, options):
    table = read_table(write(tmp_path / name, ROWS, **options))
    assert table.labelled.texts == TEXTS
    assert table.labelled.labels == IDS
    assert table.class_names == ["ham", "spam"]
    assert table.unlabelled == []
    assert table.notes == []


def test_json_lines(tmp_path):
    lines = [json.dumps({"text": text, "label": label, "more": 1}) for text, label in ROWS]
    lines.insert(2, json.dumps({"text": "nobody knows"}))
    lines.insert(3, json.dumps({"text": "nor here", "label": None}))
    table = read_table(write_raw(tmp_path, "\r\n".join(lines) + "\n\n", "own.jsonl"))
    assert (table.labelled.texts, table.labelled.labels) == (TEXTS, IDS)
    assert table.unlabelled == ["nobody knows", "nor here"]


def test_a_line_separator_inside_a_json_text_does_not_end_the_line(tmp_path):
    lines = [
        json.dumps({"text": f"a\u2028{i}", "label": i % 2}, ensure_ascii=False) for i in range(6)
    ]
    assert len(read_table(write_raw(tmp_path, "\n".join(lines), "own.jsonl")).labelled) == 6


def test_json_labels_may_be_numbers_or_truth_values(tmp_path):
    lines = [json.dumps({"text": str(i), "label": i % 2 == 0}) for i in range(6)]
    names = read_table(write_raw(tmp_path, "\n".join(lines), "a.jsonl")).class_names
    assert names == ["false", "true"]  # as they stand in the file


@pytest.mark.parametrize("first", ['"hello there', '"quoted" and more'])
def test_a_tsv_with_plain_quotation_marks_keeps_them(tmp_path, first):
    texts = [first, 'say "hi"', "three", '"four', "five", "six"]
    lines = ["label\ttext", *(f"{'ab'[i % 2]}\t{text}" for i, text in enumerate(texts))]
    table = read_table(write_raw(tmp_path, "\n".join(lines), "sms.tsv"))
    assert table.labelled.texts == texts
    assert table.labelled.labels == [0, 1] * 3


# quotation marks, and characters between fields


def stray(rows, places, separator=","):
    """Return a table without any quoting, with a lone quotation mark before some of its texts."""
    lines = [f"text{separator}label"]
    for i, (text, name) in enumerate(rows):
        opening, closing = '"' * (i in places), '"' * (-i in places)
        lines.append(f"{opening}{text}{closing}{separator}{name}")
    return "\n".join(lines) + "\n"


PLAIN = [(f"text number {i}", "ab"[i % 2]) for i in range(60)]


@pytest.mark.parametrize("separator", [",", "\t"])
@pytest.mark.parametrize(
    "places",
    [
        {10, 50},  # two that open: the second is in the middle of what looks like a field
        {10, -50},  # one opens, one closes, 40 rows apart: a whole field of 41 lines
        {10, -11},  # in two rows that follow each other
        {7},  # one that is never closed
        {-7},  # one at the end of a text is only a character
        {3, -9, 20, -40, 59},
    ],
)
def test_stray_quotation_marks_swallow_no_rows(tmp_path, places, separator):
    path = write_raw(tmp_path, stray(PLAIN, places, separator), "own.csv")
    table = read_table(path)
    assert [text.strip('"') for text in table.labelled.texts] == [text for text, _ in PLAIN]
    assert table.labelled.labels == [i % 2 for i in range(60)]
    opening = sorted(place + 2 for place in places if place > 0)
    assert table.notes == [
        "Quotation marks that enclose no field are read as plain characters: "
        f"{len(opening)} (line {', '.join(map(str, opening))})."
    ] * bool(opening)


def test_a_stray_mark_in_a_table_that_quotes_all_its_fields(tmp_path):
    names = ["a", "b"] * 15
    lines = ['"text","label"', *(f'"text, {i}","{name}"' for i, name in enumerate(names))]
    lines[7] = '"text 6,"a"'  # the closing one was forgotten
    with pytest.raises(ValueError, match="line 8 has a quotation mark|has 1;|too few") as refusal:
        read_table(write_raw(tmp_path, "\n".join(lines)))
    assert str(refusal.value).endswith(".")


def test_long_texts_of_many_lines_stay_whole(tmp_path):
    letter = "Dear all, the lamp\n" + "came late, again\n" * 30 + "bye"
    rows = [(f"{letter} {i}", "ab"[i % 2]) for i in range(6)]
    table = read_table(write(tmp_path / "own.csv", rows))
    assert table.labelled.texts == [" ".join(text.split()) for text, _ in rows]
    assert table.notes == []


@pytest.mark.parametrize(
    "name, separator, first, given",
    [
        ("own.csv", "\t", "", None),
        ("own.csv", "|", "", None),
        ("own.csv", ";", "sep=;\r\n", None),
        ("own.csv", ":", "sep=:\n", None),
        ("own.tsv", ",", "", None),
        ("own.csv", "~", "", "~"),
        ("own.csv", ";", "sep=;\n", ";"),
    ],
)
def test_separators_that_the_name_does_not_tell(tmp_path, name, separator, first, given):
    path = write(tmp_path / name, ROWS, delimiter=separator)
    path.write_bytes(first.encode() + path.read_bytes())
    table = read_table(path, separator=given)
    assert (table.labelled.texts, table.labelled.labels, table.notes) == (TEXTS, IDS, [])


def test_a_quoted_field_may_hold_the_separator_whatever_it_is(tmp_path):
    rows = [(f"one\ttwo {i}", "ab"[i % 2]) for i in range(6)]
    table = read_table(write(tmp_path / "own.tsv", rows, delimiter="\t"))
    assert table.labelled.texts == [f"one two {i}" for i in range(6)] and table.notes == []


@pytest.mark.parametrize("separator", ["", "ab", '"', "\n"])
def test_what_cannot_part_two_fields_is_refused(tmp_path, separator):
    with pytest.raises(ValueError, match="The separator was given as .*a single character"):
        read_table(write(tmp_path / "own.csv", ROWS), separator=separator)


def test_a_table_is_read_as_a_stream(tmp_path):
    path = write(tmp_path / "own.csv", [(f"text {i}", "a") for i in range(100_000)])
    tracemalloc.start()
    rows = TableFile(path, ["text"]).rows(many_lines_are_rows)
    assert next(rows) == {"text": "text 0", "label": "a"}
    assert sum(1 for _ in rows) == 99_999
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


def test_other_columns_and_other_names(tmp_path):
    rows = [(str(i), "ab"[i % 2], f"text {i}") for i in range(6)]
    path = write(tmp_path / "own.csv", rows, names=("id", " kind ", "body"))
    table = read_table(path, text="body", label="kind")
    assert table.labelled.texts == [f"text {i}" for i in range(6)]
    assert table.class_names == ["a", "b"]


def test_rows_without_a_label_are_unlabelled_and_rows_without_a_text_are_left_out(tmp_path):
    rows = [*ROWS, ("no label", ""), ("spaces", "  "), ("", "spam"), (" \n ", ""), ("short",)]
    table = read_table(write(tmp_path / "own.csv", rows))
    assert table.unlabelled == ["no label", "spaces", "short"]
    assert table.labelled.texts == TEXTS
    assert table.notes == ["Rows without a text, left out: 2."]


def test_without_a_label_column_all_texts_are_unlabelled(tmp_path):
    table = read_table(write(tmp_path / "own.csv", ROWS), label=None)
    assert table.unlabelled == TEXTS
    assert len(table.labelled) == 0
    assert table.class_names == []


def test_words_that_other_readers_take_for_missing_are_kept(tmp_path):
    rows = [(word, "None") for word in ("NA", "null", "nan")] + [(w, "n/a") for w in "xyz"]
    table = read_table(write(tmp_path / "own.csv", rows))
    assert table.labelled.texts == ["NA", "null", "nan", "x", "y", "z"]
    assert table.class_names == ["None", "n/a"]


def test_a_hundred_thousand_characters(tmp_path):
    long = "word " * 20_000
    table = read_table(write(tmp_path / "own.csv", [(long, "ham"), *ROWS]))
    assert table.labelled.texts[0] == long.strip()
    unbroken = "x" * 100_000
    assert read_table(write(tmp_path / "own.csv", [(unbroken, "ham"), *ROWS])).labelled.texts[
        0
    ] == (unbroken)


def test_bytes_of_another_encoding_are_read_when_it_is_named(tmp_path):
    rows = [("café", "a"), ("thé", "a"), ("blé", "a"), ("x", "b"), ("y", "b"), ("z", "b")]
    path = write(tmp_path / "own.csv", rows, encoding="cp1252")
    assert read_table(path, encoding="cp1252").labelled.texts[:3] == ["café", "thé", "blé"]
    with pytest.raises(ValueError, match=r'not in UTF-8: line 2 .* byte 0xe9.*"cp1252"'):
        read_table(path)


def test_eight_classes_keep_their_names(tmp_path):
    topics = ["arts", "food", "health", "money", "politics", "science", "sport", "travel"]
    rows = [(f"{topic} story {i}", topic) for i in range(4) for topic in reversed(topics)]
    table = read_table(write(tmp_path / "own.csv", rows))
    assert table.class_names == topics
    named = [table.class_names[i] for i in table.labelled.labels]
    assert named == [topic for _, topic in rows]


# labels


def test_whole_numbers_are_sorted_by_value_and_may_have_a_decimal_point():
    names, ids = name_classes(["10", "9", "9.0", "-1", "10"])
    assert names == ["-1", "9", "9.0", "10"] and ids == [3, 1, 2, 0, 3]


@pytest.mark.parametrize(
    "labels",
    [
        ["900719925474099267", "900719925474099266"],  # one float for both
        ["1,000", "1"],
        ["007", "7"],
        ["1", "1.0"],
        ["1" * 400, "1" * 401],  # more than a float can hold
    ],
)
def test_names_of_classes_are_kept_to_the_letter(tmp_path, labels):
    assert sorted(name_classes(labels)[0]) == sorted(labels)
    rows = [(f"text {i} of {n}", label) for i in range(3) for n, label in enumerate(labels)]
    assert sorted(read_table(write(tmp_path / "own.csv", rows)).class_names) == sorted(labels)
    if "," not in labels[0] and labels[0] != "007":  # which JSON does not call numbers
        lines = [f'{{"text": "{text}", "label": {label}}}' for text, label in rows]
        table = read_table(write_raw(tmp_path, "\n".join(lines), "own.jsonl"))
        assert sorted(table.class_names) == sorted(labels)


def test_numbers_that_are_spelled_differently_are_said():
    rows = [("a", "1"), ("b", "1"), ("c", "1"), ("d", "1.0"), ("e", "1.0"), ("f", "1.0")]
    names, ids = name_classes([label for _, label in rows])
    notes = _oddities(LabelledTexts([text for text, _ in rows], ids), names)
    assert notes == ["Some classes are one number, spelled differently: '1', '1.0'."]


@pytest.mark.parametrize(
    "label, shown",
    [
        ('["toxic", "bad"]', "['toxic', 'bad'] in row 2"),
        ('{"toxic": 1}', "{'toxic': 1} in row 2"),
        ("[]", r"\[\] in row 2"),
        ("\"['toxic', 'bad']\"", "['toxic', 'bad'] in row 2"),  # as pandas writes a list
        ("NaN", "nan in row 2; expected the name of a class, or null"),
    ],
)
def test_labels_that_are_no_single_class_are_refused(tmp_path, label, shown):
    lines = ['{"text": "a", "label": "x"}', f'{{"text": "b", "label": {label}}}']
    with pytest.raises(ValueError, match=shown if "\\" in shown else re.escape(shown)) as refusal:
        read_table(write_raw(tmp_path, "\n".join(lines), "own.jsonl"))
    assert ("several classes cannot be learned" in str(refusal.value)) == (label != "NaN")
    assert "\n" not in str(refusal.value)


def test_a_name_in_brackets_is_a_name_and_one_that_says_nothing_is_mentioned(tmp_path):
    rows = [(f"text {i}", ("[deleted]", "nan")[i % 2]) for i in range(6)]
    table = read_table(write(tmp_path / "own.csv", rows))
    assert table.class_names == ["[deleted]", "nan"]
    assert table.notes == ["Some classes are named as if the label were missing: 'nan'."]


def test_half_an_emoji_is_refused_with_its_row(tmp_path):
    lines = ['{"text": "fine", "label": "x"}', '{"text": "half \\ud83d", "label": "x"}']
    with pytest.raises(ValueError, match=r"Row 2 of own.jsonl holds half of a character"):
        read_table(write_raw(tmp_path, "\n".join(lines), "own.jsonl"))
    lines = ['{"text": "fine", "label": "\\udc00"}']
    with pytest.raises(ValueError, match=r"Row 1 of own.jsonl holds half of a character"):
        read_table(write_raw(tmp_path, "\n".join(lines), "own.jsonl"))


def test_rare_classes_can_be_left_out(tmp_path):
    rows = [*ROWS, ("one", "rare"), ("one ", "rare"), ("two", "rare"), ("x", "alone")]
    path = write(tmp_path / "own.csv", rows)
    with pytest.raises(ValueError, match=r"'alone' has 1, 'rare' has 2; .*\(--drop-rare 3\)"):
        read_table(path)
    table = read_table(path, drop_rare=3)
    assert (table.labelled.texts, table.class_names) == (TEXTS, ["ham", "spam"])
    assert table.notes == [
        "Classes with fewer than 3 different texts, left out: 2 ('rare', 'alone'), with 4 texts."
    ]


def test_names_that_only_begin_like_numbers_are_names():
    assert name_classes(["1st", "2.5", "1st"]) == (["1st", "2.5"], [0, 1, 0])
    assert name_classes(["nan", "inf"])[0] == ["inf", "nan"]


@pytest.mark.parametrize("labels", [["0.5", "1"], ["1", "2", "3,75"], ["-0.25", "4.0"]])
def test_numbers_that_are_not_whole_are_refused(labels):
    with pytest.raises(ValueError, match="numbers that are not whole .*cannot predict an amount"):
        name_classes(labels)


def test_odd_tables_are_used_and_the_oddity_is_said(tmp_path):
    rows = [*ROWS, ("another", "Spam"), ("two more", "Spam"), ("and three", "Spam")]
    rows += [("SEE you  at six", "ham"), ("ok 👍", "spam")]
    assert read_table(write(tmp_path / "own.csv", rows)).notes == [
        "Some classes differ only in case: 'Spam', 'spam'.",
        "Copies of other texts, kept on the same side of the split: 2.",
        "Texts that appear with more than one class: 1.",
    ]


def test_copies_end_up_on_one_side_of_the_split(tmp_path):
    rows = [(f"text {i % 20}" if i % 2 else f"TEXT  {i % 20}", "ab"[i % 2]) for i in range(200)]
    parts = split_texts(read_table(write(tmp_path / "own.csv", rows)).labelled)
    keys = [{text.lower() for text in part.texts} for part in parts.values()]
    assert all(keys)
    assert not (keys[0] & keys[1] or keys[0] & keys[2] or keys[1] & keys[2])


def test_copies_do_not_make_a_class_large_enough(tmp_path):
    rows = [*ROWS, *[("only one text", "rare")] * 5]
    with pytest.raises(ValueError, match="too few different texts: 'rare' has 1; expected at leas"):
        read_table(write(tmp_path / "own.csv", rows))


def test_a_class_that_the_split_would_take_for_another_is_counted_so(tmp_path):
    # the split gives a group of equal texts the class of its first member
    rows = [(text, "ham") for text in "abc"] + [(text, "spam") for text in "abc"]
    with pytest.raises(ValueError, match="'spam' has 0"):
        read_table(write(tmp_path / "own.csv", rows))


def test_many_small_classes_are_not_all_listed(tmp_path):
    rows = [(f"text {i}", f"id{i}") for i in range(30)]
    with pytest.raises(ValueError, match=r"'id12' has 1 \(and 25 more classes\)"):
        read_table(write(tmp_path / "own.csv", rows))


def test_a_long_text_in_the_column_of_labels_is_quoted_in_part(tmp_path):
    rows = [(str(i % 2), f"{i} {'a word or two ' * 40}") for i in range(8)]  # in the wrong order
    with pytest.raises(ValueError, match="too few different texts") as error:
        read_table(write(tmp_path / "own.csv", rows))
    assert "'0 a word or two a word" in str(error.value) and len(str(error.value)) < 800


def test_the_least_class_that_is_accepted_can_be_split(tmp_path):
    rows = [(f"ham {i}", "ham") for i in range(50)] + [(f"spam {i}", "spam") for i in range(3)]
    table = read_table(write(tmp_path / "own.csv", rows))
    check_class_sizes(table.labelled, table.class_names)
    for seed in range(20):
        assert sum(map(len, split_texts(table.labelled, seed=seed).values())) == 53


# what is refused


@pytest.mark.parametrize(
    "content, message",
    [
        ("", "own.csv is empty; expected a table"),
        ("\ufeff \n", "own.csv is empty"),
        ("text,label\n", "has no rows; expected at least one text"),
        ("review,stars\na,1\n", "no column \"text\"; it has 'review', 'stars'. Name one of those"),
        ("text,stars\na,1\n", "no column \"label\"; it has 'text', 'stars'"),
        ("text,Label\na,1\n", "as text or label .--text, --label; capitals count"),
        ("text,label\n,a\n  ,b\n", 'column "text" of own.csv is empty in all 2 rows'),
        ("text,label\na,\nb, \n", 'column "label" of own.csv is empty in all 2 rows'),
        ("text,label\na,x\nb,x\nc,x\n", "holds 'x' and nothing else; expected at least two"),
        ("text,label\na,x\nb,y\nc,x\nd,x\n", "'y' has 1; expected at least 3 each"),
        ("text,label\na,1\nb,2.5\n", r"not whole \('2.5'\)"),
        ("text,label\na,b,x\nc,d,y\n", "line 2 has 3 fields, and the first line has names for 2"),
        ("text,label\na,x\nc,d,y\n", "not a whole table: line 3 has 3 fields"),
        (
            'text,label\n"a,b,x\nb,y\n',
            "line 2 has a quotation mark that encloses no field, and 3 f",
        ),
        ('text,label\n"a" b,c,x\nb,y\n', "line 2 has a quotation mark that encloses no field"),
        ("text,text,label\na,b,x\n", 'has 2 columns "text"; expected one'),
        (b"text,label\nfine,x\n\xff\xfe,y\n", "not in UTF-8: line 3 holds the byte 0xff"),
        (b"\xff\xfet\x00\x00\xd8", "not in UTF-16"),
    ],
)
def test_a_csv_that_cannot_be_used(tmp_path, content, message):
    with pytest.raises(ValueError, match=message):
        read_table(write_raw(tmp_path, content))


@pytest.mark.parametrize(
    "content, message",
    [
        ('{"text": "a", "label": 1}\nnope\n', "Line 2 of own.jsonl is not JSON"),
        ('["a", 1]\n', "Line 1 of own.jsonl holds a list; expected an object"),
        (
            '{"text": 3, "label": 1}\n',
            '"text" of own.jsonl holds 3 in row 1, a number; expected',
        ),
        ('{"review": "a"}\n', "no column \"text\"; it has 'review'"),
        ('{"text": "a", "label": 0.5}\n{"text": "b", "label": 1}\n', "not whole"),
    ],
)
def test_json_lines_that_cannot_be_used(tmp_path, content, message):
    with pytest.raises(ValueError, match=message):
        read_table(write_raw(tmp_path, content, "own.jsonl"))


def test_a_file_of_another_kind_or_none_at_all(tmp_path):
    with pytest.raises(ValueError, match=r"ends in '.xlsx'; expected .csv, .tsv or .jsonl"):
        read_table(write_raw(tmp_path, "x", "own.xlsx"))
    with pytest.raises(FileNotFoundError, match="There is no file .*own.csv"):
        read_table(tmp_path / "own.csv")


def test_an_unknown_encoding_and_one_column_for_both(tmp_path):
    path = write(tmp_path / "own.csv", ROWS)
    with pytest.raises(ValueError, match="encoding was given as 'klingon'"):
        read_table(path, encoding="klingon")
    with pytest.raises(ValueError, match="named for both texts and labels"):
        read_table(path, text="label")
