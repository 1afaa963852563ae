import keras
import numpy as np
import pytest

from attnzoo.training import VariableSchedule


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


@pytest.mark.parametrize(
    ("variable", "schedule", "message"),
    [
        (0.5, lambda epoch: 0.5, "`variable` must be a .* built. Received: variable=0.5"),
        (keras.Variable(0.5), 0.9, "`schedule` must be a function .* Received: schedule=0.9"),
    ],
)
def test_what_cannot_follow_or_lead_is_refused(variable, schedule, message):
    with pytest.raises(ValueError, match=message):
        VariableSchedule(variable, schedule)
