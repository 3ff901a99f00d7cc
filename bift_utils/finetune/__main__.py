"""Fine-tune a checkpoint on your own table: a CSV in, a model out that plain `transformers` loads.

`python -m bift_utils.finetune reviews.csv --text text --label label --output model/` does it all:
it checks the table, shows what is in it, trains on L = λ·L_MLM + (1 − λ)·L_task, saves the model
with a report, and says whether it is better than cheaper methods. Then
`python -m bift_utils.finetune predict model/ new.csv` answers for new texts.

For two GPUs write `accelerate launch --multi_gpu --num_processes 2` in place of `python`, for two
processes on a CPU `torchrun --nproc_per_node 2`; the line "Training: …" ends with the number of
processes.
"""

import argparse
import contextlib
import io
import sys
from dataclasses import fields
from pathlib import Path

from bift_utils.finetune.options import POOLINGS, PRECISIONS, SELECTIONS, FinetuneOptions

HELP = {
    "the table": {
        "text": "column with the texts",
        "label": "column with the classes; not read with λ = 1",
        "encoding": 'of the files, "cp1252" say (default: UTF-8)',
        "separator": 'between two fields; "tab" for a tab (default: found by the first line)',
        "validation": "file with the texts to choose the weights by (default: 15 %% of the table)",
        "test": "file with the texts to score once, at the end (default: 15 %% of the table)",
        "drop_rare": "leave out classes with fewer different texts (default: refuse below 3)",
    },
    "the model": {
        "model": '"bift-mini", "minilm", a BERT folder, or a name on the hub',
        "mlm_weight": "λ: 0 trains the classifier alone, 1 the masked-LM head alone",
        "max_length": "most tokens a text keeps (default: 128, or fewer if the model has fewer "
        "positions)",
        "pooling": 'only "pooler" is accepted: plain transformers cannot load another',
        "dropout": "rate while training",
    },
    "the training": {
        "epochs": "passes over all texts, those without a class too (default: 3, or as many as "
        "make 75 updates a class and at least 200, at most 30)",
        "learning_rate": "peak (default: 3e-4 with vectors up to 256 wide, else 5e-5)",
        "batch_size": "texts an update, over all processes",
        "select": "what the kept weights are best at on the validation texts",
        "patience": "evaluations without improvement before it stops (default: never)",
        "evaluations_per_epoch": "how often to evaluate and to save the state",
        "compare": "train once more with λ = 0 on the same budget (default: no)",
        "seed": "of everything random",
    },
    "the machine": {
        "precision": "bf16, or fp16 on a GPU without it (a T4, say), for half precision",
        "accumulate": "parts into which a batch is cut: less memory, the same update but for "
        "dropout",
    },
}
M_MMAP_THRESHOLD = -3  # in glibc's malloc.h
CHOICES = {"pooling": POOLINGS, "precision": PRECISIONS, "select": SELECTIONS}


def separator(given: str) -> str:
    """Return the character that was meant: a tab is hard to type in a terminal."""
    return "\t" if given in ("tab", r"\t") else given


KINDS = {"epochs": int, "learning_rate": float, "max_length": int, "patience": int,
         "dropout": float, "drop_rare": int, "separator": separator}  # fmt: skip


def make_parser() -> argparse.ArgumentParser:
    """Return the command line: one option a field of `FinetuneOptions`, in groups."""
    parser = argparse.ArgumentParser(
        prog="python -m bift_utils.finetune",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("table", type=Path, help="CSV, TSV or JSON lines")
    folder = parser.add_argument_group("the folder")
    folder.add_argument("--output", type=Path, required=True, help="of the model (no default)")
    folder.add_argument(
        "--overwrite", action="store_true", help="replace a model that is there (default: no)"
    )
    folder.add_argument(
        "--resume", action="store_true", help="go on with a run that was cut off (default: no)"
    )
    defaults = {field.name: field.default for field in fields(FinetuneOptions)}
    for title, options in HELP.items():
        group = parser.add_argument_group(title)
        for name, text in options.items():
            add_option(group, name, text, defaults[name])
    return parser


def add_option(group, name: str, text: str, default) -> None:
    """Add one option, whose help says its default."""
    flag = "--" + name.replace("_", "-")
    if isinstance(default, bool):
        group.add_argument(flag, action="store_true", help=text)
        return
    group.add_argument(
        flag,
        type=KINDS.get(name, str if default is None else type(default)),
        default=default,
        choices=CHOICES.get(name),
        help=text if "(default: " in text else f"{text} (default: {default})",
    )


def make_predict_parser() -> argparse.ArgumentParser:
    """Return the command line of `predict`."""
    parser = argparse.ArgumentParser(
        prog="python -m bift_utils.finetune predict",
        description="Answer for new texts: the table as it came, with the class and the "
        "probability of each class behind it, as CSV. Texts are cut as in training; a row without "
        "a text gets no answer.",
    )
    parser.add_argument("model", type=Path, help="folder that this command has written")
    parser.add_argument("table", type=Path, help="CSV, TSV or JSON lines")
    parser.add_argument("--output", type=Path, help="file to write (default: the terminal)")
    parser.add_argument(
        "--overwrite", action="store_true", help="replace a file that is there (default: no)"
    )
    parser.add_argument("--text", help="column with the texts (default: as in training)")
    parser.add_argument("--encoding", help="of the table (default: UTF-8)")
    parser.add_argument(
        "--separator", type=separator, help="between two fields (default: found by the first line)"
    )
    parser.add_argument("--batch-size", type=int, default=64, help="texts at once (default: 64)")
    return parser


def give_memory_back() -> None:
    """Have glibc return every freed tensor of 4 MB or more to the system at once.

    Left alone, it keeps the pieces of batches of changing lengths: a run with `--compare` on 1,400
    texts of 128 tokens came to hold 4.6 GB. Other systems are left alone.
    """
    if sys.platform == "linux":
        import ctypes

        with contextlib.suppress(OSError, AttributeError):  # another C library
            ctypes.CDLL("libc.so.6").mallopt(M_MMAP_THRESHOLD, 4 * 2**20)


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return 0, 2 where it was given what cannot be used, 130 when stopped."""
    arguments = sys.argv[1:] if arguments is None else arguments
    predicts = arguments[:1] == ["predict"]
    parser = make_predict_parser() if predicts else make_parser()
    options = vars(parser.parse_args(arguments[1:] if predicts else arguments))
    try:  # only now is torch imported
        if predicts:
            from bift_utils.finetune.predict import predict_table

            predict_table(**options)
        else:
            from bift_utils.finetune.run import finetune

            finetune(**options)
    except (ValueError, OSError) as error:  # what was given cannot be used: a sentence is enough
        print(f"finetune: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as stopped:
        print(f"finetune: {stopped or 'stopped by hand.'}", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    for stream in (sys.stdout, sys.stderr):  # a terminal that has no λ shows "?" for it
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    give_memory_back()
    sys.exit(main())
