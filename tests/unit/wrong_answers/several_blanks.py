"""Wrong and unusual right answers, notebook 03b; the wrong ones with what must be said."""

import torch

from bift_utils.evaluation.calibration import expected_calibration_error

# --- 03b.1 ---


def asked(model, tokens, place, other):
    """Return log P(word) at `place` with every word in turn at `other`, (V, V)."""
    size = model(tokens[None]).shape[-1]
    rows = tokens.repeat(size, 1)
    rows[:, other] = torch.arange(size)
    return model(rows)[:, place]


def chain(model, tokens, first, second):
    alone = model(tokens[None])[0, first]
    return alone[:, None], asked(model, tokens, second, first)


def pair(model, tokens, first, second):
    alone, after = chain(model, tokens, first, second)
    return (alone + after).exp()


def at_once(model, tokens, first, second):
    answers = model(tokens[None])[0].exp()
    return answers[first][:, None] * answers[second]


def other_order(model, tokens, first, second):
    return pair(model, tokens, second, first).T


def writes_and_keeps(model, tokens, first, second):
    alone = model(tokens[None])[0, first]
    rows = []
    for word in range(len(alone)):
        tokens[first] = word
        rows.append(alone[word] + model(tokens[None])[0, second])
    return torch.stack(rows).exp()


def asks_again(model, tokens, first, second):
    alone = model(tokens[None])[0, first]
    return (alone[:, None] + asked(model, tokens, first, first)).exp()


def along_the_columns(model, tokens, first, second):
    alone, after = chain(model, tokens, first, second)
    return (alone[:, 0] + after).exp()


def one_by_one(model, tokens, first, second):
    """Ask for one row at a time, and multiply probabilities."""
    alone = model(tokens[None])[0, first].exp()
    rows = []
    for word, share in enumerate(alone):
        filled = tokens.clone()
        filled[first] = word
        rows.append(share * model(filled[None])[0, second].exp())
    return torch.stack(rows)


def in_float(model, tokens, first, second):
    return pair(model, tokens, first, second).float()


def by_scatter(model, tokens, first, second):
    both = torch.cat([tokens[None], tokens[None]])
    alone = model(both)[1, first]
    rows = tokens.expand(len(alone), -1).index_copy(
        1, torch.tensor([first]), torch.arange(len(alone))[:, None]
    )
    return torch.diag(alone.exp()) @ model(rows)[:, second].exp()


# --- 03b.2 and 03b.4 ---


def mixture(copy):
    """Build wrong answers from a rule for κ."""

    def function(around, seen, kept, drawn):
        word = torch.zeros_like(around)
        word[seen] = 1.0
        share = copy(float(around[seen]), kept, drawn)
        return share * word + (1 - share) * around

    return function


def right_share(p, kept, drawn, size=4):
    return kept * p / (kept * p + drawn / size)


def shared_out(around, seen, kept, drawn):
    share = right_share(float(around[seen]), kept, drawn)
    others = around.clone()
    others[seen] = 0.0
    answer = (1 - share) * others / others.sum()
    answer[seen] = share
    return answer


def sets_the_word(around, seen, kept, drawn):
    share = right_share(float(around[seen]), kept, drawn)
    answer = (1 - share) * around
    answer[seen] = share
    return answer


def spoils_its_input(around, seen, kept, drawn):
    share = right_share(float(around[seen]), kept, drawn)
    around *= 1 - share
    around[seen] += share
    return around


def notebook(around, seen, kept, drawn):
    """The shares and the number of words of the notebook, whatever was asked."""
    word = torch.eye(len(around), dtype=around.dtype)[seen]
    copy = 0.1 * around[seen] / (0.1 * around[seen] + 0.1 / 8)
    return copy * word + (1 - copy) * around


def by_bayes(around, seen, kept, drawn):
    """Write the channel down as a likelihood, and use Bayes' rule."""
    likelihood = torch.full_like(around, drawn / len(around))
    likelihood[seen] += kept
    joint = around * likelihood
    return joint / joint.sum()


def pseudo_likelihood(where, fresh=True, log=True, scale=1.0):
    """Build wrong scores: `where` says what is hidden while position i is scored."""

    def function(model, tokens, mask_token_id):
        total, blank = 0.0, tokens.clone()
        for i in range(len(tokens)):
            if fresh:
                blank = tokens.clone()
            blank[where(i)] = mask_token_id
            value = model(blank[None])[0, i, tokens[i]]
            total = total + (value if log else value.exp())
        return scale * total

    return function


def edits(model, tokens, mask_token_id):
    total = 0.0
    for i in range(len(tokens)):
        kept = int(tokens[i])
        tokens[i] = mask_token_id
        total = total + model(tokens[None])[0, i, kept]
    return total


def forgets_the_word(model, tokens, mask_token_id):
    total = 0.0
    for i in range(len(tokens)):
        blank = tokens.clone()
        blank[i] = mask_token_id
        total = total + model(blank[None])[0, i, blank[i]]
    return total


def edits_and_forgets(model, tokens, mask_token_id):
    total = 0.0
    for i in range(len(tokens)):
        tokens[i] = mask_token_id
        total = total + model(tokens[None])[0, i, tokens[i]]
    return total


def no_batch(model, tokens, mask_token_id):
    return model(tokens)[0, 0]


def here(i):
    return [i]


def in_one_batch(model, tokens, mask_token_id):
    """Hide each token in a row of its own, and ask once."""
    rows = tokens.repeat(len(tokens), 1).fill_diagonal_(mask_token_id)
    return model(rows).diagonal().T.gather(1, tokens[:, None]).sum()


def only_places(*which):
    def function(model, tokens, mask_token_id):
        total = torch.zeros(())
        for i in list(range(len(tokens)))[slice(*which)]:
            blank = tokens.clone()
            blank[i] = mask_token_id
            total = total + model(blank[None])[0, i, tokens[i]]
        return total

    return function


# --- 03b.3 ---


def calibration(
    absolute=True, weighted=True, power=1, divide=True, place=None, middle=False, bins_of=None,
    empty=False, mean=None,
):  # fmt: skip
    """Build calibration errors with one thing spoilt each."""

    def function(confidence, right, bins):
        bins = bins_of or bins
        places = (place or usual)(confidence, bins)
        total, seen = 0.0, 0
        for k in range(bins):
            inside = places == k
            if not inside.any() and not empty:
                continue
            sure = (k + 0.5) / bins if middle else confidence[inside].mean()
            gap = sure - right[inside].double().mean()
            gap = (gap.abs() if absolute else gap) ** power
            total, seen = total + (inside.sum() if weighted else 1) * gap, seen + 1
        return total / ((mean(seen, bins) if mean else len(confidence)) if divide else 1)

    return function


def usual(confidence, bins):
    return (confidence * bins).long().clamp(max=bins - 1)


def below_the_edge(confidence, bins):
    return (confidence * bins).ceil().long() - 1


def one_past_the_end(confidence, bins):
    return (confidence * bins).long()


def bools(confidence, right, bins):
    places = usual(confidence, bins)
    inside = places == places[0]
    return (confidence[inside].mean() - right[inside].mean()).abs()


def largest(confidence, right, bins):
    places = usual(confidence, bins)
    gaps = [confidence[places == k].mean() - right[places == k].double().mean() for k in places]
    return torch.stack(gaps).abs().max()


def turns_round(confidence, right, bins):
    answer = calibration()(confidence, right, bins)
    confidence.copy_(confidence.flip(0))
    return answer


def sums_of_bins(confidence, right, bins):
    """Add up signed differences by bin: weight and mean cancel."""
    gap = confidence - right.double()
    return usual(confidence, bins).bincount(weights=gap).abs().sum() / len(gap)


def by_edges(confidence, right, bins):
    edges = torch.arange(1, bins, dtype=confidence.dtype) / bins
    places = torch.bucketize(confidence, edges, right=True)
    total = 0.0
    for k in places.unique().tolist():
        inside = places == k
        total += abs(float((confidence - right.double())[inside].sum()))
    return total / len(confidence)


def by_package(confidence, right, bins):
    """A class that was right stands for every right answer."""
    rows = torch.stack([confidence, *[(1 - confidence) / 99] * 99], 1)
    return expected_calibration_error(rows, (~right).long(), bins)


WRONG = [
    ("pair", lambda *a: None, "Is a `return` missing"),
    ("pair", lambda m, t, i, j: m(t[None])[0, i], "a row for each a, a column for each b"),
    ("pair", lambda m, t, i, j: m(t), r"tokens\[None\]"),
    ("pair", at_once, "two answers that were given at once"),
    ("pair", lambda *a: pair(*a).log(), "exp is missing"),
    ("pair", lambda *a: pair(*a).T, "Rows and columns are exchanged"),
    ("pair", other_order, "You asked for `second` first"),
    ("pair", lambda *a: chain(*a)[1].exp(), "Multiply each row by the"),
    ("pair", lambda *a: pair(*a) / pair(*a).sum(-1, keepdim=True), "Multiply each row by the"),
    ("pair", lambda *a: sum(part.exp() for part in chain(*a)), "a chain multiplies"),
    ("pair", asks_again, "`first` was asked again"),
    ("pair", along_the_columns, "stands along the columns"),
    ("pair", writes_and_keeps, "changed the sentence"),
    ("pair", lambda *a: pair(*a).square(), "One call on the sentence as it is"),
    ("calibration_error", lambda *a: None, "Is a `return` missing"),
    ("calibration_error", lambda c, r, b: c - r.double(), "Expected a single number"),
    ("calibration_error", calibration(weighted=False, mean=lambda seen, bins: seen),
     "Every bin counts alike"),
    ("calibration_error", calibration(weighted=False, mean=lambda seen, bins: bins),
     "the number of all bins|Every bin counts alike"),
    ("calibration_error", calibration(absolute=False), "Your gaps cancel"),
    ("calibration_error", lambda *a: calibration(absolute=False)(*a).abs(), "cancel; only the sum"),
    ("calibration_error", largest, "the largest gap"),
    ("calibration_error", calibration(power=2), "You squared the gaps"),
    ("calibration_error", lambda *a: calibration(power=2)(*a).sqrt(), "root of the mean squared"),
    ("calibration_error", lambda c, r, b: (c - r.double()).abs().mean(), "each single answer"),
    ("calibration_error", calibration(divide=False), "divide by their number"),
    ("calibration_error", lambda *a: 100 * calibration()(*a), "per cent"),
    ("calibration_error", calibration(middle=True), "the middle of the bin"),
    ("calibration_error", calibration(place=below_the_edge), "the bin .above. it"),
    ("calibration_error", calibration(bins_of=10), "you took ten"),
    ("calibration_error", calibration(place=one_past_the_end), "A confidence of 1 is lost"),
    ("calibration_error", calibration(empty=True), "That is NaN, with 2 bins of which 1 are empty"),
    ("calibration_error", lambda c, r, b: r.double().mean(), "the share of right answers"),
    ("calibration_error", lambda c, r, b: c.mean(), "the mean confidence"),
    ("calibration_error", bools, r"right\.double\(\) makes numbers"),
    ("calibration_error", turns_round, "changed its inputs"),
    ("calibration_error", lambda *a: 1 - calibration()(*a), "Then the mean of the gaps"),
    ("copy_or_doubt", lambda *a: None, "Is a `return` missing"),
    ("copy_or_doubt", lambda a, s, k, d: a[s], "one probability for each candidate"),
    ("copy_or_doubt", mixture(lambda p, k, d: 0.0), "the context alone"),
    ("copy_or_doubt", mixture(lambda p, k, d: 1.0), "You copy always"),
    ("copy_or_doubt", mixture(lambda p, k, d: k * p / (k * p + d)), "once in V"),
    ("copy_or_doubt", mixture(lambda p, k, d: k / (k + d)), "does not use the context"),
    ("copy_or_doubt", mixture(lambda p, k, d: 1 - right_share(p, k, d)), "swapped"),
    ("copy_or_doubt", mixture(lambda p, k, d: right_share(p, k, d, 3)), "V − 1"),
    ("copy_or_doubt", mixture(lambda p, k, d: right_share(p, d, k)), "are exchanged"),
    ("copy_or_doubt", sets_the_word, "You set the visible word to κ"),
    ("copy_or_doubt", shared_out, "the visible word included"),
    ("copy_or_doubt", spoils_its_input, "changed its inputs"),
    ("copy_or_doubt", mixture(lambda p, k, d: p / (p + 0.25)), "shares are arguments"),
    ("copy_or_doubt", mixture(lambda p, k, d: p / (p + 0.4)), "Mix two answers"),
    ("pseudo_likelihood", lambda m, t, k: None, "Is a `return` missing"),
    ("pseudo_likelihood", lambda m, t, k: m(t[None])[0], "Expected a single number"),
    ("pseudo_likelihood", no_batch, r"tokens\[None\]"),
    ("pseudo_likelihood", pseudo_likelihood(lambda i: []), "while it was visible"),
    ("pseudo_likelihood", pseudo_likelihood(lambda i: slice(None)), "all tokens at once"),
    ("pseudo_likelihood", pseudo_likelihood(lambda i: slice(i, None)), "one-way score"),
    ("pseudo_likelihood", pseudo_likelihood(here, fresh=False), "stayed hidden"),
    ("pseudo_likelihood", pseudo_likelihood(here, scale=0.25), "the mean a token"),
    ("pseudo_likelihood", pseudo_likelihood(here, log=False), "add their logarithms"),
    ("pseudo_likelihood", pseudo_likelihood(here, scale=-1.0), "The sign is wrong"),
    ("pseudo_likelihood", lambda *a: pseudo_likelihood(here)(*a).exp(), "its logarithm"),
    ("pseudo_likelihood", edits, "changed the sentence"),
    ("pseudo_likelihood", edits_and_forgets, "changed the sentence"),
    ("pseudo_likelihood", forgets_the_word, r"the entry of \[MASK\]"),
    ("pseudo_likelihood", pseudo_likelihood(lambda i: [max(i - 1, 0)]), "For i = 0 that is"),
    ("copy_or_doubt", notebook, "those of the notebook"),
    ("copy_or_doubt", mixture(lambda p, k, d: right_share(p, 0.1, 0.1)), "0.1 and 0.1 of the note"),
    ("copy_or_doubt", mixture(lambda p, k, d: right_share(p, k, d, 8)), "the 8 of the notebook"),
    ("pseudo_likelihood", only_places(1, None), "first token is missing"),
    ("pseudo_likelihood", only_places(0, -1), "last token is missing"),
    ("pseudo_likelihood", only_places(1, -1), "The first and the last token"),
    ("pseudo_likelihood", lambda *a: pseudo_likelihood(here)(*a) / torch.tensor(2.0).log(), "bits"),
]  # fmt: skip

RIGHT = [  # unusual, and right
    ("pair", one_by_one),
    ("pair", in_float),
    ("pair", by_scatter),
    ("pair", lambda *a: pair(*a).requires_grad_()),
    ("calibration_error", sums_of_bins),
    ("calibration_error", by_edges),
    ("calibration_error", by_package),
    ("calibration_error", lambda *a: torch.tensor([float(calibration()(*a))])),
    ("copy_or_doubt", by_bayes),
    ("copy_or_doubt", lambda a, s, k, d: by_bayes(a, s, 2 * k, 2 * d)),
    ("copy_or_doubt", lambda a, s, k, d: by_bayes(a, s, k, d).clone().requires_grad_()),
    ("copy_or_doubt", lambda a, s, k, d: by_bayes(a.float(), s, k, d)),
    ("pseudo_likelihood", in_one_batch),
    ("pseudo_likelihood", lambda *a: float(in_one_batch(*a))),
    ("pseudo_likelihood", pseudo_likelihood(here)),
    ("pseudo_likelihood", only_places(None, None, -1)),
]  # fmt: skip
