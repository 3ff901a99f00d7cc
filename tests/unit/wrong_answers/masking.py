"""Wrong and unusual right answers, notebook 02; the wrong ones with what must be said."""

from dataclasses import replace

import torch

from bift_utils.labs.masking import practice_maskers as practice
from bift_utils.masking import zoo
from bift_utils.masking.tokens import mask_tokens


def masked(shares=(0.8, 0.9), draw="ordinary", rows=True, seeded=True, labels=None, rate=None):
    """Build wrong maskers from one right one; each option spoils one thing."""

    def function(ids, config, generator):
        generator = generator if seeded else None
        shape = ids.shape if rows else ids.shape[1:]
        u = torch.rand(shape, generator=generator).expand(ids.shape)
        u = u / (rate or config.mlm_probability)
        selected = (u < 1) & config.ordinary[ids]
        choices = config.ordinary.nonzero()[:, 0]
        if draw == "any":
            drawn = torch.randint(len(config.ordinary), ids.shape, generator=generator)
        elif draw == "one":
            drawn = choices[torch.randint(len(choices), (1,), generator=generator)].expand_as(ids)
        else:
            drawn = torch.randint(len(choices), ids.shape, generator=generator)
            drawn = drawn if draw == "place" else choices[drawn]
        corrupted = torch.where(selected & (u < shares[1]), drawn, ids)
        corrupted = corrupted.masked_fill(selected & (u < shares[0]), config.mask_token_id)
        asked = selected & (corrupted != ids) if labels == "changed" else selected
        asked = corrupted == config.mask_token_id if labels == "hidden" else asked
        source = corrupted if labels == "corrupted" else ids
        return corrupted, source.masked_fill(~asked, -100)

    return function


def find_faults(shares=True, tolerance=6.0, clone=True, drawn=True, unasked=True, both=True):
    """Build wrong tests for the zoo from a right one; each option leaves one thing out."""

    def function(masker, ids, config, generator):
        clean, faults = ids.clone() if clone else ids, set()
        corrupted, labels = masker(ids, config, generator)
        selected = labels != -100
        if selected.all():
            return {zoo.ASKS_ALL}
        if not torch.equal(ids, clean):
            faults.add(zoo.IN_PLACE)
        if not config.ordinary[clean[selected]].all():
            faults.add(zoo.HIDES_SPECIALS)
        if unasked and not torch.equal(corrupted[~selected], clean[~selected]):
            faults.add(zoo.CHANGES_OTHERS)
        as_mask, kept = (
            selected & (corrupted == config.mask_token_id),
            selected & (corrupted == clean),
        )
        if drawn and not config.ordinary[corrupted[selected & ~as_mask & ~kept]].all():
            faults.add(zoo.DRAWS_SPECIALS)
        n = int(selected.sum())
        for hits, p in ((as_mask, 0.8), (kept, 0.1))[: 2 if both else 1]:
            if shares and abs(int(hits.sum()) - n * p) > tolerance * (n * p * (1 - p)) ** 0.5:
                faults.add(zoo.WRONG_SHARES)
        return faults

    return function


def spoiled(how):
    """Build maskers whose counts are right, and whose draws hang together."""

    def function(ids, config, generator):
        def rand(*shape):
            return torch.rand(*shape, generator=generator)

        rows, length = ids.shape
        ordinary = config.ordinary[ids]
        choices = config.ordinary.nonzero()[:, 0]
        coin = rand(rows, 1) if how == "whole rows" else rand(rows, length)
        if how == "spans":  # two neighbours share a coin
            coin = coin[:, ::2].repeat_interleave(2, 1)[:, :length]
        selected = (coin < config.mlm_probability) & ordinary
        u = rand(rows, length)
        u = rand(rows, 1).expand_as(ids) if how == "a coin a row" else u
        u = rand(1, length).expand_as(ids) if how == "a coin a column" else u
        size = {"an id a row": (rows, 1), "an id a column": (1, length)}.get(how, (rows, length))
        first, last = {"first half": (0, 500), "never the last": (0, 999)}.get(how, (0, 1000))
        drawn = choices[torch.randint(first, last, size, generator=generator)].expand_as(ids)
        if how == "left neighbour":
            drawn = torch.where(config.ordinary[ids.roll(1, 1)], ids.roll(1, 1), drawn)
        if how == "from the batch":
            known = ids[ordinary]
            drawn = known[torch.randint(len(known), ids.shape, generator=generator)]
        if how == "left neighbour, at times":
            known = config.ordinary[ids.roll(1, 1)] & (rand(rows, length) < 0.05)
            drawn = torch.where(known, ids.roll(1, 1), drawn)
        corrupted = torch.where(selected & (u < 0.9), drawn, ids)
        corrupted = corrupted.masked_fill(selected & (u < 0.8), config.mask_token_id)
        return corrupted, ids.masked_fill(~selected, -100)

    return function


def floor_count(ids, config, generator):
    """Select a fixed number a row, rounded down: correct as well."""
    ordinary = config.ordinary[ids]
    lots = torch.rand(ids.shape, generator=generator).masked_fill(~ordinary, 2.0)
    count = (config.mlm_probability * ordinary.sum(-1, keepdim=True)).floor()
    selected = lots.argsort(-1).argsort(-1) < count
    rest, _ = masked()(ids, replace(config, mlm_probability=0.999999), generator)
    corrupted = torch.where(selected, rest, ids)
    return corrupted, ids.masked_fill(~selected, -100)


def over_the_batch(ids, config, generator):
    """Select a fixed number in the whole batch, and count the outcomes out too."""
    places = config.ordinary[ids].flatten().nonzero()[:, 0]
    chosen = places[torch.randperm(len(places), generator=generator)]
    chosen = chosen[: round(config.mlm_probability * len(places))]
    first, second = round(0.8 * len(chosen)), round(0.9 * len(chosen))
    corrupted, labels = ids.flatten().clone(), torch.full_like(ids, -100).flatten()
    labels[chosen] = corrupted[chosen]
    corrupted[chosen[:first]] = config.mask_token_id
    choices = config.ordinary.nonzero()[:, 0]
    drawn = torch.randint(len(choices), (second - first,), generator=generator)
    corrupted[chosen[first:second]] = choices[drawn]
    return corrupted.reshape(ids.shape), labels.reshape(ids.shape)


RIGHT_MASKERS = [
    mask_tokens, zoo.fixed_count, floor_count, practice.never_the_original, over_the_batch,
]  # fmt: skip


def accuses_too(*given):
    found = find_faults()(*given)
    return found | {zoo.CHANGES_OTHERS} if found and zoo.ASKS_ALL not in found else found


def kept_only(*given):
    found = find_faults()(*given)
    masker, ids, config, generator = given
    corrupted, labels = masker(ids.clone(), config, generator)
    selected = labels != -100
    n, kept = int(selected.sum()), int((selected & (corrupted == ids)).sum())
    right = abs(kept - 0.1 * n) < 6 * (0.09 * n) ** 0.5
    return found - {zoo.WRONG_SHARES} if right else found


def not_alone(masker, ids, config, generator):
    found = find_faults()(masker, ids, config, generator)
    return found | {zoo.HIDES_SPECIALS} if zoo.ASKS_ALL in found else found


WRONG = [
    ("mask_tokens", lambda ids, c, g: None, "Is a `return` missing"),
    ("mask_tokens", lambda ids, c, g: ids, "Expected two values"),
    ("mask_tokens", lambda ids, c, g: (ids, ids[0]), "tensor of the shape of input_ids"),
    ("mask_tokens", zoo.from_the_article, "changed input_ids"),
    ("mask_tokens", zoo.labels_everywhere, "Every position has a label"),
    ("mask_tokens", lambda ids, c, g: (ids.clone(), torch.full_like(ids, -100)), "Nothing was sel"),
    ("mask_tokens", zoo.only_padding_spared, "Special tokens were selected"),
    ("mask_tokens", zoo.mask_on_top, "token without a label was changed"),
    ("mask_tokens", masked(draw="any"), "instead of the whole vocabulary"),
    ("mask_tokens", masked(draw="place"), "list of ordinary ids is not an id"),
    ("mask_tokens", masked(labels="corrupted"), "label is not the original"),
    ("mask_tokens", masked(labels="changed"), "leave out the kept tokens"),
    ("mask_tokens", masked(labels="hidden"), "Only .MASK. has a label"),
    ("mask_tokens", masked(rate=0.15), "config.mlm_probability, 0.9 here"),
    ("mask_tokens", masked(seeded=False), "generator=generator"),
    ("mask_tokens", lambda ids, c, g: masked()(ids, c, torch.Generator().manual_seed(1)),
     "Two seeds gave the same"),
    ("mask_tokens", masked(rate=0.2), "20.0 % of the tokens were selected"),
    ("mask_tokens", masked(shares=(0.81, 0.91)), "two separate coins"),
    ("mask_tokens", masked(shares=(0.8, 0.82)), "A tenth .of the rest."),
    ("mask_tokens", masked(shares=(1.0, 1.0)), "Every selected token became"),
    ("mask_tokens", masked(shares=(0.9, 0.91)), "written over the random tokens"),
    ("mask_tokens", masked(shares=(0.8, 1.0)), "No token is kept"),
    ("mask_tokens", masked(shares=(0.8, 0.8)), "No random token was written"),
    ("mask_tokens", masked(shares=(0.5, 0.75)), "Cut the range below the rate"),
    ("mask_tokens", masked(rows=False), "the same in every row"),
    ("mask_tokens", masked(draw="one"), "One id was drawn"),
    ("find_faults", lambda m, i, c, g: None, "Is a `return` missing"),
    ("find_faults", lambda m, i, c, g: zoo.WRONG_SHARES, "Expected a set of names"),
    ("find_faults", lambda m, i, c, g: {"bad"}, "Expected a set of names"),
    ("find_faults", lambda m, i, c, g: set(), "Is every label different"),
    ("find_faults", find_faults(tolerance=0.1), "False alarm"),
    ("find_faults", find_faults(tolerance=1.96), "off by 4.5 standard errors"),
    ("find_faults", find_faults(tolerance=4.0), "off by 4.5 standard errors"),
    ("find_faults", find_faults(tolerance=9.0), "seven and a half standard errors"),
    ("find_faults", find_faults(clone=False), "Keep a clone of input_ids"),
    ("find_faults", find_faults(unasked=False), "where the label is −100"),
    ("find_faults", find_faults(drawn=False), "neither .MASK. nor the original"),
    ("find_faults", find_faults(shares=False), "count the three outcomes"),
    ("find_faults", find_faults(both=False), "80/2/18"),
    ("find_faults", find_faults(tolerance=30.0), "81/10/9"),
    ("find_faults", lambda *a: find_faults()(*a) - {zoo.HIDES_SPECIALS}, "what has a label"),
    ("find_faults", accuses_too, "is also accused of"),
    ("find_faults", lambda *a: {zoo.IN_PLACE} & find_faults()(*a) or find_faults()(*a),
     "its faults are"),
    ("mask_tokens", lambda ids, c, g: masked()(ids, c, g)[::-1], "The two are swapped"),
    ("mask_tokens", lambda ids, c, g: (masked()(ids, c, g)[0].float(), masked()(ids, c, g)[1]),
     "as torch.int64, like the input, got torch.float32"),
    ("mask_tokens", spoiled("whole rows"), "whole rows, or one coin for a row"),
    ("mask_tokens", spoiled("spans"), "not in spans"),
    ("mask_tokens", spoiled("a coin a row"), "tokens of a row hangs together"),
    ("mask_tokens", spoiled("a coin a column"), "tokens of a column hangs together"),
    ("mask_tokens", spoiled("an id a row"), "new token for each position"),
    ("mask_tokens", spoiled("an id a column"), "new token for each position"),
    ("mask_tokens", spoiled("first half"), "every ordinary id with the same chance"),
    ("mask_tokens", spoiled("never the last"), r"another 0 times \(1004\)"),
    ("mask_tokens", spoiled("left neighbour"), "whatever the text holds"),
    ("mask_tokens", spoiled("from the batch"), "whatever the text holds"),
    ("mask_tokens", spoiled("left neighbour, at times"), "equal their left neighbour|One id was"),
    ("find_faults", kept_only, "It is 85/5/10"),
    ("find_faults", not_alone, "alone and at once"),
]  # fmt: skip

RIGHT = [  # unusual, and right
    *(("mask_tokens", masker) for masker in RIGHT_MASKERS),
    ("mask_tokens", lambda ids, c, g: list(masked()(ids, c, g))),
    ("find_faults", lambda *a: sorted(find_faults()(*a))),
    ("find_faults", lambda *a: frozenset(find_faults()(*a))),
    ("find_faults", lambda *a: tuple(find_faults(tolerance=6.5)(*a))),
    ("find_faults", lambda m, i, c, g: find_faults()(m, i.clone(), c, g)),
]  # fmt: skip
