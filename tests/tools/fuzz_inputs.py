"""Random and edge inputs of every exercise, within what its text allows, for `fuzz_checks.py`.

KNOWN_EQUAL names mutants of random answers by the line that was changed: they draw other numbers
from the same law, which no single input shows, and the reason stands beside each.
"""

import random
from collections.abc import Callable

import torch

from bift_utils.masking import zoo
from bift_utils.masking.tokens import MaskingConfig
from bift_utils.models.joint import small_bert

KNOWN_EQUAL: dict[str, dict[str, str]] = {
    "check_mask_tokens": {
        "corrupted = torch.where(selected & (u > 0.9), choices[places], input_ids)": (
            "the tenth above 0.9 is random and that below it is kept, instead of the other way"
        ),
    },
}


def row(rng: random.Random, size: int) -> list[float]:
    """Draw a distribution; some of its entries are often 0."""
    numbers = [rng.choice((0.0, rng.random(), rng.random())) for _ in range(size)]
    numbers[rng.randrange(size)] += 0.1
    return [number / sum(numbers) for number in numbers]


def tensor(numbers) -> torch.Tensor:
    return torch.tensor(numbers, dtype=torch.float64)


def normals(rng: random.Random, *shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(rng.randrange(2**31))
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def language(rng):
    size = rng.choice((1, 2, 3, 5))
    return tensor(row(rng, size)), tensor([row(rng, size) for _ in range(size)])


def reach(rng):
    length = rng.choice((1, 2, 3, 5))
    looks = [[rng.random() < 0.5 for _ in range(length)] for _ in range(length)]
    return torch.tensor(looks), rng.choice((0, 1, 2, 3, 7))


def posterior(rng):
    size = rng.choice((2, 3, 4))
    tables = tensor([[rng.random() + 0.01 for _ in range(size)] for _ in range(size + 1)])
    tables = tables / tables.sum(1, keepdim=True)
    left, right = (rng.choice((None, *range(size))) for _ in range(2))
    return tables[0], tables[1:], left, right


def masking(rng):
    ids, config = zoo.practice_batch()
    rate = rng.choice((0.15, 0.4, 0.9))
    config = MaskingConfig(config.mask_token_id, config.ordinary, mlm_probability=rate)
    return ids[:4].clone(), config, torch.Generator().manual_seed(rng.randrange(100))


def faults(rng):
    ids, config = zoo.practice_batch()
    return (
        rng.choice(list(zoo.ZOO.values())), ids, config,
        torch.Generator().manual_seed(rng.randrange(100)),
    )  # fmt: skip


def bayes(rng):
    rows, size = rng.choice((1, 2, 3)), rng.choice((1, 2, 3, 4))
    prior = tensor([rng.random() + 0.01 for _ in range(size)])
    likelihood = tensor([row(rng, size) for _ in range(rows)]) * rng.random()
    return prior / prior.sum(), likelihood + 1e-6


def sentence_with_a_blank(rng):
    tags, size, length = rng.choice((1, 2, 3)), rng.choice((2, 3, 4)), rng.choice((1, 2, 3, 5))
    start, transition, emission = (
        tensor([[rng.random() + 0.05 for _ in range(columns)] for _ in range(rows)])
        for rows, columns in ((1, tags), (tags, tags), (tags, size))
    )
    if size > 2 and rng.random() < 0.3:
        emission[rng.randrange(tags), rng.randrange(size)] = 0.0
    tables = (table / table.sum(1, keepdim=True) for table in (start, transition, emission))
    first, *others = tables
    tokens, blank = [rng.randrange(size) for _ in range(length)], rng.randrange(length)
    if tags == 1:  # no word that the only tag never says
        tokens = [int(others[1][0].argmax()) for _ in tokens]
    tokens[blank] = size
    return first[0], *others, tokens, blank


def divergence(rng):
    rows, size = rng.choice((1, 2, 3)), rng.choice((2, 3, 4))
    return tensor([row(rng, size) for _ in range(rows)]), normals(rng, rows, size).log_softmax(-1)


def copy_or_doubt(rng):
    size = rng.choice((1, 2, 3, 8))
    kept, drawn = rng.choice((0.0, 0.1, rng.random() / 2)), rng.choice((0.1, rng.random() / 2))
    return tensor(row(rng, size)), rng.randrange(size), kept, drawn


def head(rng):
    rows, width, size = rng.choice((1, 3)), rng.choice((2, 4, 5)), rng.choice((1, 3, 6))
    weights = {
        "dense_weight": normals(rng, width, width), "dense_bias": normals(rng, width),
        "norm_weight": normals(rng, width), "norm_bias": normals(rng, width),
        "eps": rng.choice((1e-12, 1e-5, 0.1)), "embeddings": normals(rng, size, width),
        "bias": normals(rng, size),
    }  # fmt: skip
    return normals(rng, rows, width), weights


def stand_in(ids: torch.Tensor) -> torch.Tensor:
    """Answer with log-probabilities that depend on every id of a row."""
    places = torch.arange(1, ids.shape[1] + 1, dtype=torch.float64)
    mixed = ids.double() @ torch.cos(places[:, None] * places)
    return torch.sin(mixed[..., None] * torch.arange(1, 8)).log_softmax(-1)


def words_alone(ids: torch.Tensor) -> torch.Tensor:
    """Answer with the six words alone, and never with [MASK]."""
    return stand_in(ids)[..., :6].log_softmax(-1)


def pair(rng):
    length = rng.choice((2, 3, 5))
    tokens = torch.tensor([rng.randrange(6) for _ in range(length)])
    first, second = rng.sample(range(length), 2)
    tokens[[first, second]] = 6
    return words_alone, tokens, first, second


def calibration(rng):
    n = rng.choice((1, 3, 12))
    if rng.random() < 0.5:  # on edges, which two to the power of k writes exactly
        bins, sure = rng.choice((1, 2, 4, 8)), [rng.randrange(1, 17) / 16 for _ in range(n)]
    else:
        bins, sure = rng.choice((3, 5, 10)), [0.01 + 0.98 * rng.random() for _ in range(n)]
    return tensor(sure), torch.tensor([rng.random() < 0.6 for _ in range(n)]), bins


def pseudo(rng):
    return stand_in, torch.tensor([rng.randrange(6) for _ in range(rng.choice((1, 2, 5)))]), 6


def unigram(rng):
    size = rng.choice((1, 3, 5))
    train, held = ([rng.randrange(size) for _ in range(rng.randrange(1, 9))] for _ in range(2))
    return train, held, size


def rate(rng):
    steps = rng.choice((2, 3, 10, 100))
    decay_begins = rng.randrange(1, steps)
    return rng.randrange(steps), rng.randrange(1, decay_begins + 1), decay_begins, steps


def diagnose(rng):
    offsets = rng.sample(range(-3, 4), rng.randrange(1, 7))
    accuracy = {offset: rng.random() * rng.choice((1.0, 0.1)) for offset in offsets}
    return accuracy, rng.choice((rng.random(), 0.1, max(accuracy.values())))


def pool(rng):
    rows, length = rng.choice((1, 2, 3)), rng.choice((1, 2, 4))
    real = torch.tensor([[rng.randrange(2) for _ in range(length)] for _ in range(rows)])
    real[:, rng.randrange(length)] = 1
    return normals(rng, rows, length, 3).requires_grad_(), real


def first_labels(rng):
    words, ids = rng.randrange(4), []
    for word in range(words):
        ids += [None] * rng.randrange(2) + [word] * rng.randrange(1, 4)
    return ids + [None] * rng.randrange(3), [rng.randrange(3) for _ in range(words)]


def f1(rng):
    size = rng.randrange(9)
    answers = [rng.choice((-100, 0, 1, 2)) for _ in range(size)]
    return [rng.randrange(3) for _ in range(size)], answers, rng.randrange(3)


def ratios(rng):
    rows, size = rng.randrange(2, 6), rng.choice((1, 2, 4))
    counts = torch.tensor([[rng.randrange(4) for _ in range(size)] for _ in range(rows)])
    labels = torch.tensor([0, 1, *(rng.randrange(2) for _ in range(rows - 2))])
    return counts, labels, rng.choice((1.0, 0.5, 2.0))


def head_gradients(rng):
    count, size, classes = rng.randrange(1, 5), rng.randrange(1, 4), rng.choice((2, 3, 4))
    scale = rng.choice((1.0, 1.0, 300.0))
    labels = torch.tensor([rng.randrange(classes) for _ in range(count)])
    weight, bias = normals(rng, classes, size), normals(rng, classes)
    return scale * normals(rng, count, size), labels, weight, bias


def step(rng):
    rows, length = rng.randrange(1, 4), rng.randrange(2, 6)
    mask = torch.tensor(
        [
            [1] * real + [0] * (length - real)
            for real in (rng.randrange(1, length + 1) for _ in range(2 * rows))
        ]
    )
    tokens = torch.tensor([[rng.randrange(5) for _ in range(length)] for _ in range(2 * rows)])
    blanks = torch.tensor([[rng.randrange(3) == 0 for _ in range(length)] for _ in range(rows)])
    blanks = torch.cat([torch.zeros_like(blanks), blanks & (mask[rows:] == 1)])
    batch = {
        "input_ids": tokens.masked_fill(blanks, 5), "attention_mask": mask,
        "mlm_labels": tokens.masked_fill(~blanks, -100),
        "labels": torch.tensor([rng.randrange(2) for _ in range(rows)] + [-100] * rows),
    }  # fmt: skip
    weight = rng.choice((0.0, 1.0, 0.5, rng.random())) if blanks.any() else 0.0
    if weight == 1.0:
        batch["labels"] = torch.full_like(batch["labels"], -100)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(rng.randrange(100))
        model = small_bert(5, 6, width=4, layers=1).double()  # so that equal is equal
    return model, torch.optim.SGD(model.parameters(), lr=1.0), batch, weight


def decaying(rng):
    updates = rng.choice((2, 3, 10))
    return rng.randrange(2 * updates), rng.random() + 0.1, rng.random() + 0.01, updates


def uncertainty(rng):
    losses = [tensor(rng.random() * 5).requires_grad_() for _ in range(2)]
    return *losses, normals(rng, 2).requires_grad_()


def score(rng):
    rows, seeds = rng.randrange(1, 5), rng.randrange(1, 4)
    tables = (normals(rng, rows, seeds).abs() for _ in range(2))
    return sorted(rng.random() for _ in range(rows)), *tables


def interval(rng):
    return [rng.random() * 10 - 3 for _ in range(rng.randrange(2, 7))], rng.random() * 5 + 1


def duel(rng):
    names, seeds = (
        ["joint", "frozen", "plain", "counted"][: rng.randrange(2, 5)],
        rng.choice((1, 3)),
    )
    tables = ({name: [rng.random() for _ in range(seeds)] for name in names} for _ in range(2))
    return rng.choice(names), *tables


def bootstrap(rng):
    table = normals(rng, rng.randrange(1, 5), rng.randrange(1, 6))
    return table, rng.choice((1, 5)), torch.Generator().manual_seed(rng.randrange(100))


def gradients(rng):
    shapes = [rng.choice(((2,), (1, 3), (2, 2))) for _ in range(rng.randrange(1, 4))]
    lists = []
    for _ in range(2):
        made = [None if rng.random() < 0.3 else normals(rng, *shape) for shape in shapes]
        made[rng.randrange(len(made))] = normals(rng, *shapes[0])
        lists.append([None if x is None else normals(rng, *shape)
                      for x, shape in zip(made, shapes, strict=True)])  # fmt: skip
    return lists[0], lists[1]


def p_values(rng):
    level, count = rng.choice((0.05, 0.01, 0.1)), rng.randrange(0, 6)
    exact = [level / k for k in range(1, count + 1)]
    return [rng.choice((rng.random() * level, rng.random(), *exact)) for _ in range(count)], level


def leaks(rng):
    def text():
        words = [rng.choice(("a", "A", "lamp", "")) for _ in range(rng.randrange(1, 3))]
        return rng.choice((" ", "  ", "\n")).join(words)

    return [text() for _ in range(rng.randrange(4))], [text() for _ in range(rng.randrange(5))]


def whole(rng):
    counts = [rng.choice((0, 1, 3)) for _ in range(rng.randrange(5))]
    means = [rng.choice((float("nan"), rng.random())) if not n else rng.random() for n in counts]
    if counts and rng.random() < 0.1:
        means[0] = float("nan")
    return means, counts


def norm_of(rng, width):
    return normals(rng, width) + 1, normals(rng, width)


def affine(rng, wide, width):
    return normals(rng, wide, width), normals(rng, wide)


def seen(rng, rows, length):
    """Draw an attention mask; padding ends a row, and no row is empty."""
    ends = torch.tensor([[rng.randrange(1, length + 1)] for _ in range(rows)])
    return (torch.arange(length) < ends).long()


def layer_weights(rng, width):
    sizes = {"up": (2 * width, width), "down": (width, 2 * width)}
    sizes |= dict.fromkeys(("query", "key", "value", "mix"), (width, width))
    weights = {name: affine(rng, *size) for name, size in sizes.items()}
    return weights | {name: norm_of(rng, width) for name in ("norm1", "norm2")}


def embed(rng):
    rows, length, width = rng.randrange(1, 4), rng.randrange(1, 5), rng.choice((2, 3, 4))
    ids = torch.tensor([[rng.randrange(6) for _ in range(length)] for _ in range(rows)])
    tables = (normals(rng, size, width) for size in (6, 5, 2))
    return ids, *tables, norm_of(rng, width)


def attention(rng):
    rows, length, width = rng.randrange(1, 4), rng.randrange(1, 5), rng.choice((1, 2, 4))
    return *(normals(rng, rows, length, width) for _ in range(3)), seen(rng, rows, length)


def in_heads(rng):
    rows, length, width = rng.randrange(1, 4), rng.randrange(1, 5), rng.choice((2, 4, 8))
    mask = seen(rng, rows, length)
    return normals(rng, rows, length, width), mask, layer_weights(rng, width), rng.choice((1, 2))


def half_of_the_next(x):
    """Stand in for the attention of a layer: every token gets half of its neighbour."""
    return x.roll(1, 1) / 2


def one_layer(rng):
    width = rng.choice((2, 4))
    x = normals(rng, rng.randrange(1, 4), rng.randrange(1, 5), width)
    return x, half_of_the_next, layer_weights(rng, width)


def whole_encoder(rng):
    ids = embed(rng)[0]
    width = 2 * rng.choice((1, 2))
    words, positions, segments = (normals(rng, size, width) for size in (6, 5, 2))
    weights = {"words": words, "positions": positions, "segments": segments}
    weights["norm"], weights["heads"] = norm_of(rng, width), rng.choice((1, 2))
    weights["layers"] = [layer_weights(rng, width) for _ in range(rng.choice((1, 2)))]
    return ids, seen(rng, *ids.shape), weights


def counts_of_blanks(rng):
    sizes = [(rng.randrange(1, 4), k) for k in range(1, rng.randrange(2, 6))]
    return ([normals(rng, *size).abs() for size in sizes],)


def uniform_mask(rng):
    length = rng.randrange(2, 6)
    ids = [[0, *(rng.randrange(5) for _ in range(length - 1))] for _ in range(rng.randrange(1, 4))]
    for ids_of_row in ids:
        ids_of_row[1] = 1  # one ordinary token at least; 0 is special
    ordinary = torch.tensor([False, True, True, True, True, False])
    return torch.tensor(ids), ordinary, 5, torch.Generator().manual_seed(rng.randrange(100))


def bound_loss(rng):
    rows, length = rng.randrange(1, 4), rng.randrange(1, 5)
    blanks = torch.tensor([[rng.random() < 0.5 for _ in range(length)] for _ in range(rows)])
    blanks[:, 0] = True
    lengths = torch.tensor([rng.randrange(length, length + 3) for _ in range(rows)])
    return normals(rng, rows, length).abs().requires_grad_(), blanks, lengths


def unmask_step(rng):
    length, words = rng.randrange(1, 5), rng.randrange(2, 5)
    tokens = torch.tensor([rng.choice((words, rng.randrange(words))) for _ in range(length)])
    tokens[rng.randrange(length)] = words
    log_p = normals(rng, length, words).log_softmax(-1)
    return tokens, log_p, words, torch.Generator().manual_seed(rng.randrange(100))


def guided(rng):
    words, classes = rng.randrange(1, 5), rng.choice((2, 3))
    p_class = tensor([row(rng, classes) for _ in range(words)]) + 0.01
    p_class = p_class / p_class.sum(1, keepdim=True)
    return tensor(row(rng, words)), p_class, rng.randrange(classes)


INPUTS: dict[str, Callable[[random.Random], tuple]] = {
    "check_reached": reach, "check_posterior": posterior, "check_entropy_given_both": language,
    "check_mask_tokens": masking,
    "check_find_faults": faults, "check_bayes_rule": bayes,
    "check_kl_divergence": divergence, "check_copy_or_doubt": copy_or_doubt,
    "check_word_posterior": sentence_with_a_blank, "check_pair": pair,
    "check_calibration_error": calibration,
    "check_mlm_head": head, "check_pseudo_likelihood": pseudo,
    "check_unigram_loss": unigram, "check_rate_factor": rate,
    "check_diagnose": diagnose, "check_mean_pool": pool, "check_first_labels": first_labels,
    "check_f1": f1, "check_log_count_ratios": ratios, "check_head_gradients": head_gradients,
    "check_joint_step": step,
    "check_decaying_weight": decaying, "check_uncertainty_loss": uncertainty,
    "check_honest_score": score, "check_prediction_interval": interval,
    "check_bootstrap": bootstrap, "check_fair_gain": duel, "check_cosine": gradients,
    "check_holm": p_values,
    "check_leaks": leaks, "check_whole_loss": whole,
    "check_embed": embed, "check_attention": attention, "check_heads": in_heads,
    "check_layer": one_layer, "check_encoder": whole_encoder, "check_bound": counts_of_blanks,
    "check_uniform_mask": uniform_mask, "check_bound_loss": bound_loss,
    "check_unmask_step": unmask_step, "check_guided_step": guided,
}  # fmt: skip
