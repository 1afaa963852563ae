import numpy as np
import pytest
from keras import ops

from attnzoo import layers
from tests.catalogue import NegativeDistance
from tests.tools import assert_close, normal

QUERY, MEMORY = normal(2, 3, 5, seed=1), normal(2, 11, 5, seed=2)


def test_a_subclass_needs_only_a_comparison():
    expected = -((QUERY[:, :, None] - MEMORY[:, None]) ** 2).sum(-1)
    assert_close(NegativeDistance()(QUERY, MEMORY), expected)


def test_a_score_without_a_comparison_says_so():
    with pytest.raises(NotImplementedError, match=r"`Score` must implement `compare"):
        layers.Score().compare(ops.convert_to_tensor(QUERY), ops.convert_to_tensor(MEMORY))


def test_scores_may_be_large():
    scores = layers.DotScore()(QUERY * 1e6, MEMORY * 1e6)
    assert np.all(np.isfinite(ops.convert_to_numpy(scores)))
