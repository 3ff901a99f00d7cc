"""What must also hold on a GPU; skipped where there is none. All other unit tests hide it."""

import pytest
import torch
from accelerate.state import AcceleratorState
from own_tables import films, save_tiny_checkpoint, write_table
from safetensors.torch import load_file
from test_resuming import CONFIG, KINDS, Killed, joint, run

from bift_utils.evaluation.flops import FlopMeter
from bift_utils.evaluation.gradients import gradient_cosines
from bift_utils.finetune.run import finetune
from bift_utils.runtime import check_environment, environment_report, get_device
from bift_utils.training.loop import train

HAS_GPU = torch.cuda.is_available()  # asked before it is hidden
pytestmark = pytest.mark.skipif(not HAS_GPU, reason="needs a GPU")
STILL = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
CPU, GPU = False, True


@pytest.fixture
def switch(monkeypatch):
    """Return a function that shows the GPU or hides it; `accelerate` remembers what it saw."""

    def to(gpu: bool) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
        AcceleratorState._reset_state(reset_partial_state=True)

    to(GPU)
    yield to
    to(CPU)


def losses(history) -> torch.Tensor:
    return torch.tensor(history.column("loss")[1] + history.column("loss", "evaluations")[1])


def test_the_machine_is_named_and_checked(switch, capsys):
    assert get_device().type == "cuda"
    assert environment_report()["device"] == torch.cuda.get_device_name()
    check_environment()
    assert "ready" in capsys.readouterr().out


@pytest.mark.parametrize("kind", KINDS)
def test_without_dropout_the_losses_are_those_of_the_cpu(switch, tokenizer, encoded, kind):
    found = {}
    for gpu in (CPU, GPU):
        switch(gpu)
        model, history, _ = run(tokenizer, encoded, *KINDS[kind], **STILL)
        assert {p.device.type for p in model.parameters()} == {"cuda" if gpu else "cpu"}
        found[gpu] = losses(history)
    torch.testing.assert_close(found[GPU], found[CPU], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_a_resumed_run_draws_the_same_dropout(switch, tokenizer, encoded, tmp_path, kind):
    _, unbroken, _ = run(tokenizer, encoded, *KINDS[kind])
    path = tmp_path / "state.pt"
    with pytest.raises(Killed):
        run(tokenizer, encoded, *KINDS[kind], path, kill_after=4)
    _, resumed, _ = run(tokenizer, encoded, *KINDS[kind], path, seed=1)
    torch.testing.assert_close(losses(resumed), losses(unbroken), rtol=1e-4, atol=1e-4)
    _, other, _ = run(tokenizer, encoded, *KINDS[kind], seed=1)
    first = [history.column("loss")[1][:6] for history in (unbroken, other)]
    assert max(abs(a - b) for a, b in zip(*first, strict=True)) > 0.01  # the comparison can fail


def test_training_is_metered_and_its_gradients_compared(switch, tokenizer, encoded):
    model, loader = joint(tokenizer, encoded)
    with FlopMeter(model) as meter:
        train(model, loader, CONFIG)
    assert meter.tokens == 2 * CONFIG.epochs * sum(map(len, encoded.input_ids))
    batch = {name: value.to(get_device()) for name, value in next(iter(loader)).items()}
    assert all(-1 <= cosine <= 1 for cosine in gradient_cosines(model, batch).values())


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_a_table_becomes_a_model_in_single_precision(switch, tokenizer, tmp_path, precision):
    checkpoint = save_tiny_checkpoint(tmp_path / "tiny", tokenizer)
    table = write_table(tmp_path / "own.csv", films(120))
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    finetune(
        table, tmp_path / "model", say=[].append, model=str(checkpoint),
        precision=precision, epochs=3, learning_rate=5e-3, batch_size=8,
    )  # fmt: skip
    weights = load_file(tmp_path / "model" / "model.safetensors")
    assert {value.dtype for value in weights.values()} == {torch.float32}
    assert torch.cuda.max_memory_allocated() > before  # it was there that it was trained
