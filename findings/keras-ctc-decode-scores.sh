#!/bin/sh
# Keras 3.15.1: the scores of `ops.ctc_decode` have opposite signs for its two strategies.
#
# Guess: both are log probabilities, so that the higher is the better one and the two can be compared.
# Seen: "greedy" gives *minus* the sum of the largest inputs, which it takes as they are: the lower,
# the better, and unnormalized. "beam_search" gives a log probability.
. "$(dirname "$0")/common.sh"
install keras==3.15.1 jax==0.10.2 numpy==2.4.6
export KERAS_BACKEND=jax
run <<'PYTHON'
import numpy as np
from keras import ops

log_probs = np.log(np.array([[[0.6, 0.3, 0.1], [0.6, 0.3, 0.1]]], dtype="float32"))
for inputs, name in ((log_probs, "log probabilities"), (log_probs + 5.0, "logits, 5 higher")):
    for strategy in ("greedy", "beam_search"):
        decoded, scores = ops.ctc_decode(inputs, np.array([2]), strategy=strategy, mask_index=2)
        ids = np.asarray(decoded)[0, 0].tolist()
        print(f"{name}, {strategy}: {ids} {float(np.asarray(scores)[0, 0]):.2f}")
PYTHON
seen <<'OUTPUT'
log probabilities, greedy: [0, -1] 1.02
log probabilities, beam_search: [0, -1] -0.73
logits, 5 higher, greedy: [0, -1] -8.98
logits, 5 higher, beam_search: [0, -1] -0.73
OUTPUT
