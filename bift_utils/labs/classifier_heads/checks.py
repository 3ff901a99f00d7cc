"""Checks of the exercises in notebook 05."""

import math
from collections.abc import Callable

import torch

from bift_utils.data.batches import IGNORE_INDEX
from bift_utils.evaluation.baselines import log_count_ratios
from bift_utils.labs.core.checks import CheckResult, Mistake, as_number, run_check
from bift_utils.models.joint import pool


def _tensor(answer, shape: tuple[int, ...], name: str) -> torch.Tensor:
    """Return the learner's tensor in float64, or say what is wrong with its form."""
    if answer is None:
        raise Mistake("Your function returned None. Is a `return` missing?")
    if not isinstance(answer, torch.Tensor):
        raise Mistake(f"Expected a tensor, got {type(answer).__name__}.")
    if tuple(answer.shape) != shape:
        raise Mistake(f"Expected {name} of shape {shape}, got {tuple(answer.shape)}.")
    return answer.double()


def check_mean_pool(function: Callable) -> CheckResult:
    """Check exercise 05.1: `function(hidden, attention_mask)` averages the real tokens."""

    def stages(function):
        hidden = torch.tensor(
            [[[1.0, 0.0], [3.0, 8.0], [8.0, 1.0]], [[2.0, 5.0], [6.0, 7.0], [9.0, 9.0]]]
        )
        mask = torch.tensor([[1, 1, 1], [1, 1, 0]])
        given = hidden.clone(), mask.clone()
        answer = _tensor(function(*given), (2, 2), "one vector a row")
        if not (torch.equal(given[0], hidden) and torch.equal(given[1], mask)):
            raise Mistake("Your function changed its inputs. Multiply into a new tensor instead.")
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
        for cause, value in wrong.items():
            if torch.allclose(answer, value.double()):
                raise Mistake(f"{cause} (Row 1 has two real tokens and one of padding.)")
        exact = pool(hidden, mask, "mean", None).double()
        if not torch.allclose(answer, exact):
            raise Mistake(
                f"For row 1 you gave {[round(v, 3) for v in answer[1].tolist()]}; the mean of "
                "[2, 5] and [6, 7] is [4, 6]."
            )
        long = torch.ones(3, 5, 4)
        if not torch.allclose(
            _tensor(function(long, torch.ones(3, 5)), (3, 4), "one vector a row"),
            torch.ones(3, 4).double(),
        ):
            raise Mistake("The mean of vectors of ones is a vector of ones, for any batch size.")

    return run_check("05.1", function, stages)


WORD_IDS = [None, 0, 1, 1, 1, 2, 3, 3, None]  # [CLS], a word, one in three pieces, …, [SEP]
WORD_LABELS = [1, 0, 0, 2]
FIRST_LABELS = [-100, 1, 0, -100, -100, 0, 2, -100, -100]


def check_first_labels(function: Callable) -> CheckResult:
    """Check exercise 05.2: `function(word_ids, word_labels)` labels each word's first token."""
    wrong = {
        "You labelled every piece. Only the first piece of a word gets its label; the others "
        "get −100.": [-100, 1, 0, 0, 0, 0, 2, 2, -100],
        "You labelled the last piece of each word. The first one is asked for.":
            [-100, 1, -100, -100, 0, 0, -100, 2, -100],
        "Your labels are one place early: [CLS] has word number None and the label −100.":
            [*FIRST_LABELS[1:], -100],
        "[CLS] and [SEP] belong to no word: None must give −100, not a class.":
            [0, *FIRST_LABELS[1:-1], 0],
        "Word number 0 lost its label. `if not word_id` is true for 0 as well as for None; write "
        "`word_id is None`.": [-100, -100, *FIRST_LABELS[2:]],
        "Two neighbours of the same class are two words. Compare word numbers, not labels.":
            [-100, 1, 0, -100, -100, -100, 2, -100, -100],
        "The other pieces got 0, which is a class. Write −100 where nothing is asked.":
            [0, 1, 0, 0, 0, 0, 2, 0, 0],
    }  # fmt: skip

    def stages(function):
        given = list(WORD_IDS), list(WORD_LABELS)
        answer = function(*given)
        if given != (WORD_IDS, WORD_LABELS):
            raise Mistake("Your function changed its inputs. Build a new list instead.")
        if isinstance(answer, torch.Tensor):
            answer = answer.tolist()
        if not isinstance(answer, list | tuple):
            kind = "None. Is a `return` missing?" if answer is None else f"{type(answer).__name__}."
            raise Mistake(f"Expected a list of labels, got {kind}")
        answer = list(answer)
        if len(answer) != len(WORD_IDS):
            raise Mistake(
                f"There are {len(WORD_IDS)} tokens and you gave {len(answer)} labels; every token "
                "needs one, [CLS], [SEP] and later pieces too."
            )
        if None in answer:
            raise Mistake("Write −100, not None: a loss cannot read None.")
        for cause, value in wrong.items():
            if answer == value:
                raise Mistake(cause)
        if answer != FIRST_LABELS:
            raise Mistake(f"For word_ids {WORD_IDS} and labels {WORD_LABELS} you gave {answer}.")
        again = list(function([None, 0, 0, 1, None, None], [2, 1]))
        if again != [IGNORE_INDEX, 2, IGNORE_INDEX, 1, IGNORE_INDEX, IGNORE_INDEX]:
            raise Mistake(
                f"For word_ids [None, 0, 0, 1, None, None] and labels [2, 1] you gave {again}. "
                "Does anything depend on the first example?"
            )

    return run_check("05.2", function, stages)


def check_f1(function: Callable) -> CheckResult:
    """Check exercise 05.3: `function(predicted, answers, label)` is F1 of one class."""
    predicted = [1, 1, 1, 1, 0, 0, 1, 2, 1, 0, 1, 1]
    answers = [1, 1, 0, 2, 1, 0, -100, 2, -100, 0, -100, -100]
    # class 1 among the eight that count: 2 hits, 4 predicted, 3 there: P = 1/2, R = 2/3, F1 = 4/7
    wrong = {
        5 / 8: "That is the accuracy over all classes.",
        5 / 12: "That is the accuracy over all classes, with positions counted that have no answer "
        "(−100).",
        1 / 2: "That is the precision: of those called class 1, how many are? F1 needs the recall "
        "too.",
        2 / 3: "That is the recall: of those that are class 1, how many were found? F1 needs the "
        "precision too.",
        2 / 8: "That is a precision in which predictions at −100 count as wrong.",
        7 / 12: "That is the arithmetic mean of precision and recall. F1 is the harmonic one: "
        "2·P·R / (P + R).",
        4 / 11: "Predictions where the answer is −100 were counted as wrong. Leave them out first.",
        1 / 3: "That is P·R; F1 divides it by their mean.",
        2 / 5: "That is hits / (hits + misses + false alarms). F1 counts the hits twice.",
    }

    def stages(function):
        given = list(predicted), list(answers)
        answer = as_number(function(*given, 1))
        if given != (predicted, answers):
            raise Mistake("Your function changed its inputs. Build new lists instead.")
        for value, cause in wrong.items():
            if math.isclose(answer, value, rel_tol=1e-6):
                raise Mistake(f"You gave {answer:.4g} for class 1. {cause}")
        macro = (4 / 7 + 2 / 3 + 4 / 6) / 3
        if math.isclose(answer, macro, rel_tol=1e-6):
            raise Mistake("That is the mean over all classes; F1 of one class is asked for.")
        if not math.isclose(answer, 4 / 7, rel_tol=1e-6):
            raise Mistake(
                f"You gave {answer:.4g} for class 1. By hand: 2 hits, 4 predicted, 3 there, so "
                "P = 2/4, R = 2/3 and F1 = 4/7."
            )
        if not math.isclose(as_number(function(*given, 2)), 2 / 3, rel_tol=1e-6):
            raise Mistake("Class 1 is right, class 2 is not. Is the 1 written into your function?")
        try:
            nothing = as_number(function([0, 0], [0, 1], 1))
        except ZeroDivisionError:
            raise Mistake(
                "Class 1 was never predicted, so the precision is 0 / 0. Return 0 in such cases."
            ) from None
        if nothing != 0:
            raise Mistake(f"With no hit at all F1 is 0; you gave {nothing:g}.")

    return run_check("05.3", function, stages)


def check_log_count_ratios(function: Callable) -> CheckResult:
    """Check exercise 05.4: `function(counts, labels, alpha)` gives smoothed log-count ratios."""
    counts = torch.tensor([[1, 1, 0, 0], [1, 0, 1, 0], [1, 0, 0, 1], [0, 0, 3, 1], [1, 1, 1, 0]])
    labels = torch.tensor([1, 1, 0, 0, 0])

    def stages(function):
        given = counts.clone(), labels.clone()
        answer = _tensor(function(*given, 1.0), (4,), "one ratio a feature")
        if not (torch.equal(given[0], counts) and torch.equal(given[1], labels)):
            raise Mistake("Your function changed its inputs. Build new tensors instead.")
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
            if torch.allclose(answer, value):
                raise Mistake(cause)
        if not torch.allclose(answer, exact, atol=1e-5):
            raise Mistake(
                f"For word 0 you gave {float(answer[0]):.3f}. By hand: class 1 has it 2 times of "
                "4, smoothed 3 of 8; class 0 has it 2 times of 9, smoothed 3 of 13; so "
                "ln((3/8) / (3/13)) = 0.486."
            )
        half = torch.from_numpy(log_count_ratios(counts.numpy(), labels.tolist(), 0.5))
        if not torch.allclose(
            _tensor(function(*given, 0.5), (4,), "one ratio a feature"), half, atol=1e-5
        ):
            raise Mistake("With alpha = 1 it is right, with alpha = 0.5 not. Is the 1 fixed?")

    return run_check("05.4", function, stages)
