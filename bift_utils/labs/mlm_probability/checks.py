"""Checks of the exercises in notebook 03: each compares with the exact answer."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from bift_utils.labs.core.checks import (
    CheckResult,
    Mistake,
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


def _messages(start, transition, emission, tokens, blank) -> tuple[Tensor, Tensor]:
    """Return P(words to the left, tag at the blank) and P(words to the right | tag), (K,) each."""
    left, right = start, torch.ones_like(start)
    for word in tokens[:blank]:
        left = (left * emission[:, word]) @ transition
    for word in reversed(tokens[blank + 1 :]):
        right = transition @ (emission[:, word] * right)
    return left, right


def _wrong_messages(start, transition, emission, tokens, blank) -> dict[str, Tensor]:
    """Return P(word, rest) with one thing spoilt, not yet divided by its sum."""
    before, after = tokens[:blank], tokens[blank + 1 :]
    ones = torch.ones_like(start)
    left, right = _messages(start, transition, emission, tokens, blank)
    late, unread, turned, ordered = start, start, start, start
    for place, word in enumerate(before):  # late: the last step is missing
        late = late * emission[:, word]
        late = late @ transition if place < blank - 1 else late
        unread = unread @ transition
        turned = transition @ (turned * emission[:, word])
        ordered = (ordered @ transition) * emission[:, word]
    forwards, short, unread_right, turned_right, ordered_right = ones, ones, ones, ones, ones
    for word in after:
        forwards = transition @ (emission[:, word] * forwards)
    for place, word in enumerate(reversed(after)):
        short = emission[:, word] * (transition @ short if place else short)
        unread_right = transition @ unread_right
        turned_right = (emission[:, word] * turned_right) @ transition
        ordered_right = emission[:, word] * (transition @ ordered_right)
    both = left * right
    return {
        "The right side is missing: that is what the left alone says.": left @ emission,
        "The left side is missing: start and the words to the left say something, too.": (
            right @ emission
        ),
        "The words to the left were not used. From the right alone you need P(tag at the blank), "
        "and these words change it.": (unread * right) @ emission,
        "That is the prior: no word was used.": unread @ emission,
        "Left and right are added, tag by tag; multiply them.": (left + right) @ emission,
        "The right side must begin at the *end* of the sentence: take the words in reverse.": (
            left * forwards
        )
        @ emission,
        "From the left, one step is missing: after the last word, go on to the tag of the blank "
        "(@ transition).": (late * right) @ emission,
        "From the right, one step is missing: the word beside the blank speaks of *its* tag; go on "
        "to the blank's (transition @ …).": (left * short) @ emission,
        "From the left, `transition` is the wrong way round: a row is the tag before, a column the "
        "next tag, so left @ transition.": (turned * right) @ emission,
        "From the right, `transition` is the wrong way round: a row is the tag before, a column "
        "the next tag, so transition @ right.": (left * turned_right) @ emission,
        "From the left, the step comes before the word: `start` is the first word's tag already. "
        "Multiply by the word's column of emission, then take the step.": (ordered * right)
        @ emission,
        "From the right, the step comes before the word: multiply by the word's column of "
        "emission, then take the step.": (left * ordered_right) @ emission,
        "The words to the right are not read; multiply by emission[:, word] at each.": (
            left * unread_right
        )
        @ emission,
        "The likeliest tag alone was taken. Every tag counts, with its weight.": emission[
            both.argmax()
        ],
    }


def check_word_posterior(function: Callable) -> CheckResult:
    """Check exercise 03.2: `function(start, transition, emission, tokens, blank)` is exact.

    The language has K tags and V words; `tokens` is a list of ids, with V at the blank.
    """
    generator = make_generator(13)

    def draw(rows, columns):
        table = 0.05 + torch.rand(rows, columns, generator=generator, dtype=torch.float64).square()
        return table / table.sum(1, keepdim=True)

    def never(table):
        """Return the table with a zero in each row: what cannot follow, or is never said."""
        table = table.clone()
        for i in range(len(table)):
            table[i, (i + 1) % table.shape[1]] = 0.0
        return table / table.sum(1, keepdim=True)

    plain = draw(1, 3)[0], draw(3, 3), draw(3, 4)
    holes = draw(1, 2)[0], draw(2, 2), never(draw(2, 5))
    cases = [(plain, [2, 0, 4, 3, 1], 2), (plain, [1, 4], 1), (plain, [4, 2], 0),
             (plain, [3, 1, 4], 2), (plain, [4, 0, 2], 0), (plain, [0, 4, 3, 1], 1),
             (plain, [4], 0), (holes, [2, 5, 0], 1), (holes, [5, 4, 4, 1], 0)]  # fmt: skip

    def stages(function):
        what = "one probability for each word"
        for tables, tokens, blank in cases:
            given, shape = [table.clone() for table in tables], (tables[2].shape[1],)
            said = f"For the ids {tokens}, where {tokens[blank]} is the blank (place {blank})."
            try:
                answer = as_tensor(function(*given, list(tokens), blank), shape, what)
            except IndexError as error:
                raise Mistake(
                    f"{said} Your function raised IndexError: {error}. {tokens[blank]} is [MASK], "
                    "which has no column in emission. Leave the place of the blank out: the words "
                    "before it are tokens[:blank], those behind it tokens[blank + 1 :]."
                ) from None
            left, right = _messages(*tables, tokens, blank)
            joint = (left * right) @ tables[2]
            wrong = _wrong_messages(*tables, tokens, blank)
            compare(
                answer,
                joint / joint.sum(),
                {
                    "That is P(word, rest). Divide by its sum, the evidence.": joint,
                    "You normalised by a softmax. These are probabilities: divide by their sum.": (
                        joint.softmax(0)
                    ),
                    **{cause: value / value.sum() for cause, value in wrong.items()},
                },
                said,
                "P(words to the left, tag) for each tag is "
                f"{[round(value, 4) for value in left.tolist()]}, P(words to the right | tag) "
                f"{[round(value, 4) for value in right.tolist()]}.",
            )

    return run_check("03.2", function, stages)


def check_kl_divergence(function: Callable) -> CheckResult:
    """Check exercise 03.3: `function(exact, log_probabilities)` is KL(exact ‖ model) by rows."""
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
