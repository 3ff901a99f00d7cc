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
    ("joint_rows", lambda y, m: y, "Expected two tensors"),
    ("early_stopping", lambda s, p: (s.index(max(s)), len(s) - 1), "stopped never sees"),
    ("early_stopping", early("last"), "Keep the best weights, not the last"),
    ("early_stopping", never_resets, "starts again at a new best"),
    ("early_stopping", early("best", strict=False), "equal score is no improvement"),
    ("early_stopping", early("best", late=1), "one evaluation too late"),
    ("early_stopping", lambda s, p: 3, "Expected two numbers"),
]  # fmt: skip
