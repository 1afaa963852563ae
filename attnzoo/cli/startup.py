"""Start of the command: without TensorFlow's log lines, and with a short message after Ctrl-C.

This module imports neither a backend nor other modules of attnzoo, so that it can run before them.
"""

import contextlib
import os
import re
import sys
import tempfile

INTERRUPTED = 130  # Exit status after Ctrl-C.
# Log lines of TensorFlow's libraries from before its own log settings apply.
_LOGGED = re.compile(rb"WARNING: All log messages before absl|[IWE]\d{4} |To enable the following")


def is_command() -> bool:
    """Return whether this process is the command and not a program that imports the package."""
    program = sys.argv[0] if sys.argv else ""
    if program == "-m":  # Python has not found the module yet.
        words = sys.orig_argv
        return "-mattnzoo" in words or "attnzoo" in words[words.index("-m") + 1 :][:1]
    folder, name = os.path.split(program)
    if name == "__main__.py":
        return os.path.basename(folder) == "attnzoo"
    return name.removesuffix(".exe") == "attnzoo"


# What Keras and KerasHub load where it is installed, and a command that only reads text can spare.
_SPARED = ("tensorflow", "tensorflow_text", "jax", "matplotlib")


def load_backend(alone: bool = False):
    """Load Keras and its backend without log lines; exit on Ctrl-C, if this is the command.

    Args:
        alone: Whether to spare other backends and matplotlib, in all of this process.
    """
    if alone and is_command() and "keras" not in sys.modules:
        for name in _SPARED:
            if name.partition("_")[0] != _backend():
                sys.modules[name] = None  # type: ignore[assignment] # An ImportError, from now on.
    try:
        with without_start_up_lines():
            import keras  # noqa: F401
    except KeyboardInterrupt:
        if not is_command():
            raise
        print("attnzoo: stopped before it began. Give the command again.", file=sys.stderr)
        sys.exit(INTERRUPTED)


def _backend() -> str:
    """Return the name of Keras's backend, before Keras is loaded; TensorFlow if it is not known."""
    return os.environ.get("KERAS_BACKEND") or "tensorflow"


def load_tensorflow():
    """Load TensorFlow, which the models need on every backend, without its start-up lines.

    It stays away if `load_backend` has spared it.
    """
    if "tensorflow" not in sys.modules:
        with without_start_up_lines():
            import tensorflow  # noqa: F401


def announce_compiling():
    """Print on standard error that the backend compiles, if it does."""
    import keras

    if keras.backend.backend() != "torch":
        message = f"Compiling for {keras.backend.backend()}, which takes some seconds."
        print(message, file=sys.stderr, flush=True)


@contextlib.contextmanager
def without_start_up_lines():
    """Keep TensorFlow's log off standard error, unless TF_CPP_MIN_LOG_LEVEL asks for it (0, 1)."""
    if os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3") in ("0", "1"):
        yield
        return
    try:
        stderr = os.dup(2)
    except OSError:  # It is closed.
        yield
        return
    sys.stderr.flush()
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(stderr, 2)
            os.close(stderr)
            held.seek(0)
            for line in held:
                if not _LOGGED.match(line):
                    os.write(2, line)
