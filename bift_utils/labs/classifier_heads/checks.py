"""Checks of the exercises in notebook 05."""

import math
from collections.abc import Callable

import torch

from bift_utils.evaluation.baselines import log_count_ratios
from bift_utils.labs.core.checks import (
    CheckResult,
    Mistake,
    as_list,
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


WORD_IDS = [None, 0, 1, 1, 1, 2, 3, 3, None]  # [CLS], a word, one in three pieces, …, [SEP]
WORD_LABELS = [1, 0, 0, 2]
FIRST_LABELS = [-100, 1, 0, -100, -100, 0, 2, -100, -100]


MORE_WORDS: list[tuple] = [  # word_ids, labels, answer, and what an error there means
    ([None, 0, 0, 1, None, None], [2, 1], [-100, 2, -100, 1, -100, -100],
     "Does anything depend on the first example?"),
    ([0, 0, 1], [1, 2], [1, -100, 2], "Here there is no special token; the first one is a word's."),
    ([None, 0, None, None, 1, 1, None], [3, 3], [-100, 3, -100, -100, 3, -100, -100],
     "Two sentences may stand in one row, with special tokens between them."),
    ([None, None], [], [-100, -100], "There may be no word at all."),
]  # fmt: skip


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
        answer = as_list(function(list(WORD_IDS), list(WORD_LABELS)), "labels")
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
            raise Mistake(
                f"For word_ids {WORD_IDS} and labels {WORD_LABELS} you gave {answer}. "
                f"{first_difference(answer, FIRST_LABELS)}"
            )
        for word_ids, word_labels, expected, cause in MORE_WORDS:
            answer = as_list(function(list(word_ids), list(word_labels)), "labels")
            if answer != expected:
                raise Mistake(
                    f"For word_ids {word_ids} and labels {word_labels} you gave {answer}. "
                    f"{first_difference(answer, expected)} {cause}"
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
        answer = as_number(function(list(predicted), list(answers), 1))
        for value, cause in wrong.items():
            if close(answer, value):
                raise Mistake(f"You gave {answer:.4g} for class 1. {cause}")
        macro = (4 / 7 + 2 / 3 + 4 / 6) / 3
        if close(answer, macro):
            raise Mistake("That is the mean over all classes; F1 of one class is asked for.")
        if not close(answer, 4 / 7):
            raise Mistake(
                f"You gave {answer:.4g} for class 1. By hand: 2 hits, 4 predicted, 3 there, so "
                "P = 2/4, R = 2/3 and F1 = 4/7."
            )
        if not close(as_number(function(list(predicted), list(answers), 2)), 2 / 3):
            raise Mistake("Class 1 is right, class 2 is not. Is the 1 written into your function?")
        if not close(as_number(function(list(predicted), list(answers), 0)), 4 / 6):
            raise Mistake("Class 0 is not right. 0 is a class like any other, and counts as False.")
        for guess, truth, what in (
            ([0, 0], [0, 1], "Class 1 was never predicted, so the precision is 0 / 0"),
            ([1, 0], [0, 0], "Class 1 never occurs, so the recall is 0 / 0"),
            ([0, 2], [2, 0], "Neither side has class 1"),
            ([1, 1], [-100, -100], "No position has an answer"),
            ([], [], "There is no position at all"),
        ):
            try:
                nothing = as_number(function(list(guess), list(truth), 1))
            except ZeroDivisionError:
                raise Mistake(
                    f"{what}, and yours divides by zero. Return 0 in such cases. (Predicted "
                    f"{guess}, answers {truth}.)"
                ) from None
            if nothing != 0:
                raise Mistake(f"{what}. With no hit at all F1 is 0; you gave {nothing:g}.")
        perfect = as_number(function([1, 0, 1], [1, 0, 1], 1))
        if not close(perfect, 1.0):
            raise Mistake(f"Where every prediction is right F1 is 1; you gave {perfect:g}.")

    return run_check("05.3", function, stages)


def check_log_count_ratios(function: Callable) -> CheckResult:
    """Check exercise 05.4: `function(counts, labels, alpha)` gives smoothed log-count ratios."""
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

    return run_check("05.4", function, stages)
