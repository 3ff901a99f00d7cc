"""Tokenised texts and length-bucketed batches, with Hugging Face keys."""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from bift_utils.data.texts import check_text
from bift_utils.runtime import make_generator

IGNORE_INDEX = -100  # the label of a position or row that carries no answer (PyTorch's default too)


@dataclass(frozen=True)
class EncodedTexts(Dataset):
    """Token ids of texts, made once; behaves as a sequence of examples for a `DataLoader`.

    Each example is a dict with `input_ids` (list of T ints, [CLS] and [SEP] included) and, where
    the texts have them, `labels` (int). `num_cut` says how many texts were longer than allowed,
    `uncut_lengths` how many tokens each had.
    """

    input_ids: list[list[int]]
    labels: list[int] | None = None
    num_cut: int = 0
    uncut_lengths: list[int] | None = None

    def __len__(self) -> int:
        return len(self.input_ids)

    def __getitem__(self, i: int) -> dict:
        example: dict = {"input_ids": self.input_ids[i]}
        if self.labels is not None:
            example["labels"] = self.labels[i]
        return example

    def take(self, indices: Sequence[int]) -> "EncodedTexts":
        """Return the examples at `indices`, in that order; none of them counts as cut."""
        labels = None if self.labels is None else [self.labels[i] for i in indices]
        return EncodedTexts([self.input_ids[i] for i in indices], labels)

    @property
    def lengths(self) -> list[int]:
        return [len(ids) for ids in self.input_ids]


def token_ids(tokenizer, texts: Sequence[str], add_special_tokens: bool = True) -> list[list[int]]:
    """Tokenise texts as people type them: "[SEP]" in a text is five signs, no control token.

    The library alone would let whoever wrote a text end it, or put a blank into it.

    Args:
        tokenizer: a BERT tokenizer.
        texts: N strings.
        add_special_tokens: put [CLS] before and [SEP] behind each text.

    Introduced in notebook 02.
    """
    found = sum(any(token in text for token in tokenizer.all_special_tokens) for text in texts)
    if found:
        warnings.warn(
            f"{found} of {len(texts)} texts hold a special token such as [SEP] or [MASK] as "
            "letters; it is read as plain text.",
            stacklevel=3,
        )
    return tokenizer(
        list(texts),
        add_special_tokens=add_special_tokens,
        split_special_tokens=True,
        truncation=False,
        verbose=False,
    )["input_ids"]


def encode_texts(
    tokenizer, texts: Sequence[str], labels: Sequence[int] | None = None, max_length: int = 128
) -> EncodedTexts:
    """Tokenise texts, cut those longer than `max_length` tokens, and say how many were cut.

    Args:
        tokenizer: a BERT tokenizer.
        texts: N strings.
        labels: N class ids, or None.
        max_length: most tokens a text may keep, [CLS] and [SEP] included; at most the number of
            positions of the model.

    Raises:
        ValueError: there are no texts, one cannot be used (`check_text`), labels and texts differ
            in number, or `max_length` leaves no room for a token.

    Introduced in notebook 02.
    """
    if isinstance(texts, str):
        raise ValueError(f"The texts were given as one string, {texts!r:.40}; put it in a list.")
    texts = list(texts)
    if not texts:
        raise ValueError("There are no texts; expected at least one.")
    if max_length < 3:
        raise ValueError(
            f"max_length was given as {max_length}; expected 3 or more: [CLS], a token, [SEP]."
        )
    for i, text in enumerate(texts):
        check_text(text, i)
    if labels is not None and len(labels) != len(texts):
        raise ValueError(f"There are {len(texts)} texts and {len(labels)} labels.")
    full = token_ids(tokenizer, texts)
    num_cut = sum(len(ids) > max_length for ids in full)
    if num_cut:
        warnings.warn(
            f"{num_cut} of {len(texts)} texts were longer than {max_length} tokens and were cut.",
            stacklevel=2,
        )
    cut = [ids if len(ids) <= max_length else [*ids[: max_length - 1], ids[-1]] for ids in full]
    uncut = [len(ids) for ids in full]
    return EncodedTexts(cut, None if labels is None else list(labels), num_cut, uncut)


def pad_batch(sequences: Sequence[Sequence[int]], pad_token_id: int) -> dict[str, torch.Tensor]:
    """Pad to the longest sequence: `input_ids` and `attention_mask`, both (B, T)."""
    lengths = [len(ids) for ids in sequences]
    longest = max(lengths)
    rows = [[*ids, *[pad_token_id] * (longest - len(ids))] for ids in sequences]
    input_ids = torch.tensor(rows, dtype=torch.long)  # also where all are empty
    attention_mask = (torch.arange(longest) < torch.tensor(lengths)[:, None]).long()
    return {"input_ids": input_ids, "attention_mask": attention_mask}


class LengthBucketSampler(Sampler[list[int]]):
    """Batches of texts of similar length, in random order: little padding, still shuffled.

    Each pass shuffles the texts, sorts pools of `pool` batches by length, cuts them into batches
    and shuffles those. The order depends only on `seed` and the number of the pass.

    Introduced in notebook 05.
    """

    def __init__(self, lengths: Sequence[int], batch_size: int, seed: int = 0, pool: int = 50):
        if not lengths:
            raise ValueError("The split is empty; expected at least one example to make batches.")
        self.lengths = torch.tensor(lengths)
        self.batch_size, self.seed, self.pool = batch_size, seed, pool
        self.epoch = 0

    def __len__(self) -> int:
        return -(-len(self.lengths) // self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        generator = make_generator(self.seed, self.epoch)
        self.epoch += 1
        order = torch.randperm(len(self.lengths), generator=generator)
        batches = []
        for part in order.split(self.pool * self.batch_size):
            part = part[self.lengths[part].argsort(stable=True)]
            batches.extend(part.split(self.batch_size))
        for i in torch.randperm(len(batches), generator=generator).tolist():
            yield batches[i].tolist()


def make_loader(
    encoded: EncodedTexts, collator, batch_size: int, seed: int = 0, shuffle: bool = True
) -> DataLoader:
    """Return a loader of padded batches, bucketed by length, or in order for evaluation.

    Args:
        encoded: the tokenised texts.
        collator: turns a list of examples into a batch (see `masking`).
        batch_size: texts a batch.
        seed: order of the batches; the same for every method that is compared.
        shuffle: False keeps the texts in their order.

    Raises:
        ValueError: there are no texts.

    Introduced in notebook 05.
    """
    generator = make_generator(seed)  # without it, a loader takes a draw from the global stream
    if not len(encoded):
        raise ValueError("The split is empty; expected at least one example to make batches.")
    if not shuffle:
        return DataLoader(encoded, batch_size=batch_size, collate_fn=collator, generator=generator)
    sampler = LengthBucketSampler(encoded.lengths, batch_size, seed)
    return DataLoader(encoded, batch_sampler=sampler, collate_fn=collator, generator=generator)


def move_batch(batch: dict[str, torch.Tensor], device: torch.device) -> dict[str, torch.Tensor]:
    """Return the batch with every tensor on `device`."""
    return {key: value.to(device) for key, value in batch.items()}


class TokenCollator:
    """Pad examples that have a label for every token; padding gets `IGNORE_INDEX`.

    Returns a dict with `input_ids`, `attention_mask` and `labels`, all (B, T).

    Raises:
        ValueError: an example has more or fewer labels than tokens.

    Introduced in notebook 05b.
    """

    def __init__(self, tokenizer):
        self.pad_token_id = tokenizer.pad_token_id

    def __call__(self, examples: Sequence[dict]) -> dict[str, Tensor]:
        for i, example in enumerate(examples):
            tokens, answers = len(example["input_ids"]), len(example["labels"])
            if tokens != answers:
                raise ValueError(
                    f"Example {i} of the batch has {tokens} tokens and {answers} labels; expected "
                    f"one label a token. Give tokens without an answer the label {IGNORE_INDEX}."
                )
        batch = pad_batch([example["input_ids"] for example in examples], self.pad_token_id)
        labels = pad_batch([example["labels"] for example in examples], IGNORE_INDEX)
        return {**batch, "labels": labels["input_ids"]}


def batches_by_length(
    encoded: EncodedTexts, collator, batch_size: int
) -> tuple[list[dict[str, Tensor]], Tensor]:
    """Return batches for scoring, in order of length: less padding, the same scores.

    Args:
        encoded: the tokenised texts, N of them.
        collator: turns a list of examples into a batch (see `masking`).
        batch_size: texts a batch.

    Returns:
        The batches, and indices (N,) that put what is said of their rows into the texts' order.

    Introduced in notebook 06.
    """
    order = sorted(range(len(encoded)), key=lambda i: len(encoded.input_ids[i]))
    batches = [
        collator([encoded[i] for i in order[start : start + batch_size]])
        for start in range(0, len(order), batch_size)
    ]
    return batches, torch.tensor(order).argsort()
