"""Wrong and unusual right answers, notebook 04; the wrong ones with what must be said."""

import math

import torch


def unigram(add=1.0, total=None, use="train", mean="tokens", log=math.log, sign=-1):
    def function(train_ids, held_out_ids, vocab_size):
        source = train_ids if use == "train" else held_out_ids
        counts = [source.count(i) + add for i in range(vocab_size)]
        whole = len(source) if total == "raw" else sum(counts)
        losses = [sign * log(max(n, 1e-9) / whole) for n in counts]
        others = {"vocabulary": range(vocab_size), "distinct": set(held_out_ids)}
        over = others.get(mean, held_out_ids)
        result = sum(losses[i] for i in over)
        return result if mean == "sum" else result / len(over)

    return function


def entropy(train_ids, held_out_ids, vocab_size):
    p = [(train_ids.count(i) + 1) / (len(train_ids) + vocab_size) for i in range(vocab_size)]
    return -sum(q * math.log(q) for q in p)


def sorts_in_place(train_ids, held_out_ids, vocab_size):
    train_ids.sort(reverse=True)
    return unigram()(train_ids, held_out_ids, vocab_size)


def best(accuracy):
    return max(accuracy, key=accuracy.get)


def rate(step, warmup, begins, steps):
    return min(1.0, (step + 1) / warmup, (steps - step) / (steps - begins))


def in_three_parts(step, warmup, begins, steps):
    if step < warmup:
        return (step + 1) / warmup
    return 1 if step <= begins else 1 - (step - begins) / (steps - begins)


def first_above(accuracy, commonest):
    return next((o for o in accuracy if accuracy[o] > commonest), None)


WRONG = [
    ("unigram_loss", lambda t, h, v: None, "Is a `return` missing"),
    ("unigram_loss", lambda t, h, v: torch.zeros(3), "Expected a single number"),
    ("unigram_loss", sorts_in_place, "changed its inputs"),
    ("unigram_loss", unigram(log=math.log2), "in bits"),
    ("unigram_loss", unigram(log=math.log10), "base 10"),
    ("unigram_loss", unigram(sign=1), "sign is wrong"),
    ("unigram_loss", unigram(mean="sum"), "the sum over"),
    ("unigram_loss", unigram(mean="vocabulary"), "mean over the vocabulary"),
    ("unigram_loss", unigram(mean="distinct"), "asked twice"),
    ("unigram_loss", entropy, "entropy of the training"),
    ("unigram_loss", unigram(use="held out"), "seen the answers"),
    ("unigram_loss", unigram(total="raw"), "no longer sum to one"),
    ("unigram_loss", unigram(add=0.0), "counts as they are"),
    ("unigram_loss", lambda t, h, v: sum((t.count(i) + 1) / (len(t) + v) for i in h) / len(h),
     "That is a probability"),
    ("rate_factor", lambda s, w, d, n: None, "Is a `return` missing"),
    ("rate_factor", lambda s, w, d, n: min(1.0, s / w, (n - s) / (n - d)), "moves nothing"),
    ("rate_factor", lambda s, w, d, n: min(1.0, (n - s) / (n - d)), "warm-up is missing"),
    ("rate_factor", lambda s, w, d, n: (n - s) / (n - d), "may not pass 1"),
    ("rate_factor", lambda s, w, d, n: min((s + 1) / w, (n - s) / (n - d)), "may not pass 1"),
    ("rate_factor", lambda s, w, d, n: rate(max(s - 1, 0), w, d, n), "one step late"),
    ("rate_factor", lambda s, w, d, n: min(1.0, (s + 1) / w), "decay is missing"),
    ("rate_factor", lambda s, w, d, n: rate(s, w, w, n), "between the warm-up and it"),
    ("rate_factor", lambda s, w, d, n: (s + 1) / w if s < w else 1 if s < d else (n - s) / n,
     "from 1, not at step 0"),
    ("rate_factor", lambda s, w, d, n: min(1.0, (s + 1) / w, (n - s) / n), "from 1, not at step 0"),
    ("rate_factor", lambda s, w, d, n: rate(s + 1, w, d, n) if s >= d else rate(s, w, d, n),
     "one step early"),
    ("rate_factor", lambda s, w, d, n: rate(s - 1, w, d, n) if s > d else rate(s, w, d, n),
     "one step late"),
    ("rate_factor", lambda s, w, d, n: min(1.0, (s + 1) / w, (n - 1 - s) / (n - 1 - d)),
     "one after the last"),
    ("rate_factor", lambda s, w, d, n: rate(s, w, d, n) if s <= d else 0.0, "to 0 at once"),
    ("rate_factor", lambda s, w, d, n: rate(s, w, d, n) ** (1 + (s > d)), "a straight line"),
    ("rate_factor", lambda s, w, d, n: rate(s, w, d, n) ** 3, "Draw the two lines"),
    ("diagnose", lambda a, c: a[best(a)], "asked is the offset"),
    ("diagnose", lambda a, c: list(a).index(best(a)), "place in the list"),
    ("diagnose", lambda a, c: best(a) or None, "0 counts as False"),
    ("diagnose", lambda a, c: abs(best(a)), "is a negative offset"),
    ("diagnose", lambda a, c: 0 if a[0] > c else None, "though not at the blank"),
    ("diagnose", lambda a, c: 0 if a[0] > c else -1, "one position late"),
    ("diagnose", lambda a, c: best(a), "it answers nowhere"),
    ("diagnose", lambda a, c: 0 if a[0] > c else best(a) if a[best(a)] > c else None,
     "better still"),
    ("diagnose", lambda a, c: next((o for o in sorted(a, key=a.get, reverse=True)
                                    if a[o] > c and abs(o) < 2), None), "every offset in the dict"),
    ("diagnose", lambda a, c: best(a) if a[best(a)] >= c else None, "is not better"),
    ("diagnose", lambda a, c: "healthy", "Expected an offset"),
    ("diagnose", lambda a, c: a.pop(best(a)) and 0, "changed the dict"),
    ("unigram_loss", lambda t, h, v: unigram()(t, h[:-1], v), "last held-out token out"),
    ("unigram_loss", lambda t, h, v: unigram()(t + h, h, v), "together|no longer|seen the answers"),
    ("unigram_loss", lambda t, h, v: math.exp(unigram()(t, h, v)), "perplexity"),
    ("unigram_loss", lambda t, h, v: unigram()(t, h, v) * len(h) / v, "size of the vocabulary"),
    ("unigram_loss", unigram(add=2.0), "frequencies are .*average"),
    ("diagnose", first_above, "but not the best"),
    ("diagnose", lambda a, c: first_above(dict(reversed(a.items())), c), "better still"),
]  # fmt: skip

RIGHT = [  # unusual, and right
    ("unigram_loss", unigram()),
    ("unigram_loss", lambda t, h, v: torch.tensor(unigram()(t, h, v))),
    ("unigram_loss", lambda t, h, v: -math.fsum(
        math.log((t.count(i) + 1) / (len(t) + v)) / len(h) for i in h)),
    ("unigram_loss", lambda t, h, v: torch.nn.functional.cross_entropy(
        (torch.bincount(torch.tensor(t), minlength=v) + 1.0).log().expand(len(h), v),
        torch.tensor(h))),
    ("rate_factor", rate),
    ("rate_factor", in_three_parts),
    ("rate_factor", lambda s, w, d, n: torch.tensor(rate(s, w, d, n), dtype=torch.float64)),
    ("rate_factor", lambda s, w, d, n: sorted([(n - s) / (n - d), (1 + s) / w, 1])[0]),
    ("diagnose", lambda a, c: max((o for o in a if a[o] > c), key=a.get, default=None)),
    ("diagnose", lambda a, c: sorted(a, key=a.get)[-1] if max(a.values()) > c else None),
    ("diagnose", lambda a, c: None if max(a.values()) <= c else float(best(a))),
    ("diagnose", lambda a, c: next((o for o, p in a.items() if p == max(c, *a.values(), 0) > c),
                                   None)),
]  # fmt: skip
