"""Speed against what a reader would otherwise write, side by side in one run on the CPU.

`python tests/tools/benchmark.py` prints medians and ratios and exits with status 1 when a ratio is
below its goal; `--json FILE` writes them to a file, `--only NAME` measures one comparison. The
contenders take turns on the same texts, threads and precision: fp32, but bf16 for pre-training,
with which bift-mini was made. What is matrix products at heart is also held against this machine's
own speed at them, and a profile says where the rest of the time goes. `--gpu` measures the loop of
joint training there, in bf16. Run it on a quiet machine: it measures wall time (`--clock cpu` for a
busy one).
"""

import argparse
import io
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import count, cycle, islice
from pathlib import Path

import torch
import whole_commands
from accelerate import Accelerator
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertForSequenceClassification,
    DataCollatorForLanguageModeling,
    DataCollatorWithPadding,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

from bift_utils import data, masking
from bift_utils.commands.pretrain import PretrainingRun
from bift_utils.evaluation.flops import FlopMeter
from bift_utils.labs.does_it_help.explorer import OpponentsExplorer
from bift_utils.labs.masking.explorer import MaskingPlayground
from bift_utils.labs.mlm_probability.explorer import MASK, BayesExplorer
from bift_utils.languages.families import MarkovLanguage
from bift_utils.models.checkpoints import find_checkpoint, load_model, load_tokenizer
from bift_utils.models.joint import small_bert
from bift_utils.results.methods import load_methods
from bift_utils.runtime import environment_report, get_device, make_generator, set_seed
from bift_utils.training import loop as training
from bift_utils.training.pretraining import PretrainingConfig, training_windows

WARM_UP = 1  # first rounds of each contender, not counted
RATE, WEIGHT, DROPOUT = 0.15, 0.3, 0.1  # masked share, λ, and dropout of the joint step
SPREAD = 8  # steps in a round
UNIT, TIMES = 256, (1, 2, 4, 8)  # sentences of one pass, and how many times as many
ON_GPU = ("trainer", "data")
GROUPS = {  # of operations, by a part of their names; the first that fits
    "matrix products": ("mm", "linear", "matmul", "attention"),
    "softmax": ("softmax", "nll_loss"),
    "copies and casts": ("copy", "::to", "cat", "clone", "fill", "zero", "index"),
    "entry by entry": ("gelu", "norm", "dropout", "bernoulli", "add", "mul", "div", "sum"),
}
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


@dataclass(frozen=True)
class Ratio:
    """One comparison: how many times the work a second of the other, and the goal if any.

    Where it was measured: the operations a second of our matrix products and of one large product
    on the same machine (`peak`), and where our time goes.
    """

    name: str
    unit: str
    ours: float
    theirs: float
    goal: float | None
    flops: float | None = None
    peak: float | None = None
    profile: str | None = None

    @property
    def value(self) -> float:
        return self.ours / self.theirs

    @property
    def reached(self) -> bool:
        return self.goal is None or self.value >= self.goal

    @property
    def share(self) -> float | None:
        return None if self.flops is None else self.flops / self.peak

    def line(self) -> str:
        verdict = "reached" if self.reached else "MISSED"
        goal = "no goal" if self.goal is None else f"goal {self.goal:g} ×: {verdict}"
        line = (
            f"{self.name}: {self.ours:,.0f} against {self.theirs:,.0f} {self.unit}, "
            f"{self.value:.2f} × ({goal})"
        )
        if self.share is None:
            return line
        return (
            f"{line}\n  ours: {self.share:.0%} of the {self.peak / 1e9:,.0f} GFLOP/s that a plain "
            f"matrix product reaches here; time: {self.profile}"
        )


def median_speed(steps: list[tuple[int, float]]) -> float:
    """Return the median of work / seconds over the rounds after the warm-up."""
    if len(steps) <= WARM_UP:
        raise ValueError(f"{len(steps)} rounds were measured; expected more than {WARM_UP}.")
    return statistics.median(work / seconds for work, seconds in steps[WARM_UP:])


def take_turns(
    contenders: dict[str, Callable[[], int]], rounds: int, clock: Callable[[], float]
) -> dict[str, list[tuple[int, float]]]:
    """Let each contender take a step in every round; return (work, seconds) of each step."""
    measured = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, step in contenders.items():
            start = clock()
            work = step()
            measured[name].append((work, clock() - start))
    return measured


# the machine's own speed


def matrix_product(dtype: torch.dtype, size: int = 2048) -> Callable[[], int]:
    """Return a function that multiplies two square matrices; its work is in operations."""
    left, right = torch.randn(2, size, size, generator=make_generator(0)).to(dtype)

    def multiply() -> int:
        torch.mm(left, right)
        return 2 * size**3

    return multiply


def against_the_peak(measured: dict, meter: FlopMeter, step: Callable[[], int]) -> dict:
    """Return `flops`, `peak` and `profile` of a `Ratio`, once "ours" and "peak" are measured.

    The meter has counted the matrix products of model and loss in all rounds of "ours", forward and
    backward; those of Muon are not among them. `step` is one more round, for the profile.
    """
    a_unit = meter.flops / sum(work for work, _ in measured["ours"])
    return {
        "flops": median_speed(measured["ours"]) * a_unit,
        "peak": median_speed(measured["peak"]),
        "profile": profile(step),
    }


def group_of(event) -> str:
    """Return the group of a profiled operation; what an optimiser calls is the optimiser's."""
    outer = event
    while outer is not None:
        if outer.name.startswith("Optimizer.step"):
            return "optimiser"
        outer = outer.cpu_parent
    return next((g for g, parts in GROUPS.items() if any(p in event.name for p in parts)), "other")


def profile(step: Callable[[], object]) -> str:
    """Return the shares of the three largest groups in a step's time; the rest is Python, too."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profiler:
        start = time.perf_counter()
        step()
        total = 1e6 * (time.perf_counter() - start)  # microseconds, as in the events
    spent = Counter()
    for event in profiler.events():
        spent[group_of(event)] += event.self_cpu_time_total
    del spent["other"]
    largest = [(group, time / total) for group, time in spent.most_common(3)]
    largest.append(("other", 1 - sum(share for _, share in largest)))
    return ", ".join(f"{group} {share:.0%}" for group, share in largest)


# pre-training


def pretraining_run(folder: Path) -> PretrainingRun:
    """Return the package's own run as bift-mini was made, its masking rate set to `RATE`."""
    source = find_checkpoint("bift-mini")
    (folder / "tokenizer").mkdir(parents=True)
    for path in source.glob("tokenizer*"):
        shutil.copy(path, folder / "tokenizer")
    recorded = json.loads((source / "pretraining.json").read_text(encoding="utf-8"))
    return PretrainingRun(folder, PretrainingConfig(**{**recorded, "masking_rate": RATE}))


def bucketed_batches(run: PretrainingRun, full: bool) -> Iterator[list[list[int]]]:
    """Yield batches of 32 windows: only nearly full ones, or `SPREAD` that stand for a pass.

    Bucketed batches differ in length, so they are taken evenly from the shortest to the longest.
    """
    batches = training_windows(run.reviews, run.tokenizer, run.config, 0)
    if full:
        yield from (b for b in batches if min(map(len, b)) > 0.9 * run.config.positions)
    while True:
        some = sorted(islice(batches, 25 * SPREAD), key=lambda batch: max(map(len, batch)))
        yield from some[12::25]


def shuffled_batches(batches: list[list[list[int]]], seed: int = 0) -> list[list[list[int]]]:
    """Deal the same windows out anew, as a loader does that shuffles and knows no lengths."""
    windows = [window for batch in batches for window in batch]
    order = torch.randperm(len(windows), generator=make_generator(seed)).tolist()
    return [[windows[i] for i in order[k : k + 32]] for k in range(0, len(order), 32)]


class Windows(torch.utils.data.Dataset):
    """The windows one by one, as a `Trainer` takes them; the special tokens marked in advance."""

    def __init__(self, batches: list[list[list[int]]]):
        self.windows = [window for batch in batches for window in batch]

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, i: int) -> dict:
        ids = self.windows[i]
        return {"input_ids": ids, "special_tokens_mask": [1, *[0] * (len(ids) - 2), 1]}


class Turns(TrainerCallback):
    """Times rounds of a `Trainer`'s cycles (batch, step, everything); the others' steps in between.

    Args:
        sizes: the work in each of the `Trainer`'s steps.
        others: contenders as of `take_turns`, one step of each after every round.
        clock: of the seconds.
        every: steps a round.

    Attributes:
        measured: (work, seconds) of each round, by contender; "theirs" is the `Trainer`.
    """

    def __init__(
        self,
        sizes: list[int],
        others: dict[str, Callable[[], int]],
        clock: Callable[[], float],
        every: int = 1,
    ):
        self.sizes, self.others, self.clock, self.every = iter(sizes), others, clock, every
        self.measured = {name: [] for name in ("theirs", *others)}
        self.work, self.start = [], None

    def on_train_begin(self, *_arguments, **_options):
        self.start = self.clock()

    def on_step_end(self, *_arguments, **_options):
        self.work.append(next(self.sizes))
        if len(self.work) < self.every:
            return
        self.measured["theirs"].append((sum(self.work), self.clock() - self.start))
        self.work = []
        for name, steps in take_turns(self.others, 1, self.clock).items():
            self.measured[name] += steps
        self.start = self.clock()


def train_in_turns(model, examples, collator, rows: int, bf16: bool, turns: Turns, **options):
    """Train with the library's `Trainer`, `rows` examples a step in their order, once through."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            per_device_train_batch_size=rows,
            max_steps=len(examples) // rows,
            train_sampling_strategy="sequential",
            use_cpu=get_device().type == "cpu",
            bf16=bf16,
            disable_tqdm=True,
            logging_strategy="no",
            save_strategy="no",
            report_to="none",
            dataloader_pin_memory=False,
            **options,
        )
        trainer = Trainer(model, arguments, collator, examples, callbacks=[turns])
        trainer.remove_callback(PrinterCallback)
        trainer.train()


def compare_pretraining(rounds: int, clock: Callable[[], float]) -> list[Ratio]:
    """Our update (masked positions only, Muon and AdamW) against the `Trainer`'s, in tokens/s.

    Padding is no token. Windows as they come: ours in batches of like length, as the command makes
    them, the Trainer's shuffled. Full windows: the same batches for both.
    """
    goals = {"windows as they come": 2.0, "full windows only": None}
    with tempfile.TemporaryDirectory() as folder:
        run = pretraining_run(Path(folder) / "run")
        return [pretraining_ratio(run, name, goal, rounds, clock) for name, goal in goals.items()]


def pretraining_ratio(
    run: PretrainingRun, name: str, goal: float | None, rounds: int, clock: Callable[[], float]
) -> Ratio:
    """The ordinary way: `BertForMaskedLM`, the library's collator and its `Trainer`."""
    set_seed(0)
    full = name.startswith("full")
    ours = list(islice(bucketed_batches(run, full), SPREAD * (rounds + WARM_UP)))
    theirs = ours if full else shuffled_batches(ours)
    mine = cycle(ours)

    def our_round() -> int:
        tokens = 0
        for windows in islice(mine, SPREAD):
            batch = run.make_batch(run.step, windows)
            run.update(batch)
            run.step += 1
            tokens += int(batch["attention_mask"].sum())
        return tokens

    run.model.train()
    bf16 = run.config.precision == "bf16"
    peak = matrix_product(torch.bfloat16 if bf16 else torch.float32)
    sizes = [sum(map(len, batch)) for batch in theirs]
    turns = Turns(sizes, {"ours": our_round, "peak": peak}, clock, every=SPREAD)
    model = BertForMaskedLM(BertConfig.from_dict(run.model.config.to_dict()))
    collator = DataCollatorForLanguageModeling(run.tokenizer, mlm_probability=RATE)
    with FlopMeter(run.model) as meter:
        train_in_turns(model, Windows(theirs), collator, run.config.batch_windows, bf16, turns)
    speeds = median_speed(turns.measured["ours"]), median_speed(turns.measured["theirs"])
    peak = against_the_peak(turns.measured, meter, our_round)
    return Ratio(f"pre-training, 32 × 128 tokens, {name}", "tokens/s", *speeds, goal, **peak)


# the joint step


def sentences(count: int | None = None) -> tuple:
    """Return the tokenizer and the encoded training sentences, or only `count` of them."""
    tokenizer = load_tokenizer("bift-mini")
    texts = data.split_texts(data.load_reviews("rotten_tomatoes"), seed=0)["train"]
    texts = texts if count is None else texts.take(range(count))
    return tokenizer, data.encode_texts(tokenizer, texts.texts, texts.labels)


def spread_batches(encoded: data.EncodedTexts) -> list[list[int]]:
    """Return `SPREAD` of the loader's length-bucketed batches that stand for a whole pass.

    Bucketed batches differ much in length, so they are taken evenly from the shortest to the
    longest: each round then costs what that many average batches cost.
    """
    batches = [b for b in data.LengthBucketSampler(encoded.lengths, 32, 0) if len(b) == 32]
    batches.sort(key=lambda batch: max(encoded.lengths[i] for i in batch))
    return [batches[(2 * i + 1) * len(batches) // (2 * SPREAD)] for i in range(SPREAD)]


def our_joint_round(model, encoded: data.EncodedTexts, tokenizer) -> Callable[[], int]:
    """Return a function that takes `SPREAD` joint steps of the package: one encoder call each."""
    config = training.TrainingConfig(mlm_weight=WEIGHT)
    optimizer = training.make_optimizer(model, config)
    accelerator = Accelerator(cpu=True)
    collator = masking.JointCollator(tokenizer, make_generator(0), mlm_probability=RATE)
    loader = torch.utils.data.DataLoader(
        encoded, batch_sampler=spread_batches(encoded), collate_fn=collator
    )

    def step() -> int:
        for batch in loader:
            training.update(model, optimizer, batch, config, accelerator, WEIGHT)
        return 32 * SPREAD

    return step


class TwoPasses:
    """The ordinary way: a masked-LM model and a classifier that share their encoder, a pass each.

    Dense masked-LM head, shuffled batches, padded to the longest text or, as the article does, to
    512 tokens. `step` takes `steps` optimiser steps and returns the number of sentences.
    """

    def __init__(self, encoded, tokenizer, pad_to: int | None = None, steps: int = 1):
        model = load_model("bift-mini", dropout=DROPOUT)  # for its configuration
        config = BertConfig.from_dict(model.config.to_dict())
        config.max_position_embeddings = pad_to or config.max_position_embeddings
        self.classifier = BertForSequenceClassification(config).train()
        self.masked_lm = BertForMaskedLM(config).train()
        self.masked_lm.bert = self.classifier.bert
        self.masked_lm.tie_weights()
        both = torch.nn.ModuleList([self.classifier, self.masked_lm])
        self.parameters = list(both.parameters())  # shared ones once
        self.optimizer = torch.optim.AdamW(self.parameters, lr=3e-4, weight_decay=0.01)
        self.pad = DataCollatorWithPadding(tokenizer, pad_to_multiple_of=pad_to)
        self.mask = DataCollatorForLanguageModeling(
            tokenizer, mlm_probability=RATE, pad_to_multiple_of=pad_to
        )
        loader = torch.utils.data.DataLoader(
            encoded, 32, shuffle=True, drop_last=True, collate_fn=self.collate
        )
        self.batches, self.steps = (batch for _ in count() for batch in loader), steps

    def collate(self, examples: list[dict]) -> tuple[dict, dict]:
        ids = [{"input_ids": example["input_ids"]} for example in examples]
        return self.pad(examples), self.mask(ids)

    def __call__(self) -> int:
        for clean, masked in islice(self.batches, self.steps):
            task = self.classifier(**clean).loss
            loss = WEIGHT * self.masked_lm(**masked).loss + (1 - WEIGHT) * task
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
            self.optimizer.step()
            self.optimizer.zero_grad()
        return 32 * self.steps


def compare_joint(rounds: int, clock: Callable[[], float]) -> list[Ratio]:
    """The joint step on Rotten Tomatoes against two passes, and against padding to 512."""
    set_seed(0)
    tokenizer, encoded = sentences()
    others = {
        "two passes": (TwoPasses(encoded, tokenizer, steps=SPREAD), 2.2),
        "padded to 512": (TwoPasses(encoded, tokenizer, pad_to=512), 25.0),
    }
    ratios = []
    for name, (other, goal) in others.items():  # apart: 512 positions leave no cache to the next
        model = load_model("bift-mini", dropout=DROPOUT)
        ours = our_joint_round(model, encoded, tokenizer)
        contenders = {"ours": ours, "theirs": other, "peak": matrix_product(torch.float32)}
        with FlopMeter(model) as meter:
            measured = take_turns(contenders, rounds + WARM_UP, clock)
        speeds = median_speed(measured["ours"]), median_speed(measured["theirs"])
        peak = against_the_peak(measured, meter, ours)
        ratios.append(Ratio(f"joint step, against {name}", "sentences/s", *speeds, goal, **peak))
    return ratios


# the loop of joint training


class JointLoss(torch.nn.Module):
    """The package's model and loss, in the form that a `Trainer` takes."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask, mlm_labels, labels) -> dict[str, torch.Tensor]:
        batch = {"input_ids": input_ids, "attention_mask": attention_mask}
        batch |= {"mlm_labels": mlm_labels, "labels": labels}
        return {"loss": training.training_step(self.model, batch, WEIGHT)["loss"]}


def make_config(**options) -> training.TrainingConfig:
    """Return the options of the loop: bf16 on a GPU."""
    precision = "bf16" if get_device().type == "cuda" else "fp32"
    return training.TrainingConfig(mlm_weight=WEIGHT, precision=precision, fused=True, **options)


def joint_loader(count: int):
    """Return a loader of joint batches of 32 sentences, 64 rows."""
    tokenizer, encoded = sentences(count)
    collator = masking.JointCollator(tokenizer, make_generator(0), mlm_probability=RATE)
    return data.make_loader(encoded, collator, 32, seed=0)


def compare_trainer(rounds: int, clock: Callable[[], float]) -> list[Ratio]:
    """The joint step of the package against `Trainer`, same model, same batches, in turns."""
    set_seed(0)
    batches = list(joint_loader(32 * 8 * (rounds + WARM_UP)))
    model, config = load_model("bift-mini").to(get_device()), make_config()
    optimizer = training.make_optimizer(model, config)
    accelerator, mine = Accelerator(cpu=get_device().type == "cpu"), iter(batches)

    def our_step() -> int:
        batch = next(mine)
        training.update(model, optimizer, batch, config, accelerator, WEIGHT)
        return int(batch["attention_mask"].sum())

    def finished() -> float:  # a GPU works on after the call returns
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return clock()

    sizes = [int(batch["attention_mask"].sum()) for batch in batches]
    turns, bf16 = Turns(sizes, {"ours": our_step}, finished), config.precision == "bf16"
    theirs = JointLoss(load_model("bift-mini"))
    train_in_turns(
        theirs, batches, lambda rows: rows[0], 1, bf16, turns, remove_unused_columns=False
    )
    speeds = median_speed(turns.measured["ours"]), median_speed(turns.measured["theirs"])
    name = f"joint step against Trainer, same batches, {config.precision}"
    return [Ratio(name, "tokens/s", *speeds, 0.95)]


def compare_commands(rounds: int, clock: Callable[[], float]) -> list[Ratio]:
    """Whole processes: the command of notebook 08 against a Trainer script; its start; its memory.

    The clock is the wall's, whatever was asked for: the work is done by other processes.
    """
    memory = whole_commands.measure_memory()  # first: the most of all children so far
    seconds = whole_commands.measure_commands(max(2, rounds // 2))
    script, plain, joint = (statistics.median(s) for s in seconds.values())
    rows, many = whole_commands.ROWS, whole_commands.MANY
    return [
        Ratio("command, λ = 0, against a Trainer script", "rows/s", rows / plain, rows / script, 1),
        Ratio("command, λ = 0.1, against it", "rows/s", rows / joint, rows / script, 1 / 2.2),
        Ratio(f"preparing {many:,} rows", "rows/s", many / whole_commands.measure_preparing(),
              many / 5.0, 1),
        Ratio("2 GB over what 20 classes take", "MB", 2000, 1000 * memory, 1),
    ]  # fmt: skip


def compare_data(rounds: int, clock: Callable[[], float]) -> list[Ratio]:
    """One pass over more and more sentences: sentences a second must not fall."""
    speed = {}
    for times in (1, *TIMES):  # the first one warms up
        set_seed(0)
        model, loader = load_model("bift-mini").to(get_device()), joint_loader(UNIT * times)
        start = clock()
        training.train(model, loader, make_config(epochs=1))
        speed[times] = UNIT * times / (clock() - start)
    return [
        Ratio(f"{times} × {UNIT} sentences", "sentences/s", speed[times], speed[1], 0.85)
        for times in TIMES[1:]
    ]


# masking


def compare_masking(rounds: int, clock: Callable[[], float]) -> list[Ratio]:
    """`mask_tokens` against the collator's `torch_mask_tokens`, special tokens known to both."""
    tokenizer = load_tokenizer("bift-mini")
    ids = torch.randint(5, len(tokenizer), (32, 128), generator=make_generator(0))
    ids[:, 0], ids[:, -1] = tokenizer.cls_token_id, tokenizer.sep_token_id
    special = torch.isin(ids, torch.tensor(tokenizer.all_special_ids))
    config = masking.MaskingConfig.from_tokenizer(tokenizer, mlm_probability=RATE)
    collator = DataCollatorForLanguageModeling(tokenizer, mlm_probability=RATE)
    generator, theirs = make_generator(0), ids.clone()  # theirs is edited in place

    def repeat(mask: Callable[[], object]) -> Callable[[], int]:
        return lambda: sum(ids.numel() for _ in range(100) if mask() is not None)

    contenders = {
        "ours": repeat(lambda: masking.mask_tokens(ids, config, generator)),
        "collator": repeat(lambda: collator.torch_mask_tokens(theirs, special)),
    }
    steps = take_turns(contenders, 5 * (rounds + WARM_UP), clock)
    speed = {name: median_speed(of) for name, of in steps.items()}
    return [Ratio("masking, 32 × 128 tokens", "tokens/s", speed["ours"], speed["collator"], 1.0)]


# explorers


class Display:
    """Stands for the display of an explorer's figure: draws it as a browser would be sent it."""

    def update(self, figure) -> None:
        figure.savefig(io.BytesIO(), format="png")


def mover(control, values: list) -> Callable[[], int]:
    """Return a function that sets a control to one value after the other, round and round."""
    turn = cycle(values)

    def move() -> int:
        control.value = next(turn)
        return 1  # move

    return move


def compare_explorers(rounds: int, clock: Callable[[], float]) -> list[Ratio]:
    """Moves of a control a second, its figure drawn, against the five that feel immediate."""
    tokenizer = load_tokenizer("bift-mini")
    text = "the film was very good , and the cast was warm and funny ."
    language = MarkovLanguage.random(8, make_generator(1), concentration=2.0)
    channel = masking.CorruptionChannel(0.4, 0.8, 0.1)
    networks = {"80/10/10": (channel, small_bert(8, 5))}
    playground = MaskingPlayground(tokenizer, text)
    bayes = BayesExplorer(language, "abcdefgh", networks, f"a b {MASK} c d", 3)
    opponents = OpponentsExplorer(load_methods())
    for explorer in (playground, bayes, opponents):
        explorer.handle = Display()

    def click() -> int:
        playground.button.click()
        return 1  # move

    moves = {
        "masking": click,
        "Bayes": mover(bayes.ask, [1, 2]),
        "opponents": mover(opponents.labels, [128, 512]),
    }
    steps = take_turns(moves, rounds + WARM_UP, clock)
    return [
        Ratio(f"explorer, {name}", "moves/s", median_speed(of), 5.0, 1.0)
        for name, of in steps.items()
    ]


COMPARISONS = {
    "pretraining": compare_pretraining,
    "joint": compare_joint,
    "trainer": compare_trainer,
    "data": compare_data,
    "commands": compare_commands,
    "masking": compare_masking,
    "explorers": compare_explorers,
}


def write_json(path: Path, ratios: list[Ratio], clock: str) -> None:
    """Write what was measured, and on what, to a file."""
    rows = [
        asdict(r) | {"ratio": round(r.value, 3), "reached": r.reached, "share": r.share}
        for r in ratios
    ]
    report = {"clock": clock, "environment": environment_report(), "ratios": rows}
    path.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=COMPARISONS, help="measure this comparison alone")
    parser.add_argument("--rounds", type=int, default=7, help="measured rounds (default: 7)")
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="wall or CPU time")
    parser.add_argument("--gpu", action="store_true", help=f"{' and '.join(ON_GPU)}, on the GPU")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result here too")
    options = parser.parse_args(arguments)
    ratios = []
    print(f"{get_device()}, {torch.get_num_threads()} threads, {options.clock} time", flush=True)
    for name in ON_GPU if options.gpu else COMPARISONS:
        if options.only in (None, name):
            found = COMPARISONS[name](options.rounds, CLOCKS[options.clock])
            ratios += found
            print(*(ratio.line() for ratio in found), sep="\n", flush=True)
    if options.json:
        write_json(options.json, ratios, options.clock)
    return 0 if all(ratio.reached for ratio in ratios) else 1


if __name__ == "__main__":
    if "--gpu" not in sys.argv:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""  # the goals are those of a CPU
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ["TQDM_DISABLE"] = "1"
    os.environ["KINETO_LOG_LEVEL"] = "99"  # the profiler says when it starts and stops
    sys.exit(main())
