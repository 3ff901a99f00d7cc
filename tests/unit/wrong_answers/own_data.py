"""Wrong and unusual right answers, notebook 08; the wrong ones with what must be said."""


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


def by_search(train, test):
    return {i for i, text in enumerate(test) if any(tidy(text) == tidy(other) for other in train)}


def one_by_one(means, counts):
    total = blanks = 0
    for mean, count in zip(means, counts, strict=True):
        if count > 0:
            total, blanks = total + mean * count, blanks + count
    return total / blanks if blanks else 0


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
    ("leaks", leaks(lambda text: text.lower().replace(" ", "")),
     "compare whole texts|A line break"),
    ("leaks", lambda train, test: 0, r"Expected a list of places in `test`, got 0 \(int\)"),
    ("whole_loss", lambda m, n: None, "Is a `return` missing"),
]  # fmt: skip

RIGHT = [  # unusual, and right
    ("leaks", by_search),
    ("leaks", lambda train, test: tuple(leaks(tidy)(train, test))),
    ("leaks", lambda train, test: leaks(lambda text: tuple(text.casefold().split()))(train, test)),
    ("leaks", lambda train, test: sorted(by_search(train, test), reverse=True)),
    ("whole_loss", one_by_one),
    ("whole_loss", weighted),
    ("whole_loss", lambda m, n: sum(a * (b / sum(n)) for a, b in zip(m, n, strict=True) if b)),
    ("whole_loss", lambda m, n: one_by_one(m[::-1], n[::-1])),
]  # fmt: skip
