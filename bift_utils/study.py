"""Long comparisons on Rotten Tomatoes, one CSV row a run, resumable at any kill.

`python -m bift_utils.study OUTPUT.csv --mlm-weights 0 0.3 --seeds 5` fine-tunes one checkpoint
with each λ and each seed, beside bag-of-words and the majority class on the same parts. A row
that is already in OUTPUT.csv is not run again.
"""

import argparse
import csv
import time
from pathlib import Path

from tqdm.auto import tqdm

from bift_utils.data import (
    EncodedTexts,
    LabelledTexts,
    encode_texts,
    load_reviews,
    make_loader,
    split_texts,
)
from bift_utils.evaluation import (
    bag_of_words_probabilities,
    classification_metrics,
    evaluate_sequence,
    majority_accuracy,
)
from bift_utils.loading import load_model, load_tokenizer
from bift_utils.masking import JointCollator, SequenceCollator
from bift_utils.runtime import environment_report, get_device, make_generator, set_seed
from bift_utils.training import TrainingConfig, train

OPTIONS = ("checkpoint", "pooling", "dropout", "epochs", "learning_rate", "batch_size")
COLUMNS = (
    "method", "mlm_weight", "seed", "checkpoint", "pooling", "dropout", "epochs", "learning_rate",
    "batch_size", "train_texts", "best_step", "updates", "validation_accuracy",
    "validation_loss", "test_accuracy", "test_loss", "seconds", "device", "torch", "transformers",
)  # fmt: skip


def encode_parts(tokenizer, parts: dict[str, LabelledTexts]) -> dict[str, EncodedTexts]:
    """Tokenise every part once."""
    return {name: encode_texts(tokenizer, part.texts, part.labels) for name, part in parts.items()}


def run_joint(options, tokenizer, encoded: dict[str, EncodedTexts], weight: float, seed: int):
    """Fine-tune once and return the measured columns of its row."""
    set_seed(seed)
    model = load_model(options.checkpoint, pooling=options.pooling, dropout=options.dropout).to(
        get_device()
    )
    config = TrainingConfig(
        mlm_weight=weight, epochs=options.epochs, learning_rate=options.learning_rate
    )
    collator = JointCollator(tokenizer, make_generator(seed, 1), weight)
    loader = make_loader(encoded["train"], collator, options.batch_size, seed)
    plain = SequenceCollator(tokenizer)
    scored = {
        name: list(make_loader(encoded[name], plain, 128, shuffle=False))
        for name in ("validation", "test")
    }
    history = train(model, loader, config, lambda m: evaluate_sequence(m, scored["validation"]))
    if history.stopped == "stopped by hand":
        raise KeyboardInterrupt  # an unfinished run leaves no row
    row = {"best_step": history.best_step, "updates": len(history.steps)}
    for name, batches in scored.items():  # the test part is read here, once, and nowhere else
        measured = evaluate_sequence(model, batches)
        row |= {f"{name}_{key}": round(measured[key], 5) for key in ("accuracy", "loss")}
    return row


def run_baselines(parts: dict[str, LabelledTexts]) -> dict[str, dict]:
    """Return the rows of the two baselines on the same parts."""
    train_part = parts["train"]
    rows = {"majority": {}, "bag of words": {}}
    for name in ("validation", "test"):
        part = parts[name]
        rows["majority"][f"{name}_accuracy"] = majority_accuracy(train_part.labels, part.labels)
        measured = classification_metrics(
            bag_of_words_probabilities(train_part.texts, train_part.labels, part.texts),
            part.labels,
        )
        rows["bag of words"] |= {f"{name}_{k}": round(v, 5) for k, v in measured.items()}
    return rows


class Results:
    """The CSV: what has been run already, and one appended row for each new run.

    A row that was cut by a kill is dropped when the file is opened, and run again.
    """

    def __init__(self, path: Path):
        self.path = path
        rows = []
        if path.exists():
            with path.open(newline="") as file:
                rows = [row for row in csv.DictReader(file) if row["transformers"]]
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(path.name + ".partial")
        with partial.open("w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(rows)
        partial.replace(path)  # a kill leaves the old file or the new one
        self.done = {self.key(row) for row in rows}

    @staticmethod
    def key(row: dict) -> tuple[str, ...]:
        """What makes a run this run and not another: method, λ, seed and every option."""
        return tuple(str(row.get(name, "")) for name in ("method", "mlm_weight", "seed", *OPTIONS))

    def append(self, row: dict) -> None:
        with self.path.open("a", newline="") as file:
            csv.DictWriter(file, COLUMNS).writerow(row)
        self.done.add(self.key(row))


def run_study(options) -> None:
    """Run what is missing, seed by seed; seed s uses split s, start s and masks s."""
    tokenizer = load_tokenizer(options.checkpoint)
    reviews = load_reviews("rotten_tomatoes")
    machine = environment_report()
    results = Results(options.output)
    common = {key: machine[key] for key in ("device", "torch", "transformers")}
    for seed in tqdm(range(options.first_seed, options.first_seed + options.seeds), unit="seed"):
        parts = split_texts(reviews, seed=seed)
        common |= {"seed": seed, "train_texts": len(parts["train"])}
        rows = {name: {"method": name, **common} for name in ("majority", "bag of words")}
        if any(Results.key(row) not in results.done for row in rows.values()):
            for method, measured in run_baselines(parts).items():
                if Results.key(rows[method]) not in results.done:
                    results.append(rows[method] | measured)
        encoded = encode_parts(tokenizer, parts)
        for weight in options.mlm_weights:
            row = {"method": "joint" if weight else "plain", "mlm_weight": weight, **common}
            row |= {name: getattr(options, name) for name in OPTIONS}
            if Results.key(row) in results.done:
                continue
            started = time.perf_counter()
            measured = run_joint(options, tokenizer, encoded, weight, seed)
            results.append({**row, **measured, "seconds": round(time.perf_counter() - started)})


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bift_utils.study", description=__doc__)
    parser.add_argument("output", type=Path, help="CSV to write or to go on with")
    parser.add_argument("--mlm-weights", type=float, nargs="+", default=[0.0, 0.3])
    parser.add_argument("--seeds", type=int, default=5, help="how many")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--checkpoint", default="bift-mini")
    parser.add_argument("--pooling", default="mean")
    parser.add_argument("--dropout", type=float, default=0.1)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--learning-rate", type=float, default=3e-4)
    parser.add_argument("--batch-size", type=int, default=32)
    run_study(parser.parse_args(arguments))


if __name__ == "__main__":
    main()
