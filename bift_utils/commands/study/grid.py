"""The grid of notebook 06: λ, schedules, sharing and the classifier's input on Rotten Tomatoes.

Every cell of the grid is a dict of settings that differs from `BASE` in what it studies. All
cells take the same number of task updates, on the same sentences in the same order per seed.
"""

import time
from collections.abc import Iterator

from tqdm.auto import tqdm

from bift_utils.data.batches import batches_by_length, encode_texts, make_loader
from bift_utils.data.texts import load_reviews, split_texts
from bift_utils.evaluation.flops import FlopMeter
from bift_utils.evaluation.metrics import evaluate_sequence
from bift_utils.evaluation.predict import evaluate_masked_lm
from bift_utils.masking.collators import JointCollator, MaskedLMCollator, SequenceCollator
from bift_utils.models.checkpoints import load_model, load_tokenizer
from bift_utils.models.sharing import share_layers
from bift_utils.results.grid import BASE, WEIGHTS
from bift_utils.results.rows import ResultRows
from bift_utils.runtime import environment_report, get_device, make_generator, set_seed
from bift_utils.training.loop import train
from bift_utils.training.options import TrainingConfig

BLANK_TEXTS = 512  # test sentences whose blanks are asked for
SHARED = {"all": None, "lower 2": 2, "none": 0}
OPTIONS = ("train_texts", "epochs", "batch_size", "dropout", "pooling", "precision", "checkpoint")
KEY = ("seed", *BASE, *OPTIONS)
MEASURED = (
    "updates", "task_updates", "rows_encoded", "best_step", "validation_accuracy",
    "validation_loss", "test_accuracy", "test_loss", "test_mlm_loss", "seconds",
)  # fmt: skip
COLUMNS = (*KEY, *MEASURED, "validation_texts", "test_texts", "device", "torch", "transformers")


def cells() -> list[dict]:
    """Return the settings of every cell, those that the notebook needs most first.

    Introduced in notebook 06.
    """
    axis: list[dict] = [{"mlm_weight": weight} for weight in WEIGHTS]
    others: list[dict] = [
        {"schedule": "alternating"},
        {"finish": "yes"},
        {"shared": "none"},
        {"classifier_input": "masked"},
        {"shared": "lower 2"},
        {"mlm_weight": 0.952, "finish": "yes"},
        {"mlm_weight": 0.952, "classifier_input": "masked"},
        {"mlm_weight": 0.0, "learning_rate": 1.5e-4},
        {"learning_rate": 1.5e-4},
    ]
    return [{**BASE, **cell} for cell in axis + others]


def prepare(tokenizer, options, seed: int) -> dict:
    """Return the tokenised training texts of a seed, and its fixed batches for scoring."""
    parts = split_texts(load_reviews("rotten_tomatoes"), seed=seed)
    if options.train_texts > len(parts["train"]):
        raise ValueError(
            f"{options.train_texts} training texts were asked for; expected at most "
            f"{len(parts['train'])}, the size of the training part."
        )
    few = parts["train"].take(range(options.train_texts))
    sizes = {"validation": options.validation_texts, "test": len(parts["test"])}
    plain = SequenceCollator(tokenizer)
    hide = MaskedLMCollator(tokenizer, make_generator(seed, 2))
    prepared: dict = {"train": encode_texts(tokenizer, few.texts, few.labels)}
    for name, size in sizes.items():
        part = parts[name].take(range(min(size, len(parts[name]))))
        encoded = encode_texts(tokenizer, part.texts, part.labels)
        prepared[name], _ = batches_by_length(encoded, plain, 128)
        prepared[f"{name}_texts"] = len(encoded)
    part = parts["test"].take(range(min(BLANK_TEXTS, len(parts["test"]))))
    encoded = encode_texts(tokenizer, part.texts, part.labels)
    prepared["blanks"], _ = batches_by_length(encoded, hide, 128)
    return prepared


def make_config(options, cell: dict) -> TrainingConfig:
    """Return the training options of a cell; with a finish, its pass is taken off the others."""
    finish = cell["finish"] == "yes"
    return TrainingConfig(
        mlm_weight=cell["mlm_weight"],
        epochs=options.epochs - finish,
        learning_rate=cell["learning_rate"],
        evaluations_per_epoch=1,
        schedule=cell["schedule"],
        finish_epochs=int(finish),
        precision=options.precision,
    )


def run_setting(tokenizer, prepared: dict, options, cell: dict, seed: int) -> dict:
    """Train one cell with one seed and return its measured columns.

    Seed s is split s, start s, order s and masks s. The test part is scored once, with the weights
    that were best on validation. `rows_encoded` counts the rows that the encoder read in training.
    """
    started = time.perf_counter()
    set_seed(seed)
    start = load_model(options.checkpoint, pooling=options.pooling, dropout=options.dropout)
    model = share_layers(start, SHARED[cell["shared"]]).to(get_device())
    collator = JointCollator(tokenizer, make_generator(seed, 1), cell["classifier_input"])
    loader = make_loader(prepared["train"], collator, options.batch_size, seed)
    config = make_config(options, cell)
    with FlopMeter(model) as meter:
        history = train(
            model, loader, config, lambda m: evaluate_sequence(m, prepared["validation"])
        )
    history.check_whole()
    seconds = time.perf_counter() - started
    best = next(row for row in history.evaluations if row["step"] == history.best_step)
    test = evaluate_sequence(model, prepared["test"])
    blanks = evaluate_masked_lm(model, prepared["blanks"])
    return {
        "updates": len(history.steps),
        "task_updates": len(history.steps) - history.count("mlm"),
        "rows_encoded": meter.rows,
        "best_step": history.best_step,
        "validation_accuracy": round(best["accuracy"], 5),
        "validation_loss": round(best["loss"], 5),
        "test_accuracy": round(test["accuracy"], 5),
        "test_loss": round(test["loss"], 5),
        "test_mlm_loss": round(blanks["loss"], 5),
        "seconds": round(seconds, 1),
    }


def plan_grid(seeds: range) -> Iterator[tuple[int, dict]]:
    """Yield (seed, cell): whole seeds of the λ axis first, then the other cells, seed by seed."""
    axis, others = cells()[: len(WEIGHTS)], cells()[len(WEIGHTS) :]
    for part in (axis, others):
        for seed in seeds:
            for cell in part:
                yield seed, cell


def run_grid(options) -> None:
    """Run the cells that are missing in `options.output`, and append them."""
    results = ResultRows(options.output, COLUMNS, KEY)
    tokenizer, machine = load_tokenizer(options.checkpoint), environment_report()
    common = {name: getattr(options, name) for name in OPTIONS}
    about = {name: machine[name] for name in ("device", "torch", "transformers")}
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    prepared, prepared_seed = {}, None  # filled before it is read
    for seed, cell in tqdm(list(plan_grid(seeds)), unit="run"):
        row = {"seed": seed, **cell, **common}
        if row in results:
            continue
        if seed != prepared_seed:
            prepared, prepared_seed = prepare(tokenizer, options, seed), seed
        measured = run_setting(tokenizer, prepared, options, cell, seed)
        sizes = {name: prepared[name] for name in ("validation_texts", "test_texts")}
        results.append({**row, **measured, **sizes, **about})
