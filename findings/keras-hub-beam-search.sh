#!/bin/sh
# KerasHub 0.32.0: `BeamSampler` goes on paying for tokens after the end token.
#
# Guess: a hypothesis is finished, and its score fixed, when it has made a stop token.
# Seen: "2 END" has a probability of 0.6, and is never better than "3 5 5 5 5 5" with 0.4; but the
# model is asked what follows END, and that is multiplied in. Where it knows nothing of that
# (uniform over 16 tokens), the better hypothesis sinks below the worse one, which is returned. Where
# it is sure of what follows, the better one is returned.
. "$(dirname "$0")/common.sh"
install keras==3.15.1 jax==0.10.2 numpy==2.4.6 regex==2026.11.19 tokenizers==0.23.3 sentencepiece==0.2.3
install --no-deps keras-hub==0.32.0  # Its samplers need no TensorFlow.
export KERAS_BACKEND=jax
run <<'PYTHON'
import keras_hub
import numpy as np
from keras import ops

END, SIZE, LENGTH = 1, 16, 7


def search(after_the_end):
    table = np.full((SIZE, SIZE), -1e4, dtype="float32")  # Logits, by the last token.
    table[0, 2], table[0, 3] = np.log(0.6), np.log(0.4)
    table[2, END] = table[3, 5] = table[5, 5] = 0.0
    table[END], table[7, 7] = after_the_end, 0.0
    table = ops.convert_to_tensor(table)

    def next(prompt, cache, index):
        last = ops.take(prompt, index - 1, axis=1)
        return ops.take(table, last, axis=0), None, cache

    prompt = ops.zeros((1, LENGTH), dtype="int32")
    sampler = keras_hub.samplers.BeamSampler(num_beams=2)
    tokens = sampler(next, prompt, cache=ops.zeros((1, 1)), index=1, stop_token_ids=[END])
    return ops.convert_to_numpy(tokens)[0].tolist()


sure = np.full(SIZE, -1e4, dtype="float32")
sure[7] = 0.0
print("unsure after the end:", search(0.0))
print("sure after the end: begins with", search(sure)[:3])
PYTHON
seen <<'OUTPUT'
unsure after the end: [0, 3, 5, 5, 5, 5, 5]
sure after the end: begins with [0, 2, 1]
OUTPUT
