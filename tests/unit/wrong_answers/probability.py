"""Wrong and unusual right answers, notebook 03; the wrong ones with what must be said."""

import torch

from bift_utils.labs.mlm_probability.checks import _head


def joint(prior, likelihood):
    return prior * likelihood


def in_place(prior, likelihood):
    likelihood *= prior
    return likelihood / likelihood.sum(-1, keepdim=True)


def one_axis(dimension, keepdim=True):
    def function(prior, likelihood):
        both = prior * likelihood
        return both / both.sum(dimension, keepdim=keepdim)

    return function


def divergence(exact, log_q):
    return (torch.special.xlogy(exact, exact) - exact * log_q).sum(-1)


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


def head(*order, **options):
    return lambda hidden, w: _head(hidden, w, *order, **options)


def head_with_norm(correction=0, inside=True, dimension=-1, eps=None, scale=True):
    def function(hidden, w):
        h = torch.nn.functional.gelu(hidden @ w["dense_weight"].T + w["dense_bias"])
        small = w["eps"] if eps is None else eps
        spread = h.var(dimension, correction=correction, keepdim=True)
        divisor = (spread + small).sqrt() if inside else spread.sqrt() + small
        h = (h - h.mean(dimension, keepdim=True)) / divisor
        if scale:
            h = h * w["norm_weight"] + w["norm_bias"]
        return h @ w["embeddings"].T + w["bias"]

    return function


def changes_weights(hidden, w):
    w["bias"] += 1.0
    return _head(hidden, w)


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


def notebook(around, seen, kept, drawn):
    """The shares and the number of words of notebook 03, whatever was asked."""
    word = torch.eye(len(around), dtype=around.dtype)[seen]
    copy = 0.1 * around[seen] / (0.1 * around[seen] + 0.1 / 8)
    return copy * word + (1 - copy) * around


def by_bayes(around, seen, kept, drawn):
    """Write the channel down as a likelihood, and use Bayes' rule."""
    likelihood = torch.full_like(around, drawn / len(around))
    likelihood[seen] += kept
    joint = around * likelihood
    return joint / joint.sum()


def module(hidden, w):
    """Use the layers of the library."""
    width, vocabulary = w["dense_weight"].shape[0], len(w["bias"])
    dense = torch.nn.Linear(width, width, dtype=hidden.dtype)
    norm = torch.nn.LayerNorm(width, eps=w["eps"], dtype=hidden.dtype)
    out = torch.nn.Linear(width, vocabulary, dtype=hidden.dtype)
    call = torch.func.functional_call
    h = call(dense, {"weight": w["dense_weight"], "bias": w["dense_bias"]}, hidden)
    h = torch.nn.functional.gelu(h)
    h = call(norm, {"weight": w["norm_weight"], "bias": w["norm_bias"]}, h)
    return call(out, {"weight": w["embeddings"], "bias": w["bias"]}, h)


def frozen(hidden, w):
    return _head(hidden, {k: getattr(v, "detach", lambda v=v: v)() for k, v in w.items()})


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


WRONG = [
    ("bayes_rule", lambda p, k: None, "Is a `return` missing"),
    ("bayes_rule", lambda p, k: 0.5, r"Expected a tensor of shape \(2, 3\), .*got float"),
    ("bayes_rule", lambda p, k: p * k[0], r"got \(3,\)"),
    ("bayes_rule", joint, "the numerator"),
    ("bayes_rule", lambda p, k: k / k.sum(-1, keepdim=True), "the prior is missing"),
    ("bayes_rule", one_axis(0), "Your columns sum to one"),
    ("bayes_rule", lambda p, k: p * k / (p * k).sum(), "an evidence of its own"),
    ("bayes_rule", lambda p, k: (p * k).softmax(-1), "not logits"),
    ("bayes_rule", lambda p, k: p.expand(k.shape), "the sentence was not used"),
    ("bayes_rule", lambda p, k: joint(p, joint(p, k)) / joint(p, joint(p, k)).sum(-1, keepdim=True),
     "twice"),
    ("bayes_rule", in_place, "changed its inputs"),
    ("bayes_rule", one_axis(-1, keepdim=False), r"RuntimeError.*with keepdim=True it is \(N, 1\)"),
    ("bayes_rule", lambda p, k: 1 - p * k, "They part first at"),
    ("kl_divergence", lambda p, q: None, "Is a `return` missing"),
    ("kl_divergence", lambda p, q: divergence(p, q).sum(), "one number a row"),
    ("kl_divergence", lambda p, q: (q.exp() * (q - p.log())).sum(-1), "the other direction"),
    ("kl_divergence", lambda p, q: -divergence(p, q), "never negative"),
    ("kl_divergence", lambda p, q: -(p * q).sum(-1), "cross-entropy"),
    ("kl_divergence", lambda p, q: (p * (p.log2() - q / torch.tensor(2.0).log())).sum(-1), "bits"),
    ("kl_divergence", lambda p, q: (p * (p.log() - q)).mean(-1), "averaged over the candidates"),
    ("kl_divergence", lambda p, q: (p.log() - q).sum(-1), "not weighed"),
    ("kl_divergence", lambda p, q: (p * (p.log() - q.exp())).sum(-1), "logarithms already"),
    ("kl_divergence", lambda p, q: (p * (p.log() - q)).sum(-1), "0 · log 0 gave NaN"),
    ("kl_divergence", lambda p, q: (p * ((p + 0.01).log() - q)).sum(-1), "They part first at"),
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
    ("mlm_head", lambda h, w: None, "Is a `return` missing"),
    ("mlm_head", lambda h, w: _head(h, w)[..., :6], "one logit for each token"),
    ("mlm_head", head("dense norm gelu"), "LayerNorm came before GELU"),
    ("mlm_head", head("dense norm"), "GELU is missing"),
    ("mlm_head", head("dense gelu"), "LayerNorm is missing"),
    ("mlm_head", head(""), "the article's head"),
    ("mlm_head", head("dense relu norm"), "not ReLU"),
    ("mlm_head", head(approximate="tanh"), "tanh approximation"),
    ("mlm_head", head(transpose=True), "wrong way round"),
    ("mlm_head", head(bias=False), "output bias"),
    ("mlm_head", head_with_norm(scale=False), "a scale and a shift of its own"),
    ("mlm_head", head_with_norm(correction=1), "correction=0"),
    ("mlm_head", head_with_norm(inside=False), "under the root"),
    ("mlm_head", head_with_norm(dimension=0), "over the positions"),
    ("mlm_head", head_with_norm(eps=1e-12), "not the default"),
    ("mlm_head", head_with_norm(eps=1e-5), "not the default of torch"),
    ("mlm_head", lambda h, w: _head(h, w).softmax(-1), "before the softmax"),
    ("mlm_head", changes_weights, "changed the weights"),
    ("mlm_head", head("gelu dense norm"), "Go step by step"),
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
    ("kl_divergence", lambda p, q: divergence(p, q) / torch.tensor(10.0).log(), "base 10"),
    ("copy_or_doubt", notebook, "those of the notebook"),
    ("copy_or_doubt", mixture(lambda p, k, d: right_share(p, 0.1, 0.1)), "0.1 and 0.1 of the note"),
    ("copy_or_doubt", mixture(lambda p, k, d: right_share(p, k, d, 8)), "the 8 of the notebook"),
    ("mlm_head", head(without="dense_bias"), "dense_bias"),
    ("mlm_head", head(without="norm_weight"), "norm_weight"),
    ("mlm_head", head(without="norm_bias"), "norm_bias"),
    ("mlm_head", lambda h, w: _head(h, w).detach(), "No gradient flows"),
    ("mlm_head", lambda h, w: _head(h.detach(), w), "reaches hidden is not right: there is none"),
    ("mlm_head", frozen, "No gradient flows|reaches dense_weight is not right"),
    ("pseudo_likelihood", only_places(1, None), "first token is missing"),
    ("pseudo_likelihood", only_places(0, -1), "last token is missing"),
    ("pseudo_likelihood", only_places(1, -1), "The first and the last token"),
    ("pseudo_likelihood", lambda *a: pseudo_likelihood(here)(*a) / torch.tensor(2.0).log(), "bits"),
]  # fmt: skip

RIGHT = [  # unusual, and right
    ("bayes_rule", lambda p, k: torch.einsum("v,nv->nv", p, k) / (k @ p)[:, None]),
    ("bayes_rule", lambda p, k: torch.stack([p * row / (p * row).sum() for row in k])),
    ("bayes_rule", lambda p, k: (p.log() + k.log()).softmax(-1)),
    ("bayes_rule", lambda p, k: torch.nn.functional.normalize(p * k, p=1, dim=-1)),
    ("kl_divergence", lambda p, q: torch.nn.functional.kl_div(q, p, reduction="none").sum(-1)),
    ("kl_divergence", lambda p, q: torch.where(p > 0, p * (p.log() - q), 0.0).sum(1)),
    ("kl_divergence", lambda p, q: torch.stack(
        [divergence(a, b) for a, b in zip(p, q, strict=True)])),
    ("kl_divergence", lambda p, q: -(p * q).sum(-1) - torch.special.entr(p).sum(-1)),
    ("copy_or_doubt", by_bayes),
    ("copy_or_doubt", lambda a, s, k, d: by_bayes(a, s, 2 * k, 2 * d)),
    ("copy_or_doubt", lambda a, s, k, d: by_bayes(a, s, k, d).clone().requires_grad_()),
    ("copy_or_doubt", lambda a, s, k, d: by_bayes(a.float(), s, k, d)),
    ("mlm_head", module),
    ("mlm_head", head_with_norm()),
    ("mlm_head", lambda h, w: torch.stack([_head(row[None], w)[0] for row in h])),
    ("mlm_head", lambda h, w: torch.nn.functional.linear(
        _head(h, {**w, "embeddings": torch.eye(h.shape[1], dtype=h.dtype)}, bias=False),
        w["embeddings"], w["bias"])),
    ("pseudo_likelihood", in_one_batch),
    ("pseudo_likelihood", lambda *a: float(in_one_batch(*a))),
    ("pseudo_likelihood", pseudo_likelihood(here)),
    ("pseudo_likelihood", only_places(None, None, -1)),
]  # fmt: skip
