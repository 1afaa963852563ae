"""The commands on built-in presets: list, card, predict, retrain and publish."""

import gzip
import json
import os
import shutil
import subprocess
import sys
import types
from pathlib import Path

import keras
import pytest

from attnzoo import models, presets
from attnzoo.cli import main, predict, retrain
from attnzoo.presets.card import CARD

pytestmark = pytest.mark.shared("torch")

NAME, ALIAS = "rnn_seq2seq_exact_monotonic_small_greek", "g2p_el"


def run(*words, status=0):
    assert main([str(word) for word in words]) == status


def test_presets_are_listed(capsys):
    run("presets", "--language", "el")
    listed = capsys.readouterr().out
    assert f"`{NAME}`" in listed and f"`{ALIAS}`" in listed and "dutch" not in listed
    run("presets", "--task", "pronounce", status=2)
    assert "`task` must be one of" in capsys.readouterr().err


@pytest.mark.backend_free
def test_a_reader_of_a_part_of_the_list_gets_no_error():
    child = subprocess.Popen(
        [sys.executable, "-m", "attnzoo", "presets"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    child.stdout.close()
    errors = child.stderr.read()
    assert child.wait() == 141 and b"Broken pipe" not in errors


def test_a_card_is_printed_by_name_alias_and_folder(capsys, tmp_path):
    shown = []
    for preset in (NAME, ALIAS, presets.PRESETS[NAME]):
        run("presets", preset)
        shown.append(capsys.readouterr().out)
    assert (
        shown[0] == shown[1] == shown[2] == presets.read_card(presets.PRESETS[NAME]).to_markdown()
    )
    run("presets", "g2p_ell", status=2)
    assert "Did you mean 'g2p_el'? Received: preset='g2p_ell'" in capsys.readouterr().err
    run("presets", ALIAS, "--language", "el", status=2)
    assert f"without a preset. Received: {ALIAS}, task=None, language=el" in capsys.readouterr().err


# === Predict ===


def test_a_text_is_predicted_in_one_line_and_its_case_is_folded(capsys):
    given, output = presets.read_card(presets.PRESETS[NAME]).example
    run("predict", ALIAS, given, given.upper())
    assert capsys.readouterr().out == f"{output}\n{output}\n"


def test_a_preset_says_what_it_cannot_read(capsys):
    run("predict", ALIAS, "α3")
    told = capsys.readouterr().err
    assert "does not know all symbols of 1 of 1 texts, such as '3' in 'α3'" in told
    assert "no digits" in presets.read_card(presets.PRESETS[NAME]).reads


def test_the_card_says_that_inputs_are_inflections(capsys):
    given, output = presets.read_card(presets.find_preset("inflection_tr")).example
    run("predict", "inflection_tr", given)
    assert capsys.readouterr().out == f"{output}\n"
    run("predict", "inflection_tr", "ev", status=2)
    assert "a space or a tab, and its tags. Received: 'ev'" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["words.txt", "data/words", "a.en", "test.tsv.gz"])
def test_a_file_that_is_missing_is_no_text(name, capsys):
    run("predict", ALIAS, name, status=2)
    assert f"a file that exists must be given. Received: {name}, which looks" in (
        capsys.readouterr().err
    )


def test_texts_with_points_and_strokes_are_texts(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("a\n")
    assert predict._texts_or_file(["file"]) == (None, "file")
    assert predict._texts_or_file(["folder"]) == (["folder"], None)
    assert predict._texts_or_file(["file", "folder"]) == (["file", "folder"], None)
    for text in ("e.g. this", "3.5", "und/oder so", "hello.", "example.hello"):
        assert predict._texts_or_file([text]) == ([text], None)


# === Retrain ===


def test_a_recipe_is_printed_with_its_data(capsys):
    run("retrain", ALIAS)
    card = presets.read_card(presets.PRESETS[NAME])
    shown = capsys.readouterr().out
    assert card.recipe in shown and card.data in shown


def test_a_recipe_runs_on_a_folder_of_data(tmp_path, monkeypatch, capsys):
    asked = []

    def train(settings, data, dev_data, output, **options):
        asked.append((settings, data, output))

    monkeypatch.setattr("attnzoo.cli.train.train", train)
    for name in ("gre.train.tsv.gz", "gre.dev.tsv.gz"):
        (tmp_path / name).write_bytes(gzip.compress("α\ta\n".encode()))
    run("retrain", ALIAS, "--data", tmp_path, "--output", tmp_path / "run")
    ((settings, data, output),) = asked
    assert settings.backbone.attention == "exact_monotonic" and data == [("α", "a")]
    assert output == str(tmp_path / "run")
    told = capsys.readouterr().err
    assert ("expect a model a little different" in told) == (keras.backend.backend() != "jax")


def test_a_recipe_without_its_data_is_refused(tmp_path, capsys):
    run("retrain", ALIAS, "--output", tmp_path / "run", status=2)
    assert "needs `--data`, the folder with gre.train.tsv.gz" in capsys.readouterr().err
    run("retrain", ALIAS, "--data", tmp_path, "--output", tmp_path / "run", status=2)
    assert f"Received: {tmp_path}, without {tmp_path}/gre.train" in capsys.readouterr().err
    run("retrain", ALIAS, "--data", tmp_path, status=2)
    assert "needs `--output`, the run folder. Received: data=" in capsys.readouterr().err
    arguments = types.SimpleNamespace(output="runs/one")
    assert retrain.advise(arguments).endswith("in runs/one.")


# === Publish, and load what was published ===


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """Hugging Face in a folder: what `huggingface_hub` is asked for, without a network."""
    huggingface_hub = pytest.importorskip("huggingface_hub")
    home = tmp_path / "hub"

    def create_repo(repo_id, exist_ok=False):
        (home / repo_id).mkdir(parents=True, exist_ok=exist_ok)
        return types.SimpleNamespace(repo_id=repo_id)

    def upload_file(path_or_fileobj, path_in_repo, repo_id):
        shutil.copy(path_or_fileobj, home / repo_id / path_in_repo)

    def upload_folder(repo_id, folder_path):
        shutil.copytree(folder_path, home / repo_id, dirs_exist_ok=True)

    monkeypatch.setattr(huggingface_hub, "create_repo", create_repo)
    monkeypatch.setattr(huggingface_hub, "upload_file", upload_file)
    monkeypatch.setattr(huggingface_hub, "upload_folder", upload_folder)
    monkeypatch.setattr(
        huggingface_hub,
        "file_exists",
        lambda repo_id, filename: (home / repo_id / filename).is_file(),
    )

    def snapshot_download(repo_id, allow_patterns):
        place, cache = home / repo_id, tmp_path / "cache" / repo_id
        files = [path.relative_to(place).as_posix() for path in place.rglob("*") if path.is_file()]
        for name in huggingface_hub.utils.filter_repo_objects(files, allow_patterns=allow_patterns):
            (cache / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(place / name, cache / name)
        return str(cache)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    return home


def test_a_published_preset_is_loaded_with_its_card(hub, capsys):
    handle = "hf://user/greek"
    run("publish", ALIAS, handle)
    assert capsys.readouterr().out == f"Published: {handle}\n"
    card = presets.read_card(presets.PRESETS[NAME])
    readme = (hub / "user/greek/README.md").read_text("utf-8")
    assert readme.startswith("---\nlibrary_name: keras-hub\n") and card.to_markdown() in readme
    assert not (presets.PRESETS[NAME] / "README.md").exists()
    task = models.RNNSeq2SeqLM.from_preset(handle)
    given, output = card.example
    assert task.generate([given]) == [output]
    run("presets", handle)
    assert capsys.readouterr().out == card.to_markdown()
    run("predict", handle, given)
    assert capsys.readouterr().out == f"{output}\n"
    backbone = models.RNNSeq2SeqBackbone.from_preset(handle)
    assert backbone.attention == "exact_monotonic"


def test_a_preset_without_a_card_is_published_as_it_is(hub, tmp_path, capsys):
    shutil.copytree(presets.PRESETS[NAME], tmp_path / "mine")
    (tmp_path / "mine" / CARD).unlink()
    run("publish", tmp_path / "mine", "hf://user/mine")
    config = json.loads((hub / "user/mine/config.json").read_text())
    assert config["class_name"] == "RNNSeq2SeqBackbone"


def test_a_preset_is_published_to_kaggle_with_its_card(monkeypatch, capsys):
    kagglehub = pytest.importorskip("kagglehub")
    uploaded = {}
    monkeypatch.setattr(
        kagglehub,
        "model_upload",
        lambda handle, folder: uploaded.update({handle: (Path(folder) / "README.md").read_text()}),
    )
    run("publish", ALIAS, "kaggle://user/greek/keras/small")
    card = presets.read_card(presets.PRESETS[NAME])
    assert card.to_markdown() in uploaded["user/greek/keras/small"]


@pytest.mark.parametrize("handle", ["user/name", "hf://", "gs://bucket/name"])
def test_a_place_to_publish_is_a_handle(handle, capsys):
    run("publish", ALIAS, handle, status=2)
    assert "is published to hf://user/name or kaggle://" in capsys.readouterr().err


def test_nothing_is_published_of_a_preset_that_is_none(capsys):
    run("publish", "g2p_elo", "hf://user/name", status=2)
    assert "Did you mean 'g2p_el'?" in capsys.readouterr().err
