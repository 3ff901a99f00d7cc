from pathlib import Path
from types import SimpleNamespace

import pytest

from bift_utils.finetune.options import FinetuneOptions
from bift_utils.training.options import TrainingConfig


@pytest.mark.parametrize(
    "options, message",
    [
        ({"mlm_weight": 1.5}, "1.5"),
        ({"mlm_weight": float("nan")}, "nan"),
        ({"epochs": 0}, "epochs was given as 0; expected a whole number of 1 or more"),
        ({"epochs": -1}, "epochs was given as -1"),
        (
            {"learning_rate": 0.0},
            "learning_rate was given as 0.0; expected a finite number",
        ),
        ({"batch_size": 0}, "batch_size was given as 0; expected a whole number of 1 or more"),
        ({"accumulate": 0}, "accumulate was given as 0"),
        ({"evaluations_per_epoch": 0}, "evaluations_per_epoch was given as 0"),
        ({"patience": 0}, "patience was given as 0; expected a whole number of 1 or more, or None"),
        ({"max_length": 0}, "max_length was given as 0; expected a whole number of 3 or more"),
        ({"max_length": 2}, "max_length was given as 2; expected a whole number of 3 or more"),
        ({"dropout": 1.0}, "dropout was given as 1.0; expected a finite number, from 0 to below 1"),
        ({"dropout": -0.1}, "dropout was given as -0.1"),
        ({"precision": "fp8"}, "precision was given as 'fp8'; expected one of .*bf16"),
        ({"learning_rate": float("inf")}, "learning_rate was given as inf; expected a finite"),
        ({"learning_rate": float("nan")}, "learning_rate was given as nan; expected a finite"),
        ({"batch_size": 1.5}, "batch_size was given as 1.5; expected a whole number"),
        ({"drop_rare": 2}, "drop_rare was given as 2; expected a whole number of 3 or more"),
        ({"separator": "::"}, "separator was given as '::'; expected a single character"),
        ({"select": "f1"}, "select was given as 'f1'; expected one of"),
        ({"compare": True, "mlm_weight": 0.0}, "compare was asked for with λ = 0.0"),
        ({"seed": -1}, "seed was given as -1; expected a whole number from 0"),
        ({"seed": 2**32}, "seed was given as 4294967296; expected a whole number from 0 to"),
        ({"pooling": "mean"}, 'pooling "mean", which plain transformers cannot represent'),
        ({"pooling": "cls"}, 'pooling "cls", which plain transformers cannot represent'),
    ],
)
def test_an_option_outside_its_range_is_refused_in_a_sentence(options, message):
    with pytest.raises(ValueError, match=message):
        FinetuneOptions(**options)


@pytest.mark.parametrize(
    "texts, classes, epochs",
    [
        (100_000, 2, 3),
        (320, 2, 20),
        (960, 2, 7),
        (8, 2, 30),
        (960, 0, 7),
        (960, 8, 20),
        (960, 3, 8),
    ],
)
def test_a_small_table_and_one_of_many_classes_are_read_more_often(texts, classes, epochs):
    assert FinetuneOptions(batch_size=32).training(256, texts, classes).epochs == epochs
    assert FinetuneOptions(epochs=1).training(256, texts, classes).epochs == 1


def test_the_learning_rate_follows_the_width():
    assert FinetuneOptions().training(256, 100, 2).learning_rate == 3e-4
    assert FinetuneOptions().training(768, 100, 2).learning_rate == 5e-5
    assert FinetuneOptions(learning_rate=1e-5).training(256, 100, 2).learning_rate == 1e-5


def test_every_option_of_the_loop_reaches_it():
    given = dict(
        mlm_weight=0.7, epochs=9, patience=4, evaluations_per_epoch=5, precision="bf16",
        accumulate=3, learning_rate=1e-3,
    )  # fmt: skip
    config = FinetuneOptions(**given).training(256, 100, 2)
    assert {name: getattr(config, name) for name in given} == given
    assert config.fused


def test_the_command_and_the_loop_have_one_weight_by_default():
    assert FinetuneOptions().mlm_weight == TrainingConfig().mlm_weight


def test_the_length_is_that_of_the_model_at_most(tiny_model):
    assert FinetuneOptions().length(tiny_model) == 16
    assert FinetuneOptions(max_length=5).length(tiny_model) == 5
    long = SimpleNamespace(config=SimpleNamespace(max_position_embeddings=512))
    assert FinetuneOptions().length(long) == 128  # more only where it is asked for
    assert FinetuneOptions(max_length=400).length(long) == 400
    with pytest.raises(ValueError, match="max_length was given as 17; expected 3 to 16"):
        FinetuneOptions(max_length=17).length(tiny_model)


def test_a_folder_may_be_given_as_a_path():
    assert FinetuneOptions(model=Path("a")).model == "a"
