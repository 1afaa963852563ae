#!/bin/sh
# Keras 3.15.1: `MelSpectrogram` gives a clip other features in another batch.
#
# Guess: a layer without weights treats each clip by itself. `top_db` cuts what is more than 80 dB
# below the loudest value, "of the clip".
# Seen: it is the loudest value of the batch. A quiet clip beside a loud one loses more than 10 dB
# of what it has alone, so that training, evaluation by batches and serving one by one differ.
. "$(dirname "$0")/common.sh"
install keras==3.15.1 torch==2.13.0 numpy==2.4.6
export KERAS_BACKEND=torch
run <<'PYTHON'
import keras
import numpy as np

time = np.arange(2000)
quiet = (1e-3 * np.sin(0.3 * time)).astype("float32")
loud = np.sin(0.7 * time).astype("float32")
layer = keras.layers.MelSpectrogram(
    fft_length=256, sequence_stride=128, sampling_rate=8000, num_mel_bins=8
)
alone = keras.ops.convert_to_numpy(layer(quiet[None]))[0]
twice = keras.ops.convert_to_numpy(layer(np.stack([quiet, quiet])))[0]
beside = keras.ops.convert_to_numpy(layer(np.stack([quiet, loud])))[0]
print("beside itself, the same:", bool(np.allclose(alone, twice, atol=1e-2)))
print("beside a loud clip, the same:", bool(np.allclose(alone, beside, atol=1e-2)))
print("differs by more than 10 dB:", bool(np.abs(alone - beside).max() > 10))
print("and only upwards, to the floor of the batch:", bool((beside >= alone - 1e-2).all()))
PYTHON
seen <<'OUTPUT'
beside itself, the same: True
beside a loud clip, the same: False
differs by more than 10 dB: True
and only upwards, to the floor of the batch: True
OUTPUT
