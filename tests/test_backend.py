import os
import pathlib
import subprocess
import sys

import keras
import pytest

from attnzoo import backend

ROOT = pathlib.Path(__file__).parents[1]

# Small enough to be written out, and large enough to go in blocks.
PROGRAM = """
import keras, numpy as np
import attnzoo, attnzoo.layers
query, memory = np.ones((2, 3, 8), "float32"), np.ones((2, 11, 8), "float32")
for attention in (attnzoo.layers.BahdanauAttention(units=7),
                  attnzoo.layers.LocationSensitiveAttention(units=7),
                  attnzoo.layers.MultiHeadAttention(num_heads=2, key_dim=4)):
    context, alignments = attention(query, memory, return_alignments=True)
    np.testing.assert_allclose(alignments.sum(-1), 1.0, rtol=1e-6)
long = np.ones((2, 512, 64), "float32")
np.testing.assert_allclose(attnzoo.ops.additive_scores(long, long, long[0, 0]), 64 * np.tanh(2.0))
heads = np.ones((2, 4, 512, 8), "float32")
np.testing.assert_allclose(attnzoo.ops.dot_product_attention(heads, heads, heads), 1.0, rtol=1e-5)
print(keras.backend.backend())
"""


def test_a_backend_has_its_own_value_or_the_default():
    own = {keras.backend.backend(): "own"}
    assert backend.choose("default", **own) == "own"
    assert backend.choose("default", abacus="own") == "default"


def test_exactly_one_tested_backend_is_in_use():
    in_use = [backend.ON_JAX, backend.ON_TENSORFLOW, backend.ON_TORCH]
    assert in_use.count(True) == 1
    assert [backend.choose(False, **{name: True}) for name in ("jax", "tensorflow", "torch")] == (
        in_use
    )


@pytest.mark.skipif(not backend.ON_JAX, reason="Only JAX is asked for its devices.")
def test_jax_says_whether_it_has_an_accelerator():
    import jax

    assert backend.on_accelerator() is (jax.default_backend() != "cpu")


@pytest.mark.skipif(backend.ON_JAX, reason="JAX is asked for its devices.")
def test_another_backend_counts_as_without_accelerator():
    assert backend.on_accelerator() is False


@pytest.mark.backend_free
def test_the_layers_run_on_a_backend_that_nothing_names():
    child = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM],
        cwd=ROOT,
        env={**os.environ, "KERAS_BACKEND": "numpy"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert child.returncode == 0, child.stderr
    assert child.stdout.split()[-1] == "numpy"
