"""Ctrl-C: training stops within a step, every command says how to go on, nothing is lost."""

import importlib
import json
import os
import signal
import subprocess
import sys
import threading

import pytest

from attnzoo.cli import main
from attnzoo.cli.interrupts import stopping_within_a_step

COMMANDS = (
    "demo",
    "evaluate",
    "export",
    "import-weights",
    "train-super-resolution",
    "leaderboard",
    "plot",
    "predict",
    "presets",
    "publish",
    "retrain",
    "train",
)
RESUMED = ("demo", "retrain", "train")  # What the same command goes on with.

# Trains as the command does, and tells when steps begin.
CHILD = """\
import sys
import keras
from attnzoo.cli import main, train
from attnzoo.cli.settings import Settings

class Tell(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        print("step", flush=True)

make = train._make_callbacks
def make_and_tell(*arguments):
    callbacks, *rest = make(*arguments)
    return [Tell(), *callbacks], *rest
train._make_callbacks = make_and_tell
compile = Settings.compile
def compile_eagerly(self, task, *arguments, **options):
    compile(self, task, *arguments, **options)
    task.run_eagerly = True
Settings.compile = compile_eagerly
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.shared("torch")
def test_training_stops_within_a_step_and_goes_on(tmp_path):
    data, run = tmp_path / "data.tsv", tmp_path / "run"
    data.write_text("ab\tA B\nba\tB A\n" * 50)
    files = ["--train", str(data), "--dev", str(data), "--output", str(run)]
    sizes = ["--embedding-dim", "5", "--hidden-dim", "6", "--batch-size", "4", "--epochs", "999"]
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, "train", *files, *sizes, "--num-buckets", "1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    for line in child.stdout:
        if line == "step\n":
            break
    child.send_signal(signal.SIGINT)
    said, errors = child.communicate(timeout=300)
    assert child.returncode == 130, errors
    # The one that it was at, and the one that may have begun before the signal came.
    assert said.count("step\n") <= 2
    last = errors.splitlines()[-1]
    assert last.startswith("attnzoo train: stopped. The same command goes on") and str(run) in last
    assert "Traceback" not in errors and (run / "recipe.json").exists()


def interrupt():
    os.kill(os.getpid(), signal.SIGINT)
    signal.getsignal(signal.SIGINT)  # Handlers run before the next instruction.


@pytest.mark.backend_free
def test_an_interrupt_waits_while_files_are_written_and_not_in_a_step():
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), stopping_within_a_step() as stop:
        stop.on_train_batch_begin(0)
        stop.on_train_batch_end(0, logs={})
        interrupt()  # Between epochs.
        stop.on_epoch_end(0)
        with pytest.raises(KeyboardInterrupt):
            interrupt()  # Again.
        stop.on_train_batch_begin(0)
    assert signal.getsignal(signal.SIGINT) is before
    with pytest.raises(KeyboardInterrupt), stopping_within_a_step() as stop:
        stop.on_test_batch_begin(0)
        try:
            interrupt()
        except KeyboardInterrupt:
            pass  # As in code of a backend that loses it.
        stop.on_test_batch_end(0)
    with pytest.raises(KeyboardInterrupt), stopping_within_a_step():
        interrupt()  # After the last step.


@pytest.mark.backend_free
def test_another_thread_gets_no_interrupts():
    before, found = signal.getsignal(signal.SIGINT), []

    def enter():
        with stopping_within_a_step() as stop:
            found.append(stop)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert len(found) == 1 and signal.getsignal(signal.SIGINT) is before


ARGUMENTS = {
    "demo": ["--output", "runs/one"],
    "train": ["--train", "a", "--dev", "b", "--output", "runs/one"],
    "evaluate": ["preset", "--data", "a"],
    "leaderboard": ["runs/one"],
    "predict": ["preset"],
    "presets": ["preset"],
    "publish": ["preset", "hf://user/name"],
    "retrain": ["preset", "--output", "runs/one"],
    "plot": ["preset", "a", "--output", "a.png"],
    "export": ["preset", "model"],
    "import-weights": ["hat", "weights.pth", "preset"],
    "train-super-resolution": ["--train", "a.png", "--test", "b.png", "--output", "runs/x2"],
}


@pytest.mark.backend_free
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_says_how_to_go_on(command, monkeypatch, capsys):
    def run(arguments):
        raise KeyboardInterrupt

    module = importlib.import_module(f"attnzoo.cli.{command.replace('-', '_')}")
    monkeypatch.setattr(module, "run", run)
    assert main([command, *ARGUMENTS[command]]) == 130
    said = capsys.readouterr()
    assert said.err.startswith(f"attnzoo {command}: stopped. ") and said.err.count("\n") == 1
    assert said.out == "" and ("runs/one" in said.err) == (command in RESUMED)
    if command in ("demo", "train"):
        assert main([command, *ARGUMENTS[command], "--overwrite"]) == 130
        assert "The same command without --overwrite goes on" in capsys.readouterr().err


@pytest.mark.backend_free
def test_an_export_that_was_stopped_is_to_be_written_anew(tmp_path, monkeypatch, capsys):
    def run(arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(importlib.import_module("attnzoo.cli.export"), "run", run)
    assert main(["export", "preset", str(tmp_path)]) == 130
    assert f"in {tmp_path} may not be whole; the same command with --ov" in capsys.readouterr().err


@pytest.mark.backend_free
def test_predict_says_how_far_it_came(tmp_path, monkeypatch, capsys):
    class Interrupted:
        preprocessor = None

        def classify(self, texts, return_probabilities):
            if "c" in texts:
                raise KeyboardInterrupt
            return {"labels": texts, "probabilities": None}

    predict = importlib.import_module("attnzoo.cli.predict")
    monkeypatch.setattr(predict, "load_any_task", lambda arguments: Interrupted())
    monkeypatch.setitem(
        predict._PREDICTORS,
        "classify",
        lambda task, lines: ((label, []) for label in task.classify(lines, True)["labels"]),
    )
    (tmp_path / "a.txt").write_text("a\n\nb\nc\nd\n")
    assert main(["predict", "preset", str(tmp_path / "a.txt"), "--batch-size", "1"]) == 130
    said = capsys.readouterr()
    assert said.out == "a\n\nb\n"
    assert "3 lines were answered; to go on, give those from line 4 on." in said.err


# === What is not deleted ===


@pytest.fixture
def demo(monkeypatch):
    """The demo without its words, whose training can be watched."""
    demo, train = (importlib.import_module(f"attnzoo.cli.{name}") for name in ("demo", "train"))
    import attnzoo.data

    seen = []

    def watch(recipe, train_pairs, dev_pairs, output, *, overwrite):
        train.check_folder(output, recipe, overwrite)
        seen.append(overwrite)
        raise KeyboardInterrupt

    monkeypatch.setattr(attnzoo.data, "cmudict_split", lambda seed: ([], [], []))
    monkeypatch.setattr(train, "train", watch)
    return demo, seen


@pytest.mark.backend_free
def test_a_demo_keeps_a_run_of_another_recipe(demo, tmp_path, capsys):
    module, seen = demo
    (tmp_path / "recipe.json").write_text('{"hidden_dim": 7}')
    (tmp_path / "best.weights.h5").write_text("of an old run")
    command = ["demo", "--size", "small", "--output", str(tmp_path)]
    assert main(command) == 2 and not seen
    assert "holds a run that differs in" in capsys.readouterr().err
    assert (tmp_path / "best.weights.h5").read_text() == "of an old run"
    assert main([*command, "--overwrite"]) == 130 and seen == [True]


@pytest.mark.backend_free
def test_a_demo_that_was_stopped_goes_on(demo, tmp_path):
    module, seen = demo
    (tmp_path / "recipe.json").write_text(json.dumps(module._settings(True).as_options()))
    assert main(["demo", "--size", "small", "--output", str(tmp_path)]) == 130
    assert seen == [False]  # `train` goes on in such a folder.
