"""The base of the layers that describe their outputs by `compute_output_spec`."""

import inspect

import keras
from keras import tree


def constructor_arguments(cls) -> dict:
    """Return the parameters of a class's constructor by name, without `self` and `**kwargs`.

    They are read from `__init__`: with Keras's NNX the signature of a layer class itself is
    `(*args, **kwargs)`.
    """
    parameters = inspect.signature(cls.__init__).parameters
    unnamed = inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD
    _, *named = (one for one in parameters.values() if one.kind not in unnamed)
    return {one.name: one for one in named}


class SpecLayer(keras.layers.Layer):
    """A layer that computes the shapes of its outputs by its `compute_output_spec`."""

    def compute_output_shape(self, *shapes, **arguments):
        """Return the shapes of the outputs.

        Args:
            *shapes: Shapes of the first tensors that `call` takes, in its order.
            **arguments: Shapes by name, such as `memory_mask_shape`, and the arguments of `call`
                that are no tensors, such as `return_alignments=True`.

        Returns:
            A tuple; for several outputs, tuples in the structure that `call` returns.

        Example:
            >>> attention = attnzoo.layers.LuongAttention()
            >>> attention.compute_output_shape((2, 3, 5), (2, 11, 7), return_alignments=True)
            ((2, 3, 7), (2, 3, 11))
        """
        parameters = inspect.signature(self.call).parameters
        named = dict(zip(parameters, shapes, strict=False))
        options: dict = {}
        for name, value in arguments.items():
            is_shape = name.endswith("_shape") and name not in parameters
            (named if is_shape else options)[name.removesuffix("_shape")] = value

        def spec(name, shape):
            dtype = "bool" if name.endswith("mask") else self.compute_dtype
            dtype = "int32" if name.endswith("token_ids") else dtype
            return tree.map_shape_structure(lambda one: keras.KerasTensor(one, dtype=dtype), shape)

        specs = {name: spec(name, shape) for name, shape in named.items() if shape is not None}
        outputs = self.compute_output_spec(**specs, **options)
        return tree.map_structure(lambda output: tuple(output.shape), outputs)
