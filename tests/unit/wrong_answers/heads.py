"""Wrong and unusual right answers, notebook 05; the wrong ones with what must be said."""

import math

import torch


def masked_sum(hidden, mask):
    return (hidden * mask.unsqueeze(-1)).sum(1)


def in_place(hidden, mask):
    hidden *= mask.unsqueeze(-1)
    return hidden.sum(1) / mask.sum(1, keepdim=True)


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


def by_count(hidden, mask):
    """Take the first n vectors, as if padding stood on the right only."""
    rows = [row[: int(n)].mean(0) for row, n in zip(hidden, mask.sum(1), strict=True)]
    return torch.stack(rows)


def by_row(hidden, mask):
    return torch.stack([row[real.bool()].mean(0) for row, real in zip(hidden, mask, strict=True)])


def head(turn=lambda p, y: p - y, over=len, log=torch.log_softmax, axis=-1, loss=None, bias=None):
    """Build heads from a right one; each option spoils, or writes otherwise, one thing."""

    def function(vectors, labels, weight, given):
        scores = vectors @ weight.T + (given if bias is None else bias)
        log_p = log(scores, axis)
        own = log_p[torch.arange(len(labels)), labels]
        y = torch.nn.functional.one_hot(labels, len(given)).to(log_p)
        wrong = turn(log_p.exp(), y) / over(labels)
        value = -own.mean() if loss is None else loss(own, log_p)
        return value, wrong.T @ vectors, wrong.sum(0)

    return function


def with_part(place, change):
    """Spoil one of the three parts of a right answer."""

    def function(*given):
        parts = list(head()(*given))
        parts[place] = change(parts[place], *given)
        return tuple(parts)

    return function


def by_autograd(vectors, labels, weight, bias):
    weight, bias = (part.clone().requires_grad_() for part in (weight, bias))
    loss = torch.nn.functional.cross_entropy(vectors @ weight.T + bias, labels)
    loss.backward()
    return loss.detach(), weight.grad, bias.grad


def by_loop(vectors, labels, weight, bias):
    """Go through the sentences one at a time, with the largest score taken off by hand."""
    loss, d_weight, d_bias = 0.0, torch.zeros_like(weight), torch.zeros_like(bias)
    for h, label in zip(vectors, labels.tolist(), strict=True):
        scores = weight @ h + bias
        scores = scores - scores.max()
        loss += float(scores.exp().sum().log() - scores[label]) / len(vectors)
        p = scores.exp() / scores.exp().sum()
        p[label] -= 1
        d_weight += torch.outer(p, h) / len(vectors)
        d_bias += p / len(vectors)
    return loss, d_weight, d_bias


def naive(scores, axis):
    """Take the logarithm of the softmax, by the book: large scores overflow."""
    return (scores.exp() / scores.exp().sum(axis, keepdim=True)).log()


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
     r"For the mask \[\[1, 1, 1, 1, 1\]\]"),
    ("mean_pool", in_place, "changed its inputs"),
    ("mean_pool", lambda h, m: None, "Is a `return` missing"),
    ("mean_pool", lambda h, m: h.tolist(), "Expected a tensor of shape .*got list"),
    ("mean_pool", lambda h, m: h @ m, "Your function raised RuntimeError"),
    ("mean_pool", lambda h, m: 0 * h[:, 0], "is .4, 6."),
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
    ("log_count_ratios", lambda c, y, a: c.sum(0).double(), "By hand for word 0: class 1"),
    ("log_count_ratios", lambda c, y, a: c.double(), r"shape \(4,\), got \(5, 4\)"),
    ("log_count_ratios", lambda c, y, a: None, "Is a `return` missing"),
    ("mean_pool", by_count, "Padding may stand on the left too"),
    ("mean_pool", lambda h, m: by_row(h, m).detach(), "No gradient flows"),
    ("mean_pool", lambda h, m: by_row(h, m).double(), "as torch.float32, like the input"),
    ("log_count_ratios", lambda c, y, a: ratios()(c, y, a) + 0.1, "They part first at .0."),
    ("head_gradients", head(loss=lambda own, log_p: -own.sum()), "sum over the sentences; take"),
    ("head_gradients", head(loss=lambda own, log_p: own.mean()), "loss is .minus. the logarithm"),
    ("head_gradients", head(loss=lambda own, log_p: -own.mean() / math.log(2)), "in bits"),
    ("head_gradients", head(axis=0), "sum to one over the sentences"),
    ("head_gradients", head(loss=lambda own, log_p: -own.mean() / 3), "averaged over all N · K"),
    ("head_gradients", head(loss=lambda own, log_p: own.exp().mean()), "mean probability of the"),
    ("head_gradients", head(loss=lambda own, log_p: -own.exp().mean().log()),
     "logarithm of the mean"),
    ("head_gradients", head(bias=0.0), "bias is missing"),
    ("head_gradients", head(loss=lambda own, log_p: -log_p.mean()), "averaged over all classes"),
    ("head_gradients", head(turn=lambda p, y: y - p), "The sign is turned: it is p − y"),
    ("head_gradients", head(turn=lambda p, y: p), "true classes are missing"),
    ("head_gradients", head(over=lambda labels: 1), "divide by their number"),
    ("head_gradients", head(over=lambda labels: 3 * len(labels)), "You divided by N · K"),
    ("head_gradients", with_part(1, lambda d, *given: d.T), "axes exchanged"),
    ("head_gradients", with_part(2, lambda d, *given: -d), "gradient of the bias.*sign is turned"),
    ("head_gradients", with_part(2, lambda d, *given: d * len(given[1])), "bias.*their number"),
    ("head_gradients", with_part(2, lambda d, *given: d.mean()), r"bias, shape \(3,\), got \(\)"),
    ("head_gradients", head(log=naive), "exponential of a large score"),
    ("head_gradients", lambda *given: None, "Is a `return` missing.*Three values"),
    ("head_gradients", lambda *given: head()(*given)[0], "You gave one value. Three values"),
    ("head_gradients", lambda *given: head()(*given)[:2], "You gave 2 values. Three"),
    ("head_gradients", with_part(0, lambda d, v, y, w, b: b.mul_(2).sum() * 0 + d),
     "changed its inputs"),
    ("head_gradients", with_part(1, lambda d, *given: d + 0.1), "They part first at .0, 0."),
    ("head_gradients", with_part(1, lambda d, v, *given: d if v.shape[1] == 2 else d * 2),
     "For 5 sentences, 2 classes, vectors of 4 numbers. The gradient of the weight"),
]  # fmt: skip

RIGHT = [  # unusual, and right
    ("mean_pool", by_row),
    ("mean_pool", lambda h, m: torch.einsum("bth,bt->bh", h, m.to(h) / m.sum(1, keepdim=True))),
    ("mean_pool", lambda h, m: (m.to(h).unsqueeze(1) @ h).squeeze(1) / m.sum(1)[:, None]),
    ("mean_pool", lambda h, m: h.masked_fill(~m.bool()[..., None], torch.nan).nanmean(1)),
    ("log_count_ratios", ratios()),
    ("log_count_ratios", lambda c, y, a: ratios()(c, y, a).float()),
    ("log_count_ratios", lambda c, y, a: -ratios()(c, 1 - y, a)),
    ("log_count_ratios", lambda c, y, a: (
        torch.log_softmax((c[y == 1].sum(0) + a).log(), 0)
        - torch.log_softmax((c[y == 0].sum(0) + a).log(), 0))),
    ("head_gradients", head()),
    ("head_gradients", by_autograd),
    ("head_gradients", by_loop),
    ("head_gradients", lambda v, y, w, b: list(head()(v.double(), y, w.double(), b.double()))),
]  # fmt: skip
