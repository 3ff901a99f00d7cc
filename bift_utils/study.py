"""Long comparisons on Rotten Tomatoes, one CSV row a run, resumable at any kill.

`python -m bift_utils.study OUTPUT.csv --mlm-weights 0 0.3 --seeds 5` fine-tunes one checkpoint
with each λ and each seed, beside bag-of-words and the majority class on the same parts.
Three larger studies have names, and a --help each:
`python -m bift_utils.study grid OUTPUT.csv` (notebook 06: λ, schedules, sharing, input),
`python -m bift_utils.study labels OUTPUT.csv` (notebook 07: methods × numbers of labels),
`python -m bift_utils.study exact OUTPUT.csv` (notebook 07: both heads against exact answers).
A row that is already in OUTPUT.csv is not run again, so a killed study goes on where it was.
"""

import argparse
import sys
import time
from pathlib import Path

from tqdm.auto import tqdm

from bift_utils.data import (
    EncodedTexts,
    LabelledTexts,
    encode_texts,
    load_reviews,
    make_loader,
    split_texts,
)
from bift_utils.evaluation import (
    bag_of_words_probabilities,
    classification_metrics,
    evaluate_sequence,
    majority_accuracy,
)
from bift_utils.exact_grid import WIDTHS, run_exact_grid
from bift_utils.grid import run_grid
from bift_utils.label_efficiency import METHODS, SIZES, run_label_efficiency
from bift_utils.loading import load_model, load_tokenizer
from bift_utils.masking import JointCollator, SequenceCollator
from bift_utils.result_rows import ResultRows
from bift_utils.runtime import environment_report, get_device, make_generator, set_seed
from bift_utils.schedules import PRECISIONS, TrainingConfig
from bift_utils.training import train

LABELS = "Methods × numbers of labels × seeds on Rotten Tomatoes; one CSV row a run."
EXACT = "λ × labelled × unlabelled sentences × width on a known language; one CSV row a run."
GRID = "λ, schedules, sharing and the classifier's input, with few labels; one CSV row a run."
OPTIONS = ("checkpoint", "pooling", "dropout", "epochs", "learning_rate", "batch_size")
COLUMNS = (
    "method", "mlm_weight", "seed", "checkpoint", "pooling", "dropout", "epochs", "learning_rate",
    "batch_size", "train_texts", "best_step", "updates", "validation_accuracy",
    "validation_loss", "test_accuracy", "test_loss", "seconds", "device", "torch", "transformers",
)  # fmt: skip


def encode_parts(tokenizer, parts: dict[str, LabelledTexts]) -> dict[str, EncodedTexts]:
    """Tokenise every part once."""
    return {name: encode_texts(tokenizer, part.texts, part.labels) for name, part in parts.items()}


def run_joint(options, tokenizer, encoded: dict[str, EncodedTexts], weight: float, seed: int):
    """Fine-tune once and return the measured columns of its row."""
    set_seed(seed)
    model = load_model(options.checkpoint, pooling=options.pooling, dropout=options.dropout).to(
        get_device()
    )
    config = TrainingConfig(
        mlm_weight=weight, epochs=options.epochs, learning_rate=options.learning_rate
    )
    collator = JointCollator(tokenizer, make_generator(seed, 1), weight)
    loader = make_loader(encoded["train"], collator, options.batch_size, seed)
    plain = SequenceCollator(tokenizer)
    scored = {
        name: list(make_loader(encoded[name], plain, 128, shuffle=False))
        for name in ("validation", "test")
    }
    history = train(model, loader, config, lambda m: evaluate_sequence(m, scored["validation"]))
    if history.stopped == "stopped by hand":
        raise KeyboardInterrupt  # an unfinished run leaves no row
    row = {"best_step": history.best_step, "updates": len(history.steps)}
    for name, batches in scored.items():  # the test part is read here, once, and nowhere else
        measured = evaluate_sequence(model, batches)
        row |= {f"{name}_{key}": round(measured[key], 5) for key in ("accuracy", "loss")}
    return row


def run_baselines(parts: dict[str, LabelledTexts]) -> dict[str, dict]:
    """Return the rows of the two baselines on the same parts."""
    train_part = parts["train"]
    rows = {"majority": {}, "bag of words": {}}
    for name in ("validation", "test"):
        part = parts[name]
        rows["majority"][f"{name}_accuracy"] = majority_accuracy(train_part.labels, part.labels)
        measured = classification_metrics(
            bag_of_words_probabilities(train_part.texts, train_part.labels, part.texts),
            part.labels,
        )
        rows["bag of words"] |= {f"{name}_{k}": round(v, 5) for k, v in measured.items()}
    return rows


def run_study(options) -> None:
    """Run what is missing, seed by seed; seed s uses split s, start s and masks s."""
    tokenizer = load_tokenizer(options.checkpoint)
    reviews = load_reviews("rotten_tomatoes")
    machine = environment_report()
    results = ResultRows(options.output, COLUMNS, ("method", "mlm_weight", "seed", *OPTIONS))
    common = {key: machine[key] for key in ("device", "torch", "transformers")}
    for seed in tqdm(range(options.first_seed, options.first_seed + options.seeds), unit="seed"):
        parts = split_texts(reviews, seed=seed)
        common |= {"seed": seed, "train_texts": len(parts["train"])}
        rows = {name: {"method": name, **common} for name in ("majority", "bag of words")}
        if any(row not in results for row in rows.values()):
            for method, measured in run_baselines(parts).items():
                if rows[method] not in results:
                    results.append(rows[method] | measured)
        encoded = encode_parts(tokenizer, parts)
        for weight in options.mlm_weights:
            row = {"method": "joint" if weight else "plain", "mlm_weight": weight, **common}
            row |= {name: getattr(options, name) for name in OPTIONS}
            if row in results:
                continue
            started = time.perf_counter()
            measured = run_joint(options, tokenizer, encoded, weight, seed)
            results.append({**row, **measured, "seconds": round(time.perf_counter() - started)})


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line of the comparison of λ."""
    parser = argparse.ArgumentParser(prog="python -m bift_utils.study", description=__doc__)
    parser.add_argument("--mlm-weights", type=float, nargs="+", default=[0.0, 0.3])
    add_common(parser)
    return parser.parse_args(arguments)


def parse_grid(arguments: list[str]) -> argparse.Namespace:
    """Read the command line of the grid."""
    parser = argparse.ArgumentParser(prog="python -m bift_utils.study grid", description=GRID)
    parser.add_argument("--train-texts", type=int, default=1024, help="labelled sentences")
    parser.add_argument("--validation-texts", type=int, default=640)
    parser.add_argument("--precision", choices=PRECISIONS, default="fp32")
    add_common(parser, rate=False)
    return parser.parse_args(arguments)


def parse_labels(arguments: list[str]) -> argparse.Namespace:
    """Read the command line of the label-efficiency study."""
    parser = argparse.ArgumentParser(prog="python -m bift_utils.study labels", description=LABELS)
    add_output(parser, seeds=10)
    parser.add_argument("--checkpoint", default="bift-mini")
    parser.add_argument("--precision", choices=PRECISIONS, default="fp32")
    parser.add_argument("--sizes", type=int, nargs="+", choices=SIZES, default=list(SIZES),
                        help="numbers of labels (default: all)")  # fmt: skip
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS),
                        help="for more seeds of a few (default: all)")  # fmt: skip
    parser.add_argument("--half-rate", action="store_true", help="at half the learning rate")
    return parser.parse_args(arguments)


def parse_exact(arguments: list[str]) -> argparse.Namespace:
    """Read the command line of the exact experiment."""
    parser = argparse.ArgumentParser(prog="python -m bift_utils.study exact", description=EXACT)
    add_output(parser, seeds=5)
    parser.add_argument("--widths", type=int, nargs="+", default=list(WIDTHS))
    parser.add_argument("--updates", type=int, default=300)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    return parser.parse_args(arguments)


def add_output(parser: argparse.ArgumentParser, seeds: int) -> None:
    """Add the options that every command has."""
    parser.add_argument("output", type=Path, help="CSV to write or to go on with")
    parser.add_argument("--seeds", type=int, default=seeds, help="how many")
    parser.add_argument("--first-seed", type=int, default=0)


def add_common(parser: argparse.ArgumentParser, rate: bool = True) -> None:
    """Add the options that the comparison of λ and the grid have."""
    add_output(parser, seeds=5)
    parser.add_argument("--checkpoint", default="bift-mini")
    parser.add_argument("--pooling", default="mean")
    parser.add_argument("--dropout", type=float, default=0.1)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=32)
    if rate:
        parser.add_argument("--learning-rate", type=float, default=3e-4)


NAMED = {
    "grid": (parse_grid, run_grid),
    "labels": (parse_labels, run_label_efficiency),
    "exact": (parse_exact, run_exact_grid),
}


def main(arguments: list[str] | None = None) -> None:
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments and arguments[0] in NAMED:
        parse_named, run = NAMED[arguments[0]]
        run(parse_named(arguments[1:]))
    else:
        run_study(parse(arguments))


if __name__ == "__main__":
    main()
