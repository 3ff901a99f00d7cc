"""Answers to the exercises of notebook 01b: wrong ones with what the check must say, and right."""

import math

import torch
from torch.nn.functional import gelu, scaled_dot_product_attention
from torch.nn.functional import layer_norm as torch_layer_norm

from bift_utils.labs.encoder_by_hand import encoder


def linear(x, pair):
    return x @ pair[0].T + pair[1]


def norm(x, pair, epsilon=1e-12, correction=0, axis=-1, outside=False):
    mean = x.mean(axis, keepdim=True)
    variance = x.var(axis, correction=correction, keepdim=True)
    spread = variance.sqrt() + epsilon if outside else (variance + epsilon).sqrt()
    return (x - mean) / spread * pair[0] + pair[1]


# --- 01b.1 ---


def embed(ids, words, positions, segments, pair, **options):
    return norm(words[ids] + positions[: ids.shape[1]] + segments[0], pair, **options)


def embed_edits(ids, words, positions, segments, pair):
    total = positions[: ids.shape[1]]
    total += segments[0]
    return norm(words[ids] + total, pair)


def embed_by_loop(ids, words, positions, segments, pair):
    rows = []
    for row in ids.tolist():
        vectors = [words[word] + positions[i] + segments[0] for i, word in enumerate(row)]
        rows.append(torch.stack(vectors))
    total = torch.stack(rows)
    return torch_layer_norm(total, total.shape[-1:], *pair, eps=1e-12)


def embed_by_one_hot(ids, words, positions, segments, pair):
    picked = torch.nn.functional.one_hot(ids, len(words)).to(words.dtype) @ words
    places = positions[torch.arange(ids.shape[1])].expand_as(picked)
    kinds = segments[torch.zeros_like(ids)]
    total = picked + places + kinds
    centred = total - total.mean(-1, keepdim=True)
    return centred * (centred.pow(2).mean(-1, keepdim=True) + 1e-12).rsqrt() * pair[0] + pair[1]


def embed_by_modules(ids, words, positions, segments, pair):
    module = torch.nn.LayerNorm(words.shape[1], eps=1e-12, dtype=words.dtype)
    module.weight = torch.nn.Parameter(pair[0])
    module.bias = torch.nn.Parameter(pair[1])
    table = torch.nn.Embedding.from_pretrained(words)
    return module(table(ids) + positions[None, : ids.shape[1]] + segments[:1])


def embed_in_float32(ids, words, positions, segments, pair):
    tables = [table.float() for table in (words, positions, segments)]
    return embed(ids, *tables, tuple(part.float() for part in pair))


# --- 01b.2 ---


def attention(q, k, v, mask, scale=None, axis=-1, hide=-math.inf, where="keys"):
    scores = q @ k.transpose(1, 2) * (q.shape[-1] ** -0.5 if scale is None else scale)
    padding = mask[:, None, :] == 0 if where == "keys" else mask[:, :, None] == 0
    return scores.masked_fill(padding, hide).softmax(axis) @ v


def attention_after(q, k, v, mask):
    shares = (q @ k.transpose(1, 2) / q.shape[-1] ** 0.5).softmax(-1)
    return (shares * mask[:, None, :]) @ v


def attention_before(q, k, v, mask):
    return (q @ k.transpose(1, 2) / q.shape[-1] ** 0.5 * mask[:, None, :]).softmax(-1) @ v


def attention_added(q, k, v, mask):
    return (q @ k.transpose(1, 2) / q.shape[-1] ** 0.5 + mask[:, None, :]).softmax(-1) @ v


def attention_both(q, k, v, mask):
    scores = q @ k.transpose(1, 2) / q.shape[-1] ** 0.5
    seen = mask[:, None, :] * mask[:, :, None]
    return scores.masked_fill(seen == 0, -math.inf).softmax(-1) @ v


def attention_shares(q, k, v, mask):
    return attention(q, k, torch.eye(q.shape[1], dtype=q.dtype).expand(len(q), -1, -1), mask)


def attention_with_finite_numbers(q, k, v, mask):
    scores = torch.einsum("bid,bjd->bij", q, k) / math.sqrt(q.size(-1))
    scores = scores + (1.0 - mask[:, None, :].to(scores.dtype)) * -1e9
    return torch.einsum("bij,bjd->bid", torch.softmax(scores, dim=2), v)


def attention_by_library(q, k, v, mask):
    return scaled_dot_product_attention(q, k, v, attn_mask=mask[:, None, :].bool())


def attention_divided_again(q, k, v, mask):
    shares = (q @ k.mT / q.shape[-1] ** 0.5).exp() * mask[:, None, :]
    return shares / shares.sum(-1, keepdim=True) @ v


def attention_by_loop(q, k, v, mask):
    rows = []
    for i in range(len(q)):
        real = int(mask[i].sum())
        scores = q[i] @ k[i, :real].T / q.shape[-1] ** 0.5
        rows.append(scores.softmax(-1) @ v[i, :real])
    return torch.stack(rows)


def attention_zero_at_padding(q, k, v, mask):
    return attention(q, k, v, mask) * mask[:, :, None]


# --- 01b.3 ---


def heads(x, mask, w, count, order="view", scale=None, names=("query", "key", "value"), mix=True):
    rows, length, width = x.shape
    size = width // count

    def split(name):
        y = linear(x, w[name])
        if order == "wrong view":
            return y.reshape(rows, count, length, size)
        if order == "dealt":
            return y.view(rows, length, size, count).permute(0, 3, 1, 2)
        return y.view(rows, length, count, size).transpose(1, 2)

    q, k, v = (split(name) for name in names)
    scores = q @ k.transpose(-1, -2) * (size**-0.5 if scale is None else scale)
    found = scores.masked_fill(mask[:, None, None, :] == 0, -math.inf).softmax(-1) @ v
    if order == "dealt":
        found = found.permute(0, 2, 3, 1).reshape(rows, length, width)
    elif order == "not back":
        found = found.reshape(rows, length, width)
    elif order == "stacked":
        return found
    elif order == "averaged":
        return found.mean(1)
    else:
        found = found.transpose(1, 2).reshape(rows, length, width)
    return linear(found, w["mix"]) if mix else found


def heads_across(x, mask, w, count):
    q, k, v = (linear(x, w[n]).view(*x.shape[:2], count, -1) for n in ("query", "key", "value"))
    shares = (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).softmax(-1)
    return linear((shares @ v).reshape(x.shape), w["mix"])


def heads_unturned(x, mask, w, count):
    turned = {name: (weight.T, bias) for name, (weight, bias) in w.items()}
    return heads(x, mask, turned, count)


def heads_without_biases(x, mask, w, count):
    bare = {name: (weight, 0 * bias) for name, (weight, bias) in w.items() if name != "mix"}
    return heads(x, mask, {**bare, "mix": w["mix"]}, count)


def heads_view_after_transpose(x, mask, w, count):
    found = heads(x, mask, w, count, order="stacked")
    return linear(found.transpose(1, 2).view(x.shape), w["mix"])


def heads_by_slices(x, mask, w, count):
    q, k, v = (linear(x, w[name]) for name in ("query", "key", "value"))
    size = x.shape[-1] // count
    found = []
    for h in range(count):
        part = slice(h * size, (h + 1) * size)
        found.append(attention(q[..., part], k[..., part], v[..., part], mask))
    return linear(torch.cat(found, -1), w["mix"])


def heads_added_up(x, mask, w, count):
    """Project each head's finding alone and add up: the same, by the rule of block matrices."""
    q, k, v = (linear(x, w[name]).chunk(count, -1) for name in ("query", "key", "value"))
    total = w["mix"][1]
    for h, columns in enumerate(w["mix"][0].chunk(count, 1)):
        total = total + attention(q[h], k[h], v[h], mask) @ columns.T
    return total


def heads_as_rows(x, mask, w, count):
    """Make each head a row of a larger batch."""
    rows, length, width = x.shape

    def split(name):
        y = linear(x, w[name]).view(rows, length, count, width // count)
        return y.transpose(1, 2).reshape(rows * count, length, -1)

    found = attention(*map(split, ("query", "key", "value")), mask.repeat_interleave(count, 0))
    found = found.view(rows, count, length, -1).transpose(1, 2).reshape(rows, length, width)
    return linear(found, w["mix"])


def heads_by_library(x, mask, w, count):
    def split(name):
        return linear(x, w[name]).unflatten(-1, (count, -1)).movedim(2, 1)

    found = scaled_dot_product_attention(
        split("query"), split("key"), split("value"), attn_mask=mask[:, None, None, :].bool()
    )
    return torch.nn.functional.linear(found.movedim(1, 2).flatten(2), *w["mix"])


# --- 01b.4 ---


def layer(x, attention, w, bend=gelu, first=True, second=True, **options):
    h = norm(attention(x) + (x if first else 0), w["norm1"], **options)
    out = linear(bend(linear(h, w["up"])), w["down"])
    return norm(out + (h if second else 0), w["norm2"], **options)


def layer_before(x, attention, w):
    x = x + attention(norm(x, w["norm1"]))
    return x + linear(gelu(linear(norm(x, w["norm2"]), w["up"])), w["down"])


def layer_inside(x, attention, w):
    x = x + norm(attention(x), w["norm1"])
    return x + norm(linear(gelu(linear(x, w["up"])), w["down"]), w["norm2"])


def layer_first_input(x, attention, w):
    h = norm(x + attention(x), w["norm1"])
    return norm(x + linear(gelu(linear(h, w["up"])), w["down"]), w["norm2"])


def layer_one_norm(x, attention, w):
    h = x + attention(x)
    return norm(h + linear(gelu(linear(h, w["up"])), w["down"]), w["norm2"])


def layer_without_down(x, attention, w):
    return gelu(linear(norm(x + attention(x), w["norm1"]), w["up"]))


def layer_swapped(x, attention, w):
    return layer(x, attention, {**w, "norm1": w["norm2"], "norm2": w["norm1"]})


def layer_edits(x, attention, w):
    x += attention(x)
    h = norm(x, w["norm1"])
    return norm(h + linear(gelu(linear(h, w["up"])), w["down"]), w["norm2"])


def layer_by_library(x, attention, w):
    def by_torch(y, pair):
        return torch_layer_norm(y, y.shape[-1:], *pair, 1e-12)

    h = by_torch(x + attention(x), w["norm1"])
    wide = torch.nn.functional.linear(h, *w["up"])
    return by_torch(torch.nn.functional.linear(torch.nn.GELU()(wide), *w["down"]) + h, w["norm2"])


def layer_by_erf(x, attention, w):
    """GELU as its definition has it: x · Φ(x)."""
    return layer(x, attention, w, bend=lambda y: y * (1 + torch.erf(y / math.sqrt(2))) / 2)


def layer_token_by_token(x, attention, w):
    h = norm(x + attention(x), w["norm1"])
    tokens = []
    for i in range(x.shape[1]):
        one = h[:, i]
        tokens.append(norm(one + linear(gelu(linear(one, w["up"])), w["down"]), w["norm2"]))
    return torch.stack(tokens, 1)


def layer_from_the_package(x, attention, w):
    h = encoder.layer_norm(x + attention(x), w["norm1"])
    return encoder.layer_norm(h + encoder.feed_forward(h, w), w["norm2"])


# --- 01b.5 ---


def whole(ids, mask, weights, choose=lambda layers: layers, **changes):
    return encoder.encode(ids, mask, {**weights, "layers": choose(weights["layers"]), **changes})


def whole_always_the_embeddings(ids, mask, weights):
    names = ("words", "positions", "segments", "norm")
    start = encoder.embed(ids, *(weights[name] for name in names))
    for w in weights["layers"]:
        result = start + encoder.attend_in_heads(start, mask, w, weights["heads"])
        h = norm(result, w["norm1"])
        result = norm(h + encoder.feed_forward(h, w), w["norm2"])
    return result


def whole_from_the_answers_above(ids, mask, weights):
    names = ("words", "positions", "segments", "norm")
    x = embed_by_one_hot(ids, *(weights[name] for name in names))
    for w in weights["layers"]:
        x = layer(x, lambda y, w=w: heads_by_slices(y, mask, w, weights["heads"]), w)
    return x


def whole_row_by_row(ids, mask, weights):
    """Encode each row without its padding: nobody is there to be hidden."""
    out = torch.zeros(*ids.shape, weights["words"].shape[1], dtype=weights["words"].dtype)
    for i, length in enumerate(mask.sum(1).tolist()):
        out[i, :length] = whole(ids[i : i + 1, :length], mask[i : i + 1, :length], weights)[0]
    return out


def whole_blank_at_padding(ids, mask, weights):
    return whole(ids, mask, weights) * mask[..., None]


def whole_by_count(ids, mask, weights):
    names = ("words", "positions", "segments", "norm")
    x = embed_by_loop(ids, *(weights[name] for name in names))
    number = 0
    while number < len(weights["layers"]):
        w = weights["layers"][number]
        h = norm(x + heads_added_up(x, mask, w, weights["heads"]), w["norm1"])
        x = norm(h + encoder.feed_forward(h, w), w["norm2"])
        number += 1
    return x


ROOT3 = 3**-0.5  # one over the root of d
WRONG = [
    ("embed", lambda i, w, p, s, n: None, "Is a `return` missing"),
    ("embed", lambda i, w, p, s, n: [1], "object of type list"),
    ("embed", lambda i, w, p, s, n: torch.cat((w[i], p[:4].expand(3, 4, 6), s[0].expand(3, 4, 6)),
                                              -1), "not put side by side"),
    ("embed", lambda i, w, p, s, n: norm(w[i] + p + s[0], n), r"RuntimeError.*positions\[:T"),
    ("embed", lambda i, w, p, s, n: w[i] + p[:4] + s[0], "the sum without LayerNorm"),
    ("embed", lambda i, w, p, s, n: norm(w[i] + p[:4], n), "segment's vector is missing"),
    ("embed", lambda i, w, p, s, n: norm(w[i] + s[0], n), "position's vector is missing"),
    ("embed", lambda i, w, p, s, n: norm(w[i], n), "both missing"),
    ("embed", lambda i, w, p, s, n: norm(w[i] + p[i] + s[0], n), "positions up by the token's id"),
    ("embed", lambda i, w, p, s, n: norm(w[i] + p[1:5] + s[0], n), "count from 0"),
    ("embed", lambda i, w, p, s, n: norm(w[i] + p[:4] + s[1], n), "you took row 1"),
    ("embed", lambda i, w, p, s, n: norm((w[i] + p[:4] + s[0]) / 3, n), "BERT adds them"),
    ("embed", lambda *a: embed(*a, axis=1), "along the tokens"),
    ("embed", lambda *a: embed(*a, axis=(0, 1, 2)), "the whole batch"),
    ("embed", lambda *a: embed(*a, correction=1), r"divides by H − 1"),
    ("embed", lambda *a: embed(*a, epsilon=1e-5), "PyTorch's default; BERT's is 1e-12"),
    ("embed", lambda *a: embed(*a, outside=True), "outside the root"),
    ("embed", lambda i, w, p, s, n: embed(i, w, p, s, (1, 0)), "own weights do nothing"),
    ("embed", lambda i, w, p, s, n: embed(i, w, p, s, n[::-1]), "exchanged"),
    ("embed", embed_edits, "changed its inputs"),
    ("embed", lambda i, w, p, s, n: embed(i, w, p, s, n) + 0.01, "differs from the expected"),
    ("attention", lambda q, k, v, m: None, "Is a `return` missing"),
    ("attention", attention_shares, "shape of the shares"),
    ("attention", lambda q, k, v, m: attention(q, k, v, m, scale=1.0), "scale is missing"),
    ("attention", lambda q, k, v, m: attention(q, k, v, m, scale=1 / 3), "by its square root"),
    ("attention", lambda q, k, v, m: attention(q, k, v, m, scale=5**-0.5), "number of tokens"),
    ("attention", lambda q, k, v, m: attention(q, k, v, m, scale=3**0.5), "multiplied by √d"),
    ("attention", lambda q, k, v, m: attention(q, k, v, m, 1.0) * ROOT3, "after the softmax"),
    ("attention", lambda q, k, v, m: attention(q, k, v, m, axis=1), "columns sum to one"),
    ("attention", lambda q, k, v, m: attention(q, k, v, m, axis=0), "over the rows of the batch"),
    ("attention", lambda q, k, v, m: q @ k.mT * ROOT3 @ v, "softmax is missing"),
    ("attention", lambda q, k, v, m: attention(k, q, v, m), "Query and key are exchanged"),
    ("attention", lambda q, k, v, m: attention(q, k, k, m), "averaged the keys"),
    ("attention", lambda q, k, v, m: attention(q, k, v, torch.ones_like(m)), "Padding is looked"),
    ("attention", lambda q, k, v, m: attention(q, k, v, m, hide=-1e9, where="rows"),
     "blanks the tokens that .look"),
    ("attention", lambda q, k, v, m: attention(q, k, v, m, where="rows"), "There is a NaN"),
    ("attention", attention_both, "There is a NaN"),
    ("attention", attention_after, "after the softmax, so what is left"),
    ("attention", attention_before, "before the softmax. A score of 0"),
    ("attention", attention_added, "added the mask of ones and zeros"),
    ("attention", lambda q, k, v, m: attention(q, k, v, 1 - m, hide=-1e9), "scores|upside down"),
    ("attention", lambda q, k, v, m: attention(q, k, v, m, hide=-10.0), "too near"),
    ("attention", lambda q, k, v, m: attention(q, k, v, m[:1].expand_as(m)),
     "Padding is looked at|first row's mask"),
    ("attention", lambda q, k, v, m: (q @ k).softmax(-1) @ v, "raised RuntimeError.*transpose"),
    ("heads", lambda x, m, w, n: None, "Is a `return` missing"),
    ("heads", lambda *a: heads(*a, mix=False), "output projection is missing"),
    ("heads", lambda *a: heads(*a, order="wrong view"), "cuts the batch in the wrong places"),
    ("heads", lambda *a: heads(*a, order="not back"), "way back is wrong"),
    ("heads", lambda *a: heads(*a, order="dealt"), "dealt the numbers out"),
    ("heads", lambda *a: heads(*a, order="stacked"), "Put the heads side by side again"),
    ("heads", lambda *a: heads(*a, order="averaged"), "neither added nor averaged"),
    ("heads", lambda *a: heads(*a, scale=6**-0.5), "divided by √H"),
    ("heads", lambda x, m, w, n: heads(x, m, w, 1), "one big head"),
    ("heads", heads_across, "look at each other"),
    ("heads", heads_unturned, "multiplied by W instead of Wᵀ"),
    ("heads", heads_without_biases, "biases of query, key and value"),
    ("heads", heads_view_after_transpose, "raised RuntimeError.*use reshape"),
    ("heads", lambda *a: heads(*a, names=("key", "query", "value")), "exchanged"),
    ("heads", lambda *a: heads(*a, names=("query", "key", "key")), "values are your keys"),
    ("heads", lambda *a: heads(*a, names=("query", "query", "query")), "for all three"),
    ("heads", lambda x, m, w, n: heads(x, torch.ones_like(m), w, n), "Padding is looked at"),
    ("heads", lambda x, m, w, n: x + heads(x, m, w, n), "right in a layer"),
    ("layer", lambda x, a, w: None, "Is a `return` missing"),
    ("layer", layer_before, "LayerNorm .before. each part"),
    ("layer", layer_inside, "differs from the expected|before it is added"),
    ("layer", lambda *a: layer(*a, first=False), "first residual is missing"),
    ("layer", lambda *a: layer(*a, second=False), "second residual is missing"),
    ("layer", lambda *a: layer(*a, first=False, second=False), "Both residuals are missing"),
    ("layer", layer_first_input, "second residual adds the layer's own input"),
    ("layer", layer_one_norm, "first LayerNorm is missing"),
    ("layer", layer_swapped, "exchanged"),
    ("layer", lambda *a: layer(*a, bend=lambda y: gelu(y, approximate="tanh")), "approximate GELU"),
    ("layer", lambda *a: layer(*a, bend=torch.relu), "That is ReLU"),
    ("layer", lambda *a: layer(*a, bend=lambda y: y), "two affine maps in a row"),
    ("layer", layer_without_down, "go back to H numbers"),
    ("layer", lambda *a: layer(*a, epsilon=1e-5), "PyTorch's default; BERT's is 1e-12"),
    ("layer", lambda *a: layer(*a, correction=1), "divides by H − 1"),
    ("layer", lambda x, a, w: layer(x, lambda y: 0 * y, w), "attention is missing"),
    ("layer", layer_edits, "changed its inputs"),
    ("encoder", lambda i, m, w: None, "Is a `return` missing"),
    ("encoder", lambda i, m, w: whole(i, m, w, lambda ls: []), "no layer has run"),
    ("encoder", lambda i, m, w: whole(i, m, w, lambda ls: ls[:1]), "Only one layer"),
    ("encoder", whole_always_the_embeddings, "Only the last layer has run"),
    ("encoder", lambda i, m, w: whole(i, m, w, lambda ls: ls[:-1]), "last layer is missing"),
    ("encoder", lambda i, m, w: whole(i, m, w, lambda ls: ls[::-1]), "wrong order"),
    ("encoder", lambda i, m, w: whole(i, m, w, lambda ls: 4 * ls[:1]), "first layer's weights"),
    ("encoder", lambda i, m, w: whole(i, torch.ones_like(m), w), "Padding is looked at"),
    ("encoder", lambda i, m, w: whole(i, m, w, heads=1), "with one head"),
    ("encoder", lambda i, m, w: encoder.encode(i, m, w, without="residuals"), "the residuals"),
    ("encoder", lambda i, m, w: whole(i, m, w) + 0.1, "differs from the expected"),
]  # fmt: skip

RIGHT = [
    ("embed", embed),
    ("embed", embed_by_loop),
    ("embed", embed_by_one_hot),
    ("embed", embed_by_modules),
    ("embed", embed_in_float32),
    ("attention", attention_with_finite_numbers),
    ("attention", attention_by_library),
    ("attention", attention_divided_again),
    ("attention", attention_by_loop),
    ("attention", attention_zero_at_padding),
    ("heads", heads_by_slices),
    ("heads", heads_added_up),
    ("heads", heads_as_rows),
    ("heads", heads_by_library),
    ("layer", layer_by_library),
    ("layer", layer_by_erf),
    ("layer", layer_token_by_token),
    ("layer", layer_from_the_package),
    ("encoder", whole_from_the_answers_above),
    ("encoder", whole_row_by_row),
    ("encoder", whole_blank_at_padding),
    ("encoder", whole_by_count),
]
