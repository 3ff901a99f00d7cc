"""Checks of the exercises in notebook 08."""

import math
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


def check_leaks(function: Callable) -> CheckResult:
    """Check exercise 08.1: `function(train, test)` finds test texts that training has seen."""
    train = ["It never came .", "great  lamp", "a lamp", "Where is it?"]
    cases: list[
        tuple[list[str], list[int], dict]
    ] = [  # test texts, answer, and what each near miss gives away
        (["a lamp", "a chair"], [0], {(2,): "Those are places in `train`; give those in `test`."}),
        (["a chair", "IT NEVER CAME ."], [1], {(): "Capitals do not make another text."}),
        (["great lamp", "a chair"], [0], {(): "Two spaces in a row read like one."}),
        ([" Where\nis it? "], [0], {(): "A line break or a space at the end is white space too."}),
        (
            ["a lamp", "A LAMP", "a chair"],
            [0, 1],
            {
                (0,): "A leaked text that stands twice in the test part counts twice there.",
                (1,): "A leaked text that stands twice in the test part counts twice there.",
            },
        ),
        (["a lamp that is great", "lamp", "alamp", "it never came."], [], {}),
        (["a\tlamp", "A  lamp\n", "Great lamp"], [0, 1, 2], {}),
        ([], [], {}),
        (["never seen"], [], {}),
    ]

    def stages(function):
        for test, expected, causes in cases:
            answer = function(list(train), list(test))
            answer = sorted(answer) if isinstance(answer, set | frozenset | dict) else answer
            answer = as_list(answer, "places in `test`")
            if any(not isinstance(i, int) or isinstance(i, bool) for i in answer):
                raise Mistake(
                    f"Expected places in `test` (whole numbers), got {list(answer)!r:.60}."
                )
            found = sorted(answer)
            if found != expected:
                cause = causes.get(tuple(found), "")
                if not expected and found:
                    cause = "A part of a text is not the text: compare whole texts."
                raise Mistake(
                    f"With train = {train} and test = {test} you gave {found}; expected "
                    f"{expected}. {cause or first_difference(found, expected)}".strip()
                )

    return run_check("08.1", function, stages)


def check_whole_loss(function: Callable) -> CheckResult:
    """Check exercise 08.2: `function(means, counts)` is the mean over the whole batch."""

    def stages(function):
        answer = as_number(function([4.0, 1.0], [3, 1]))
        wrong = {
            2.5: "That is the mean of the means: a part with one blank counts as much as one "
            "with three.",
            5.0: "That is the sum of the means; an average is asked for.",
            13.0: "That is the sum over all blanks; divide it by how many there are.",
            6.5: "You divided by the number of parts; divide by the number of blanks.",
        }
        if not close(answer, 3.25):
            for value, cause in wrong.items():
                if close(answer, value):
                    raise Mistake(
                        f"For means 4 and 1 over 3 and 1 blanks you gave {value}. {cause}"
                    )
            raise Mistake(
                f"For means 4 and 1 over 3 and 1 blanks you gave {answer:g}. Four blanks cost "
                "4 + 4 + 4 + 1 nats together."
            )
        if not close(as_number(function([2.0, 2.0, 5.0], [1, 1, 1])), 3.0):
            raise Mistake("With three parts of one blank each the mean of 2, 2 and 5 nats is 3.")
        if not close(as_number(function([0.7], [1])), 0.7):
            raise Mistake("With one part of one blank its mean, 0.7, is the loss of the batch.")
        nan = float("nan")  # the mean over a part without a blank
        answer = as_number(function([4.0, nan], [3, 0]))
        if not close(answer, 4.0):
            raise Mistake(
                f"A part without a blank has the mean NaN and the count 0; with it you gave "
                f"{answer:g}, expected 4. 0 · NaN is NaN: leave such a part out."
            )
        if not math.isnan(as_number(function([4.0, nan], [3, 2]))):
            raise Mistake(
                "A NaN over two blanks was hidden. Leave a part out for its count, not for its "
                "value: a NaN that counts must be seen."
            )
        if as_number(function([nan, nan], [0, 0])) != 0.0:
            raise Mistake("A batch without any blank costs 0, and must not divide by 0.")

    return run_check("08.2", function, stages)
