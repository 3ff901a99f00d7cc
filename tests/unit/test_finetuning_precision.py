"""One global batch, however it is cut up: several passes, several processes; and half precision."""

import json
import os
import socket
import subprocess
import sys

import pytest
import torch
from own_tables import films, save_tiny_checkpoint, write_table
from safetensors.torch import load_file

from bift_utils.finetune.output import MARK
from bift_utils.finetune.run import finetune

STILL = {"epochs": 2, "learning_rate": 2e-3, "batch_size": 10, "dropout": 0.0, "mlm_weight": 0.3}
LOSSES = ("loss", "mlm_loss", "task_loss")


@pytest.fixture(scope="module")
def checkpoint(tokenizer, tmp_path_factory):
    return save_tiny_checkpoint(tmp_path_factory.mktemp("tiny"), tokenizer)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Labelled and unlabelled rows of different lengths: parts of a batch weigh differently."""
    rows = [*films(90), *[(text, "") for text, _ in films(45, seed=3)]]
    return write_table(tmp_path_factory.mktemp("own") / "own.csv", rows)


@pytest.fixture(scope="module")
def alone(table, checkpoint):
    return fit(table, checkpoint, "alone")


def fit(table, checkpoint, name, **options):
    output = table.parent / name
    finetune(table, output, say=[].append, model=str(checkpoint), **{**STILL, **options})
    return output


def losses(output):
    """Return every loss of every update and evaluation of a run, in order."""
    history = json.loads((output / MARK).read_text("utf-8"))["history"]
    rows = history["steps"] + history["evaluations"]
    return torch.tensor([row[name] for row in rows for name in LOSSES if name in row])


def largest_difference(one, two):
    return float((losses(one) - losses(two)).abs().max())


@pytest.mark.parametrize("accumulate", [3, 10])
def test_several_passes_equal_one(table, checkpoint, alone, accumulate):
    cut_up = fit(table, checkpoint, f"cut_{accumulate}", accumulate=accumulate)
    assert largest_difference(alone, cut_up) < 1e-5
    weights = [load_file(folder / "model.safetensors") for folder in (alone, cut_up)]
    for name, value in weights[0].items():
        if name.endswith("key.bias"):
            continue  # softmax cancels it: its gradient is rounding alone, which Adam scales up
        torch.testing.assert_close(weights[1][name], value, rtol=1e-3, atol=1e-4)


def command(table, checkpoint, output):
    options = {"--model": checkpoint, "--output": output}
    options |= {f"--{name.replace('_', '-')}": value for name, value in STILL.items()}
    given = [str(part) for pair in options.items() for part in pair]
    return ["-m", "bift_utils.finetune", str(table), *given]


def test_two_processes_give_the_losses_of_one(table, checkpoint, alone):
    """Without dropout, which each process draws for itself."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    output = table.parent / "two"
    # without --multi_gpu, `accelerate launch` starts a single process where there is no GPU
    done = subprocess.run(
        [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2",
         "--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no",
         "--main_process_port", str(port), *command(table, checkpoint, output)],
        env={**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true",
             "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert processes(output) == 2 and processes(alone) == 1
    assert done.stdout.count(", 2 processes.") == done.stdout.count("Saved in") == 1  # one speaks
    assert largest_difference(alone, output) < 1e-5


def processes(output):
    return json.loads((output / MARK).read_text("utf-8"))["processes"]


def test_another_seed_is_another_run(table, checkpoint, alone):
    """Guard of the tests above: they would notice."""
    other = fit(table, checkpoint, "other", seed=1)
    assert largest_difference(alone, other) > 1e-2


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_by_argument(table, checkpoint, alone, precision):
    half = fit(table, checkpoint, precision, precision=precision)
    assert 1e-6 < largest_difference(alone, half) < 0.1
    weights = load_file(half / "model.safetensors")
    assert {value.dtype for value in weights.values()} == {torch.float32}
    assert f"precision = {precision}" in (half / "report.md").read_text("utf-8")
