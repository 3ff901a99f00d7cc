"""What decides a pre-training run: its options, windows, optimisers and rate."""

from dataclasses import dataclass

import torch
from transformers import BertConfig

from bift_utils.data.batches import LengthBucketSampler
from bift_utils.data.corpus import make_windows
from bift_utils.runtime import check_options, make_generator, number, one_of, whole

RULES = {
    "vocab_size": whole(6),  # five special tokens and a word
    "layers": whole(1),
    "width": whole(1),
    "heads": whole(1),
    "positions": whole(10),  # a window's first limit may be an eighth of it
    "steps": whole(1),
    "batch_windows": whole(1),
    "learning_rate": number(0.0, above=True),
    "muon_learning_rate": number(0.0, above=True),
    "weight_decay": number(0.0),
    "warmup_steps": whole(0),
    "decay_share": number(0.0, 1.0, above=True),
    "masking_rate": number(0.0, 1.0, above=True, below=True),
    "initializer_range": number(0.0, above=True),
    "precision": one_of(("no", "bf16", "fp16")),
    "attention": one_of(("sdpa", "eager")),
    "seed": whole(0),
}


@dataclass(frozen=True)
class PretrainingConfig:
    """Everything that decides a run; saved beside the checkpoint.

    Raises:
        ValueError: an option is not of its type or outside its range, or two do not go together.
    """

    vocab_size: int = 8192
    layers: int = 4
    width: int = 256
    heads: int = 4
    positions: int = 128
    steps: int = 30_000
    batch_windows: int = 48
    learning_rate: float = 2e-3
    muon_learning_rate: float = 0.01
    weight_decay: float = 0.01
    warmup_steps: int = 200
    decay_share: float = 0.25
    masking_rate: float = 0.40
    initializer_range: float = 0.04
    precision: str = "no"
    attention: str = "sdpa"
    seed: int = 0

    def __post_init__(self):
        check_options(self, RULES)
        if self.width % self.heads:
            raise ValueError(
                f"width was given as {self.width} and heads as {self.heads}; expected a width that "
                "the heads can share evenly."
            )
        if not 0 < self.warmup_steps < self.steps:
            raise ValueError(
                f"The run has {self.steps} steps and {self.warmup_steps} of them warm up; expected "
                "at least one warm-up step and more steps than that."
            )
        if self.decay_share > 1 - self.warmup_steps / self.steps:
            raise ValueError(
                f"The share of the steps in which the rate falls was given as {self.decay_share}; "
                "expected one that leaves room for the warm-up."
            )

    @property
    def decay_begins(self) -> int:
        """The step from which the rate falls; until then a run does not depend on its length."""
        return self.steps - round(self.decay_share * self.steps)


def training_windows(reviews, tokenizer, config: PretrainingConfig, start: int):
    """Yield the windows of each step from `start` on; a function of the seed alone."""
    step = epoch = 0
    while True:
        generator = make_generator(config.seed, 1, epoch)
        windows = make_windows(reviews, tokenizer, config.positions, generator)
        lengths = [len(window) for window in windows]
        sampler = LengthBucketSampler(lengths, config.batch_windows, config.seed)
        sampler.epoch = epoch
        for indices in sampler:
            if step >= start:
                yield [windows[i] for i in indices]
            step += 1
        epoch += 1


def make_optimizers(model, config: PretrainingConfig) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside the encoder, AdamW for everything else.

    Source: Jordan et al. 2024 (Muon); Loshchilov and Hutter 2019 (AdamW).
    """
    named = dict(model.named_parameters())
    matrices = [name for name, p in named.items() if p.ndim == 2 and "encoder.layer" in name]
    others = [p for name, p in named.items() if name not in matrices]
    return [
        torch.optim.Muon(
            [named[name] for name in matrices],
            lr=config.muon_learning_rate,
            weight_decay=config.weight_decay,
        ),
        torch.optim.AdamW(
            others,
            lr=config.learning_rate,
            betas=(0.9, 0.98),
            weight_decay=config.weight_decay,
            fused=True,
        ),
    ]


def rate_factor(step: int, config: PretrainingConfig) -> float:
    """Share of the peak learning rate at `step`: linear warm-up, constant, linear decay to zero.

    While the rate is constant nothing depends on the number of steps, so a run can be made longer.
    """
    rise = (step + 1) / config.warmup_steps
    fall = (config.steps - step) / (config.steps - config.decay_begins)
    return max(0.0, min(1.0, rise, fall))


def bert_config(config: PretrainingConfig, tokenizer) -> BertConfig:
    """Return the shape of the model; no dropout, since few tokens are seen often."""
    return BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=config.width,
        num_hidden_layers=config.layers,
        num_attention_heads=config.heads,
        intermediate_size=4 * config.width,
        max_position_embeddings=config.positions,
        initializer_range=config.initializer_range,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        pad_token_id=tokenizer.pad_token_id,
        attn_implementation=config.attention,
    )
