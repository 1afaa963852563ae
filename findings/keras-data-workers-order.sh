#!/bin/sh
# Keras 3.15.1 on torch: with `PyDataset(workers=2)` the first `fit` sees the first batch last.
#
# Guess: `shuffle=False` keeps the order, with any number of workers. (JAX does the same; a model
# that is built first keeps the order.)
# Seen: batches 1, 2, 3, 0 in every epoch of a first `fit`: what depends on the order, such as a
# curriculum from short to long, or what is recorded by batch, is off by one.
. "$(dirname "$0")/common.sh"
install keras==3.15.1 torch==2.13.0 numpy==2.4.6
export KERAS_BACKEND=torch
run <<'PYTHON'
import keras
import numpy as np

seen = []


class Data(keras.utils.PyDataset):
    def __len__(self):
        return 4

    def __getitem__(self, index):
        return np.full((1, 1), float(index)), np.zeros((1, 1))


class Model(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(1)

    def call(self, x):
        return self.dense(x)

    def train_step(self, data):
        seen.append(int(data[0][0, 0]))
        return super().train_step(data)


for workers in (1, 2):
    model = Model()
    model.compile("sgd", "mse")
    seen.clear()
    model.fit(Data(workers=workers), shuffle=False, epochs=2, verbose=0)
    print(f"{workers} workers: {seen}")
PYTHON
seen <<'OUTPUT'
1 workers: [0, 1, 2, 3, 0, 1, 2, 3]
2 workers: [1, 2, 3, 0, 1, 2, 3, 0]
OUTPUT
