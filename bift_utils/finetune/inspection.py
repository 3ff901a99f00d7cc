"""Looking at texts before training on them: classes, lengths, cuts, and what is unknown."""

import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from bift_utils.data.batches import EncodedTexts
from bift_utils.models.checkpoints import load_tokenizer

UNKNOWN_LIMIT = 0.10  # above this share of [UNK] the checkpoint is said not to fit
CANDIDATES = ("bift-mini", "minilm")  # checkpoints that may be on this machine already
MANY_LANGUAGES = "bert-base-multilingual-cased"  # on the hub; its vocabulary holds 104 languages


@dataclass(frozen=True)
class TextSummary:
    """What a tokenizer makes of some texts.

    `tokens` counts ordinary tokens ([CLS] and [SEP] are not text), `unknown` those that are
    [UNK]; `lengths` are the number of tokens of each text as the model reads it, `num_cut` how
    many texts were longer, `max_length` the most tokens a text may keep.
    """

    texts: int
    tokens: int
    unknown: int
    lengths: list[int]
    num_cut: int
    max_length: int

    @property
    def unknown_share(self) -> float:
        """Share of [UNK] among the ordinary tokens, 0 to 1; 0 when there are none."""
        return self.unknown / max(self.tokens, 1)

    def lines(self) -> list[str]:
        """Return what there is to know, in short lines."""
        ordered = sorted(self.lengths)
        middle, most = ordered[len(ordered) // 2], ordered[int(0.95 * (len(ordered) - 1))]
        return [
            f"Lengths: half of the {self.texts} texts have {middle} tokens or fewer, 95 % have "
            f"{most} or fewer, the longest {ordered[-1]}.",
            f"Cut at {self.max_length} tokens: {self.num_cut} texts "
            f"({100 * self.num_cut / self.texts:.1f} %).",
            f"Unknown to the tokenizer ([UNK]): {self.unknown} of {self.tokens} tokens "
            f"({100 * self.unknown_share:.1f} %).",
        ]


def summarise_texts(tokenizer, encoded: EncodedTexts, max_length: int) -> TextSummary:
    """Count tokens, cuts and unknown tokens of texts that are already encoded.

    Introduced in notebook 08.
    """
    special = set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}
    tokens = unknown = 0
    for ids in encoded.input_ids:
        ordinary = [i for i in ids if i not in special]
        tokens += len(ordinary)
        unknown += ordinary.count(tokenizer.unk_token_id)
    return TextSummary(len(encoded), tokens, unknown, encoded.lengths, encoded.num_cut, max_length)


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
