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


def _divide(units: int) -> dict:
    """Heads that together are as wide as the decoder: 8 of them, or as many as divide it."""
    num_heads = next(heads for heads in (8, 4, 2, 1) if units % heads == 0)
    return {"num_heads": num_heads, "key_dim": units // num_heads}


def _arguments(named: dict, given: dict, units: int) -> dict:
    """What a name stands for, with what is given in its place."""
    if "score" in given:
        named = {name: value for name, value in named.items() if name != "units"}
    if "num_heads" in given and "key_dim" in named:
        named = {**named, "key_dim": max(1, units // given["num_heads"])}
    return {**named, **given}


def _with(name: str, **arguments):
    """Arguments for a score that needs the width."""
    return lambda units: {"score": name, "units": units, **arguments}


# What a model makes of a name, and with which arguments, given the width of its decoder.
ATTENTIONS = {
    "bahdanau": (BahdanauAttention, lambda units: {"units": units}),
    "bahdanau_normalized": (BahdanauAttention, lambda units: {"units": units, "normalize": True}),
    "luong": (LuongAttention, lambda units: {"score": "general"}),
    "luong_general": (LuongAttention, lambda units: {"score": "general"}),
    "luong_dot": (LuongAttention, lambda units: {"score": "dot"}),
    "luong_concat": (LuongAttention, _with("concat")),
    "sparsemax": (SoftAttention, _with("additive", normalizer="sparsemax")),
    "entmax15": (SoftAttention, _with("additive", normalizer="entmax15")),
    "location_sensitive": (LocationSensitiveAttention, lambda units: {"units": units}),
    "coverage": (CoverageAttention, lambda units: {"units": units}),
    "local_predictive": (LocalAttention, lambda units: {"mode": "predictive"}),
    "local_monotonic": (LocalAttention, lambda units: {"mode": "monotonic"}),
    "monotonic": (MonotonicAttention, _with("additive")),
    "chunkwise": (ChunkwiseAttention, _with("additive", window=2)),
    "hard": (HardAttention, _with("additive")),
    "hard_straight_through": (HardAttention, _with("additive", estimator="straight_through")),
    "hard_gumbel": (HardAttention, _with("additive", estimator="gumbel")),
    "multi_head": (MultiHeadAttention, _divide),
    "hard_exact": (ExactHardAttention, lambda units: {"score": "bilinear"}),
    "exact_monotonic": (ExactMonotonicAttention, lambda units: {"score": "bilinear"}),
    "exact_monotonic_zeroth": (
        ExactMonotonicAttention,
        lambda units: {"score": "bilinear", "order": 0},
    ),
}


def get_attention(attention, units: int, **kwargs) -> Attention:
    """Make an attention from its name, or hand through an instance.

    Args:
        attention: An `Attention`, its serialized form, or one of the names in `ATTENTIONS`.
        units: Width that a named mechanism gets where it needs one, in features.
        **kwargs: Name, dtype and further arguments for a named mechanism; they come before what
            the name stands for.

    Raises:
        ValueError: If the name is unknown.
    """
    if isinstance(attention, str):
        if attention not in ATTENTIONS:
            raise ValueError(
                f"`attention` must be an `Attention` or one of {sorted(ATTENTIONS)}. "
                f"Received: attention={attention!r}"
            )
        cls, arguments = ATTENTIONS[attention]
        return cls(**_arguments(arguments(units), kwargs, units))
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
