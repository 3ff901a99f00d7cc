"""Checks of the exercises in notebook 01b: each compares with the encoder in plain lines."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn.functional import gelu, relu

from bift_utils.labs.core.checks import CheckResult, Mistake, run_check
from bift_utils.labs.encoder_by_hand import encoder
from bift_utils.labs.encoder_by_hand.encoder import layer_norm, linear
from bift_utils.models.checkpoints import load_model
from bift_utils.runtime import make_generator

CLOSE = 1e-6  # float64 is given; an answer in float32 passes
TORCH_EPSILON = 1e-5  # what PyTorch's LayerNorm adds unless it is told otherwise


def _copies(value):
    """Return a copy of a tensor, or of a tuple or dict of tensors; of nothing else."""
    if isinstance(value, Tensor):
        return value.clone()
    if isinstance(value, tuple):
        return tuple(map(_copies, value))
    if isinstance(value, dict):
        return {name: _copies(part) for name, part in value.items()}
    return value


def _equal(first, second) -> bool:
    if isinstance(first, Tensor):
        return torch.equal(first, second)
    if isinstance(first, tuple):
        return all(map(_equal, first, second))
    if isinstance(first, dict):
        return all(_equal(first[name], second[name]) for name in first)
    return True


def _call(function: Callable, inputs: tuple, shape: tuple[int, ...], shapes: Mapping) -> Tensor:
    """Call the learner's function on copies; return the answer if it has the right form.

    `shapes` says what a wrong shape comes from; the key "raised" what an error comes from.
    """
    given = tuple(map(_copies, inputs))
    try:
        answer = function(*given)
    except (RuntimeError, IndexError) as error:
        kind = type(error).__name__
        raise Mistake(f"Your function raised {kind}: {error}. {shapes['raised']}") from None
    if answer is None:
        raise Mistake("Your function returned None. Is a `return` missing?")
    if not isinstance(answer, Tensor):
        kind = type(answer).__name__
        raise Mistake(f"Expected one tensor of shape {shape}, got an object of type {kind}.")
    if tuple(answer.shape) != shape:
        cause = shapes.get(tuple(answer.shape), "")
        raise Mistake(f"Expected shape {shape}, got {tuple(answer.shape)}. {cause}".strip())
    if not _equal(inputs, given):
        raise Mistake(
            "Your function changed its inputs, so the next call would see other weights. Write "
            "x = x + y instead of x += y, and do not assign into a table."
        )
    return answer.detach().double()


def _compare(answer: Tensor, expected: Tensor, near_misses: Mapping[str, Tensor], hint: str):
    """Raise the cause of the near miss that the answer equals, or the hint."""

    def same(other: Tensor) -> bool:
        return torch.allclose(answer, other.double(), rtol=CLOSE, atol=CLOSE)

    if same(expected):
        return
    for cause, value in near_misses.items():
        if value.shape == expected.shape and same(value):
            raise Mistake(cause)
    if answer.isnan().any():
        raise Mistake(f"There is a NaN in your answer. {hint}")
    place = int((answer - expected).abs().argmax())
    row = place // expected[0].numel()
    token = place // expected.shape[-1] % expected.shape[1]
    raise Mistake(
        f"Your answer differs from the expected one, most of all in row {row}, token {token} "
        f"(counted from 0). {hint}"
    )


def _random(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=make_generator(71, seed), dtype=torch.float64)


def _pair(out: int, into: int, seed: int, size: float = 1.0) -> tuple[Tensor, Tensor]:
    return size * _random(out, into, seed=seed), size * _random(out, seed=seed + 1)


def _norm_pair(width: int, seed: int, size: float = 1.0) -> tuple[Tensor, Tensor]:
    scale = 1.5 + 0.3 * _random(width, seed=seed)
    return size * scale, size * _random(width, seed=seed + 1)


# --- 01b.1: from ids to vectors ---


def _wrong_norms(total: Tensor, norm: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
    """Return LayerNorm done wrong on the right sum, by cause."""
    scale, shift = norm
    mean = total.mean(-1, keepdim=True)
    centred = total - mean
    variance = total.var(-1, correction=0, keepdim=True)
    normed = centred / (variance + encoder.EPSILON).sqrt()
    sample = total.var(-1, correction=1, keepdim=True) + encoder.EPSILON

    def along(*axes):
        return (total - total.mean(axes, keepdim=True)) / (
            total.var(axes, correction=0, keepdim=True) + encoder.EPSILON
        ).sqrt() * scale + shift

    return {
        "That is the sum without LayerNorm.": total,
        "LayerNorm's own weights do nothing in your answer: multiply by the scale and add the "
        "shift.": normed,
        "The scale is applied, the shift is not.": normed * scale,
        "The shift is applied, the scale is not.": normed + shift,
        "Scale and shift are exchanged: norm is (scale, shift).": normed * shift + scale,
        "The mean is subtracted, but nothing is divided by the spread.": centred * scale + shift,
        "You divided by the spread without subtracting the mean first.": (
            total / (variance + encoder.EPSILON).sqrt() * scale + shift
        ),
        "You divided by the variance; the spread is its square root.": (
            centred / (variance + encoder.EPSILON) * scale + shift
        ),
        "Your variance divides by H − 1, PyTorch's default. LayerNorm divides by H: "
        "correction=0 (or unbiased=False).": centred / sample.sqrt() * scale + shift,
        "You normalised along the tokens, dim=1. LayerNorm treats each token's vector alone: the "
        "last dimension.": along(1),
        "You normalised along the rows of the batch, dim=0. LayerNorm treats each token's vector "
        "alone: the last dimension.": along(0),
        "You took one mean for a whole row. LayerNorm treats each token's vector alone: the last "
        "dimension.": along(1, 2),
        "You took one mean and one spread for the whole batch. LayerNorm treats each token's "
        "vector alone: dim=-1, keepdim=True.": along(0, 1, 2),
        "ε is 1e-5 in your LayerNorm, PyTorch's default; BERT's is 1e-12, and these vectors are "
        "small enough to tell.": layer_norm(total, norm, TORCH_EPSILON),
        "ε is missing, or it stands outside the root. It belongs to the variance: "
        "(variance + ε).sqrt().": centred / variance.sqrt() * scale + shift,
    }


def check_embed(function: Callable) -> CheckResult:
    """Check exercise 01b.1: `function(input_ids, words, positions, segments, norm)` embeds."""
    width, vocabulary, places = 6, 7, 9
    norm = _norm_pair(width, seed=1)
    ids = torch.tensor([[2, 5, 5, 0], [6, 1, 2, 3], [4, 4, 0, 6]])
    shapes = {
        (3, 4, 3 * width): "The three vectors are added, not put side by side.",
        (4, width): "The rows of the batch are gone: words[input_ids] is (B, T, H).",
        "raised": "words[input_ids] is (B, T, H), positions[:T] is (T, H), segments[0] is (H,).",
    }

    def stages(function):
        for size in (1.0, 1e-5):  # so small that ε shows
            words, positions, segments = (
                size * _random(rows, width, seed=seed)
                for rows, seed in ((vocabulary, 3), (places, 4), (2, 5))
            )
            inputs = (ids, words, positions, segments, norm)
            answer = _call(function, inputs, (3, 4, width), shapes)
            token, place, segment = words[ids], positions[:4], segments[0]
            total = token + place + segment  # (B, T, H)
            totals = {
                "The segment's vector is missing: add row 0 of `segments`.": token + place,
                "The position's vector is missing: the first T rows of `positions`.": (
                    token + segment
                ),
                "Position and segment are both missing.": token,
                "All tokens are in segment 0; you took row 1.": token + place + segments[1],
                "You looked positions up by the token's id. The place counts: 0, 1, 2, …": (
                    token + positions[ids] + segment
                ),
                "Your positions begin with 1; they count from 0.": (
                    token + positions[1:5] + segment
                ),
                "You added up both rows of `segments`; all tokens are in segment 0.": (
                    token + place + segments.sum(0)
                ),
                "Each of the three is normalised alone in your answer. Add first, then normalise "
                "once.": layer_norm(token, norm) + layer_norm(place, norm),
            }
            slips = {cause: layer_norm(wrong, norm) for cause, wrong in totals.items()}
            mean = layer_norm(total / 3, norm)
            slips["You averaged the three; BERT adds them. (LayerNorm hides nearly all of the "
                  "difference, but not for vectors this small.)"] = mean  # fmt: skip
            slips.update(_wrong_norms(total, norm))
            hint = "Add the three vectors first; then LayerNorm along the last dimension."
            _compare(answer, layer_norm(total, norm), slips, hint)

    return run_check("01b.1", function, stages)


# --- 01b.2: attention ---

# two rows, of five tokens and of three; padding is last, as everywhere in the series
PADDED = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])


def _weights(scores: Tensor, mask: Tensor) -> Tensor:
    return scores.masked_fill(mask[:, None, :] == 0, -torch.inf).softmax(-1)


def _wrong_scales(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> dict[str, Tensor]:
    """Return attention with a wrong scale, or with the softmax in the wrong place."""
    raw = q @ k.transpose(1, 2)  # (B, T, T)
    size, length = q.shape[-1], q.shape[1]
    scores = raw / size**0.5
    padding = mask[:, None, :] == 0
    turned = scores.masked_fill(padding, -torch.inf).softmax(-2)
    return {
        "The scale is missing: divide the scores by √d before the softmax.": _weights(raw, mask)
        @ v,
        "You divided by d; divide by its square root.": _weights(raw / size, mask) @ v,
        "You divided by the root of the number of tokens; d is the length of one query.": (
            _weights(raw / length**0.5, mask) @ v
        ),
        "You multiplied by √d; divide by it.": _weights(raw * size**0.5, mask) @ v,
        "You divided by √d after the softmax; divide the scores before it.": (
            _weights(raw, mask) @ v / size**0.5
        ),
        "Your softmax runs over the tokens that look, so the columns sum to one. Each token that "
        "looks shares out its own attention: the rows sum to one, softmax(-1).": turned @ v,
        "Your softmax runs over the rows of the batch; it belongs to the last dimension.": (
            scores.masked_fill(padding, -1e9).softmax(0) @ v
        ),
        "The softmax is missing: scores are no shares.": scores.masked_fill(padding, 0.0) @ v,
        "The softmax is missing, and so is the mask.": scores @ v,
        "Query and key are exchanged: row i holds what token i asks, so scores are "
        "query · keyᵀ.": _weights(scores.transpose(1, 2), mask) @ v,
        "You averaged the keys; the values are what is passed on.": _weights(scores, mask) @ k,
        "You averaged the queries; the values are what is passed on.": _weights(scores, mask) @ q,
    }


def _wrong_masks(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> dict[str, Tensor]:
    """Return attention with the mask used wrongly."""
    scores = q @ k.transpose(1, 2) / q.shape[-1] ** 0.5
    free = scores.softmax(-1)  # (B, T, T)
    seen = mask[:, None, :].double()  # (B, 1, T)
    first = mask[:1].expand_as(mask)
    last = mask[-1:].expand_as(mask)
    slips = {
        "Padding is looked at: the mask does not count in your answer.": free @ v,
        "You multiplied the scores by the mask before the softmax. A score of 0 is no “never”: "
        "e⁰ is 1. Put −∞ there.": (scores * seen).softmax(-1) @ v,
        "You multiplied the shares by the mask after the softmax, so what is left does not sum to "
        "one. Put −∞ into the scores before the softmax.": (free * seen) @ v,
        "You added the mask of ones and zeros to the scores. That hardly hides anything: put −∞ "
        "where the mask is 0.": (scores + seen).softmax(-1) @ v,
        "Your mask is upside down: 1 stands for a real token, 0 for padding.": (
            scores.masked_fill(seen == 1, -1e9).softmax(-1) @ v
        ),
        "You used the first row's mask for all rows of the batch.": _weights(scores, first) @ v,
        "You used the last row's mask for all rows of the batch.": _weights(scores, last) @ v,
    }
    for small in (-1.0, -10.0):
        leak = scores.masked_fill(seen == 0, small).softmax(-1) @ v
        added = (scores + small * (1 - seen)).softmax(-1) @ v
        cause = f"{small:g} is too near: some attention leaks to the padding. Use −∞ (or −1e9)."
        slips[cause] = leak
        slips[cause + " "] = added
    return slips


def _real(answer: Tensor, mask: Tensor) -> Tensor:
    """Blank the vectors of padding: nobody reads them, so what stands there is free."""
    return answer.masked_fill(mask[..., None] == 0, 0.0)


def _mask_on_the_rows(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
    """Return attention with the mask on the tokens that look: it shows at padding alone."""
    scores = q @ k.transpose(1, 2) / q.shape[-1] ** 0.5
    return scores.masked_fill(mask[:, :, None] == 0, -1e9).softmax(-1) @ v


def _no_nan(answer: Tensor, mask: Tensor) -> None:
    if answer[mask == 1].isnan().any() or answer[mask == 0].isnan().any():
        raise Mistake(
            "There is a NaN in your answer: a whole row of scores is −∞, and the softmax of that "
            "is 0 / 0. Hide padding only as what is *looked at* (the last dimension)."
        )


def check_attention(function: Callable) -> CheckResult:
    """Check exercise 01b.2: `function(query, key, value, attention_mask)` is attention."""
    size, length = 3, 5
    shapes = {
        (2, length, length): "That has the shape of the shares; multiply them with the values.",
        (length, size): "The rows of the batch are gone.",
        "raised": "query is (B, T, d); key.transpose(1, 2) is (B, d, T), scores are (B, T, T).",
    }

    def stages(function):
        q, k, v = (1.5 * _random(2, length, size, seed=seed) for seed in (11, 12, 13))
        whole = torch.ones_like(PADDED)
        for mask in (whole, PADDED):
            answer = _call(function, (q, k, v, mask), (2, length, size), shapes)
            _no_nan(answer, mask)
            if (mask == 0).any() and torch.allclose(answer, _mask_on_the_rows(q, k, v, mask)):
                raise Mistake(
                    "Your mask hides the padding from nobody: it blanks the tokens that *look*. "
                    "Each row of scores needs −∞ where the token *looked at* is padding: the last "
                    "dimension, attention_mask[:, None, :]."
                )
            expected = encoder.attend(q, k, v, mask)
            slips = {**_wrong_scales(q, k, v, mask), **_wrong_masks(q, k, v, mask)}
            shown = {cause: _real(wrong, mask) for cause, wrong in slips.items()}
            hint = (
                "Scores are query · keyᵀ / √d; −∞ where the token looked at is padding; softmax "
                "along the last dimension; then times the values."
            )
            _compare(_real(answer, mask), _real(expected, mask), shown, hint)

    return run_check("01b.2", function, stages)


# --- 01b.3: several heads ---


def _wrong_heads(x: Tensor, mask: Tensor, w: Mapping, heads: int) -> dict[str, Tensor]:
    """Return wrong ways to split, to put together and to project, by cause."""
    rows, length, width = x.shape
    size = width // heads
    q, k, v = (linear(x, w[name]) for name in ("query", "key", "value"))  # (B, T, H) each

    def split(y):
        return y.view(rows, length, heads, size).transpose(1, 2)  # (B, heads, T, d)

    def join(found):
        return found.transpose(1, 2).reshape(rows, length, width)

    def put(q, k, v, split=split, join=join, mask=mask):
        return join(encoder.attend(split(q), split(k), split(v), mask))

    def dealt(y):
        return y.view(rows, length, size, heads).permute(0, 3, 1, 2)

    def across(y):  # the heads of one token look at each other
        return y.view(rows, length, heads, size)

    right = put(q, k, v)
    scores = across(q) @ across(k).transpose(-1, -2) / size**0.5  # (B, T, heads, heads)
    between_heads = (scores.softmax(-1) @ across(v)).reshape(rows, length, width)
    grown = put(q * heads**-0.5, k, v)  # √H in place of √d
    plain = {name: (w[name][0], torch.zeros_like(w[name][1])) for name in ("query", "key", "value")}
    no_bias = put(*(linear(x, plain[name]) for name in ("query", "key", "value")))
    turned = {name: (w[name][0].T, w[name][1]) for name in w}
    flat = encoder.attend(q, k, v, mask)
    before_mix = {
        "Heads are mixed up: view(B, heads, T, d) cuts the batch in the wrong places. First "
        "view(B, T, heads, d), then transpose(1, 2).": put(
            q, k, v, split=lambda y: y.reshape(rows, heads, length, size)
        ),
        "The way back is wrong: (B, heads, T, d) must become (B, T, heads, d) by transpose(1, 2) "
        "before it is reshaped to (B, T, H).": put(
            q, k, v, join=lambda found: found.reshape(rows, length, width)
        ),
        "Both ways are wrong: with view(B, heads, T, d) and back, a head gets numbers of several "
        "tokens. First view(B, T, heads, d), then transpose(1, 2).": put(
            q, k, v, split=lambda y: y.reshape(rows, heads, length, size),
            join=lambda found: found.reshape(rows, length, width),
        ),
        "You dealt the numbers out in turn, view(B, T, d, heads). A head owns d numbers that "
        "stand side by side: view(B, T, heads, d).": put(
            q, k, v, split=dealt,
            join=lambda found: found.permute(0, 2, 3, 1).reshape(rows, length, width),
        ),
        "In your answer the heads of one token look at each other, and no token at another: "
        "transpose(1, 2) is missing before attention.": between_heads,
        "You divided by √H. Each head has queries of d = H / heads numbers: divide by √d.": grown,
        "That is one big head. Split the vectors into `heads` parts first.": flat,
        "The biases of query, key and value are missing.": no_bias,
        "Padding is looked at: hand attention_mask on.": put(
            q, k, v, mask=torch.ones_like(mask)
        ),
        "Query and key are exchanged.": put(k, q, v),
        "The values are your keys: each of the three has its own pair.": put(q, k, k),
        "You used the query's pair for all three; each has its own.": put(q, q, q),
        "The values are not projected: linear(x, w['value']).": put(q, k, x),
        "The heads stand in the wrong order.": put(
            q, k, v, join=lambda found: join(found.flip(1))
        ),
    }  # fmt: skip
    causes = {cause: linear(found, w["mix"]) for cause, found in before_mix.items()}
    causes["The output projection is missing: what the heads found goes through w['mix']."] = right
    causes["w['mix'] is used without its bias."] = right @ w["mix"][0].T
    causes[
        "The input is added to the output in your answer. That is right in a layer, and the next "
        "exercise; here return what attention found."
    ] = x + linear(right, w["mix"])
    wrong_way = [linear(x, turned[name]) for name in ("query", "key", "value")]
    causes["You multiplied by W instead of Wᵀ. A weight is stored as (out, in): x @ weight.T + "
           "bias."] = linear(put(*wrong_way), turned["mix"])  # fmt: skip
    causes["w['mix'] is stored as (out, in): x @ weight.T + bias."] = linear(right, turned["mix"])
    return causes


def check_heads(function: Callable) -> CheckResult:
    """Check exercise 01b.3: `function(x, attention_mask, w, heads)` is attention in heads."""
    width, length = 6, 5
    w = {name: _pair(width, width, seed=20 + 2 * i)
         for i, name in enumerate(("query", "key", "value", "mix"))}  # fmt: skip

    def stages(function):
        x = 0.7 * _random(2, length, width, seed=31)
        for heads in (2, 3):
            size = width // heads
            shapes = {
                (2, length, size): "The heads' findings stand side by side, H numbers again; they "
                "are neither added nor averaged.",
                (2, heads, length, size): "Put the heads side by side again: transpose(1, 2), "
                "then reshape to (B, T, H).",
                (2, length, heads, size): "Put the heads side by side: reshape to (B, T, H).",
                "raised": "Split (B, T, H) by view(B, T, heads, d) and transpose(1, 2); after a "
                "transpose use reshape, since view needs the old order.",
            }
            inputs = (x, PADDED, w, heads)
            answer = _call(function, inputs, (2, length, width), shapes)
            _no_nan(answer, PADDED)
            expected = encoder.attend_in_heads(x, PADDED, w, heads)
            slips = _wrong_heads(x, PADDED, w, heads)
            shown = {cause: _real(wrong, PADDED) for cause, wrong in slips.items()}
            hint = (
                "Project three times, split each into heads, attend, put the heads side by side, "
                "and send that through w['mix']."
            )
            _compare(_real(answer, PADDED), _real(expected, PADDED), shown, hint)

    return run_check("01b.3", function, stages)


# --- 01b.4: one layer ---


def _wrong_layers(x: Tensor, attention: Callable, w: Mapping) -> dict[str, Tensor]:
    """Return layers with one thing wrong, by cause."""

    def layer(
        add1=True, add2=True, norm1=w["norm1"], norm2=w["norm2"], bend=gelu,
        epsilon=encoder.EPSILON, correction=0, down=w["down"], up=w["up"],
    ):  # fmt: skip
        def norm(y, pair):
            if pair is None:
                return y
            if correction:
                spread = (y.var(-1, correction=1, keepdim=True) + epsilon).sqrt()
                return (y - y.mean(-1, keepdim=True)) / spread * pair[0] + pair[1]
            return layer_norm(y, pair, epsilon)

        h = attention(x)
        h = norm(x + h if add1 else h, norm1)
        f = linear(bend(linear(h, up)), down)
        return norm(h + f if add2 else f, norm2)

    def no_bias(pair):
        return pair[0], torch.zeros_like(pair[1])

    h = layer_norm(x + attention(x), w["norm1"])
    wide = linear(h, w["up"])
    first = x + attention(layer_norm(x, w["norm1"]))
    inner = layer_norm(first, w["norm2"])
    side = layer_norm(x + attention(x), w["norm1"])
    around_x = linear(gelu(linear(x, w["up"])), w["down"])
    alone = layer_norm(x, w["norm1"])
    found = x + layer_norm(attention(x), w["norm1"])
    return {
        "That is LayerNorm *before* each part, as in GPT-2. In BERT it comes after: "
        "norm(x + part(x)).": first + encoder.feed_forward(inner, w),
        "LayerNorm is put on what a part found, before it is added. BERT adds first: "
        "norm(x + part(x)).": found + layer_norm(encoder.feed_forward(found, w), w["norm2"]),
        "The first residual is missing: add x to what attention found.": layer(add1=False),
        "The second residual is missing: add the input of the feed-forward part to its output.": (
            layer(add2=False)
        ),
        "Both residuals are missing: x is added to what each part found.": (
            layer(add1=False, add2=False)
        ),
        "The second residual adds the layer's own input. Add the input of the feed-forward part, "
        "that is, the result of the first LayerNorm.": layer_norm(
            x + encoder.feed_forward(h, w), w["norm2"]
        ),
        "The feed-forward part reads the layer's own input. It reads the result of the first "
        "LayerNorm.": layer_norm(side + around_x, w["norm2"]),
        "The first LayerNorm is missing.": layer(norm1=None),
        "The second LayerNorm is missing.": layer(norm2=None),
        "Both LayerNorms are missing.": layer(norm1=None, norm2=None),
        "norm1 and norm2 are exchanged: norm1 comes after attention.": (
            layer(norm1=w["norm2"], norm2=w["norm1"])
        ),
        "You used norm1 twice.": layer(norm2=w["norm1"]),
        "That is the approximate GELU (by tanh). BERT's is the exact one, "
        "torch.nn.functional.gelu without options.": (
            layer(bend=lambda y: gelu(y, approximate="tanh"))
        ),
        "That is ReLU; BERT bends with GELU.": layer(bend=relu),
        "That is SiLU; BERT bends with GELU.": layer(bend=torch.nn.functional.silu),
        "GELU is missing between up and down: two affine maps in a row are one affine map.": (
            layer(bend=lambda y: y)
        ),
        "GELU comes between up and down, not after down.": layer_norm(
            h + gelu(linear(wide, w["down"])), w["norm2"]
        ),
        "The feed-forward part is missing.": layer_norm(h, w["norm2"]),
        "The attention is missing: call attention(x).": layer_norm(
            alone + encoder.feed_forward(alone, w), w["norm2"]
        ),
        "The bias of `down` is missing.": layer(down=no_bias(w["down"])),
        "The bias of `up` is missing.": layer(up=no_bias(w["up"])),
        "The biases of `up` and `down` are missing.": (
            layer(up=no_bias(w["up"]), down=no_bias(w["down"]))
        ),
        "ε is 1e-5 in your LayerNorm, PyTorch's default; BERT's is 1e-12, and these vectors are "
        "small enough to tell.": layer(epsilon=TORCH_EPSILON),
        "Your variance divides by H − 1, PyTorch's default. LayerNorm divides by H: "
        "correction=0.": layer(correction=1),
    }


def check_layer(function: Callable) -> CheckResult:
    """Check exercise 01b.4: `function(x, attention, w)` is one layer of BERT."""
    width, wide, length = 6, 10, 4

    def stages(function):
        for size in (1.0, 1e-5):  # so small that ε shows
            look = _random(length, length, seed=41)
            w = {
                "norm1": _norm_pair(width, seed=42, size=size),
                "up": _pair(wide, width, seed=44),
                "down": _pair(width, wide, seed=46, size=size),
                "norm2": _norm_pair(width, seed=48),
            }
            x = size * _random(3, length, width, seed=50)

            def attention(y, look=look):
                return torch.tanh(look @ y)  # stands in: every token hears of every other

            shapes = {
                (3, length, wide): "That is the width inside the feed-forward part; go back to H "
                "numbers with `down`.",
                "raised": "linear(x, pair) is x @ weight.T + bias: `up` goes from H to F numbers, "
                "`down` from F to H. attention takes x alone.",
            }
            answer = _call(function, (x, attention, w), (3, length, width), shapes)
            h = layer_norm(x + attention(x), w["norm1"])
            expected = layer_norm(h + encoder.feed_forward(h, w), w["norm2"])
            hint = (
                "Attention, add, norm1; then up, GELU, down, add, norm2. Each part's own input is "
                "what is added."
            )
            _compare(answer, expected, _wrong_layers(x, attention, w), hint)

    return run_check("01b.4", function, stages)


# --- 01b.5: the whole encoder ---


def _wrong_encoders(ids: Tensor, mask: Tensor, weights: Mapping) -> dict[str, Tensor]:
    def with_layers(layers, **changes):
        return encoder.encode(ids, mask, {**weights, "layers": layers, **changes})

    layers = weights["layers"]
    tables = [weights[name] for name in ("words", "positions", "segments", "norm")]
    return {
        "That is the sum of the embeddings: no layer has run.": encoder.embed(ids, *tables),
        "Only one layer has run. Go through all of weights['layers'], each on the result of the "
        "one before.": with_layers(layers[:1]),
        "Only the last layer has run, on the embeddings: each layer takes the result of the one "
        "before.": with_layers(layers[-1:]),
        "The last layer is missing.": with_layers(layers[:-1]),
        "The first layer is missing.": with_layers(layers[1:]),
        "The layers run in the wrong order; the first of the list comes first.": (
            with_layers(layers[::-1])
        ),
        "You used the first layer's weights in every layer.": (
            with_layers([layers[0]] * len(layers))
        ),
        "Padding is looked at: hand attention_mask on to every layer.": (
            encoder.encode(ids, torch.ones_like(mask), weights)
        ),
        "Attention runs with one head; there are weights['heads'].": with_layers(layers, heads=1),
        **{
            f"Something of each layer is missing: the {part}.": (
                encoder.encode(ids, mask, weights, without=part)
            )
            for part in encoder.PARTS
            if part != "positions"
        },
        "The positions are missing.": encoder.encode(ids, mask, weights, without="positions"),
    }


def check_encoder(function: Callable) -> CheckResult:
    """Check exercise 01b.5: `function(input_ids, attention_mask, weights)` is `bift-mini`'s.

    The library's own encoder says what is right, at every token that is not padding.
    """

    def stages(function):
        bert = load_model("bift-mini").bert.double().eval()  # so that only real slips show
        weights = encoder.read_weights(bert)
        ids = torch.randint(5, 8000, (2, 9), generator=make_generator(71, 60))
        mask = torch.ones_like(ids)
        mask[1, 6:] = 0
        with torch.no_grad():
            expected = bert(ids, mask).last_hidden_state
            shapes = {
                "raised": "Begin with the embeddings, (B, T, H); every layer keeps the shape."
            }
            answer = _call(function, (ids, mask, weights), tuple(expected.shape), shapes)
            slips = _wrong_encoders(ids, mask, weights)
        if answer[mask == 1].isnan().any():
            raise Mistake("There is a NaN in your answer. Is padding hidden as in exercise 01b.2?")
        shown = {cause: _real(wrong, mask) for cause, wrong in slips.items()}
        hint = (
            "Embed; then one layer after the other: attention, add, norm1, feed-forward, add, "
            "norm2."
        )
        _compare(_real(answer, mask), _real(expected, mask), shown, hint)

    return run_check("01b.5", function, stages)
