"""SCORES -> ALIGNMENTS -> CONTEXT."""

import keras

from attnzoo.layers.attention.base import Attention
from attnzoo.layers.attention.chunkwise import ChunkwiseAttention
from attnzoo.layers.attention.coverage import CoverageAttention
from attnzoo.layers.attention.exact import ExactHardAttention
from attnzoo.layers.attention.exact_monotonic import ExactMonotonicAttention
from attnzoo.layers.attention.hard import HardAttention
from attnzoo.layers.attention.local import LocalAttention
from attnzoo.layers.attention.location_sensitive import LocationSensitiveAttention
from attnzoo.layers.attention.monotonic import MonotonicAttention
from attnzoo.layers.attention.multi_head import MultiHeadAttention
from attnzoo.layers.attention.pooling import AttentivePooling
from attnzoo.layers.attention.self_attention import MultiHeadSelfAttention
from attnzoo.layers.attention.soft import BahdanauAttention, LuongAttention, SoftAttention


def _multi_head(units: int, **kwargs) -> MultiHeadAttention:
    """Heads that together are as wide as the decoder: 8 of them, or as many as divide it."""
    num_heads = next(heads for heads in (8, 4, 2, 1) if units % heads == 0)
    return MultiHeadAttention(num_heads, units // num_heads, **kwargs)


# What a model makes of a name, given the width of its decoder.
ATTENTIONS = {
    "bahdanau": lambda units, **kwargs: BahdanauAttention(units, **kwargs),
    "bahdanau_normalized": lambda units, **kwargs: BahdanauAttention(
        units, normalize=True, **kwargs
    ),
    "luong": lambda units, **kwargs: LuongAttention("general", **kwargs),
    "luong_general": lambda units, **kwargs: LuongAttention("general", **kwargs),
    "luong_dot": lambda units, **kwargs: LuongAttention("dot", **kwargs),
    "luong_concat": lambda units, **kwargs: LuongAttention("concat", units=units, **kwargs),
    "sparsemax": lambda units, **kwargs: SoftAttention(
        "additive", units=units, normalizer="sparsemax", **kwargs
    ),
    "entmax15": lambda units, **kwargs: SoftAttention(
        "additive", units=units, normalizer="entmax15", **kwargs
    ),
    "location_sensitive": lambda units, **kwargs: LocationSensitiveAttention(units, **kwargs),
    "coverage": lambda units, **kwargs: CoverageAttention(units, **kwargs),
    "local_predictive": lambda units, **kwargs: LocalAttention(mode="predictive", **kwargs),
    "local_monotonic": lambda units, **kwargs: LocalAttention(mode="monotonic", **kwargs),
    "monotonic": lambda units, **kwargs: MonotonicAttention("additive", units=units, **kwargs),
    "chunkwise": lambda units, **kwargs: ChunkwiseAttention(
        "additive", units=units, window=2, **kwargs
    ),
    "hard": lambda units, **kwargs: HardAttention("additive", units=units, **kwargs),
    "hard_straight_through": lambda units, **kwargs: HardAttention(
        "additive", units=units, estimator="straight_through", **kwargs
    ),
    "hard_gumbel": lambda units, **kwargs: HardAttention(
        "additive", units=units, estimator="gumbel", **kwargs
    ),
    "multi_head": _multi_head,
    "hard_exact": lambda units, **kwargs: ExactHardAttention("bilinear", **kwargs),
    "exact_monotonic": lambda units, **kwargs: ExactMonotonicAttention("bilinear", **kwargs),
    "exact_monotonic_zeroth": lambda units, **kwargs: ExactMonotonicAttention(
        "bilinear", order=0, **kwargs
    ),
}


def get_attention(attention, units: int, **kwargs) -> Attention:
    """Make an attention from its name, or hand through an instance.

    Args:
        attention: An `Attention`, its serialized form, or one of the names in `ATTENTIONS`.
        units: Width that a named mechanism gets where it needs one, in features.
        **kwargs: Name and dtype for a named mechanism.

    Raises:
        ValueError: If the name is unknown.
    """
    if isinstance(attention, str):
        if attention not in ATTENTIONS:
            raise ValueError(
                f"`attention` must be an `Attention` or one of {sorted(ATTENTIONS)}. "
                f"Received: attention={attention!r}"
            )
        return ATTENTIONS[attention](units, **kwargs)
    if isinstance(attention, dict):
        attention = keras.saving.deserialize_keras_object(attention)
    if not isinstance(attention, Attention):
        raise ValueError(
            f"`attention` must be an `Attention` or one of {sorted(ATTENTIONS)}. "
            f"Received: attention={attention!r}"
        )
    return attention


__all__ = [
    "ATTENTIONS",
    "Attention",
    "AttentivePooling",
    "BahdanauAttention",
    "CoverageAttention",
    "ChunkwiseAttention",
    "ExactHardAttention",
    "ExactMonotonicAttention",
    "HardAttention",
    "LocalAttention",
    "LocationSensitiveAttention",
    "LuongAttention",
    "MonotonicAttention",
    "MultiHeadAttention",
    "MultiHeadSelfAttention",
    "SoftAttention",
    "get_attention",
]
