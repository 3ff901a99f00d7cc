"""Fine-tuning on your own table, from the file to a model that plain `transformers` loads."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from accelerate import PartialState

from bift_utils.finetune.options import FinetuneOptions
from bift_utils.finetune.output import MARK, check_output, check_space, whole_folder
from bift_utils.finetune.report import summary_lines
from bift_utils.finetune.state import (
    after_a_stop,
    check_state,
    forget_state,
    locked,
    open_state,
)
from bift_utils.finetune.steps import FinetuneRun, write_reports
from bift_utils.finetune.texts import file_digest
from bift_utils.runtime import get_device

COPIES = 10  # of the weights: twice a state of weights, two moments and the best, and the model


def finetune(
    table: str | Path,
    output: str | Path,
    overwrite: bool = False,
    resume: bool = False,
    say: Callable[[str], None] = print,
    **options,
) -> dict:
    """Fine-tune a checkpoint on a table and save what comes out; everything in one call.

    Every check is made before anything is trained. `output` is written whole or not at all, and
    holds the model (`export_for_transformers`), `report.md`, `history.png` and `finetuning.json`.
    Only then are cheaper methods measured beside it, and both reports written anew. While it
    runs, the state lies beside it, in a folder whose name ends in `.state`.

    Args:
        table: CSV, TSV or JSON lines; see `data.read_table`.
        output: folder of the model.
        overwrite: replace a model that is there already.
        resume: go on with a run that was broken off; with another table or options it is refused.
        say: is given each line to show.
        options: see `FinetuneOptions`.

    Returns:
        The report, as in `finetuning.json`; empty in all processes but the first.

    Raises:
        FileExistsError: `output` exists, holds a run that was broken off, or one is under way.
        ValueError: the table, the texts or an option cannot be used.
        KeyboardInterrupt: stopped by hand; says how to go on.

    Introduced in notebook 08.
    """
    chosen, output, start = FinetuneOptions(**options), Path(output), time.monotonic()
    place = PartialState(cpu=get_device().type == "cpu")
    say = say if place.is_main_process else lambda line: None
    identity = {"table": _digests(table, chosen), **asdict(chosen)}
    with locked(output, place), _stopped_by_hand(output):
        written = _read_report(output, identity) if resume else None
        if written is not None and _is_finished(written):
            say(f"The run is finished already; its model lies in {output}.")
            if place.is_main_process:
                forget_state(output)
            return written
        overwrite = overwrite or written is not None  # its opponents are still to be measured
        check_output(output, overwrite)
        check_state(output, identity, resume, overwrite)
        run = FinetuneRun(table, chosen, say)
        check_space(output, COPIES * run.bytes)
        state = open_state(output, identity, resume, overwrite, place, say)
        report = _train_and_save(run, state, output, overwrite, identity, place)
        plain = run.train_plain(state) if chosen.compare else None
        if place.is_main_process:
            report |= run.compare(plain, report)
            report["seconds"] = round(time.monotonic() - start)
            write_reports(output, report)
            forget_state(output)
            for line in [*summary_lines(report), *report["verdict"]]:
                say(line)
        place.wait_for_everyone()
    return report


def _train_and_save(
    run: FinetuneRun, state, output, overwrite: bool, identity: dict, place
) -> dict:
    """Train, and save the model with a report on it alone; return that report."""
    history, report = run.train(state), {}
    if place.is_main_process:
        report = run.report(history, identity)
        with whole_folder(output, overwrite) as folder:
            run.save(folder, report, history)
        run.say(f"Saved in {output}: the model, report.md, history.png.")
    place.wait_for_everyone()
    return report


def _digests(table: str | Path, options: FinetuneOptions) -> str:
    """Return what tells the files of a run from others; none for a file that is not there."""
    files = [table, *(path for path in (options.validation, options.test) if path is not None)]
    return " ".join(file_digest(path) if Path(path).is_file() else "" for path in files)


@contextmanager
def _stopped_by_hand(output: Path) -> Iterator[None]:
    """Let an interrupt say what it leaves behind."""
    try:
        yield
    except KeyboardInterrupt as stopped:
        raise KeyboardInterrupt(after_a_stop(output)) from stopped


def _read_report(output: Path, identity: dict) -> dict | None:
    """Return the report of a run with the same table and options that saved its model, or None."""
    if not (output / MARK).is_file():
        return None
    report = json.loads((output / MARK).read_text(encoding="utf-8"))
    return report if report.get("identity") == identity else None


def _is_finished(report: dict) -> bool:
    return "verdict" in report  # which is written last
