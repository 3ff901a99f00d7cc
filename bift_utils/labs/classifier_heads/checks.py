"""Checks of the exercises in notebook 05."""

import math
from collections.abc import Callable

import torch

from bift_utils.evaluation.baselines import log_count_ratios
from bift_utils.labs.core.checks import (
    NO_RETURN,
    CheckResult,
    Mistake,
    as_number,
    as_tensor,
    close,
    compare,
    first_difference,
    require_gradient,
    run_check,
)
from bift_utils.models.joint import pool
from bift_utils.runtime import make_generator


def check_mean_pool(function: Callable) -> CheckResult:
    """Check exercise 05.1: `function(hidden, attention_mask)` averages the real tokens."""

    def stages(function):
        hidden = torch.tensor(
            [[[1.0, 0.0], [3.0, 8.0], [8.0, 1.0]], [[2.0, 5.0], [6.0, 7.0], [9.0, 9.0]]]
        )
        mask = torch.tensor([[1, 1, 1], [1, 1, 0]])
        answer = as_tensor(
            function(hidden.clone(), mask.clone()), (2, 2), "one vector a row", hidden
        )
        inside = hidden * mask.unsqueeze(-1)  # (B, T, H)
        wrong = {
            "You averaged the padding too. Take only positions where attention_mask is 1.":
                hidden.mean(1),
            "You left the padding out of the sum, but divided by T all the same. Divide by the "
            "number of real tokens of the row.": inside.mean(1),
            "You left the padding out below the fraction line, but summed it above. Multiply by "
            "the mask before you sum.": hidden.sum(1) / mask.sum(1, keepdim=True),
            "That is the vector of [CLS], the first token. Average over all real tokens.":
                hidden[:, 0],
            "That is the sum over the real tokens. Divide it by their number.": inside.sum(1),
            "You divided by the number of real tokens in the whole batch; each row has its own.":
                inside.sum(1) / mask.sum(),
            "That is the largest value of each column, not the mean.": inside.amax(1),
        }  # fmt: skip
        exact = pool(hidden, mask, "mean", None)
        hint = "Row 1 has two real tokens, [2, 5] and [6, 7], and padding; their mean is [4, 6]."
        for cause, value in wrong.items():
            if close(answer, value.float()):
                raise Mistake(f"{cause} {hint}")
        compare(answer, exact, {}, hint=hint)
        generator = make_generator(5)
        places = (
            "Padding may stand on the left too: go by the mask, not by how many tokens there are."
        )
        for rows in (
            [[0, 1, 1], [0, 0, 1]],
            [[1, 0, 1, 0, 1]],
            [[1] * 5],
            [[1, 1], [1, 0], [0, 1], [1, 1]],
        ):
            mask_here = torch.tensor(rows)
            size = (*mask_here.shape, 3)
            hidden_here = torch.randn(size, generator=generator, dtype=torch.float64)
            right = pool(hidden_here, mask_here, "mean", None)
            shape = (len(rows), 3)
            what = "one vector a row"
            given = hidden_here.clone(), mask_here.clone()
            answer = as_tensor(function(*given), shape, what, hidden_here)
            compare(answer, right, {}, f"For the mask {rows}.", places)
        leaf = hidden_here.requires_grad_()
        said = "The classifier's loss must reach the encoder through it."
        answer, right = function(leaf, mask_here), pool(leaf, mask_here, "mean", None)
        require_gradient(answer, right, {"hidden": leaf}, said)

    return run_check("05.1", function, stages)


HEAD_PARTS = "loss, weight_gradient, bias_gradient"


def _head_by_hand(vectors, labels, weight, bias) -> dict[str, torch.Tensor]:
    """Return the loss of a head and its gradients by autograd, in float64."""
    weight, bias = (part.detach().double().requires_grad_() for part in (weight, bias))
    scores = vectors.double() @ weight.T + bias
    loss = torch.nn.functional.cross_entropy(scores, labels)
    found = torch.autograd.grad(loss, (weight, bias))
    return dict(zip(("loss", "weight", "bias"), (loss.detach(), *found), strict=True))


def _head_slips(vectors, labels, weight, bias) -> dict[str, dict[str, torch.Tensor]]:
    """Return what the usual mistakes lead to: part of the answer to cause to value."""
    x, count, classes = vectors.double(), len(labels), len(bias)
    right = _head_by_hand(vectors, labels, weight, bias)
    scores = x @ weight.double().T + bias.double()  # (N, K)
    p, y = scores.softmax(-1), torch.nn.functional.one_hot(labels, classes).double()
    own = p[torch.arange(count), labels]  # (N,)
    along_texts = scores.log_softmax(0)[torch.arange(count), labels]
    no_bias = _head_by_hand(vectors, labels, weight, torch.zeros_like(bias))
    sign = "The sign is turned: it is p − y. A step goes against the gradient."
    of_all = "That is the sum over the sentences; the loss is a mean, so divide by their number."
    no_truth = "The true classes are missing: subtract 1 from the probability of the true class."
    before = "You subtracted y from the scores; turn the scores into probabilities first."
    return {
        "loss": {
            "That is the sum over the sentences; take their mean.": right["loss"] * count,
            "The sign is turned: the loss is *minus* the logarithm, and never below 0.":
                -right["loss"],
            "That is in bits; take the natural logarithm.": right["loss"] / math.log(2),
            "Your probabilities sum to one over the sentences. Softmax goes along the classes, the "
            "last axis.": -along_texts.mean(),
            "You averaged over all N · K numbers; there is one loss a sentence.":
                right["loss"] / classes,
            "That is the mean probability of the true class. The loss is minus its logarithm.":
                own.mean(),
            "You took the logarithm of the mean. Take that of each sentence's probability, and "
            "then the mean.": -own.mean().log(),
            "The bias is missing from the scores.": no_bias["loss"],
            "You averaged over all classes. Only the probability of the true class counts.":
                -p.log().mean(),
        },
        "weight": {
            sign: -right["weight"],
            of_all: right["weight"] * count,
            no_truth: p.T @ x / count,
            before: (scores - y).T @ x / count,
            "You divided by N · K; the loss is a mean over the N sentences.":
                right["weight"] / classes,
        },
        "bias": {
            sign: -right["bias"],
            of_all: right["bias"] * count,
            no_truth: p.mean(0),
            before: (scores - y).mean(0),
            "You divided by N · K; the loss is a mean over the N sentences.":
                right["bias"] / classes,
        },
    }  # fmt: skip


def _compare_head(function: Callable, given: tuple, slips: dict, said: str) -> None:
    """Compare a learner's loss and gradients with the right ones, or name the slip."""
    answer = function(*(part.clone() for part in given))
    if not isinstance(answer, list | tuple) or len(answer) != 3:
        several = f"{len(answer)} values" if isinstance(answer, list | tuple) else "one value"
        came = NO_RETURN if answer is None else f"You gave {several}."
        raise Mistake(f"{came} Three values are expected: return {HEAD_PARTS}.")
    right = _head_by_hand(*given)
    loss = as_number(answer[0])
    if not math.isfinite(loss):
        raise Mistake(
            f"{said} Your loss is {loss:g}. Was the exponential of a large score taken, or the "
            "logarithm of a probability that had become 0? `log_softmax` does neither.".strip()
        )
    shape = tuple(right["weight"].shape)
    turned = isinstance(answer[1], torch.Tensor) and tuple(answer[1].shape) == shape[::-1]
    if turned and shape != shape[::-1]:
        raise Mistake(
            "The gradient of the weight has its axes exchanged. It has the shape of the weight: a "
            "row a class."
        )
    found = {
        "loss": torch.tensor(loss, dtype=torch.float64),
        "weight": as_tensor(answer[1], shape, "the gradient of the weight"),
        "bias": as_tensor(answer[2], shape[:1], "the gradient of the bias"),
    }
    for name, value in found.items():
        if close(value, right[name], 1e-4):
            continue
        what = "The loss:" if name == "loss" else f"The gradient of the {name}:"
        what = f"{said} {what} {first_difference(value, right[name].to(value.dtype))}".strip()
        for cause, wrong in slips.get(name, {}).items():
            if close(value, wrong, 1e-4):
                raise Mistake(f"{what} {cause}")
        raise Mistake(what)


def check_head_gradients(function: Callable) -> CheckResult:
    """Check exercise 05.2: `function(vectors, labels, weight, bias)` gives loss and gradients."""
    vectors = torch.tensor([[2.0, 0.5], [1.0, 3.0], [-1.0, 0.5], [0.5, -2.0]])
    labels = torch.tensor([2, 0, 1, 2])
    weight = torch.tensor([[0.3, 1.0], [1.0, -0.5], [-0.4, 0.2]])
    bias = torch.tensor([0.5, -1.0, 0.25])

    def stages(function):
        given: tuple = (vectors, labels, weight, bias)
        _compare_head(function, given, _head_slips(*given), "")
        generator = make_generator(6)
        for count, size, classes, scale in ((5, 4, 2, 1.0), (1, 3, 4, 1.0), (3, 2, 2, 400.0)):
            given = (
                scale * torch.randn(count, size, generator=generator),
                torch.randint(classes, (count,), generator=generator),
                torch.randn(classes, size, generator=generator),
                torch.randn(classes, generator=generator),
            )
            large = ", scores in the hundreds" if scale > 1 else ""
            said = f"For {count} sentences, {classes} classes, vectors of {size} numbers{large}."
            _compare_head(function, given, {}, said)

    return run_check("05.2", function, stages)


def check_log_count_ratios(function: Callable) -> CheckResult:
    """Check exercise 05.3: `function(counts, labels, alpha)` gives smoothed log-count ratios."""
    counts = torch.tensor([[1, 1, 0, 0], [1, 0, 1, 0], [1, 0, 0, 1], [0, 0, 3, 1], [1, 1, 1, 0]])
    labels = torch.tensor([1, 1, 0, 0, 0])

    def stages(function):
        what = "one ratio a feature"
        answer = as_tensor(function(counts.clone(), labels.clone(), 1.0), (4,), what)
        p, q = counts[labels == 1].double().sum(0), counts[labels == 0].double().sum(0)
        exact = torch.from_numpy(log_count_ratios(counts.numpy(), labels.tolist()))
        ratio = ((1 + p) / (1 + q)).log()
        binary = torch.from_numpy(log_count_ratios(counts.numpy() > 0, labels.tolist()))
        wrong = {
            "The smoothing is missing: a word that one class lacks gets an infinite ratio. Add "
            "alpha to every count of both classes.": ((p / p.sum()) / (q / q.sum())).log(),
            "The sign is turned: a positive ratio should speak for class 1.": -exact,
            "The class with more words wins everywhere. Divide the smoothed counts of each class "
            "by their sum.": ratio,
            "You divided by the number of texts of each class. Divide by the sum of its smoothed "
            "counts, so that each class sums to one over the words.": ratio + math.log(3 / 2),
            "You divided by the sum before alpha was added. Smooth first, then divide by the sum "
            "of what you have.": ratio + (q.sum() / p.sum()).log(),
            "You added alpha after dividing; alpha is a count. Smooth first.":
                ((1 + p / p.sum()) / (1 + q / q.sum())).log(),
            "You added alpha once a text. Add it once a class: after the sum over texts.":
                ((p + 2) / (p + 2).sum()).log() - ((q + 3) / (q + 3).sum()).log(),
            "You asked whether a word is there; sum the counts.": binary,
            "The logarithm is missing.": exact.exp(),
            "That is a logarithm to base 2; take the natural one.": exact / math.log(2),
        }  # fmt: skip
        for cause, value in wrong.items():
            if close(answer, value, 1e-5):
                raise Mistake(cause)
        if not close(answer, exact, 1e-5):
            raise Mistake(
                f"{first_difference(answer, exact)} By hand for word 0: class 1 has it 2 times of "
                "4, smoothed 3 of 8; class 0 has it 2 times of 9, smoothed 3 of 13; so "
                "ln((3/8) / (3/13)) = 0.486."
            )
        other = torch.tensor([[0, 2, 5], [4, 0, 1]])
        for table, classes, alpha in (
            (counts, labels, 0.5),
            (other, torch.tensor([0, 1]), 2.0),
            (torch.cat([other, other, other + 1]), torch.tensor([1, 0, 1, 1, 0, 1]), 0.1),
        ):
            right = torch.from_numpy(log_count_ratios(table.numpy(), classes.tolist(), alpha))
            given = table.clone(), classes.clone(), alpha
            answer = as_tensor(function(*given), tuple(right.shape), what)
            if not close(answer, right, 1e-5):
                raise Mistake(
                    f"With alpha = 1 it is right, with alpha = {alpha}, counts {table.tolist()} "
                    f"and labels {classes.tolist()} not. {first_difference(answer, right)} Is the "
                    "1 fixed, or a size?"
                )

    return run_check("05.3", function, stages)
