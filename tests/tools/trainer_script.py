"""What one would write without this project: a table, `Trainer`, a saved model. For the benchmark.

`python trainer_script.py TABLE CHECKPOINT OUTPUT EPOCHS` takes the same budget as the command: 70 %
of the rows to train on, 15 % to choose by after each epoch, 15 % to score once.
"""

import sys

import pandas
import torch
from sklearn.model_selection import train_test_split
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
)

table, checkpoint, output, epochs = sys.argv[1:]
rows = pandas.read_csv(table)
names = sorted(rows["label"].unique())
rows["label"] = rows["label"].map(names.index)
learn, rest = train_test_split(rows, test_size=0.3, random_state=0, stratify=rows["label"])
choose, score = train_test_split(rest, test_size=0.5, random_state=0, stratify=rest["label"])
tokenizer = AutoTokenizer.from_pretrained(checkpoint)


def encode(part: pandas.DataFrame) -> list[dict]:
    encoded = tokenizer(part["text"].tolist(), truncation=True, max_length=128)
    columns = zip(encoded["input_ids"], encoded["attention_mask"], part["label"], strict=True)
    return [{"input_ids": ids, "attention_mask": mask, "labels": y} for ids, mask, y in columns]


torch.manual_seed(0)
model = AutoModelForSequenceClassification.from_pretrained(checkpoint, num_labels=len(names))
arguments = TrainingArguments(
    output, num_train_epochs=float(epochs), per_device_train_batch_size=32, learning_rate=3e-4,
    per_device_eval_batch_size=64, weight_decay=0.01, warmup_steps=0.1, eval_strategy="epoch",
    save_strategy="epoch", save_total_limit=1, load_best_model_at_end=True, report_to=[],
    logging_strategy="no", use_cpu=not torch.cuda.is_available(), disable_tqdm=True,
)  # fmt: skip
trainer = Trainer(
    model, arguments, DataCollatorWithPadding(tokenizer), encode(learn), encode(choose)
)
trainer.train()
answers = trainer.predict(encode(score)).predictions.argmax(-1)
print(f"test accuracy {100 * (answers == score['label'].to_numpy()).mean():.1f} %")
trainer.save_model(output)
