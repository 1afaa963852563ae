"""Hard attentions with set weights, and their draws by the reference."""

import numpy as np
from keras import ops

from attnzoo import layers
from tests import references
from tests.tools import lengths_mask, normal, set_weights, weights_of

QUERY, MEMORY = normal(2, 3, 5, seed=1), normal(2, 11, 7, seed=2)
MASK, STEPS = lengths_mask([11, 7], 11), lengths_mask([3, 2], 3)
CLASSES = {
    "reinforce": layers.ReinforceAttention,
    "straight_through": layers.StraightThroughAttention,
    "gumbel": layers.GumbelSoftmaxAttention,
}


def built(estimator="reinforce", **arguments):
    attention = CLASSES[estimator]("bilinear", **arguments)
    attention.build(QUERY.shape, MEMORY.shape)
    set_weights(attention)
    return attention


def prepared_for(attention, memory=MEMORY, mask=MASK):
    return attention.prepare(ops.convert_to_tensor(memory), ops.convert_to_tensor(mask))


def scores_of(attention, query=QUERY, memory=MEMORY):
    return references.bilinear_scores(query, memory, weights_of(attention.score)["kernel"])


def drawn_from(scores, noise, samples=1):
    """The share of each place: where score and noise have their highest sum."""
    noise = noise.reshape(*scores.shape[:2], samples, scores.shape[-1])
    drawn = [
        references.hard_attention(scores + noise[:, :, n], MEMORY, MASK[:, None])[1]
        for n in range(samples)
    ]
    return np.mean(drawn, axis=0)
