import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny import tiny_config

from bift_utils.data.batches import encode_texts
from bift_utils.evaluation.ask import fill_blank, judge_texts
from bift_utils.finetune.output import (
    MARK,
    check_output,
    check_space,
    whole_folder,
    write_json,
)
from bift_utils.models.checkpoints import load_model, load_tokenizer
from bift_utils.models.export import check_exportable, export_for_transformers
from bift_utils.models.joint import evaluating, new_model

NAMES = ["ham", "Spam!", "später"]
OUTSIDE = """
import json, sys
sys.modules["bift_utils"] = None  # as on a machine that does not have it: importing it fails
from transformers import pipeline
folder, *texts = json.loads(sys.argv[1])
classify = pipeline("text-classification", model=folder, top_k=None)
cut = pipeline("text-classification", model=folder, top_k=None, truncation=True)
fill = pipeline("fill-mask", model=folder, top_k=3)
print(json.dumps({
    "kinds": [type(classify.model).__name__, type(fill.model).__name__],
    "dtypes": [str(p.model.dtype) for p in (classify, fill)],
    "tied": fill.model.cls.predictions.decoder.weight is fill.model.get_input_embeddings().weight,
    "classes": [{row["label"]: row["score"] for row in classify([t])[0]} for t in texts],
    "long": {row["label"]: row["score"] for row in cut([" ".join(texts * 50)])[0]},
    "words": {row["token_str"]: row["score"] for row in fill("the film was [MASK] .")},
}))
"""


def outside(folder, texts):
    """Use a folder with plain `transformers`, in a process that cannot import this project."""
    argument = json.dumps([str(folder), *texts])
    done = subprocess.run(
        [sys.executable, "-I", "-c", OUTSIDE, argument],
        cwd=folder, env={**os.environ, "HF_HUB_OFFLINE": "1"}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def model(tokenizer):
    """A model whose every parameter is off its starting value: a lost one is noticed."""
    torch.manual_seed(0)
    model = new_model(tiny_config(tokenizer, num_labels=3, pooling="pooler"))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


@pytest.fixture
def saved(model, tokenizer, tmp_path):
    export_for_transformers(model, tokenizer, tmp_path, NAMES)
    return tmp_path


def test_both_pipelines_agree_with_this_project_on_a_machine_without_it(
    saved, model, tokenizer, texts
):
    found = outside(saved, texts)
    assert found["kinds"] == ["BertForSequenceClassification", "BertForMaskedLM"]
    assert found["dtypes"] == ["torch.float32"] * 2
    assert found["tied"]
    ours = judge_texts(model, tokenizer, [" ".join(texts * 50)])[0]
    assert [found["long"][name] for name in NAMES] == pytest.approx(ours.tolist(), rel=1e-4)
    ours = judge_texts(model, tokenizer, texts).float()
    theirs = torch.tensor([[row[name] for name in NAMES] for row in found["classes"]])
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
    words = fill_blank(model, tokenizer, "the film was [MASK] .", top=3)
    assert list(words) == list(found["words"])
    assert list(words.values()) == pytest.approx(list(found["words"].values()), rel=1e-4)


def test_real_weights_go_through_both_pipelines(tmp_path):
    torch.manual_seed(0)
    model = load_model("bift-mini", num_labels=2, pooling="pooler")
    tokenizer = load_tokenizer("bift-mini")
    export_for_transformers(model, tokenizer, tmp_path, ["bad", "good"], max_length=64)
    texts = ["A fine film 👍", "dull"]
    found = outside(tmp_path, texts)
    with pytest.warns(UserWarning, match="cut"):
        encoded = encode_texts(tokenizer, [" ".join(texts * 50)], max_length=64)
    batch = torch.tensor(encoded.input_ids)
    assert batch.shape == (1, 64)  # of 128 positions: the pipeline must read no more either
    with evaluating(model):
        logits = model(batch, classified=torch.tensor([True]))["class_logits"]
    chances = logits.softmax(-1)[0].tolist()
    assert [found["long"][name] for name in ("bad", "good")] == pytest.approx(chances, abs=1e-5)
    model.created = []  # its classifier is random, and the same on both sides
    ours = judge_texts(model, tokenizer, texts)[:, 1].tolist()
    assert [row["good"] for row in found["classes"]] == pytest.approx(ours, abs=1e-5)
    words = fill_blank(model, tokenizer, "the film was [MASK] .", top=3)
    assert found["words"] == pytest.approx(words, abs=1e-5)
    assert "bad" in words  # what the shipped weights know of films
    assert load_tokenizer(tmp_path).model_max_length == 64


def test_loading_it_back_needs_no_options_and_loses_nothing(saved, model):
    back = load_model(saved)
    assert back.created == []
    assert (back.pooling, back.config.num_labels) == ("pooler", 3)
    assert back.config.id2label == dict(enumerate(NAMES))
    assert back.config.label2id == {name: i for i, name in enumerate(NAMES)}
    for name, value in model.state_dict().items():
        assert torch.equal(back.state_dict()[name], value), name


def test_the_config_names_a_class_of_the_library_and_nothing_of_this_session(saved):
    config = json.loads((saved / "config.json").read_text())
    assert config["architectures"] == ["BertForSequenceClassification"]
    assert config["dtype"] == "float32"
    assert "_name_or_path" not in config
    assert "is_local" not in json.loads((saved / "tokenizer_config.json").read_text())
    assert load_tokenizer(saved).model_max_length == 16


def test_weights_in_half_precision_are_saved_in_single(model, tokenizer, tmp_path):
    export_for_transformers(model.bfloat16(), tokenizer, tmp_path, NAMES)
    weights = load_file(tmp_path / "model.safetensors")
    assert {value.dtype for value in weights.values()} == {torch.float32}


def test_a_cased_tokenizer_stays_cased(saved, model, tokenizer, tmp_path):
    path = saved / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "do_lower_case": False}))
    cased = load_tokenizer(saved)
    assert cased("The")["input_ids"] != cased("the")["input_ids"]
    again = tmp_path / "again"
    again.mkdir()
    export_for_transformers(model, cased, again, NAMES)
    assert load_tokenizer(again)("The the")["input_ids"] == cased("The the")["input_ids"]


def test_without_class_names_only_the_masked_lm_is_saved(model, tokenizer, tmp_path):
    export_for_transformers(model, tokenizer, tmp_path, None)
    weights = load_file(tmp_path / "model.safetensors")
    assert not [name for name in weights if name.startswith(("classifier", "bert.pooler"))]
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["architectures"] == ["BertForMaskedLM"]


@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_a_head_that_plain_transformers_cannot_represent_is_refused(tokenizer, tmp_path, pooling):
    model = new_model(tiny_config(tokenizer, num_labels=3, pooling=pooling))
    message = f'with pooling "{pooling}", which plain transformers cannot represent: .* pooler'
    with pytest.raises(ValueError, match=message):
        export_for_transformers(model, tokenizer, tmp_path, NAMES)
    with pytest.raises(ValueError, match=message):
        check_exportable(pooling)
    assert not any(tmp_path.iterdir())


def test_a_model_that_is_not_finite_is_never_saved(model, tokenizer, tmp_path):
    with torch.no_grad():
        model.classifier.weight[1, 2] = float("nan")
    with pytest.raises(ValueError, match=r"no finite .*, classifier.weight .* lower learning"):
        export_for_transformers(model, tokenizer, tmp_path, NAMES)
    assert not any(tmp_path.iterdir())


def test_one_name_a_class(model, tokenizer, tmp_path):
    with pytest.raises(ValueError, match="There are 2 class names and 3 classes"):
        export_for_transformers(model, tokenizer, tmp_path, NAMES[:2])


# folders


def ours(folder, content="old"):
    folder.mkdir(parents=True)
    (folder / MARK).write_text(content)
    return folder


def test_a_folder_takes_its_name_when_it_is_whole(tmp_path):
    target = tmp_path / "deep" / "model"
    with whole_folder(target) as folder:
        (folder / MARK).write_text("new")
        assert not target.exists()
    assert (target / MARK).read_text() == "new"
    assert [path.name for path in target.parent.iterdir()] == ["model"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_failure_leaves_everything_as_it_was(tmp_path, error):
    target = ours(tmp_path / "model")
    with pytest.raises(error), whole_folder(target, overwrite=True) as folder:
        (folder / MARK).write_text("half")
        raise error
    assert (target / MARK).read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_overwriting_replaces_all_files(tmp_path):
    target = ours(tmp_path / "model")
    (target / "stale").touch()
    with whole_folder(target, overwrite=True) as folder:
        (folder / MARK).write_text("new")
    assert [path.name for path in target.iterdir()] == [MARK]
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_what_a_kill_leaves_behind_is_mended_and_cleared(tmp_path):
    old, partial = ours(tmp_path / ".model.old"), ours(tmp_path / ".model.partial", "half")
    target = tmp_path / "model"
    with pytest.raises(FileExistsError, match="already holds a model"), whole_folder(target):
        pass
    assert (target / MARK).read_text() == "old"  # killed between two renamings: nothing is lost
    assert not old.exists()
    with whole_folder(target, overwrite=True) as folder:
        assert not any(folder.iterdir())
    assert not partial.exists()


def test_a_folder_that_exists_is_refused(tmp_path):
    target = ours(tmp_path / "model")
    with pytest.raises(FileExistsError, match="already holds a model. Choose .* overwrite"):
        check_output(target)
    assert check_output(target, overwrite=True) == target
    (tmp_path / "empty").mkdir()
    assert check_output(tmp_path / "empty") == tmp_path / "empty"


def test_files_of_others_are_never_deleted(tmp_path):
    (tmp_path / "thesis.tex").touch()
    for overwrite in (False, True):
        with pytest.raises(FileExistsError, match="not written by this command, and is left"):
            check_output(tmp_path, overwrite)
    with pytest.raises(FileExistsError, match="is a file; expected a folder"):
        check_output(tmp_path / "thesis.tex", overwrite=True)


def test_a_full_disk_is_noticed_before_anything_is_trained(tmp_path):
    check_space(tmp_path / "deep" / "model", 1)
    with pytest.raises(OSError, match=r"MB free; .* may take 1000000000 MB. Make room"):
        check_space(tmp_path / "deep" / "model", 10**15)
    assert not any(tmp_path.iterdir())


def test_json_is_written_whole(tmp_path):
    write_json(tmp_path / "a.json", {"é": [1, None]})
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {"é": [1, None]}
    write_json(tmp_path / "b.json", {"loss": [float("nan"), 1.5, float("inf")]})
    assert json.loads((tmp_path / "b.json").read_text()) == {"loss": [None, 1.5, None]}
    with pytest.raises(TypeError):
        write_json(Path(tmp_path / "a.json"), {"x": object()})
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {"é": [1, None]}
