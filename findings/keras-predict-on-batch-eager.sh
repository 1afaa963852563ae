#!/bin/sh
# Keras 3.15.1 on JAX: `predict_on_batch` runs a model's Python code at every call while any layer
# that the model holds is not built, though the compiled function is there.
#
# Guess: a layer that is kept and never called costs nothing; after the first call the model is
# compiled.
# Seen: with such a layer the whole model runs eagerly, beside the compiled function, at every call.
. "$(dirname "$0")/common.sh"
install keras==3.15.1 jax==0.10.2 numpy==2.4.6
export KERAS_BACKEND=jax
run <<'PYTHON'
import keras
import numpy as np

calls = []


class Double(keras.layers.Layer):
    def call(self, x):
        calls.append(1)  # Python runs once for each trace, and at each eager call.
        return 2 * x


class Model(keras.Model):
    def __init__(self, spare):
        super().__init__()
        self.double = Double()
        self.spare = keras.layers.Dense(3) if spare else None  # Never called, so never built.

    def call(self, x):
        return self.double(x)


for spare in (False, True):
    model, x = Model(spare), np.ones((2, 3), dtype="float32")
    model.predict_on_batch(x)
    model.predict_on_batch(x)
    calls.clear()
    for _ in range(10):
        model.predict_on_batch(x)
    print(f"with a layer that is not built: {spare}. Python calls in ten warm calls: {len(calls)}")
PYTHON
seen <<'OUTPUT'
with a layer that is not built: False. Python calls in ten warm calls: 0
with a layer that is not built: True. Python calls in ten warm calls: 10
OUTPUT
