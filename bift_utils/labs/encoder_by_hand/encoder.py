"""BERT's encoder in plain lines: embeddings, attention, heads, layers, and any part left out.

Nothing here is a module: every function takes its weights, a dict of pairs, and so the same lines
run with the weights of `bift-mini` or with those of a model that is being trained.

Shapes: B rows, T tokens, H width, d = H / heads, F width inside the feed-forward part.
Source: Vaswani et al. 2017, section 3; Devlin et al. 2019, section 3. Introduced in notebook 01b.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

EPSILON = 1e-12  # BERT's, under the root of LayerNorm
PARTS = ("positions", "attention", "feed-forward", "residuals", "LayerNorm")
LIBRARY_NAMES = {  # our name of a pair in a layer: where `transformers` keeps it
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "mix": "attention.output.dense",
    "norm1": "attention.output.LayerNorm",
    "up": "intermediate.dense",
    "down": "output.dense",
    "norm2": "output.LayerNorm",
}

Pair = tuple[Tensor, Tensor]  # weight and bias, or scale and shift
Layer = Mapping[str, Pair]


def read_weights(bert) -> dict:
    """Return the weights of a `BertModel` under short names; they stay the model's own tensors.

    Args:
        bert: a `transformers.BertModel`.

    Returns:
        `words` (V, H), `positions` (P, H), `segments` (2, H), `norm` (a pair), `layers` (a list of
        dicts, a pair a name, see `LIBRARY_NAMES`), and `heads`, their number in each layer.

    Introduced in notebook 01b.
    """
    embeddings = bert.embeddings
    layers = []
    for module in bert.encoder.layer:
        pairs = {}
        for name, place in LIBRARY_NAMES.items():
            part = module.get_submodule(place)
            pairs[name] = (part.weight, part.bias)
        layers.append(pairs)
    return {
        "words": embeddings.word_embeddings.weight,
        "positions": embeddings.position_embeddings.weight,
        "segments": embeddings.token_type_embeddings.weight,
        "norm": (embeddings.LayerNorm.weight, embeddings.LayerNorm.bias),
        "layers": layers,
        "heads": bert.config.num_attention_heads,
    }


def linear(x: Tensor, pair: Pair) -> Tensor:
    """Return x · Wᵀ + b, (..., out), for x (..., in); W is (out, in), as `nn.Linear` keeps it.

    Introduced in notebook 01b.
    """
    weight, bias = pair
    return x @ weight.T + bias


def layer_norm(x: Tensor, pair: Pair, epsilon: float = EPSILON) -> Tensor:
    """Bring each vector to mean 0 and spread 1, then scale and shift each number: (..., H).

    Source: Ba, Kiros and Hinton 2016, section 3. Introduced in notebook 01b.
    """
    scale, shift = pair
    mean = x.mean(-1, keepdim=True)
    variance = x.var(-1, correction=0, keepdim=True)
    return (x - mean) / (variance + epsilon).sqrt() * scale + shift


def embed(
    input_ids: Tensor, words: Tensor, positions: Tensor, segments: Tensor, norm: Pair
) -> Tensor:
    """Add up a vector for the word, one for the place and one for the segment, then LayerNorm.

    Args:
        input_ids: (B, T).
        words, positions, segments: the tables, (V, H), (P, H) and (2, H).
        norm: scale and shift of LayerNorm, (H,) each.

    Returns:
        (B, T, H); all tokens are in segment 0.

    Introduced in notebook 01b.
    """
    length = input_ids.shape[1]
    total = words[input_ids] + positions[:length] + segments[0]  # (B, T, H)
    return layer_norm(total, norm)


def attend(query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor) -> Tensor:
    """Return for each token the mean of all values, weighted by how well its query fits their keys.

    Args:
        query, key, value: (..., T, d).
        attention_mask: (B, T), 1 for real tokens, 0 for padding, which nobody looks at; B is the
            first dimension of the others.

    Returns:
        (..., T, d).

    Source: Vaswani et al. 2017, equation 1. Introduced in notebook 01b.
    """
    scores = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5  # (..., T, T)
    between = [1] * (scores.dim() - 2)
    padding = attention_mask.view(len(attention_mask), *between, -1) == 0  # (B, …, 1, T)
    weights = scores.masked_fill(padding, -torch.inf).softmax(-1)
    return weights @ value


def attend_in_heads(
    x: Tensor, attention_mask: Tensor, w: Layer, heads: int, silent: int | None = None
) -> Tensor:
    """Let several heads attend, each to its own d numbers of a vector, and mix what they found.

    Args:
        x: (B, T, H).
        attention_mask: (B, T), see `attend`.
        w: the layer's pairs; `query`, `key`, `value` and `mix` are used.
        heads: how many.
        silent: a head whose finding is replaced by zeros, from 0; None for none.

    Returns:
        (B, T, H).

    Introduced in notebook 01b.
    """
    rows, length, width = x.shape

    def split(pair):
        each = linear(x, pair).view(rows, length, heads, width // heads)  # (B, T, heads, d)
        return each.transpose(1, 2)  # (B, heads, T, d)

    found = attend(split(w["query"]), split(w["key"]), split(w["value"]), attention_mask)
    if silent is not None:
        heard = torch.ones(heads, 1, 1, device=x.device)
        heard[silent] = 0.0
        found = found * heard
    side_by_side = found.transpose(1, 2).reshape(rows, length, width)  # (B, T, H)
    return linear(side_by_side, w["mix"])


def feed_forward(x: Tensor, w: Layer) -> Tensor:
    """Send each vector alone through a wider layer with GELU and back, (..., H).

    Introduced in notebook 01b.
    """
    wide = torch.nn.functional.gelu(linear(x, w["up"]))  # (..., F)
    return linear(wide, w["down"])


def encode(
    input_ids: Tensor,
    attention_mask: Tensor,
    weights: Mapping,
    without: str | None = None,
    silent: tuple[int, int] | None = None,
) -> Tensor:
    """Run the whole encoder, with all of its parts or without one of them.

    Args:
        input_ids: (B, T).
        attention_mask: (B, T), 1 for real tokens, 0 for padding.
        weights: as `read_weights` returns them.
        without: one of `PARTS`, taken out wherever it occurs: no position is added, attention or
            the feed-forward part adds nothing, a part's input is not added to its output, or
            vectors pass LayerNorm as they are. None for the whole encoder.
        silent: (layer, head), both from 0, of one head that finds nothing.

    Returns:
        (B, T, H).

    Raises:
        ValueError: there is no such part.

    Introduced in notebook 01b.
    """
    if without is not None and without not in PARTS:
        raise ValueError(f"The part was given as {without!r}; expected one of {PARTS} or None.")

    def add(x, new):
        return new if without == "residuals" else x + new

    def norm(x, pair):
        return x if without == "LayerNorm" else layer_norm(x, pair)

    places = weights["positions"][: input_ids.shape[1]]  # (T, H)
    if without == "positions":
        places = torch.zeros_like(places)
    total = weights["words"][input_ids] + places + weights["segments"][0]  # (B, T, H)
    x = norm(total, weights["norm"])
    for number, w in enumerate(weights["layers"]):
        if without != "attention":
            quiet = silent[1] if silent is not None and silent[0] == number else None
            found = attend_in_heads(x, attention_mask, w, weights["heads"], quiet)
            x = add(x, found)
        x = norm(x, w["norm1"])
        if without != "feed-forward":
            x = add(x, feed_forward(x, w))
        x = norm(x, w["norm2"])
    return x
