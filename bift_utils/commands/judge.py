"""Judge a checkpoint: how well it fills in blanks, and what a frozen encoder is worth.

`python -m bift_utils.commands.judge bift-mini` prints the measures by which the model card compares
editions, as JSON. What was chosen by them was chosen on the validation part; `--test` reads the
test part as well. It takes some minutes on one core.
"""

import argparse
import json
import statistics

import torch

from bift_utils.commands.study.methods import MOST_VALIDATION, STRENGTHS
from bift_utils.data.batches import batches_by_length, encode_texts
from bift_utils.data.corpus import encode_sentences, split_reviews
from bift_utils.data.texts import LabelledTexts, load_reviews, split_texts
from bift_utils.evaluation.baselines import frozen_vectors, probe_probabilities
from bift_utils.evaluation.counts import losses_by_share
from bift_utils.evaluation.metrics import classification_metrics
from bift_utils.evaluation.predict import evaluate_masked_lm, validation_batches
from bift_utils.masking.collators import SequenceCollator
from bift_utils.masking.tokens import MaskingConfig
from bift_utils.models.checkpoints import load_model, load_tokenizer
from bift_utils.results.methods import draw_labelled
from bift_utils.runtime import make_generator

SIZES, SEEDS = (128, 512), range(10)  # labelled sentences, and how often they are drawn
AREA_TEXTS, AREA_ROUNDS, POSITIONS = 160, 10, 128


def judge_blanks(model, tokenizer) -> dict[str, float]:
    """Return the loss (nats a blank, nats a word) and accuracy at 15 % on held-out reviews."""
    _, held_out = split_reviews(load_reviews("imdb").texts)
    encoded = encode_sentences(tokenizer, held_out)
    found = evaluate_masked_lm(model, validation_batches(encoded, tokenizer, POSITIONS))
    tokens = sum(len(sentence) for review in encoded for sentence in review)
    words = sum(len(text.split()) for text in held_out)  # tokenizers of editions differ
    return {
        "nats a blank": found["loss"], "nats a word": found["loss"] * tokens / words,
        "blanks filled in exactly (%)": 100 * found["accuracy"],
    }  # fmt: skip


def judge_area(model, tokenizer, texts: list[str]) -> dict[str, float]:
    """Return the area under the loss per blank (nats a token), as notebook 09 reads it."""
    rows = encode_texts(tokenizer, texts[:AREA_TEXTS]).input_ids
    masks = MaskingConfig.from_tokenizer(tokenizer)
    losses = losses_by_share(model, rows, masks, AREA_ROUNDS, make_generator(1))
    lengths = torch.tensor([len(row) - 2 for row in rows], dtype=torch.float64)
    return {"area (nats a token)": float(((lengths / lengths.sum()) @ losses).mean())}


def judge_frozen(model, tokenizer, parts: dict[str, LabelledTexts], part: str) -> dict[str, float]:
    """Return the accuracy of logistic regression on mean vectors, by the number of labels."""
    vectors = {}
    for name in {"train", part}:
        encoded = encode_texts(tokenizer, parts[name].texts, parts[name].labels)
        batches, back = batches_by_length(encoded, SequenceCollator(tokenizer), 64)
        vectors[name] = frozen_vectors(model, batches)[back]
    every, found = parts["train"].labels, {}
    for labels in (*SIZES, len(every)):
        accuracies = []
        for seed in SEEDS if labels < len(every) else range(1):
            chosen = draw_labelled(every, labels, seed)
            held_out = min(labels // 4, MOST_VALIDATION)
            drawn = {"validation": chosen[:held_out], "train": chosen[held_out:]}
            rows = {name: vectors["train"][places] for name, places in drawn.items()}
            answers = {name: [every[i] for i in places] for name, places in drawn.items()}
            asked = probe_probabilities({**rows, "asked": vectors[part]}, answers, STRENGTHS)
            accuracies.append(
                classification_metrics(asked["asked"], parts[part].labels)["accuracy"]
            )
        found[f"frozen, {labels:,} labels, {part} (%)"] = 100 * statistics.fmean(accuracies)
    return found


def judge(checkpoint: str, test: bool = False) -> dict[str, float]:
    """Return every measure of the card, by name.

    Args:
        checkpoint: as `load_model` takes it; it needs a masked-LM head.
        test: read the test part of Rotten Tomatoes, too.
    """
    tokenizer = load_tokenizer(checkpoint)
    model = load_model(checkpoint, pooling="mean", dropout=0.0).eval()
    parts = split_texts(load_reviews("rotten_tomatoes"), seed=0)
    found = judge_blanks(model, tokenizer)
    found |= judge_area(model, tokenizer, parts["validation"].texts)
    for part in ("validation", "test") if test else ("validation",):
        found |= judge_frozen(model, tokenizer, parts, part)
    return found


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bift_utils.commands.judge", description=__doc__.split("\n\n")[0]
    )
    parser.add_argument("checkpoint", help='"bift-mini", or the folder of a BERT')
    parser.add_argument("--test", action="store_true", help="read the test part, too")
    options = parser.parse_args(arguments)
    found = judge(options.checkpoint, options.test)
    print(json.dumps({name: round(value, 3) for name, value in found.items()}, indent=2))


if __name__ == "__main__":
    main()
