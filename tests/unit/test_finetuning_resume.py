"""Killed at any moment and started again with `resume`, a run ends as if nothing had happened."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from own_tables import films, save_tiny_checkpoint, write_table

from bift_utils.finetune import steps
from bift_utils.finetune.output import MARK
from bift_utils.finetune.run import finetune
from bift_utils.finetune.state import STATE, state_folder
from bift_utils.finetune.steps import FinetuneRun

FAST = {"epochs": 3, "learning_rate": 5e-3, "batch_size": 8, "evaluations_per_epoch": 2}
# forks, because starting Python and its libraries takes longer than a whole run of this size
KILLER = """
import json, os, random, signal, sys, time
import accelerate.state, bift_utils.finetune.run, bift_utils.plotting, psutil, sklearn.linear_model
options, output = json.loads(sys.argv[1]), sys.argv[2]

def start(output):
    child = os.fork()
    if child == 0:
        with open(output + ".log", "a") as log:
            say = lambda line: print(line, file=log, flush=True)
            bift_utils.finetune.run.finetune(output=output, say=say, resume=True, **options)
        os._exit(0)
    return child

def worked(child):  # seconds of computing: a busy machine changes nothing
    return sum(psutil.Process(child).cpu_times()[:2])

_, status, used = os.wait4(start(output + ".unbroken"), 0)
assert status == 0
whole, rng, kills, ended = used.ru_utime + used.ru_stime, random.Random(0), 0, []
while kills < 6 or not ended:
    broken = output + str(len(ended))
    child, until = start(broken), whole * rng.uniform(0.3, 0.7) if kills < 6 else float("inf")
    while worked(child) < until and psutil.Process(child).status() != "zombie":
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)  # does nothing to a child that has ended
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        kills += 1
    else:  # how many kills one run takes depends on how long the machine needs to start it
        assert status == 0, status
        ended.append(broken)
print(json.dumps(ended))
"""


class Killed(Exception):
    """Stands for a kill after some evaluations: nothing of the run is left but its files."""


@pytest.fixture(scope="module")
def checkpoint(tokenizer, tmp_path_factory):
    return save_tiny_checkpoint(tmp_path_factory.mktemp("tiny"), tokenizer)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    rows = [*films(120), *[(text, "") for text, _ in films(40, seed=3)]]
    return write_table(tmp_path_factory.mktemp("own") / "own.csv", rows)


@pytest.fixture(scope="module")
def whole(table, checkpoint):
    """An unbroken run."""
    output = table.parent / "whole"
    finetune(table, output, say=[].append, model=str(checkpoint), **FAST)
    return output


def same(whole, output):
    """Weights bit for bit, and everything that was measured on the way."""
    weights = [(folder / "model.safetensors").read_bytes() for folder in (whole, output)]
    reports = [json.loads((folder / MARK).read_text("utf-8")) for folder in (whole, output)]
    for report in reports:
        del report["seconds"]
    return weights[0] == weights[1] and reports[0] == reports[1]


def broken_off(table, output, checkpoint, monkeypatch, after):
    """Run until some evaluations are done and their states saved."""
    calls, evaluate = [], FinetuneRun.evaluate

    def killed_before(run, model):
        calls.append(1)
        if len(calls) > after + 1:  # the first is before training
            raise Killed
        return evaluate(run, model)

    with monkeypatch.context() as patch:
        patch.setattr(FinetuneRun, "evaluate", killed_before)
        with pytest.raises(Killed):
            finetune(table, output, say=[].append, model=str(checkpoint), **FAST)
    return state_folder(output)


def damage(path):
    """Turn over one byte amid the largest tensor: a byte between two tensors may mean nothing."""
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        largest = max(archive.infolist(), key=lambda part: part.file_size)
        start = content.index(archive.read(largest), largest.header_offset)
    content[start + largest.file_size // 2] ^= 0xFF
    path.write_bytes(content)


def resumed(table, output, checkpoint, monkeypatch, **options):
    """Go on; return what was said, and how many evaluations were made after the first."""
    said, calls, evaluate = [], [], FinetuneRun.evaluate
    with monkeypatch.context() as patch:
        patch.setattr(FinetuneRun, "evaluate", lambda *a: calls.append(1) or evaluate(*a))
        finetune(
            table, output, resume=True, say=said.append, model=str(checkpoint), **FAST, **options
        )
    return said, len(calls) - 1


def test_killed_at_random_moments(table, checkpoint, tmp_path):
    output = tmp_path / "model"
    options = json.dumps({"table": str(table), "model": str(checkpoint), **FAST})
    command = [sys.executable, "-c", KILLER, options, str(output)]
    one = {**os.environ, "OMP_NUM_THREADS": "1"}  # waiting threads would count as computing
    done = subprocess.run(command, capture_output=True, text=True, env=one)
    assert done.returncode == 0, done.stderr
    ended = [Path(folder) for folder in json.loads(done.stdout)]
    logs = [Path(f"{folder}.log").read_text("utf-8") for folder in ended]
    assert not any("damaged" in log for log in logs)  # a kill alone damages nothing
    assert any("Going on from the saved state." in log for log in logs)
    assert all(same(Path(f"{output}.unbroken"), folder) for folder in ended)
    assert not any(state_folder(folder).exists() for folder in ended)


@pytest.mark.parametrize("after", [1, 3, 5])
def test_going_on_repeats_nothing(table, checkpoint, whole, tmp_path, monkeypatch, after):
    broken_off(table, tmp_path / "model", checkpoint, monkeypatch, after)
    said, count = resumed(table, tmp_path / "model", checkpoint, monkeypatch)
    assert "Going on from the saved state." in said
    assert count == 6 - after
    assert same(whole, tmp_path / "model")


def test_a_damaged_state_is_refused_and_left_alone(table, checkpoint, whole, tmp_path, monkeypatch):
    folder = broken_off(table, tmp_path / "model", checkpoint, monkeypatch, after=3)
    damage(folder / STATE)
    with pytest.raises(ValueError, match="no saved training state, or a damaged one .* start anew"):
        resumed(table, tmp_path / "model", checkpoint, monkeypatch)
    (folder / STATE).unlink()
    said, count = resumed(table, tmp_path / "model", checkpoint, monkeypatch)
    assert "There is no saved state yet." in said and count == 6
    assert same(whole, tmp_path / "model")


def test_a_finished_run_is_not_run_again(table, checkpoint, whole, monkeypatch):
    before = (whole / "model.safetensors").stat().st_mtime_ns
    said = []
    report = finetune(table, whole, resume=True, say=said.append, model=str(checkpoint), **FAST)
    assert said == [f"The run is finished already; its model lies in {whole}."]
    assert report == json.loads((whole / MARK).read_text("utf-8"))
    assert (whole / "model.safetensors").stat().st_mtime_ns == before
    with pytest.raises(FileExistsError, match="already holds a model"):  # of other options
        finetune(
            table, whole, resume=True, say=said.append, model=str(checkpoint),
            **{**FAST, "epochs": 4},
        )  # fmt: skip


def test_with_other_options_it_is_refused(table, checkpoint, tmp_path, monkeypatch):
    broken_off(table, tmp_path / "model", checkpoint, monkeypatch, after=2)
    with pytest.raises(ValueError, match="epochs was 3, now 4. Resume it as it was"):
        finetune(
            table, tmp_path / "model", resume=True, say=[].append, model=str(checkpoint),
            **{**FAST, "epochs": 4},
        )  # fmt: skip
    other = write_table(tmp_path / "own.csv", films(121))
    with pytest.raises(ValueError, match="the table has changed"):
        finetune(other, tmp_path / "model", resume=True, model=str(checkpoint), **FAST)


def test_an_old_model_stays_until_the_new_one_is_whole(
    table, checkpoint, whole, tmp_path, monkeypatch
):
    output = tmp_path / "model"
    finetune(table, output, say=[].append, model=str(checkpoint), **{**FAST, "epochs": 1})
    old = (output / "model.safetensors").read_bytes()
    monkeypatch.setattr(steps, "save_history_figure", lambda *a: (_ for _ in ()).throw(Killed))
    with pytest.raises(Killed):
        finetune(table, output, True, say=[].append, model=str(checkpoint), **FAST)
    assert (output / "model.safetensors").read_bytes() == old
    monkeypatch.undo()
    _, count = resumed(table, output, checkpoint, monkeypatch, overwrite=True)
    assert count == 0 and same(whole, output)


def test_stopped_by_hand_it_says_so_and_can_go_on(table, checkpoint, whole, tmp_path, monkeypatch):
    evaluate, calls = FinetuneRun.evaluate, []

    def interrupted(self, model):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return evaluate(self, model)

    with monkeypatch.context() as patch:
        patch.setattr(FinetuneRun, "evaluate", interrupted)
        with pytest.raises(KeyboardInterrupt):
            finetune(table, tmp_path / "model", say=[].append, model=str(checkpoint), **FAST)
    assert not (tmp_path / "model").exists()
    resumed(table, tmp_path / "model", checkpoint, monkeypatch)
    assert same(whole, tmp_path / "model")
