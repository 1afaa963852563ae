"""A process that has TensorFlow, and nothing else of ours, runs SavedModels."""

import json
import os
import subprocess
import sys

import numpy as np

# Modules that are not to be found, as if they were not installed, and a look at the artefacts.
_PROGRAM = """
import json, sys

class Without:
    def __init__(self, finder):
        self.finder = finder
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("attnzoo", "keras", "keras_hub", "tensorflow_text", "tf_keras"):
            return None
        return self.finder.find_spec(name, path, target)

sys.meta_path[:] = [Without(finder) for finder in sys.meta_path]
import tensorflow as tf

def decode(value):
    if isinstance(value, list):
        return [decode(one) for one in value]
    return value.decode() if isinstance(value, bytes) else value

results = {"outputs": {}, "weights": {}}
for path, feeds in json.loads(sys.argv[1]).items():
    loaded = tf.saved_model.load(path)
    serve = loaded.signatures["serving_default"]
    dtypes = {name: spec.dtype for name, spec in serve.structured_input_signature[1].items()}
    results["outputs"][path] = [
        {
            key: decode(value.numpy().tolist())
            for key, value in serve(
                **{name: tf.constant(rows, dtypes[name]) for name, rows in given.items()}
            ).items()
        }
        for given in feeds
    ]
    results["weights"][path] = [tuple(weight.shape) for weight in loaded.weights]
results["modules"] = sorted({name.split(".")[0] for name in sys.modules})
with open(sys.argv[2], "w") as file:
    json.dump(results, file)
"""


def consume(feeds: dict, folder) -> dict:
    """Run SavedModels.

    Args:
        feeds: By path, a list of what goes in: dicts of lists.
        folder: Where to work.

    Returns:
        dict of `"outputs"`, by path a list of dicts of NumPy arrays; `"weights"`, by path the
        shapes; and `"modules"`, what had been imported at the end.
    """
    results = folder / "results.json"
    environment = {key: value for key, value in os.environ.items() if key != "XLA_FLAGS"}
    environment["CUDA_VISIBLE_DEVICES"] = ""
    subprocess.run(
        [sys.executable, "-c", _PROGRAM, json.dumps(feeds), str(results)],
        check=True,
        env=environment,
        cwd=folder,
    )
    consumed = json.loads(results.read_text())
    consumed["outputs"] = {
        path: [{name: np.array(value) for name, value in one.items()} for one in outputs]
        for path, outputs in consumed["outputs"].items()
    }
    return consumed
