"""A table of runs goes on where it was: whatever it lost, and whatever is asked for next."""

import pytest

from bift_utils.results.rows import ResultRows

COLUMNS, KEY = ("name", "seed", "score"), ("name", "seed")
RUNS = [{"name": name, "seed": seed, "score": seed / 8} for seed in range(2) for name in "ab"]


def run(path, runs=RUNS):
    """Run what is missing, and return what was run."""
    table = ResultRows(path, COLUMNS, KEY)
    missing = [row for row in runs if row not in table]
    for row in missing:
        table.append(row)
    return missing


@pytest.fixture
def finished(tmp_path):
    path = tmp_path / "new folder" / "rows.csv"
    assert run(path) == RUNS
    return path


def test_a_second_call_adds_nothing(finished):
    before = finished.read_bytes()
    assert run(finished) == [] and finished.read_bytes() == before


@pytest.mark.parametrize("kept", [1, 2, 4])  # lines, header included
def test_a_killed_study_is_completed(finished, kept):
    whole = finished.read_text()
    finished.write_text("".join(whole.splitlines(keepends=True)[:kept]))
    run(finished)
    assert finished.read_text() == whole


@pytest.mark.parametrize("lost", [3, 6])  # a part of the last column, or several
def test_a_row_cut_in_the_middle_is_run_again(finished, lost):
    whole = finished.read_text()
    finished.write_text(whole[:-lost])
    assert run(finished) == RUNS[-1:]
    assert finished.read_text() == whole


def test_a_row_lost_in_the_middle_is_run_again(finished):
    lines = finished.read_text().splitlines(keepends=True)
    finished.write_text("".join(lines[:2] + lines[3:]))
    assert run(finished) == RUNS[1:2]


def test_what_is_no_part_of_the_key_does_not_make_another_run(finished):
    assert run(finished, [{**RUNS[0], "score": 7.0}]) == []
    assert run(finished, [{**RUNS[0], "seed": 7}]) == [{**RUNS[0], "seed": 7}]


def test_a_table_of_other_columns_is_left_as_it_is(finished):
    before = finished.read_bytes()
    with pytest.raises(ValueError, match=r"other columns than this command writes: \['loss'"):
        ResultRows(finished, ("name", "seed", "loss"), KEY)
    assert finished.read_bytes() == before
