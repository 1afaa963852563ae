"""What depends on the Keras backend: every choice has a default, for the backends not named.

Speed was measured on JAX, TensorFlow and torch. On any other backend that Keras has, the layers run
in the plain form.
"""

from typing import TypeVar

import keras

Value = TypeVar("Value")


def choose(default: Value, **by_backend: Value) -> Value:
    """Return the value for the backend in use.

    Args:
        default: The value for each backend that is not named.
        **by_backend: Values by the name of a backend: `jax`, `tensorflow`, `torch`, ...

    Example:
        >>> choose(2**19, tensorflow=2**22)  # On JAX.
        524288
    """
    return by_backend.get(keras.backend.backend(), default)


ON_JAX = choose(False, jax=True)
ON_TENSORFLOW = choose(False, tensorflow=True)
ON_TORCH = choose(False, torch=True)


def on_accelerator() -> bool:
    """Return whether JAX computes on a GPU or TPU. On other backends False."""
    if not ON_JAX:
        return False
    import jax

    return jax.default_backend() != "cpu"
