"""Joint batches of few labelled sentences and much text, and what a pass over them costs."""

from collections.abc import Iterator, Sequence
from itertools import chain

import torch

from bift_utils.data.batches import EncodedTexts, LengthBucketSampler
from bift_utils.evaluation.flops import forward_flops
from bift_utils.masking.collators import MaskedLMCollator, SequenceCollator, joint_batch
from bift_utils.runtime import make_generator


class LabelledAndText:
    """Joint batches of labelled rows and of other, masked text: a loader for `training.train`.

    The labelled rows, and their order, depend on `seed` alone. To save padding, the k-th longest of
    every `window` labelled batches goes with the k-th longest text batch.

    Args:
        labelled: encoded sentences with classes.
        text: encoded sentences; their classes, if any, are not looked at.
        tokenizer: for padding and masks.
        updates: batches a pass.
        batch_size: rows of each kind.
        seed: of both orders and of the masks.
        window: batches among which lengths are matched.

    Introduced in notebook 07.
    """

    def __init__(
        self, labelled: EncodedTexts, text: EncodedTexts, tokenizer, updates: int,
        batch_size: int = 32, seed: int = 0, window: int = 50,
    ):  # fmt: skip
        self.labelled, self.text = labelled, text
        self.updates, self.batch_size, self.window = updates, batch_size, window
        self.clean = SequenceCollator(tokenizer)
        self.masked = MaskedLMCollator(tokenizer, make_generator(seed, 1))
        self.orders = [
            self._forever(part, order_seed)
            for part, order_seed in ((labelled, seed), (text, seed + 1000))
        ]

    def __len__(self) -> int:
        return self.updates

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        for rows, others in self.pairs():
            yield joint_batch(
                self.clean([self.labelled[i] for i in rows]),
                self.masked([{"input_ids": self.text.input_ids[i]} for i in others]),
                self.clean.pad_token_id,
            )

    def pairs(self) -> Iterator[tuple[list[int], list[int]]]:
        """Yield the batches of the next pass as indices of labelled rows and of text rows."""
        for start in range(0, self.updates, self.window):
            count = min(self.updates - start, self.window)
            rows, others = ([next(order) for _ in range(count)] for order in self.orders)
            ranks = sorted(range(count), key=lambda i: _longest(self.labelled, rows[i]))
            others.sort(key=lambda batch: _longest(self.text, batch))
            partner = dict(zip(ranks, others, strict=True))
            yield from ((batch, partner[i]) for i, batch in enumerate(rows))

    def _forever(self, encoded: EncodedTexts, seed: int) -> Iterator[list[int]]:
        sampler = LengthBucketSampler(encoded.lengths, min(self.batch_size, len(encoded)), seed)
        while True:
            yield from sampler


def _longest(encoded: EncodedTexts, batch: Sequence[int]) -> int:
    return max((len(encoded.input_ids[i]) for i in batch), default=0)


def loader_flops(config, loader: LabelledAndText, passes: int, text: bool = True) -> int:
    """Return what the first passes over a fresh loader cost, forward and backward.

    Blanks, and rows in which at least one is hidden, are taken at their expected number. Without
    `text` only the labelled rows are read, as with λ = 0. Introduced in notebook 07.
    """
    total, rate = 0, loader.masked.config.mlm_probability
    for rows, others in chain.from_iterable(loader.pairs() for _ in range(passes)):
        others = others if text else []
        longest = max(_longest(loader.labelled, rows), _longest(loader.text, others))
        tokens = [len(loader.text.input_ids[i]) - 2 for i in others]  # without [CLS] and [SEP]
        blanks, asked = rate * sum(tokens), sum(1 - (1 - rate) ** n for n in tokens)
        read = len(rows) + round(asked)
        total += 3 * forward_flops(config, read, longest, round(blanks), len(rows))
    return total
