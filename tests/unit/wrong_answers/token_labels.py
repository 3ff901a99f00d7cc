"""Wrong and unusual right answers, notebook 05b; the wrong ones with what must be said."""

import torch


def pieces(which="first", none=-100, other=-100, falsy=False, by_label=False, early=False):
    """Build wrong labellers from one loop; each option spoils one thing."""

    def function(word_ids, word_labels):
        labels = []
        for i, word in enumerate(word_ids):
            before = word_ids[i - 1] if i else None
            after = word_ids[i + 1] if i + 1 < len(word_ids) else None
            if word is None or (falsy and not word):
                labels.append(none)
                continue
            new = {"first": word != before, "last": word != after, "all": True}[which]
            if by_label and before is not None:
                new = new and word_labels[word] != word_labels[before]
            labels.append(word_labels[word] if new else other)
        return [*labels[1:], -100] if early else labels

    return function


def f1(keep=True, guard=True, mean="harmonic", fixed=None):
    """Build wrong F1 scores from a right one; each option spoils one thing."""

    def function(predicted, answers, label):
        label = fixed if fixed is not None else label
        pairs = [(p, a) for p, a in zip(predicted, answers, strict=True) if not keep or a != -100]
        hits = sum(p == a == label for p, a in pairs)
        if guard and not hits:
            return 0.0
        precision = hits / sum(p == label for p, _ in pairs)
        recall = hits / sum(a == label for _, a in pairs)
        return {
            "harmonic": 2 * precision * recall / (precision + recall),
            "arithmetic": (precision + recall) / 2,
            "precision": precision,
            "recall": recall,
            "product": precision * recall,
            "jaccard": 1 / (1 / precision + 1 / recall - 1),
        }[mean]

    return function


def accuracy(predicted, answers, label):
    pairs = [(p, a) for p, a in zip(predicted, answers, strict=True) if a != -100]
    return sum(p == a for p, a in pairs) / len(pairs)


def grouped(word_ids, word_labels):
    """Label by the places at which each word begins."""
    labels = [-100] * len(word_ids)
    for word, label in enumerate(word_labels):
        labels[word_ids.index(word)] = label
    return labels


def counted(predicted, answers, label):
    hits = misses = false_alarms = 0
    for guess, truth in zip(predicted, answers, strict=True):
        if truth == -100:
            continue
        hits += guess == truth == label
        misses += truth == label != guess
        false_alarms += guess == label != truth
    return hits / max(hits + (misses + false_alarms) / 2, 1e-12)


WRONG = [
    ("first_labels", pieces("all"), "labelled every piece"),
    ("first_labels", pieces("last"), "labelled the last piece"),
    ("first_labels", pieces(early=True), "one place early"),
    ("first_labels", pieces(none=0), "belong to no word"),
    ("first_labels", pieces(falsy=True), "Word number 0 lost its label"),
    ("first_labels", pieces(by_label=True), "Compare word numbers, not labels"),
    ("first_labels", pieces(none=0, other=0), "The other pieces got 0"),
    ("first_labels", pieces(none=None), "a loss cannot read None"),
    ("first_labels", pieces(other=None), "a loss cannot read None"),
    ("first_labels", lambda w, y: y, "you gave 4 labels"),
    ("first_labels", lambda w, y: None, "Is a `return` missing"),
    ("first_labels", lambda w, y: 1, r"got 1 \(int\)"),
    ("first_labels", lambda w, y: [-100] * len(w), "you gave"),
    ("first_labels", lambda w, y: w.clear(), "changed its inputs"),
    ("first_labels", lambda w, y: [-100, 1, 0, -100, -100, 0, 2, -100, -100],
     "depend on the first example"),
    ("f1", accuracy, "accuracy over all classes"),
    ("f1", f1(mean="precision"), "That is the precision"),
    ("f1", f1(mean="recall"), "That is the recall"),
    ("f1", f1(mean="precision", keep=False), "predictions at −100 count as wrong"),
    ("f1", f1(mean="arithmetic"), "arithmetic mean"),
    ("f1", f1(mean="product"), "P·R"),
    ("f1", f1(mean="jaccard"), "counts the hits twice"),
    ("f1", f1(keep=False), "Leave them out first"),
    ("f1", f1(fixed=1), "Is the 1 written into"),
    ("f1", f1(guard=False), "Return 0 in such cases"),
    ("f1", lambda p, a, k: sum(f1()(p, a, c) for c in (0, 1, 2)) / 3, "mean over all classes"),
    ("f1", lambda p, a, k: None, "Is a `return` missing"),
    ("f1", lambda p, a, k: 1.0, "By hand: 2 hits"),
    ("f1", lambda p, a, k: p.clear() or 0.5714285714, "changed its inputs"),
    ("f1", lambda p, a, k: f1()(p, a, k) or 1.0, "F1 is 0; you gave 1"),
    ("first_labels", lambda w, y: [-100, *pieces()(w, y)[1:]], "the first one is a word's"),
    ("first_labels", lambda w, y: [*pieces()(w, y)[:-1], y[-1]], "They part at|belong to|you gave"),
    ("f1", lambda p, a, k: f1()(p, a, k) if k in p or k in a else 1 / 0, "divides by zero"),
    ("f1", lambda p, a, k: f1()(p, a, k) if k else 0.0, "0 is a class like any other"),
]  # fmt: skip

RIGHT = [  # unusual, and right
    ("first_labels", grouped),
    ("first_labels", lambda w, y: torch.tensor(grouped(w, y))),
    ("first_labels", lambda w, y: tuple(pieces()(w, y))),
    ("first_labels", lambda w, y: [y[i] if i is not None and i not in w[:n] else -100
                                   for n, i in enumerate(w)]),
    ("f1", counted),
    ("f1", lambda p, a, k: torch.tensor(counted(p, a, k))),
    ("f1", f1()),
    ("f1", lambda p, a, k: 2 * f1(mean="product")(p, a, k) / (
        (f1(mean="precision")(p, a, k) + f1(mean="recall")(p, a, k)) or 1)),
]  # fmt: skip
