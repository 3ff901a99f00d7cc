"""Export: a folder that plain `transformers` pipelines load."""

from collections.abc import Sequence
from pathlib import Path

from transformers import BertTokenizer

from bift_utils.models.checkpoints import _forget_keys, check_finite
from bift_utils.models.joint import BertForJointTraining


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
    same file. Weights are in single precision. No file can tell a pipeline to cut long texts: it
    needs the one argument `truncation=True`, and then cuts at `max_length`, as in training.

    Args:
        model: its pooling must be "pooler".
        tokenizer: saved beside it.
        folder: exists and is empty, see `whole_folder`.
        class_names: K names, in the order of the class ids; None saves no classifier.
        max_length: most tokens a text, written into the tokenizer; None for all positions.

    Raises:
        ValueError: plain `transformers` cannot represent the classifier, the number of names is
            not that of the classes, or a weight is no finite number.

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
    check_finite(weights)
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
