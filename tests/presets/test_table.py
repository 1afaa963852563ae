"""The table of built-in presets: names, cards, sizes, and what a search finds."""

import json
import pathlib
import re
import shlex

import pytest

import attnzoo
from attnzoo import presets
from attnzoo.cli import make_parser
from attnzoo.cli.run_records import read_runs
from attnzoo.cli.settings import make_settings, of_record
from attnzoo.cli.settings.arguments import given_options
from attnzoo.presets.card import CARD, HELD_OUT, HELD_OUT_PICTURE, RUN
from attnzoo.presets.markdown import render_list

pytestmark = pytest.mark.backend_free

MEBIBYTE = 2**20
EVERY = pytest.mark.parametrize("name", sorted(presets.PRESETS))
MODELS = pathlib.Path(attnzoo.__file__).parent / "models"
FAMILIES = {path.parent.name for path in MODELS.glob("*/backbone.py")}
# Data sets that no preset may be trained on: they are for research or not for commerce.
FORBIDDEN = ("multi30k", "sst-2", "sst2")


def test_presets_are_listed_by_task_and_by_language():
    cards = presets.list_presets()
    assert set(cards) == set(presets.PRESETS)
    order = [(card.task, card.name) for card in cards.values()]
    assert order == sorted(order)
    dutch = presets.list_presets(language="nl")
    assert list(dutch) == ["rnn_seq2seq_exact_monotonic_small_dutch"]
    sounds = presets.list_presets("pronunciation")
    assert set(dutch) < set(sounds) and {card.task for card in sounds.values()} == {"pronunciation"}


def test_a_wrong_task_or_language_is_told_with_the_right_ones():
    with pytest.raises(ValueError, match=r"`task` must be one of \[.*\]. Did you mean 'pronunc.*'"):
        presets.list_presets(task="pronounciation")
    message = r"`language` must be one of \[.*'nl'.*\]. Received: language='dutch'"
    with pytest.raises(ValueError, match=message):
        presets.list_presets(language="dutch")


def test_a_preset_is_found_by_name_and_by_alias():
    name = "rnn_seq2seq_exact_monotonic_small_greek"
    assert presets.find_preset(name) == presets.find_preset("g2p_el") == presets.PRESETS[name]
    assert presets.find_preset("g2p_xx") is None
    assert presets.suggest("g2p_eel") == " Did you mean 'g2p_el'?"
    assert presets.suggest("zebra") == ""


def test_an_alias_is_of_a_preset_and_no_preset_itself():
    assert set(presets.ALIASES.values()) <= set(presets.PRESETS)
    assert not set(presets.ALIASES) & set(presets.PRESETS)


@EVERY
def test_a_name_is_family_size_data(name):
    (family,) = (family for family in FAMILIES if name.startswith(f"{family}_"))
    assert re.fullmatch(r"(_\w+)?_(tiny|small|medium|large)_[a-z0-9_]+", name.removeprefix(family))
    config = json.loads((presets.PRESETS[name] / "config.json").read_text())
    assert config["module"].split(".")[-2] == family


@EVERY
def test_a_preset_is_small(name):
    assert folder_size(presets.PRESETS[name]) <= 5 * MEBIBYTE


def test_all_presets_together_fit_into_the_wheel():
    assert sum(folder_size(folder) for folder in presets.PRESETS.values()) <= 60 * MEBIBYTE


def folder_size(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@EVERY
def test_a_card_is_complete(name):
    folder = presets.PRESETS[name]
    card = presets.read_card(folder)
    assert card.name == name and card.parameters > 0 and card.seed >= 0
    for text in (card.summary, card.data, card.licence, card.reads, card.recipe, card.fine_tune):
        assert text
    assert card.limits and card.biases and all(card.example)
    assert card.backend in ("jax", "tensorflow", "torch")
    assert {score.data for score in card.scores} == {"test", "held out"}
    assert all(score.version and score.sources > 0 for score in card.scores)
    if card.languages:
        assert len((folder / HELD_OUT).read_text("utf-8").splitlines()) <= 60
    else:
        assert (folder / HELD_OUT_PICTURE).stat().st_size <= 100_000
    assert not any(word in folder.joinpath(CARD).read_text().lower() for word in FORBIDDEN)


@EVERY
def test_a_recipe_is_the_run_of_the_weights(name):
    card = presets.read_card(presets.PRESETS[name])
    (run,) = read_runs(presets.PRESETS[name] / RUN)
    assert run.training["parameters"] == card.parameters
    assert run.note or (run.history["epoch"] and card.minutes > 0)
    arguments = make_parser().parse_args(shlex.split(card.recipe)[1:])
    assert arguments.output == "RUN"
    if arguments.command == "train":
        settings = make_settings(**given_options(arguments))
        assert settings.as_options() == of_record(run.recipe)
        assert all(file.startswith("DATA/") for file in [*arguments.train, *arguments.dev])
        assert bool(arguments.inflections) == card.inflections
    more = make_parser().parse_args(shlex.split(card.fine_tune)[1:])
    if more.command == "train":
        assert make_settings(**given_options(more)).kind.preset == name
    else:
        assert more.preset == name


@EVERY
def test_a_card_is_shown_with_all_it_says(name):
    card = presets.read_card(presets.PRESETS[name])
    shown = card.to_markdown("##")
    assert shown.startswith(f"## {name}\n") and "### Scores\n" in shown
    for text in (card.summary, card.licence, card.recipe, card.fine_tune, *card.limits):
        assert text in shown
    assert f"`{name}`" in render_list({name: card})


def test_a_score_is_shown_in_points():
    error = presets.Score("word_error_rate", 0.25, "test", 4, "greedy", "attnzoo 0.1.0")
    assert error.points == 25.0
    assert presets.Score("psnr", 31.5, "test", 3, "whole", "attnzoo 0.1.0").points == 31.5
    assert presets.Score("bleu", 31.5, "test", 4, "greedy", "nrefs:1").points == 31.5


def test_a_missing_or_damaged_card_is_told(tmp_path):
    with pytest.raises(
        ValueError, match=f"has a card.json in its folder. Received: preset={tmp_path}"
    ):
        presets.read_card(tmp_path)
    (tmp_path / CARD).write_text('{"name": "a", "scores": []}')
    with pytest.raises(ValueError, match="The card is damaged: .*missing.* Received: .*card.json"):
        presets.read_card(tmp_path)
    (tmp_path / CARD).write_text("[1]")
    with pytest.raises(ValueError, match="The card is damaged"):
        presets.read_card(tmp_path)
