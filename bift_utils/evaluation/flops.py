"""What training costs: floating-point operations of the matrix products, forward and backward."""

import torch


def forward_flops(config, rows: int, tokens: int, blanks: int = 0, classified: int = 0) -> int:
    """Return the operations of one forward pass; a multiplication with its addition counts two.

    Counted are all matrix products, padding included, because it is computed too; what is added,
    scaled or normalised entry by entry is left out, and so is BERT's pooler where nobody uses what
    it returns. A backward pass takes twice as many.

    Args:
        config: of a `BertForJointTraining`.
        rows: B, rows of the batch.
        tokens: T, their length.
        blanks: positions that the masked-LM head answers.
        classified: rows that the classifier answers.

    Source: Kaplan et al. 2020, section 2.1 (with the attention products). Introduced in notebook
    07.
    """
    width, inner = config.hidden_size, config.intermediate_size
    a_token = 2 * (4 * width * width + 2 * width * inner) + 2 * 2 * tokens * width
    a_blank = 2 * width * (width + config.vocab_size)
    a_class = 2 * width * config.num_labels
    if getattr(config, "pooling", "pooler") == "pooler":
        a_class += 2 * width * width
    encoder = config.num_hidden_layers * rows * tokens * a_token
    return encoder + blanks * a_blank + classified * a_class


class FlopMeter:
    """Adds up what a model's training costs, while it trains, under any schedule.

    Use it as a context manager. Passes in evaluation mode are not counted.

    Args:
        model: a `BertForJointTraining`.

    Attributes:
        flops: operations so far, forward and backward.
        tokens: tokens read so far, without padding.
        rows: rows read so far.

    Introduced in notebook 07.
    """

    def __init__(self, model):
        self.model, self.flops, self.tokens, self.rows = model, 0, 0, 0

    def __enter__(self) -> "FlopMeter":
        self.hook = self.model.register_forward_pre_hook(self._count, with_kwargs=True)
        return self

    def __exit__(self, *_error) -> None:
        self.hook.remove()

    def _count(self, model, inputs: tuple, options: dict) -> None:
        if not model.training:
            return
        ids, mask = inputs[0], inputs[1]
        blanks, rows = (
            0 if chosen is None else int(torch.count_nonzero(chosen))
            for chosen in (options.get("masked_positions"), options.get("classified"))
        )
        sentences, length = ids.shape
        self.flops += 3 * forward_flops(model.config, sentences, length, blanks, rows)
        self.tokens += int(mask.sum())
        self.rows += len(ids)
