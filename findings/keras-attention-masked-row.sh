#!/bin/sh
# Keras 3.15.1: what a row with nothing to attend to gets from `MultiHeadAttention` depends on
# whether its scores are asked for.
#
# Guess: `return_attention_scores=True` adds a result and changes none.
# Seen: without it the row gets the mean of all values, padding included; with it, zeros (before the
# output's bias). So a model that is looked into is another model.
. "$(dirname "$0")/common.sh"
install keras==3.15.1 jax==0.10.2 numpy==2.4.6
export KERAS_BACKEND=jax
run <<'PYTHON'
import keras
import numpy as np

x = np.random.default_rng(0).normal(size=(2, 3, 4)).astype("float32")
mask = np.ones((2, 3, 3), dtype="bool")
mask[1] = False  # The second sequence is all padding.
layer = keras.layers.MultiHeadAttention(num_heads=2, key_dim=2)
plain = np.asarray(layer(x, x, attention_mask=mask))
with_scores, scores = layer(x, x, attention_mask=mask, return_attention_scores=True)
with_scores = np.asarray(with_scores)
print("a real row is the same:", bool(np.allclose(plain[0], with_scores[0], atol=1e-5)))
print("zeros without scores:", bool((plain[1] == 0).all()))
print("zeros with scores:", bool((with_scores[1] == 0).all()))
heads = np.einsum("sd,dnh->snh", x[1], np.asarray(layer._value_dense.kernel))
mean = np.einsum("nh,nhd->d", heads.mean(axis=0), np.asarray(layer._output_dense.kernel))
print("the mean without scores:", bool(np.allclose(plain[1], mean, atol=1e-5)))
PYTHON
seen <<'OUTPUT'
a real row is the same: True
zeros without scores: False
zeros with scores: True
the mean without scores: True
OUTPUT
