"""Dtype policies of a model whose layers may have different ones, as after quantization."""

import contextlib
import gc

import keras


def policy_for(dtype, path: str):
    """Return the policy of one layer: its entry in a `DTypePolicyMap`, or the single policy.

    A layer with the whole map would compute correctly, but Keras could not save it again.

    Args:
        dtype: A dtype, a policy, or a map from the paths of layers to policies.
        path: The layer's path, such as `"token_embedding"`.
    """
    return dtype[path] if isinstance(dtype, keras.dtype_policies.DTypePolicyMap) else dtype


def quantize_again(model, dtype):
    """Quantize the layers inside other layers that a policy map lists as quantized.

    `policy_for` handles the layers that a model makes itself. Weights are loaded later, from a
    file.

    Args:
        model: A built model.
        dtype: As in `policy_for`.
    """
    if not isinstance(dtype, keras.dtype_policies.DTypePolicyMap):
        return
    with short_collections():
        for layer in model._flatten_layers(include_self=False):
            mode = dtype[layer.path].quantization_mode if layer.path in dtype else None
            if mode is not None and layer.quantization_mode is None:
                layer.quantize(mode)


@contextlib.contextmanager
def short_collections():
    """Return a context that shortens the garbage collection of each layer that Keras quantizes.

    In a process with large libraries each collection would be slow. Objects from before the context
    are excluded, and collected once at its end.
    """
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        gc.collect()
