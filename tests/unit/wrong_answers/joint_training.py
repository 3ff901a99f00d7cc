"""Wrong and unusual right answers, notebook 06; the wrong ones with what must be said."""

import torch

STEP = """
def step(model, optimizer, batch, mlm_weight):
    cross_entropy = torch.nn.functional.cross_entropy
    mask = batch["attention_mask"]
    hidden = model.bert(batch["input_ids"], mask).last_hidden_state
    blanks = batch["mlm_labels"] != -100
    clean = batch["labels"] != -100
    mlm_loss = task_loss = torch.tensor(0.0)
    if mlm_weight > 0:
        mlm_loss = cross_entropy(model.cls(hidden[blanks]), batch["mlm_labels"][blanks])
    if mlm_weight < 1:
        means = (hidden * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True)
        task_loss = cross_entropy(model.classifier(means[clean]), batch["labels"][clean])
    loss = mlm_weight * mlm_loss + (1 - mlm_weight) * task_loss
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad()
    return float(loss.detach())
"""


def step(*changes):
    """Return the joint step with some of its text replaced: (old, new) one after the other."""
    source = STEP
    for old, new in changes:
        assert source.count(old) == 1, old
        source = source.replace(old, new)
    space = {"torch": torch}
    exec(source, space)
    return space["step"]


DENSE = 'cross_entropy(model.cls(hidden[blanks]), batch["mlm_labels"][blanks])'
LABELS = 'batch["mlm_labels"]'
RIGHT_STEPS = [
    step(),
    step(
        (DENSE, f"cross_entropy(model.cls(hidden).transpose(1, 2), {LABELS}, ignore_index=-100)")
    ),
    step(
        ("    loss.backward()\n", "    (mlm_weight * mlm_loss + 0 * hidden.sum()).backward("
         "retain_graph=True)\n    ((1 - mlm_weight) * task_loss + 0 * hidden.sum()).backward()\n")
    ),
    step(
        ("    optimizer.zero_grad()\n", ""),
        ("    loss.backward()\n", "    optimizer.zero_grad()\n    loss.backward()\n"),
    ),
    step(("float(loss.detach())", "loss.detach()")),
]  # fmt: skip


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


def right_weights(m, t, s):
    weights = 0.5 / s.exp()
    total = weights @ torch.stack([m, t]) + 0.5 * s.sum()
    return total, float((weights[0] / weights.sum()).detach())


def by_softmax(m, t, s):
    total = (m / s[0].exp() + s[0] + t / s[1].exp() + s[1]) / 2
    return [total, (-s.detach()).softmax(0)[0]]


WRONG = [
    ("joint_step", step(("mlm_weight * mlm_loss + (1 - mlm_weight) * task_loss",
                         "(1 - mlm_weight) * mlm_loss + mlm_weight * task_loss")), "swapped"),
    ("joint_step", step(("mlm_weight * mlm_loss + (1 - mlm_weight) *", "mlm_loss +")),
     "without their weights"),
    ("joint_step", step(("[blanks])\n    if", "[blanks]) * blanks.float().mean()\n    if")),
     "mean over all positions"),
    ("joint_step",
     step((DENSE, f"cross_entropy(model.cls(hidden).transpose(1, 2), {LABELS}.clamp(0))")),
     "−100 is counted"),
    ("joint_step",
     step((DENSE, DENSE.replace("hidden[blanks]", "hidden[:, :-1][blanks[:, 1:]]"))),
     "shifted by one"),
    ("joint_step", step((DENSE, DENSE.replace("hidden[blanks]", "hidden[blanks.roll(3, 0)]"))),
     "reads the clean rows"),
    ("joint_step", step(("means[clean]", "means[~clean]")), "reads the masked rows"),
    ("joint_step", step(("means[clean]", "hidden[clean][:, 0]")), "reads the first token"),
    ("joint_step", step(("means[clean]", "model.bert.pooler(hidden[clean])")), "reads the pooler"),
    ("joint_step", step(("means[clean]", "hidden[clean].mean(1)")), "counts its padding"),
    ("joint_step", step(("batch[\"input_ids\"], mask)", "batch[\"input_ids\"])")),
     "not given attention_mask"),
    ("joint_step", step(("mlm_weight * mlm_loss +", "mlm_weight * mlm_loss.detach() +")),
     "masked-LM loss reaches"),
    ("joint_step", step(("(1 - mlm_weight) * task_loss", "(1 - mlm_weight) * task_loss.item()")),
     "task loss reaches"),
    ("joint_step", step(("    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)\n", "")),
     "not shortened"),
    ("joint_step", step(("    optimizer.zero_grad()\n", "")), "zero_grad is missing"),
    ("joint_step", step(("    optimizer.step()\n", "")), "No weight has changed"),
    ("joint_step", step(("    if mlm_weight > 0:\n    ", "")), "λ = 0 and a batch without a bl"),
    ("joint_step", step(("    if mlm_weight < 1:\n        means", "    if True:\n        means")),
     "λ = 1 and a batch without a class"),
    ("joint_step", step(("    return float(loss.detach())\n", "")), "Is a `return` missing"),
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
    *(("joint_step", right) for right in RIGHT_STEPS),
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
