"""Settings in a file: written, read, and what is wrong with one."""

import json

import pytest

from attnzoo.cli import main
from attnzoo.cli.settings import make_settings
from attnzoo.cli.settings.config_file import read_config, write_config

pytestmark = pytest.mark.backend_free


@pytest.fixture
def file(tmp_path):
    return tmp_path / "run.yaml"


@pytest.mark.parametrize(
    "options",
    [
        {"attention": "monotonic", "attention_options": {"sigmoid_noise": 1, "mode": "ä"}},
        {"model": "transformer", "position": None, "block_options": {"norm_first": False}},
        {"task": "masked_lm", "model": "transformer", "preset": "runs/one", "learning_rate": 1e-5},
    ],
)
def test_a_written_file_is_read_again(options, file):
    settings = make_settings(**options)
    file.write_text(write_config(settings.as_options()), encoding="utf-8")
    assert "max-source-length: 64\n" in file.read_text(encoding="utf-8")
    assert make_settings(**read_config(str(file))) == settings


def test_a_record_of_a_run_is_such_a_file(file):
    settings = make_settings(task="classifier", num_hops=2)
    file.write_text(json.dumps(settings.as_options()))
    assert make_settings(**read_config(str(file))) == settings


def test_numbers_may_be_written_with_an_exponent(file):
    file.write_text("learning_rate: 1e-3\nwarmup: 4000\n")
    assert read_config(str(file)) == {"learning_rate": 1e-3, "warmup": 4000}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "epochs: 2\nhiden-dim: 8\n",
            "run.yaml, line 2: .* `hiden-dim`; did you mean `hidden-dim`",
        ),
        (
            "epochs: 2\n\nepochs: 3\n",
            "run.yaml, line 3: an option must not be repeated. Received: ep",
        ),
        ("epochs: many\n", "run.yaml, line 1: `epochs` must be a whole number. Received: epochs="),
        ("seed: 1\nema: 1.0\n", "run.yaml, line 2: `ema` must be in .0, 1.. Received: ema=1.0"),
        ("ema: high\n", "run.yaml, line 1: `ema` must be a number. Received: ema='high'"),
        ("- epochs\n", "must map names to values. Received: .*run.yaml"),
        ("", "must map names to values. Received: .*run.yaml"),
        ("epochs: [1\n", "run.yaml is no YAML: .*line 2"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_with_its_line(text, message, file):
    file.write_text(text)
    with pytest.raises(ValueError, match=f"(?s){message}"):
        read_config(str(file))


def test_the_command_prints_the_settings_and_reads_them(file, capsys):
    command = ["train", "--model", "transformer", "--num-heads", "2", "--output", "runs/one"]
    assert main([*command, "--train", "a.tsv", "--print-config"]) == 0
    said = capsys.readouterr().out
    file.write_text(said)
    assert read_config(str(file), ("train", "output")) == {
        "train": ["a.tsv"],
        "output": "runs/one",
        **make_settings(model="transformer", num_heads=2).as_options(),
    }
    assert main(["train", "--config", str(file), "--print-config"]) == 0
    assert capsys.readouterr().out == said
    again = ["train", "--config", str(file), "--num-heads", "8", "--train", "b", "c"]
    assert main([*again, "--print-config"]) == 0
    changed = said.replace("num-heads: 2", "num-heads: 8").replace("- a.tsv", "- b\n- c")
    assert capsys.readouterr().out == changed


def test_an_option_of_another_model_in_a_file_is_refused(file, capsys):
    file.write_text("cell: gru\ntrain: a\ndev: b\noutput: c\n")
    assert main(["train", "--config", str(file), "--model", "transformer"]) == 2
    said = "`--cell` needs `--model rnn`. Received: cell='gru' with model='transformer'"
    assert said in capsys.readouterr().err


def test_a_run_needs_data_and_a_folder(file, capsys):
    file.write_text("dev: a.tsv\n")
    assert main(["train", "--config", str(file)]) == 2
    assert "A run needs `--train`, `--dev` and `--output`" in (said := capsys.readouterr().err)
    assert "Received: no --train, --output" in said


def test_a_file_of_settings_that_is_not_there_is_told(file, capsys):
    assert main(["train", "--config", str(file)]) == 2
    assert "run.yaml" in capsys.readouterr().err
