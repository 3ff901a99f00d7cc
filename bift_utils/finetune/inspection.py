"""Looking at texts before training on them: classes, lengths, cuts, and what is unknown."""

import itertools
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy

from bift_utils.data.batches import EncodedTexts
from bift_utils.models.checkpoints import load_tokenizer

UNKNOWN_LIMIT = 0.10  # above this share of [UNK] the checkpoint is said not to fit
PIECES_LIMIT = 2.0  # and above so many pieces a word; bift-mini on news 1.5, on Slovenian 2.3
CANDIDATES = ("bift-mini", "minilm")  # checkpoints that may be on this machine already
MANY_LANGUAGES = "bert-base-multilingual-cased"  # on the hub; its vocabulary holds 104 languages


@dataclass(frozen=True)
class TextSummary:
    """What a tokenizer makes of some texts.

    `tokens` counts ordinary tokens ([CLS] and [SEP] are not text), `unknown` those that are
    [UNK], `continued` those that go on with a word; `lengths` are the number of tokens of each
    text before any cut, `max_length` the most tokens that a text may keep, and `positions` those
    that the model has.
    """

    tokens: int
    unknown: int
    continued: int
    lengths: list[int]
    max_length: int
    positions: int

    @property
    def unknown_share(self) -> float:
        """Share of [UNK] among the ordinary tokens, 0 to 1; 0 when there are none."""
        return self.unknown / max(self.tokens, 1)

    @property
    def pieces_per_word(self) -> float:
        """Tokens a word, at least 1: a vocabulary of another language has to spell most words."""
        return self.tokens / max(self.tokens - self.continued, 1)

    def lines(self) -> list[str]:
        """Return what there is to know, in short lines."""
        ordered = sorted(self.lengths)
        texts, middle = len(ordered), ordered[len(ordered) // 2]
        most = ordered[int(0.95 * (len(ordered) - 1))]
        cut = sum(length > self.max_length for length in ordered)
        return [
            f"Lengths: half of the {texts} texts have {middle} tokens or fewer, 95 % have "
            f"{most} or fewer, the longest {ordered[-1]}.",
            f"Cut at {self.max_length} tokens: {cut} texts ({100 * cut / texts:.1f} %)."
            + self._advice(cut, most),
            f"Unknown to the tokenizer ([UNK]): {self.unknown} of {self.tokens} tokens "
            f"({100 * self.unknown_share:.1f} %).",
        ]

    def _advice(self, cut: int, most: int) -> str:
        """Say how more of the texts could be read, where more than one in twenty is cut."""
        if most <= self.max_length or not cut:
            return ""
        if self.max_length < self.positions:
            return (
                f" --max-length {min(most, self.positions)} would read more of them, more slowly; "
                f"the model has {self.positions} positions."
            )
        return (
            f" The model has no more positions: put what matters within the first "
            f"{self.max_length} tokens, or take a checkpoint with more."
        )

    def warnings(self, model: str, texts: Sequence[str]) -> list[str]:
        """Say what makes this tokenizer a bad one for these texts, and what to do."""
        if self.unknown_share > UNKNOWN_LIMIT:
            return [
                f"{100 * self.unknown_share:.0f} % of the tokens are unknown to {model}: the model "
                f"cannot tell them apart. {suggest_checkpoint(texts, model)}"
            ]
        if self.pieces_per_word > PIECES_LIMIT:
            return [
                f"{model} cuts a word into {self.pieces_per_word:.1f} pieces on average, where "
                "texts in the language of its vocabulary need 1.1 to 1.6: it can hardly know "
                f'these words. A checkpoint of their language, or "{MANY_LANGUAGES}", may.'
            ]
        return []


def summarise_texts(
    tokenizer, encoded: Sequence[EncodedTexts], max_length: int, positions: int
) -> TextSummary:
    """Count tokens, cuts, unknown tokens and pieces of words of texts that are already encoded.

    Args:
        tokenizer: that of the checkpoint.
        encoded: parts of the texts, one or more.
        max_length: most tokens that a text may keep.
        positions: of the model.

    Introduced in notebook 08.
    """
    rows = [ids for part in encoded for ids in part.input_ids]
    counts = numpy.bincount(
        numpy.fromiter(itertools.chain.from_iterable(rows), dtype=numpy.int64),
        minlength=len(tokenizer),
    )
    special = set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}
    counts[list(special)] = 0
    names = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
    continues = numpy.array([name.startswith("##") for name in names])
    lengths = [n for part in encoded for n in part.uncut_lengths or part.lengths]
    return TextSummary(
        int(counts.sum()), int(counts[tokenizer.unk_token_id]),
        int(counts[: len(names)][continues].sum()), lengths, max_length, positions,
    )  # fmt: skip


def class_balance(labels: Sequence[int], names: Sequence[str]) -> list[str]:
    """Return one line a class: its name, its count and its share.

    Introduced in notebook 08.
    """
    width = max(len(name) for name in names)
    counts = Counter(labels)
    return [
        f"{name:{width}}  {counts[i]:6d}  {100 * counts[i] / len(labels):5.1f} %"
        for i, name in enumerate(names)
    ]


def unknown_share(tokenizer, texts: Sequence[str]) -> float:
    """Return the share of [UNK] among the ordinary tokens of texts, 0 to 1.

    Introduced in notebook 08.
    """
    rows = tokenizer(list(texts), add_special_tokens=False, verbose=False)["input_ids"]
    tokens = sum(map(len, rows))
    return sum(row.count(tokenizer.unk_token_id) for row in rows) / max(tokens, 1)


def suggest_checkpoint(texts: Sequence[str], model: str, most: int = 500) -> str:
    """Say what to do about texts that a checkpoint's vocabulary does not know.

    The checkpoints on this machine are tried on the first `most` texts; where none fits, the
    letters decide: writing of other languages has a checkpoint on the hub, emoji have none.

    Introduced in notebook 08.
    """
    texts = list(texts)[:most]
    shares: dict[str, float] = {}
    for name in CANDIDATES:
        try:
            shares[name] = unknown_share(load_tokenizer(name), texts)
        except FileNotFoundError:
            continue
    best = min(shares, key=shares.__getitem__)
    if best != str(model) and shares[best] <= UNKNOWN_LIMIT:
        return f'The checkpoint "{best}" knows them better: {100 * shares[best]:.1f} % [UNK].'
    letters, others = _foreign_characters(texts)
    if letters >= others:
        return f'Try the checkpoint "{MANY_LANGUAGES}", whose vocabulary holds 104 languages.'
    return (
        "Most of what is unknown are emoji or other signs, and no BERT checkpoint known to "
        "this project holds them. Write them as words, for example by their Unicode names."
    )


def _foreign_characters(texts: Sequence[str]) -> tuple[int, int]:
    """Count letters and other signs beyond ASCII."""
    beyond = Counter(c for text in texts for c in text if not c.isascii())
    letters = sum(n for c, n in beyond.items() if unicodedata.category(c)[0] in "LM")
    return letters, sum(beyond.values()) - letters
