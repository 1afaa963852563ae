"""A stack of recurrent layers that reads a source."""

from collections.abc import Sequence

import keras
from keras import ops

from attnzoo.backend import ON_TORCH
from attnzoo.checks import check_rate
from attnzoo.layers.base import SpecLayer
from attnzoo.layers.loop import run_loop
from attnzoo.layers.rnn.equations import bind, output_size, state_sizes
from attnzoo.layers.rnn.torch_rnn import can_fuse, fused_rnn


@keras.saving.register_keras_serializable(package="attnzoo")
class RNNEncoder(SpecLayer):
    """Encoder that reads a sequence with a stack of recurrent cells, in one direction or both.

        forward[s]  = cell(inputs[s], forward[s-1])
        backward[s] = cell'(inputs[s], backward[s+1])
        memory[s]   = [forward[s]; backward[s]]

    A layer's input is multiplied with its kernel once, for all steps. Padding changes nothing: in
    it the state stands still.

    Args:
        cells: Keras RNN cells of the layers, from the input up.
        backward_cells: As many for the other direction, or None for one direction only.
        dropout: Probability of dropping one feature between layers. In [0, 1).

    Call arguments:
        inputs: float [B, S, D].
        mask: bool [B, S], or None. True = a real step.

    Returns:
        memory float [B, S, Dm], and the list of the top layer's final states, float [B, units]: the
        forward cell's, then the backward cell's.

    Raises:
        ValueError: If there is no cell, the directions have not equally many layers, or `dropout`
            is outside [0, 1).

    Example:
        >>> cells = [keras.layers.GRUCell(7)], [keras.layers.GRUCell(7)]
        >>> memory, states = attnzoo.layers.RNNEncoder(*cells)(inputs)  # B=2, S=11
        >>> memory.shape, [state.shape for state in states]
        ((2, 11, 14), [(2, 7), (2, 7)])

    References:
        [Schuster and Paliwal, 1997](https://doi.org/10.1109/78.650093).
    """

    def __init__(
        self,
        cells: Sequence,
        backward_cells: Sequence | None = None,
        *,
        dropout: float = 0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.cells = list(cells)
        self.backward_cells = list(backward_cells or [])
        if not self.cells or len(self.backward_cells) not in (0, len(self.cells)):
            raise ValueError(
                "An encoder needs at least one cell, and as many backward as forward ones or none. "
                f"Received: {len(self.cells)} cells, {len(self.backward_cells)} backward cells"
            )
        check_rate(dropout=dropout)
        self.dropouts = [
            keras.layers.Dropout(dropout, name=f"dropout_{i}", dtype=self.dtype_policy)
            for i in range(1, len(self.cells))
        ]
        self.dropout = dropout
        self.supports_masking = True

    def build(self, inputs_shape):
        batch, _, width = inputs_shape
        for layer in self._layers_of_cells():
            for cell in layer:
                if not cell.built:
                    cell.build((batch, width))
                    cell.built = True
            width = sum(output_size(cell) for cell in layer)
        self.built = True

    def call(self, inputs, mask=None, training: bool = False):
        for i, layer in enumerate(self._layers_of_cells()):
            if i > 0:
                inputs = self.dropouts[i - 1](inputs, training=training)
            if ON_TORCH and can_fuse(layer, bool(training), mask, self.compute_dtype):
                inputs, states = fused_rnn(layer, inputs, mask)
                continue
            outputs, states = [], []
            for cell, backward in zip(layer, (False, True), strict=False):
                output, state = self._run(cell, inputs, mask, bool(training), backward)
                outputs.append(output)
                states.extend(state)
            inputs = outputs[0] if len(outputs) == 1 else ops.concatenate(outputs, axis=-1)
        return inputs, states

    def _run(self, cell, inputs, mask, training, backward):
        equations = bind(cell, inputs.shape[-1], training)
        projected = equations.project(inputs)  # [B, S, P]
        if mask is not None:  # The mask rides along as one more feature of the loop's input.
            projected = ops.concatenate(
                [projected, ops.cast(mask, projected.dtype)[:, :, None]], axis=-1
            )

        def body(projected, states):
            if mask is None:
                return equations.step(projected, None, states)
            real = projected[:, -1:] > 0.5  # [B, 1]
            output, moved = equations.step(projected[:, :-1], None, states)
            states = [ops.where(real, new, old) for new, old in zip(moved, states, strict=True)]
            return output, states

        batch = ops.shape(inputs)[0]
        zeros = [ops.zeros((batch, size), dtype=self.compute_dtype) for size in state_sizes(cell)]
        outputs, states = run_loop(body, projected, zeros, self.compute_dtype, backward)
        if backward:
            outputs = ops.flip(outputs, axis=1)
        if mask is not None:
            outputs = ops.where(mask[:, :, None], outputs, 0.0)
        return outputs, states

    def _layers_of_cells(self):
        """Return the layers from the input up, each with one cell or two."""
        if not self.backward_cells:
            return [(cell,) for cell in self.cells]
        return list(zip(self.cells, self.backward_cells, strict=True))

    def compute_mask(self, inputs, mask=None):
        top = self._layers_of_cells()[-1]
        return mask, [None for cell in top for _ in state_sizes(cell)]

    def compute_output_spec(self, inputs, mask=None, training: bool = False):
        batch, length = inputs.shape[:2]
        top = self._layers_of_cells()[-1]
        width = sum(output_size(cell) for cell in top)
        sizes = [size for cell in top for size in state_sizes(cell)]
        memory = keras.KerasTensor((batch, length, width), dtype=self.compute_dtype)
        return memory, [keras.KerasTensor((batch, s), dtype=self.compute_dtype) for s in sizes]

    def get_config(self):
        serialize = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "cells": [serialize(cell) for cell in self.cells],
            "backward_cells": [serialize(cell) for cell in self.backward_cells] or None,
            "dropout": self.dropout,
        }

    @classmethod
    def from_config(cls, config: dict):
        revive = keras.saving.deserialize_keras_object
        return cls(
            **{
                **config,
                "cells": [revive(cell) for cell in config["cells"]],
                "backward_cells": [revive(cell) for cell in config["backward_cells"] or []] or None,
            }
        )
