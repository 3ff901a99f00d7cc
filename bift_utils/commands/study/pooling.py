"""Fine-tune each pooling on five disjoint small training sets; one CSV row a run.

`python -m bift_utils.commands.study pooling OUTPUT.csv` takes the Rotten Tomatoes split with seed
0, cuts the beginning of its training part into disjoint sets of 768 sentences, fine-tunes
`bift-mini` on each with each pooling, three epochs, nothing selected, and scores the first 1,000
test sentences.
A row that is already in OUTPUT.csv is not run again.
"""

import time
from pathlib import Path

from bift_utils.data.batches import encode_texts, make_loader
from bift_utils.data.texts import LabelledTexts, load_reviews, split_texts
from bift_utils.evaluation.metrics import evaluate_sequence
from bift_utils.masking.collators import SequenceCollator
from bift_utils.models.checkpoints import load_model, load_tokenizer
from bift_utils.models.joint import POOLINGS
from bift_utils.results.rows import ResultRows
from bift_utils.runtime import environment_report, get_device, set_seed
from bift_utils.training.loop import train
from bift_utils.training.options import TrainingConfig

TRAIN_SIZE, TEST_SIZE = 768, 1000
KEY = ("pooling", "set")
COLUMNS = (
    "pooling", "set", "train_texts", "test_texts", "epochs", "learning_rate", "test_accuracy",
    "test_loss", "seconds", "device", "torch", "transformers",
)  # fmt: skip


def train_pooling(
    tokenizer, few: LabelledTexts, test: LabelledTexts, pooling: str, seed: int, epochs: int
) -> dict[str, float]:
    """Fine-tune once, and return accuracy and loss on the test texts with the last weights."""
    set_seed(seed)
    model = load_model("bift-mini", pooling=pooling, dropout=0.1).to(get_device())
    collator = SequenceCollator(tokenizer)
    encoded = encode_texts(tokenizer, few.texts, few.labels)
    loader = make_loader(encoded, collator, batch_size=32, seed=seed)
    train(model, loader, TrainingConfig(mlm_weight=0.0, epochs=epochs))
    scored = encode_texts(tokenizer, test.texts, test.labels)
    return evaluate_sequence(model, make_loader(scored, collator, 64, shuffle=False))


def run_pooling(
    output: Path, sets: int = 5, size: int = TRAIN_SIZE, test_size: int = TEST_SIZE, epochs: int = 3
) -> None:
    """Run what is missing in `output` and append it."""
    parts = split_texts(load_reviews("rotten_tomatoes"), seed=0)
    tokenizer, machine = load_tokenizer("bift-mini"), environment_report()
    test = parts["test"].take(range(test_size))
    results = ResultRows(output, COLUMNS, KEY)
    for number in range(sets):
        few = parts["train"].take(range(number * size, (number + 1) * size))
        for pooling in POOLINGS:
            row = {"pooling": pooling, "set": number}
            if row in results:
                continue
            started = time.perf_counter()
            measured = train_pooling(tokenizer, few, test, pooling, number, epochs)
            row |= {f"test_{key}": round(value, 5) for key, value in measured.items()}
            row |= {"train_texts": size, "test_texts": test_size, "epochs": epochs}
            row |= {"learning_rate": TrainingConfig().learning_rate}
            row |= {"seconds": round(time.perf_counter() - started)}
            results.append(row | {key: machine[key] for key in ("device", "torch", "transformers")})
