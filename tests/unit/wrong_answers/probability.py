"""Wrong and unusual right answers, notebook 03; the wrong ones with what must be said."""

import itertools

import torch

from bift_utils.labs.mlm_probability.checks import _head
from bift_utils.languages.families import HiddenMarkovLanguage


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


def messages(start, transition, emission, tokens, blank, left=True, right=True, step=True):
    """Pass on both sides, or one; without `step` the last step to the blank is left out."""
    before, after = start, torch.ones_like(start)
    for place, word in enumerate(tokens[:blank]):
        before = before * emission[:, word]
        if step or place < blank - 1:
            before = before @ transition
    for word in reversed(tokens[blank + 1 :]):
        after = transition @ (emission[:, word] * after)
    return (before if left else torch.ones_like(start)), (
        after if right else torch.ones_like(start)
    )


def by_messages(**options):
    """Build answers from both sides, with the options of `messages`."""

    def function(start, transition, emission, tokens, blank):
        before, after = messages(start, transition, emission, tokens, blank, **options)
        joint = (before * after) @ emission
        return joint / joint.sum()

    return function


def in_reading_order(start, transition, emission, tokens, blank):
    """Go through the right side from the blank to the end, as one reads."""
    before, _ = messages(start, transition, emission, tokens, blank)
    after = torch.ones_like(start)
    for word in tokens[blank + 1 :]:
        after = transition @ (emission[:, word] * after)
    joint = (before * after) @ emission
    return joint / joint.sum()


def turned(start, transition, emission, tokens, blank):
    before, after = start, torch.ones_like(start)
    for word in tokens[:blank]:
        before = transition @ (before * emission[:, word])
    for word in reversed(tokens[blank + 1 :]):
        after = transition @ (emission[:, word] * after)
    joint = (before * after) @ emission
    return joint / joint.sum()


def steps_first(start, transition, emission, tokens, blank):
    before, after = start, torch.ones_like(start)
    for word in tokens[:blank]:
        before = (before @ transition) * emission[:, word]
    for word in reversed(tokens[blank + 1 :]):
        after = transition @ (emission[:, word] * after)
    joint = (before * after) @ emission
    return joint / joint.sum()


def not_divided(start, transition, emission, tokens, blank):
    before, after = messages(start, transition, emission, tokens, blank)
    return (before * after) @ emission


def tags_alone(start, transition, emission, tokens, blank):
    before, after = messages(start, transition, emission, tokens, blank)
    return before * after / (before * after).sum()


def reads_the_blank(start, transition, emission, tokens, blank):
    before = start
    for word in tokens[: blank + 1]:
        before = (before * emission[:, word]) @ transition
    return before @ emission


def added(start, transition, emission, tokens, blank):
    before, after = messages(start, transition, emission, tokens, blank)
    total = (before + after) @ emission
    return total / total.sum()


def words_unread(start, transition, emission, tokens, blank):
    joint = start @ torch.linalg.matrix_power(transition, blank) @ emission
    return joint / joint.sum()


def sorts_its_words(start, transition, emission, tokens, blank):
    answer = by_messages()(start, transition, emission, tokens, blank)
    tokens.sort()
    return answer


def enumerated(start, transition, emission, tokens, blank):
    """Go through every tagging."""
    total = torch.zeros(emission.shape[1], dtype=start.dtype)
    for path in itertools.product(range(len(start)), repeat=len(tokens)):
        p = start[path[0]]
        for one, two in itertools.pairwise(path):
            p = p * transition[one, two]
        for place, word in enumerate(tokens):
            if place != blank:
                p = p * emission[path[place], word]
        total = total + p * emission[path[blank]]
    return total / total.sum()


def by_package(start, transition, emission, tokens, blank):
    language = HiddenMarkovLanguage(start, transition, emission)
    return language.cavity_posterior(torch.tensor([tokens]))[0, blank]


def kept_at_one(start, transition, emission, tokens, blank):
    """Divide by the sum at every step, as long sentences want it."""
    before, after = start, torch.ones(len(start), dtype=start.dtype)
    for word in tokens[:blank]:
        before = (before * emission[:, word]) @ transition
        before = before / before.sum()
    for word in tokens[blank + 1 :][::-1]:
        after = transition @ (emission[:, word] * after)
        after = after / after.sum()
    return torch.nn.functional.normalize((before * after) @ emission, p=1, dim=0)


def one_product(start, transition, emission, tokens, blank):
    """Chain matrices from both ends, a diagonal one for each word."""
    matrix = torch.eye(len(start), dtype=start.dtype)
    for word in tokens[:blank]:
        matrix = matrix @ torch.diag(emission[:, word]) @ transition
    other = torch.eye(len(start), dtype=start.dtype)
    for word in tokens[blank + 1 :]:
        other = other @ transition @ torch.diag(emission[:, word])
    joint = torch.einsum("a,ab,bc,bv->v", start, matrix, other, emission)
    return joint / joint.sum()


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
    ("word_posterior", lambda *a: None, "Is a `return` missing"),
    ("word_posterior", tags_alone, "one probability for each word"),
    ("word_posterior", reads_the_blank, r"which has no column in emission"),
    ("word_posterior", not_divided, "Divide by its sum, the evidence"),
    ("word_posterior", by_messages(right=False), "The right side is missing"),
    ("word_posterior", by_messages(left=False), "The left side is missing"),
    ("word_posterior", by_messages(step=False), "From the left, one step is missing"),
    ("word_posterior", in_reading_order, r"at the \*end\* of the sentence"),
    ("word_posterior", turned, "From the left, `transition` is the wrong way round"),
    ("word_posterior", steps_first, "From the left, the step comes before the word"),
    ("word_posterior", added, "multiply them"),
    ("word_posterior", words_unread, "the prior: no word was used"),
    ("word_posterior", lambda *a: not_divided(*a).softmax(0), "not divided|by a softmax"),
    ("word_posterior", sorts_its_words, "changed its inputs"),
    ("word_posterior", lambda *a: by_messages()(*a).square(), "P.words to the left, tag. for each"),
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
    ("kl_divergence", lambda p, q: divergence(p, q) / torch.tensor(10.0).log(), "base 10"),
    ("mlm_head", head(without="dense_bias"), "dense_bias"),
    ("mlm_head", head(without="norm_weight"), "norm_weight"),
    ("mlm_head", head(without="norm_bias"), "norm_bias"),
    ("mlm_head", lambda h, w: _head(h, w).detach(), "No gradient flows"),
    ("mlm_head", lambda h, w: _head(h.detach(), w), "reaches hidden is not right: there is none"),
    ("mlm_head", frozen, "No gradient flows|reaches dense_weight is not right"),
]  # fmt: skip

RIGHT = [  # unusual, and right
    ("bayes_rule", lambda p, k: torch.einsum("v,nv->nv", p, k) / (k @ p)[:, None]),
    ("bayes_rule", lambda p, k: torch.stack([p * row / (p * row).sum() for row in k])),
    ("bayes_rule", lambda p, k: (p.log() + k.log()).softmax(-1)),
    ("bayes_rule", lambda p, k: torch.nn.functional.normalize(p * k, p=1, dim=-1)),
    ("word_posterior", enumerated),
    ("word_posterior", by_package),
    ("word_posterior", kept_at_one),
    ("word_posterior", one_product),
    ("kl_divergence", lambda p, q: torch.nn.functional.kl_div(q, p, reduction="none").sum(-1)),
    ("kl_divergence", lambda p, q: torch.where(p > 0, p * (p.log() - q), 0.0).sum(1)),
    ("kl_divergence", lambda p, q: torch.stack(
        [divergence(a, b) for a, b in zip(p, q, strict=True)])),
    ("kl_divergence", lambda p, q: -(p * q).sum(-1) - torch.special.entr(p).sum(-1)),
    ("mlm_head", module),
    ("mlm_head", head_with_norm()),
    ("mlm_head", lambda h, w: torch.stack([_head(row[None], w)[0] for row in h])),
    ("mlm_head", lambda h, w: torch.nn.functional.linear(
        _head(h, {**w, "embeddings": torch.eye(h.shape[1], dtype=h.dtype)}, bias=False),
        w["embeddings"], w["bias"])),
]  # fmt: skip
