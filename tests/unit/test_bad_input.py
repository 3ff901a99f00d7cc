"""Odd input at the borders of the package: one clear `ValueError`, and nothing done."""

import json

import pytest
import torch
from tiny import tiny_config

from bift_utils.data.batches import encode_texts
from bift_utils.data.texts import LabelledTexts, check_labelled_texts, split_texts
from bift_utils.evaluation.ask import judge_texts
from bift_utils.models.checkpoints import load_model, load_tokenizer, save_checkpoint
from bift_utils.models.export import export_for_transformers
from bift_utils.models.joint import evaluating, new_model
from bift_utils.training.pretraining import PretrainingConfig


@pytest.mark.parametrize("labels", [[0, "pos"], [0, None], [1, "1"], [False, True]])
def test_labels_of_other_types_are_refused(labels):
    with pytest.raises(ValueError, match="The labels are .*; expected whole numbers 0…K−1"):
        check_labelled_texts(LabelledTexts(["good", "bad"], labels))


def test_sizes_of_a_split_are_exact():
    data = LabelledTexts([f"text {i}" for i in range(200)], [i % 2 for i in range(200)])
    assert [len(part) for part in split_texts(data).values()] == [140, 30, 30]


def test_a_frozen_part_stays_in_evaluation_mode(tiny_model):
    tiny_model.train()
    tiny_model.bert.eval()
    with evaluating(tiny_model):
        pass
    assert tiny_model.training and not tiny_model.bert.training


@pytest.mark.parametrize("steps, warmup", [(100, 200), (200, 200), (100, 0)])
def test_a_warmup_that_does_not_fit_is_refused(steps, warmup):
    with pytest.raises(ValueError, match=f"has {steps} steps and {warmup} of them warm up"):
        PretrainingConfig(steps=steps, warmup_steps=warmup)


def test_no_texts_are_refused(tiny_model, tokenizer):
    with pytest.raises(ValueError, match="There are no texts"):
        judge_texts(tiny_model, tokenizer, [])


def test_a_single_string_is_refused(tokenizer):
    with pytest.raises(ValueError, match="given as one string"):
        encode_texts(tokenizer, "good")


@pytest.mark.parametrize("limit", [0, 2])
def test_a_limit_without_room_for_a_token_is_refused(tokenizer, limit):
    with pytest.raises(ValueError, match=f"max_length was given as {limit}; expected 3 or more"):
        encode_texts(tokenizer, ["the film was good ."], max_length=limit)


@pytest.fixture
def folder(tokenizer, tmp_path):
    torch.manual_seed(0)
    save_checkpoint(new_model(tiny_config(tokenizer)), tokenizer, tmp_path / "checkpoint")
    return tmp_path / "checkpoint"


def change_config(folder, **values):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_a_config_that_is_no_object_is_damaged(folder):
    (folder / "config.json").write_text("[]")
    with pytest.raises(ValueError, match="config.json in .* is damaged"):
        load_model(folder)


def test_a_config_value_of_the_wrong_type_is_damage(folder):
    change_config(folder, hidden_size="abc")
    with pytest.raises(ValueError, match="config.json in .* is damaged"):
        load_model(folder)


def test_layers_that_the_config_lacks_are_not_dropped_in_silence(folder):
    change_config(folder, num_hidden_layers=1)
    with pytest.raises(ValueError, match="have 16 encoder tensors that do not agree"):
        load_model(folder)


def test_another_number_of_classes_is_named(tiny_model, tokenizer, tmp_path):
    tiny_model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"classifier.* of shape .* the number of classes"):
        load_model(tmp_path, num_labels=3)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_model_that_is_not_finite_is_not_saved(tiny_model, tokenizer, tmp_path, value):
    with torch.no_grad():
        tiny_model.bert.encoder.layer[0].output.dense.bias[0] = value
    with pytest.raises(ValueError, match=r"1 tensors .* no finite numbers, bert\.encoder.*dense"):
        save_checkpoint(tiny_model, tokenizer, tmp_path / "checkpoint")
    tmp_path.joinpath("export").mkdir()
    with pytest.raises(ValueError, match="was not saved. Train it again"):
        export_for_transformers(tiny_model, tokenizer, tmp_path / "export", None)
    assert not any(tmp_path.rglob("*.safetensors"))


def test_what_half_precision_cannot_hold_is_not_saved(tiny_model, tokenizer, tmp_path):
    with torch.no_grad():
        tiny_model.bert.encoder.layer[0].output.dense.bias[0] = 1e6
    with pytest.raises(ValueError, match="no finite numbers"):
        save_checkpoint(tiny_model, tokenizer, tmp_path)


@pytest.mark.parametrize("wrong", [-1, 1])
def test_an_id_without_an_embedding_is_named(tiny_model, wrong):
    size = tiny_model.config.vocab_size
    ids = torch.tensor([[2, size if wrong > 0 else -1, 3]])
    with pytest.raises(ValueError, match=f"but the model has {size} tokens; expected 0 to"):
        tiny_model(ids)


def test_a_tokenizer_larger_than_its_model_is_refused(folder):
    change_config(folder, vocab_size=20)
    with pytest.raises(ValueError, match="has 21 tokens, but config.json beside it gives .* 20"):
        load_tokenizer(folder)


def test_a_checkpoint_that_answers_in_tuples_works_as_any_other(folder):
    ids = torch.tensor([[2, 7, 9, 3]])
    expected = load_model(folder).eval()(ids)["hidden"]
    change_config(folder, return_dict=False)
    assert torch.equal(load_model(folder).eval()(ids)["hidden"], expected)
