"""What every test shares: one thread, quick compilation, and the package beside the tests."""

import collections
import os
import pathlib
import sys

# Before any backend is loaded. Thread pools that spin against each other slow tests ten-fold.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# TensorFlow and JAX.
os.environ.setdefault(
    "XLA_FLAGS", "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
)
if os.environ.get("KERAS_BACKEND") == "jax":
    # Tests compile much and run little; what one run has compiled, the next one need not.
    _CACHE = pathlib.Path(__file__).parents[1] / ".pytest_cache" / "jax"
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(_CACHE))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

import pytest

from tests import tools


@pytest.fixture
def without_compilation():
    """See `tests.tools.without_compilation`."""
    with tools.without_compilation():
        yield


def pytest_collection_modifyitems(items):
    """Notebooks first, then files by their number of tests: no worker ends with a long file."""
    counts = collections.Counter(item.path for item in items)
    items.sort(key=lambda item: (item.path.name != "test_notebooks.py", -counts[item.path]))
