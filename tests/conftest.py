"""What every test shares: one thread, quick compilation, and who runs which test."""

import json
import os
import pathlib
import sys

# Before any backend is loaded. Thread pools that spin against each other slow tests ten-fold.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
if os.environ.get("KERAS_BACKEND") == "jax":
    # Tests compile much and run little: without fusion a kernel compiles in two thirds of the time,
    # and what one run has compiled, the next one need not.
    os.environ.setdefault(
        "XLA_FLAGS",
        "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true "
        "--xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1",
    )
    _CACHE = pathlib.Path(__file__).parents[1] / ".pytest_cache" / "jax"
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(_CACHE))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
os.environ.setdefault(
    "XLA_FLAGS", "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
)
sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

import pytest

ROOT = pathlib.Path(__file__).parents[1]
SECONDS = ROOT / "tests" / "seconds.json"  # By backend and file, as `--record-seconds` wrote them.
# What is whole models: folders of tests.
EAGER = ("cli", "data", "models", "training")
# The first of these in a run runs what no backend can change: it starts fastest.
FASTEST_FIRST = ("jax", "torch", "tensorflow")

_with_xla = False


def pytest_addoption(parser):
    parser.addoption(
        "--shared-by",
        default="",
        help="backends that run the suite one after the other, and share what need not run on each",
    )
    parser.addoption("--slow", action="store_true", help="run tests marked `slow` too")
    parser.addoption("--record-seconds", action="store_true", help=f"write {SECONDS.name}")


def pytest_configure(config):
    """Load Keras, but not in the process that only hands tests out: its workers wait for it."""
    hands_out = config.getoption("dist", "no") != "no" and not hasattr(config, "workerinput")
    if not hands_out and _backend() == "tensorflow":
        _compile_without_xla()


def _backend() -> str:
    import keras

    return keras.backend.backend()


def pytest_collection_modifyitems(config, items):
    """Keep this backend's share, and begin with the longest files: no worker ends with one."""
    backends = config.getoption("--shared-by").split() or [_backend()]
    kept, left = [], []
    cases = {}
    for item in items:
        (kept if _is_ours(item, backends, cases, config) else left).append(item)
    if left:
        config.hook.pytest_deselected(items=left)
    recorded = json.loads(SECONDS.read_text()) if SECONDS.exists() else {}
    seconds = recorded.get(_backend(), {})
    kept.sort(key=lambda item: -seconds.get(_file_of(item), 0.0))
    items[:] = kept


def _is_ours(item, backends, cases, config) -> bool:
    ours = _backend()
    if item.get_closest_marker("slow") and not config.getoption("--slow"):
        return False
    if any(marker.name == "everywhere" for marker in item.own_markers):
        return True
    for marker in item.iter_markers():  # The test's own come before those of its file.
        if marker.name == "backend_free":
            return ours == next(b for b in FASTEST_FIRST if b in backends)
        if marker.name == "only":
            return ours in marker.args
        if marker.name == "shared":
            (chosen,) = marker.args
            return ours == (chosen if chosen in backends else backends[0])
        if marker.name == "rotates":
            test = item.nodeid.split("[")[0]
            case = cases[test] = cases.get(test, -1) + 1
            among = [b for b in backends if b in (marker.args or backends)] or backends
            return ours == among[(case + len(test)) % len(among)]
    return True


def _folder_of(item) -> str:
    return item.path.relative_to(ROOT / "tests").parts[0]


def _file_of(item) -> str:
    return item.path.relative_to(ROOT).as_posix()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """On TensorFlow whole models run eagerly, and none with XLA, unless a test asks for it.

    Tracing a model costs more there than a small one takes to run, and XLA doubles that. Layers are
    traced by their contracts, and models by the tests marked `graph`, by those of exports, and on
    JAX by all.
    """
    if _backend() != "tensorflow":
        return
    import tensorflow as tf

    global _with_xla
    _with_xla = item.get_closest_marker("xla") is not None
    in_graph = _with_xla or item.get_closest_marker("graph") is not None
    tf.config.run_functions_eagerly(_folder_of(item) in EAGER and not in_graph)


def _compile_without_xla():
    """Let no model be compiled with XLA unless its test asks for it."""
    import keras

    # Where Keras looks whether a model has a `compile` of its own.
    trainer = next(cls for cls in keras.Model.__mro__ if "compile" in vars(cls))
    compile_as_asked = trainer.compile

    def compile(self, *args, **kwargs):
        if not _with_xla and kwargs.get("jit_compile") is True:
            kwargs["jit_compile"] = False
        return compile_as_asked(self, *args, **kwargs)

    trainer.compile = compile


@pytest.fixture
def without_compilation():
    """See `tests.tools.without_compilation`."""
    from tests import tools

    with tools.without_compilation():
        yield


def pytest_terminal_summary(terminalreporter, config):
    """Write how long each file took, where that is asked for."""
    if not config.getoption("--record-seconds"):
        return
    seconds = {}
    for report in sum(terminalreporter.stats.values(), []):
        if hasattr(report, "duration"):
            file = report.nodeid.split("::")[0]
            seconds[file] = seconds.get(file, 0.0) + report.duration
    recorded = json.loads(SECONDS.read_text()) if SECONDS.exists() else {}
    recorded[_backend()] = {
        file: round(spent) for file, spent in sorted(seconds.items()) if spent >= 1
    }
    SECONDS.write_text(json.dumps(recorded, indent=1) + "\n")
