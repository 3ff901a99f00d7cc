"""Long comparisons on Rotten Tomatoes, one CSV row a run, resumable at any kill.

`python -m bift_utils.commands.study OUTPUT.csv --mlm-weights 0 0.3 --seeds 5` fine-tunes one
checkpoint with each λ and each seed, beside bag-of-words and the majority class on the same parts.
Four larger studies have names, and a --help each:
`python -m bift_utils.commands.study grid OUTPUT.csv` (notebook 06: λ, schedules, sharing, input),
`python -m bift_utils.commands.study labels OUTPUT.csv` (notebook 07: methods × labels),
`python -m bift_utils.commands.study methods OUTPUT.csv PHASE` (the same, repaired),
`python -m bift_utils.commands.study exact OUTPUT.csv` (notebook 07: both heads against exact),
`python -m bift_utils.commands.study rates OUTPUT.csv` (notebook 09: which share to hide).
A row that is already in OUTPUT.csv is not run again, so a killed study goes on where it was.
"""

import argparse
import sys
from pathlib import Path

from bift_utils.commands.study.comparison import run_comparison
from bift_utils.commands.study.exact import run_exact_grid
from bift_utils.commands.study.grid import run_grid
from bift_utils.commands.study.labels import METHODS, SIZES, run_label_efficiency
from bift_utils.commands.study.methods import PHASES, run_methods
from bift_utils.commands.study.rates import run_rates
from bift_utils.languages.experiment import WIDTHS
from bift_utils.results.methods import PASSES, TEXTS
from bift_utils.results.rates import LENGTHS
from bift_utils.training.options import PRECISIONS

LABELS = "Methods × numbers of labels × seeds on Rotten Tomatoes; one CSV row a run."
EXACT = "λ × labelled × unlabelled sentences × width on a known language; one CSV row a run."
RATES = "Masking rates × length of a sentence on a known language; one CSV row a run."
GRID = "λ, schedules, sharing and the classifier's input, with few labels; one CSV row a run."


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line of the comparison of λ."""
    parser = argparse.ArgumentParser(
        prog="python -m bift_utils.commands.study", description=__doc__
    )
    parser.add_argument("--mlm-weights", type=float, nargs="+", default=[0.0, 0.3])
    add_common(parser)
    return parser.parse_args(arguments)


def parse_grid(arguments: list[str]) -> argparse.Namespace:
    """Read the command line of the grid."""
    parser = argparse.ArgumentParser(
        prog="python -m bift_utils.commands.study grid", description=GRID
    )
    parser.add_argument("--train-texts", type=int, default=1024, help="labelled sentences")
    parser.add_argument("--validation-texts", type=int, default=640)
    parser.add_argument("--precision", choices=PRECISIONS, default="fp32")
    add_common(parser, rate=False)
    return parser.parse_args(arguments)


def parse_labels(arguments: list[str]) -> argparse.Namespace:
    """Read the command line of the label-efficiency study."""
    parser = argparse.ArgumentParser(
        prog="python -m bift_utils.commands.study labels", description=LABELS
    )
    add_output(parser, seeds=10)
    parser.add_argument("--checkpoint", default="bift-mini")
    parser.add_argument("--precision", choices=PRECISIONS, default="fp32")
    parser.add_argument("--sizes", type=int, nargs="+", choices=SIZES, default=list(SIZES),
                        help="numbers of labels (default: all)")  # fmt: skip
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS),
                        help="for more seeds of a few (default: all)")  # fmt: skip
    parser.add_argument("--half-rate", action="store_true", help="at half the learning rate")
    return parser.parse_args(arguments)


def parse_methods(arguments: list[str]) -> argparse.Namespace:
    """Read the command line of the study of methods."""
    parser = argparse.ArgumentParser(
        prog="python -m bift_utils.commands.study methods", description=LABELS
    )
    parser.add_argument("output", type=Path, help="CSV to write or to go on with")
    parser.add_argument("phase", choices=PHASES, help="what to run; `tuning` comes first")
    parser.add_argument("--labels", type=int, nargs="+", choices=PASSES,
                        help="sizes of `tuning` and `methods` (default: all three)")  # fmt: skip
    parser.add_argument("--texts", choices=TEXTS, default=TEXTS[0], help="(default: %(default)s)")
    parser.add_argument("--checkpoint", default="bift-mini")
    parser.add_argument("--precision", choices=PRECISIONS, default="bf16")
    return parser.parse_args(arguments)


def parse_exact(arguments: list[str]) -> argparse.Namespace:
    """Read the command line of the exact experiment."""
    parser = argparse.ArgumentParser(
        prog="python -m bift_utils.commands.study exact", description=EXACT
    )
    add_output(parser, seeds=5)
    parser.add_argument("--widths", type=int, nargs="+", default=list(WIDTHS))
    parser.add_argument("--brakes", action="store_true",
                        help="λ against dropout and weight decay, where λ helped most")  # fmt: skip
    parser.add_argument("--updates", type=int, default=300)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    return parser.parse_args(arguments)


def parse_rates(arguments: list[str]) -> argparse.Namespace:
    """Read the command line of the masking rates."""
    parser = argparse.ArgumentParser(
        prog="python -m bift_utils.commands.study rates", description=RATES
    )
    add_output(parser, seeds=5)
    parser.add_argument("--lengths", type=int, nargs="+", choices=LENGTHS, default=list(LENGTHS))
    parser.add_argument("--updates", type=int, default=3000)
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
    "methods": (parse_methods, run_methods),
    "exact": (parse_exact, run_exact_grid),
    "rates": (parse_rates, run_rates),
}


def main(arguments: list[str] | None = None) -> None:
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments and arguments[0] in NAMED:
        parse_named, run = NAMED[arguments[0]]
        run(parse_named(arguments[1:]))
    else:
        run_comparison(parse(arguments))


if __name__ == "__main__":
    main()
