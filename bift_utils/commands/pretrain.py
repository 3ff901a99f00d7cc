"""Make `bift-mini`: tokenizer and BERT from scratch on raw IMDb text.

`python -m bift_utils.commands.pretrain STATE --output FOLDER` trains, or goes on where it was
stopped. STATE keeps the tokenizer, the last saved state and the log; FOLDER receives the
checkpoint, its log and its model card. `--until STEP` trains a slice; `--until 0` only writes what
there is.
"""

import argparse
import csv
import json
import os
import shutil
import time
from dataclasses import asdict, replace
from pathlib import Path

import torch
from accelerate import Accelerator
from tqdm.auto import tqdm
from transformers import BertTokenizer

from bift_utils.data.batches import move_batch
from bift_utils.data.corpus import encode_sentences, split_reviews, train_tokenizer
from bift_utils.data.texts import load_reviews
from bift_utils.evaluation.floors import unigram_loss
from bift_utils.evaluation.predict import evaluate_masked_lm, validation_batches
from bift_utils.masking.collators import MaskedLMCollator
from bift_utils.models.checkpoints import load_model, save_checkpoint
from bift_utils.models.joint import new_model
from bift_utils.runtime import get_device, make_generator, set_seed
from bift_utils.training.history import NonFiniteLoss
from bift_utils.training.loop import training_step
from bift_utils.training.pretraining import (
    PretrainingConfig,
    bert_config,
    make_optimizers,
    rate_factor,
    training_windows,
)
from bift_utils.training.state import load_state, save_state

SCHEDULE = ("steps", "decay_share")  # may change while the rate is constant


class Log:
    """A CSV with one row each time; rows past the resumed step are dropped when it is opened."""

    columns = ("step", "tokens", "seconds", "train_loss", "validation_loss", "validation_accuracy")

    def __init__(self, path: Path, step: int):
        self.path = path
        rows = []
        if path.exists():
            with path.open(newline="") as file:
                rows = [row for row in csv.DictReader(file) if int(row["step"]) <= step]
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, self.columns)
            writer.writeheader()
            writer.writerows(rows)

    def append(self, row: dict) -> None:
        with self.path.open("a", newline="") as file:
            csv.DictWriter(file, self.columns).writerow(row)


def load_or_train_tokenizer(folder: Path, texts: list[str], config: PretrainingConfig):
    """Return the tokenizer of this run, trained on the first start."""
    if not (folder / "tokenizer.json").exists():
        train_tokenizer(texts, config.vocab_size).save_pretrained(folder)
    return BertTokenizer.from_pretrained(folder)


class PretrainingRun:
    """One run in its state folder: built from a seed, saved whole or not at all, resumable."""

    def __init__(self, state: Path, config: PretrainingConfig):
        state.mkdir(parents=True, exist_ok=True)
        self.state, self.config = state, config
        train_texts, held_out = split_reviews(load_reviews("imdb").texts)
        self.tokenizer = load_or_train_tokenizer(state / "tokenizer", train_texts, config)
        self.reviews = encode_sentences(self.tokenizer, train_texts)
        self.held_out = encode_sentences(self.tokenizer, held_out)
        set_seed(config.seed)
        self.model = new_model(bert_config(config, self.tokenizer))
        self.accelerator = Accelerator(
            cpu=get_device().type == "cpu", mixed_precision=config.precision
        )
        self.optimizers = make_optimizers(self.model, config)
        self.model, *self.optimizers = self.accelerator.prepare(self.model, *self.optimizers)
        self.step, self.tokens, self.seconds = 0, 0, 0.0
        self.load()

    def load(self) -> None:
        path = self.state / "state.pt"
        saved = load_state(path, self.signature(), self.accelerator.device)
        if saved is not None:
            self.check_schedule(saved)
        (self.state / "config.json").write_text(json.dumps(asdict(self.config), indent=2) + "\n")
        if saved is None:
            return
        self.accelerator.unwrap_model(self.model).load_state_dict(saved["model"])
        for optimizer, values in zip(self.optimizers, saved["optimizers"], strict=True):
            optimizer.load_state_dict(values)
        self.step, self.tokens, self.seconds = saved["step"], saved["tokens"], saved["seconds"]

    def signature(self) -> dict:
        """What no resumed run may change: all options but those of the schedule's end."""
        options = asdict(self.config)
        return {name: value for name, value in options.items() if name not in SCHEDULE}

    def check_schedule(self, saved: dict) -> None:
        """Refuse another end of the schedule once the rate falls; before, it changed nothing."""
        ours = {name: getattr(self.config, name) for name in SCHEDULE}
        theirs = replace(self.config, **saved["schedule"])
        if ours != saved["schedule"] and saved["step"] > min(
            self.config.decay_begins, theirs.decay_begins
        ):
            raise ValueError(
                f"The saved run is at step {saved['step']} and its schedule was given as "
                f"{saved['schedule']}, now as {ours}; it can only be changed before the rate "
                "falls. Go on with the same options, or give another folder to start anew."
            )

    def save(self) -> None:
        saved = {
            "signature": self.signature(),
            "schedule": {name: getattr(self.config, name) for name in SCHEDULE},
            "model": self.accelerator.unwrap_model(self.model).state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "step": self.step,
            "tokens": self.tokens,
            "seconds": self.seconds,
        }
        save_state(self.state / "state.pt", saved)

    def make_batch(self, step: int, windows: list[list[int]]) -> dict[str, torch.Tensor]:
        generator = make_generator(self.config.seed, 3, step)
        rate = self.config.masking_rate
        collator = MaskedLMCollator(self.tokenizer, generator, mlm_probability=rate)
        return collator([{"input_ids": ids} for ids in windows])

    def update(self, batch: dict[str, torch.Tensor]) -> float:
        for optimizer, peak in zip(
            self.optimizers,
            (self.config.muon_learning_rate, self.config.learning_rate),
            strict=True,
        ):
            optimizer.param_groups[0]["lr"] = peak * rate_factor(self.step, self.config)
        batch = move_batch(batch, self.accelerator.device)
        loss = training_step(self.model, batch, mlm_weight=1.0)["loss"]
        self.accelerator.backward(loss)
        norm = self.accelerator.clip_grad_norm_(self.model.parameters(), 1.0)
        if not (loss.isfinite() and torch.as_tensor(norm).isfinite()):
            raise NonFiniteLoss(
                f"The loss of step {self.step} became {float(loss)}, its gradient {float(norm)}; "
                "expected finite numbers. Lower the learning rates; the last saved state is whole."
            )
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad()
        return float(loss.detach())

    def train(self, until: int, log_every: int = 50, validate_every: int = 250) -> None:
        """Train up to step `until`, logging and saving on the way."""
        log = Log(self.state / "log.csv", self.step)
        validation = validation_batches(
            self.held_out, self.tokenizer, self.config.positions, limit=256
        )
        stream = training_windows(self.reviews, self.tokenizer, self.config, self.step)
        losses, started = [], time.perf_counter() - self.seconds
        until = min(until, self.config.steps)
        bar = tqdm(total=self.config.steps, initial=self.step, unit="step")
        while self.step < until:
            batch = self.make_batch(self.step, next(stream))
            losses.append(self.update(batch))
            self.tokens += int(batch["attention_mask"].sum())
            self.step += 1
            bar.update()
            validate = self.step % validate_every == 0 or self.step == until
            if self.step % log_every and not validate:
                continue
            self.seconds = time.perf_counter() - started
            row: dict[str, float] = {
                "step": self.step,
                "tokens": self.tokens,
                "seconds": round(self.seconds),
            }
            row["train_loss"] = round(sum(losses) / len(losses), 4)
            losses = []
            if validate:
                measured = evaluate_masked_lm(self.model, validation)
                row["validation_loss"] = round(measured["loss"], 4)
                row["validation_accuracy"] = round(measured["accuracy"], 4)
                bar.set_postfix(validation=row["validation_loss"])
            log.append(row)
            if validate:
                self.save()
        bar.close()


def export(run: PretrainingRun, folder: Path, machine: str) -> None:
    """Write checkpoint, log, configuration and model card; the card describes what was saved."""
    save_checkpoint(run.accelerator.unwrap_model(run.model), run.tokenizer, folder)
    shutil.copy(run.state / "log.csv", folder / "training_log.csv")
    shutil.copy(run.state / "config.json", folder / "pretraining.json")
    batches = validation_batches(run.held_out, run.tokenizer, run.config.positions)
    measured = evaluate_masked_lm(load_model(folder), batches)
    template = Path(__file__).parent.parent / "checkpoints" / "model-card-template.md"
    card = template.read_text(encoding="utf-8").format(
        parameters=run.model.num_parameters() / 1e6,
        **asdict(run.config),
        **measured,
        unigram=unigram_loss(run.reviews, batches, len(run.tokenizer)),
        steps_done=run.step,
        tokens_done=run.tokens / 1e6,
        hours=run.seconds / 3600,
        machine=machine,
        options=" ".join(
            f"--{name.replace('_', '-')} {value}"
            for name, value in asdict(run.config).items()
            if value != getattr(PretrainingConfig(), name)
        ),
    )
    (folder / "README.md").write_text(card, encoding="utf-8")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bift_utils.commands.pretrain", description=__doc__
    )
    parser.add_argument("state", type=Path, help="folder of the run: log and saved state")
    for name, value in asdict(PretrainingConfig()).items():
        parser.add_argument("--" + name.replace("_", "-"), type=type(value), default=value)
    parser.add_argument("--output", type=Path, help="folder that receives the checkpoint")
    parser.add_argument("--until", type=int, help="stop (resumably) at this step")
    parser.add_argument("--machine", default=f"{os.cpu_count()} CPU cores", help="for the card")
    options = vars(parser.parse_args(arguments))
    state, output, until, machine = (
        options.pop(name) for name in ("state", "output", "until", "machine")
    )
    if output is not None and (output / "config.json").exists():
        parser.error(f"{output} already holds a checkpoint; choose another folder.")
    config = PretrainingConfig(**options)
    run = PretrainingRun(state, config)
    run.train(config.steps if until is None else until)
    if output is not None:
        export(run, output, machine)


if __name__ == "__main__":
    main()
