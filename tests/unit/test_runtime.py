import re
from pathlib import Path

import pytest
import torch
from nbval.plugin import get_sanitize_patterns

from bift_utils import runtime
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


def test_report_prints_the_band_and_not_the_value(capsys):
    report("loss", 1.2345, 1.0, 1.5)
    assert capsys.readouterr().out == "loss: between 1 and 1.5 ✓\n"


@pytest.mark.parametrize("value", [0.99, 1.51, float("nan")])
def test_report_raises_outside_the_band(value):
    with pytest.raises(AssertionError, match="loss: measured .* expected between 1 and 1.5"):
        report("loss", value, 1.0, 1.5)


@pytest.mark.parametrize("value, near", [(1.2, ""), (0.6, "0.6"), (1.99, "1.99")])
def test_on_a_gpu_a_value_may_lie_one_width_outside(value, near, capsys, monkeypatch):
    monkeypatch.setattr(runtime, "get_device", lambda: torch.device("cuda"))
    report("loss", value, 1.0, 1.5)
    said = f" (on this GPU {near}, near enough)" if near else ""
    printed = capsys.readouterr().out
    assert printed == f"loss: between 1 and 1.5{said} ✓\n"
    for pattern, replacement in get_sanitize_patterns(SANITIZE.read_text(encoding="utf-8")):
        printed = re.sub(pattern, replacement, printed)
    assert printed == "loss: between 1 and 1.5 ✓\n"  # what nbval compares


@pytest.mark.parametrize("value", [0.49, 2.01, float("nan")])
def test_on_a_gpu_too_report_raises(value, monkeypatch):
    monkeypatch.setattr(runtime, "get_device", lambda: torch.device("cuda"))
    with pytest.raises(AssertionError, match="loss: measured .* expected between 1 and 1.5"):
        report("loss", value, 1.0, 1.5)


def test_environment_report_names_the_device():
    assert {"Python", "torch", "transformers", "device", "threads"} <= set(environment_report())
