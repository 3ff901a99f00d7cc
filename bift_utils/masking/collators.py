"""Batches for a classifier, for masked-LM, and for both objectives at once."""

from collections.abc import Sequence

import torch
from torch.nn.functional import pad
from torch.utils.data import get_worker_info

from bift_utils.data.batches import IGNORE_INDEX, pad_batch
from bift_utils.masking.tokens import MaskingConfig, mask_tokens
from bift_utils.runtime import make_generator

CLASSIFIER_INPUTS = ("clean", "masked")  # what the classifier sees in joint training


class SequenceCollator:
    """Pad encoded texts into a batch for a classifier.

    Returns a dict with `input_ids` and `attention_mask` (B, T), and `labels` (B,) where the texts
    have labels.

    Introduced in notebook 05.
    """

    def __init__(self, tokenizer):
        self.pad_token_id = tokenizer.pad_token_id

    def __call__(self, examples: Sequence[dict]) -> dict[str, torch.Tensor]:
        batch = pad_batch([example["input_ids"] for example in examples], self.pad_token_id)
        if "labels" in examples[0]:
            batch["labels"] = torch.tensor([example["labels"] for example in examples])
        return batch


class MaskedLMCollator:
    """Pad encoded texts and hide some of their tokens: a batch for masked-LM alone.

    Returns a dict with `input_ids` (corrupted), `attention_mask` and `mlm_labels`, all (B, T).
    Options as in `MaskingConfig.from_tokenizer`: rates, and `whole_words=True`.

    In a worker process of a `DataLoader` the stream of masks is the worker's own and another one in
    each pass: it is made of the seed of `generator` and the seed that PyTorch gives the worker.

    Introduced in notebook 02.
    """

    def __init__(self, tokenizer, generator: torch.Generator, **rates):
        self.pad_token_id = tokenizer.pad_token_id
        self.config = MaskingConfig.from_tokenizer(tokenizer, **rates)
        self.generator = generator
        self.worker_seed: int | None = None

    def __getstate__(self) -> dict:
        state = dict(vars(self))
        generator = state.pop("generator")  # cannot be sent to a process that is started afresh
        words = generator.get_state().numpy().tobytes()
        return {**state, "stream": (generator.initial_seed(), words)}

    def __setstate__(self, state: dict) -> None:
        seed, words = state.pop("stream")
        vars(self).update(state)
        self.generator = torch.Generator().manual_seed(seed)
        self.generator.set_state(torch.frombuffer(bytearray(words), dtype=torch.uint8))

    def stream(self) -> torch.Generator:
        """Return the generator of the masks, in each worker process one of its own."""
        worker = get_worker_info()
        # every worker is a copy of this object: without this, all of them would draw alike
        if worker is not None and worker.seed != self.worker_seed:
            self.worker_seed = worker.seed
            self.generator = make_generator(self.generator.initial_seed(), worker.seed)
        return self.generator

    def __call__(self, examples: Sequence[dict]) -> dict[str, torch.Tensor]:
        batch = pad_batch([example["input_ids"] for example in examples], self.pad_token_id)
        batch["input_ids"], batch["mlm_labels"] = mask_tokens(
            batch["input_ids"], self.config, self.stream()
        )
        return batch


def joint_batch(
    clean: dict[str, torch.Tensor], masked: dict[str, torch.Tensor], pad_token_id: int = 0
) -> dict[str, torch.Tensor]:
    """Put clean rows that have a class above masked rows that have blanks: one batch, two kinds.

    A row carries the labels that it has. Clean rows have `IGNORE_INDEX` all along `mlm_labels`
    unless they bring blanks of their own; masked rows have it in place of a class. The shorter
    kind is padded to the length of the longer.

    Args:
        clean: `input_ids` and `attention_mask` (B, S), and where there are any `labels` (B,); with
            `mlm_labels` (B, S), these rows have blanks too.
        masked: `input_ids`, `attention_mask` and `mlm_labels`, all (M, T).
        pad_token_id: of the tokenizer.

    Returns:
        `input_ids`, `attention_mask` and `mlm_labels` (B + M, max(S, T)), and `labels` (B + M,).

    Introduced in notebook 06.
    """
    padding = {"input_ids": pad_token_id, "attention_mask": 0, "mlm_labels": IGNORE_INDEX}
    no_class = torch.full((len(clean["input_ids"]),), IGNORE_INDEX)  # texts without any labels
    no_blank = torch.full_like(clean["input_ids"], IGNORE_INDEX)
    kinds = (
        {"labels": no_class, "mlm_labels": no_blank, **clean},
        {**masked, "labels": torch.full((len(masked["input_ids"]),), IGNORE_INDEX)},
    )
    longest = max(kind["input_ids"].shape[1] for kind in kinds)
    batch = {}
    for name, value in padding.items():
        missing = [longest - kind[name].shape[1] for kind in kinds]
        rows = [
            pad(kind[name], (0, m), value=value) for kind, m in zip(kinds, missing, strict=True)
        ]
        batch[name] = torch.cat(rows)
    return {**batch, "labels": torch.cat([kind["labels"] for kind in kinds])}


class JointCollator:
    """Build the batch of both objectives: each text once clean for the task, once masked for MLM.

    The batch does not know λ: both kinds of rows are always made (see `joint_batch`), and the step
    leaves out what has no weight. One encoder call serves both.

    With `classifier_input="masked"` there are no clean rows: each masked row carries its class as
    well, and the classifier learns from text with holes (Yao et al. 2022), for half the compute.

    Returns a dict with `input_ids`, `attention_mask` and `mlm_labels` (R, T), and `labels` (R,);
    R is 2B for clean input and B for masked.

    Raises:
        ValueError: the classifier's input is neither "clean" nor "masked".

    Introduced in notebook 06.
    """

    def __init__(
        self, tokenizer, generator: torch.Generator, classifier_input: str = "clean", **rates
    ):
        check_classifier_input(classifier_input)
        self.classifier_input = classifier_input
        self.clean = SequenceCollator(tokenizer)
        self.masked = MaskedLMCollator(tokenizer, generator, **rates)

    def __call__(self, examples: Sequence[dict]) -> dict[str, torch.Tensor]:
        masked = self.masked(examples)
        if self.classifier_input == "masked":
            classes = [example.get("labels", IGNORE_INDEX) for example in examples]
            return {**masked, "labels": torch.tensor(classes)}
        return joint_batch(self.clean(examples), masked, self.clean.pad_token_id)


def check_classifier_input(classifier_input: str) -> None:
    """Raise `ValueError` unless the classifier's input is one that there is."""
    if classifier_input not in CLASSIFIER_INPUTS:
        raise ValueError(
            f"classifier_input was given as {classifier_input!r}; expected one of "
            f"{CLASSIFIER_INPUTS}."
        )
