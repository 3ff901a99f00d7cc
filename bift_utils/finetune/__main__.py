"""Fine-tune a checkpoint on your own table: a CSV in, a model out that plain `transformers` loads.

`python -m bift_utils.finetune reviews.csv --text text --label label --output model/` does it all:
it checks the table, shows what is in it, trains on L = λ·L_MLM + (1 − λ)·L_task, and saves the
model with a report. For two GPUs write `accelerate launch --multi_gpu --num_processes 2` in place
of `python`, for two processes on a CPU `torchrun --nproc_per_node 2`; the line "Training: …" ends
with the number of processes.
"""

import argparse
import io
import sys
from dataclasses import fields
from pathlib import Path

from bift_utils.finetune.options import FinetuneOptions
from bift_utils.finetune.run import finetune
from bift_utils.models.joint import POOLINGS
from bift_utils.training.options import PRECISIONS

HELP = {
    "text": "column with the texts",
    "label": "column with the classes; not read with λ = 1",
    "encoding": 'of the file, "cp1252" say; UTF-8 if left out',
    "model": '"bift-mini", "minilm", a BERT folder, or a name on the hub',
    "mlm_weight": "λ: 0 trains the classifier alone, 1 the masked-LM head alone",
    "epochs": "passes over the texts; chosen by their number if left out",
    "learning_rate": "peak; chosen by the size of the model if left out",
    "batch_size": "texts an update, over all processes",
    "max_length": "most tokens a text keeps",
    "pooling": 'how a text becomes one vector; only "pooler" can be exported',
    "dropout": "rate while training",
    "patience": "evaluations without improvement before it stops",
    "evaluations_per_epoch": "how often to evaluate and to save the state",
    "precision": "bf16 computes matrix products in half precision",
    "accumulate": "passes an update; less memory, the same result",
    "seed": "of everything random",
}
CHOICES = {"pooling": POOLINGS, "precision": PRECISIONS}
OPTIONAL = {"encoding": str, "epochs": int, "learning_rate": float, "max_length": int,
            "patience": int, "dropout": float}  # fmt: skip


def make_parser() -> argparse.ArgumentParser:
    """Return the command line: one option a field of `FinetuneOptions`."""
    parser = argparse.ArgumentParser(
        prog="python -m bift_utils.finetune",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("table", type=Path, help="CSV, TSV or JSON lines")
    parser.add_argument("--output", type=Path, required=True, help="folder of the model")
    parser.add_argument("--overwrite", action="store_true", help="replace a model that is there")
    parser.add_argument("--resume", action="store_true", help="go on with a run that was cut off")
    for option in fields(FinetuneOptions):
        shown = "" if option.default is None else f" (default {option.default})"
        parser.add_argument(
            "--" + option.name.replace("_", "-"),
            type=OPTIONAL.get(option.name, type(option.default)),
            default=option.default,
            choices=CHOICES.get(option.name),
            help=HELP[option.name] + shown,
        )
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return 0, 2 where it was given what cannot be used, 130 when stopped."""
    options = make_parser().parse_args(arguments)
    try:
        finetune(**vars(options))
    except (ValueError, OSError) as error:  # what was given cannot be used: a sentence is enough
        print(f"finetune: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("finetune: stopped by hand; --resume goes on from the saved state.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    for stream in (sys.stdout, sys.stderr):  # a terminal that has no λ shows "?" for it
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    sys.exit(main())
