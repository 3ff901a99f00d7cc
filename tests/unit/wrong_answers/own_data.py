"""Wrong answers to the exercises of notebook 08, each with what its check must say."""


def tidy(text):
    return " ".join(text.lower().split())


def leaks(key, places=True):
    """Build an answer from the way in which texts are compared."""

    def function(train, test):
        seen = {key(text) for text in train}
        return [i if places else text for i, text in enumerate(test) if key(text) in seen]

    return function


def each_once(train, test):
    seen, found = {tidy(text) for text in train}, {}
    for i, text in enumerate(test):
        if tidy(text) in seen:
            found.setdefault(tidy(text), i)
    return list(found.values())


def in_train(train, test):
    asked = {tidy(text) for text in test}
    return [i for i, text in enumerate(train) if tidy(text) in asked]


def parts_of_texts(train, test):
    return [i for i, text in enumerate(test) if any(tidy(text) in tidy(t) for t in train)]


def emptied(train, test):
    train.clear()
    return []


def weighted(means, counts, hide=False):
    parts = [(0.0 if hide and m != m else m, n) for m, n in zip(means, counts, strict=True)]
    return sum(m * n for m, n in parts if n) / max(sum(counts), 1)


def never_zero(means, counts):
    return sum(m * n for m, n in zip(means, counts, strict=True) if n) / sum(counts)


WRONG = [
    ("leaks", leaks(lambda text: text), "Capitals do not make another text"),
    ("leaks", leaks(str.lower), "Two spaces in a row"),
    ("leaks", leaks(lambda text: text.lower().replace("  ", " ")), "A line break or a space"),
    ("leaks", leaks(tidy, places=False), "Expected places in `test`"),
    ("leaks", each_once, "counts twice there"),
    ("leaks", in_train, "Those are places in `train`"),
    ("leaks", parts_of_texts, "compare whole texts"),
    ("leaks", emptied, "changed its inputs"),
    ("leaks", lambda train, test: None, "Is a `return` missing"),
    ("whole_loss", lambda m, n: sum(m) / len(m), "mean of the means"),
    ("whole_loss", lambda m, n: sum(m), "sum of the means"),
    ("whole_loss", lambda m, n: sum(a * b for a, b in zip(m, n, strict=True)), "sum over all"),
    ("whole_loss", lambda m, n: sum(a * b for a, b in zip(m, n, strict=True)) / len(m),
     "divided by the number of parts"),
    ("whole_loss", lambda m, n: sum(a * b for a, b in zip(m, n, strict=True)) / sum(n),
     "0 · NaN is NaN"),
    ("whole_loss", lambda m, n: weighted(m, n, hide=True), "over two blanks was hidden"),
    ("whole_loss", never_zero, "Your function raised ZeroDivisionError"),
    ("whole_loss", lambda m, n: weighted(m, n) if sum(n) else float("nan"), "without any blank"),
    ("whole_loss", lambda m, n: 3.25, "mean of 2, 2 and 5"),
    ("whole_loss", lambda m, n: 7.0, "Four blanks cost"),
]  # fmt: skip
