"""The label-efficiency study of notebook 07: methods × numbers of labels × seeds, one row a run.

One test part for all runs; each seed draws its labelled sentences, start, order and masks, which
all methods share. λ is chosen on validation from the rows of the λ axis, never on test.

The shipped table comes from `python -m bift_utils.commands.study labels TABLE.csv
--precision bf16`, run as it stands, then with the following added, one line a run::

    --sizes 512 --first-seed 10 --seeds 24 --methods plain joint "plain, same FLOPs"
    --sizes 2048 --first-seed 10 --seeds 5 --methods plain joint "plain, same FLOPs"
    --sizes 128 2048 --seeds 5 --methods plain joint --half-rate
    --sizes 512 --seeds 10 --methods plain joint --half-rate
    --sizes 512 --seeds 34 --methods plain --half-rate
"""

import time
import warnings
from collections.abc import Iterator, Sequence

import pandas
import torch
from tqdm.auto import tqdm

from bift_utils.commands.study.label_runs import (
    Material,
    counted_words,
    measure,
    neural_probabilities,
    train_method,
)
from bift_utils.data.batches import encode_texts
from bift_utils.data.corpus import held_out_reviews
from bift_utils.data.texts import LabelledTexts, load_reviews, split_texts
from bift_utils.models.checkpoints import load_model, load_tokenizer
from bift_utils.results.labels import (
    AXIS_SEEDS,
    AXIS_SIZES,
    KEY,
    RATE,
    WEIGHTS,
    WITH_WEIGHT,
    axis_size,
    choose_weight,
    run_name,
)
from bift_utils.results.methods import draw_labelled
from bift_utils.results.rows import ResultRows
from bift_utils.results.scores import pack_scores, store_scores
from bift_utils.runtime import environment_report, get_device, set_seed

ALL = 7250  # labelled sentences outside the test part
UPDATES = {32: 60, 128: 99, 512: 150, 2048: 201, ALL: 300}  # task updates of 32 sentences each
SIZES = tuple(UPDATES)
NEURAL = (
    "plain", "plain, same FLOPs", "TAPT", "joint", "joint, task-only finish", "alternating",
)  # fmt: skip
METHODS = (*NEURAL, "NBSVM")
MOST_VALIDATION = 512
MEASURED = (
    "task_updates", "mlm_updates", "best_update", "strength", "validation_loss",
    *(f"{part}_{name}" for part in ("test", "transfer") for name in ("accuracy", "loss", "ece")),
    "tokens", "flops", "seconds",
)  # fmt: skip
COLUMNS = (
    *KEY, "train_texts", "validation_texts", *MEASURED, "device", "torch", "transformers",
)  # fmt: skip


class Study:
    """The texts, read and tokenised once; `material` gives what one run sees.

    Args:
        checkpoint: name of the encoder.

    Introduced in notebook 07.
    """

    def __init__(self, checkpoint: str = "bift-mini"):
        self.checkpoint, self.tokenizer = checkpoint, load_tokenizer(checkpoint)
        parts = split_texts(load_reviews("rotten_tomatoes"), seed=0)
        pool = [parts[name] for name in ("train", "validation")]
        self.pool = LabelledTexts(
            [text for part in pool for text in part.texts],
            [label for part in pool for label in part.labels],
        )
        self.test = self._encoded(parts["test"])
        self.transfer = self._encoded(held_out_reviews())
        self.text = self._encoded(self.pool)[1]

    def _encoded(self, texts: LabelledTexts):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # long reviews are cut to the model's positions
            return texts, encode_texts(self.tokenizer, texts.texts, texts.labels)

    def material(self, labels: int, seed: int) -> Material:
        """Return what a run with n labels sees: a quarter of them, at most 512, validates."""
        chosen = draw_labelled(self.pool.labels, labels, seed)
        held_out = min(labels // 4, MOST_VALIDATION)
        validation, training = (
            self._encoded(self.pool.take(part)) for part in (chosen[:held_out], chosen[held_out:])
        )
        return Material(training, validation, self.test, self.transfer, self.text)


def run_one(study: Study, row: dict) -> tuple[dict, dict[str, torch.Tensor]]:
    """Run one method once; return the measured columns of its row, and its packed scores by part.

    Introduced in notebook 07.
    """
    material = study.material(row["labels"], row["seed"])
    started = time.perf_counter()
    asked = {"test": material.test, "transfer": material.transfer}
    if row["method"] == "NBSVM":
        found, probabilities = counted_words(material)
    else:
        set_seed(row["seed"])
        model = load_model(study.checkpoint, pooling="mean", dropout=0.1).to(get_device())
        options = {**row, "updates": UPDATES[row["labels"]]}
        found = train_method(model, study.tokenizer, material, options, row["seed"])
        probabilities = {
            name: neural_probabilities(model, study.tokenizer, encoded)
            for name, (_, encoded) in asked.items()
        }
    found["validation_loss"] = round(found["validation_loss"], 5)
    sizes = {"train_texts": len(material.train[0]), "validation_texts": len(material.validation[0])}
    for name, (texts, _) in asked.items():
        found |= measure(probabilities[name], texts.labels, name)
    found = {**sizes, **found, "seconds": round(time.perf_counter() - started, 1)}
    return found, {name: pack_scores(rows) for name, rows in probabilities.items()}


def axis_cells(size: int) -> Iterator[dict]:
    """Yield the runs of the λ axis at one size; λ = 0 is plain fine-tuning."""
    for seed in AXIS_SEEDS:
        for weight in WEIGHTS:
            method = "joint" if weight else "plain"
            yield {"method": method, "labels": size, "seed": seed, "mlm_weight": weight}


def method_cells(
    seeds: Sequence[int], sizes: Sequence[int], weight: float, methods: Sequence[str] = METHODS
) -> Iterator[dict]:
    """Yield the runs of the methods, seed by seed, with the λ that validation chose."""
    for seed in seeds:
        for size in sizes:
            for method in methods:
                cell = {"method": method, "labels": size, "seed": seed}
                yield {**cell, "mlm_weight": weight if method in WITH_WEIGHT else 0.0}


def run_label_efficiency(options) -> None:
    """Run what is missing in `options.output`: the λ axis, then methods seed by seed.

    What the models answered is kept beside that table, in a file of the same name in `.npz`.

    `options.sizes` and `options.methods` say of which, `options.half_rate` at which learning rate;
    λ is always chosen on its whole axis, at the full rate.
    """
    results = ResultRows(options.output, COLUMNS, KEY)
    study, machine = Study(options.checkpoint), environment_report()
    about = {name: machine[name] for name in ("device", "torch", "transformers")}
    common = {"checkpoint": options.checkpoint, "precision": options.precision}
    seeds = range(options.first_seed, options.first_seed + options.seeds)

    def run(cells: Iterator[dict], what: str, rate: float = RATE) -> None:
        for cell in tqdm(list(cells), desc=what, unit="run"):
            row = {**common, **cell, "learning_rate": rate}
            if row not in results:
                found, scores = run_one(study, row)
                # before the row: a run whose row is there has its scores, wherever it is killed
                store_scores(options.output.with_suffix(".npz"), run_name(row), scores)
                results.append({**row, **found, **about})

    halves = {axis: [n for n in options.sizes if axis_size(n) == axis] for axis in AXIS_SIZES}
    halves = {axis: sizes for axis, sizes in halves.items() if sizes}
    for axis in halves:
        run(axis_cells(axis), f"λ axis, {axis} labels")
    rows = pandas.read_csv(options.output)
    weights = {axis: choose_weight(rows, axis) for axis in halves}
    for axis, weight in weights.items():
        sizes, rate = halves[axis], RATE / 2 if options.half_rate else RATE
        cells = method_cells(seeds, sizes, weight, options.methods)
        run(cells, f"{sizes[0]} to {sizes[-1]} labels, λ = {weight:g}, rate {rate:g}", rate)
