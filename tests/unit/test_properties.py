"""Rules that hold for every input, tried on many: Hypothesis makes the inputs up.

The inputs are the same in every run (`derandomize`). When a rule breaks, Hypothesis prints the
smallest input that breaks it; keep that one as an ordinary test beside the module.
"""

import csv
import itertools
import json
import tempfile
from pathlib import Path

import torch
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from bift_utils import data, languages, masking
from bift_utils.data.batches import IGNORE_INDEX
from bift_utils.training.pieces import split_batch

RULES = settings(
    derandomize=True,
    database=None,
    deadline=None,  # a busy machine breaks no rule
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow],
)
MANY = settings(RULES, max_examples=300)  # for rules that are cheap to try


# windows of sentences

SENTENCES = st.lists(st.lists(st.integers(0, 99), max_size=12), max_size=12)
LIMIT = st.integers(1, 15)


@MANY
@given(SENTENCES, LIMIT, st.none() | LIMIT)
def test_windows_keep_all_tokens_in_order_and_within_the_limits(sentences, size, first):
    windows = data.pack_windows(sentences, size, first)
    assert [*itertools.chain(*windows)] == [*itertools.chain(*sentences)]
    assert all(windows)
    limits = [first or size] + [size] * len(windows)
    assert all(len(window) <= limit for window, limit in zip(windows, limits, strict=False))


@MANY
@given(SENTENCES, LIMIT, st.none() | LIMIT)
def test_a_window_begins_at_a_sentence_unless_that_sentence_is_longer_than_the_limit(
    sentences, size, first
):
    windows = data.pack_windows(sentences, size, first)
    borders = list(itertools.accumulate(map(len, windows)))[:-1]
    ends = list(itertools.accumulate(map(len, sentences)))
    for number, border in enumerate(borders):
        if border in ends:
            continue
        cut = next(i for i, end in enumerate(ends) if end > border)
        begin = ends[cut] - len(sentences[cut])
        # a sentence moves to a fresh window before it is cut, and there the whole limit is its own
        window_begin = borders[number - 1] if number else 0
        limit = (first or size) if number == 0 else size
        assert ends[cut] - max(begin, window_begin) > limit
        assert window_begin >= begin


@MANY
@given(SENTENCES, LIMIT)
def test_no_window_could_have_taken_the_whole_next_sentence_too(sentences, size):
    sentences = [sentence[:size] for sentence in sentences if sentence]  # none must be cut
    windows = data.pack_windows(sentences, size)
    begins = [0, *itertools.accumulate(map(len, sentences))]
    border = 0
    for window in windows[:-1]:
        border += len(window)
        assert border in begins
        assert len(window) + len(sentences[begins.index(border)]) > size


# one batch in parts


@st.composite
def padded_batches(draw):
    """Rows of different lengths, padded to the longest or further; ids are all different."""
    lengths = draw(st.lists(st.integers(1, 6), min_size=1, max_size=7))
    width = max(lengths) + draw(st.integers(0, 2))
    rows = len(lengths)
    mask = (torch.arange(width) < torch.tensor(lengths)[:, None]).long()
    ids = (1 + torch.arange(rows * width).reshape(rows, width)) * mask
    return {
        "input_ids": ids,
        "attention_mask": mask,
        "mlm_labels": torch.where(mask.bool(), ids, IGNORE_INDEX),
        "labels": torch.arange(rows),
    }


@RULES
@given(padded_batches(), st.integers(1, 9))
def test_each_row_of_a_batch_is_in_exactly_one_part(batch, parts):
    pieces = split_batch(batch, parts)
    assert len(pieces) == parts
    rows = torch.cat([piece["labels"] for piece in pieces])
    assert sorted(rows[rows != IGNORE_INDEX].tolist()) == list(range(len(batch["labels"])))
    for piece in pieces:
        if (piece["labels"] == IGNORE_INDEX).all():  # a part without rows asks nothing
            assert (piece["mlm_labels"] == IGNORE_INDEX).all()


@RULES
@given(padded_batches(), st.integers(1, 9))
def test_only_padding_is_cut_when_a_batch_is_split(batch, parts):
    for piece in split_batch(batch, parts):
        if (piece["labels"] == IGNORE_INDEX).all():
            continue
        rows = piece["labels"]
        width = piece["input_ids"].shape[1]
        for name in ("input_ids", "attention_mask", "mlm_labels"):
            assert torch.equal(piece[name], batch[name][rows, :width]), name
        assert not batch["attention_mask"][rows, width:].any()


# word pieces

VOCABULARY = 8  # 0 is special, 1 to 4 begin a word, 5 to 7 continue one
ORDINARY = torch.arange(VOCABULARY) > 0
CONTINUES = torch.arange(VOCABULARY) > 4
ROWS = st.integers(1, 9).flatmap(
    lambda length: st.lists(
        st.lists(st.integers(0, VOCABULARY - 1), min_size=length, max_size=length),
        min_size=1,
        max_size=4,
    )
)


def words_of(row):
    """Number the words of a row one piece after the other, as the docstring puts it."""
    numbers = []
    for i, piece in enumerate(row):
        goes_on = i > 0 and bool(CONTINUES[piece]) and bool(ORDINARY[row[i - 1]])
        numbers.append(numbers[-1] if goes_on else i)
    return numbers


@RULES
@given(ROWS)
def test_two_positions_have_one_first_piece_exactly_when_they_are_one_word(rows):
    first = masking.first_pieces(torch.tensor(rows), ORDINARY, CONTINUES)
    for row, found in zip(rows, first.tolist(), strict=True):
        words = words_of(row)
        for i, j in itertools.product(range(len(row)), repeat=2):
            assert (found[i] == found[j]) == (words[i] == words[j])


@RULES
@given(ROWS)
def test_the_first_piece_of_a_first_piece_is_itself(rows):
    first = masking.first_pieces(torch.tensor(rows), ORDINARY, CONTINUES)
    assert torch.equal(first.gather(-1, first), first)
    assert (first <= torch.arange(first.shape[-1])).all()


# tables

# no digits among them: classes that are numbers have rules of their own
NASTY = ",;\"'\n\r\t |\\#\ufeff\u00a0\u2028\u200b\x0b\x0c\x1c\x85aZé中🚨ß"
MISSING = st.sampled_from(["NA", "nan", "null", "None", "N/A"])  # elsewhere these mean "nothing"
CELL = MISSING | st.text(
    st.sampled_from(NASTY) | st.characters(exclude_categories=["Cs"]), max_size=12
)
ENCODINGS = st.sampled_from(["utf-8", "utf-8-sig", "utf-16"])
ENDS = ("abcd", "efgh", "ijkl")
NAMES = st.lists(
    MISSING | st.text(st.sampled_from(NASTY), max_size=6).map(str.strip).filter(bool),
    min_size=2,
    max_size=3,
    unique=True,
)


@st.composite
def tables(draw):
    """Rows of a text and a class: four texts a class that end unlike each other, and some more."""
    names = draw(NAMES)
    rows = [(draw(CELL) + end, name) for name in names for end in ENDS[names.index(name)]]
    rows += draw(st.lists(st.tuples(CELL, st.sampled_from([*names, "", " "])), max_size=3))
    return draw(st.permutations(rows))


def expected_of(rows):
    """What a table says: the texts with their class, and the texts without one, in order."""
    tidy = [(data.clean_text(text), name.strip()) for text, name in rows]
    labelled = [(text, name) for text, name in tidy if text and name]
    unlabelled = [text for text, name in tidy if text and not name]
    return labelled, unlabelled


def check_round_trip(rows, write, suffix, encoding="utf-8"):
    """Write, read, compare; a refusal must be a whole sentence. Returns the refusal, or None."""
    labelled, unlabelled = expected_of(rows)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"own{suffix}"
        with path.open("w", newline="", encoding=encoding) as file:
            write(file)
        try:
            table = data.read_table(path)
        except ValueError as refusal:
            assert str(refusal)[0].isupper() and str(refusal).endswith("."), refusal
            return str(refusal)
    named = [table.class_names[i] for i in table.labelled.labels]
    assert list(zip(table.labelled.texts, named, strict=True)) == labelled
    assert table.unlabelled == unlabelled
    return None


def could_be_learned(rows):
    """Whether each of at least two classes has three texts that no other row has."""
    labelled, _ = expected_of(rows)
    folded = [text.lower() for text, _ in labelled]
    names = {name for _, name in rows if name.strip()}
    alone = [n for (_, n), t in zip(labelled, folded, strict=True) if folded.count(t) == 1]
    return all(alone.count(name.strip()) >= data.LEAST_EXAMPLES for name in names)


def write_csv(rows, separator, quoting=csv.QUOTE_MINIMAL):
    def write(file):
        writer = csv.writer(file, delimiter=separator, quoting=quoting)
        writer.writerows([("text", "label"), *rows])

    return write


@RULES
@given(
    tables(),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.sampled_from(",;"),
    ENCODINGS,
)
def test_a_csv_with_nasty_cells_comes_back_or_is_refused_in_a_sentence(
    rows, quoting, separator, encoding
):
    refusal = check_round_trip(rows, write_csv(rows, separator, quoting), ".csv", encoding)
    assert refusal is None or not could_be_learned(rows)


@RULES
@given(tables(), ENCODINGS)
def test_json_lines_with_nasty_cells_come_back_or_are_refused_in_a_sentence(rows, encoding):
    def write(file):
        for text, name in rows:
            file.write(json.dumps({"text": text, "label": name}, ensure_ascii=False) + "\n")

    refusal = check_round_trip(rows, write, ".jsonl", encoding)
    assert refusal is None or not could_be_learned(rows)


@RULES
@given(tables(), st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
def test_a_tsv_without_tabs_in_its_cells_comes_back_or_is_refused(rows, quoting):
    rows = [(text.replace("\t", " "), name.replace("\t", "_")) for text, name in rows]
    refusal = check_round_trip(rows, write_csv(rows, "\t", quoting), ".tsv")
    assert refusal is None or not could_be_learned(rows)


def test_a_tsv_with_a_tab_in_a_quoted_cell_comes_back():
    rows = [(f"text\tnumber {i}", "ab"[i % 2]) for i in range(6)]
    assert check_round_trip(rows, write_csv(rows, "\t"), ".tsv") is None


# names of classes


@RULES
@given(st.lists(CELL.filter(bool), min_size=2, max_size=20))
def test_each_label_gets_the_place_of_its_own_name(labels):
    assume(len(set(labels)) > 1)
    assume(not all(label[0] in "+-" or label[0].isdigit() for label in labels))
    names, ids = data.name_classes(labels)
    assert [names[i] for i in ids] == labels
    assert names == sorted(set(labels))


@RULES
@given(st.lists(st.integers(-20, 20), min_size=2, max_size=20), st.data())
def test_whole_numbers_stay_as_they_are_spelled_in_the_order_of_their_values(numbers, draw):
    assume(len(set(numbers)) > 1)
    spelled = st.sampled_from(["{}", "{}.0", "{},0", "{}.", "{}.00"])
    labels = [draw.draw(spelled).format(number) for number in numbers]
    names, ids = data.name_classes(labels)
    assert [names[i] for i in ids] == labels
    values = [float(name.replace(",", ".")) for name in names]
    assert values == sorted(values) and len(names) == len(set(labels))


# splits

WORDS = st.lists(st.sampled_from(["Good", "good", "BAD", "bad ", " film", "ok"]), min_size=1)


@RULES
@given(
    st.lists(st.tuples(WORDS.map(" ".join), st.integers(0, 2)), min_size=12, max_size=60),
    st.integers(0, 5),
)
@example([(f"text {i}", i % 2) for i in range(20)] + [(f"TEXT  {i}", i % 2) for i in range(20)], 0)
def test_a_split_loses_nothing_and_keeps_equal_texts_on_one_side(rows, seed):
    texts, labels = [text for text, _ in rows], [label for _, label in rows]
    everything = data.LabelledTexts(texts, labels)
    groups = data.group_equal_texts(texts)
    try:
        parts = data.split_texts(everything, seed=seed)
    except ValueError as refusal:
        assert str(refusal).endswith(".")
        return
    found = [pair for part in parts.values() for pair in zip(part.texts, part.labels, strict=True)]
    assert sorted(found) == sorted(rows)
    sides = {
        name: {" ".join(t.lower().split()) for t in part.texts} for name, part in parts.items()
    }
    for one, other in itertools.combinations(sides.values(), 2):
        assert not one & other
    assert len(sides["validation"]) == len(sides["test"]) == round(0.15 * len(groups))


@RULES
@given(st.lists(st.integers(7, 30), min_size=2, max_size=4), st.integers(0, 5))
def test_every_part_of_a_split_has_every_class_in_its_share(sizes, seed):
    labels = [label for label, size in enumerate(sizes) for _ in range(size)]
    texts = [f"text {i}" for i in range(len(labels))]
    parts = data.split_texts(data.LabelledTexts(texts, labels), seed=seed)
    for name, share in {"train": 0.70, "validation": 0.15, "test": 0.15}.items():
        assert abs(len(parts[name]) - share * len(labels)) <= 1
        for label, size in enumerate(sizes):
            count = parts[name].labels.count(label)
            assert count >= 1 and abs(count - share * size) < 2


# known languages

SHAPES = st.tuples(
    st.sampled_from(["Markov", "hidden", "classes"]),
    st.integers(1, 3),  # hidden states
    st.integers(2, 3),  # tokens
    st.integers(0, 10**6),  # seed
)
CHANNELS = st.none() | st.builds(
    lambda m, a, b: masking.CorruptionChannel(m, a * (1 - b), b),
    st.sampled_from([0.15, 0.5, 0.9]),
    st.sampled_from([0.0, 0.5, 1.0]),
    st.sampled_from([0.0, 0.1, 0.5]),
)


def build(shape):
    kind, states, tokens, seed = shape
    generator = torch.Generator().manual_seed(seed)
    if kind == "Markov":
        return languages.MarkovLanguage.random(tokens, generator, 0.7)
    if kind == "hidden":
        return languages.HiddenMarkovLanguage.random(states, tokens, generator, 0.7)
    return languages.ClassConditionalLanguage.random(2, states, tokens, generator, 0.7)


def all_sentences(language, length):
    return torch.tensor(list(itertools.product(range(language.vocab_size), repeat=length)))


def path_probabilities(language, sentences):
    """P(sentence, hidden path, class) of every path, added up by hand: (N,)."""
    prior, start, transition, emission = language.tables
    total = torch.zeros(len(sentences), dtype=torch.float64)
    for y in range(len(prior)):
        for path in itertools.product(range(start.shape[1]), repeat=sentences.shape[1]):
            p = prior[y] * start[y, path[0]] * emission[y, path[0], sentences[:, 0]]
            for i in range(1, len(path)):
                step = transition[y, path[i - 1], path[i]]
                p = p * step * emission[y, path[i], sentences[:, i]]
            total += p
    return total


@RULES
@given(SHAPES, st.integers(1, 4))
def test_probabilities_of_sentences_are_those_of_all_their_hidden_paths(shape, length):
    language = build(shape)
    sentences = all_sentences(language, length)
    by_hand = path_probabilities(language, sentences)
    torch.testing.assert_close(language.log_probability(sentences).exp(), by_hand)
    torch.testing.assert_close(by_hand.sum(), torch.tensor(1.0, dtype=torch.float64))


@RULES
@given(SHAPES, st.integers(1, 8))
def test_the_probability_of_a_sentence_is_the_product_of_its_left_posteriors(shape, length):
    language = build(shape)
    tokens = language.sample(5, length, torch.Generator().manual_seed(shape[-1])).tokens
    own = language.left_posterior(tokens).gather(-1, tokens[..., None]).squeeze(-1)
    torch.testing.assert_close(own.log().sum(-1), language.log_probability(tokens))


@RULES
@given(SHAPES, CHANNELS, st.integers(1, 4), st.data())
def test_posteriors_are_those_of_all_sentences_counted_by_hand(shape, channel, length, draw):
    language = build(shape)
    size = language.vocab_size
    seen = draw.draw(st.lists(st.integers(0, size), min_size=length, max_size=length))
    sentences = all_sentences(language, length)
    prior = path_probabilities(language, sentences)
    if channel is None:
        likelihood = (sentences == torch.tensor(seen)) | (torch.tensor(seen) == size)
        likelihood = likelihood.double()  # (N, T)
    else:
        likelihood = channel.matrix(size)[sentences, torch.tensor(seen)]
    joint = prior * likelihood.prod(1)
    assume(joint.sum() > 1e-12)  # an impossible sentence is refused: a test of its own elsewhere
    corrupted = torch.tensor([seen])
    torch.testing.assert_close(language.log_probability(corrupted, channel)[0].exp(), joint.sum())
    token = language.token_posterior(corrupted, channel)[0]
    cavity = language.cavity_posterior(corrupted, channel)[0]
    left = language.left_posterior(corrupted, channel)[0]
    one = torch.ones(length, dtype=torch.float64)
    for i in range(length):
        is_token = torch.nn.functional.one_hot(sentences[:, i], size).double()  # (N, V)
        others = [j for j in range(length) if j != i]
        for found, weights in [
            (token, joint),
            (cavity, prior * likelihood[:, others].prod(1)),
            (left, prior * likelihood[:, :i].prod(1)),
        ]:
            torch.testing.assert_close(found[i], weights @ is_token / weights.sum())
    for posterior in (token, cavity, left):
        torch.testing.assert_close(posterior.sum(-1), one)
