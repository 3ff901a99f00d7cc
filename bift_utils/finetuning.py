"""Fine-tuning on your own table, from the file to a model that plain `transformers` loads."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from accelerate import PartialState

from bift_utils.data import make_loader
from bift_utils.evaluation import (
    bag_of_words_probabilities,
    classification_metrics,
    evaluate_masked_lm,
    evaluate_sequence,
    majority_accuracy,
    predict_classes,
)
from bift_utils.exporting import (
    MARK,
    check_exportable,
    check_output,
    export_for_transformers,
    whole_folder,
    write_json,
)
from bift_utils.loading import load_model, load_tokenizer
from bift_utils.losses import check_mlm_weight
from bift_utils.masking import JointCollator, MaskedLMCollator, SequenceCollator
from bift_utils.own_texts import AskingRows, file_digest, prepare_texts
from bift_utils.run_report import report_lines, save_history_figure, score_classes, surest_errors
from bift_utils.run_state import STATE, forget_state, keep_previous, open_state
from bift_utils.runtime import get_device, make_generator, set_seed
from bift_utils.tables import read_table
from bift_utils.training import TrainingConfig, train

LEAST_UPDATES, MOST_EPOCHS = 200, 30  # a small table is read more often


@dataclass(frozen=True)
class FinetuneOptions:
    """Everything that decides a run; None means chosen from the checkpoint and the texts.

    Args:
        text, label: names of the columns; `label=None` for a table without classes (λ = 1).
        encoding: of the file; None for UTF-8.
        model: a checkpoint, see `loading.find_checkpoint`.
        mlm_weight: λ, from 0 (the classifier alone) to 1 (masked-LM alone).
        epochs: None for 3, or as many as make 200 updates, at most 30.
        learning_rate: None for 3e-4 with small models (width up to 256), else 5e-5.
        batch_size: texts an update, over all passes and processes.
        max_length: most tokens a text keeps; None for 128, or fewer if the model has fewer.
        pooling: only "pooler" can be exported.
        dropout: None keeps the checkpoint's.
        patience: evaluations without improvement before training stops; None for never.
        evaluations_per_epoch: how often the validation texts are scored and the state is saved.
        precision: "fp32" or "bf16".
        accumulate: passes an update, each over a part of the batch; saves memory.
        seed: of the split, the new heads, the order, the masks and dropout.

    Introduced in notebook 08.
    """

    text: str = "text"
    label: str | None = "label"
    encoding: str | None = None
    model: str = "bift-mini"
    mlm_weight: float = 0.3
    epochs: int | None = None
    learning_rate: float | None = None
    batch_size: int = 32
    max_length: int | None = None
    pooling: str = "pooler"
    dropout: float | None = 0.1
    patience: int | None = None
    evaluations_per_epoch: int = 2
    precision: str = "fp32"
    accumulate: int = 1
    seed: int = 0

    def __post_init__(self):
        check_mlm_weight(self.mlm_weight)
        check_exportable(self.pooling)
        for name in ("batch_size", "accumulate"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} was given as {getattr(self, name)}; expected 1 or more.")
        if self.label is None and self.mlm_weight < 1:
            raise ValueError(
                f"No label column was given, but λ = {self.mlm_weight:g} trains a classifier too. "
                "Name the label column, or give λ = 1 to train on the words alone."
            )


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
        table: CSV, TSV or JSON lines; see `tables.read_table`.
        output: folder of the model.
        overwrite: replace a model that is there already.
        resume: go on with a run that was broken off; with another table or options it is refused.
        say: is given each line to show.
        options: see `FinetuneOptions`.

    Returns:
        The report, as in `finetuning.json`.

    Raises:
        FileExistsError: `output` exists, or holds a run that was broken off.
        ValueError: the table, the texts or an option cannot be used.

    Introduced in notebook 08.
    """
    chosen = FinetuneOptions(**options)
    place = PartialState(cpu=get_device().type == "cpu")
    say = say if place.is_main_process else lambda line: None
    identity = {"table": file_digest(table) if Path(table).is_file() else "", **asdict(chosen)}
    finished = read_finished(Path(output), identity) if resume else None
    if finished is not None:
        say(f"The run is finished already; its model lies in {output}.")
        if place.is_main_process:
            forget_state(Path(output))
        return finished
    check_output(output, overwrite)
    read = read_table(table, chosen.text, chosen.label, chosen.encoding)
    run = FinetuneRun(read, chosen, say)
    place.wait_for_everyone()
    state = open_state(Path(output), identity, resume, overwrite, place, say)
    history = run.train(state)
    if history.stopped == "stopped by hand":
        raise KeyboardInterrupt  # the state stays: --resume goes on from it
    report = {}
    if place.is_main_process:
        report = run.report(history, identity)
        with whole_folder(output, overwrite) as folder:
            run.save(folder, report, history)
        forget_state(Path(output))
        say(f"Saved in {output}: the model, report.md, history.png.")
    place.wait_for_everyone()
    return report


def read_finished(output: Path, identity: dict) -> dict | None:
    """Return the report of a finished run with the same table and options, or None."""
    import json

    if not (output / MARK).is_file():
        return None
    report = json.loads((output / MARK).read_text(encoding="utf-8"))
    return report if report.get("identity") == identity else None


class FinetuneRun:
    """Texts, model and batches of one run; made from the options alone, so it can be made again.

    Args:
        table: the texts.
        options: what to do with them.
        say: is given each line to show.
    """

    def __init__(self, table, options: FinetuneOptions, say: Callable[[str], None]):
        self.say, self.seed, self.weight = say, options.seed, options.mlm_weight
        self.tokenizer = load_tokenizer(options.model)
        set_seed(options.seed)
        self.model = load_model(
            options.model, max(len(table.class_names), 2), options.pooling, options.dropout
        )
        self.options = self.complete(options)
        self.texts = prepare_texts(
            table, self.tokenizer, options.model, self.weight, self.options.max_length, self.seed
        )
        for line in [*self.texts.lines, *created_lines(self.model, self.weight)]:
            say(line)
        for line in self.texts.warnings:
            say(f"WARNING: {line}")
        self.config = self.make_config()
        self.model = self.model.to(get_device())
        self.batches = {name: self.fixed_batches(name) for name in ("validation", "test")}

    def complete(self, options: FinetuneOptions) -> FinetuneOptions:
        """Fill in what the options leave open and the checkpoint decides."""
        positions = self.model.config.max_position_embeddings
        length = options.max_length or min(128, positions)
        if not 3 <= length <= positions:
            raise ValueError(
                f"max_length was given as {length}; expected 3 to {positions}, the positions of "
                f"{options.model}."
            )
        rate = options.learning_rate or (3e-4 if self.model.config.hidden_size <= 256 else 5e-5)
        return replace(options, max_length=length, learning_rate=rate)

    def make_config(self) -> TrainingConfig:
        updates = -(-len(self.texts.encoded["train"]) // self.options.batch_size)
        epochs = self.options.epochs or min(MOST_EPOCHS, max(3, -(-LEAST_UPDATES // updates)))
        return TrainingConfig(
            mlm_weight=self.weight,
            epochs=epochs,
            learning_rate=self.options.learning_rate,
            patience=self.options.patience,
            evaluations_per_epoch=self.options.evaluations_per_epoch,
            precision=self.options.precision,
            accumulate=self.options.accumulate,
            fused=True,
        )

    def fixed_batches(self, name: str) -> dict[str, list]:
        """Return the batches that measure a part: clean ones, and ones with masks drawn once."""
        encoded, batches = self.texts.encoded[name], {}
        if self.weight < 1:
            clean = SequenceCollator(self.tokenizer)
            batches["task"] = list(make_loader(encoded, clean, 64, shuffle=False))
        if self.weight > 0:
            hide = MaskedLMCollator(self.tokenizer, make_generator(self.seed, 2))
            batches["mlm"] = list(make_loader(encoded, hide, 64, shuffle=False))
        return batches

    def evaluate(self, model, name: str = "validation") -> dict[str, float]:
        """Score a part; the best weights are chosen by accuracy where there is a classifier."""
        measured = {}
        if "task" in self.batches[name]:
            measured = evaluate_sequence(model, self.batches[name]["task"])
        if "mlm" in self.batches[name]:
            blanks = evaluate_masked_lm(model, self.batches[name]["mlm"])
            measured = {"loss": blanks["loss"], **measured, "mlm_loss": blanks["loss"]}
        return measured

    def train(self, state: Path):
        """Train with the state saved in a folder at each evaluation; return the history."""
        self.before = self.evaluate(self.model)
        collator = JointCollator(self.tokenizer, make_generator(self.seed, 1), self.weight)
        loader = make_loader(
            self.texts.encoded["train"], AskingRows(collator), self.options.batch_size, self.seed
        )

        def evaluate(model):
            if PartialState().is_main_process:
                keep_previous(state)
            return self.evaluate(model)

        self.say(
            f"Training: {self.config.epochs} epochs of {len(loader)} updates, λ = {self.weight:g}, "
            f"learning rate {self.config.learning_rate:g}, {self.config.precision}."
        )
        set_seed(self.seed + PartialState().process_index)  # dropout differs between processes
        return train(self.model, loader, self.config, evaluate, checkpoint=state / STATE)

    def report(self, history, identity: dict) -> dict:
        """Measure the kept weights on both held-out parts; the test part is read here only."""
        report = {
            "title": f"{self.options.model} fine-tuned on your texts",
            "data": [*self.texts.lines, *(f"WARNING: {w}" for w in self.texts.warnings)],
            "training": [f"{k} = {v}" for k, v in asdict(self.config).items()]
            + [f"{len(history.steps)} updates, best after {history.best_step}: {history.stopped}"],
        }
        if self.weight < 1:
            report |= self.report_classes()
        if self.weight > 0:
            after = {name: self.evaluate(self.model, name)["mlm_loss"] for name in self.batches}
            report["mlm"] = {"validation, before training": self.before["mlm_loss"]}
            report["mlm"] |= {f"{name}, after": loss for name, loss in after.items()}
        return {**report, "identity": identity, "history": vars(history)}

    def report_classes(self) -> dict:
        parts, names, found = self.texts.parts, self.texts.class_names, {}
        for name in ("validation", "test"):
            probabilities = predict_classes(self.model, self.batches[name]["task"])
            found[name] = score_classes(probabilities, parts[name].labels, names)
            if name == "validation":
                part = parts[name]
                found["errors"] = surest_errors(part.texts, part.labels, probabilities, names)
        known, asked = parts["train"], parts["test"]
        words = bag_of_words_probabilities(known.texts, known.labels, asked.texts)
        found["baselines"] = {
            "commonest class": majority_accuracy(known.labels, asked.labels),
            "bag of words": classification_metrics(words, asked.labels)["accuracy"],
        }
        return found

    def save(self, folder: Path, report: dict, history) -> None:
        names = self.texts.class_names if self.weight < 1 else None
        length = self.options.max_length
        export_for_transformers(self.model, self.tokenizer, folder, names, length)
        save_history_figure(history, folder / "history.png")
        (folder / "report.md").write_text("\n".join(report_lines(report)) + "\n", encoding="utf-8")
        write_json(folder / MARK, report)


def created_lines(model, mlm_weight: float) -> list[str]:
    """Say which heads the checkpoint did not have, and so start from nothing.

    Introduced in notebook 08.
    """
    heads = {
        "cls.": "masked-LM head (its output weights tied to the word embeddings)",
        "classifier.": "classifier",
        "bert.pooler.": "pooler",
    }
    used = ["cls."] if mlm_weight == 1 else list(heads)[1 if mlm_weight == 0 else 0 :]
    new = [heads[h] for h in used if any(name.startswith(h) for name in model.created)]
    return [f"Not in the checkpoint, created anew: {', '.join(new)}."] if new else []
