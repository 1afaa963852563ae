#!/bin/sh
# Keras 3.15.1: a model that was compiled on torch cannot train on from its file on another backend.
#
# Guess: a `.keras` file is free of the backend, as the guide on multi-backend Keras says; a model
# trained with Adam on torch loads on JAX, compiled, and trains on.
# Seen: the file names torch's own class of optimizer. The model loads and predicts; `fit` fails.
. "$(dirname "$0")/common.sh"
install torch==2.13.0 keras==3.15.1 jax==0.10.2 numpy==2.4.6
cat > part.py <<'PYTHON'
import os
import sys

os.environ["KERAS_BACKEND"] = sys.argv[1]
import keras
import numpy as np

x, y = np.ones((4, 3), "float32"), np.ones((4, 1), "float32")
if sys.argv[2] == "save":
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(0.1), "mse")
    model.fit(x, y, verbose=0)
    model.save("model.keras")
    config = model.get_compile_config()["optimizer"]
    print("saved:", config["module"], config["class_name"])
else:
    model = keras.saving.load_model("model.keras")
    print("predicts:", model.predict(x, verbose=0).shape)
    try:
        model.fit(x, y, verbose=0)
        print("trains")
    except TypeError as error:
        print("TypeError:", str(error).split(",")[0])
PYTHON
run <<'PYTHON'
import subprocess
import sys

for backend, task in (("torch", "save"), ("jax", "load")):
    subprocess.run([sys.executable, "-W", "ignore", "part.py", backend, task], check=True)
PYTHON
seen <<'OUTPUT'
saved: keras.src.backend.torch.optimizers.torch_adam Adam
predicts: (4, 1)
TypeError: expected Tensor as element 0 in argument 0
OUTPUT
