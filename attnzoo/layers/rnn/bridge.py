"""The bridge from an encoder's final state to a decoder's first."""

from collections.abc import Sequence

import keras
from keras import ops

from attnzoo.checks import check_positive

_KINDS = ("dense", "copy", "zeros")


@keras.saving.register_keras_serializable(package="attnzoo")
class Bridge(keras.layers.Layer):
    """Layer that makes the decoder's first states of the encoder's final ones.

        dense   state[i] = tanh(W[i] [final states] + b[i])
        copy    state[i] = final state[i], of equal widths
        zeros   state[i] = 0

    Differs from the paper: "dense" sees the final states of both directions, not of the backward
    one alone, and each of the decoder's states has a W of its own.

    Args:
        state_sizes: Widths of the decoder's states, in features. Each at least 1.
        kind: `"dense"`, `"copy"` or `"zeros"`.

    Call arguments:
        final_states: List of float [B, D_i], the encoder's final states.

    Returns:
        List of float [B, state_sizes[i]].

    Raises:
        ValueError: If `kind` is unknown, a size is below 1, or "copy" meets other widths.

    Example:
        >>> [state.shape for state in attnzoo.layers.Bridge([7, 7])([forward, backward])]  # B=2
        [(2, 7), (2, 7)]

    References:
        [Bahdanau et al., 2015](https://arxiv.org/abs/1409.0473), appendix A.2.2.
    """

    def __init__(self, state_sizes: Sequence[int], *, kind: str = "dense", **kwargs):
        super().__init__(**kwargs)
        if kind not in _KINDS:
            raise ValueError(
                f"`kind` (`bridge` of a backbone) must be one of {_KINDS}. Received: kind={kind!r}"
            )
        self.state_sizes = list(state_sizes)
        for size in self.state_sizes:
            check_positive(state_size=size)
        self.kind = kind
        self.dense = []
        if kind == "dense":
            self.dense = [
                keras.layers.Dense(
                    size, activation="tanh", name=f"dense_{i}", dtype=self.dtype_policy
                )
                for i, size in enumerate(self.state_sizes)
            ]

    def build(self, final_states_shape):
        widths = [shape[-1] for shape in final_states_shape]
        if self.kind == "copy" and widths != self.state_sizes:
            raise ValueError(
                'With `kind="copy"` the encoder must leave states of the decoder\'s widths; '
                f'`kind="dense"` takes any. Received: encoder states {widths}, decoder states '
                f"{self.state_sizes}"
            )
        for dense in self.dense:
            dense.build((None, sum(widths)))
        self.built = True

    def call(self, final_states):
        if self.kind == "copy":
            return list(final_states)
        if self.kind == "zeros":
            batch = ops.shape(final_states[0])[0]
            return [ops.zeros((batch, size), dtype=self.compute_dtype) for size in self.state_sizes]
        joined = ops.concatenate(final_states, axis=-1)
        return [dense(joined) for dense in self.dense]

    def compute_output_shape(self, final_states_shape):
        return [(final_states_shape[0][0], size) for size in self.state_sizes]

    def get_config(self):
        return {**super().get_config(), "state_sizes": self.state_sizes, "kind": self.kind}
