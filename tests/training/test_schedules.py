import math

import keras
import numpy as np
import pytest

from attnzoo import layers
from attnzoo.models.objectives.scheduled_sampling import ScheduledSampling
from attnzoo.training import (
    VariableSchedule,
    exponential_decay,
    inverse_sigmoid_decay,
    linear_decay,
)


class Scaled(keras.layers.Layer):
    """outputs = scale * inputs, with a scale that nothing trains."""

    def build(self, shape):
        self.scale = self.add_weight(shape=(), initializer="ones", trainable=False, name="scale")

    def call(self, inputs):
        return self.scale * inputs


def test_a_variable_follows_its_schedule_in_training():
    layer = Scaled()
    model = keras.Sequential([keras.Input((1,)), layer])
    # The loss is the scale that the training step saw.
    model.compile("sgd", loss=lambda _, outputs: keras.ops.mean(outputs))
    schedule = VariableSchedule(layer.scale, lambda epoch: 10.0 / (1.0 + epoch))
    ones = np.ones((6, 1), "float32")
    history = model.fit(
        ones, ones, batch_size=2, epochs=5, initial_epoch=1, verbose=0, callbacks=[schedule]
    )
    np.testing.assert_allclose(history.history["loss"], [5.0, 10.0 / 3.0, 2.5, 2.0], rtol=1e-6)


def fit_with(schedule, model, epochs=3):
    ones = np.ones((6, 3, 5), "float32")
    model.fit([ones, ones], ones, epochs=epochs, verbose=0, callbacks=[schedule])


def make_gumbel():
    query, memory = keras.Input((3, 5)), keras.Input((3, 5))
    attention = layers.HardAttention("bilinear", estimator="gumbel")
    model = keras.Model([query, memory], attention(query, memory))
    model.compile("sgd", "mse")
    return attention, model


def test_a_temperature_is_annealed_while_its_model_trains():
    attention, model = make_gumbel()
    fit_with(VariableSchedule(attention.temperature, lambda epoch: 0.5**epoch), model)
    assert float(attention.temperature.numpy()) == 0.25


@pytest.mark.parametrize(
    ("schedule", "received"),
    [
        (lambda epoch: 1.0 - 0.5 * epoch, "above 0. Received: 0.0 at epoch 2"),
        (lambda epoch: -1.0, "above 0. Received: -1.0 at epoch 0"),
        (lambda epoch: math.inf if epoch else 1.0, "above 0. Received: inf at epoch 1"),
    ],
)
def test_a_temperature_that_would_leave_its_range_is_refused_before_training(schedule, received):
    attention, model = make_gumbel()
    before = [weight.numpy() for weight in model.weights]
    with pytest.raises(ValueError, match=f"`schedule` must give `temperature` .* {received}"):
        fit_with(VariableSchedule(attention.temperature, schedule), model)
    for weight, old in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(weight.numpy(), old)


def test_the_probability_of_sampling_stays_one():
    probability = ScheduledSampling(0.5).probability
    schedule = VariableSchedule(probability, lambda epoch: 0.5 + epoch)
    schedule.set_params({"epochs": 2})
    message = r"`sampling_probability` a value that is in \[0, 1\]. Received: 1.5 at epoch 1"
    with pytest.raises(ValueError, match=message):
        schedule.on_train_begin()


def test_a_variable_of_no_range_takes_what_is_finite():
    schedule = VariableSchedule(keras.Variable(0.5, name="alpha"), lambda epoch: math.nan)
    with pytest.raises(ValueError, match="`alpha` a value that is finite. Received: nan at epoch"):
        schedule.on_epoch_begin(7)


@pytest.mark.parametrize(
    ("variable", "schedule", "message"),
    [
        (0.5, lambda epoch: 0.5, "`variable` must be a .* built.* Received: variable=0.5"),
        (None, lambda epoch: 0.5, r"compile\(sampling_probability=.* Received: variable=None"),
        (keras.Variable(0.5), 0.9, "`schedule` must be a function .* Received: schedule=0.9"),
    ],
)
def test_what_cannot_follow_or_lead_is_refused(variable, schedule, message):
    with pytest.raises(ValueError, match=message):
        VariableSchedule(variable, schedule)


def test_the_true_token_gives_way_as_the_paper_says():
    """What is sampled is what the paper's formulas for the true token leave of 1."""
    for epoch in range(30):
        falling = max(0.2, 0.9 - 0.05 * epoch)
        assert linear_decay(0.05, offset=0.9, floor=0.2)(epoch) == pytest.approx(1 - falling)
        assert exponential_decay(0.8)(epoch) == pytest.approx(1 - 0.8**epoch)
        falling = 5.0 / (5.0 + math.exp(epoch / 5.0))
        assert inverse_sigmoid_decay(5.0)(epoch) == pytest.approx(1 - falling)


def test_sampling_begins_low_rises_and_stays_a_probability():
    each = [linear_decay(0.01), exponential_decay(0.99), inverse_sigmoid_decay(25.0)]
    for schedule, first in zip(each, (0.0, 0.0, 1 / 26), strict=True):
        values = [schedule(epoch) for epoch in [*range(200), 10**6]]
        assert values[0] == pytest.approx(first)
        assert all(one < other for one, other in zip(values[:90], values[1:91], strict=True))
        assert values[-1] == pytest.approx(1.0) and max(values) <= 1.0
    assert inverse_sigmoid_decay(4.0)(4.0 * math.log(4.0)) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: linear_decay(-0.1), "`slope` must be at least 0. Received: slope=-0.1"),
        (lambda: linear_decay(0.1, offset=1.5), r"in \[0, 1\], .* Received: floor=0.0, offset=1.5"),
        (lambda: linear_decay(0.1, floor=-0.5), r"in \[0, 1\], .* Received: floor=-0.5, offset=1"),
        (lambda: linear_decay(0.1, offset=0.2, floor=0.3), "`floor` at most `offset`. .*floor=0.3"),
        (lambda: exponential_decay(1.0), "above 0 and below 1. Received: base=1.0"),
        (lambda: exponential_decay(0.0), "above 0 and below 1. Received: base=0.0"),
        (lambda: inverse_sigmoid_decay(0.5), "at least 1, and finite. Received: pace=0.5"),
        (lambda: inverse_sigmoid_decay(math.inf), "at least 1, and finite. Received: pace=inf"),
    ],
)
def test_a_schedule_that_leaves_the_range_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
