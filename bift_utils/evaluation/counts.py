"""How well a network fills blanks when few are hidden, and when many: its loss by their number."""

from collections.abc import Sequence

import torch
from torch import Tensor

from bift_utils.data.batches import IGNORE_INDEX, pad_batch
from bift_utils.evaluation.exact import kl_divergence
from bift_utils.evaluation.predict import at_blanks, predict
from bift_utils.languages.any_order import Answer, blank_posterior, hidden_sets
from bift_utils.masking.counts import hide_count
from bift_utils.masking.tokens import MaskingConfig


def kl_by_count(law: Tensor, answer: Answer) -> Tensor:
    """Return KL(exact ‖ answer) per blank with k = 1…T blanks, (T,), in nats, without any draw.

    The mean is over all sets of k blanks, over the visible words by their probability, and over
    the blanks. The entries add up to the bound on −log P minus the entropy, for the mean sentence.

    Args:
        law: (V, …, V), P(sentence): `languages.sentence_law`.
        answer: ids (N, T), blanks being number V, to log P(token), (N, T, V or more).

    Introduced in notebook 09.
    """
    vocab_size, length = law.shape[0], law.dim()
    found = []
    for count in range(1, length + 1):
        sets, total = hidden_sets(length, count), 0.0
        for hidden in sets:
            context = law.sum(hidden, keepdim=True)
            where = (context > 0).nonzero()  # (N, T), 0 at the blanks
            weights = context[tuple(where.T)]
            rows = where.index_fill(1, torch.tensor(hidden), vocab_size)
            answers = answer(rows)
            for position in hidden:
                exact = blank_posterior(law, position, hidden).movedim(position, -1)
                seen = [i for i in range(length) if i != position]
                exact = exact[tuple(where[:, seen].T)]  # (N, V)
                total += float(weights @ kl_divergence(exact, answers[:, position]))
        found.append(total / (len(sets) * count))
    return torch.tensor(found, dtype=torch.float64)


def losses_by_share(
    model,
    rows: Sequence[Sequence[int]],
    config: MaskingConfig,
    draws: int,
    generator: torch.Generator,
) -> Tensor:
    """Return the mean loss per blank of each text, (N, draws), with ever larger shares hidden.

    Draw j hides a share between (j − 1)/draws and j/draws of a text's n ordinary tokens, at least
    one token: k = ⌊u·n⌋ + 1 with u drawn from that range, so that over all draws every k from 1 to
    n is equally likely. The mean of a row, times n, then estimates the bound on −log P(text given
    its length) without bias.

    Args:
        model: a `BertForJointTraining`.
        rows: token ids of each text.
        config: which id is [MASK], and which tokens may be hidden.
        draws: how many for each text, at least one.
        generator: source of all randomness.

    Raises:
        ValueError: `draws` is below one, or a text has no ordinary token.

    Introduced in notebook 09.
    """
    if draws < 1:
        raise ValueError(f"draws was given as {draws}; expected at least 1.")
    sizes = torch.tensor([int(config.ordinary[torch.tensor(row)].sum()) for row in rows])
    found = torch.zeros(len(rows), draws, dtype=torch.float64)
    order = torch.argsort(sizes)  # texts of like length together: little padding
    for few in order.split(64):
        batch = pad_batch([rows[i] for i in few], 0)
        # padding is no ordinary token: what may be hidden is that of the texts alone
        for j in range(draws):
            u = (j + torch.rand(len(few), generator=generator, dtype=torch.float64)) / draws
            counts = (u * sizes[few]).floor().long() + 1
            hidden, labels = hide_count(batch["input_ids"], counts, config, generator)
            asked = {**batch, "input_ids": hidden, "mlm_labels": labels}
            found[few, j] = _mean_by_row(model, asked)
    return found


def _mean_by_row(model, batch: dict[str, Tensor]) -> Tensor:
    """The mean loss per blank of each row, (B,), float64 on the CPU."""
    ((batch, outputs),) = predict(model, [batch], at_blanks)
    blanks = batch["mlm_labels"] != IGNORE_INDEX
    losses = torch.nn.functional.cross_entropy(
        outputs["mlm_logits"].float(), batch["mlm_labels"][blanks], reduction="none"
    )
    table = torch.zeros(blanks.shape, dtype=torch.float64)
    table[blanks.cpu()] = losses.double().cpu()
    return table.sum(1) / blanks.cpu().sum(1)
