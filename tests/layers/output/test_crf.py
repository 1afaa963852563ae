"""A conditional random field, held to the enumeration of all tags in float64."""

import itertools

import numpy as np
import pytest
from keras import ops

from attnzoo import layers
from attnzoo.ops.crf import first_best
from tests import tools

B, S, C = 3, 5, 3
# Places between two tags, none at the end, and none at all.
MASK = np.array([[1, 1, 0, 1, 1], [0, 1, 1, 1, 0], [0, 0, 0, 0, 0]], dtype="bool")
TAGS = np.array([[0, 2, 1, 1, 0], [1, 2, 2, 0, 1], [0, 0, 0, 0, 0]], dtype="int32")


@pytest.fixture(scope="module")
def crf():
    layer = layers.LinearChainCRF()
    layer.build((None, None, C))
    tools.set_weights(layer, scale=1.0)
    return layer


def emissions():
    return 2.0 * tools.normal(B, S, C, seed=1)


def enumerated(layer, scores, mask):
    """log p of every path through the tagged places of one text, float64."""
    weights = [tools.to_numpy(one).astype("float64") for one in layer.weights]
    transitions, start, end = weights
    rows, found = scores[mask].astype("float64"), {}
    for path in itertools.product(range(C), repeat=len(rows)):
        score = sum(row[tag] for row, tag in zip(rows, path, strict=True))
        score += sum(transitions[one, two] for one, two in itertools.pairwise(path))
        if path:
            score += start[path[0]] + end[path[-1]]
        found[path] = score
    values = np.array(list(found.values()))
    total = values.max() + np.log(np.exp(values - values.max()).sum())
    return {path: score - total for path, score in found.items()}, total


def test_it_is_the_sum_over_all_tags(crf):
    scores = emissions()

    def run(scores):
        mask = ops.convert_to_tensor(MASK)
        return {
            "partition": crf.log_partition(scores, mask),
            "likelihood": crf.log_likelihood(scores, ops.convert_to_tensor(TAGS), mask),
            "marginals": crf.log_marginals(scores, mask),
            "best": crf.decode(scores, mask),
        }

    found = tools.to_numpy(tools.compiled(run)(ops.convert_to_tensor(scores)))
    assert found["best"].dtype == "int32"
    for row in range(B):
        mask = MASK[row]
        paths, total = enumerated(crf, scores[row], mask)
        wanted = tuple(TAGS[row][mask])
        np.testing.assert_allclose(found["partition"][row], total, atol=1e-4)
        np.testing.assert_allclose(found["likelihood"][row], paths[wanted], atol=1e-4)
        best = max(paths, key=paths.get)
        assert tuple(found["best"][row][mask]) == best and not found["best"][row][~mask].any()
        marginals = np.zeros((mask.sum(), C))
        for path, log_p in paths.items():
            for place, tag in enumerate(path):
                marginals[place, tag] += np.exp(log_p)
        np.testing.assert_allclose(np.exp(found["marginals"][row][mask]), marginals, atol=1e-5)
        assert not found["marginals"][row][~mask].any()


@pytest.mark.shared("torch")
def test_long_texts_and_large_scores_stay_finite(crf):
    scores = ops.convert_to_tensor(100.0 * tools.normal(2, 131, C))
    mask = ops.ones((2, 131), dtype="bool")
    marginals = tools.to_numpy(crf.log_marginals(scores, mask))
    np.testing.assert_allclose(np.exp(marginals).sum(axis=-1), 1.0, atol=2e-2)
    assert np.isfinite(tools.to_numpy(crf.log_partition(scores, mask))).all()


@pytest.mark.shared("torch")
def test_padding_changes_nothing(crf):
    scores, more = emissions(), 7.0 * tools.normal(B, 2, C, seed=2)
    longer = np.concatenate([scores, more], axis=1)
    mask = np.pad(MASK, ((0, 0), (0, 2)))
    plain = crf.log_marginals(ops.convert_to_tensor(scores), ops.convert_to_tensor(MASK))
    padded = crf.log_marginals(ops.convert_to_tensor(longer), ops.convert_to_tensor(mask))
    np.testing.assert_allclose(tools.to_numpy(padded)[:, :S], tools.to_numpy(plain), atol=1e-6)


@pytest.mark.shared("torch")
def test_of_equal_tags_the_first_is_best():
    scores = ops.convert_to_tensor(np.array([[1.0, 3.0, 3.0], [2.0, 2.0, 1.0]], dtype="float32"))
    assert tools.to_numpy(first_best(scores, axis=1)).tolist() == [1, 0]
