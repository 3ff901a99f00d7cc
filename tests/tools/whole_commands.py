"""Whole commands, process against process: what `python -m bift_utils.finetune` takes.

Used by `benchmark.py`. A round runs the Trainer script and the command on one table, in turns.
"""

import csv
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from bift_utils.data.texts import load_reviews
from bift_utils.finetune.options import FinetuneOptions
from bift_utils.finetune.steps import FinetuneRun
from bift_utils.models.checkpoints import find_checkpoint
from bift_utils.runtime import make_generator

ROWS, EPOCHS, MANY, CLASSES = 2000, 3, 40_000, 20
SCRIPT = Path(__file__).with_name("trainer_script.py")


def write_table(path: Path, rows: int, classes: int = 2) -> Path:
    """Write film reviews as a table; where they run out, they come again with a number."""
    reviews = load_reviews("rotten_tomatoes")
    mixed = torch.randperm(len(reviews), generator=make_generator(0)).tolist()
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("text", "label"))
        for i in range(rows):
            place = mixed[i % len(mixed)]
            text = reviews.texts[place] + f" {i}" * (i >= len(mixed))
            label = reviews.labels[place] if classes == 2 else i % classes
            writer.writerow((text, f"class {label}"))
    return path


def run(command: list[str]) -> float:
    """Run a command to its end and return the seconds."""
    start = time.perf_counter()
    subprocess.run(command, check=True, env=os.environ, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)  # fmt: skip
    return time.perf_counter() - start


def finetune_command(table: Path, output: Path, *options: str) -> list[str]:
    """Return the command with the Trainer script's budget."""
    fixed = ["--epochs", str(EPOCHS), "--evaluations-per-epoch", "1", "--overwrite"]
    return [sys.executable, "-m", "bift_utils.finetune", str(table), "--output", str(output),
            *fixed, *options]  # fmt: skip


def measure_commands(rounds: int) -> dict[str, list[float]]:
    """Return the seconds of each whole command, a number a round."""
    seconds: dict[str, list[float]] = {"trainer": [], "plain": [], "joint": []}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        table = write_table(folder / "table.csv", ROWS)
        script = [sys.executable, str(SCRIPT), str(table), str(find_checkpoint("bift-mini"))]
        for _ in range(rounds):
            seconds["trainer"].append(run([*script, str(folder / "theirs"), str(EPOCHS)]))
            for name, weight in (("plain", "0"), ("joint", "0.1")):
                command = finetune_command(table, folder / name, "--mlm-weight", weight)
                seconds[name].append(run(command))
    return seconds


def measure_preparing() -> float:
    """Return the seconds from a table of 40,000 rows to a run that is ready to train."""
    with tempfile.TemporaryDirectory() as scratch:
        small = write_table(Path(scratch) / "small.csv", 100)
        FinetuneRun(small, FinetuneOptions(), lambda line: None)  # what is imported is there now
        table = write_table(Path(scratch) / "table.csv", MANY)
        start = time.perf_counter()
        FinetuneRun(table, FinetuneOptions(), lambda line: None)
        return time.perf_counter() - start


def measure_memory() -> float:
    """Return the most memory (GB) that the command held, with 20 classes."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        table = write_table(folder / "table.csv", ROWS, CLASSES)
        run(finetune_command(table, folder / "model"))
    most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss  # of all children so far
    return most * (1 if sys.platform == "darwin" else 1024) / 1e9
