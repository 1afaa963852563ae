"""Dtype policies of a model whose layers may differ in them, as after quantization."""

import keras


def policy_for(dtype, path: str):
    """The policy of one layer: of a `keras.dtype_policies.DTypePolicyMap` its own, else the one.

    A layer that was given the whole map would compute rightly, but Keras could not save it again.

    Args:
        dtype: A dtype, a policy, or a map from the paths of layers to policies.
        path: The layer's path, such as `"token_embedding"`.
    """
    return dtype[path] if isinstance(dtype, keras.dtype_policies.DTypePolicyMap) else dtype
