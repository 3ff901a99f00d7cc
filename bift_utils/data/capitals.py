"""Capital letters as free labels: an uncased tokenizer throws them away, the raw text has them."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from bift_utils.data.batches import IGNORE_INDEX
from bift_utils.data.texts import check_text

CASES = ("lower", "Capitalised", "ALL CAPS")
SENTENCE_ENDS = (".", "!", "?")
_WORD = re.compile(r"[^\W_]+")


def casing(word: str) -> int:
    """Return 0 for lower case, 1 for Capitalised, 2 for ALL CAPS, `IGNORE_INDEX` for no answer.

    One capital letter alone ("I") counts as Capitalised. No answer have words without letters
    ("1999") and words of mixed case ("iPod", "DVDs", "McCoy"), which no class restores.

    Introduced in notebook 05b.
    """
    if word == word.lower():
        return 0 if word != word.upper() else IGNORE_INDEX
    if word == word.capitalize():
        return 1
    return 2 if word == word.upper() else IGNORE_INDEX


def restore(word: str, case: int) -> str:
    """Write a word in a class of `CASES`. Introduced in notebook 05b."""
    return (word.lower(), word.capitalize(), word.upper())[case]


@dataclass(frozen=True)
class CasedText:
    """A text as tokens, and the words that its capitals belong to.

    Args:
        text: the raw text, as far as its tokens reach.
        input_ids: T token ids, [CLS] and [SEP] included.
        labels: T labels: the class of a word at its first token, `IGNORE_INDEX` elsewhere.
        spans: (start, end) in `text` of each labelled word, N of them.
        starts: for each labelled word, whether it begins a sentence: nothing before it, or a
            full stop, an exclamation or a question mark (marks of quotation are passed over).
    """

    text: str
    input_ids: list[int]
    labels: list[int]
    spans: list[tuple[int, int]]
    starts: list[bool]

    @property
    def words(self) -> list[str]:
        """The labelled words as written, N of them."""
        return [self.text[start:end] for start, end in self.spans]

    @property
    def cases(self) -> list[int]:
        """The classes of the labelled words, N of them."""
        return [label for label in self.labels if label != IGNORE_INDEX]

    def rewrite(self, cases: Sequence[int]) -> str:
        """Return the text with its labelled words in other cases, one class a word.

        Raises:
            ValueError: there are more or fewer classes than labelled words.
        """
        if len(cases) != len(self.spans):
            raise ValueError(
                f"There are {len(cases)} classes for {len(self.spans)} labelled words; expected "
                "one class a word."
            )
        pieces, end_before = [], 0
        for (start, end), case in zip(self.spans, cases, strict=True):
            pieces += [self.text[end_before:start], restore(self.text[start:end], case)]
            end_before = end
        return "".join([*pieces, self.text[end_before:]])


@dataclass(frozen=True)
class CasedTexts:
    """Cased texts as a sequence of examples for a `DataLoader`, and their words in one row.

    An example is a dict with `input_ids` and `labels`, both lists of T ints.
    """

    items: list[CasedText]

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, i: int) -> dict:
        return {"input_ids": self.items[i].input_ids, "labels": self.items[i].labels}

    @property
    def lengths(self) -> list[int]:
        return [len(item.input_ids) for item in self.items]

    @property
    def words(self) -> list[str]:
        """The labelled words of all texts as written, N of them, in reading order."""
        return [word for item in self.items for word in item.words]

    @property
    def cases(self) -> list[int]:
        """Their classes."""
        return [case for item in self.items for case in item.cases]

    @property
    def starts(self) -> list[bool]:
        """Whether they begin a sentence."""
        return [start for item in self.items for start in item.starts]


def encode_cased(tokenizer, texts: Iterable[str], max_length: int = 128) -> CasedTexts:
    """Tokenise raw texts and label the first token of every word with the word's case.

    Args:
        tokenizer: an uncased BERT tokenizer, which knows where each token stood in the text.
        texts: raw texts, capitals and all.
        max_length: most tokens a text may keep, [CLS] and [SEP] included; the rest is cut off
            at a word.

    Raises:
        ValueError: the tokenizer keeps capitals, a text is empty, or no word of any text has a
            label. One text without labels (">>>>") is kept and costs nothing.

    Introduced in notebook 05b.
    """
    if tokenizer.tokenize("FILM") != tokenizer.tokenize("film"):
        raise ValueError(
            "The tokenizer tells FILM from film, so there is nothing to restore; expected an "
            "uncased one, such as that of bift-mini."
        )
    texts = list(texts)
    for i, text in enumerate(texts):
        check_text(text, i)
    items = [_encode_one(tokenizer, text, max_length) for text in texts]
    if not any(item.spans for item in items):
        raise ValueError(
            f"None of the {len(items)} texts has a word with letters within {max_length} tokens, "
            "so there is nothing to label; pass raw text, or raise max_length."
        )
    return CasedTexts(items)


def _encode_one(tokenizer, text: str, max_length: int) -> CasedText:
    encoded = tokenizer(
        text,
        return_offsets_mapping=True,
        split_special_tokens=True,  # as in `batches.token_ids`
        truncation=False,
        verbose=False,
    )
    ids, offsets = encoded["input_ids"], encoded["offset_mapping"]
    keep = len(ids) - 1  # without [SEP]
    words = encoded.word_ids()  # None for [CLS] and [SEP]
    if len(ids) > max_length:
        keep = max_length - 1
        while keep > 1 and words[keep] == words[keep - 1]:  # not in the middle of a word
            keep -= 1
    labels, spans, starts, fresh = [IGNORE_INDEX], [], [], True
    for i in range(1, keep):
        if words[i] == words[i - 1]:
            labels.append(IGNORE_INDEX)
            continue
        last = i
        while last + 1 < keep and words[last + 1] == words[i]:
            last += 1
        start, end = offsets[i][0], offsets[last][1]
        label = casing(text[start:end])
        labels.append(label)
        if label != IGNORE_INDEX:
            spans.append((start, end))
            starts.append(fresh)
        if text[start:end] in SENTENCE_ENDS:
            fresh = True
        elif any(letter.isalnum() for letter in text[start:end]):
            fresh = False
    labels.append(IGNORE_INDEX)
    end = offsets[keep - 1][1] if keep > 1 else 0
    return CasedText(text[:end], [*ids[:keep], ids[-1]], labels, spans, starts)


def read_words(texts: Iterable[str]) -> Iterator[str]:
    """Yield the words of raw texts as written: letters and digits between anything else.

    Where a text has only plain letters, these are the words that `encode_cased` labels, found
    without a tokenizer and so fast enough for thousands of whole reviews.

    Introduced in notebook 05b.
    """
    for text in texts:
        yield from _WORD.findall(text)


def casing_dictionary(words: Iterable[str]) -> dict[str, int]:
    """Return the commonest class of every word, whatever its case; of equals, the lower one.

    Args:
        words: words as written; those that `casing` gives no class are passed over.

    Introduced in notebook 05b.
    """
    counts: dict[str, list[int]] = {}
    for word, count in Counter(words).items():
        case = casing(word)
        if case != IGNORE_INDEX:
            counts.setdefault(word.lower(), [0] * len(CASES))[case] += count
    return {word: found.index(max(found)) for word, found in counts.items()}


def look_up(
    dictionary: dict[str, int], words: Sequence[str], starts: Sequence[bool] | None = None
) -> list[int]:
    """Guess the case of words from a dictionary; unknown words are guessed lower case.

    Args:
        dictionary: see `casing_dictionary`.
        words: N words; their capitals are not looked at.
        starts: with it, a lower-case guess at the beginning of a sentence becomes Capitalised.

    Introduced in notebook 05b.
    """
    guesses = [dictionary.get(word.lower(), 0) for word in words]
    if starts is not None:
        guesses = [max(guess, int(start)) for guess, start in zip(guesses, starts, strict=True)]
    return guesses
