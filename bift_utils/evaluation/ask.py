"""Ask a model: fill in a blank, judge a text."""

import textwrap
import warnings
from collections.abc import Sequence

import torch

from bift_utils.data.batches import encode_texts, make_loader, token_ids
from bift_utils.data.texts import check_text
from bift_utils.evaluation.predict import predict_classes
from bift_utils.masking.collators import SequenceCollator
from bift_utils.models.joint import check_trained, evaluating


def fill_blank(model, tokenizer, text: str, top: int = 5) -> dict[str, float]:
    """Return the likeliest tokens for the one [MASK] in a text, with their probabilities.

    Args:
        model: a `BertForJointTraining`.
        tokenizer: its tokenizer.
        text: holds "[MASK]" exactly once; any other special token in it is plain text.
        top: how many candidates.

    Raises:
        ValueError: the text does not hold exactly one [MASK], or the model was loaded from a
            checkpoint without a masked-LM head and not trained since.

    Introduced in notebook 00.
    """
    check_text(text, 0)
    check_trained(model, "cls.", "masked-LM head")
    sides = text.split(tokenizer.mask_token)
    if len(sides) != 2:
        shown = textwrap.shorten(text, 80, placeholder=" …")
        raise ValueError(
            f"The text {shown!r} has {len(sides) - 1} blanks; expected exactly one. "
            f"Write {tokenizer.mask_token} in place of one word."
        )
    left, right = token_ids(tokenizer, sides, add_special_tokens=False)
    limit = model.config.max_position_embeddings
    room = limit - len(left) - 3  # [CLS], the blank and [SEP] stand there, too
    if room < 0:
        raise ValueError(
            f"The blank lies past the {limit} tokens that the model can read. Take a shorter text "
            "around it."
        )
    if len(right) > room:
        warnings.warn(f"The text was cut after {limit} tokens, behind the blank.", stacklevel=2)
    ids = [*left, tokenizer.mask_token_id, *right[:room]]
    row = [tokenizer.cls_token_id, *ids, tokenizer.sep_token_id]
    input_ids = torch.tensor([row], device=model.device)  # (1, T)
    blanks = torch.zeros_like(input_ids, dtype=torch.bool)
    blanks[0, 1 + len(left)] = True
    with evaluating(model):
        probabilities = model(input_ids, masked_positions=blanks)["mlm_logits"][0].softmax(-1)
    best = probabilities.topk(top)
    tokens = tokenizer.convert_ids_to_tokens(best.indices.tolist())
    return dict(zip(tokens, best.values.tolist(), strict=True))


def judge_texts(model, tokenizer, texts: Sequence[str]) -> torch.Tensor:
    """Return P(class given text) for texts as a reader types them, (N, K).

    Raises:
        ValueError: a text cannot be used (`check_text`), or the model was loaded from a checkpoint
            without a classifier and not trained since.

    Introduced in notebook 00.
    """
    check_trained(model, "classifier.", "classifier")
    encoded = encode_texts(tokenizer, texts, max_length=model.config.max_position_embeddings)
    return predict_classes(
        model, make_loader(encoded, SequenceCollator(tokenizer), batch_size=32, shuffle=False)
    )
