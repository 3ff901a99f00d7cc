"""Ask a model: fill in a blank, judge a text."""

from collections.abc import Sequence

import torch

from bift_utils.data.batches import encode_texts, make_loader
from bift_utils.evaluation.predict import predict_classes
from bift_utils.masking.collators import SequenceCollator
from bift_utils.models.joint import evaluating


def fill_blank(model, tokenizer, text: str, top: int = 5) -> dict[str, float]:
    """Return the likeliest tokens for the one [MASK] in a text, with their probabilities.

    Args:
        model: a `BertForJointTraining`.
        tokenizer: its tokenizer.
        text: holds "[MASK]" exactly once.
        top: how many candidates.

    Raises:
        ValueError: the text does not hold exactly one [MASK].

    Introduced in notebook 00.
    """
    encoded = encode_texts(tokenizer, [text], max_length=model.config.max_position_embeddings)
    input_ids = torch.tensor(encoded.input_ids, device=model.device)
    blanks = input_ids == tokenizer.mask_token_id
    if encoded.num_cut and not blanks.any() and tokenizer.mask_token in text:
        raise ValueError(
            f"The blank lies past the {model.config.max_position_embeddings} tokens that the model "
            "can read. Take a shorter text around it."
        )
    if int(blanks.sum()) != 1:
        raise ValueError(
            f"The text {text!r} has {int(blanks.sum())} blanks; expected exactly one. "
            f"Write {tokenizer.mask_token} in place of one word."
        )
    with evaluating(model):
        probabilities = model(input_ids, masked_positions=blanks)["mlm_logits"][0].softmax(-1)
    best = probabilities.topk(top)
    tokens = tokenizer.convert_ids_to_tokens(best.indices.tolist())
    return dict(zip(tokens, best.values.tolist(), strict=True))


def judge_texts(model, tokenizer, texts: Sequence[str]) -> torch.Tensor:
    """Return P(class given text) for texts as a reader types them, (N, K).

    Raises:
        ValueError: a text is empty or only spaces.

    Introduced in notebook 00.
    """
    encoded = encode_texts(tokenizer, texts, max_length=model.config.max_position_embeddings)
    return predict_classes(
        model, make_loader(encoded, SequenceCollator(tokenizer), batch_size=32, shuffle=False)
    )
