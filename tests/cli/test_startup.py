"""What the command does before it works: no line of TensorFlow's, one where something compiles."""

import contextlib
import os
import subprocess
import sys

import keras
import pytest

from attnzoo.cli import startup
from attnzoo.cli.startup import announce_compiling

LOGGED = (
    b"WARNING: All log messages before absl::InitializeLog() is called are written to STDERR\n"
    b"I0000 00:00:1796093775.082430   11937 port.cc:153] oneDNN custom operations are on.\n"
    b"To enable the following instructions: AVX2, rebuild TensorFlow.\n"
    b"E0000 00:00:1796093789.350784   11937 cuda_platform.cc:52] failed call to cuInit\n"
)


@pytest.mark.shared("tensorflow")
def test_a_command_prints_what_it_is_asked_for_and_nothing_of_tensorflow():
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    environment.pop("TF_CPP_MIN_LOG_LEVEL", None)
    child = subprocess.run(
        [sys.executable, "-m", "attnzoo", "predict", "rnn_seq2seq_small_cmudict"],
        input=b"cat\n",
        capture_output=True,
        env=environment,
        timeout=300,
    )
    assert child.returncode == 0 and child.stdout == b"K AE T\n"
    backend = keras.backend.backend()
    compiling = f"Compiling for {backend}, which takes some seconds.\n".encode()
    assert child.stderr == (b"" if backend == "torch" else compiling)


@pytest.mark.shared("torch")
def test_a_command_that_reads_text_loads_its_backend_alone():
    program = (
        "import sys; sys.argv = ['attnzoo']; from attnzoo.cli.startup import load_backend; "
        "load_backend(alone=True); import keras; print(keras.backend.backend(), "
        "*(name for name in ('tensorflow', 'jax', 'torch', 'matplotlib') if sys.modules.get(name)))"
    )
    child = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    backend = keras.backend.backend()
    assert child.stdout.split() == [backend, backend], child.stderr


@pytest.mark.backend_free
def test_only_what_tensorflow_logs_is_kept_back(capfd, monkeypatch):
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
    with startup.without_start_up_lines():
        os.write(2, LOGGED + b"a line of ours\n" + LOGGED + b"and another\n")
    assert capfd.readouterr().err == "a line of ours\nand another\n"
    with pytest.raises(ValueError), startup.without_start_up_lines():
        os.write(2, b"why it failed\n")
        raise ValueError
    assert capfd.readouterr().err == "why it failed\n"
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "0")
    with startup.without_start_up_lines():  # As one was asked to show all.
        os.write(2, LOGGED)
    assert capfd.readouterr().err == LOGGED.decode()


@pytest.mark.backend_free
@pytest.mark.parametrize(
    "words, program, expected",
    [
        (["python", "-m", "attnzoo", "predict"], "-m", True),
        (["python", "-mattnzoo"], "-m", True),
        (["python", "/usr/bin/attnzoo", "predict"], "/usr/bin/attnzoo", True),
        (["python", "-m", "attnzoo"], "/site/attnzoo/__main__.py", True),
        (["python", "-m", "pytest", "attnzoo"], "-m", False),
        (["python", "-m", "pytest", "attnzoo"], "/site/pytest/__main__.py", False),
        (["python", "train.py", "-m", "attnzoo"], "train.py", False),
        (["python", "-c", "pass"], "-c", False),
    ],
)
def test_only_the_command_is_the_command(words, program, expected, monkeypatch):
    monkeypatch.setattr(sys, "orig_argv", words)
    monkeypatch.setattr(sys, "argv", [program])
    assert startup.is_command() == expected


@pytest.mark.backend_free
def test_ctrl_c_while_the_command_loads_is_one_line(monkeypatch, capsys):
    @contextlib.contextmanager
    def interrupted():
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr(startup, "without_start_up_lines", interrupted)
    monkeypatch.setattr(sys, "argv", ["attnzoo"])
    with pytest.raises(SystemExit) as stop:
        startup.load_backend()
    assert stop.value.code == 130
    assert capsys.readouterr().err == "attnzoo: stopped before it began. Give the command again.\n"
    monkeypatch.setattr(sys, "argv", ["train.py"])
    with pytest.raises(KeyboardInterrupt):
        startup.load_backend()


@pytest.mark.backend_free
@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_compiling_is_told_where_a_backend_compiles(backend, monkeypatch, capsys):
    monkeypatch.setattr(keras.backend, "backend", lambda: backend)
    announce_compiling()
    told = f"Compiling for {backend}, which takes some seconds.\n"
    assert capsys.readouterr().err == ("" if backend == "torch" else told)
