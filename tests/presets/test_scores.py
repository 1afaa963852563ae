"""Every preset does on its held-out lines what its card says."""

import json

import pytest

from attnzoo import presets
from attnzoo.cli import main
from attnzoo.cli.train_super_resolution import compare_with_bicubic
from attnzoo.models import HATSuperResolution
from attnzoo.models.preprocessing.images import read_images
from attnzoo.presets.card import HELD_OUT, HELD_OUT_PICTURE

TEXTS = [name for name, card in presets.list_presets().items() if card.languages]
EVERY = pytest.mark.parametrize("name", sorted(TEXTS))


def check_score(name, tmp_path):
    """Decode the held-out lines, and hold the score to the card's within half a point."""
    folder = presets.PRESETS[name]
    score = presets.read_card(folder).held_out()
    if score.metric == "bleu":
        pytest.importorskip("sacrebleu")
    path = tmp_path / "found.json"
    words = ["evaluate", name, "--data", str(folder / HELD_OUT), "--json", str(path)]
    assert main([*words, "--metrics", score.metric, "--show", "0"]) == 0
    found = json.loads(path.read_text())
    assert found["sources"] == score.sources and found["decoding"] == score.decoding
    scale = score.points / score.value if score.value else 100
    assert abs(scale * found[score.metric] - score.points) <= 0.5


@pytest.mark.rotates
@EVERY
def test_a_preset_scores_what_its_card_says(name, tmp_path):
    check_score(name, tmp_path)


@pytest.mark.slow
@EVERY
def test_a_preset_scores_what_its_card_says_on_this_backend(name, tmp_path):
    check_score(name, tmp_path)


@pytest.mark.rotates
@pytest.mark.parametrize("name", sorted(set(presets.PRESETS) - set(TEXTS)))
def test_a_preset_enlarges_as_well_as_its_card_says(name):
    pytest.importorskip("PIL")
    task = HATSuperResolution.from_preset(name)
    (picture,) = read_images(presets.PRESETS[name] / HELD_OUT_PICTURE)
    found = compare_with_bicubic(task, ["held_out"], [picture])
    score = presets.read_card(presets.PRESETS[name]).held_out()
    assert score.metric == "psnr" and abs(found["held_out_psnr"] - score.value) <= 0.05
    assert found["held_out_gain"] > 0.5
