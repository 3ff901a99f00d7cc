import re
from pathlib import Path

import pytest
import torch
from nbval.plugin import get_sanitize_patterns

from bift_utils.runtime import environment_report, make_generator, report, set_seed

SANITIZE = Path(__file__).parents[1] / "notebooks" / "sanitize.cfg"


def draw(*seeds):
    return torch.rand(4, generator=make_generator(*seeds)).tolist()


def test_generators_repeat_and_differ():
    assert draw(1, 2) == draw(1, 2)
    streams = [draw(0), draw(1), draw(0, 0), draw(0, 1), draw(1, 0), draw(2, 1), draw(1, 2)]
    assert len({tuple(stream) for stream in streams}) == len(streams)


def test_generator_needs_a_seed():
    with pytest.raises(ValueError, match="given no seed"):
        make_generator()


def test_set_seed_repeats_torch():
    set_seed(3)
    first = torch.rand(3)
    set_seed(3)
    assert torch.equal(first, torch.rand(3))


def test_generators_leave_the_global_stream_alone():
    set_seed(0)
    expected = torch.rand(3)
    set_seed(0)
    torch.rand(100, generator=make_generator(5))
    assert torch.equal(expected, torch.rand(3))


def compared(printed):
    """What nbval compares of a printed line."""
    for pattern, replacement in get_sanitize_patterns(SANITIZE.read_text(encoding="utf-8")):
        printed = re.sub(pattern, replacement, printed)
    return printed


def test_report_prints_the_value_and_the_band(capsys):
    report("loss", 1.2345, 1.0, 1.5)
    assert capsys.readouterr().out == "loss: 1.234  (expected 1 to 1.5) ✓\n"


@pytest.mark.parametrize("low, high", [(-0.25, 2), (0, 1e-5), (-3e-07, -1e-7), (1, 1)])
def test_of_a_report_the_band_is_compared_and_not_the_value(low, high, capsys):
    report("loss: a name (of its own)", low, low, high)
    report("loss: a name (of its own)", high, low, high)
    one, other = capsys.readouterr().out.splitlines()
    assert (
        compared(one)
        == compared(other)
        == (f"loss: a name (of its own): (expected {low:g} to {high:g}) ✓")
    )
    report("loss: a name (of its own)", high, low, high + 1)
    assert compared(capsys.readouterr().out.strip()) != compared(one)


@pytest.mark.parametrize("value, near", [(1.2, False), (0.6, True), (1.99, True)])
def test_a_value_may_lie_one_width_outside_and_the_line_says_so(value, near, capsys):
    report("loss", value, 1.0, 1.5)
    said = ", near enough on another machine" if near else ""
    printed = capsys.readouterr().out
    assert printed == f"loss: {value}  (expected 1 to 1.5{said}) ✓\n"
    assert compared(printed) == "loss: (expected 1 to 1.5) ✓\n"


@pytest.mark.parametrize("value", [0.49, 2.01, float("nan")])
def test_report_raises_further_outside(value):
    with pytest.raises(AssertionError, match="loss: measured .* expected between 1 and 1.5"):
        report("loss", value, 1.0, 1.5)


def test_without_a_band_the_value_is_printed(capsys):
    report("loss", 1.2345)
    assert capsys.readouterr().out == "loss: 1.234\n"
    with pytest.raises(ValueError, match="loss: the band has one end, 1.0 to None"):
        report("loss", 1.2345, 1.0)


def test_environment_report_names_the_device():
    assert {"Python", "torch", "transformers", "device", "threads"} <= set(environment_report())
