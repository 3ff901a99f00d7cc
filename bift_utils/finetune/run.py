"""Fine-tuning on your own table, from the file to a model that plain `transformers` loads."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from accelerate import PartialState

from bift_utils.data.batches import make_loader
from bift_utils.data.tables import read_table
from bift_utils.evaluation.metrics import evaluate_sequence
from bift_utils.evaluation.predict import evaluate_masked_lm
from bift_utils.finetune.options import FinetuneOptions
from bift_utils.finetune.output import MARK, check_output, whole_folder, write_json
from bift_utils.finetune.report import (
    measure_classes,
    report_lines,
    save_history_figure,
    summary_lines,
)
from bift_utils.finetune.state import STATE, forget_state, open_state
from bift_utils.finetune.texts import file_digest, prepare_texts
from bift_utils.masking.collators import JointCollator, MaskedLMCollator, SequenceCollator
from bift_utils.models.checkpoints import load_model, load_tokenizer
from bift_utils.models.export import export_for_transformers
from bift_utils.runtime import get_device, make_generator, set_seed
from bift_utils.training.history import STOPPED_BY_HAND
from bift_utils.training.loop import train


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
    While it runs, the state lies beside it, in a folder whose name ends in `.state`.

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
        FileExistsError: `output` exists, or holds a run that was broken off.
        ValueError: the table, the texts or an option cannot be used.

    Introduced in notebook 08.
    """
    chosen, output = FinetuneOptions(**options), Path(output)
    place = PartialState(cpu=get_device().type == "cpu")
    say = say if place.is_main_process else lambda line: None
    identity = {"table": file_digest(table) if Path(table).is_file() else "", **asdict(chosen)}
    finished = read_finished(output, identity) if resume else None
    if finished is not None:
        say(f"The run is finished already; its model lies in {output}.")
        if place.is_main_process:
            forget_state(output)
        return finished
    check_output(output, overwrite)
    label = chosen.label if chosen.mlm_weight < 1 else None
    run = FinetuneRun(read_table(table, chosen.text, label, chosen.encoding), chosen, say)
    state = open_state(output, identity, resume, overwrite, place, say)
    history = run.train(state)
    if history.stopped == STOPPED_BY_HAND:
        raise KeyboardInterrupt  # the state stays: --resume goes on from it
    if history.diverged:
        say(f"WARNING: {history.stopped}.")
    report = {}
    if place.is_main_process:
        report = run.report(history, identity)
        with whole_folder(output, overwrite) as folder:
            run.save(folder, report, history)
        forget_state(output)
        for line in summary_lines(report):
            say(line)
        say(f"Saved in {output}: the model, report.md, history.png.")
    place.wait_for_everyone()
    return report


def read_finished(output: Path, identity: dict) -> dict | None:
    """Return the report of a finished run with the same table and options, or None."""
    if not (output / MARK).is_file():
        return None
    report = json.loads((output / MARK).read_text(encoding="utf-8"))
    return report if report.get("identity") == identity else None


class FinetuneRun:
    """Texts, model and batches of one run; made from the options alone, so it can be made again.

    Args:
        table: the texts, a `data.TextTable`.
        options: what to do with them.
        say: is given each line to show.

    Introduced in notebook 08.
    """

    def __init__(self, table, options: FinetuneOptions, say: Callable[[str], None]):
        self.options, self.say, self.weight = options, say, options.mlm_weight
        self.tokenizer = load_tokenizer(options.model)
        set_seed(options.seed)
        classes = len(table.class_names) or None  # with λ = 1 the classifier is never used
        self.model = load_model(options.model, classes, options.pooling, options.dropout)
        self.max_length = options.length(self.model)
        self.texts = prepare_texts(
            table, self.tokenizer, options.model, self.weight, self.max_length, options.seed
        )
        for line in [*self.texts.lines, *created_lines(self.model, self.weight)]:
            say(line)
        for line in self.texts.warnings:
            say(f"WARNING: {line}")
        self.config = options.training(
            self.model.config.hidden_size, len(self.texts.encoded["train"])
        )
        self.model = self.model.to(get_device())
        self.batches = {name: self.fixed_batches(name) for name in ("validation", "test")}

    def fixed_batches(self, name: str) -> dict[str, list]:
        """Return the batches that measure a part: clean ones, and ones with masks drawn once."""
        encoded, batches = self.texts.encoded[name], {}
        if self.weight < 1:
            clean = SequenceCollator(self.tokenizer)
            batches["task"] = list(make_loader(encoded, clean, 64, shuffle=False))
        if self.weight > 0:
            hide = MaskedLMCollator(self.tokenizer, make_generator(self.options.seed, 2))
            batches["mlm"] = list(make_loader(encoded, hide, 64, shuffle=False))
        return batches

    def evaluate(self, model) -> dict[str, float]:
        """Score the validation part; the best weights have the highest accuracy, where asked."""
        measured, batches = {}, self.batches["validation"]
        if "task" in batches:
            measured = evaluate_sequence(model, batches["task"])
        if "mlm" in batches:
            blanks = evaluate_masked_lm(model, batches["mlm"])
            measured = {"loss": blanks["loss"], **measured, "mlm_loss": blanks["loss"]}
        return measured

    def train(self, state: Path):
        """Train with the state saved in a folder at each evaluation; return the history."""
        self.before, place, seed = self.evaluate(self.model), PartialState(), self.options.seed
        collator = JointCollator(self.tokenizer, make_generator(seed, 1))
        loader = make_loader(self.texts.encoded["train"], collator, self.options.batch_size, seed)

        self.say(
            f"Training: {self.config.epochs} epochs of {len(loader)} updates, λ = {self.weight:g}, "
            f"learning rate {self.config.learning_rate:g}, {self.config.precision}, "
            f"{place.num_processes} process{'es' * (place.num_processes > 1)}."
        )
        set_seed(seed + place.process_index)  # dropout differs between processes
        return train(self.model, loader, self.config, self.evaluate, checkpoint=state / STATE)

    def report(self, history, identity: dict) -> dict:
        """Measure the kept weights on both held-out parts; the test part is read here only."""
        texts, model = self.texts, self.model
        warnings = [*texts.warnings, *([history.stopped] if history.diverged else [])]
        report = {
            "title": f"{Path(self.options.model).name} fine-tuned on your texts",
            "data": [*texts.lines, *(f"WARNING: {w}" for w in warnings)],
            "training": [f"{k} = {v}" for k, v in asdict(self.config).items()]
            + [f"{len(history.steps)} updates, best after {history.best_step}: {history.stopped}"],
            "processes": PartialState().num_processes,
        }
        if self.weight < 1:
            clean = {name: batches["task"] for name, batches in self.batches.items()}
            report |= measure_classes(model, clean, texts.parts, texts.class_names)
        if self.weight > 0:
            report["mlm"] = {"validation, before training": self.before["mlm_loss"]}
            for name, batches in self.batches.items():
                after = evaluate_masked_lm(model, batches["mlm"])
                report["mlm"][f"{name}, after"] = after["loss"]
        return {**report, "identity": identity, "history": vars(history)}

    def save(self, folder: Path, report: dict, history) -> None:
        """Write model, report and figure into an empty folder."""
        names = self.texts.class_names if self.weight < 1 else None
        export_for_transformers(self.model, self.tokenizer, folder, names, self.max_length)
        save_history_figure(history, folder / "history.png")
        (folder / "report.md").write_text("\n".join(report_lines(report)) + "\n", encoding="utf-8")
        write_json(folder / MARK, report)


def created_lines(model, mlm_weight: float) -> list[str]:
    """Say which heads the checkpoint did not have, and so start from nothing.

    Introduced in notebook 08.
    """
    heads = {}
    if mlm_weight > 0:
        heads["cls."] = "masked-LM head (its output weights tied to the word embeddings)"
    if mlm_weight < 1:
        heads |= {"classifier.": "classifier", "bert.pooler.": "pooler"}
    new = [what for head, what in heads.items() if any(n.startswith(head) for n in model.created)]
    return [f"Not in the checkpoint, created anew: {', '.join(new)}."] if new else []
