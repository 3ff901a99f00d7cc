"""What the loop of joint training costs: its step against `Trainer`'s, and time against data.

`python tests/tools/benchmark_joint.py` measures, on the GPU in bf16 where there is one and else on
the CPU in fp32: tokens a second of `training.update` against a `Trainer` that is given the same
model and the same batches, step by step in turns; and the seconds of one pass over 1, 2, 4 and 8
times as many sentences. It exits with status 1 when a goal is missed. Options as of `benchmark.py`.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from accelerate import Accelerator
from benchmark import CLOCKS, RATE, WARM_UP, WEIGHT, Ratio, Turns, median_speed, write_json
from transformers import PrinterCallback, Trainer, TrainingArguments

from bift_utils import data
from bift_utils.masking import collators as masking
from bift_utils.models.checkpoints import load_model, load_tokenizer
from bift_utils.runtime import get_device, make_generator, set_seed
from bift_utils.training import loop as training

UNIT, TIMES = 256, (1, 2, 4, 8)  # sentences, and how many times as many
GOALS = {"step": 0.95, "data": 0.85}  # as fast as the Trainer; time grows no faster than data


class JointLoss(torch.nn.Module):
    """The package's model and loss, in the form that a `Trainer` takes."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, **batch) -> dict[str, torch.Tensor]:
        return {"loss": training.training_step(self.model, batch, WEIGHT)["loss"]}


def make_config(**options) -> training.TrainingConfig:
    precision = "bf16" if get_device().type == "cuda" else "fp32"
    return training.TrainingConfig(mlm_weight=WEIGHT, precision=precision, fused=True, **options)


def sentences(count: int):
    """Return the tokenizer and `count` encoded training sentences."""
    tokenizer = load_tokenizer("bift-mini")
    texts = data.split_texts(data.load_reviews("rotten_tomatoes"), seed=0)["train"]
    texts = texts.take(range(count))
    return tokenizer, data.encode_texts(tokenizer, texts.texts, texts.labels)


def joint_loader(count: int):
    """Return a loader of joint batches of 32 sentences, 64 rows."""
    tokenizer, encoded = sentences(count)
    collator = masking.JointCollator(tokenizer, make_generator(0), mlm_probability=RATE)
    return data.make_loader(encoded, collator, 32, seed=0)


def trainer_on(batches: list[dict], folder: Path, turns: Turns) -> Trainer:
    """Return a `Trainer` that takes the batches in their order, one update each."""
    config = make_config()
    options = TrainingArguments(
        output_dir=str(folder), per_device_train_batch_size=1, max_steps=len(batches),
        train_sampling_strategy="sequential", learning_rate=config.learning_rate,
        max_grad_norm=config.max_grad_norm, bf16=config.precision == "bf16",
        use_cpu=get_device().type == "cpu", disable_tqdm=True, logging_strategy="no",
        save_strategy="no", report_to="none", dataloader_pin_memory=False,
        remove_unused_columns=False,
    )  # fmt: skip
    model = JointLoss(load_model("bift-mini"))
    trainer = Trainer(model, options, lambda rows: rows[0], batches, callbacks=[turns])
    trainer.remove_callback(PrinterCallback)
    return trainer


def compare_step(rounds: int, clock: Callable[[], float]) -> list[Ratio]:
    """The joint step of the package against `Trainer`, same model, same batches."""
    set_seed(0)
    batches = list(joint_loader(32 * 8 * (rounds + WARM_UP)))
    model, config = load_model("bift-mini").to(get_device()), make_config()
    optimizer = training.make_optimizer(model, config)
    accelerator, mine = Accelerator(cpu=get_device().type == "cpu"), iter(batches)

    def our_step() -> int:
        batch = next(mine)
        training.update(model, optimizer, batch, config, accelerator)
        return int(batch["attention_mask"].sum())

    def finished() -> float:  # a GPU works on after the call returns
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return clock()

    with tempfile.TemporaryDirectory() as scratch:
        sizes = [int(batch["attention_mask"].sum()) for batch in batches]
        turns = Turns(sizes, our_step, finished)
        trainer_on(batches, Path(scratch), turns).train()
    ours, theirs = median_speed(turns.ours), median_speed(turns.theirs)
    name = f"joint step against Trainer, same batches, {config.precision}"
    return [Ratio(name, "tokens/s", ours, theirs, GOALS["step"])]


def compare_data(rounds: int, clock: Callable[[], float]) -> list[Ratio]:
    """One pass over more and more sentences: sentences a second must not fall."""
    speed = {}
    for times in (1, *TIMES):  # the first one warms up
        set_seed(0)
        model, loader = load_model("bift-mini").to(get_device()), joint_loader(UNIT * times)
        start = clock()
        training.train(model, loader, make_config(epochs=1))
        speed[times] = UNIT * times / (clock() - start)
    return [
        Ratio(f"{times} × {UNIT} sentences", "sentences/s", speed[times], speed[1], GOALS["data"])
        for times in TIMES[1:]
    ]


COMPARISONS = {"step": compare_step, "data": compare_data}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=COMPARISONS, help="measure this comparison alone")
    parser.add_argument("--rounds", type=int, default=7, help="rounds of 8 steps (default: 7)")
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="wall or CPU time")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result here too")
    options = parser.parse_args(arguments)
    print(f"{get_device()}, {torch.get_num_threads()} threads, {options.clock} time", flush=True)
    ratios = []
    for name in [options.only] if options.only else COMPARISONS:
        found = COMPARISONS[name](options.rounds, CLOCKS[options.clock])
        ratios += found
        print(*(ratio.line() for ratio in found), sep="\n", flush=True)
    if options.json:
        write_json(options.json, ratios, options.clock)
    return 0 if all(ratio.reached for ratio in ratios) else 1


if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ["TQDM_DISABLE"] = "1"
    sys.exit(main())
