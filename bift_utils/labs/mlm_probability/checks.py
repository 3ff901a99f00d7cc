"""Checks of the exercises in notebook 03: each compares with the exact answer to 1e-6."""

from collections.abc import Callable

import torch
from torch import Tensor

from bift_utils.labs.core.checks import CheckResult, Mistake, as_number, run_check
from bift_utils.runtime import make_generator

CLOSE = 1e-6
NO_RETURN = "Your function returned None. Is a `return` missing?"


def _call(function: Callable, *inputs, shape: tuple[int, ...], hint: str) -> Tensor:
    """Call the learner's function on copies; return what it gives, if that has the right form."""
    given = [value.clone() if isinstance(value, Tensor) else value for value in inputs]
    answer = function(*given)
    if answer is None:
        raise Mistake(NO_RETURN)
    if not isinstance(answer, Tensor) or tuple(answer.shape) != shape:
        got = tuple(answer.shape) if isinstance(answer, Tensor) else type(answer).__name__
        raise Mistake(f"Expected a tensor of shape {shape}, got {got}. {hint}")
    for before, after in zip(inputs, given, strict=True):
        if isinstance(before, Tensor) and not torch.equal(before, after):
            raise Mistake("Your function changed its inputs. Build new tensors instead.")
    return answer.detach().double()


def _compare(answer: Tensor, expected: Tensor, near_misses: dict[str, Tensor], hint: str) -> None:
    """Raise the cause of the near miss that the answer equals, or the hint."""

    def same(other: Tensor) -> bool:
        return answer.shape == other.shape and torch.allclose(
            answer, other.double(), rtol=CLOSE, atol=CLOSE
        )

    if same(expected):
        return
    for cause, value in near_misses.items():
        if same(value):
            raise Mistake(cause)
    if answer.isnan().any():
        raise Mistake(f"There is a NaN in your answer. {hint}")
    gap = float((answer - expected).abs().max())
    raise Mistake(f"Your answer is off by up to {gap:.3g}. {hint}")


def check_bayes_rule(function: Callable) -> CheckResult:
    """Check exercise 03.1: `function(prior, likelihood)` is Bayes' rule, a row a sentence."""
    prior = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    # every row is one sentence; rows do not sum to one, and one candidate is ruled out
    likelihood = torch.tensor([[0.02, 0.10, 0.03], [0.004, 0.0, 0.001]], dtype=torch.float64)

    def stages(function):
        shape = (2, 3)
        hint = "One row a sentence, one column a candidate."
        try:
            answer = _call(function, prior, likelihood, shape=shape, hint=hint)
        except RuntimeError as error:
            raise Mistake(
                f"Your function raised RuntimeError: {error}. A sum along the last dimension has "
                "shape (N,); with keepdim=True it is (N, 1), and divides row by row."
            ) from None
        joint = prior * likelihood
        alone = likelihood / likelihood.sum(-1, keepdim=True)
        _compare(
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
            "Multiply each row by the prior, then divide the row by its sum.",
        )
        one = _call(function, prior, likelihood[1:], shape=(1, 3), hint=hint)
        _compare(one, (joint / joint.sum(-1, keepdim=True))[1:], {}, "Here there is one sentence.")

    return run_check("03.1", function, stages)


def check_kl_divergence(function: Callable) -> CheckResult:
    """Check exercise 03.2: `function(exact, log_probabilities)` is KL(exact ‖ model) by rows."""
    exact = torch.tensor([[0.7, 0.2, 0.1], [0.5, 0.5, 0.0]], dtype=torch.float64)
    model = torch.tensor([[0.4, 0.4, 0.2], [0.3, 0.6, 0.1]], dtype=torch.float64)
    kl = (torch.special.xlogy(exact, exact) - exact * model.log()).sum(-1)

    def stages(function):
        hint = "One number a row: sum over the candidates, the last dimension."
        first = (exact[:1], model[:1].log())
        answer = _call(function, *first, shape=(1,), hint=hint)
        p, log_q = first
        cross = -(p * log_q).sum(-1)
        backwards = (log_q.exp() * (log_q - p.log())).sum(-1)
        _compare(
            answer,
            kl[:1],
            {
                "That is KL(model ‖ exact), the other direction: weigh the log ratio with the "
                "*exact* probabilities.": backwards,
                "The sign is wrong: KL is never negative.": -kl[:1],
                "That is the cross-entropy. It is never below the entropy of the exact answer; "
                "subtract that entropy.": cross,
                "That is in bits: take the natural logarithm.": kl[:1]
                / torch.log(torch.tensor(2.0, dtype=torch.float64)),
                "You averaged over the candidates; sum them.": kl[:1] / 3,
                "The log ratio is not weighed with the exact probabilities.": (p.log() - log_q).sum(
                    -1
                ),
                "The model's answers come as logarithms already; you took the logarithm of their "
                "softmax, or of exp, twice, or forgot that they are logs.": (
                    p * (p.log() - log_q.exp())
                ).sum(-1),
            },
            "It is the sum of exact · (log exact − log model).",
        )
        answer = _call(function, exact, model.log(), shape=(2,), hint=hint)
        if answer.isnan().any():
            raise Mistake(
                "The second row has an exact probability of 0, and 0 · log 0 gave NaN. Its limit "
                "is 0: torch.special.xlogy(x, x) knows that."
            )
        _compare(
            answer,
            kl,
            {},
            "The second row has an exact probability of 0. That term is exactly 0; nothing "
            "else may change.",
        )

    return run_check("03.2", function, stages)


def check_copy_or_doubt(function: Callable) -> CheckResult:
    """Check exercise 03.3: `function(around, seen, kept, drawn)` is the optimum at a visible word.

    `kept` and `drawn` are the channel's shares of selected tokens.
    """
    around = torch.tensor([0.4, 0.3, 0.2, 0.1], dtype=torch.float64)

    def optimum(seen, kept, drawn):
        copy = kept * around[seen] / (kept * around[seen] + drawn / len(around))
        return copy * torch.eye(len(around), dtype=torch.float64)[seen] + (1 - copy) * around

    def near_misses(seen, kept, drawn):
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
            "A random draw is made from all V words, the one that stands there included: divide "
            "by V, not by V − 1.": mixed(likely / (likely + drawn / (size - 1))),
        }

    def stages(function):
        for seen, kept, drawn in ((1, 0.3, 0.1), (3, 0.1, 0.1), (0, 0.3, 0.2), (2, 0.0, 0.5)):
            hint = "Expected one probability for each candidate."
            answer = _call(function, around, seen, kept, drawn, shape=(4,), hint=hint)
            _compare(
                answer,
                optimum(seen, kept, drawn),
                near_misses(seen, kept, drawn),
                f"(π = {around.tolist()}, the word seen is number {seen}, kept {kept}, drawn "
                f"{drawn}.) Mix two answers: copy with weight κ, the context with weight 1 − κ.",
            )

    return run_check("03.3", function, stages)


def _head(hidden, w, order="dense gelu norm", approximate="none", transpose=False, bias=True):
    """The masked-LM head in one line a step; the options spoil one thing each."""
    h = hidden
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
        "These are probabilities; the head gives logits, before the softmax.": _head(
            hidden, w
        ).softmax(-1),
    }


def check_mlm_head(function: Callable) -> CheckResult:
    """Check exercise 03.4: `function(hidden, w)` is BERT's masked-LM head."""

    def stages(function):
        hidden, w = _head_weights(width=6, vocab_size=9)
        given = {name: value.clone() for name, value in w.items() if name != "eps"}
        given["eps"] = w["eps"]
        hint = "One row a position, one logit for each token of the vocabulary."
        answer = _call(function, hidden, given, shape=(4, 9), hint=hint)
        if any(
            not torch.equal(torch.as_tensor(given[name]), torch.as_tensor(w[name])) for name in w
        ):
            raise Mistake("Your function changed the weights. Build new tensors instead.")
        _compare(
            answer,
            _head(hidden, w),
            {**_wrong_heads(hidden, w), **_wrong_norms(hidden, w)},
            "Go step by step: dense, GELU, LayerNorm, then the embeddings, then the bias.",
        )

    return run_check("03.4", function, stages)


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
    vocab_size, length, model = 5, 4, _stand_in

    def score(tokens, hidden_at, mask=vocab_size) -> Tensor:
        """Sum over i of log P(x_i), with the places hidden_at(i) hidden."""
        total = torch.zeros((), dtype=torch.float64)
        for i in range(len(tokens)):
            blank = tokens.clone()
            blank[hidden_at(i)] = mask
            total = total + model(blank[None])[0, i, tokens[i]]
        return total

    def stages(function):
        for tokens in (torch.tensor([3, 0, 4, 1]), torch.tensor([2, 2, 0, 3])):
            given = tokens.clone()
            score_given = as_number(function(model, given, vocab_size))
            answer = torch.tensor(score_given, dtype=torch.float64)
            if not torch.equal(given, tokens):
                raise Mistake(
                    "Your function changed the sentence. Hide each token in a clone, or the next "
                    "one is scored with more than itself hidden."
                )
            expected = score(tokens, lambda i: [i])
            conditionals = [
                model(tokens.index_fill(0, torch.tensor(i), vocab_size)[None])[0, i, tokens[i]]
                for i in range(length)
            ]
            entries = [
                model(tokens.index_fill(0, torch.tensor(i), vocab_size)[None])[0, i, vocab_size]
                for i in range(length)
            ]
            _compare(
                answer,
                expected,
                {
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
                    "That is the mean a token; asked is the sum.": expected / length,
                    "You added probabilities; add their logarithms.": torch.stack(conditionals)
                    .exp()
                    .sum(),
                    "That is exp of the score; asked is its logarithm, in nats.": expected.exp(),
                    "The sign is wrong: a log-likelihood is below zero.": -expected,
                },
                "For each i: a clone with [MASK] at i, the model on it, the entry [0, i, x_i].",
            )

    return run_check("03.5", function, stages)
