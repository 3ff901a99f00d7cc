"""Wrong answers to the exercises of notebook 09, each with what its check must say.

And unusual right ones, which must pass.
"""

import math

import torch

from bift_utils.masking.counts import hide_uniform_count
from bift_utils.masking.tokens import MaskingConfig
from bift_utils.training.losses import masked_lm_loss_by_row


def means(tables):
    return [table.mean() for table in tables]


def pooled(tables):
    return torch.cat([table.flatten() for table in tables]).mean()


def by_set(tables):
    return torch.cat([table.mean(1) for table in tables]).mean()


def edits_tables(tables):
    for table in tables:
        table /= table.numel()
    return sum(table.sum() for table in tables)


def by_lists(tables):
    total = 0.0
    for table in tables:
        numbers = [number for row in table.tolist() for number in row]
        total += math.fsum(numbers) / len(numbers)
    return total


def by_binomials(tables):
    """Weigh every blank with 1 / (k · C(T, k))."""
    size = len(tables)
    return sum(table.sum() / (k * math.comb(size, k)) for k, table in enumerate(tables, start=1))


def mask_with(count, ordinary_only=True, labelled=True):
    """Build maskers from a rule for the number of blanks of each row."""

    def function(input_ids, ordinary, mask_token_id, generator):
        may = ordinary[input_ids]
        k = count(may, generator)
        lots = torch.rand(input_ids.shape, generator=generator)
        if ordinary_only:
            lots = lots.masked_fill(~may, 2.0)
        hidden = lots.argsort(1).argsort(1) < k[:, None]
        labels = input_ids.masked_fill(~hidden, -100)
        return input_ids.masked_fill(hidden, mask_token_id), labels if labelled else input_ids

    return function


def uniform(may, generator, low=1, high=0):
    """k from `low` to T + `high`, for each row."""
    most = may.sum(1) + high
    return low + (torch.rand(len(may), generator=generator) * (most - low + 1)).floor().long()


def one_for_all(may, generator):
    return uniform(may[1:2], generator).expand(len(may)).minimum(may.sum(1))


def up_to_the_longest(may, generator):
    longest = torch.full_like(may, True)[:, :5]
    return uniform(longest, generator).minimum(may.sum(1))


def fixed_chance(input_ids, ordinary, mask_token_id, generator):
    may = ordinary[input_ids]
    hidden = may & (torch.rand(input_ids.shape, generator=generator) < 0.5)
    first = may.int().argmax(1, keepdim=True)  # at least one
    hidden |= torch.zeros_like(hidden).scatter(1, first, True) & ~hidden.any(1, keepdim=True)
    return input_ids.masked_fill(hidden, mask_token_id), input_ids.masked_fill(~hidden, -100)


def from_the_left(input_ids, ordinary, mask_token_id, generator):
    may = ordinary[input_ids]
    k = uniform(may, generator)
    hidden = may & (may.cumsum(1) <= k[:, None])
    return input_ids.masked_fill(hidden, mask_token_id), input_ids.masked_fill(~hidden, -100)


def edits_ids(input_ids, ordinary, mask_token_id, generator):
    clean = input_ids.clone()
    corrupted, labels = mask_with(uniform)(clean, ordinary, mask_token_id, generator)
    input_ids.copy_(corrupted)
    return input_ids, labels


def own_seed(input_ids, ordinary, mask_token_id, generator):
    fixed = torch.Generator().manual_seed(1)
    return mask_with(uniform)(input_ids, ordinary, mask_token_id, fixed)


def global_draws(input_ids, ordinary, mask_token_id, generator):
    return mask_with(uniform)(input_ids, ordinary, mask_token_id, None)


def labels_everywhere(*arguments):
    corrupted, _ = mask_with(uniform)(*arguments)
    return corrupted, arguments[0]


def labels_of_the_mask(*arguments):
    corrupted, labels = mask_with(uniform)(*arguments)
    return corrupted, torch.where(labels == -100, -100, corrupted)


def random_words(input_ids, ordinary, mask_token_id, generator):
    corrupted, labels = mask_with(uniform)(input_ids, ordinary, mask_token_id, generator)
    other = torch.randint(4, 12, input_ids.shape, generator=generator)
    return torch.where(ordinary[input_ids] & (labels == -100), other, corrupted), labels


def row_by_row(input_ids, ordinary, mask_token_id, generator):
    corrupted, labels = input_ids.clone(), torch.full_like(input_ids, -100)
    for row, ids in enumerate(input_ids):
        places = ordinary[ids].nonzero()[:, 0]
        count = int(torch.randint(1, len(places) + 1, (1,), generator=generator))
        order = torch.randperm(len(places), generator=generator)
        chosen = places[order[:count]]
        labels[row, chosen] = ids[chosen]
        corrupted[row, chosen] = mask_token_id
    return corrupted, labels


def share_first(input_ids, ordinary, mask_token_id, generator):
    """Draw a share t, hide each token with chance t, and again where nothing is hidden."""
    may = ordinary[input_ids]
    hidden = torch.zeros_like(may)
    while not hidden.any(1).all():
        share = torch.rand(len(may), 1, generator=generator)
        new = may & (torch.rand(may.shape, generator=generator) < share)
        hidden = torch.where(hidden.any(1, keepdim=True), hidden, new)
    return input_ids.masked_fill(hidden, mask_token_id), input_ids.masked_fill(~hidden, -100)


def by_package(input_ids, ordinary, mask_token_id, generator):
    return hide_uniform_count(input_ids, MaskingConfig(mask_token_id, ordinary), generator)


def as_list(*arguments):
    return list(mask_with(uniform)(*arguments))


def rows_of(losses, blanks):
    return (losses * blanks).sum(1), blanks.sum(1)


def bound_loss(weight):
    """Build losses from a rule: sums of the rows, numbers of blanks, lengths."""

    def function(losses, blanks, lengths):
        return weight(*rows_of(losses, blanks), lengths).mean()

    return function


def loop_loss(losses, blanks, lengths):
    total = 0
    for row in range(len(losses)):
        total = total + lengths[row] * losses[row][blanks[row]].mean()
    return total / len(losses)


def weights_of_blanks(losses, blanks, lengths):
    weights = lengths[:, None] / blanks.sum(1, keepdim=True) / len(losses)
    return (losses * weights)[blanks].sum()


def nan_mean(losses, blanks, lengths):
    means = torch.where(blanks, losses, float("nan")).nanmean(1)
    return (means * lengths).mean()


def package_loss(losses, blanks, lengths):
    """With losses −log p as logits of two tokens: the package's mean, row by row."""
    rows = []
    for row in range(len(losses)):
        kept = losses[row : row + 1][blanks[row : row + 1]]
        logits = torch.stack([-kept, torch.log(-torch.expm1(-kept))], 1)  # p and 1 − p
        labels = torch.zeros(1, len(kept), dtype=torch.long)
        rows.append(lengths[row] * masked_lm_loss_by_row(logits, labels))
    return torch.stack(rows).mean()


def edits_losses(losses, blanks, lengths):
    with torch.no_grad():
        losses *= blanks
    return bound_loss(lambda s, k, n: n * s / k)(losses, blanks, lengths)


def step(choose, word=None, several=False):
    """Build unmasking steps from how the blank, and its word, are chosen."""

    def function(tokens, log_p, mask_token_id, generator):
        p, blank = log_p.exp(), tokens == mask_token_id
        words = torch.multinomial(p, 1, generator=generator)[:, 0]
        if word is not None:
            words = word(p, generator)
        after = tokens.clone()
        if several:
            after[blank] = words[blank]
            return after
        at = choose(p, words, blank, generator)
        after[at] = words[at]
        return after

    return function


def entropies(p):
    return torch.special.entr(p).sum(-1)


def least(p, words, blank, generator):
    return entropies(p).masked_fill(~blank, math.inf).argmin()


def nan_entropy(p, words, blank, generator):
    values = -(p * p.log()).sum(-1)
    return values.nan_to_num(-1.0).argmin()


def best_word(p, words, blank, generator):
    return p.amax(-1).masked_fill(~blank, -1).argmax()


def drawn_word(p, words, blank, generator):
    return p.gather(1, words[:, None])[:, 0].masked_fill(~blank, -1).argmax()


def by_chance(p, words, blank, generator):
    return torch.multinomial(blank.double(), 1, generator=generator)[0]


def edits_tokens(tokens, log_p, mask_token_id, generator):
    after = step(least)(tokens, log_p, mask_token_id, generator)
    tokens.copy_(after)
    return tokens


def step_by_loop(tokens, log_p, mask_token_id, generator):
    after, best, where = tokens.clone(), None, None
    for i, token in enumerate(tokens.tolist()):
        if token == mask_token_id:
            doubt = -sum(q * math.log(q) for q in log_p[i].exp().tolist() if q > 0)
            if best is None or doubt < best:
                best, where = doubt, i
    lot, total = float(torch.rand(1, generator=generator)), 0.0
    for word, q in enumerate(log_p[where].exp().tolist()):
        total += q
        if lot < total:
            after[where] = word
            return after


def gumbel(p, generator):
    noise = -torch.log(-torch.log(torch.rand(p.shape, generator=generator, dtype=torch.float64)))
    return (p.log() + noise).argmax(-1)


def categorical(p, generator):
    lots = torch.rand(len(p), 1, generator=generator)
    return torch.searchsorted(p.cumsum(1), lots)[:, 0].clamp(max=p.shape[1] - 1)


def of_the_blanks(p, words, blank, generator):
    places = blank.nonzero()[:, 0]
    return places[torch.distributions.Categorical(probs=p[places]).entropy().argmin()]


def guided(mix):
    def function(p_word, p_class, label):
        return mix(p_word, p_class[:, label])

    return function


def scaled(values):
    return values / values.sum()


def edits_words(p_word, p_class, label):
    p_word *= p_class[:, label]
    return scaled(p_word)


def in_logs(p_word, p_class, label):
    return (p_word.log() + p_class[:, label].log()).softmax(0)


def by_word(p_word, p_class, label):
    products = [float(p) * float(c[label]) for p, c in zip(p_word, p_class, strict=True)]
    return [product / sum(products) for product in products]


def joint_table(p_word, p_class, label):
    joint = p_word[:, None] * p_class  # (V, C)
    return (joint / joint.sum(0))[:, label]


WRONG = [
    ("bound", lambda t: None, "Is a `return` missing"),
    ("bound", means, "Expected a number"),
    ("bound", lambda t: sum(means(t)) / len(t), "You forgot T"),
    ("bound", lambda t: len(t) * by_set(t), r"there are C\(T, k\) sets"),
    ("bound", by_set, "each set counts alike"),
    ("bound", lambda t: len(t) * pooled(t), "pooled mean times T"),
    ("bound", pooled, "That is the pooled mean: every blank"),
    ("bound", lambda t: len(t) * t[0].mean(), "pseudo-log-likelihood"),
    ("bound", lambda t: len(t) * t[-1].mean(), "k = T alone"),
    ("bound", lambda t: sum(x.sum(1).mean() for x in t), "a sum divided by k"),
    ("bound", lambda t: sum(x.sum() for x in t), "You added everything up"),
    ("bound", lambda t: -sum(means(t)), "The sign is wrong"),
    ("bound", lambda t: (-sum(means(t))).exp(), "That is a probability"),
    ("bound", lambda t: sum(means(t[:-1])), "k = T is missing"),
    ("bound", lambda t: sum(means(t[1:])), "k = 1 is missing"),
    ("bound", lambda t: sum(len(x) * x.mean() for x in t), "weighed each table"),
    ("bound", lambda t: sum(x.mean() for x in t[:3]) + 1.0, "add up the means"),
    ("bound", edits_tables, "changed its inputs"),
    ("uniform_mask", lambda *a: None, "Is a `return` missing"),
    ("uniform_mask", lambda *a: mask_with(uniform)(*a)[0], "Expected two tensors"),
    ("uniform_mask", edits_ids, "changed its inputs"),
    ("uniform_mask", mask_with(uniform, ordinary_only=False), "A special token is hidden"),
    ("uniform_mask", random_words, "not hidden was changed"),
    ("uniform_mask", labels_everywhere, "A visible token has a label"),
    ("uniform_mask", labels_of_the_mask, "not the token that is hidden"),
    ("uniform_mask", mask_with(lambda m, g: uniform(m, g, low=0)), "k begins at 1"),
    ("uniform_mask", mask_with(one_for_all), "Draw k for each row"),
    ("uniform_mask", mask_with(lambda m, g: uniform(m, g, high=-1)), "none is hidden whole"),
    ("uniform_mask", mask_with(up_to_the_longest), "fewer ordinary tokens than the longest"),
    ("uniform_mask", fixed_chance, "one fixed chance"),
    ("uniform_mask", from_the_left, "Some places are hidden more often"),
    ("uniform_mask", own_seed, "Another generator hides the same"),
    ("uniform_mask", global_draws, "does not use the generator"),
    ("bound_loss", lambda *a: None, "Is a `return` missing"),
    ("bound_loss", lambda x, b, n: n * rows_of(x, b)[0], "Expected a single number"),
    ("bound_loss", lambda x, b, n: x[b].mean(), "That is the pooled mean"),
    ("bound_loss", lambda x, b, n: x[b].mean() * n.double().mean(), "with the mean length"),
    ("bound_loss", bound_loss(lambda s, k, n: s / k), "You forgot T"),
    ("bound_loss", bound_loss(lambda s, k, n: s), "added up the blanks"),
    ("bound_loss", bound_loss(lambda s, k, n: n * s), "divide by k"),
    ("bound_loss", bound_loss(lambda s, k, n: s * k / n), "it is T / k"),
    ("bound_loss", bound_loss(lambda s, k, n: s / n), "in place of k"),
    ("bound_loss", bound_loss(lambda s, k, n: 4 * s / k), "width of the table"),
    ("bound_loss", bound_loss(lambda s, k, n: 3 * n * s / k), "You added up the rows"),
    ("bound_loss", lambda x, b, n: (n * x.mean(1)).mean(), "Visible positions"),
    ("bound_loss", lambda x, b, n: x.mean(), "And T is missing"),
    ("bound_loss", bound_loss(lambda s, k, n: n * s / k + 1), "For each row: T times"),
    ("bound_loss", lambda *a: loop_loss(*a).item(), "no gradient"),
    ("bound_loss", lambda *a: loop_loss(*a).detach(), "no gradient"),
    ("bound_loss", edits_losses, "changed its inputs"),
    ("unmask_step", lambda *a: None, "Is a `return` missing"),
    ("unmask_step", lambda *a: step(least)(*a)[0], "Expected the sentence"),
    ("unmask_step", edits_tokens, "changed its inputs"),
    ("unmask_step", step(lambda p, w, b, g: 0), "A visible word was changed"),
    ("unmask_step", step(nan_entropy), "A visible word|Nothing was filled"),
    ("unmask_step", step(lambda p, w, b, g: entropies(p).argmin(),
                         lambda p, g: torch.tensor([2, 0, 0, 0, 1])), "Nothing was filled"),
    ("unmask_step", step(least, several=True), "filled at once"),
    ("unmask_step", step(best_word), "the likeliest best word"),
    ("unmask_step", step(lambda p, w, b, g: entropies(p).masked_fill(~b, -1).argmax()),
     "the most entropy"),
    ("unmask_step", step(drawn_word), "favoured twice"),
    ("unmask_step", step(by_chance), "You took a blank by chance"),
    ("unmask_step", step(least, lambda p, g: p.argmax(-1)), "Draw it"),
    ("unmask_step", step(least, lambda p, g: torch.multinomial(p, 1)[:, 0]),
     "does not use the generator"),
    ("unmask_step", step(least, lambda p, g: torch.randint(4, (5,), generator=g)),
     "A word with probability 0"),
    ("unmask_step", step(least, lambda p, g: (torch.rand(5, generator=g) < 0.2).long()),
     "Two words are equally likely"),
    ("unmask_step", step(least, lambda p, g: torch.full((5,), 7)), "no word"),
    ("guided_step", lambda *a: None, "Is a `return` missing"),
    ("guided_step", lambda p, c, y: scaled(p[:, None] * c), "Take the column"),
    ("guided_step", guided(lambda p, c: p * c), "not yet a distribution"),
    ("guided_step", guided(lambda p, c: p), "without the class"),
    ("guided_step", guided(lambda p, c: scaled(c)), "the classifier alone"),
    ("guided_step", guided(lambda p, c: c), "column as it is"),
    ("guided_step", lambda p, c, y: scaled(p * c[:, 1 - y]), "the other class"),
    ("guided_step", lambda p, c, y: scaled(p * c[:, 1]), "the other class"),
    ("guided_step", guided(lambda p, c: (p + scaled(c)) / 2), "You averaged"),
    ("guided_step", guided(lambda p, c: scaled(p + c)), "You added"),
    ("guided_step", guided(lambda p, c: (p * c).softmax(0)), "by a softmax"),
    ("guided_step", guided(lambda p, c: scaled(p * c**2)), "The class counts twice"),
    ("guided_step", guided(lambda p, c: scaled(p**2 * c)), "The word counts twice"),
    ("guided_step", guided(lambda p, c: scaled(p / c.clamp(min=1e-300))), "You divided"),
    ("guided_step", guided(lambda p, c: (p * c == (p * c).max()).double()), "only the likeliest"),
    ("guided_step", guided(lambda p, c: scaled(p * c) / 0 * 0), "There is a NaN"),
    ("guided_step", guided(lambda p, c: 1 - scaled(p * c)), "word by word"),
    ("guided_step", edits_words, "changed its inputs"),
]  # fmt: skip

RIGHT = [
    ("bound", by_lists),
    ("bound", by_binomials),
    ("bound", lambda t: len(t) * torch.stack(means(t)).mean()),
    ("bound", lambda t: float(sum(table.mean(1).mean() for table in t))),
    ("bound", lambda t: torch.tensor([[sum(means(t))]])),
    ("uniform_mask", row_by_row),
    ("uniform_mask", share_first),
    ("uniform_mask", by_package),
    ("uniform_mask", as_list),
    ("bound_loss", loop_loss),
    ("bound_loss", weights_of_blanks),
    ("bound_loss", nan_mean),
    ("bound_loss", package_loss),
    ("unmask_step", step_by_loop),
    ("unmask_step", step(least, gumbel)),
    ("unmask_step", step(least, categorical)),
    ("unmask_step", step(of_the_blanks)),
    ("guided_step", in_logs),
    ("guided_step", by_word),
    ("guided_step", joint_table),
    ("guided_step", guided(lambda p, c: scaled(scaled(p) * scaled(c)).float())),
]
