"""The steps of one run: read, train, report, save, compare."""

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

from accelerate import PartialState

from bift_utils.data.batches import IGNORE_INDEX, EncodedTexts, make_loader
from bift_utils.data.tables import TextTable
from bift_utils.data.texts import LabelledTexts
from bift_utils.evaluation.metrics import classification_metrics
from bift_utils.evaluation.predict import evaluate_masked_lm, predict_classes
from bift_utils.finetune.opponents import (
    FINE_TUNED,
    HELD_OUT,
    PLAIN,
    compare_methods,
    measure_opponents,
    verdict_lines,
)
from bift_utils.finetune.options import FinetuneOptions
from bift_utils.finetune.output import MARK, write_json, write_text
from bift_utils.finetune.report import (
    report_lines,
    save_history_figure,
    score_classes,
    surest_errors,
)
from bift_utils.finetune.state import PLAIN_STATE, STATE
from bift_utils.finetune.texts import prepare_texts, read_texts
from bift_utils.masking.collators import JointCollator, MaskedLMCollator, SequenceCollator
from bift_utils.models.checkpoints import load_model, load_tokenizer
from bift_utils.models.export import export_for_transformers
from bift_utils.runtime import environment_report, get_device, make_generator, set_seed
from bift_utils.training.history import STOPPED_BY_HAND, History
from bift_utils.training.loop import train


def write_reports(folder: Path, report: dict) -> None:
    """Write a report for people and one for programs.

    Introduced in notebook 08.
    """
    write_text(folder / "report.md", "\n".join(report_lines(report)) + "\n")
    write_json(folder / MARK, report)


class FinetuneRun:
    """Texts, model and batches of one run; made from the options alone, so it can be made again.

    Args:
        table: file with the texts, or a `data.TextTable`.
        options: what to do with them.
        say: is given each line to show.

    Introduced in notebook 08.
    """

    def __init__(
        self, table: str | Path | TextTable, options: FinetuneOptions, say: Callable[[str], None]
    ):
        self.options, self.say, self.weight = options, say, options.mlm_weight
        self.name = "a table" if isinstance(table, TextTable) else Path(table).name
        held_out: dict[str, LabelledTexts] = {}
        if not isinstance(table, TextTable):
            table, held_out = read_texts(table, options)
        self.tokenizer = load_tokenizer(options.model)
        self.classes = len(table.class_names)
        self.model = self.untouched()
        self.bytes = sum(p.numel() * p.element_size() for p in self.model.parameters())
        self.max_length = options.length(self.model)
        self.texts = prepare_texts(
            table, self.tokenizer, options.model, self.weight, self.max_length, options.seed,
            self.model.config.max_position_embeddings, held_out,
        )  # fmt: skip
        for line in [*self.texts.lines, *created_lines(self.model, self.weight)]:
            say(line)
        for line in self.texts.warnings:
            say(f"WARNING: {line}")
        self.config = options.training(
            self.model.config.hidden_size, len(self.texts.encoded["train"]), self.classes
        )
        self.batches = {name: self.fixed_batches(name) for name in HELD_OUT}

    def untouched(self):
        """Return the checkpoint with new heads where it has none, the same at each call."""
        set_seed(self.options.seed)
        classes = self.classes or None  # with λ = 1 the classifier is never used
        options = self.options
        model = load_model(options.model, classes, options.pooling, options.dropout)
        return model.to(get_device())

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
        """Score the validation part; `score` is what the best weights have most of."""
        measured, batches = {}, self.batches["validation"]
        if "task" in batches:
            labels = self.texts.parts["validation"].labels
            chances = predict_classes(model, batches["task"])
            measured = classification_metrics(chances, labels)
            scores = score_classes(chances, labels, self.texts.class_names, intervals=False)
            measured["macro_f1"] = scores["macro_f1"]
            measured["score"] = measured[self.options.select]
        if "mlm" in batches:
            blanks = evaluate_masked_lm(model, batches["mlm"])
            measured = {"loss": blanks["loss"], **measured, "mlm_loss": blanks["loss"]}
        return measured

    def train(self, state: Path) -> History:
        """Train with the state saved in a folder at each evaluation; return the history."""
        self.before, place = self.evaluate(self.model), PartialState()
        updates = -(-len(self.texts.encoded["train"]) // self.options.batch_size)
        epochs, processes = self.config.epochs, place.num_processes
        self.say(
            f"Training: {epochs} epoch{'s' * (epochs > 1)} of {updates} updates, λ = "
            f"{self.weight:g}, learning rate {self.config.learning_rate:g}, "
            f"{self.config.precision}, {processes} process{'es' * (processes > 1)}."
        )
        history = self.fit(self.model, self.texts.encoded["train"], self.config, state / STATE)
        if history.diverged:
            self.say(f"WARNING: {history.stopped}.")
        return history

    def train_plain(self, state: Path):
        """Train the checkpoint once more with λ = 0, on the same budget; return the model.

        It reads the texts with a class only, as often as makes as many updates.
        """
        self.say("Once more with λ = 0, on the same budget.")
        model, everything = self.untouched(), self.texts.encoded["train"]
        named = everything.take(
            [i for i, label in enumerate(everything.labels or []) if label != IGNORE_INDEX]
        )
        size = self.options.batch_size
        updates = self.config.epochs * -(-len(everything) // size)
        epochs = max(1, round(updates / -(-len(named) // size)))
        config = replace(self.config, mlm_weight=0.0, epochs=epochs)
        self.fit(model, named, config, state / PLAIN_STATE)
        return model

    def fit(self, model, encoded: EncodedTexts, config, checkpoint: Path) -> History:
        """Train a model; what is random is the same whatever was trained before."""
        seed = self.options.seed
        collator = JointCollator(self.tokenizer, make_generator(seed, 1))
        loader = make_loader(encoded, collator, self.options.batch_size, seed)
        set_seed(seed + PartialState().process_index)  # dropout differs between processes
        history = train(model, loader, config, self.evaluate, checkpoint=checkpoint)
        if history.stopped == STOPPED_BY_HAND:
            raise KeyboardInterrupt  # the state stays: --resume goes on from it
        return history

    def report(self, history: History, identity: dict) -> dict:
        """Measure the kept weights on both held-out parts; the test part is read here only."""
        texts = self.texts
        report = {
            "title": f"{Path(self.options.model).name} fine-tuned on {self.name}",
            "data": [*texts.lines, *(f"WARNING: {w}" for w in texts.warnings)],
            "training": self.training_lines(history),
            "processes": PartialState().num_processes,
            "max_length": self.max_length,
            "selected by": self.options.select,
            "pieces per word": texts.summary.pieces_per_word,
        }
        if self.weight < 1:
            self.answers = self.ask(self.model)
            for name, chances in self.answers.items():
                report[name] = score_classes(chances, texts.parts[name].labels, texts.class_names)
            part = texts.parts["validation"]
            report["errors"] = surest_errors(
                part.texts, part.labels, self.answers["validation"], texts.class_names
            )
        if self.weight > 0:
            report["mlm"] = {"validation, before training": self.before["mlm_loss"]}
            for name, batches in self.batches.items():
                after = evaluate_masked_lm(self.model, batches["mlm"])
                report["mlm"][f"{name}, after"] = after["loss"]
        return {**report, "identity": identity, "history": vars(history)}

    def training_lines(self, history: History) -> list[str]:
        """Return what it takes to do the run again: files, options in effect, versions."""
        filled = {name: getattr(self.config, name) for name in ("epochs", "learning_rate")}
        options = {**asdict(self.options), **filled, "max_length": self.max_length}
        lines = [f"table = {self.name}"]
        lines += [f"{name} = {value}" for name, value in options.items() if value is not None]
        lines += [f"{name} {version}" for name, version in environment_report().items()]
        updates = f"{len(history.steps)} updates, best after {history.best_step}"
        return [*lines, f"{updates}: {history.stopped}"]

    def ask(self, model) -> dict:
        """Return P(class given text) of both held-out parts, (N, K) each."""
        return {name: predict_classes(model, self.batches[name]["task"]) for name in HELD_OUT}

    def save(self, folder: Path, report: dict, history: History) -> None:
        """Write model, report and figure into an empty folder."""
        names = self.texts.class_names if self.weight < 1 else None
        export_for_transformers(self.model, self.tokenizer, folder, names, self.max_length)
        save_history_figure(history, folder / "history.png")
        write_reports(folder, report)

    def compare(self, plain, report: dict) -> dict:
        """Measure the cheaper methods; return what that adds to the report.

        Args:
            plain: a model of the same budget with λ = 0, or None.
            report: with the scores of the fine-tuned model.
        """
        found: dict = {}
        if self.weight < 1:
            seed = self.options.seed
            others, notes = measure_opponents(self.texts, self.untouched, self.tokenizer, seed)
            if plain is not None:
                others[PLAIN] = self.ask(plain)
            answers = {FINE_TUNED: self.answers, **others}
            found = compare_methods(answers, self.texts.parts, self.texts.class_names)
            found["not_measured"] = notes
        return {**found, "verdict": verdict_lines({**report, **found})}


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
