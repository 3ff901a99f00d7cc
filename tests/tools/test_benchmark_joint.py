"""The parts of `benchmark_joint.py` that can be wrong; speed itself is measured by hand."""

import benchmark_joint
import torch
from benchmark import Ratio

from bift_utils.data.batches import encode_texts
from bift_utils.masking.collators import JointCollator
from bift_utils.runtime import make_generator
from bift_utils.training.loop import training_step


def test_the_trainer_is_given_the_loss_of_the_package(tokenizer, tiny_model, texts, labels):
    collator = JointCollator(tokenizer, make_generator(1), 0.3)
    encoded = encode_texts(tokenizer, texts, labels)
    batch = collator([encoded[i] for i in range(len(encoded))])
    tiny_model.eval()
    theirs = benchmark_joint.JointLoss(tiny_model)(**batch)["loss"]
    assert torch.equal(theirs, training_step(tiny_model, batch, benchmark_joint.WEIGHT)["loss"])


def test_status_and_goals(monkeypatch, capsys):
    for speed, status in ((0.96, 0), (0.94, 1)):
        ratio = Ratio("step", "tokens/s", speed, 1.0, benchmark_joint.GOALS["step"])
        monkeypatch.setattr(benchmark_joint, "COMPARISONS", {"step": lambda *_, r=ratio: [r]})
        assert benchmark_joint.main(["--only", "step"]) == status
    assert capsys.readouterr().out.count("goal") == 2
