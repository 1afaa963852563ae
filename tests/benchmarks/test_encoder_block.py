"""The encoder blocks that are compared do the same work. Nothing is measured."""

import importlib.util
import pathlib
import sys

import numpy as np
import pytest

if sys.platform != "linux":
    pytest.skip("the benchmarks need Linux", allow_module_level=True)

BENCHMARKS = pathlib.Path(__file__).resolve().parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))
import encoder_block  # noqa: E402
import gradients  # noqa: E402

WIDTH, HIDDEN = 6, 11
SETTINGS = {"width": WIDTH, "heads": 2, "feed_forward_dim": HIDDEN}


@pytest.fixture(scope="module")
def contestant():
    spec = importlib.util.spec_from_file_location(
        "encoder_block_contestant", BENCHMARKS / "contestants" / "encoder_block.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("layer", ["attnzoo", "keras_hub", "torch"])
def test_every_block_has_gradients_of_as_many_numbers(contestant, layer):
    x, direction = np.random.default_rng(0).standard_normal((2, 2, 3, WIDTH)).astype("float32")
    if layer == "torch":
        pytest.importorskip("torch")
        block, versions = contestant.make_torch(SETTINGS)
        compute = gradients.of_torch(block, block, [x], direction)
    else:
        block = contestant.make_keras({**SETTINGS, "layer": layer})
        compute, versions = gradients.of_keras(block, block, [x], direction)
    _, cases = gradients.contest(compute, versions)
    reply = cases["gradients"](1)
    attention, feed_forward = 4 * (WIDTH + 1) * WIDTH, (2 * WIDTH + 1) * HIDDEN + WIDTH
    assert reply["elements"] == x.size + attention + feed_forward + 2 * 2 * WIDTH
    assert reply["finite"]


def test_a_peer_that_is_not_installed_is_left_out_and_named(monkeypatch, capsys):
    monkeypatch.setattr(encoder_block.importlib.util, "find_spec", lambda name: None)
    assert encoder_block._installed(["attnzoo", "x_transformers"]) == ["attnzoo"]
    assert "x-transformers is not installed" in capsys.readouterr().out
