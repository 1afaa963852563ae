"""Transformer blocks: attention and feed-forward, each around a residual stream."""

from collections.abc import Callable

import keras
from keras import ops

from attnzoo.checks import check_above, check_choice, check_positive, check_rate
from attnzoo.layers.attention.multi_head import MultiHeadAttention
from attnzoo.layers.attention.self_attention import MultiHeadSelfAttention
from attnzoo.layers.base import SpecLayer, constructor_arguments
from attnzoo.layers.lookup import score_class
from attnzoo.layers.masks import first_mask
from attnzoo.layers.positions.base import Position
from attnzoo.layers.scores.base import Score
from attnzoo.layers.sharing import part_config
from attnzoo.layers.stochastic_depth import drop_branches
from attnzoo.layers.transformer.feed_forward import FeedForward

NORMS = {
    "layer": keras.layers.LayerNormalization,
    "rms": keras.layers.RMSNormalization,
}
# Arguments of the self-attention that the block sets itself.
OWN = ("num_heads", "key_dim", "output_dim", "causal", "position", "name", "dtype")


class TransformerBlock(SpecLayer):
    """Base of the blocks of encoder and decoder.

    A block is a few branches, each added to the residual stream x:

        norm_first:      x = x + dropout(branch(norm(x)))
        not norm_first:  x = norm(x + dropout(branch(x)))

    Args:
        hidden_dim: D, the width of x, in features. A multiple of `num_heads`.
        num_heads: N. At least 1.
        feed_forward_dim: Width of the feed-forward's hidden layer, in features. At least 1.
        activation: As in `FeedForward`: also `"glu"`, `"geglu"` or `"swiglu"`.
        norm: `"layer"` or `"rms"`.
        norm_first: Whether each branch normalizes what it reads, or the stream is normalized after
            each branch.
        dropout: Probability of dropping a feature of a branch, and of the feed-forward's hidden
            layer. In [0, 1).
        stochastic_depth: Probability of leaving out a branch in training, for each example by
            itself; the others are scaled up. In [0, 1).
        epsilon: Number that the norms add to the variance. Above 0.
        position: Acts in the self-attention: a `Position`, a name such as `"rotary"`, or None.
        attention: dict of further arguments of the self-attention, such as `dropout`, `window`,
            `num_key_value_heads`, `qk_norm` or `use_bias`; or None.
    """

    causal = False

    def __init__(
        self,
        hidden_dim: int,
        num_heads: int,
        *,
        feed_forward_dim: int,
        activation: str | Callable = "relu",
        norm: str = "layer",
        norm_first: bool = True,
        dropout: float = 0.0,
        stochastic_depth: float = 0.0,
        epsilon: float = 1e-5,
        position: Position | str | None = None,
        attention: dict | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_positive(
            hidden_dim=hidden_dim, num_heads=num_heads, feed_forward_dim=feed_forward_dim
        )
        _check_heads(num_heads, hidden_dim)
        check_choice(sorted(NORMS), norm=norm)
        check_rate(dropout=dropout, stochastic_depth=stochastic_depth)
        check_above(0, epsilon=epsilon)
        _check_attention(attention)
        self.hidden_dim = hidden_dim
        self.num_heads = num_heads
        self.feed_forward_dim = feed_forward_dim
        self.norm = norm
        self.norm_first = norm_first
        self.dropout = dropout
        self.stochastic_depth = stochastic_depth
        self.epsilon = epsilon
        attention = dict(attention or {})
        self.attention = dict(attention)
        if isinstance(attention.get("score"), Score):  # Else Keras would keep its weights here.
            self.attention["score"] = keras.saving.serialize_keras_object(attention["score"])
        self.supports_masking = True

        self.self_attention = MultiHeadSelfAttention(
            num_heads,
            hidden_dim // num_heads,
            causal=self.causal,
            position=position,
            name="self_attention",
            dtype=self.dtype_policy,
            **attention,
        )
        self.feed_forward = FeedForward(
            feed_forward_dim,
            activation=activation,
            dropout=dropout,
            name="feed_forward",
            dtype=self.dtype_policy,
        )
        self.self_attention_norm = self._make_norm("self_attention_norm")
        self.feed_forward_norm = self._make_norm("feed_forward_norm")
        self.dropout_layer = keras.layers.Dropout(dropout, name="dropout", dtype=self.dtype_policy)
        self.seed_generator = keras.random.SeedGenerator() if stochastic_depth else None

    def build(self, x_shape):
        width = x_shape[-1]
        if width != self.hidden_dim:
            raise ValueError(
                f"`x` must be as wide as the block, {self.hidden_dim} features. "
                f"Received: x.shape={tuple(x_shape)}"
            )
        self.self_attention.build(x_shape)
        self.feed_forward.build(x_shape)
        for norm in (self.self_attention_norm, self.feed_forward_norm):
            norm.build(x_shape)
        self.dropout_layer.build(x_shape)
        self.built = True

    def add_residual(self, x, norm: keras.layers.Layer, branch: Callable, training: bool = False):
        """Add a branch to the residual stream: a function of x to what is added, and more.

        Returns:
            x float [B, T, D], and what more the branch gave.
        """
        added, *more = branch(norm(x) if self.norm_first else x)
        added = self._drop_branches(self.dropout_layer(added, training=training), training)
        x = x + added
        return (x if self.norm_first else norm(x)), *more

    def add_feed_forward(self, x, training: bool = False):
        """Add the feed-forward to the residual stream."""

        def branch(x):
            return (self.feed_forward(x, training=training),)

        return self.add_residual(x, self.feed_forward_norm, branch, training)[0]

    def compute_mask(self, x, mask=None):
        return mask

    def get_config(self):
        position, attention = self.self_attention.position, dict(self.attention)
        if not isinstance(attention.get("score", "dot"), str):
            attention["score"] = part_config(self.self_attention.score)
        return {
            **super().get_config(),
            "hidden_dim": self.hidden_dim,
            "num_heads": self.num_heads,
            "feed_forward_dim": self.feed_forward_dim,
            "activation": self.feed_forward.get_config()["activation"],
            "norm": self.norm,
            "norm_first": self.norm_first,
            "dropout": self.dropout,
            "stochastic_depth": self.stochastic_depth,
            "epsilon": self.epsilon,
            "position": None if position is None else part_config(position),
            "attention": attention,
        }

    def _make_norm(self, name):
        return NORMS[self.norm](epsilon=self.epsilon, name=name, dtype=self.dtype_policy)

    def _drop_branches(self, added, training):
        """Drop the branch of some examples: stochastic depth."""
        if not (training and self.stochastic_depth):
            return added
        return drop_branches(added, self.stochastic_depth, self.seed_generator)


@keras.saving.register_keras_serializable(package="attnzoo")
class TransformerEncoderBlock(TransformerBlock):
    """Self-attention over a whole sequence, then feed-forward.

    Differs from the paper: the norm comes first unless `norm_first=False`; stochastic depth, other
    norms, activations and positions are options.

    Args: as in `TransformerBlock`:
        hidden_dim, num_heads, feed_forward_dim, activation, norm, norm_first, dropout,
        stochastic_depth, epsilon, position, attention.

    Call arguments:
        x: float [B, T, D].
        padding_mask: bool [B, T]. True = a real token. None is the mask that Keras sends along with
            x, if there is one.
        attention_mask: bool [T, T], [B, T, T] or [B or 1, N or 1, T, T], or None. True = this token
            may attend to that.
        return_alignments: Whether to return the alignments too.
        training: Whether dropout and stochastic depth are on.
        mask, x_mask: The names by which Keras sends a mask along; see `padding_mask`.

    Returns:
        float [B, T, D]; with `return_alignments=True` the pair of it and the alignments, float
        [B, N, T, T].

    Raises:
        ValueError: If heads do not divide, a number is out of range, norm, activation, position or
            a key of `attention` is unknown, x is not as wide as the block, or a mask does not fit.

    Example:
        >>> block = attnzoo.layers.TransformerEncoderBlock(8, 2, feed_forward_dim=32)
        >>> block(x, padding_mask=mask).shape  # B=2, T=3
        (2, 3, 8)

    References:
        [Vaswani et al., 2017](https://arxiv.org/abs/1706.03762), section 3.1.
        [Xiong et al., 2020](https://arxiv.org/abs/2002.04745) (norm first).
        [Zhang and Sennrich, 2019](https://arxiv.org/abs/1910.07467) (RMS norm).
        [Huang et al., 2016](https://arxiv.org/abs/1603.09382) (stochastic depth; there the rate
        grows with the depth of a block).
    """

    def call(
        self,
        x,
        padding_mask=None,
        attention_mask=None,
        return_alignments: bool = False,
        training: bool = False,
        mask=None,
        x_mask=None,
    ):
        padding_mask = first_mask(padding_mask, mask, x_mask)

        def branch(x):
            attended = self.self_attention(
                x,
                padding_mask=padding_mask,
                attention_mask=attention_mask,
                return_alignments=return_alignments,
                training=training,
            )
            return attended if return_alignments else (attended,)

        x, *alignments = self.add_residual(x, self.self_attention_norm, branch, training)
        x = self.add_feed_forward(x, training)
        return (x, *alignments) if return_alignments else x

    def compute_output_spec(
        self,
        x,
        padding_mask=None,
        attention_mask=None,
        return_alignments: bool = False,
        training: bool = False,
        mask=None,
        x_mask=None,
    ):
        padding_mask = first_mask(padding_mask, mask, x_mask)
        self.self_attention.compute_output_spec(x, padding_mask, attention_mask)  # It checks.
        outputs = keras.KerasTensor(x.shape, dtype=self.compute_dtype)
        if not return_alignments:
            return outputs
        batch, length = x.shape[:2]
        shape = (batch, self.num_heads, length, length)
        return outputs, keras.KerasTensor(shape, dtype=self.compute_dtype)


@keras.saving.register_keras_serializable(package="attnzoo")
class TransformerDecoderBlock(TransformerBlock):
    """Causal self-attention, attention to a memory, then feed-forward.

    Training goes over all steps at once, by `call`. Decoding goes on from step to step, by
    `call_with_cache`, with what `prepare` made of the memory once per source, and a cache of the
    keys and values of the steps before. Both give the same.

    Differs from the paper: as in `TransformerEncoderBlock`.

    Args: as in `TransformerBlock`:
        hidden_dim, num_heads, feed_forward_dim, activation, norm, norm_first, dropout,
        stochastic_depth, epsilon, position, attention. `position` and `attention` are of the
        self-attention alone, but `attention`'s `dropout` and `use_bias`, which are of both.

    Call arguments:
        x: float [B, T, D].
        memory: float [B, S, Dm].
        padding_mask: bool [B, T]. True = a real token. None is the mask that Keras sends along with
            x, if there is one.
        memory_mask: bool [B, S]. True = a real row. None is the mask that Keras sends along with
            `memory`, if there is one: the recurrent layers of Keras 3.16 and later send none, so
            pass it there.
        return_alignments: Whether to return the alignments with the memory too.
        training: Whether dropout and stochastic depth are on.
        return_self_alignments: Whether to return the alignments of the self-attention too.
        x_mask: The name by which Keras sends a mask along with x; see `padding_mask`.

    Returns:
        float [B, T, D]; with `return_alignments=True` the pair of it and the alignments, float
        [B, N, T, S]; with `return_self_alignments=True` those of the self-attention come last,
        float [B, N, T, T].

    Raises:
        ValueError: As in `TransformerEncoderBlock`; if a cache or the prepared memory is of another
            batch, or a cache has no room.

    Example:
        >>> block = attnzoo.layers.TransformerDecoderBlock(8, 2, feed_forward_dim=32)
        >>> block(x, memory).shape  # B=2, T=3
        (2, 3, 8)
        >>> prepared = block.prepare(memory)
        >>> cache = block.initial_cache(batch_size=2, max_length=3)
        >>> y, alignments, cache = block.call_with_cache(x[:, :1], prepared, cache, index=0)

    References:
        [Vaswani et al., 2017](https://arxiv.org/abs/1706.03762), section 3.1.
    """

    causal = True

    def __init__(self, hidden_dim: int, num_heads: int, **kwargs):
        super().__init__(hidden_dim, num_heads, **kwargs)
        shared = {k: self.attention[k] for k in ("dropout", "use_bias") if k in self.attention}
        self.cross_attention = MultiHeadAttention(
            num_heads,
            hidden_dim // num_heads,
            name="cross_attention",
            dtype=self.dtype_policy,
            **shared,
        )
        self.cross_attention_norm = self._make_norm("cross_attention_norm")

    def build(self, x_shape, memory_shape):  # type: ignore[override]  # It has a memory.
        super().build(x_shape)
        self.cross_attention.build(x_shape, memory_shape)
        self.cross_attention_norm.build(x_shape)

    def call(
        self,
        x,
        memory,
        padding_mask=None,
        memory_mask=None,
        return_alignments: bool = False,
        training: bool = False,
        return_self_alignments: bool = False,
        x_mask=None,
    ):
        padding_mask = first_mask(padding_mask, x_mask)

        def attend_self(x):
            attended = self.self_attention(
                x,
                padding_mask=padding_mask,
                return_alignments=return_self_alignments,
                training=training,
            )
            return attended if return_self_alignments else (attended,)

        def attend_memory(x):
            attended = self.cross_attention(
                x,
                memory,
                memory_mask=memory_mask,
                return_alignments=return_alignments,
                training=training,
            )
            return attended if return_alignments else (attended,)

        x, *own = self.add_residual(x, self.self_attention_norm, attend_self, training)
        x, *alignments = self.add_residual(x, self.cross_attention_norm, attend_memory, training)
        x = self.add_feed_forward(x, training)
        return (x, *alignments, *own) if alignments or own else x

    # === Step by step ===

    def prepare(self, memory, memory_mask=None) -> dict:
        """Compute what depends on the memory alone: a dict of tensors, batch first, and None."""
        return self.cross_attention.prepare(memory, memory_mask)

    def initial_cache(self, batch_size, max_length: int) -> dict:
        """Return an empty cache for R sequences of at most `max_length` tokens: batch first."""
        return self.self_attention.initial_cache(batch_size, max_length)

    def resize_cache(self, cache: dict, max_length: int) -> dict:
        """Resize a cache to `max_length` tokens; those beyond are lost."""
        return self.self_attention.resize_cache(cache, max_length)

    def call_with_cache(self, x, prepared: dict, cache: dict, index):
        """Take the next steps: one, or a whole prompt at once.

        Args:
            x: float [R, T, D]. R = B * K rows: K hypotheses for each of the B sources, side by
                side; the memory is not repeated for them.
            prepared: Result of `prepare` for the B sources.
            cache: From `initial_cache` or the call before; leaves [R, ...].
            index: int scalar. How many steps are in the cache already.

        Returns:
            float [R, T, D], the alignments with the memory, float [R, N, T, S], and the next cache.
        """
        x = ops.cast(ops.convert_to_tensor(x), self.compute_dtype)  # As `call` has it.

        def attend_self(x):
            return self.self_attention.call_with_cache(x, cache, index)

        def attend_memory(x):
            return self._attend_memory(x, prepared)

        x, cache = self.add_residual(x, self.self_attention_norm, attend_self)
        x, alignments = self.add_residual(x, self.cross_attention_norm, attend_memory)
        return self.add_feed_forward(x), alignments, cache

    def _attend_memory(self, x, prepared):
        """Attend with rows [R, T, D] to B memories: context [R, T, D], alignments [R, N, T, S]."""
        rows, steps, width = ops.shape(x)
        batch = ops.shape(prepared["value"])[0]
        if None not in (prepared["value"].shape[0], x.shape[0]) and rows % batch:
            raise ValueError(
                "The rows of `x` must be a multiple of the sources that were prepared. "
                f"Received: {batch} sources with x.shape={tuple(x.shape)}"
            )
        attention, mask = self.cross_attention, prepared["mask"]
        # No query sees another, so that all of one source's hypotheses and steps stand in a row.
        together = ops.reshape(x, (batch, -1, width))  # [B, K T, D]
        contexts, alignments = attention.attend_heads(
            attention.project_query(together),
            prepared["keys"],
            prepared["values"],
            memory_mask=None if mask is None else mask[:, 0],
            wants_alignments=True,
        )
        context = ops.reshape(attention.project_output(contexts), (rows, steps, width))
        _, heads, _, places = ops.shape(alignments)
        alignments = ops.reshape(alignments, (batch, heads, -1, steps, places))
        alignments = ops.transpose(alignments, (0, 2, 1, 3, 4))  # [B, K, N, T, S]
        return context, ops.reshape(alignments, (rows, heads, steps, places))

    def compute_output_spec(
        self,
        x,
        memory,
        padding_mask=None,
        memory_mask=None,
        return_alignments: bool = False,
        training: bool = False,
        return_self_alignments: bool = False,
        x_mask=None,
    ):
        padding_mask = first_mask(padding_mask, x_mask)
        self.self_attention.compute_output_spec(x, padding_mask)  # It checks.
        self.cross_attention.compute_output_spec(x, memory, memory_mask)
        batch, steps, _ = x.shape
        shapes = [x.shape]
        if return_alignments:
            shapes.append((batch, self.num_heads, steps, memory.shape[1]))
        if return_self_alignments:
            shapes.append((batch, self.num_heads, steps, steps))
        specs = [keras.KerasTensor(shape, dtype=self.compute_dtype) for shape in shapes]
        return tuple(specs) if len(specs) > 1 else specs[0]


def _check_heads(num_heads, hidden_dim):
    """Raise unless the heads share the width of the block."""
    if hidden_dim % num_heads:
        raise ValueError(
            "`num_heads` must divide `hidden_dim`. "
            f"Received: num_heads={num_heads}, hidden_dim={hidden_dim}"
        )


def _check_attention(attention):
    """Raise unless this may go to a block's self-attention."""
    if attention is None:
        return
    if not isinstance(attention, dict):
        raise ValueError(
            f"`attention` must be a dict of arguments, or None. Received: attention={attention!r}"
        )
    own = {name: value for name, value in attention.items() if name in OWN}
    if own:
        raise ValueError(
            f"`attention` must leave out the arguments that the block sets, {OWN}. Received: {own}"
        )
    known = {*constructor_arguments(MultiHeadAttention), "trainable"} - {*OWN}
    score = attention.get("score")
    if isinstance(score, str):
        known |= {*constructor_arguments(score_class(score))} - {*OWN}
    unknown = {name: value for name, value in attention.items() if name not in known}
    if unknown:
        raise ValueError(
            "`attention` must hold arguments of `MultiHeadSelfAttention`, and of a score that is "
            f"given by its name: here {sorted(known)}. Received: {unknown}"
        )
