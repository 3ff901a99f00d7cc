"""The exact experiment of notebook 07: both heads against exact posteriors, as λ and text vary.

The language is class-conditional: a label first, then a sentence from that label's hidden-Markov
language. A run has n labelled sentences, a quarter of them for validation, and m more without
labels. With `--brakes` the second loss is compared with two other brakes on learning the labels by
heart, dropout and weight decay, where it helped most.
"""

import time
from collections.abc import Iterator

import torch
from tqdm.auto import tqdm

from bift_utils.evaluation.exact import evaluate_heads
from bift_utils.evaluation.flops import FlopMeter
from bift_utils.evaluation.metrics import evaluate_sequence
from bift_utils.languages.batches import JointLanguageBatches, KnownTest
from bift_utils.languages.experiment import (
    BATCH,
    LABELLED,
    LENGTH,
    UNLABELLED,
    VOCABULARY,
    WEIGHTS,
    WIDTHS,
    draw_test,
    draw_training,
    hide,
    make_language,
)
from bift_utils.languages.families import ClassConditionalLanguage
from bift_utils.models.joint import small_bert
from bift_utils.results.exact import BRAKES
from bift_utils.results.rows import ResultRows
from bift_utils.runtime import environment_report, get_device, set_seed
from bift_utils.training.loop import train
from bift_utils.training.options import TrainingConfig

KEY = ("seed", "mlm_weight", "labelled", "unlabelled", "width", "updates", "learning_rate")
MEASURED = ("loss", "accuracy", "label_kl", "token_kl")
FLOORS = ("label_entropy", "best_accuracy", "token_entropy")
COST = ("tokens", "flops", "seconds")
FOUND = (
    "best_update", *MEASURED, *(f"last_{name}" for name in MEASURED), *FLOORS, *COST,
    "device", "torch", "transformers",
)  # fmt: skip
COLUMNS = (*KEY, *FOUND)
BRAKES_KEY = (*KEY, "dropout", "weight_decay", "looks")
NO_BRAKE = {"mlm_weight": 0.0, "dropout": 0.0, "weight_decay": 0.01, "looks": 60}


def run_exact_cell(
    language: ClassConditionalLanguage, test: KnownTest, cell: dict, evaluations: int = 10
) -> dict:
    """Train one cell and return its measured columns.

    The weights kept are those with the lowest validation loss of the labels (with λ = 1, which
    has no classifier to choose by, the last ones). `last_…` columns measure the last weights.

    Args:
        language, test: as the experiment draws them.
        cell: the columns `KEY`; of `BRAKES_KEY`, what is there counts.
        evaluations: looks at validation, unless the cell says how many.

    Introduced in notebook 07.
    """
    seed, weight = cell["seed"], cell["mlm_weight"]
    evaluations = min(cell.get("looks", evaluations), cell["updates"])
    training, validation, text = draw_training(language, cell["labelled"], cell["unlabelled"], seed)
    set_seed(seed)
    model = small_bert(
        VOCABULARY, LENGTH, cell["width"], pooling="mean", dropout=cell.get("dropout", 0.0)
    ).to(get_device())
    loader = JointLanguageBatches(language, training, cell["updates"], BATCH, seed, text, hide)
    config = TrainingConfig(
        mlm_weight=weight, epochs=1, learning_rate=cell["learning_rate"],
        evaluations_per_epoch=evaluations, weight_decay=cell.get("weight_decay", 0.01),
    )  # fmt: skip
    held_out = [{
        "input_ids": validation.tokens, "attention_mask": torch.ones_like(validation.tokens),
        "labels": validation.labels,
    }]  # fmt: skip
    last = {}

    def evaluate(model) -> dict[str, float]:
        seen.append(True)
        if len(seen) == evaluations:
            last.update(evaluate_heads(model, test))
        if weight == 1.0:
            return {"loss": -len(seen)}  # later is better
        return {"loss": evaluate_sequence(model, held_out)["loss"]}

    seen: list[bool] = []
    started = time.perf_counter()
    with FlopMeter(model) as meter:
        history = train(model, loader, config, evaluate)
    history.check_whole()
    kept = evaluate_heads(model, test)
    cost = (meter.tokens, meter.flops, time.perf_counter() - started)
    return {
        "best_update": history.best_step,
        **{name: round(kept[name], 6) for name in MEASURED},
        **{f"last_{name}": round(last[name], 6) for name in MEASURED},
        **{name: round(value, 1) for name, value in zip(COST, cost, strict=True)},
    }


def plan_exact(seeds: range, widths: tuple[int, ...] = WIDTHS) -> Iterator[dict]:
    """Yield the cells, whole seeds of the narrow model first.

    With λ = 0 no text is read, so the amount of unlabelled text cannot matter: one run stands for
    all three amounts. Introduced in notebook 07.
    """
    for width in widths:
        for seed in seeds:
            for labelled in LABELLED:
                for unlabelled in UNLABELLED:
                    for weight in WEIGHTS:
                        if weight or not unlabelled:
                            yield {
                                "seed": seed, "mlm_weight": weight, "labelled": labelled,
                                "unlabelled": unlabelled, "width": width,
                            }  # fmt: skip


def plan_brakes(seeds: range) -> Iterator[dict]:
    """Yield runs of a wide network with few labels: no brake, and each brake at three strengths.

    Introduced in notebook 07b.
    """
    setting = {"labelled": 32, "unlabelled": 0, "width": max(WIDTHS)}
    for seed in seeds:
        for brake in ({}, *({name: s} for name, tries in BRAKES.items() for s in tries)):
            yield {"seed": seed, **setting, **NO_BRAKE, **brake}


def run_exact_grid(options) -> None:
    """Run the cells that are missing in `options.output`, and append them."""
    key = BRAKES_KEY if options.brakes else KEY
    results = ResultRows(options.output, (*key, *FOUND), key)
    language, machine = make_language(), environment_report()
    test = draw_test(language)
    floors = {
        "label_entropy": round(test.label_entropy, 6),
        "best_accuracy": round(test.best_accuracy, 6),
        "token_entropy": round(float(torch.special.entr(test.token_posterior).sum(-1).mean()), 6),
    }
    about = {name: machine[name] for name in ("device", "torch", "transformers")}
    common = {"updates": options.updates, "learning_rate": options.learning_rate}
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    cells = plan_brakes(seeds) if options.brakes else plan_exact(seeds, options.widths)
    for cell in tqdm(list(cells), unit="run"):
        cell = {**cell, **common}
        if cell not in results:
            results.append({**cell, **run_exact_cell(language, test, cell), **floors, **about})
