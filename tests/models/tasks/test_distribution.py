"""Several devices: any number of texts is shared, and gives what one device gives."""

import json
import os
import subprocess
import sys
import warnings

import keras
import pytest

from attnzoo.models.tasks import batch_sizes

# In a process of its own: how many devices there are is settled when JAX starts.
SHARED = """
import json, sys
import keras
import numpy as np
from tests.models import tiny

def answer():
    task, reader = tiny.make_task(tiny.make_preprocessor()), tiny.make_classifier()
    generated = task.generate(tiny.WORDS[:3], return_scores=True, max_length=3)
    return {
        "outputs": generated["outputs"],
        "scores": np.asarray(generated["scores"]).tolist(),
        "predicted": reader.predict(tiny.TEXTS[:5], verbose=0).tolist(),
    }

alone = answer()
keras.distribution.set_distribution(keras.distribution.DataParallel(auto_shard_dataset=False))
json.dump([len(keras.distribution.list_devices()), alone, answer()], open(sys.argv[1], "w"))
"""


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="Keras distributes on JAX alone")
def test_any_number_of_texts_is_shared_by_four_devices(tmp_path):
    path = tmp_path / "found.json"
    flags = "--xla_force_host_platform_device_count=4 --xla_backend_optimization_level=0"
    environment = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    subprocess.run([sys.executable, "-c", SHARED, str(path)], check=True, env=environment)
    devices, alone, shared = json.loads(path.read_text())
    assert devices == 4
    assert alone["outputs"] == shared["outputs"]
    for name in ("scores", "predicted"):
        assert len(alone[name]) == len(shared[name])
        for one, other in zip(alone[name], shared[name], strict=True):
            assert one == pytest.approx(other, rel=1e-4)


def test_a_distribution_that_does_nothing_is_told(monkeypatch):
    monkeypatch.setattr(keras.distribution, "distribution", lambda: "anything")
    monkeypatch.setattr(keras.backend, "backend", lambda: "tensorflow")
    with pytest.warns(UserWarning, match="distributes nothing .* KERAS_BACKEND=tensorflow"):
        batch_sizes.check_distribution()
    assert batch_sizes.count_devices() == 1


def test_without_a_distribution_nothing_is_said():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        batch_sizes.check_distribution()
    assert batch_sizes.count_devices() == 1
