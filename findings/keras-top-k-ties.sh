#!/bin/sh
# Keras 3.15.1: `ops.top_k` chooses other places among equal values on torch than on JAX.
#
# Guess: of equal values the first comes first, as `tf.math.top_k` documents and JAX does: the first
# step of a beam search, or a router with equal logits, is then the same on all backends.
# Seen: JAX gives places 0, 1, 2 of forty equal values; torch gives three others.
. "$(dirname "$0")/common.sh"
install torch==2.13.0 keras==3.15.1 jax==0.10.2 numpy==2.4.6
cat > ties.py <<'PYTHON'
import os
import sys

os.environ["KERAS_BACKEND"] = sys.argv[1]
import numpy as np
from keras import ops

values, places = ops.top_k(np.zeros((1, 40), dtype="float32"), 3)
places = ops.convert_to_numpy(places)[0].tolist()
print(f"{sys.argv[1]}: the first three places: {places == [0, 1, 2]}")
PYTHON
run <<'PYTHON'
import subprocess
import sys

for backend in ("jax", "torch"):
    subprocess.run([sys.executable, "-W", "ignore", "ties.py", backend], check=True)
PYTHON
seen <<'OUTPUT'
jax: the first three places: True
torch: the first three places: False
OUTPUT
