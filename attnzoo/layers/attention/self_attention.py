"""Multi-head attention of a sequence to itself, all at once or token by token."""

import keras
import numpy as np
from keras import ops

from attnzoo.checks import check_at_least, check_mask_shape, check_positive
from attnzoo.layers.attention.multi_head import MultiHeadAttention
from attnzoo.layers.masks import first_mask
from attnzoo.ops import write_steps


@keras.saving.register_keras_serializable(package="attnzoo")
class MultiHeadSelfAttention(MultiHeadAttention):
    """Multi-head attention of a sequence to itself.

    With `causal=True` it goes token by token too: `call_with_cache` keeps the keys and values of
    the tokens before, and equals `call`.

    Args: as in `MultiHeadAttention`.

    Call arguments:
        inputs: float [B, T, D]. Queries and memory in one.
        padding_mask: bool [B, T]. True = a real token. None is the mask that Keras sends along with
            `inputs`, if there is one.
        attention_mask: bool [T, T], [B, T, T] or [B or 1, N or 1, T, T], or None. True = this query
            may attend to this place.
        return_alignments: Whether to return the alignments too.
        training: Whether weights are dropped.
        mask, inputs_mask: The names by which Keras sends a mask along; see `padding_mask`.

    Returns:
        context float [B, T, Dv]; with `return_alignments=True` the pair of it and the alignments,
        float [B, N, T, T].

    Raises:
        ValueError: As in `MultiHeadAttention`; if a cache is of another batch, or has no room.

    Example:
        >>> attention = attnzoo.layers.MultiHeadSelfAttention(num_heads=4, key_dim=7, causal=True)
        >>> attention(inputs).shape  # B=2, T=3, D=5
        (2, 3, 5)
        >>> cache = attention.initial_cache(batch_size=2, max_length=3)
        >>> context, cache = attention.call_with_cache(inputs[:, :1], cache, index=0)

    References:
        [Vaswani et al., 2017](https://arxiv.org/abs/1706.03762), section 3.2.3.
    """

    mask_argument = "padding_mask"

    def build(self, inputs_shape):  # type: ignore[override]  # One tensor is query and memory.
        super().build(inputs_shape, inputs_shape)

    def call(  # type: ignore[override]  # One tensor is query and memory.
        self,
        inputs,
        padding_mask=None,
        attention_mask=None,
        return_alignments: bool = False,
        training: bool = False,
        mask=None,
        inputs_mask=None,
    ):
        padding_mask = first_mask(padding_mask, mask, inputs_mask)
        self._check_own(padding_mask, inputs)
        return super().call(
            inputs,
            inputs,
            memory_mask=padding_mask,
            attention_mask=attention_mask,
            return_alignments=return_alignments,
            training=training,
        )

    def compute_output_spec(  # type: ignore[override]  # One tensor is query and memory.
        self,
        inputs,
        padding_mask=None,
        attention_mask=None,
        return_alignments: bool = False,
        training: bool = False,
        mask=None,
        inputs_mask=None,
    ):
        padding_mask = first_mask(padding_mask, mask, inputs_mask)
        self._check_own(padding_mask, inputs)
        return super().compute_output_spec(
            inputs, inputs, padding_mask, attention_mask, return_alignments
        )

    def compute_mask(self, inputs, mask=None):
        return mask

    # === Token by token ===

    def initial_cache(self, batch_size, max_length: int) -> dict:
        """Return an empty cache for the first `call_with_cache`.

        Args:
            batch_size: B, in sequences.
            max_length: L, how many tokens there can be. At least 1.

        Returns:
            dict of `"key"`, float [B, M, L, D], and `"value"`, float [B, M, L, Dv]: batch first, so
            that a sampler may repeat and gather it.
        """
        check_positive(max_length=max_length)
        shape = (batch_size, self.num_key_value_heads, max_length)
        return {
            "key": ops.zeros((*shape, self.key_dim), dtype=self.compute_dtype),
            "value": ops.zeros((*shape, self.value_dim), dtype=self.compute_dtype),
        }

    def resize_cache(self, cache: dict, max_length: int) -> dict:
        """Resize a cache to `max_length` tokens. Its own length is known while tracing.

        Tokens beyond are lost.
        """
        check_positive(max_length=max_length)
        room = cache["key"].shape[2]
        more = ((0, 0), (0, 0), (0, max(max_length - room, 0)), (0, 0))
        return {name: ops.pad(leaf[:, :, :max_length], more) for name, leaf in cache.items()}

    def call_with_cache(
        self, inputs, cache: dict, index, padding_mask=None, return_alignments: bool = False
    ):
        """Attend with the next tokens: one, or a whole prompt at once.

        Args:
            inputs: float [B, T, D]. The tokens at `index`..`index + T - 1`.
            cache: Result of `initial_cache` or of the call before. `index + T` is at most L.
            index: int scalar. How many tokens are in the cache already.
            padding_mask: bool [B, L], or None. True = a real token.
            return_alignments: Whether to return the alignments too.

        Returns:
            context float [B, T, Dv], and the next cache; with `return_alignments=True` alignments,
            float [B, N, T, L], in between.

        Raises:
            ValueError: If the attention is not causal, the cache is of another batch, or the tokens
                have no room in it; as far as shapes tell, and `index`, where it is no tensor.
        """
        if not self.causal:
            raise ValueError(
                "A cache needs `causal=True`: else each new token changes the contexts of those "
                f"before. Received: causal={self.causal}"
            )
        inputs = ops.cast(ops.convert_to_tensor(inputs), self.compute_dtype)  # As `call` has it.
        self._check_cache(inputs, cache, index)
        self._check_own(padding_mask, cache["key"][:, 0])
        index = ops.cast(index, "int32")
        steps = index + ops.arange(ops.shape(inputs)[1], dtype="int32")
        queries = self.project_query(inputs)
        key, value = self.project_memory(inputs)
        if self.position is not None:  # Each key is turned once, by its own position.
            queries, key = self.position.rotate(queries, key, steps, steps)
        new = {"key": key, "value": value}
        cache = {
            name: write_steps(leaf, ops.cast(new[name], self.compute_dtype), index, axis=2)
            for name, leaf in cache.items()
        }
        places = ops.arange(ops.shape(cache["key"])[2], dtype="int32")
        back = ops.expand_dims(steps, 1) - places  # [T, L]
        near = back >= 0
        if self.window is not None:
            near = ops.logical_and(near, back <= self.window)
        contexts, alignments = self.attend_heads(
            queries,
            cache["key"],
            cache["value"],
            memory_mask=padding_mask,
            attention_mask=near,
            biases=self._biases(queries, steps, places),
            wants_alignments=return_alignments,
        )
        context = self.project_output(contexts)
        return (context, alignments, cache) if return_alignments else (context, cache)

    def _check_cache(self, inputs, cache, index):
        """Raise unless the tokens go on with this cache, as far as can be seen."""
        (batch, length, _), (rows, _, room, _) = inputs.shape, cache["key"].shape
        if None not in (batch, rows) and batch != rows:
            raise ValueError(
                "`cache` and `inputs` must have the same batch size. "
                f"Received: a cache of {rows} sequences with inputs.shape={tuple(inputs.shape)}"
            )
        known = isinstance(index, (int, np.integer))
        start = int(index) if known else 0
        check_at_least(0, index=start)
        if None not in (length, room) and start + length > room:
            raise ValueError(
                f"`cache` must have room for the tokens before and for these: it has {room} places."
                f" Received: index={start if known else 'a tensor'} with {length} tokens"
            )

    def _check_own(self, padding_mask, inputs):
        check_mask_shape(
            "padding_mask", padding_mask, {"B": inputs.shape[0], "T": inputs.shape[1]}, ["BT"]
        )
