"""Wrong and unusual right answers, notebook 06; the wrong ones with what must be said."""

import torch


def early(best, wait_from=0, strict=True, late=0):
    """Build wrong early-stopping answers from one loop."""

    def function(scores, patience):
        kept = waited = 0
        for i, score in enumerate(scores):
            better = score > scores[kept] if strict else score >= scores[kept]
            if i == 0 or better:
                kept, waited = i, wait_from if i == 0 else 0
            else:
                waited += 1
            if waited == patience + late:
                return (i if best == "last" else kept), i
        return (i if best == "last" else kept), len(scores) - 1

    return function


def never_resets(scores, patience):
    kept = waited = 0
    for i, score in enumerate(scores):
        if score > scores[kept]:
            kept = i
        elif i:
            waited += 1
        if waited == patience:
            return kept, i
    return kept, len(scores) - 1


def compares_with_the_one_before(scores, patience):
    kept = waited = 0
    for i, score in enumerate(scores):
        if score > scores[kept]:
            kept = i
        waited = waited + 1 if i and score <= scores[i - 1] else 0
        if waited == patience:
            return kept, i
    return kept, len(scores) - 1


def decay(form="geometric", normal=True, hold=True, steps=-1):
    """Build wrong decaying weights from one rule."""

    def function(update, first, last, decay_updates):
        share = update / (decay_updates + steps)
        share = min(share, 1.0) if hold else share
        gamma = first + share * (last - first)
        if form == "geometric":
            gamma = first * (last / first) ** share
        return gamma / (1 + gamma) if normal else gamma

    return function


def uncertainty(half=0.5, log=0.5, power=1.0, own=True, keep=True):
    """Build wrong uncertainty weights from one rule."""

    def function(mlm, task, log_variances):
        s = log_variances if keep else log_variances.detach()
        weights = half * torch.exp(-power * s)
        loss = weights[0] * mlm + weights[1 if own else 0] * task + log * s.sum()
        return loss, float((weights[0] / weights.sum()).detach())

    return function


def unnormalised(m, t, s):
    loss, _ = uncertainty()(m, t, s)
    return loss, float(torch.exp(-s[0].detach()) / 2)


def detached_weights(m, t, s):
    weights = torch.exp(-s.detach()) / 2
    return weights[0] * m + weights[1] * t + s.sum() / 2, float(weights[0] / weights.sum())


def reordered(y, m):
    rows, blanks = torch.full_like(y, -100), torch.full_like(m, -100)
    return torch.cat([y.flip(0), rows]), torch.cat([blanks, m])


def joint(m, t, w):
    return m if w == 1 else t if w == 0 else w * m + (1 - w) * t


def by_where(m, t, w):
    """Gives the right number, and a gradient of zero where there should be none."""
    zero = torch.zeros(())
    first = torch.where(torch.tensor(w > 0), w * m, zero)
    return first + torch.where(torch.tensor(w < 1), (1 - w) * t, zero)


def drops_small(m, t, w):
    return joint(m, t, 0.0 if w < 0.01 else 1.0 if w > 0.99 else w)


def rows_of(y, m, none=-100):
    rows = torch.cat([y, torch.full_like(y, none)])
    return rows, torch.cat([torch.full_like(m, none), m])


def elsewhere(y, m):
    none = torch.full((len(y),), -100)
    return torch.cat([y, none]), rows_of(y, m)[1]


def begins_at_zero(scores, patience):
    best, highest, waited = 0, 0.0, 0
    for i, score in enumerate(scores):
        if score > highest:
            best, highest, waited = i, score, 0
        else:
            waited += 1
        if waited == patience:
            return best, i
    return best, len(scores) - 1


def looks_back(scores, patience):
    """Stop where the best of the last `patience` is no better than the best before them."""
    for i in range(patience, len(scores)):
        past, recent = scores[: i - patience + 1], scores[i - patience + 1 : i + 1]
        if max(recent) <= max(past):
            return past.index(max(past)), i
    return scores.index(max(scores)), len(scores) - 1


def right_weights(m, t, s):
    weights = 0.5 / s.exp()
    total = weights @ torch.stack([m, t]) + 0.5 * s.sum()
    return total, float((weights[0] / weights.sum()).detach())


def by_softmax(m, t, s):
    total = (m / s[0].exp() + s[0] + t / s[1].exp() + s[1]) / 2
    return [total, (-s.detach()).softmax(0)[0]]


WRONG = [
    ("joint_loss", lambda m, t, w: (1 - w) * m + w * t, "weights are swapped"),
    ("joint_loss", lambda m, t, w: w * m + t, "task loss has lost its weight"),
    ("joint_loss", lambda m, t, w: (w * m + (1 - w) * t) / 2, "sum is halved"),
    ("joint_loss", lambda m, t, w: w * m + (1 - w) * t, r"0 · NaN is NaN"),
    ("joint_loss", lambda m, t, w: t if w == 0 else w * m + (1 - w) * t, "holds for both terms"),
    ("joint_loss", lambda m, t, w: w * torch.nan_to_num(m) + (1 - w) * torch.nan_to_num(t),
     "with a positive weight was hidden"),
    ("joint_rows",
     lambda y, m: (torch.cat([0 * y - 100, y]), torch.cat([m, torch.full_like(m, -100)])),
     "masked rows first"),
    ("joint_loss", lambda m, t, w: None, "Is a `return` missing"),
    ("joint_loss", lambda m, t, w: "4", r"Expected a number, got '4' \(str\)"),
    ("joint_loss", lambda m, t, w: torch.ones(2), r"tensor of shape \(2,\)"),
    ("joint_loss", lambda m, t, w: m.nothing, "Your function raised AttributeError"),
    ("joint_rows", lambda y, m: (torch.cat([y, y]), torch.cat([torch.full_like(m, -100), m])),
     "masked row still has its class label"),
    ("joint_rows", lambda y, m: (torch.cat([y, torch.full_like(y, -100)]), torch.cat([m, m])),
     "clean row still has masked-LM labels"),
    ("joint_rows", lambda y, m: (torch.stack([y, y]), torch.stack([m, m])), "expected shapes"),
    ("joint_rows", lambda y, m: (y.fill_(-100), m), "changed its inputs"),
    ("joint_rows", reordered, "Clean rows come first with their classes"),
    ("joint_rows", lambda y, m: y, "Expected two values"),
    ("early_stopping", lambda s, p: (s.index(max(s)), len(s) - 1), "stopped never sees"),
    ("early_stopping", early("last"), "Keep the best weights, not the last"),
    ("early_stopping", never_resets, "starts again at a new best"),
    ("early_stopping", early("best", strict=False), "equal score is no improvement"),
    ("early_stopping", early("best", late=1), "one evaluation too late"),
    ("early_stopping", lambda s, p: 3, "Expected two values, got int"),
    ("early_stopping", compares_with_the_one_before, "with the evaluation before"),
    ("decaying_weight", decay(normal=False), "That is γ"),
    ("decaying_weight", decay("linear"), "A straight line"),
    ("decaying_weight", decay(hold=False), "where γ stays as it is"),
    ("decaying_weight", decay(steps=0), "One update late"),
    ("decaying_weight", lambda t, a, b, n: decay()(t + 1, a, b, n), "begin at 0"),
    ("decaying_weight", lambda t, a, b, n: 1 - decay()(t, a, b, n), "task's share"),
    ("decaying_weight", lambda t, a, b, n: decay()(t, 0.25, 0.04, 3), "left in your function"),
    ("uncertainty_loss", uncertainty(half=1.0), r"You gave L_MLM \+ L_task"),
    ("uncertainty_loss", uncertainty(log=0.0), "term log σ is missing"),
    ("uncertainty_loss", uncertainty(log=1.0), "twice log σ"),
    ("uncertainty_loss", uncertainty(log=-0.5), "wrong sign"),
    ("uncertainty_loss", uncertainty(power=0.5), "divided by 2σ"),
    ("uncertainty_loss", uncertainty(power=-1.0), "multiplied by σ²"),
    ("uncertainty_loss", uncertainty(keep=False), "gradient that reaches log_variances"),
    ("uncertainty_loss", detached_weights, "Is a part of the answer detached"),
    ("uncertainty_loss", unnormalised, "share of their sum"),
    ("uncertainty_loss", lambda m, t, s: (m + t) / 2, "Expected two values"),
    ("joint_loss", lambda m, t, w: joint(m, t, w).item(), "No gradient flows"),
    ("joint_loss", lambda m, t, w: float(joint(m, t, w)), "No gradient flows"),
    ("joint_loss", lambda m, t, w: joint(m, t, w).detach(), "No gradient flows"),
    ("joint_loss", lambda m, t, w: joint(m.detach(), t, w), "reaches mlm_loss|No gradient"),
    ("joint_loss", lambda m, t, w: joint(m, t.detach(), w), "reaches task_loss is not right"),
    ("joint_loss", lambda m, t, w: joint(m, t.item(), w), "reaches task_loss is not right"),
    ("joint_loss", by_where, "still reaches task_loss; none should"),
    ("joint_loss", drops_small, "A small weight is not zero"),
    ("joint_loss", lambda m, t, w: joint(m, t, w) if w != 0.5 else m + t, "A small weight"),
    ("joint_rows", lambda y, m: [x.tolist() for x in rows_of(y, m)],
     "Expected a tensor .*got list"),
    ("joint_rows", lambda y, m: (rows_of(y, m)[0].float(), rows_of(y, m)[1]),
     "row_labels as torch.int64, like the input, got torch.float32"),
    ("joint_rows", lambda y, m: rows_of(y, m)[::-1], "The two are swapped"),
    ("joint_rows", elsewhere, "made on another device"),
    ("joint_rows", lambda y, m: None, "Is a `return` missing"),
    ("joint_rows", lambda y, m: rows_of(y.clamp(max=1), m), "They part first at .0."),
    ("early_stopping", begins_at_zero, "do not begin with a best of 0.0"),
    ("early_stopping", lambda s, p: early("best")(s, p)[::-1], "The two are swapped"),
    ("early_stopping", lambda s, p: tuple(x + 1 for x in early("best")(s, p)), "counted from 0"),
    ("early_stopping", lambda s, p: (early("best")(s, p)[0], early("best")(s, p)[1] + 1),
     "not the number of them"),
    ("early_stopping", lambda s, p: (max(s), early("best")(s, p)[1]), "That is the score"),
    ("early_stopping", lambda s, p: early("best")(s, max(p - 1, 1)), "one evaluation too early"),
    ("early_stopping", lambda s, p: early("best")(s[::-1], p), "After evaluation 0 the best is"),
    ("early_stopping", lambda s, p: s.sort() or (0, 0), "changed its inputs"),
    ("decaying_weight", lambda t, a, b, n: None, "Is a `return` missing"),
    ("decaying_weight", lambda t, a, b, n: decay()(t, b, a, n), "expected 0.2"),
    ("uncertainty_loss", lambda m, t, s: right_weights(m.detach(), t, s), "reaches mlm_loss"),
    ("uncertainty_loss", lambda m, t, s: right_weights(m, torch.tensor(float(t)), s), "task_loss"),
    ("uncertainty_loss", uncertainty(half=0.25), "halved twice"),
    ("uncertainty_loss", lambda m, t, s: right_weights(m, t, s)[::-1], "return the total first"),
    ("uncertainty_loss", lambda m, t, s: (right_weights(m, t, s)[0], 1 - right_weights(m, t, s)[1]),
     "the task's share"),
]  # fmt: skip

RIGHT = [  # unusual, and right
    ("joint_loss", joint),
    ("joint_loss", lambda m, t, w: sum(a * b for a, b in ((w, m), (1 - w, t)) if a)),
    ("joint_loss", lambda m, t, w: torch.stack(
        [x * y for x, y in ((w, m), (1 - w, t)) if x]).sum()),
    ("joint_loss", lambda m, t, w: joint(m, t, w).reshape(1)),
    ("joint_rows", rows_of),
    ("joint_rows", lambda y, m: list(rows_of(y, m))),
    ("joint_rows", lambda y, m: (torch.hstack([y, 0 * y - 100]), torch.vstack([0 * m - 100, m]))),
    ("joint_rows", lambda y, m: (torch.nn.functional.pad(y, (0, len(y)), value=-100),
                                 torch.nn.functional.pad(m, (0, 0, len(m), 0), value=-100))),
    ("early_stopping", looks_back),
    ("early_stopping", early("best")),
    ("early_stopping", lambda s, p: list(looks_back(s, p))),
    ("early_stopping", lambda s, p: tuple(torch.tensor(early("best")(s, p)))),
    ("decaying_weight", decay()),
    ("decaying_weight", lambda t, a, b, n: torch.tensor(decay()(t, a, b, n), dtype=torch.float64)),
    ("decaying_weight", lambda t, a, b, n: 1 / (
        1 + 1 / (a * (b / a) ** (min(t, n - 1) / (n - 1))))),
    ("decaying_weight", lambda t, a, b, n: torch.sigmoid(torch.lerp(
        torch.tensor(a).log(), torch.tensor(b).log(), min(t / (n - 1), 1.0)))),
    ("uncertainty_loss", right_weights),
    ("uncertainty_loss", by_softmax),
    ("uncertainty_loss", uncertainty()),
    ("uncertainty_loss", lambda m, t, s: (right_weights(m, t, s)[0].reshape(1),
                                          torch.tensor(right_weights(m, t, s)[1]))),
]  # fmt: skip
