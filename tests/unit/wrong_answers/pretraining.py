"""Wrong and unusual right answers, notebook 04; the wrong ones with what must be said."""

import math

import torch


def pieces(longest=True, marks=True, unknown="word", back=False, rest=True, bare=False):
    """Build wrong tokenizers from a right one; each option spoils one thing."""

    def function(word, vocabulary):
        found, start = [], 0
        while start < len(word):
            ends = range(len(word), start, -1) if longest else range(start + 1, len(word) + 1)
            for end in ends:
                piece = ("##" if start else "") + word[start:end]
                if bare and word[start:end] in vocabulary:
                    piece = word[start:end]
                if piece in vocabulary:
                    break
            else:
                if unknown == "word":
                    return ["[UNK]"]
                if unknown == "piece":
                    found.append("[UNK]")
                end = start + 1
                if unknown != "stop":
                    start = end
                    continue
                return found
            found.append(piece if marks else piece.removeprefix("##"))
            start = end
            if not rest:
                break
        return found

    return function


def going_back(word, vocabulary, start=0):
    if start == len(word):
        return []
    for end in range(len(word), start, -1):
        piece = ("##" if start else "") + word[start:end]
        tail = going_back(word, vocabulary, end) if piece in vocabulary else ["[UNK]"]
        if tail != ["[UNK]"]:
            return [piece, *tail]
    return ["[UNK]"]


def continues_at_the_start(word, vocabulary):
    answer = pieces()(word, vocabulary)
    return ["##" + word] if answer == ["[UNK]"] and "##" + word in vocabulary else answer


def in_place(word, vocabulary):
    answer = pieces()(word, vocabulary)
    vocabulary.add(word)
    return answer


def pack(last=True, fits=lambda n, size: n <= size, alone=False):
    """Build wrong packers from a right one; each option spoils one thing."""

    def function(sentences, size):
        windows, current = [], []
        for sentence in sentences:
            if current and (alone or not fits(len(current) + len(sentence), size)):
                windows.append(current)
                current = []
            current = current + sentence
        return [*windows, current] if current and last else windows

    return function


def pack_in_place(sentences, size):
    windows = []
    for sentence in sentences:
        if windows and len(windows[-1]) + len(sentence) <= size:
            windows[-1] += sentence
        else:
            windows.append(sentence)
    return windows


def first_fit(sentences, size):
    windows = []
    for sentence in sentences:
        for window in windows:
            if len(window) + len(sentence) <= size:
                window.extend(sentence)
                break
        else:
            windows.append(list(sentence))
    return windows


def cut_anywhere(sentences, size):
    tokens = [token for sentence in sentences for token in sentence]
    return [tokens[i : i + size] for i in range(0, len(tokens), size)]


def begins_with_nothing(sentences, size):
    return [[], *pack()(sentences, size)]


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


def rate(step, warmup, steps):
    return min(1.0, (step + 1) / warmup, (steps - step) / (steps - warmup))


def first_above(accuracy, commonest):
    return next((o for o in accuracy if accuracy[o] > commonest), None)


def falls_back(word, vocabulary):
    """Inside a word a piece with ## comes first, and a bare one will do."""
    found, start = [], 0
    while start < len(word):
        for end in range(len(word), start, -1):
            marked = "##" + word[start:end] if start else word[start:end]
            known = [piece for piece in (marked, word[start:end]) if piece in vocabulary]
            if known:
                found.append(known[0])
                break
        else:
            return ["[UNK]"]
        start = end
    return found


def no_way_out(word, vocabulary):
    found, start = [], 0
    while start < len(word):
        for end in range(len(word), start, -1):
            piece = ("##" if start else "") + word[start:end]
            if piece in vocabulary:
                found.append(piece)
                start = end
                break
    return found


def recursive(word, vocabulary, mark=""):
    if not word:
        return []
    size = next((n for n in range(len(word), 0, -1) if mark + word[:n] in vocabulary), 0)
    rest = recursive(word[size:], vocabulary, "##") if size else ["[UNK]"]
    return ["[UNK]"] if rest == ["[UNK]"] else [mark + word[:size], *rest]


def with_a_flag(word, vocabulary):
    pieces_found, rest = (), "" + word
    while rest:
        fitting = [p for p in vocabulary if p.startswith("##") == bool(pieces_found)
                   and rest.startswith(p.removeprefix("##"))]  # fmt: skip
        if not fitting:
            return ("[UNK]",)
        best_piece = max(fitting, key=len)
        pieces_found += (best_piece,)
        rest = rest[len(best_piece.removeprefix("##")) :]
    return pieces_found


def pack_as_it_goes(sentences, size):
    windows = []
    for sentence in sentences:
        if windows and len(windows[-1]) + len(sentence) <= size:
            windows[-1] = windows[-1] + sentence
        else:
            windows.append(list(sentence))
    return windows


WRONG = [
    ("wordpiece", lambda w, v: None, "Is a `return` missing"),
    ("wordpiece", lambda w, v: w, "Expected a list of pieces"),
    ("wordpiece", in_place, "changed the vocabulary"),
    ("wordpiece", pieces(longest=False), "took the shortest"),
    ("wordpiece", pieces(marks=False), "carries ## in front"),
    ("wordpiece", pieces(bare=True), "has the same letters without it"),
    ("wordpiece", pieces(rest=False), "rest of the word was dropped"),
    ("wordpiece", lambda w, v: [w] if w in v else ["[UNK]"], "its pieces are"),
    ("wordpiece", pieces(unknown="piece"), "makes the .whole. word"),
    ("wordpiece", pieces(unknown="skip"), "may not be dropped"),
    ("wordpiece", pieces(unknown="stop"), "makes the .whole. word"),
    ("wordpiece", going_back, "never goes back"),
    ("wordpiece", continues_at_the_start, "at the start of one it does not fit"),
    ("pack", lambda s, n: None, "Is a `return` missing"),
    ("pack", lambda s, n: [1, 2], "Expected a list of windows"),
    ("pack", lambda s, n: [s], "sentences instead of ids"),
    ("pack", pack(last=False), "last window was lost"),
    ("pack", pack(alone=True), "that fills it exactly"),
    ("pack", pack(fits=lambda n, size: n < size), "that fills it exactly"),
    ("pack", pack(fits=lambda n, size: n <= size + 2), "more than 5 tokens"),
    ("pack", lambda s, n: pack(alone=n == 5 and len(s[0]) == 4)(s, n), "should join the window"),
    ("pack", lambda s, n: [w[:-1] if len(w) < n else w for w in pack()(s, n)], "exactly once"),
    ("pack", pack_in_place, "changed its sentences"),
    ("pack", first_fit, "order has changed"),
    ("pack", cut_anywhere, "cut in two"),
    ("pack", begins_with_nothing, "One of them is empty"),
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
    ("rate_factor", lambda s, w, n: None, "Is a `return` missing"),
    ("rate_factor", lambda s, w, n: min(1.0, s / w, (n - s) / (n - w)), "moves nothing"),
    ("rate_factor", lambda s, w, n: min(1.0, (n - s) / (n - w)), "warm-up is missing"),
    ("rate_factor", lambda s, w, n: (n - s) / (n - w), "may not pass 1"),
    ("rate_factor", lambda s, w, n: rate(max(s - 1, 0), w, n), "one step late"),
    ("rate_factor", lambda s, w, n: min(1.0, (s + 1) / w), "decay is missing"),
    ("rate_factor", lambda s, w, n: (s + 1) / w if s < w else (n - s) / n, "from 1, not at step 0"),
    ("rate_factor", lambda s, w, n: rate(s + 1, w, n) if s >= w else rate(s, w, n),
     "one step early"),
    ("rate_factor", lambda s, w, n: (s + 1) / w if s < w else 1 - (s - w) / (n - 1 - w),
     "one after the last"),
    ("rate_factor", lambda s, w, n: rate(s, w, n) ** 2, "Draw the two lines"),
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
    ("wordpiece", falls_back, "able begins a word"),
    ("wordpiece", lambda w, v: pieces()(w, v)[::-1], "in the wrong order"),
    ("wordpiece", lambda w, v: pieces()(w, v)[1:] or ["[UNK]"], "look inside a word|do not spell"),
    ("wordpiece", lambda w, v: [], "no piece was taken"),
    ("unigram_loss", lambda t, h, v: unigram()(t, h[:-1], v), "last held-out token out"),
    ("unigram_loss", lambda t, h, v: unigram()(t + h, h, v), "together|no longer|seen the answers"),
    ("unigram_loss", lambda t, h, v: math.exp(unigram()(t, h, v)), "perplexity"),
    ("unigram_loss", lambda t, h, v: unigram()(t, h, v) * len(h) / v, "size of the vocabulary"),
    ("unigram_loss", unigram(add=2.0), "frequencies are .*average"),
    ("diagnose", first_above, "but not the best"),
    ("diagnose", lambda a, c: first_above(dict(reversed(a.items())), c), "better still"),
]  # fmt: skip

RIGHT = [  # unusual, and right
    ("wordpiece", recursive),
    ("wordpiece", with_a_flag),
    ("wordpiece", pieces()),
    ("wordpiece", lambda w, v: tuple(recursive(w, frozenset(v)))),
    ("pack", pack_as_it_goes),
    ("pack", lambda s, n: tuple(tuple(w) for w in pack_as_it_goes(s, n))),
    ("pack", lambda s, n: [torch.tensor(w) for w in pack_as_it_goes(s, n)]),
    ("pack", lambda s, n: pack()([list(x) for x in s], n)),
    ("unigram_loss", unigram()),
    ("unigram_loss", lambda t, h, v: torch.tensor(unigram()(t, h, v))),
    ("unigram_loss", lambda t, h, v: -math.fsum(
        math.log((t.count(i) + 1) / (len(t) + v)) / len(h) for i in h)),
    ("unigram_loss", lambda t, h, v: torch.nn.functional.cross_entropy(
        (torch.bincount(torch.tensor(t), minlength=v) + 1.0).log().expand(len(h), v),
        torch.tensor(h))),
    ("rate_factor", rate),
    ("rate_factor", lambda s, w, n: (s + 1) / w if s < w else (n - s) / (n - w)),
    ("rate_factor", lambda s, w, n: torch.tensor(rate(s, w, n), dtype=torch.float64)),
    ("rate_factor", lambda s, w, n: sorted([(n - s) / (n - w), (1 + s) / w, 1])[0]),
    ("diagnose", lambda a, c: max((o for o in a if a[o] > c), key=a.get, default=None)),
    ("diagnose", lambda a, c: sorted(a, key=a.get)[-1] if max(a.values()) > c else None),
    ("diagnose", lambda a, c: None if max(a.values()) <= c else float(best(a))),
    ("diagnose", lambda a, c: next((o for o, p in a.items() if p == max(c, *a.values(), 0) > c),
                                   None)),
]  # fmt: skip
