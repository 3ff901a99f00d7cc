"""Checks of the exercises in notebook 03: each compares with the exact answer."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from bift_utils.labs.core.checks import (
    CheckResult,
    Mistake,
    as_number,
    as_tensor,
    compare,
    require_gradient,
    run_check,
)
from bift_utils.runtime import make_generator


def _call(function: Callable, *inputs, shape: tuple[int, ...], what: str) -> Tensor:
    """Call the learner's function on copies; return what it gives, if that has the right form."""
    given = [value.clone() if isinstance(value, Tensor) else value for value in inputs]
    return as_tensor(function(*given), shape, what)


def check_bayes_rule(function: Callable) -> CheckResult:
    """Check exercise 03.1: `function(prior, likelihood)` is Bayes' rule, a row a sentence."""
    prior = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    # every row is one sentence; rows do not sum to one, and one candidate is ruled out
    likelihood = torch.tensor([[0.02, 0.10, 0.03], [0.004, 0.0, 0.001]], dtype=torch.float64)

    def stages(function):
        shape = (2, 3)
        what = "one row a sentence, one column a candidate"
        try:
            answer = _call(function, prior, likelihood, shape=shape, what=what)
        except RuntimeError as error:
            raise Mistake(
                f"Your function raised RuntimeError: {error}. A sum along the last dimension has "
                "shape (N,); with keepdim=True it is (N, 1), and divides row by row."
            ) from None
        joint = prior * likelihood
        alone = likelihood / likelihood.sum(-1, keepdim=True)
        compare(
            answer,
            joint / joint.sum(-1, keepdim=True),
            {
                "That is prior × likelihood, the numerator. Each row sums to its evidence, not to "
                "one: divide by it.": joint,
                "That is the likelihood, scaled to sum to one: the prior is missing.": alone,
                "Your columns sum to one. The evidence adds up the *candidates* of one sentence: "
                "sum along the last dimension.": joint / joint.sum(0, keepdim=True),
                "You divided by the sum of all sentences. Each sentence has an evidence of its "
                "own: sum along the last dimension, with keepdim=True.": joint / joint.sum(),
                "You normalised by a softmax. These are probabilities, not logits: divide by their "
                "sum.": joint.softmax(-1),
                "That is the prior: the sentence was not used.": prior.expand(shape),
                "The prior is in there twice.": (prior * joint)
                / (prior * joint).sum(-1, keepdim=True),
            },
            hint="Multiply each row by the prior, then divide the row by its sum.",
        )
        for rows, candidates in ((3, 3), (2, 5)):  # square, and wider than high
            draw = torch.rand(rows, candidates, generator=make_generator(rows), dtype=prior.dtype)
            wide = draw.sum(0) / draw.sum()
            right = wide * draw / (wide * draw).sum(-1, keepdim=True)
            answer = _call(function, wide, draw, shape=(rows, candidates), what=what)
            compare(answer, right, {}, f"For {rows} sentences and {candidates} candidates.")
        one = _call(function, prior, likelihood[1:], shape=(1, 3), what=what)
        compare(one, (joint / joint.sum(-1, keepdim=True))[1:], {}, "Here there is one sentence.")

    return run_check("03.1", function, stages)


def check_kl_divergence(function: Callable) -> CheckResult:
    """Check exercise 03.2: `function(exact, log_probabilities)` is KL(exact ‖ model) by rows."""
    exact = torch.tensor([[0.7, 0.2, 0.1], [0.5, 0.5, 0.0]], dtype=torch.float64)
    model = torch.tensor([[0.4, 0.4, 0.2], [0.3, 0.6, 0.1]], dtype=torch.float64)
    kl = (torch.special.xlogy(exact, exact) - exact * model.log()).sum(-1)

    def stages(function):
        what = "one number a row (sum over the candidates, the last dimension)"
        first = (exact[:1], model[:1].log())
        answer = _call(function, *first, shape=(1,), what=what)
        p, log_q = first
        cross = -(p * log_q).sum(-1)
        backwards = (log_q.exp() * (log_q - p.log())).sum(-1)
        compare(
            answer,
            kl[:1],
            {
                "That is KL(model ‖ exact), the other direction: weigh the log ratio with the "
                "*exact* probabilities.": backwards,
                "The sign is wrong: KL is never negative.": -kl[:1],
                "That is the cross-entropy. It is never below the entropy of the exact answer; "
                "subtract that entropy.": cross,
                "That is in bits: take the natural logarithm.": kl[:1] / math.log(2),
                "That is with the logarithm to base 10: take the natural one.": kl[:1]
                / math.log(10),
                "That is the entropy of the exact answer; the model does not count in it.": (
                    -(p * p.log()).sum(-1)
                ),
                "You took absolute values; where the model says too much, its term is negative.": (
                    (p * (p.log() - log_q).abs()).sum(-1)
                ),
                "You averaged over the candidates; sum them.": kl[:1] / 3,
                "The log ratio is not weighed with the exact probabilities.": (p.log() - log_q).sum(
                    -1
                ),
                "The model's answers come as logarithms already; you took the logarithm of their "
                "softmax, or of exp, twice, or forgot that they are logs.": (
                    p * (p.log() - log_q.exp())
                ).sum(-1),
            },
            hint="It is the sum of exact · (log exact − log model).",
        )
        answer = _call(function, exact, model.log(), shape=(2,), what=what)
        if answer.isnan().any():
            raise Mistake(
                "The second row has an exact probability of 0, and 0 · log 0 gave NaN. Its limit "
                "is 0: torch.special.xlogy(x, x) knows that."
            )
        compare(
            answer,
            kl,
            {},
            hint="The second row has an exact probability of 0. That term is exactly 0; nothing "
            "else may change.",
        )

    return run_check("03.2", function, stages)


def check_copy_or_doubt(function: Callable) -> CheckResult:
    """Check exercise 03.3: `function(around, seen, kept, drawn)` is the optimum at a visible word.

    `kept` and `drawn` are the channel's shares of selected tokens.
    """

    def optimum(around, seen, kept, drawn):
        copy = kept * around[seen] / (kept * around[seen] + drawn / len(around))
        return copy * torch.eye(len(around), dtype=torch.float64)[seen] + (1 - copy) * around

    def near_misses(around, seen, kept, drawn):
        word = torch.eye(len(around), dtype=torch.float64)[seen]
        size = len(around)

        def mixed(copy):
            return copy * word + (1 - copy) * around

        likely = kept * around[seen]
        right = likely / (likely + drawn / size)
        exchanged = drawn * around[seen] / (drawn * around[seen] + kept / size)
        others = 1 - right
        return {
            "That is the context alone: the visible word is some evidence too.": around,
            "You copy always. A selected visible word may have been drawn at random.": word,
            "A random draw hits this very word once in V: divide `drawn` by the number of "
            "candidates.": mixed(likely / (likely + drawn)),
            "κ does not use the context: weigh `kept` with π(w).": mixed(kept / (kept + drawn)),
            "κ and 1 − κ are swapped: κ is the weight of the copy.": mixed(others),
            "`kept` and `drawn` are exchanged.": mixed(exchanged),
            "You set the visible word to κ. The context expects it too: *add* κ to "
            "(1 − κ) · π(w).": right * word + others * around * (1 - word),
            "κ is the weight of the copy, but 1 − κ goes to the context as a whole, the visible "
            "word included: you put κ on the word and shared the rest out among the others.": (
                right * word + others * (around * (1 - word)) / (around * (1 - word)).sum()
            ),
            "The shares are arguments: you took the 0.1 and 0.1 of the notebook.": optimum(
                around, seen, 0.1, 0.1
            ),
            "V is the number of candidates, len(around); you took the 8 of the notebook.": mixed(
                likely / (likely + drawn / 8)
            ),
            "The shares and V are those of the notebook (0.1, 0.1 and 8): take your arguments.": (
                mixed(around[seen] / (around[seen] + 1 / 8))
            ),
            "You left the division by V out of both terms' sum: κ is kept · π(w) over the sum of "
            "kept · π(w) and drawn / V.": mixed(likely * size / (likely + drawn)),
            "That is κ · π(w) at the word seen and nothing else; the context's share is missing.": (
                right * word
            ),
            "Your weights do not sum to one: the context counts with 1 − κ.": (
                right * word + around
            ),
            "A random draw is made from all V words, the one that stands there included: divide "
            "by V, not by V − 1.": mixed(likely / (likely + drawn / (size - 1))),
        }

    def stages(function):
        what = "one probability for each candidate"
        four = [0.4, 0.3, 0.2, 0.1]
        cases = [(four, 1, 0.3, 0.1), (four, 3, 0.1, 0.1), (four, 0, 0.3, 0.2), (four, 2, 0.0, 0.5),
                 ([0.6, 0.0, 0.4], 1, 0.2, 0.1), ([0.7, 0.3], 0, 0.05, 0.25)]  # fmt: skip
        for numbers, *question in cases:
            around = torch.tensor(numbers, dtype=torch.float64)
            answer = _call(function, around, *question, shape=tuple(around.shape), what=what)
            seen, kept, drawn = question
            compare(
                answer,
                optimum(around, *question),
                near_misses(around, *question),
                f"For π = {numbers}, the word seen number {seen}, kept {kept} and drawn {drawn}.",
                "Mix two answers: copy with weight κ, the context with weight 1 − κ.",
            )

    return run_check("03.3", function, stages)


def _head(
    hidden, w, order="dense gelu norm", approximate="none", transpose=False, bias=True, without=""
):
    """The masked-LM head in one line a step; the options spoil one thing each."""
    h = hidden
    if without:  # a weight that is left out: as if it were 1 or 0
        neutral = torch.ones_like if without == "norm_weight" else torch.zeros_like
        w = {**w, without: neutral(w[without])}
    for step in order.split():
        if step == "dense":
            matrix = w["dense_weight"] if transpose else w["dense_weight"].T
            h = h @ matrix + w["dense_bias"]
        elif step == "gelu":
            h = torch.nn.functional.gelu(h, approximate=approximate)
        elif step == "relu":
            h = h.relu()
        else:
            norm = w["norm_weight"], w["norm_bias"], w["eps"]
            h = torch.nn.functional.layer_norm(h, h.shape[-1:], *norm)
    logits = h @ w["embeddings"].T
    return logits + w["bias"] if bias else logits


def _head_weights(width: int, vocab_size: int) -> tuple[Tensor, dict]:
    """Return four hidden vectors and the weights of a head, drawn once and for all."""
    generator = make_generator(11)

    def draw(*shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    weights = {
        "dense_weight": draw(width, width),
        "dense_bias": draw(width),
        "norm_weight": 1 + 0.3 * draw(width),
        "norm_bias": draw(width),
        "eps": 0.05,
        "embeddings": draw(vocab_size, width),
        "bias": draw(vocab_size),
    }
    return draw(4, width), weights


def _wrong_norms(hidden: Tensor, w: dict) -> dict[str, Tensor]:
    """Return the logits of heads whose LayerNorm is not quite one."""
    h = torch.nn.functional.gelu(hidden @ w["dense_weight"].T + w["dense_bias"])
    middle, square = h - h.mean(-1, keepdim=True), h.var(-1, correction=0, keepdim=True)
    eps, scale, shift = w["eps"], w["norm_weight"], w["norm_bias"]
    columns = (h - h.mean(0)) / (h.var(0, correction=0) + eps).sqrt()
    unbiased = middle / (h.var(-1, keepdim=True) + eps).sqrt()
    normed = {
        "LayerNorm divides by the root of the *mean* square: var(..., correction=0).": unbiased,
        "eps goes under the root, beside the variance.": middle / (square.sqrt() + eps),
        "You normalised over the positions. LayerNorm takes each vector by itself: dimension −1, "
        "keepdim=True.": columns,
        "eps is `w['eps']`, here 0.05, not the default of BERT.": middle / (square + 1e-12).sqrt(),
        "eps is `w['eps']`, here 0.05, not the default of torch.": middle / (square + 1e-5).sqrt(),
    }
    wrong = {cause: value * scale + shift for cause, value in normed.items()}
    wrong["LayerNorm has a scale and a shift of its own: norm_weight and norm_bias."] = (
        middle / (square + eps).sqrt()
    )
    return {cause: value @ w["embeddings"].T + w["bias"] for cause, value in wrong.items()}


def _wrong_heads(hidden: Tensor, w: dict) -> dict[str, Tensor]:
    """Return the logits of heads that leave out or spoil one thing."""
    return {
        "LayerNorm came before GELU. The order is dense, GELU, LayerNorm.": _head(
            hidden, w, "dense norm gelu"
        ),
        "GELU is missing.": _head(hidden, w, "dense norm"),
        "LayerNorm is missing.": _head(hidden, w, "dense gelu"),
        "That is the article's head: one affine map of the hidden vector. Dense, GELU and "
        "LayerNorm come before it.": _head(hidden, w, ""),
        "The nonlinearity is GELU, not ReLU.": _head(hidden, w, "dense relu norm"),
        "That is the tanh approximation of GELU. BERT uses the exact one.": _head(
            hidden, w, approximate="tanh"
        ),
        "The dense matrix is the wrong way round: nn.Linear computes h @ weight.T + bias.": _head(
            hidden, w, transpose=True
        ),
        "The output bias, one number a token, is missing.": _head(hidden, w, bias=False),
        "The dense layer has a bias too, dense_bias.": _head(hidden, w, without="dense_bias"),
        "LayerNorm has a scale of its own, norm_weight.": _head(hidden, w, without="norm_weight"),
        "LayerNorm has a shift of its own, norm_bias.": _head(hidden, w, without="norm_bias"),
        "The second GELU is too much: there is one, after the dense layer.": _head(
            hidden, w, "dense gelu norm gelu"
        ),
        "These are log-probabilities; the head gives logits, before the softmax.": _head(
            hidden, w
        ).log_softmax(-1),
        "These are probabilities; the head gives logits, before the softmax.": _head(
            hidden, w
        ).softmax(-1),
    }


def check_mlm_head(function: Callable) -> CheckResult:
    """Check exercise 03.4: `function(hidden, w)` is BERT's masked-LM head."""

    def stages(function):
        what = "one row a position, one logit for each token of the vocabulary"
        for width, vocab_size in ((6, 9), (5, 3)):
            hidden, w = _head_weights(width, vocab_size)
            shape = (len(hidden), vocab_size)
            answer = as_tensor(function(hidden.clone(), dict(w)), shape, what)
            compare(
                answer,
                _head(hidden, w),
                {**_wrong_heads(hidden, w), **_wrong_norms(hidden, w)},
                hint="Go step by step: dense, GELU, LayerNorm, then the embeddings, then the bias.",
            )
        leaves = {name: value for name, value in w.items() if isinstance(value, Tensor)}
        leaves = {name: value.requires_grad_() for name, value in leaves.items()}
        leaves["hidden"] = hidden.requires_grad_()
        said = "The head is trained, and passes the gradient on to the encoder below it."
        require_gradient(function(hidden, dict(w)), _head(hidden, w), leaves, said)

    return run_check("03.4", function, stages, "Your function changed the weights, or `hidden`.")


SENTENCE = (
    "Your function changed the sentence. Hide each token in a clone, or the next one is scored "
    "with more than itself hidden."
)


def _stand_in(corrupted: Tensor) -> Tensor:
    """Stand for a network of five words and [MASK] (5): each answer depends on all ids.

    Like the real one it answers with V + 1 columns, and [MASK] is the least likely answer.
    """
    if not isinstance(corrupted, Tensor) or corrupted.dim() != 2:
        raise Mistake(
            "log_probabilities wants ids of shape (N, T). For one sentence: tokens[None]."
        )
    if corrupted.is_floating_point() or not ((corrupted >= 0) & (corrupted <= 5)).all():
        raise Mistake("log_probabilities was given something that is not a token id.")
    places = torch.arange(1, corrupted.shape[1] + 1, dtype=torch.float64)
    mixed = corrupted.double() @ torch.cos(places[:, None] * places)  # (N, T)
    logits = torch.sin(mixed[..., None] * torch.arange(1, 7))
    logits = logits + 2.0 * torch.nn.functional.one_hot(corrupted, 6)
    logits[..., 5] = logits[..., 5] - 9.0
    return logits.log_softmax(-1)


def check_pseudo_likelihood(function: Callable) -> CheckResult:
    """Check exercise 03.5: `function(log_probabilities, tokens, mask_token_id)` scores a sentence.

    `log_probabilities` is a function from corrupted ids (N, T) to log-probabilities (N, T, V).
    """
    mask, model = 5, _stand_in

    def single(tokens, hidden_at, place) -> Tensor:
        """Return log P(x_i) at a place, with the places `hidden_at` hidden."""
        blank = tokens.clone()
        blank[hidden_at] = mask
        return model(blank[None])[0, place, tokens[place]]

    def score(tokens, hidden_at, places=None) -> Tensor:
        """Sum over i of log P(x_i), with the places hidden_at(i) hidden."""
        places = range(len(tokens)) if places is None else places
        terms = [single(tokens, hidden_at(i), i) for i in places]
        return torch.stack([torch.zeros((), dtype=torch.float64), *terms]).sum()

    def near_misses(tokens) -> dict[str, Tensor]:
        expected, length = score(tokens, lambda i: [i]), len(tokens)
        entries, chances = [], []
        for i in range(length):
            blank = tokens.index_fill(0, torch.tensor(i), mask)
            entries.append(model(blank[None])[0, i, mask])
            chances.append(single(tokens, [i], i).exp())
        return {
            "You scored each token while it was visible: the model copies it. Put [MASK] "
            "in its place first.": score(tokens, lambda i: []),
            "You hid all tokens at once. Hide one, score it, and put it back.": score(
                tokens, lambda i: slice(None)
            ),
            "You hid the token and all to its right: that is a one-way score. Hide one "
            "token only.": score(tokens, lambda i: slice(i, None)),
            "A token that was hidden stayed hidden: start each time from the whole "
            "sentence.": score(tokens, lambda i: slice(0, i + 1)),
            "You read the entry of [MASK], not that of the hidden word: remember the word "
            "before you hide it.": torch.stack(entries).sum(),
            "The first token is missing from your sum.": score(
                tokens, lambda i: [i], range(1, length)
            ),
            "The last token is missing from your sum.": score(
                tokens, lambda i: [i], range(length - 1)
            ),
            "The first and the last token are missing from your sum: this sentence has no [CLS] "
            "and [SEP].": score(tokens, lambda i: [i], range(1, length - 1)),
            "That is in bits; nats take the natural logarithm.": expected / math.log(2),
            "That is the mean a token; asked is the sum.": expected / length,
            "You added probabilities; add their logarithms.": torch.stack(chances).sum(),
            "That is exp of the score; asked is its logarithm, in nats.": expected.exp(),
            "The sign is wrong: a log-likelihood is below zero.": -expected,
        }

    def stages(function):
        for ids in ([3, 0, 4, 1], [2, 2, 0, 3], [1, 4, 4, 0, 2, 3], [2]):
            tokens = torch.tensor(ids)
            answer = as_number(function(model, tokens.clone(), mask))
            first = float(single(tokens, [0], 0))
            compare(
                answer,
                float(score(tokens, lambda i: [i])),
                {cause: float(value) for cause, value in near_misses(tokens).items()},
                f"For the sentence {ids}.",
                "For each i: a clone with [MASK] at i, the model on it, the entry [0, i, x_i]. For "
                f"i = 0 that is {first:.4f}.",
            )

    return run_check("03.5", function, stages, SENTENCE)
