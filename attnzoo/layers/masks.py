"""Masks that Keras sends along with tensors, as `Embedding(mask_zero=True)` makes them.

Keras hands such a mask over as an argument of `call`: as `mask` where a layer is called with one
tensor, as `x_mask` for each tensor `x` where it is called with several. Only there is it at hand on
every backend, compiled or not.
"""

import warnings

import keras


def first_mask(*masks):
    """Return the first mask that is given: the caller's own, then that of Keras."""
    return next((mask for mask in masks if mask is not None), None)


def warn_of_lost_mask(argument: str, tensor, mask) -> None:
    """Warn where a tensor of a functional model has lost its mask on the way here.

    Some layers and all of `keras.ops` pass on no mask, and then padding is attended to. Only the
    graph of a functional model shows where that happened; a nested model hides it.

    Args:
        argument: The name of the argument that the mask should come by.
        tensor: The memory, [B, S, ...].
        mask: Its mask, or None.
    """
    lost_at = None if mask is not None else _where_lost(tensor)
    if lost_at is not None:
        warnings.warn(
            f"Padding will be attended to: {lost_at!r} passes on no mask. Pass `{argument}=` to "
            "the layer that attends.",
            stacklevel=2,
        )


def _where_lost(tensor) -> str | None:
    """Return the name of the operation that lost the mask, or None."""
    lost_at = None
    while getattr(tensor, "_keras_mask", None) is None:
        history = getattr(tensor, "_keras_history", None)
        if history is None or isinstance(history.operation, keras.Model):
            return None
        sources = history.operation._inbound_nodes[history.node_index].input_tensors
        # Keras passes on the mask of the first input; where steps are others, none fits.
        if not sources or len(sources[0].shape) < 3 or sources[0].shape[:2] != tensor.shape[:2]:
            return None
        lost_at, tensor = history.operation.name, sources[0]
    return lost_at
