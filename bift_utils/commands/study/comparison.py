"""The comparison of λ on Rotten Tomatoes, beside bag-of-words and the majority class."""

import time

from tqdm.auto import tqdm

from bift_utils.data.batches import EncodedTexts, encode_texts, make_loader
from bift_utils.data.texts import LabelledTexts, load_reviews, split_texts
from bift_utils.evaluation.baselines import bag_of_words_probabilities, majority_accuracy
from bift_utils.evaluation.metrics import classification_metrics, evaluate_sequence
from bift_utils.masking.collators import JointCollator, SequenceCollator
from bift_utils.models.checkpoints import load_model, load_tokenizer
from bift_utils.results.rows import ResultRows
from bift_utils.runtime import environment_report, get_device, make_generator, set_seed
from bift_utils.training.loop import train
from bift_utils.training.options import TrainingConfig

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
    collator = JointCollator(tokenizer, make_generator(seed, 1))
    loader = make_loader(encoded["train"], collator, options.batch_size, seed)
    plain = SequenceCollator(tokenizer)
    scored = {
        name: list(make_loader(encoded[name], plain, 128, shuffle=False))
        for name in ("validation", "test")
    }
    history = train(model, loader, config, lambda m: evaluate_sequence(m, scored["validation"]))
    history.check_whole()
    row: dict = {"best_step": history.best_step, "updates": len(history.steps)}
    for name, batches in scored.items():  # the test part is read here, once, and nowhere else
        measured = evaluate_sequence(model, batches)
        row |= {f"{name}_{key}": round(measured[key], 5) for key in ("accuracy", "loss")}
    return row


def run_baselines(parts: dict[str, LabelledTexts]) -> dict[str, dict]:
    """Return the rows of the two baselines on the same parts."""
    train_part = parts["train"]
    rows: dict[str, dict] = {"majority": {}, "bag of words": {}}
    for name in ("validation", "test"):
        part = parts[name]
        rows["majority"][f"{name}_accuracy"] = majority_accuracy(train_part.labels, part.labels)
        measured = classification_metrics(
            bag_of_words_probabilities(train_part.texts, train_part.labels, part.texts),
            part.labels,
        )
        rows["bag of words"] |= {f"{name}_{k}": round(v, 5) for k, v in measured.items()}
    return rows


def run_comparison(options) -> None:
    """Run what is missing, seed by seed; seed s uses split s, start s and masks s."""
    tokenizer = load_tokenizer(options.checkpoint)
    reviews = load_reviews("rotten_tomatoes")
    machine = environment_report()
    results = ResultRows(options.output, COLUMNS, ("method", "mlm_weight", "seed", *OPTIONS))
    common: dict = {key: machine[key] for key in ("device", "torch", "transformers")}
    for seed in tqdm(range(options.first_seed, options.first_seed + options.seeds), unit="seed"):
        parts = split_texts(reviews, seed=seed)
        common |= {"seed": seed, "train_texts": len(parts["train"])}
        rows = {name: {"method": name, **common} for name in ("majority", "bag of words")}
        if any(row not in results for row in rows.values()):
            for method, measured in run_baselines(parts).items():
                if rows[method] not in results:
                    results.append(rows[method] | measured)
        encoded = encode_parts(tokenizer, parts)
        for weight in options.mlm_weights:
            row = {"method": "joint" if weight else "plain", "mlm_weight": weight, **common}
            row |= {name: getattr(options, name) for name in OPTIONS}
            if row in results:
                continue
            started = time.perf_counter()
            measured = run_joint(options, tokenizer, encoded, weight, seed)
            results.append({**row, **measured, "seconds": round(time.perf_counter() - started)})
