"""Checks of the exercises in notebook 05b: labels at first pieces, and F1 of one class."""

from collections.abc import Callable

from bift_utils.labs.core.checks import (
    CheckResult,
    Mistake,
    as_list,
    as_number,
    close,
    first_difference,
    run_check,
)

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
    """Check exercise 05b.1: `function(word_ids, word_labels)` labels each word's first token."""
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

    return run_check("05b.1", function, stages)


def check_f1(function: Callable) -> CheckResult:
    """Check exercise 05b.2: `function(predicted, answers, label)` is F1 of one class."""
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

    return run_check("05b.2", function, stages)
