"""The commands on weights of super-resolution and on pictures, as a user types them."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from attnzoo.cli import main
from attnzoo.cli.run_records import read_folder
from attnzoo.data import shrink_image
from attnzoo.models import HATSuperResolution
from tests.models.hat import tiny
from tests.tools import assert_close

pytestmark = pytest.mark.shared("torch")


@pytest.fixture(scope="module")
def task():
    return tiny.make_task(depths=[1])


@pytest.fixture(scope="module")
def preset(task, tmp_path_factory):
    folder = tmp_path_factory.mktemp("super_resolution") / "preset"
    task.save_to_preset(str(folder))
    return str(folder)


@pytest.fixture
def picture(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (6, 9, 3)).astype("uint8")
    Image.fromarray(pixels).save(tmp_path / "small.png")
    return str(tmp_path / "small.png")


@pytest.mark.parametrize("options", [[], ["--tile", "4"]])
def test_predict_writes_a_larger_picture(task, preset, picture, tmp_path, capsys, options):
    output = str(tmp_path / "large.png")
    assert main(["predict", preset, picture, "--output", output, *options]) == 0
    assert capsys.readouterr().out == f"{output}: 18 x 12 pixels\n"
    found, expected = np.asarray(Image.open(output)), task.predict(picture)
    assert np.abs(found.astype("int32") - expected).max() <= 1


@pytest.mark.slow
def test_the_command_enlarges_with_the_backend_alone(picture, tmp_path):
    output = str(tmp_path / "large.png")
    command = [sys.executable, "-m", "attnzoo", "predict", "hat_tiny_x2", picture]
    child = subprocess.run([*command, "--output", output], capture_output=True, timeout=300)
    assert child.returncode == 0, child.stderr
    assert Image.open(output).size == (18, 12)


def test_predict_refuses_what_it_cannot_do_before_it_works(preset, picture, tmp_path, capsys):
    for arguments, message in (
        ([preset, picture], "needs the file of a picture, and `--output`"),
        ([preset, "--output", str(tmp_path / "a.png")], "Received: files [], --output"),
        ([preset, picture, "--output", str(tmp_path / "a.txt")], "must end as a picture does"),
        ([preset, picture, "--output", str(tmp_path / "no" / "a.png")], "a folder that exists"),
        (
            ["rnn_seq2seq_small_cmudict", picture, "--output", "a.png"],
            "`--tile` are for super-resolution",
        ),
    ):
        assert main(["predict", *arguments]) == 2
        assert message in capsys.readouterr().err


def test_import_weights_makes_a_preset(task, tmp_path, capsys):
    np.savez(tmp_path / "weights.npz", **tiny.original_state(task))
    file, output = str(tmp_path / "weights.npz"), str(tmp_path / "preset")
    option = ["--option", "convolution_scale=0.5"]
    assert main(["import-weights", "hat", file, output, *option]) == 0
    said = capsys.readouterr().out
    assert said == f"{output}: HATSuperResolution, {task.count_params():,} parameters\n"
    loaded = HATSuperResolution.from_preset(output)
    assert loaded.backbone.convolution_scale == 0.5
    gamma = tiny.original_state(task)["norm.weight"]
    assert_close(loaded.backbone.last_norm.gamma, gamma, tolerance=0.0)
    assert main(["import-weights", "hat", file, output]) == 2
    assert "`output` must be new. Received: " in capsys.readouterr().err


def test_training_writes_a_run_and_its_gains(task, preset, picture, tmp_path, capsys):
    pixels = np.random.default_rng(1).integers(0, 256, (20, 24, 3)).astype("uint8")
    Image.fromarray(pixels).save(tmp_path / "large.png")
    output = tmp_path / "run"
    command = ["train-super-resolution", "--train", str(tmp_path / "large.png"), "--test", picture]
    command += ["--output", str(output), "--preset", preset, "--steps", "2", "--epochs", "2"]
    command += ["--batch-size", "2", "--patch-size", "4"]
    assert main(command) == 0
    record = read_folder(output)
    assert record.training["parameters"] == task.count_params()
    assert record.recipe["train"] == ["large.png"] and record.recipe["preset"] == preset
    assert len(record.history["psnr"]) == 2
    found = record.evaluations["test"]
    trained = HATSuperResolution.from_preset(output / "preset")
    small = shrink_image(np.asarray(Image.open(picture)), 2)
    target = np.asarray(Image.open(picture))[:6, :8]
    error = np.mean((trained.predict(small) / 255.0 - target / 255.0) ** 2)
    assert found["small_psnr"] == pytest.approx(-10.0 * np.log10(error), abs=2e-3)
    bicubic = np.asarray(Image.fromarray(small).resize((8, 6), Image.Resampling.BICUBIC))
    error = np.mean((bicubic / 255.0 - target / 255.0) ** 2)
    gain = found["small_psnr"] + 10.0 * np.log10(error)
    assert found["small_gain"] == pytest.approx(gain, abs=3e-3)
    assert main(command) == 2
    assert f"`--output` must be new. Received: {output}" in capsys.readouterr().err


def test_training_needs_a_step_for_each_epoch(preset, picture, tmp_path, capsys):
    command = ["train-super-resolution", "--train", picture, "--test", picture, "--preset", preset]
    command += ["--output", str(tmp_path / "run"), "--steps", "1", "--epochs", "2"]
    assert main(command) == 2
    assert "must be at least `--epochs`" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["scale=2", "convolution_scale=much", "convolution_scale"])
def test_import_weights_names_the_options_of_a_format(tmp_path, capsys, option):
    command = ["import-weights", "hat", "weights.npz", str(tmp_path / "preset"), "--option", option]
    assert main(command) == 2
    said = capsys.readouterr().err
    assert f"must be one of convolution_scale=<float>. Received: {option}" in said
