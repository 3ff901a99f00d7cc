from dataclasses import replace

import pytest
import torch
from tiny import tiny_config

from bift_utils.data.batches import encode_texts, make_loader
from bift_utils.evaluation.metrics import evaluate_sequence
from bift_utils.masking.collators import JointCollator, SequenceCollator
from bift_utils.models.joint import new_model
from bift_utils.models.sharing import share_layers
from bift_utils.runtime import make_generator, set_seed
from bift_utils.training.loop import train
from bift_utils.training.options import TrainingConfig

CONFIG = TrainingConfig(epochs=3, learning_rate=1e-2, evaluations_per_epoch=3)
KINDS = {
    "simultaneous": (CONFIG, None),
    "alternating": (replace(CONFIG, schedule="alternating"), None),
    "finish": (replace(CONFIG, finish_epochs=2, finish_learning_rate=3e-3), None),
    "stopped, then finish": (replace(CONFIG, epochs=9, patience=2, finish_epochs=2), None),
    "nothing shared": (CONFIG, 0),
    "one layer shared": (CONFIG, 1),
}


class Killed(Exception):
    """Stands for a kill: nothing of the run is left but its file."""


def joint(tokenizer, encoded, shared=None, seed=0, **options):
    """Return a model and its loader."""
    set_seed(seed)
    model = share_layers(new_model(tiny_config(tokenizer, **options)), shared)
    collator = JointCollator(tokenizer, make_generator(1), mlm_probability=0.3)
    return model, make_loader(encoded, collator, 8, seed=0)


def run(tokenizer, encoded, config, shared, path=None, kill_after=None, seed=0, **options):
    model, loader = joint(tokenizer, encoded, shared, seed, **options)
    plain = list(make_loader(encoded, SequenceCollator(tokenizer), 8, shuffle=False))
    calls = []

    def evaluate(model):
        calls.append(len(calls))
        if kill_after is not None and len(calls) > kill_after:
            raise Killed
        torch.rand(1)  # an evaluation may use random numbers
        return evaluate_sequence(model, plain)

    history = train(model, loader, config, evaluate, checkpoint=path)
    return model, history, len(calls)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("kill_after", [1, 4, 7, 10])
def test_a_resumed_run_equals_an_unbroken_one_bit_for_bit(
    tokenizer, encoded, tmp_path, kind, kill_after
):
    config, shared = KINDS[kind]
    whole, expected, count = run(tokenizer, encoded, config, shared)
    path = tmp_path / "new" / "state.pt"
    if kill_after < count:
        with pytest.raises(Killed):
            run(tokenizer, encoded, config, shared, path, kill_after)
    resumed, history, again = run(tokenizer, encoded, config, shared, path, seed=0)
    assert again == count - min(kill_after, count) if kill_after < count else again == count
    assert history == expected
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_a_stage_that_stopped_early_is_not_taken_up_again(tokenizer, encoded, tmp_path):
    config = replace(CONFIG, epochs=9, patience=2, finish_epochs=2)
    scores = [1.0, 2.0, 3.0, 0.5, 0.4, 0.3, 0.2, 0.1, 0.0]  # the first stage stops at the third

    def go(killed_at=None):
        set_seed(0)
        model = new_model(tiny_config(tokenizer))
        collator = JointCollator(tokenizer, make_generator(1), mlm_probability=0.3)
        losses = iter(scores)
        seen = []

        def evaluate(model):
            seen.append(len(seen))
            if killed_at is not None and len(seen) > killed_at:
                raise Killed
            return {"loss": next(losses)}

        for _ in range(skipped):
            next(losses)
        loader = make_loader(encoded, collator, 8, seed=0)
        return train(model, loader, config, evaluate, checkpoint=tmp_path / "state.pt")

    skipped = 0
    with pytest.raises(Killed):
        go(killed_at=5)  # three in the first stage, two in the finish
    skipped = 5
    history = go()
    assert [row["loss"] for row in history.evaluations] == scores
    steps = [row["step"] for row in history.evaluations]
    assert history.finish_from == steps[2] and steps == sorted(set(steps))


def test_saving_changes_nothing(tokenizer, encoded, tmp_path):
    without = run(tokenizer, encoded, CONFIG, None)
    with_state = run(tokenizer, encoded, CONFIG, None, tmp_path / "state.pt")
    assert without[1] == with_state[1]


def test_a_finished_run_is_not_run_again(tokenizer, encoded, tmp_path):
    path = tmp_path / "state.pt"
    model, history, _ = run(tokenizer, encoded, CONFIG, None, path)
    before = path.read_bytes()
    again, found, calls = run(tokenizer, encoded, CONFIG, None, path)
    assert calls == 0 and found == history and path.read_bytes() == before
    assert all(torch.equal(v, again.state_dict()[n]) for n, v in model.state_dict().items())


@pytest.fixture
def half_done(tokenizer, encoded, tmp_path):
    path = tmp_path / "state.pt"
    with pytest.raises(Killed):
        run(tokenizer, encoded, CONFIG, None, path, kill_after=2)
    return path


@pytest.mark.parametrize(
    "change, shared, message",
    [
        ({"mlm_weight": 0.5}, None, r"differs in mlm_weight \(saved: 0.1, now: 0.5\)"),
        ({"learning_rate": 3e-3, "epochs": 4}, None, r"epochs \(saved: 3, now: 4\), learning_rate"),
        ({}, 0, "differs in parameters of the model"),
    ],
)
def test_a_state_of_other_options_is_refused_and_kept(
    tokenizer, encoded, half_done, monkeypatch, change, shared, message
):
    before = half_done.read_bytes()
    monkeypatch.setattr("bift_utils.training.loop.update", None)  # no step may be taken
    with pytest.raises(ValueError, match=message):
        run(tokenizer, encoded, replace(CONFIG, **change), shared, half_done)
    assert half_done.read_bytes() == before


def test_a_state_of_other_data_is_refused_and_kept(tokenizer, encoded, texts, labels, half_done):
    before = half_done.read_bytes()
    other = encode_texts(tokenizer, texts[::-1] * 3, labels * 3)
    with pytest.raises(ValueError, match="saved on other data, or in another order: batch 2 is"):
        run(tokenizer, other, CONFIG, None, half_done)
    fewer = encode_texts(tokenizer, texts, labels)
    with pytest.raises(ValueError, match=r"batches a pass \(saved: 3, now: 1\)"):
        run(tokenizer, fewer, CONFIG, None, half_done)
    assert half_done.read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"no state", b"PK\x03\x04 cut"])
def test_a_file_that_is_no_state_is_refused_and_kept(tokenizer, encoded, tmp_path, content):
    path = tmp_path / "state.pt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="is no saved training state, or a damaged one"):
        run(tokenizer, encoded, CONFIG, None, path)
    assert path.read_bytes() == content


def test_a_file_that_would_run_code_is_not_run(tokenizer, encoded, tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    path = tmp_path / "state.pt"
    torch.save({"signature": Evil()}, path)
    with pytest.raises(ValueError, match="is no saved training state, or a damaged one"):
        run(tokenizer, encoded, CONFIG, None, path)
    assert not (tmp_path / "ran").exists()


def test_a_checkpoint_needs_an_evaluation(tokenizer, encoded, tmp_path):
    set_seed(0)
    model = new_model(tiny_config(tokenizer))
    collator = JointCollator(tokenizer, make_generator(1))
    loader = make_loader(encoded, collator, 8, seed=0)
    with pytest.raises(ValueError, match="without evaluate; expected both"):
        train(model, loader, CONFIG, checkpoint=tmp_path / "state.pt")
