"""Dtype policies of a model whose layers may differ in them, as after quantization."""

import contextlib
import gc

import keras


def policy_for(dtype, path: str):
    """The policy of one layer: of a `keras.dtype_policies.DTypePolicyMap` its own, else the one.

    A layer that was given the whole map would compute rightly, but Keras could not save it again.

    Args:
        dtype: A dtype, a policy, or a map from the paths of layers to policies.
        path: The layer's path, such as `"token_embedding"`.
    """
    return dtype[path] if isinstance(dtype, keras.dtype_policies.DTypePolicyMap) else dtype


def quantize_again(model, dtype):
    """Quantize the layers inside layers that a map says were quantized.

    `policy_for` does it for those that a model makes itself. Weights come later, from a file.

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
    """Keep short the collection of garbage that Keras starts for each layer it quantizes.

    In a process with large libraries each would take long: what there was before is left out, and
    looked at once, at the end.
    """
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        gc.collect()
