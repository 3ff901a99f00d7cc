"""Export: a folder that plain `transformers` pipelines load, written whole or not at all."""

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from transformers import BertTokenizer

from bift_utils.loading import _forget_keys
from bift_utils.modeling import BertForJointTraining

MARK = "finetuning.json"  # a folder with this file was written by this project


def check_output(folder: str | Path, overwrite: bool = False) -> Path:
    """Return the output folder if it may be written: absent, empty, or ours and to be replaced.

    Raises:
        FileExistsError: the folder holds something, and `overwrite` was not asked for; or it holds
            files that this project did not write, which it never deletes.

    Introduced in notebook 08.
    """
    folder = Path(folder)
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return folder
    if not folder.is_dir():
        raise FileExistsError(f"{folder} is a file; expected a folder to write. Choose another.")
    if not (folder / MARK).is_file():
        raise FileExistsError(
            f"{folder} holds files that were not written by this command, and is left as it is. "
            "Choose another folder."
        )
    if not overwrite:
        raise FileExistsError(
            f"{folder} already holds a model. Choose another folder, or ask to overwrite it."
        )
    return folder


@contextmanager
def whole_folder(folder: str | Path, overwrite: bool = False) -> Iterator[Path]:
    """Yield an empty folder to fill; it takes its final name only when everything is written.

    If anything is raised, or the process is killed, `folder` is as it was before. An old model is
    moved aside before, and deleted after, the new one has its name.

    Introduced in notebook 08.
    """
    folder = Path(folder).absolute()
    partial, old = (folder.with_name(f".{folder.name}.{kind}") for kind in ("partial", "old"))
    if old.exists() and not folder.exists():  # killed between two renamings
        old.rename(folder)
    check_output(folder, overwrite)
    for left_over in (partial, old):
        shutil.rmtree(left_over, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    if folder.exists():
        folder.rename(old)
    partial.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def check_exportable(pooling: str) -> None:
    """Raise `ValueError` unless plain `transformers` has a classifier of this kind.

    Introduced in notebook 08.
    """
    if pooling != "pooler":
        raise ValueError(
            f'The classifier was made with pooling "{pooling}", which plain transformers cannot '
            "represent: its BertForSequenceClassification always sends the vector of [CLS] through "
            'BERT\'s pooler. Train with pooling="pooler" to export the model.'
        )


def export_for_transformers(
    model: BertForJointTraining,
    tokenizer: BertTokenizer,
    folder: str | Path,
    class_names: Sequence[str] | None,
    max_length: int | None = None,
) -> None:
    """Save encoder, both heads and tokenizer so that plain `transformers` pipelines load them.

    `pipeline("text-classification", model=folder)` finds the classifier and answers with the
    names of the classes; `pipeline("fill-mask", model=folder)` finds the masked-LM head in the
    same file. Weights are in single precision.

    Args:
        model: its pooling must be "pooler".
        tokenizer: saved beside it.
        folder: exists and is empty, see `whole_folder`.
        class_names: K names, in the order of the class ids; None saves no classifier.
        max_length: most tokens a text, written into the tokenizer; None for all positions.

    Raises:
        ValueError: plain `transformers` cannot represent the classifier, or the number of names is
            not that of the classes.

    Introduced in notebook 08.
    """
    from transformers import BertForMaskedLM, BertForSequenceClassification

    folder = Path(folder)
    config = type(model.config).from_dict(model.config.to_dict())
    kind = BertForMaskedLM if class_names is None else BertForSequenceClassification
    if class_names is not None:
        check_exportable(model.pooling)
        if len(class_names) != config.num_labels:
            raise ValueError(
                f"There are {len(class_names)} class names and {config.num_labels} classes; "
                "expected one name a class."
            )
        config.id2label = dict(enumerate(class_names))
        config.label2id = {name: i for i, name in enumerate(class_names)}
    left_out = () if class_names is not None else ("classifier.", "bert.pooler.")
    # the decoder is the word embeddings again; plain transformers ties them when it loads
    weights = {
        name: value.detach().to("cpu").float().contiguous()
        for name, value in model.state_dict().items()
        if not name.startswith((*left_out, "cls.predictions.decoder."))
    }
    _save(weights, config, kind.__name__, folder)
    tokenizer.save_pretrained(folder)
    limit = max_length or config.max_position_embeddings
    session = ("is_local", "local_files_only")
    _forget_keys(folder / "tokenizer_config.json", session, model_max_length=limit)


def _save(weights: dict, config, architecture: str, folder: Path) -> None:
    from safetensors.torch import save  # `save_file` would let nobody else read the file

    (folder / "model.safetensors").write_bytes(save(weights, metadata={"format": "pt"}))
    config.architectures = [architecture]
    config.save_pretrained(folder)
    _forget_keys(folder / "config.json", ("problem_type", "_name_or_path"), dtype="float32")


def write_json(path: Path, values: dict) -> None:
    """Write values as readable JSON, whole or not at all.

    Introduced in notebook 08.
    """
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(values, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(partial, path)
