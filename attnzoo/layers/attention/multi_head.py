"""Multi-head attention: several small attentions side by side, each on projections of its own."""

import keras
from keras import ops

from attnzoo.checks import (
    check_above,
    check_attention_inputs,
    check_mask,
    check_mask_shape,
    check_positive,
    check_rate,
)
from attnzoo.layers.attention.base import Attention
from attnzoo.layers.attention.scored import pop_layer_arguments
from attnzoo.layers.dense import apply_dense
from attnzoo.layers.lookup import get_position, get_score, position_class
from attnzoo.layers.masks import warn_of_lost_mask
from attnzoo.layers.positions.base import Position
from attnzoo.layers.scores.base import Score
from attnzoo.layers.sharing import part_config
from attnzoo.ops import get_normalizer
from attnzoo.ops.dot_product import (
    align_heads,
    dot_product_attention,
    dot_product_scores,
    dropped_alignments,
    grouped_matmul,
)

_EPSILON = 1e-6


@keras.saving.register_keras_serializable(package="attnzoo")
class MultiHeadAttention(Attention):
    """Multi-head attention of Vaswani et al., with the changes in use since.

        query[b, n, t]     = W_n query[b, t]
        key[b, n, s]       = U_n memory[b, s]
        value[b, n, s]     = V_n memory[b, s]
        scores[b, n, t, s] = query[b, n, t] · key[b, n, s] / sqrt(key_dim)
        alignments         = softmax over s of scores
        context[b, t]      = O [sum over s of alignments[b, n, t, s] value[b, n, s], for all n]

    There are two ways to the same numbers. Where the alignments are not asked for, the score is the
    dot product and the normalizer the softmax, no [B, N, T, S] is held but the bias of a relative
    position: see `attnzoo.ops.dot_product_attention`. Else all is written out.

    A decoder that goes by `step` gets one alignment a step: the mean over the heads. It tells no
    step where it stands, so `causal`, `window` and `position` are for `call` alone.

    The projections are dense layers, `"query"`, `"key"`, `"value"` and `"attention_output"` by
    name: low-rank adaptation and eight bits reach them as they reach any layer of Keras.

    Differs from the paper: projections have biases, and dropout may fall on the alignments.

    Args:
        num_heads: N. At least 1.
        key_dim: Width of a head's query and key, in features. At least 1.
        value_dim: Width of a head's value, in features; `key_dim` if None.
        num_key_value_heads: How many heads of key and value there are; it divides `num_heads`, and
            each serves as many queries. N if None; 1 is multi-query attention.
        output_dim: Width of the context, in features; that of the query if None.
        score: `"dot"`, or another `Score` or its name, with its own arguments beside it. One score,
            with one set of weights, compares query and key within each head.
        normalizer: `"softmax"`, `"sparsemax"` or `"entmax15"`.
        use_bias: Whether the four projections have biases.
        dropout: Probability of dropping a weight in training. In [0, 1).
        qk_norm: Whether each head's query and key are divided by their root mean square, and
            multiplied with trained factors, before the product.
        soft_cap: Bound of the scores, by soft_cap tanh(scores / soft_cap); above 0, in
            nats. None for no cap.
        causal: Whether query t sees the places 0..t alone.
        window: How far query t sees, in steps: places from t - window to t + window. At least 1.
            None for all.
        position: A `Position` or the name of one, such as `"rotary"`, that acts on query, key and
            scores; or None. One that acts at the input of a model is refused.
        seed: Seed of the dropout, or None.

    Call arguments: as in `Attention`, and
        attention_mask: bool [T, S], [B, T, S] or [B or 1, N or 1, T, S], or None.

    Returns:
        context float [B, T, Dv], Dv = `output_dim`; with `return_alignments=True` the pair of it
        and the alignments, float [B, N, T, S], before dropout. Where nothing may be attended to,
        the alignments are zeros, and the context is the bias of the output.

    Raises:
        ValueError: If a size is below 1, heads do not divide, a number is outside its range, score,
            normalizer or position is unknown, the position acts at the input of a model, a mask
            does not fit, or `step` comes with `causal`, `window` or `position`.

    Example:
        >>> attention = attnzoo.layers.MultiHeadAttention(num_heads=4, key_dim=7)
        >>> context, alignments = attention(query, memory, return_alignments=True)
        >>> context.shape, alignments.shape  # B=2, T=3, Dq=5, S=11
        ((2, 3, 5), (2, 4, 3, 11))

    References:
        [Vaswani et al., 2017](https://arxiv.org/abs/1706.03762), section 3.2.
        [Shazeer, 2019](https://arxiv.org/abs/1911.02150) (multi-query).
        [Ainslie et al., 2023](https://arxiv.org/abs/2305.13245) (grouped queries).
        [Henry et al., 2020](https://arxiv.org/abs/2010.04245) (query and key normalized: there to
        unit length, and a learned factor stands in place of 1 / sqrt(key_dim)).
        [Gemma Team, 2024](https://arxiv.org/abs/2408.00118), section 2 (soft cap).
    """

    mask_argument = "memory_mask"  # The argument of `call` for a mask of the memory.

    def __init__(
        self,
        num_heads: int,
        key_dim: int,
        *,
        value_dim: int | None = None,
        num_key_value_heads: int | None = None,
        output_dim: int | None = None,
        score: Score | str = "dot",
        normalizer: str = "softmax",
        use_bias: bool = True,
        dropout: float = 0.0,
        qk_norm: bool = False,
        soft_cap: float | None = None,
        causal: bool = False,
        window: int | None = None,
        position: Position | str | None = None,
        seed: int | None = None,
        **kwargs,
    ):
        super().__init__(**pop_layer_arguments(kwargs))
        sizes = {
            "value_dim": value_dim,
            "num_key_value_heads": num_key_value_heads,
            "output_dim": output_dim,
            "window": window,
        }
        given = {name: size for name, size in sizes.items() if size is not None}
        check_positive(num_heads=num_heads, key_dim=key_dim, **given)
        if num_key_value_heads is not None and num_heads % num_key_value_heads:
            raise ValueError(
                "`num_key_value_heads` must divide `num_heads`. Received: "
                f"num_key_value_heads={num_key_value_heads}, num_heads={num_heads}"
            )
        check_rate(dropout=dropout)
        check_above(0, soft_cap=soft_cap)
        get_normalizer(normalizer)  # Raises if it is unknown.
        self.num_heads = num_heads
        self.key_dim = key_dim
        self.value_dim = key_dim if value_dim is None else value_dim
        self.num_key_value_heads = num_heads if num_key_value_heads is None else num_key_value_heads
        self.output_dim = output_dim
        self.score = self._make_score(score, kwargs)
        self.normalizer = normalizer
        self.use_bias = use_bias
        self.dropout = dropout
        self.qk_norm = qk_norm
        self.soft_cap = soft_cap
        self.causal = causal
        self.window = window
        self.position = None if position is None else self._make_position(position)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed) if dropout else None
        self.query_dense = self._dense("query", num_heads * key_dim)
        self.key_dense = self._dense("key", self.num_key_value_heads * key_dim)
        self.value_dense = self._dense("value", self.num_key_value_heads * self.value_dim)
        # As wide as the query is, where nothing else is asked for.
        self.output_dense: keras.layers.Dense | None = None

    def build(self, query_shape, memory_shape):
        query_width, memory_width = query_shape[-1], memory_shape[-1]
        output_width = query_width if self.output_dim is None else self.output_dim
        output_dense = self._dense("attention_output", output_width)
        self.query_dense.build((None, query_width))
        self.key_dense.build((None, memory_width))
        self.value_dense.build((None, memory_width))
        output_dense.build((None, self.num_heads * self.value_dim))
        self.output_dense = output_dense
        if self.qk_norm:
            for name in ("query_factor", "key_factor"):
                weight = self.add_weight(shape=(self.key_dim,), initializer="ones", name=name)
                setattr(self, name, weight)
        if self.score != "dot" and not self.score.built:
            of_head = (None, None, self.key_dim)
            self.score.build(of_head, of_head)
        if self.position is not None and not self.position.built:
            self.position.build()
        self.built = True

    # === Projections ===

    def project_query(self, query):
        """Project a query [B, T, Dq] to the heads' [B, N, T, D]."""
        heads = self._split(apply_dense(self.query_dense, query), self.num_heads)
        return self._normalize(heads, self.query_factor) if self.qk_norm else heads

    def project_memory(self, memory):
        """Project memory [B, S, Dm] to the heads' keys [B, M, S, D] and values [B, M, S, Dv]."""
        key = self._split(apply_dense(self.key_dense, memory), self.num_key_value_heads)
        value = self._split(apply_dense(self.value_dense, memory), self.num_key_value_heads)
        return (self._normalize(key, self.key_factor) if self.qk_norm else key), value

    def project_output(self, contexts):
        """Project the heads' contexts [B, N, T, Dv] to the context [B, T, output_dim]."""
        batch, _, length, _ = ops.shape(contexts)
        contexts = ops.transpose(contexts, (0, 2, 1, 3))
        rows = ops.reshape(contexts, (batch, length, self.num_heads * self.value_dim))
        return apply_dense(self.output_dense, rows)

    # === What all heads do ===

    def attend_heads(
        self,
        query,
        key,
        value,
        *,
        memory_mask=None,
        attention_mask=None,
        causal: bool = False,
        window: int | None = None,
        biases: dict | None = None,
        wants_alignments: bool = False,
        drop=None,
    ):
        """Attend with all heads.

        Args:
            query: float [B, N, T, D].
            key: float [B, M, S, D].
            value: float [B, M, S, Dv].
            memory_mask: bool [B, S], or None.
            attention_mask: bool, as in `call`, or None.
            causal: As in the constructor.
            window: As in the constructor.
            biases: Biases of the positions: `{"scores": [B or 1, N or 1, T, S]}`, and `"value"`, a
                function of the alignments to [B, N, T, Dv]; or None.
            wants_alignments: Whether to make the alignments, which are written out for that.
            drop: A seed, int32 [2], or a function that drops alignments; or None.

        Returns:
            contexts float [B, N, T, Dv], and alignments float [B, N, T, S], or None if nobody wants
            them and they were not made.
        """
        biases = biases or {}
        terms = {
            "memory_mask": memory_mask,
            "attention_mask": attention_mask,
            "bias": biases.get("scores"),
            "soft_cap": self.soft_cap,
            "causal": causal,
            "window": window,
        }
        plain = self.score == "dot" and self.normalizer == "softmax" and not callable(drop)
        if plain and not wants_alignments and "value" not in biases:
            dropout = {} if drop is None else {"dropout": self.dropout, "seed": drop}
            return dot_product_attention(query, key, value, **terms, **dropout), None
        alignments = align_heads(self._compare(query, key), normalizer=self.normalizer, **terms)
        used = alignments
        if drop is not None:
            if callable(drop):
                used = drop(used)
            else:
                group = self.num_heads // self.num_key_value_heads
                used = dropped_alignments(used, self.dropout, drop, group)
        contexts = grouped_matmul(used, ops.cast(value, used.dtype))
        if "value" in biases:
            contexts = contexts + biases["value"](used)
        dtype = self.compute_dtype
        return ops.cast(contexts, dtype), ops.cast(alignments, dtype)

    def call(
        self,
        query,
        memory,
        memory_mask=None,
        attention_mask=None,
        return_alignments: bool = False,
        training: bool = False,
        query_mask=None,
    ):
        self._check(query, memory, memory_mask, attention_mask, query_mask)
        queries = self.project_query(query)
        key, value = self.project_memory(memory)
        steps = ops.arange(ops.shape(query)[1], dtype="int32")
        places = ops.arange(ops.shape(memory)[1], dtype="int32")
        if self.position is not None:
            queries, key = self.position.rotate(queries, key, steps, places)
        contexts, alignments = self.attend_heads(
            queries,
            key,
            value,
            memory_mask=memory_mask,
            attention_mask=attention_mask,
            causal=self.causal,
            window=self.window,
            biases=self._biases(queries, steps, places),
            wants_alignments=return_alignments,
            drop=self._draw_seed() if training and self.dropout else None,
        )
        context = self.project_output(contexts)
        return (context, alignments) if return_alignments else context

    # === Step by step ===

    def prepare(self, memory, memory_mask=None):
        key, value = self.project_memory(memory)
        return {
            "keys": key,  # [B, M, S, D]
            "values": value,  # [B, M, S, Dv]
            "value": memory,  # [B, S, Dm]
            "mask": None if memory_mask is None else ops.expand_dims(memory_mask, 1),  # [B, 1, S]
        }

    def attend(self, query, prepared):
        return self._one_alignment(query, prepared)

    @property
    def stochastic(self) -> bool:  # type: ignore[override]  # A constant of the base.
        return self.dropout > 0.0

    def draw_noise(self, prepared, steps):
        """Draw a number in [0, 1) for each head and place, float32 [B, T, N * S]."""
        batch, places = ops.shape(prepared["value"])[:2]
        shape = (batch, steps, self.num_heads * places)
        return keras.random.uniform(shape, dtype="float32", seed=self.seed_generator)

    def noisy_step(self, query, prepared, state, noise):
        def drop(alignments):
            batch, heads, steps, places = ops.shape(alignments)
            drawn = ops.reshape(noise, (batch, steps, heads, places))
            kept = ops.transpose(drawn, (0, 2, 1, 3)) >= self.dropout
            return ops.where(kept, alignments / (1.0 - self.dropout), 0.0)

        return *self._one_alignment(query, prepared, drop=drop), state

    def noisy_attend(self, query, prepared, noise):
        context, alignments, _ = self.noisy_step(query, prepared, (), noise)
        return context, alignments

    def compute_output_spec(
        self,
        query,
        memory,
        memory_mask=None,
        attention_mask=None,
        return_alignments: bool = False,
        training: bool = False,
        query_mask=None,
    ):
        self._check(query, memory, memory_mask, attention_mask, query_mask)
        warn_of_lost_mask(self.mask_argument, memory, memory_mask)
        batch, steps, width = query.shape
        width = width if self.output_dim is None else self.output_dim
        context = keras.KerasTensor((batch, steps, width), dtype=self.compute_dtype)
        if not return_alignments:
            return context
        shape = (batch, self.num_heads, steps, memory.shape[1])
        return context, keras.KerasTensor(shape, dtype=self.compute_dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "key_dim": self.key_dim,
            "value_dim": self.value_dim,
            "num_key_value_heads": self.num_key_value_heads,
            "output_dim": self.output_dim,
            "score": self.score if self.score == "dot" else part_config(self.score),
            "normalizer": self.normalizer,
            "use_bias": self.use_bias,
            "dropout": self.dropout,
            "qk_norm": self.qk_norm,
            "soft_cap": self.soft_cap,
            "causal": self.causal,
            "window": self.window,
            "position": None if self.position is None else part_config(self.position),
            "seed": self.seed,
        }

    def _check(self, query, memory, memory_mask, attention_mask, query_mask):
        check_attention_inputs(query, memory)
        sizes = {"B": query.shape[0], "S": memory.shape[1]}
        check_mask_shape("memory_mask", memory_mask, sizes, ["BS"])
        sizes |= {"N": self.num_heads, "T": query.shape[1]}
        check_mask_shape("attention_mask", attention_mask, sizes, ["TS", "BTS", "BNTS"])
        check_mask("query_mask", query_mask, ranks=(2,))

    def _make_score(self, score, arguments: dict):
        if score == "dot" and not arguments:
            return score
        if isinstance(score, str):
            arguments = {**arguments, "name": "score", "dtype": self.dtype_policy}
        return get_score(score, **arguments)

    def _make_position(self, position):
        if isinstance(position, dict):
            position = keras.saving.deserialize_keras_object(position)
        named = isinstance(position, str)
        if getattr(position_class(position), "at_input", False):
            raise ValueError(
                "This position acts at the input of a model: add it to the embedding there, and "
                'take `position=None` here, or one that acts in an attention, such as "rotary". '
                f"Received: position={position!r}"
            )
        return get_position(
            position,
            num_heads=self.num_heads,
            key_dim=self.key_dim,
            value_dim=self.value_dim,
            bidirectional=not self.causal,
            **({"dtype": self.dtype_policy} if named else {}),
        )

    def _dense(self, name: str, units: int):
        return keras.layers.Dense(units, use_bias=self.use_bias, name=name, dtype=self.dtype_policy)

    def _read(self, weight):
        """Return a weight in the layer's compute dtype: `step` runs outside of `call` too."""
        return ops.cast(ops.convert_to_tensor(weight), self.compute_dtype)

    def _split(self, rows, heads: int):
        """Split [B, T, N * D] into heads [B, N, T, D]."""
        batch, length, width = ops.shape(rows)
        rows = ops.reshape(rows, (batch, length, heads, width // heads))
        return ops.transpose(rows, (0, 2, 1, 3))

    def _normalize(self, heads, factor):
        wide = ops.cast(heads, keras.backend.result_type(heads.dtype, "float32"))
        size = ops.rsqrt(ops.mean(ops.square(wide), axis=-1, keepdims=True) + _EPSILON)
        return ops.cast(wide * size, heads.dtype) * self._read(factor)

    def _biases(self, query, steps, places) -> dict:
        """Return the biases of the positions: see `attend_heads`."""
        if self.position is None:
            return {}
        bias = self.position.bias(steps, places)
        own = self.position.query_bias(query * self.key_dim**-0.5, steps, places)
        if bias is not None and own is not None:
            bias = bias + ops.cast(own, bias.dtype)
        biases = {"scores": own if bias is None else bias}
        if self.position.needs_alignments:
            biases["value"] = lambda used: self.position.value_bias(used, steps, places)
        return biases

    def _compare(self, query, key):
        """Compute scores [B, N, T, S], in float32 at least."""
        if self.score == "dot":
            return dot_product_scores(query, key)
        batch, heads, length, width = ops.shape(query)
        key = ops.repeat(key, self.num_heads // self.num_key_value_heads, axis=1)
        places = ops.shape(key)[2]
        query = ops.reshape(query, (-1, length, width))  # [B N, T, D]
        key = self.score.project(ops.reshape(key, (-1, places, width)))
        scores = ops.reshape(self.score.compare(query, key), (batch, heads, length, places))
        return ops.cast(scores, keras.backend.result_type(scores.dtype, "float32"))

    def _draw_seed(self):
        top = 2**31 - 1
        return keras.random.randint((2,), 0, top, dtype="int32", seed=self.seed_generator)

    def _one_alignment(self, query, prepared, drop=None):
        """Return the context of queries [B, K, Dq], and the mean of the heads' alignments."""
        unknown = {"causal": self.causal, "window": self.window, "position": self.position}
        unknown = {name: value for name, value in unknown.items() if value not in (None, False)}
        if unknown:
            raise ValueError(
                "A decoder does not tell an attention at which step it stands: `causal`, `window` "
                f"and `position` are for `call` alone. Received: {unknown}"
            )
        mask = prepared["mask"]
        contexts, alignments = self.attend_heads(
            self.project_query(query),
            prepared["keys"],
            prepared["values"],
            memory_mask=None if mask is None else mask[:, 0],
            wants_alignments=True,
            drop=drop,
        )
        return self.project_output(contexts), ops.mean(alignments, axis=1)
