"""Every option of every dataclass of options in the package is checked for type and range."""

import dataclasses
import importlib
import math
import pkgutil
import types
import typing

import pytest
import torch

import bift_utils
from bift_utils.evaluation.baselines import Limits
from bift_utils.finetune.options import FinetuneOptions
from bift_utils.masking.tokens import CorruptionChannel, MaskingConfig
from bift_utils.training.options import TrainingConfig
from bift_utils.training.pretraining import PretrainingConfig

ORDINARY = torch.tensor([False, True, True])
OPTIONS = {  # with what an object needs beside the defaults
    CorruptionChannel: {},
    FinetuneOptions: {},
    Limits: {},
    MaskingConfig: {"mask_token_id": 0, "ordinary": ORDINARY},
    PretrainingConfig: {},
    TrainingConfig: {},
}
DATA = {  # these hold texts, tables and results: nobody sets them by hand
    "CasedText", "CasedTexts", "CheckResult", "ClassConditionalLanguage", "Draw", "EncodedTexts",
    "Exercise", "HiddenMarkovLanguage", "History", "KnownTest", "LabelledTexts", "MarkovLanguage",
    "OwnTexts", "TextSummary", "TextTable",
}  # fmt: skip
FIELDS = [(kind, field) for kind in OPTIONS for field in dataclasses.fields(kind)]
NAMES = [f"{kind.__name__}.{field.name}" for kind, field in FIELDS]


def types_of(kind, field) -> set:
    """Return the types that a field is annotated with."""
    hint = typing.get_type_hints(kind)[field.name]
    union = typing.get_origin(hint) in (typing.Union, types.UnionType)
    return set(typing.get_args(hint)) if union else {hint}


def refused(kind, field, value) -> None:
    name = "The MLM weight λ" if field.name == "mlm_weight" else field.name
    with pytest.raises(ValueError, match=f"{name} was given as .*; expected "):
        kind(**{**OPTIONS[kind], field.name: value})


def test_every_dataclass_of_the_package_is_known_here():
    found = {}
    for module in pkgutil.walk_packages(bift_utils.__path__, "bift_utils."):
        if module.name.endswith("__main__"):
            continue
        try:
            members = vars(importlib.import_module(module.name))
        except ModuleNotFoundError as error:  # it needs an extra that is not installed here
            assert (error.name or "").split(".")[0] == "nbgrader", module.name
            continue
        for name, value in members.items():
            if dataclasses.is_dataclass(value) and value.__module__ == module.name:
                found[name] = value
    assert set(found) - DATA == {kind.__name__ for kind in OPTIONS}
    assert set(found) >= DATA  # nothing is named here that is gone


@pytest.mark.parametrize("kind, field", FIELDS, ids=NAMES)
def test_another_type_is_refused(kind, field):
    wanted = types_of(kind, field)
    refused(kind, field, object())
    if type(None) not in wanted:
        refused(kind, field, None)
    if str not in wanted:
        refused(kind, field, "1")
    else:
        refused(kind, field, 1)
    if bool not in wanted:
        refused(kind, field, True)
    if int in wanted:
        refused(kind, field, 1.5)


@pytest.mark.parametrize("kind, field", FIELDS, ids=NAMES)
def test_a_number_outside_its_range_is_refused(kind, field):
    wanted = types_of(kind, field)
    if int in wanted:
        refused(kind, field, -1)
    if float in wanted:
        for value in (-1.0, math.nan, math.inf, -math.inf):
            refused(kind, field, value)


@pytest.mark.parametrize(
    "options",
    [
        {"max_grad_norm": 0},  # nothing would move
        {"warmup_share": 2},
        {"learning_rate": 0.0},
        {"finish_learning_rate": 0.0},
        {"precision": "fp8"},
        {"schedule": "both"},
        {"epochs": 0},
        {"accumulate": 0},
    ],
    ids=str,
)
def test_the_ends_of_the_ranges_of_a_run(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))} was given as"):
        TrainingConfig(**options)


def test_what_is_in_range_is_taken():
    TrainingConfig(mlm_weight=1, weight_decay=0, warmup_share=1, learning_rate=1, patience=None)
    PretrainingConfig(weight_decay=0, seed=0)
    FinetuneOptions(dropout=0, max_length=3, seed=2**32 - 1)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"width": 250}, "heads as 4; expected a width that the heads can share"),
    ],
)
def test_options_of_pretraining_that_do_not_go_together(options, message):
    with pytest.raises(ValueError, match=message):
        PretrainingConfig(**options)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"ordinary": torch.tensor([0, 1, 1])}, "ordinary was given as torch.int64"),
        ({"continues": torch.zeros(3)}, "continues was given as torch.float32"),
        ({"mask_token_id": 3}, "mask_token_id was given as 3 with a vocabulary of 3"),
        ({"ordinary": torch.zeros(3, dtype=torch.bool)}, "ordinary marks no token"),
    ],
)
def test_masking_options_that_do_not_go_together(options, message):
    with pytest.raises(ValueError, match=message):
        MaskingConfig(**{**OPTIONS[MaskingConfig], **options})
