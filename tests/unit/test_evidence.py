"""Intervals: they cover as often as they promise, and refuse what they cannot use."""

import math

import pandas
import pytest
import torch
from scipy import stats

from bift_utils.evaluation.intervals import (
    compare,
    holm,
    p_value,
    prediction_interval,
    resample,
    seed_interval,
    two_way_interval,
    verdict,
)
from bift_utils.runtime import make_generator


def width(interval):
    return interval[2] - interval[1]


def test_one_more_run_falls_inside_in_19_of_20_cases():
    drawn = torch.randn(4000, 6, generator=make_generator(0), dtype=torch.float64)
    inside = [
        low <= float(row[5]) <= high
        for row in drawn
        for _, low, high in [prediction_interval(row[:5].tolist())]
    ]
    assert sum(inside) / len(inside) == pytest.approx(0.95, abs=0.014)  # four standard errors


def test_by_hand():
    mean, low, high = prediction_interval([1.0, 3.0])
    assert mean == 2.0
    assert high - mean == mean - low == pytest.approx(12.706 * (2 * 1.5) ** 0.5, rel=1e-4)


def test_a_table_with_rows_only_spreads_as_the_mean_of_rows():
    rows = torch.tensor([1.0, -1.0, 1.0, -1.0])[:, None].expand(4, 50)
    for table, wanted in ((rows, 0.5), (rows.T, 0.5), (torch.ones(3, 4), 0.0)):
        means = resample(table, 4000, make_generator(1))
        assert means.shape == (4000,) and means.dtype == torch.float64
        assert float(means.std()) == pytest.approx(wanted, rel=0.05)


def test_seeds_and_items_both_count():
    generator = make_generator(2)
    rows = torch.randn(8, 1, generator=generator)
    columns = torch.randn(1, 8, generator=generator)
    both, one = (two_way_interval(table) for table in (rows + columns, rows + 0 * columns))
    assert width(both) > 1.1 * width(one)
    assert both[0] == pytest.approx(float((rows + columns).mean()), abs=1e-6)
    assert both[1] < both[0] < both[2]


def test_the_same_seed_gives_the_same_interval():
    table = torch.randn(5, 40, generator=make_generator(3))
    assert two_way_interval(table) == two_way_interval(table)
    assert two_way_interval(table) != two_way_interval(table, seed=1)
    assert width(two_way_interval(table, confidence=0.5)) < width(two_way_interval(table))


@pytest.mark.parametrize("shape", [(5,), (1, 5), (5, 1)])
def test_nothing_to_resample_is_said(shape):
    with pytest.raises(ValueError, match="at least two of each"):
        two_way_interval(torch.zeros(shape))
    with pytest.raises(ValueError, match="two values or more"):
        prediction_interval([1.0])


def test_p_below_a_level_means_zero_outside_the_interval_of_that_level():
    values = [0.4, 0.1, 0.5, 0.2]
    p = p_value(values)
    assert 0 < p < 0.05
    _, low, _ = seed_interval(values, confidence=1 - p)
    assert low == pytest.approx(0.0, abs=1e-9)
    assert p_value([0.0, 0.0]) == 1.0 and p_value([0.1, 0.1]) == 0.0


def test_the_interval_holds_as_many_draws_as_it_says():
    table = torch.randn(6, 50, generator=make_generator(4))
    means = resample(table, 2000, torch.Generator().manual_seed(0))
    for confidence in (0.95, 0.5):
        _, low, high = two_way_interval(table, confidence=confidence)
        inside = ((means >= low) & (means <= high)).double().mean()
        assert float(inside) == pytest.approx(confidence, abs=0.002)


def test_the_verdict_needs_the_whole_interval():
    assert verdict((1.0, -0.1, 2.0)) == "undecided"
    assert verdict((0.0, 0.0, 0.0)) == "the same"
    assert verdict((1.0, 0.1, 2.0)) == "better"
    assert verdict((1.0, 0.1, 2.0), higher_is_better=False) == "worse"
    assert verdict((-1.0, -2.0, -0.1), higher_is_better=False) == "better"


def test_the_p_value_and_the_interval_of_overlapping_splits_agree_about_zero():
    values, share = [1.0, 2.0, 3.0, 4.0, 5.0], 1280 / 5970
    low = seed_interval(values, share)[1]
    assert low < seed_interval(values)[1]
    assert p_value([value - low for value in values], share) == pytest.approx(0.05)
    error = stats.tstd(values) * math.sqrt(1 / 5 + share)
    assert p_value(values, share) == pytest.approx(2 * stats.t.sf(3.0 / error, 4))
    assert p_value([0.0] * 5, share) == 1.0 and p_value([0.1] * 5, share) == 0.0


def test_a_table_of_comparisons_says_of_each_what_its_parts_say():
    differences = {("a", 32): [0.4, 0.1, 0.5, 0.2], ("b", 32): [1.0, -2.0], ("b", 128): [0.1, 0.1]}
    for share in (0.0, 0.5):
        table = compare(differences, test_over_train=share)
        assert list(table.columns) == ["mean", "low", "high", "p", "stands"]
        for name, values in differences.items():
            row = table.loc[name]
            assert tuple(row[["mean", "low", "high"]]) == seed_interval(values, share)
            assert row["p"] == p_value(values, share)


def test_a_comparison_stands_by_holm_within_its_table():
    differences = {"close": [0.4, 0.1, 0.5, 0.2], "clear": [0.4, 0.3, 0.5, 0.4]}
    assert compare(differences)["stands"].to_dict() == {"close": True, "clear": True}
    more = compare({**differences, "none": [1.0, -1.0]})["stands"]
    assert more.to_dict() == {"close": False, "clear": True, "none": False}  # 0.046 > 0.05 / 2
    column = pandas.Series([0.4, 0.1, 0.5, 0.2], index=[7, 8, 9, 10])
    assert compare({"close": column}).equals(compare({"close": column.tolist()}))
    with pytest.raises(ValueError, match="two values or more, got 1"):
        compare({"one": [0.1]})
    with pytest.raises(ValueError, match="expected finite numbers"):
        compare({"lost": [0.1, float("nan"), 0.2]})


def test_holm_stops_at_the_first_that_does_not_stand():
    assert holm({"a": 0.03, "b": 0.01, "c": 0.04}) == ["b"]  # 0.03 > 0.05 / 2
    assert holm({"a": 0.02, "b": 0.01, "c": 0.04}) == ["b", "a", "c"]
    assert holm({"a": 0.02, "b": 0.02, "c": 0.02}) == []
