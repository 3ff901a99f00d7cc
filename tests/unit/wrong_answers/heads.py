"""Wrong answers to the exercises of notebook 05, each with what its check must say."""

import torch


def masked_sum(hidden, mask):
    return (hidden * mask.unsqueeze(-1)).sum(1)


def in_place(hidden, mask):
    hidden *= mask.unsqueeze(-1)
    return hidden.sum(1) / mask.sum(1, keepdim=True)


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


def ratios(smooth="before", norm="sum", sign=1, log=torch.log, alpha=None):
    """Build wrong log-count ratios from a right one; each option spoils one thing."""

    def function(counts, labels, given):
        amount = given if alpha is None else alpha
        rows = []
        for label in (1, 0):
            chosen = counts[labels == label].double()
            raw = chosen.sum(0)
            per_text = amount * len(chosen) if smooth == "text" else amount
            row = raw + (0 if smooth in ("never", "after") else per_text)
            row = row / {"sum": row.sum(), "texts": len(chosen), "raw": raw.sum(), "none": 1}[norm]
            rows.append(row + amount if smooth == "after" else row)
        return sign * (log(rows[0]) - log(rows[1]))

    return function


def change_counts(counts, labels, alpha):
    answer = ratios()(counts, labels, alpha)
    counts += 1
    return answer


WRONG = [
    ("mean_pool", lambda h, m: h.mean(1), "averaged the padding too"),
    ("mean_pool", lambda h, m: masked_sum(h, m) / h.shape[1], "divided by T all the same"),
    ("mean_pool", lambda h, m: h[:, 0], "vector of .CLS."),
    ("mean_pool", lambda h, m: h.sum(1) / m.sum(1, keepdim=True), "but summed it above"),
    ("mean_pool", masked_sum, "sum over the real tokens"),
    ("mean_pool", lambda h, m: masked_sum(h, m) / m.sum(), "whole batch"),
    ("mean_pool", lambda h, m: (h * m.unsqueeze(-1)).amax(1), "largest value"),
    ("mean_pool", lambda h, m: h.mean(0), r"shape \(2, 2\), got \(3, 2\)"),
    ("mean_pool", lambda h, m: masked_sum(h, m) / m.sum(1, keepdim=True).clamp(max=3),
     "for any batch size"),
    ("mean_pool", in_place, "changed its inputs"),
    ("mean_pool", lambda h, m: None, "Is a `return` missing"),
    ("mean_pool", lambda h, m: h.tolist(), "Expected a tensor, got list"),
    ("mean_pool", lambda h, m: h @ m, "Your function raised RuntimeError"),
    ("mean_pool", lambda h, m: 0 * h[:, 0], "is .4, 6."),
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
    ("first_labels", lambda w, y: 1, "got int"),
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
    ("log_count_ratios", ratios(smooth="never"), "smoothing is missing"),
    ("log_count_ratios", ratios(sign=-1), "sign is turned"),
    ("log_count_ratios", ratios(norm="none"), "class with more words wins"),
    ("log_count_ratios", ratios(norm="texts"), "number of texts of each class"),
    ("log_count_ratios", ratios(norm="raw"), "before alpha was added"),
    ("log_count_ratios", ratios(smooth="after"), "added alpha after dividing"),
    ("log_count_ratios", ratios(smooth="text"), "alpha once a text"),
    ("log_count_ratios", lambda c, y, a: ratios()(c, y, a).exp(), "logarithm is missing"),
    ("log_count_ratios", ratios(log=torch.log2), "base 2"),
    ("log_count_ratios", ratios(alpha=1.0), "Is the 1 fixed"),
    ("log_count_ratios", lambda c, y, a: ratios()((c > 0).int(), y, a), "sum the counts"),
    ("log_count_ratios", change_counts, "changed its inputs"),
    ("log_count_ratios", lambda c, y, a: c.sum(0).double(), "By hand: class 1"),
    ("log_count_ratios", lambda c, y, a: c.double(), r"shape \(4,\), got \(5, 4\)"),
    ("log_count_ratios", lambda c, y, a: None, "Is a `return` missing"),
]  # fmt: skip
