import math

import keras
import numpy as np
import pytest
from keras import ops

from attnzoo.training import InverseSquareRootDecay


def test_the_rate_is_the_paper_s():
    width, warmup = 512, 7
    schedule = InverseSquareRootDecay((width * warmup) ** -0.5, warmup_steps=warmup)
    for t in (1, 2, 6, 7, 8, 11, 10**6):
        expected = width**-0.5 * min(t**-0.5, t * warmup**-1.5)
        rate = schedule(ops.convert_to_tensor(t - 1, dtype="int32"))
        assert float(rate) == pytest.approx(expected, rel=1e-6)


def test_a_compiled_step_goes_by_it_and_a_file_keeps_it(tmp_path):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    schedule = InverseSquareRootDecay(0.5, warmup_steps=2)
    # The gradient is 1, so a step takes the rate off the weight.
    model.compile(keras.optimizers.SGD(schedule), loss=lambda _, outputs: ops.mean(outputs))
    model.set_weights([np.zeros((1, 1))])
    ones = np.ones((5, 1), "float32")
    model.fit(ones, ones, batch_size=1, verbose=0)
    expected = 0.5 * (1 / 2 + 1 + sum(math.sqrt(2 / t) for t in (3, 4, 5)))
    np.testing.assert_allclose(model.get_weights()[0], [[-expected]], rtol=1e-5)

    config = keras.optimizers.serialize(model.optimizer)
    again = keras.optimizers.deserialize(config)
    assert again.get_config()["learning_rate"]["config"] == schedule.get_config()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"peak": 0.0, "warmup_steps": 1}, "above 0, and finite. Received: peak=0.0"),
        ({"peak": math.inf, "warmup_steps": 1}, "above 0, and finite. Received: peak=inf"),
        ({"peak": 1.0, "warmup_steps": 0}, "at least 1. Received: warmup_steps=0"),
    ],
)
def test_a_rate_out_of_range_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        InverseSquareRootDecay(**arguments)
