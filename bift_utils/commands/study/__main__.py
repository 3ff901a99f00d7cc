"""The long runs behind the notebooks, one CSV row a run, resumable at any kill.

`python -m bift_utils.commands.study methods OUTPUT.csv PHASE` (notebook 07: methods × labels),
`python -m bift_utils.commands.study exact OUTPUT.csv` (07b: both heads against exact answers),
`python -m bift_utils.commands.study pooling OUTPUT.csv` (05: three poolings),
`python -m bift_utils.commands.study rates OUTPUT.csv` (09: which share to hide).
Each has a --help. A row that is already in OUTPUT.csv is not run again, so a killed study goes on
where it was.
"""

import argparse
from pathlib import Path

from bift_utils.commands.study.exact import run_exact_grid
from bift_utils.commands.study.methods import run_methods
from bift_utils.commands.study.plan import PHASES
from bift_utils.commands.study.pooling import run_pooling
from bift_utils.commands.study.rates import run_rates
from bift_utils.languages.experiment import WIDTHS
from bift_utils.results.methods import PASSES, TEXTS
from bift_utils.results.rates import LENGTHS
from bift_utils.training.options import PRECISIONS


def add_methods(parser: argparse.ArgumentParser) -> None:
    """Add the options of the study of methods."""
    parser.add_argument("phase", choices=PHASES, help="what to run; `tuning` comes first")
    parser.add_argument("--labels", type=int, nargs="+", choices=PASSES,
                        help="sizes of `tuning` and `methods` (default: all three)")  # fmt: skip
    parser.add_argument("--texts", choices=TEXTS, default=TEXTS[0], help="(default: %(default)s)")
    parser.add_argument("--checkpoint", default="bift-mini")
    parser.add_argument("--precision", choices=PRECISIONS, default="bf16")


def add_exact(parser: argparse.ArgumentParser) -> None:
    """Add the options of the exact experiment."""
    add_seeds(parser)
    parser.add_argument("--widths", type=int, nargs="+", default=list(WIDTHS))
    parser.add_argument("--brakes", action="store_true",
                        help="λ against dropout and weight decay, where λ helped most")  # fmt: skip
    parser.add_argument("--updates", type=int, default=300)
    parser.add_argument("--learning-rate", type=float, default=2e-3)


def add_pooling(parser: argparse.ArgumentParser) -> None:
    """Add the option of the pooling study."""
    parser.add_argument("--sets", type=int, default=5, help="how many training sets")


def add_rates(parser: argparse.ArgumentParser) -> None:
    """Add the options of the masking rates."""
    add_seeds(parser)
    parser.add_argument("--lengths", type=int, nargs="+", choices=LENGTHS, default=list(LENGTHS))
    parser.add_argument("--updates", type=int, default=3000)
    parser.add_argument("--learning-rate", type=float, default=2e-3)


def add_seeds(parser: argparse.ArgumentParser) -> None:
    """Add the options that two of the studies share."""
    parser.add_argument("--seeds", type=int, default=5, help="how many")
    parser.add_argument("--first-seed", type=int, default=0)


STUDIES = {  # name to its line of help, its options and what it runs
    "methods": ("methods × numbers of labels × seeds, with real text", add_methods, run_methods),
    "exact": ("λ × labelled × further sentences × width, with a known language",
              add_exact, run_exact_grid),
    "pooling": ("three poolings on five disjoint small sets", add_pooling,
                lambda options: run_pooling(options.output, options.sets)),
    "rates": ("masking rates × length of a sentence, with a known language",
              add_rates, run_rates),
}  # fmt: skip


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bift_utils.commands.study", description=__doc__.split("\n\n")[0]
    )
    named = parser.add_subparsers(required=True, metavar="STUDY")
    for name, (line, add_options, run) in STUDIES.items():
        study = named.add_parser(name, help=line, description=f"{line[0].upper()}{line[1:]}.")
        study.add_argument("output", type=Path, help="CSV to write or to go on with")
        add_options(study)
        study.set_defaults(run=run)
    options = parser.parse_args(arguments)
    options.run(options)


if __name__ == "__main__":
    main()
