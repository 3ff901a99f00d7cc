"""Wrong answers to the exercises of notebook 06, each with what its check must say."""

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


WRONG = [
    ("joint_loss", lambda m, t, w: (1 - w) * m + w * t, "weights are swapped"),
    ("joint_loss", lambda m, t, w: w * m + t, "task loss has lost its weight"),
    ("joint_loss", lambda m, t, w: (w * m + (1 - w) * t) / 2, "sum is halved"),
    ("joint_loss", lambda m, t, w: w * m + (1 - w) * t, r"0 · NaN is NaN"),
    ("joint_loss", lambda m, t, w: t if w == 0 else w * m + (1 - w) * t, "holds for both terms"),
    ("joint_loss", lambda m, t, w: w * torch.nan_to_num(m) + (1 - w) * torch.nan_to_num(t),
     "with weight 0.25 was hidden"),
    ("joint_rows",
     lambda y, m: (torch.cat([0 * y - 100, y]), torch.cat([m, torch.full_like(m, -100)])),
     "masked rows first"),
    ("joint_loss", lambda m, t, w: None, "Is a `return` missing"),
    ("joint_loss", lambda m, t, w: "4", "you gave 4"),
    ("joint_loss", lambda m, t, w: torch.ones(2), r"tensor of shape \(2,\)"),
    ("joint_loss", lambda m, t, w: m.nothing, "Your function raised AttributeError"),
    ("joint_rows", lambda y, m: (torch.cat([y, y]), torch.cat([torch.full_like(m, -100), m])),
     "masked row still has its class label"),
    ("joint_rows", lambda y, m: (torch.cat([y, torch.full_like(y, -100)]), torch.cat([m, m])),
     "clean row still has masked-LM labels"),
    ("joint_rows", lambda y, m: (torch.stack([y, y]), torch.stack([m, m])), "expected shapes"),
    ("joint_rows", lambda y, m: (y.fill_(-100), m), "changed its inputs"),
    ("joint_rows", reordered, "Clean rows come first with their classes"),
    ("joint_rows", lambda y, m: y, "Expected two tensors"),
    ("early_stopping", lambda s, p: (s.index(max(s)), len(s) - 1), "stopped never sees"),
    ("early_stopping", early("last"), "Keep the best weights, not the last"),
    ("early_stopping", never_resets, "starts again at a new best"),
    ("early_stopping", early("best", strict=False), "equal score is no improvement"),
    ("early_stopping", early("best", late=1), "one evaluation too late"),
    ("early_stopping", lambda s, p: 3, "Expected two numbers"),
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
    ("uncertainty_loss", uncertainty(keep=False), "cannot be learnt"),
    ("uncertainty_loss", detached_weights, "Is a part of the total detached"),
    ("uncertainty_loss", unnormalised, "share of their sum"),
    ("uncertainty_loss", lambda m, t, s: (m + t) / 2, "Expected two values"),
]  # fmt: skip
