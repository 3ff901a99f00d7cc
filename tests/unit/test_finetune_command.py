"""The command: its options, its exit status, and what it prints where λ has no letter."""

import os
import re
import subprocess
import sys
from dataclasses import fields

import pytest
from own_tables import films, save_tiny_checkpoint, write_table
from test_exporting import outside

from bift_utils.finetune import __main__ as command
from bift_utils.finetune import run
from bift_utils.finetune.__main__ import main, make_parser
from bift_utils.finetune.options import FinetuneOptions
from bift_utils.finetune.state import after_a_stop
from bift_utils.models.joint import POOLINGS
from bift_utils.training.options import PRECISIONS

GIVEN = (  # noqa: SIM905
    "own.csv --output m --text words --label kind --encoding cp1252 --model minilm --mlm-weight "
    "0.5 --epochs 4 --learning-rate 1e-3 --batch-size 8 --max-length 64 --pooling pooler "
    "--dropout 0.2 --patience 3 --evaluations-per-epoch 1 --precision bf16 --accumulate 2 --seed 7 "
    "--separator tab --validation v.csv --test t.csv --drop-rare 5 --select macro_f1 --compare"
).split()


def test_the_command_has_every_option_and_the_same_defaults():
    options = vars(make_parser().parse_args(["own.csv", "--output", "m"]))
    own = {name: options.pop(name) for name in ("table", "output", "overwrite", "resume")}
    assert options == vars(FinetuneOptions())
    assert own["overwrite"] is own["resume"] is False
    groups = [name for options in command.HELP.values() for name in options]
    assert sorted(groups) == sorted(field.name for field in fields(FinetuneOptions))


def test_every_option_can_be_given_and_has_its_kind():
    options = vars(make_parser().parse_args(GIVEN))
    defaults = vars(FinetuneOptions())
    changed = {name for name, value in defaults.items() if options[name] != value}
    assert changed == set(defaults) - {"pooling"}
    FinetuneOptions(**{name: options[name] for name in defaults})
    assert (options["mlm_weight"], options["epochs"], options["learning_rate"]) == (0.5, 4, 1e-3)
    assert (options["separator"], options["drop_rare"], options["compare"]) == ("\t", 5, True)


@pytest.mark.parametrize("arguments", [["--help"], ["predict", "--help"]])
def test_help_is_there_without_torch_and_states_every_default(arguments):
    """A quarter of a second of computing: a busy machine changes nothing."""
    code = (
        "import sys, time\n"
        "sys.modules['torch'] = sys.modules['transformers'] = None\n"
        "from bift_utils.finetune.__main__ import main\n"
        f"try: main({arguments})\n"
        "finally: print(time.process_time() < 1, file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "True\n"
    options = re.findall(r"^  --\S+.*?(?=^  -|^\S|\Z)", done.stdout, flags=re.M | re.S)
    assert len(options) == (25 if len(arguments) == 1 else 6)
    assert not [text for text in options if "default" not in text]
    assert ("the training:" in done.stdout) == (len(arguments) == 1)


def test_the_constants_are_those_of_the_package():
    assert command.POOLINGS == POOLINGS and command.PRECISIONS == PRECISIONS


def test_stopped_by_hand(monkeypatch, capsys, tmp_path):
    def interrupted(**options):
        raise KeyboardInterrupt(after_a_stop(tmp_path / "m"))

    monkeypatch.setattr(run, "finetune", interrupted)
    assert main(["own.csv", "--output", "m"]) == 130
    assert "before anything was saved; start it again." in capsys.readouterr().err
    (tmp_path / "m.state").mkdir()
    (tmp_path / "m.state" / "state.pt").touch()
    assert main(["own.csv", "--output", "m"]) == 130
    assert "--resume goes on" in capsys.readouterr().err


def test_an_error_of_this_project_is_not_hidden(monkeypatch):
    def broken(**options):
        raise KeyError("a mistake in the code")

    monkeypatch.setattr(run, "finetune", broken)
    with pytest.raises(KeyError):
        main(["own.csv", "--output", "m"])


def test_from_a_file_to_pipelines_in_one_command(tmp_path, tokenizer):
    """On a terminal that knows ASCII only."""
    save_tiny_checkpoint(tmp_path / "tiny", tokenizer)
    write_table(tmp_path / "own.tsv", films(60), ("words", "kind"))
    arguments = "own.tsv --text words --label kind --model tiny --epochs 2 --output deep/model"
    done = subprocess.run(
        [sys.executable, "-m", "bift_utils.finetune", *arguments.split()],
        cwd=tmp_path, env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "? = 0.1" in done.stdout  # λ
    assert "model, report.md, history.png.\n" in done.stdout
    assert re.search(r"\nTake .* test texts\.\n$", done.stdout)
    found = outside(tmp_path / "deep" / "model", ["the film was good"])
    assert set(found["classes"][0]) == {"good", "bad"}
