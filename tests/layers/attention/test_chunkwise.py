import numpy as np
import pytest

from attnzoo import layers
from tests import references
from tests.layers.attention.test_monotonic import (
    MASK,
    MEMORY,
    QUERY,
    built,
    by_steps,
    expected_alignments,
    run,
    walked_alignments,
)
from tests.tools import assert_close, to_numpy, weights_of

PAIRS = MASK[:, None, :]


def expected(attention, align):
    """Context and alignments in NumPy, for bilinear scores."""
    scores = references.bilinear_scores(QUERY, MEMORY, *weights_of(attention.score).values())
    bias = float(attention.score_bias)
    places = align(references.sigmoid(scores + bias) * PAIRS)
    chunk = references.bilinear_scores(QUERY, MEMORY, *weights_of(attention.chunk_score).values())
    alignments = references.chunkwise_alignments(places, chunk, attention.window, PAIRS)
    return alignments @ MEMORY.astype("float64"), alignments


@pytest.mark.parametrize("window", [1, 3, 13])
@pytest.mark.parametrize("mode", ["parallel", "recursive"])
def test_chunkwise_attention_follows_its_equation(mode, window):
    attention = built(layers.ChunkwiseAttention("bilinear", window=window, mode=mode))
    found = expected(attention, expected_alignments)
    assert_close(run(attention), found)
    assert_close(by_steps(attention), found)


@pytest.mark.parametrize("window", [1, 3, 13])
def test_a_hard_step_is_soft_over_the_window_that_ends_at_its_place(window):
    attention = built(layers.ChunkwiseAttention("bilinear", window=window, mode="hard"))
    attention.score_bias.assign(-0.5)
    found = expected(attention, walked_alignments)
    assert_close(run(attention), found)
    assert_close(by_steps(attention), found)
    sums = to_numpy(by_steps(attention)[1]).sum(axis=-1)
    np.testing.assert_allclose(sums, np.round(sums), atol=1e-6)
    assert sums.max() > 0.5


def test_a_window_of_one_is_monotonic_attention():
    chunkwise = built(layers.ChunkwiseAttention("bilinear", window=1))
    plain = built(layers.MonotonicAttention("bilinear"))
    plain.score.kernel.assign(chunkwise.score.kernel)
    plain.score_bias.assign(chunkwise.score_bias)
    assert_close(run(chunkwise), run(plain))


def test_the_chunk_score_is_like_the_score_unless_it_is_given():
    attention = layers.ChunkwiseAttention("additive", units=7, normalize=True, window=2)
    assert attention.chunk_score is not attention.score
    assert (attention.chunk_score.units, attention.chunk_score.normalize) == (7, True)
    attention = layers.ChunkwiseAttention("additive", units=7, window=2, chunk_score="dot")
    assert isinstance(attention.chunk_score, layers.DotScore)
    score = layers.BilinearScore()
    assert layers.ChunkwiseAttention("dot", window=2, chunk_score=score).chunk_score is score


@pytest.mark.parametrize("window", [0, -2, 1.5])
def test_no_window_is_refused(window):
    with pytest.raises(ValueError, match=f"at least 1. Received: window={window}"):
        layers.ChunkwiseAttention("dot", window=window)


def test_a_chunk_score_that_needs_a_width_is_told():
    with pytest.raises(ValueError, match=r"`AdditiveScore\(units=...\)`. Received: units=None"):
        layers.ChunkwiseAttention("dot", window=2, chunk_score="additive")


def test_an_unknown_chunk_score_is_refused():
    with pytest.raises(ValueError, match="Received: score='cosine'"):
        layers.ChunkwiseAttention("dot", window=2, chunk_score="cosine")
