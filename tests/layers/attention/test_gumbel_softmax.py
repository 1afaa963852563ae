import pytest
from keras import ops

from attnzoo import layers
from tests import references
from tests.layers.attention.hard_tools import (
    MASK,
    MEMORY,
    QUERY,
    built,
    prepared_for,
    scores_of,
)
from tests.tools import assert_close, normal, to_numpy


def test_gumbel_is_a_softmax_of_scores_and_noise():
    attention = built("gumbel", num_samples=2)
    noise = normal(2, 3, 22, seed=5)
    for temperature in (0.7, 5.0):
        attention.temperature.assign(temperature)
        _, alignments, _ = attention.noisy_step(
            ops.convert_to_tensor(QUERY), prepared_for(attention), (), ops.convert_to_tensor(noise)
        )
        perturbed = scores_of(attention)[:, :, None] + noise.reshape(2, 3, 2, 11)
        expected = references.softmax(perturbed / temperature, MASK[:, None, None]).mean(axis=2)
        assert_close(alignments, expected)


def test_the_temperature_is_no_trained_weight():
    attention = layers.GumbelSoftmaxAttention("bilinear", temperature=0.3)
    attention.build(QUERY.shape, MEMORY.shape)
    assert float(to_numpy(attention.temperature.value)) == pytest.approx(0.3)
    assert attention.temperature in attention.non_trainable_variables
    attention.temperature.assign(0.1)
    assert attention.get_config()["temperature"] == 0.3  # Where it starts.


def test_a_temperature_that_is_not_there_is_explained():
    with pytest.raises(ValueError, match="once the layer is built. Received: built=False"):
        layers.GumbelSoftmaxAttention("bilinear").temperature.assign(0.5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"temperature": 0.0}, "above 0, and finite. Received: temperature=0.0"),
        ({"temperature": float("nan")}, "above 0, and finite. Received: temperature=nan"),
        ({"temperature": float("inf")}, "above 0, and finite. Received: temperature=inf"),
        ({"entropy_weight": 0.1}, "takes those of .* Received: entropy_weight"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        layers.GumbelSoftmaxAttention("bilinear", **arguments)
