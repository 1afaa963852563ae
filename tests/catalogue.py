"""One row per public class: how it is made, what goes in, what comes out.

`contracts.py` says what every row must satisfy. A new public class needs a row here, or the suite
fails. Shapes are written in the letters of the docstrings, one prime for each.
"""

import dataclasses
from collections.abc import Callable

import keras
import numpy as np
from keras import ops

from attnzoo import layers
from attnzoo.layers.lookup import get_position
from attnzoo.ops import masked_softmax

# M is the width of a memory, E of one that was read in both directions: 2 U. X is V + S. N is the
# number of heads, and their width is E: a rotary position needs an even one.
SIZES = {"B": 2, "T": 3, "S": 11, "D": 5, "M": 13, "U": 7, "E": 14, "V": 17, "N": 19, "X": 28}
# Of images: whole windows of 2 x 2 pixels.
SIZES |= {"H": 4, "W": 6}
# Of maps, whose height and width are T and S: P places, C channels, A heads. F and G are the half
# of T and S, rounded up, and Q = F G.
SIZES |= {"P": 33, "C": 16, "A": 4, "F": 2, "G": 6, "Q": 12}
# Another batch for the same weights: what may differ from batch to batch, does.
OTHER_SIZES = SIZES | {"B": 3, "T": 2, "S": 5, "X": 22, "P": 10, "F": 1, "G": 3, "Q": 3}
FREE = "BTSXPFGQ"


@dataclasses.dataclass(frozen=True)
class Row:
    """One way to make and to call a public class.

    Args:
        cls: The public class.
        arguments: Makes the constructor's arguments, new sub-layers each time.
        inputs: The call arguments that are tensors: a pytree of `"float BTD"`, `"bool BS"` (a
            padding mask) or `"int BT"` for each name.
        returns: A pytree of `"BTD"`, as the call returns it. `"BTS"` is scores or alignments.
        call_arguments: The call arguments that are not tensors.
        made_by: A subclass that stands for an abstract `cls`.
        around: What makes a callable layer of one that is not called itself.
        permutable: Whether permuting the memory's rows permutes the alignments, and no more.
        sums_to_one: Whether alignments sum to 1; else they sum to at most 1.
        variant: Tells rows of one class apart.
    """

    cls: type
    arguments: Callable[[], dict]
    inputs: dict
    returns: object
    call_arguments: dict = dataclasses.field(default_factory=dict)
    made_by: type | None = None
    around: Callable | None = None
    permutable: bool = True
    sums_to_one: bool = True
    variant: str = ""

    def __str__(self):
        return f"{self.cls.__name__}-{self.variant}" if self.variant else self.cls.__name__

    @property
    def mask(self) -> str | None:
        """The name of the padding mask over S, if there is one."""
        masks = [name for name, spec in self.inputs.items() if spec == "bool BS"]
        return masks[0] if masks else None

    @property
    def carriers(self) -> dict[str, str]:
        """For each mask, the tensor that Keras sends it along with."""
        masks = [name for name in self.inputs if name.endswith("mask")]
        tensors = [name for name in self.inputs if name not in masks]
        own = {name: name.removesuffix("_mask") for name in masks}
        return {name: one if one in tensors else tensors[0] for name, one in own.items()}

    def make(self):
        """A new instance."""
        return (self.made_by or self.cls)(**self.arguments())

    def callable(self, layer):
        """What is called in place of the instance."""
        return self.around(layer) if self.around else layer

    def call(self, layer, inputs: dict):
        """Call what `callable` gave with tensors."""
        tensors = keras.tree.map_structure(ops.convert_to_tensor, inputs)
        return layer(**tensors, **self.call_arguments)

    def batch(self, sizes: dict | None = None, seed: int = 0) -> dict:
        """Call arguments, as NumPy arrays. Each example has padding of another length."""
        sizes = sizes or SIZES
        draw = np.random.default_rng(seed)

        def make(spec):
            kind, letters = spec.split()
            shape = tuple(sizes[letter] for letter in letters)
            if kind == "bool":
                lengths = shape[-1] - 1 - np.arange(shape[0])
                return np.broadcast_to(np.arange(shape[-1]) < lengths[:, None], shape).copy()
            if kind == "int":
                return draw.integers(0, sizes["V"], size=shape).astype("int32")
            return draw.normal(size=shape).astype("float32")

        return keras.tree.map_structure(make, self.inputs)


# === Subclasses that a user might write ===


@keras.saving.register_keras_serializable(package="tests")
class NegativeDistance(layers.Score):
    """scores[b, t, s] = -|query[b, t] - memory[b, s]|^2"""

    def compare(self, query, key):
        return -ops.sum(ops.square(query[:, :, None] - key[:, None]), axis=-1)


@keras.saving.register_keras_serializable(package="tests")
class CumulativeAttention(layers.Attention):
    """An attention with a memory of its own: what was looked at already counts for less.

    alignments[t] = softmax(query[t] · memory - weight * sum of the alignments before t)
    """

    def build(self, query_shape, memory_shape):
        self.weight = self.add_weight(shape=(), initializer="ones", name="weight")
        self.built = True

    def prepare(self, memory, memory_mask=None):
        mask = None if memory_mask is None else ops.expand_dims(memory_mask, 1)
        return {"value": memory, "mask": mask}

    def initial_state(self, prepared):
        return ops.zeros_like(prepared["value"][:, None, :, 0])  # [B, 1, S]

    def state_spec(self, memory_shape):
        return keras.KerasTensor(memory_shape[:2], dtype=self.compute_dtype)

    def step(self, query, prepared, state):
        scores = ops.matmul(query, ops.transpose(prepared["value"], (0, 2, 1)))
        alignments = masked_softmax(scores - self.weight * state, prepared["mask"])
        return ops.matmul(alignments, prepared["value"]), alignments, state + alignments


@keras.saving.register_keras_serializable(package="tests")
class TagMarginals(keras.layers.Layer):
    """What comes of a CRF where all places have tags: emissions [B, S, C] -> the same shape."""

    def __init__(self, crf, **kwargs):
        super().__init__(**kwargs)
        self.crf = crf

    def build(self, emissions_shape):
        if not self.crf.built:
            self.crf.build(emissions_shape)
        self.built = True

    def call(self, emissions):
        mask = ops.ones_like(emissions[:, :, 0], dtype="bool")
        marginals = self.crf.log_marginals(self.crf(emissions), mask)
        return ops.cast(marginals, self.crf.compute_dtype)

    def compute_output_shape(self, emissions_shape):
        return emissions_shape

    def get_config(self):
        crf = keras.saving.serialize_keras_object(self.crf)
        return {**super().get_config(), "crf": crf}

    @classmethod
    def from_config(cls, config):
        crf = keras.saving.deserialize_keras_object(config.pop("crf"))
        return cls(crf, **config)


@keras.saving.register_keras_serializable(package="tests")
class PositionedAttention(keras.layers.Layer):
    """Plain attention over heads, which asks its position all that there is to ask.

    query [B, N, T, d], key [B, N, S, d] -> context [B, N, T, d], alignments [B, N, T, S]
    """

    def __init__(self, position, **kwargs):
        super().__init__(**kwargs)
        self.position = get_position(position)

    def build(self, query_shape, key_shape):
        if not self.position.built:
            self.position.build()
        self.built = True

    def call(self, query, key, query_positions=None, key_positions=None):
        if query_positions is None:
            query_positions = ops.arange(ops.shape(query)[2])
            key_positions = ops.arange(ops.shape(key)[2])
        where = query_positions, key_positions
        value = key
        query, key = self.position.rotate(query, key, *where)
        query = query * query.shape[-1] ** -0.5
        scores = ops.cast(ops.matmul(query, ops.transpose(key, (0, 1, 3, 2))), "float32")
        for bias in (self.position.bias(*where), self.position.query_bias(query, *where)):
            scores = scores if bias is None else scores + ops.cast(bias, "float32")
        alignments = ops.cast(masked_softmax(scores), query.dtype)
        context = ops.matmul(alignments, value)
        bias = self.position.value_bias(alignments, *where)
        return (context if bias is None else context + bias), alignments

    def compute_output_shape(self, query_shape, key_shape):
        return query_shape, (*query_shape[:3], key_shape[2])

    def get_config(self):
        position = keras.saving.serialize_keras_object(self.position)
        return {**super().get_config(), "position": position}


# === Layers ===

_SCORE = {"query": "float BTD", "memory": "float BSM"}
_HISTORY_SCORE = {**_SCORE, "history": "float BTS"}
_ATTENTION = {"query": "float BTD", "memory": "float BSM", "memory_mask": "bool BS"}
_EQUAL_WIDTHS = {**_ATTENTION, "memory": "float BSD"}
_RNN = {"inputs": "float BTD", "memory": "float BSM", "memory_mask": "bool BS"}
_TOKENS = {"x": "float BTD"}
_HEADS = {"query": "float BNTE", "key": "float BNSE"}
# A frame begins at every sample.
_SMALL = {"sampling_rate": 8000, "frame_length": 4, "frame_step": 1, "fft_length": 32}
_ALIGNMENTS = {"return_alignments": True}
_EVERYTHING = {"return_alignments": True, "return_state": True}
_MAP = {"inputs": "float BTSC"}
_GATES = {"channel": "BC", "spatial": "BTS"}


def _bahdanau_cell():
    return {"cell": keras.layers.LSTMCell(7), "attention": layers.BahdanauAttention(5)}


def _luong_cell():
    return {
        "cell": keras.layers.GRUCell(7),
        "attention": layers.LuongAttention("general"),
        "attend": "after",
        "attention_layer": 5,
    }


def _parallel_cell():
    return {
        "cell": [keras.layers.LSTMCell(7), keras.layers.SimpleRNNCell(5)],
        "attention": [layers.LuongAttention("general"), layers.BahdanauAttention(7)],
        "attend": "after",
        "input_feeding": False,
        "attention_layer": keras.layers.Dense(5),
    }


LAYERS = [
    Row(layers.AdditiveScore, lambda: {"units": 7}, _SCORE, "BTS"),
    Row(
        layers.AdditiveScore,
        lambda: {"units": 7, "normalize": True},
        _SCORE,
        "BTS",
        variant="normalized",
    ),
    Row(layers.BilinearScore, dict, _SCORE, "BTS"),
    Row(layers.BilinearScore, lambda: {"scale": "learned"}, _SCORE, "BTS", variant="learned"),
    *(
        Row(
            layers.DotScore,
            lambda scale=scale: {"scale": scale},
            {"query": "float BTD", "memory": "float BSD"},
            "BTS",
            variant=str(scale),
        )
        for scale in (None, "inverse_sqrt", "learned")
    ),
    Row(layers.LocationScore, lambda: {"max_length": 17}, _SCORE, "BTS", permutable=False),
    Row(
        layers.LocationSensitiveScore,
        lambda: {"units": 7, "filters": 3, "kernel_size": 5, "normalize": True},
        _HISTORY_SCORE,
        "BTS",
        permutable=False,
    ),
    Row(layers.CoverageScore, lambda: {"units": 7}, _HISTORY_SCORE, "BTS"),
    Row(
        layers.Score,
        dict,
        {"query": "float BTD", "memory": "float BSD"},
        "BTS",
        made_by=NegativeDistance,
    ),
    Row(
        layers.Attention,
        dict,
        _EQUAL_WIDTHS,
        ("BTD", "BTS"),
        call_arguments=_ALIGNMENTS,
        made_by=CumulativeAttention,
    ),
    Row(
        layers.SoftAttention,
        lambda: {"score": "additive", "units": 7},
        _ATTENTION,
        ("BTM", "BTS"),
        call_arguments=_ALIGNMENTS,
        variant="name",
    ),
    Row(
        layers.SoftAttention,
        lambda: {"score": NegativeDistance()},
        _EQUAL_WIDTHS,
        "BTD",
        variant="instance",
    ),
    *(
        Row(
            layers.SoftAttention,
            lambda name=name: {"score": "bilinear", "normalizer": name},
            _ATTENTION,
            ("BTM", "BTS"),
            call_arguments=_ALIGNMENTS,
            variant=name,
        )
        for name in ("sparsemax", "entmax15")
    ),
    Row(
        layers.LocalAttention,
        lambda: {"score": "additive", "units": 7, "window": 4, "position_units": 3},
        _ATTENTION,
        ("BTM", "BTS"),
        call_arguments=_ALIGNMENTS,
        permutable=False,
        sums_to_one=False,
        variant="predictive",
    ),
    Row(
        layers.LocalAttention,
        lambda: {"window": 3, "mode": "monotonic"},
        _ATTENTION,
        ("BTM", "BTS"),
        call_arguments=_ALIGNMENTS,
        permutable=False,
        variant="monotonic",
    ),
    *(
        Row(
            layers.LocalAttention,
            lambda mode=mode: {"window": 2, "mode": mode, "normalizer": "entmax15"},
            _ATTENTION,
            ("BTM", "BTS"),
            call_arguments=_ALIGNMENTS,
            permutable=False,
            sums_to_one=mode == "monotonic",
            variant=f"{mode}-entmax15",
        )
        for mode in ("predictive", "monotonic")
    ),
    Row(
        layers.MonotonicAttention,
        lambda: {"score": "additive", "units": 7, "sigmoid_noise": 1.0},
        _ATTENTION,
        ("BTM", "BTS"),
        call_arguments=_ALIGNMENTS,
        permutable=False,
        sums_to_one=False,
        variant="parallel",
    ),
    Row(
        layers.MonotonicAttention,
        lambda: {"score": NegativeDistance(), "mode": "recursive", "score_bias_init": 1.0},
        _EQUAL_WIDTHS,
        ("BTD", "BTS"),
        call_arguments=_ALIGNMENTS,
        permutable=False,
        sums_to_one=False,
        variant="recursive",
    ),
    Row(
        layers.MonotonicAttention,
        lambda: {"score": "bilinear", "inference_mode": "hard"},
        _ATTENTION,
        ("BTM", "BTS"),
        call_arguments=_ALIGNMENTS,
        permutable=False,
        sums_to_one=False,
        variant="hard",
    ),
    Row(
        layers.ChunkwiseAttention,
        lambda: {"score": "additive", "units": 7, "window": 3},
        _ATTENTION,
        ("BTM", "BTS"),
        call_arguments=_ALIGNMENTS,
        permutable=False,
        sums_to_one=False,
        variant="parallel",
    ),
    Row(
        layers.ChunkwiseAttention,
        lambda: {
            "score": "bilinear",
            "chunk_score": layers.AdditiveScore(7),
            "window": 2,
            "inference_mode": "hard",
        },
        _ATTENTION,
        ("BTM", "BTS"),
        call_arguments=_ALIGNMENTS,
        permutable=False,
        sums_to_one=False,
        variant="hard",
    ),
    *(
        Row(
            cls,
            lambda arguments=arguments: {"score": layers.BilinearScore(), **arguments},
            _ATTENTION,
            ("BTM", "BTS"),
            call_arguments=_ALIGNMENTS,
        )
        for cls, arguments in {
            layers.HardAttention: {"estimator": "gumbel"},
            layers.ReinforceAttention: {
                "baseline": "learned",
                "num_samples": 2,
                "entropy_weight": 0.1,
            },
            layers.StraightThroughAttention: {"soft_mixing": 0.5},
            layers.GumbelSoftmaxAttention: {"num_samples": 2},
        }.items()
    ),
    Row(
        layers.ExactHardAttention,
        lambda: {"score": "additive", "units": 7},
        _ATTENTION,
        ("BTM", "BTS"),
        call_arguments=_ALIGNMENTS,
    ),
    Row(
        layers.ExactMonotonicAttention,
        lambda: {"score": "bilinear", "max_jump": 2},
        _ATTENTION,
        ("BTM", "BTS"),
        call_arguments=_ALIGNMENTS,
    ),
    Row(
        layers.BahdanauAttention,
        lambda: {"units": 7, "normalize": True},
        _ATTENTION,
        ("BTM", "BTS"),
        call_arguments=_ALIGNMENTS,
    ),
    Row(
        layers.LuongAttention,
        lambda: {"score": "dot", "scale": "learned"},
        _EQUAL_WIDTHS,
        ("BTD", "BTS"),
        call_arguments=_ALIGNMENTS,
        variant="dot",
    ),
    Row(
        layers.LuongAttention,
        lambda: {"score": "general"},
        _ATTENTION,
        ("BTM", "BTS"),
        call_arguments=_ALIGNMENTS,
        variant="general",
    ),
    Row(
        layers.LuongAttention,
        lambda: {"score": "concat", "units": 7},
        _ATTENTION,
        ("BTM", "BTS"),
        call_arguments=_ALIGNMENTS,
        variant="concat",
    ),
    Row(
        layers.LuongAttention,
        lambda: {"score": "location", "max_length": 17},
        _ATTENTION,
        ("BTM", "BTS"),
        call_arguments=_ALIGNMENTS,
        permutable=False,
        variant="location",
    ),
    Row(
        layers.MultiHeadAttention,
        lambda: {"num_heads": 19, "key_dim": 3, "use_bias": False},
        _ATTENTION,
        ("BTD", "BNTS"),
        call_arguments=_ALIGNMENTS,
    ),
    Row(
        layers.MultiHeadAttention,
        lambda: {
            "num_heads": 4,
            "key_dim": 7,
            "value_dim": 3,
            "num_key_value_heads": 2,
            "output_dim": 13,
            "qk_norm": True,  # Without it, a softmax does not see the bias of the keys.
            "dropout": 0.1,
        },
        _ATTENTION,
        "BTM",
        variant="grouped",
    ),
    Row(
        layers.MultiHeadAttention,
        lambda: {
            "num_heads": 19,
            "key_dim": 3,
            "score": "additive",
            "units": 7,
            "normalizer": "entmax15",
            "use_bias": False,
        },
        _ATTENTION,
        ("BTD", "BNTS"),
        call_arguments=_ALIGNMENTS,
        variant="additive",
    ),
    Row(
        layers.MultiHeadSelfAttention,
        lambda: {
            "num_heads": 19,
            "key_dim": 2,
            "use_bias": False,
            "soft_cap": 3.0,
            "causal": True,
            "window": 2,
            "position": "rotary",
        },
        {"inputs": "float BTD", "padding_mask": "bool BT"},
        ("BTD", "BNTT"),
        call_arguments=_ALIGNMENTS,
        permutable=False,
        variant="written-out",
    ),
    Row(
        layers.MultiHeadSelfAttention,
        lambda: {
            "num_heads": 4,
            "key_dim": 6,
            "use_bias": False,
            "num_key_value_heads": 1,
            "position": "t5",
        },
        {"inputs": "float BTD", "padding_mask": "bool BT"},
        "BTD",
        permutable=False,
        variant="fused",
    ),
    Row(
        layers.LocationSensitiveAttention,
        lambda: {"units": 7, "filters": 3, "kernel_size": 5, "normalize": True},
        _ATTENTION,
        ("BTM", "BTS"),
        call_arguments=_ALIGNMENTS,
        permutable=False,
    ),
    Row(
        layers.LocationSensitiveAttention,
        lambda: {
            "units": 7,
            "filters": 3,
            "kernel_size": 13,
            "sharpening": 2.0,
            "smoothing": True,
            "cumulative": True,
        },
        _ATTENTION,
        ("BTM", "BTS"),
        call_arguments=_ALIGNMENTS,
        permutable=False,
        variant="smoothed",
    ),
    Row(
        layers.CoverageAttention,
        lambda: {"units": 7, "coverage_loss": 0.5},
        _ATTENTION,
        ("BTM", "BTS"),
        call_arguments=_ALIGNMENTS,
    ),
    Row(
        layers.CoverageAttention,
        lambda: {"units": 7, "normalizer": "entmax15"},
        _ATTENTION,
        ("BTM", "BTS"),
        call_arguments=_ALIGNMENTS,
        variant="entmax15",
    ),
    Row(
        layers.DoublyStochasticPenalty,
        lambda: {"weight": 0.5},
        {"alignments": "float BTS"},
        "BTS",
        permutable=False,
    ),
    *(
        Row(
            layers.LogMelSpectrogram,
            lambda mels=mels, more=arguments: {"num_mels": mels, **_SMALL, **more},
            {"audio": "float BS"},
            returns,
            variant=variant,
        )
        for variant, mels, returns, arguments in [
            ("", 5, "BSD", {}),
            ("deltas", 7, "BSE", {"deltas": 1, "normalization": "mean", "pre_emphasis": 0.0}),
        ]
    ),
    Row(
        layers.SpecAugment,
        lambda: {"frequency_width": 2, "time_width": 2},
        {"features": "float BSD"},
        "BSD",
    ),
    *(
        Row(
            layers.AttentivePooling,
            lambda arguments=arguments: {"units": 7, **arguments},
            {"memory": "float BSM", "mask": "bool BS"},
            "BM",
            variant=variant,
        )
        for variant, arguments in {
            "": {},
            "sparse": {"normalizer": "sparsemax", "use_bias": False, "penalty": 0.5},
        }.items()
    ),
    Row(
        layers.TransformerEncoderBlock,
        lambda: {
            "hidden_dim": 5,
            "num_heads": 5,
            "feed_forward_dim": 7,
            # A key's bias shifts all scores of a row alike: it has no gradient.
            "attention": {"use_bias": False},
        },
        {"x": "float BTD", "padding_mask": "bool BT"},
        ("BTD", "BDTT"),
        call_arguments=_ALIGNMENTS,
    ),
    Row(
        layers.TransformerEncoderBlock,
        lambda: {
            "hidden_dim": 5,
            "num_heads": 1,
            "feed_forward_dim": 7,
            "activation": "swiglu",
            "norm": "rms",
            "norm_first": False,
            "stochastic_depth": 1e-4,  # More would now and then leave a weight without gradient.
            "position": "relative",
            "attention": {"window": 2, "dropout": 0.1, "use_bias": False},
        },
        {"x": "float BTD", "padding_mask": "bool BT"},
        "BTD",
        variant="otherwise",
    ),
    Row(
        layers.TransformerDecoderBlock,
        lambda: {
            "hidden_dim": 5,
            "num_heads": 5,
            "feed_forward_dim": 7,
            # A key's bias shifts all scores of a row alike: it has no gradient.
            "attention": {"use_bias": False},
        },
        {
            "x": "float BTD",
            "memory": "float BSM",
            "padding_mask": "bool BT",
            "memory_mask": "bool BS",
        },
        ("BTD", "BDTS"),
        call_arguments=_ALIGNMENTS,
    ),
    Row(
        layers.MarginalLogits,
        lambda: {"vocabulary_size": 7, "hidden_dim": 17, "dropout": 0.1},
        {"outputs": "float BTD", "memory": "float BSM", "alignments": "float BTS"},
        "BTU",
    ),
    Row(
        layers.PointerGenerator,
        lambda: {"vocabulary_size": SIZES["V"]},
        {
            "outputs": "float BTD",
            "memory": "float BSM",
            "alignments": "float BTS",
            "copy_token_ids": "int BS",
        },
        "BTX",
    ),
    *(
        Row(
            layers.MonotonicMarginalLogits,
            lambda arguments=arguments: {
                "vocabulary_size": 17,
                "hidden_dim": 7,
                "dropout": 0.1,
                **arguments,
            },
            {
                "outputs": "float BTD",
                "memory": "float BSM",
                "alignments": "float BTS",
                "memory_mask": "bool BS",
                "token_ids": "int BT",
            },
            ("BTV", "BTS"),
            call_arguments=_ALIGNMENTS,
            permutable=False,
            variant=variant,
        )
        for variant, arguments in {
            "zeroth": {"order": 0},
            "first": {"order": 1, "max_jump": 3},
        }.items()
    ),
    Row(
        layers.AttentionCell,
        _luong_cell,
        _RNN,
        ("BTD", "BTS", {"cell": ["BU"], "attention": ((),), "feed": "BD"}),
        call_arguments=_EVERYTHING,
        around=layers.AttentionRNN,
    ),
    Row(
        layers.AttentionRNN,
        lambda: {"cell": layers.AttentionCell(**_bahdanau_cell())},
        _RNN,
        ("BTU", "BTS", {"cell": ["BU", "BU"], "attention": ((),), "feed": ()}),
        call_arguments=_EVERYTHING,
        variant="bahdanau",
    ),
    Row(
        layers.AttentionRNN,
        lambda: {"cell": layers.AttentionCell(**_parallel_cell())},
        _RNN,
        ("BTD", ("BTS", "BTS")),
        call_arguments=_ALIGNMENTS,
        variant="parallel",
    ),
    Row(
        layers.AttentionRNN,
        lambda: {
            "cell": layers.AttentionCell(keras.layers.SimpleRNNCell(13), CumulativeAttention())
        },
        _RNN,
        ("BTM", "BTS", {"cell": ["BM"], "attention": ("BS",), "feed": ()}),
        call_arguments=_EVERYTHING,
        variant="stateful",
    ),
    Row(
        layers.Bridge,
        lambda: {"state_sizes": [7, 5]},
        {"final_states": ["float BD", "float BM"]},
        ["BU", "BD"],
        variant="dense",
    ),
    Row(
        layers.Bridge,
        lambda: {"state_sizes": [5, 13], "kind": "copy"},
        {"final_states": ["float BD", "float BM"]},
        ["BD", "BM"],
        variant="copy",
    ),
    Row(layers.LinearChainCRF, dict, {"emissions": "float BSU"}, "BSU", around=TagMarginals),
    Row(layers.WordSpelling, lambda: {"units": 7}, {"word_bytes": "int BSD"}, "BSU"),
    Row(
        layers.RNNEncoder,
        lambda: {"cells": [keras.layers.LSTMCell(7)]},
        {"inputs": "float BSD", "mask": "bool BS"},
        ("BSU", ["BU", "BU"]),
        permutable=False,
        variant="forward",
    ),
    Row(
        layers.RNNEncoder,
        lambda: {
            "cells": [keras.layers.GRUCell(7)],
            "backward_cells": [keras.layers.SimpleRNNCell(7)],
            "dropout": 0.1,
        },
        {"inputs": "float BSD", "mask": "bool BS"},
        ("BSE", ["BU", "BU"]),
        permutable=False,
        variant="both",
    ),
    Row(layers.Position, dict, _TOKENS, "BTD"),
    Row(layers.SinusoidalPosition, lambda: {"max_wavelength": 100.0}, _TOKENS, "BTD"),
    Row(layers.LearnedPosition, lambda: {"max_length": 17}, _TOKENS, "BTD"),
    *(
        Row(
            cls,
            lambda arguments=arguments: arguments,
            _HEADS,
            ("BNTE", "BNTS"),
            around=PositionedAttention,
            variant=variant,
        )
        for cls, arguments, variant in (
            (layers.RotaryPosition, {"max_wavelength": 100.0}, ""),
            (layers.RelativePosition, {"key_dim": 14, "max_distance": 2}, "keys"),
            (layers.RelativePosition, {"key_dim": 14, "max_distance": 3, "values": True}, "values"),
            (layers.T5Position, {"num_heads": 19, "num_buckets": 6, "max_distance": 7}, "both"),
            (layers.T5Position, {"num_heads": 19, "bidirectional": False}, "causal"),
            (layers.AlibiPosition, {"num_heads": 19}, ""),
        )
    ),
    *(
        Row(
            layers.FeedForward,
            lambda arguments=arguments: {"hidden_dim": 7, **arguments},
            _TOKENS,
            "BTD",
            variant=arguments["activation"],
        )
        for arguments in (
            {"activation": "tanh", "dropout": 0.1},
            {"activation": "swiglu", "use_bias": False},
        )
    ),
    *(
        Row(
            cls,
            lambda arguments=arguments: {"squeeze_factor": 1, **arguments},
            {"inputs": "float BHWD"},
            ("BHWD", "BD"),
            call_arguments=_ALIGNMENTS,
        )
        for cls, arguments in (
            (layers.ChannelAttention, {}),
            (layers.ChannelAttentionBlock, {"compress_ratio": 1}),
        )
    ),
    *(
        Row(
            cls,
            lambda arguments=arguments: {"num_heads": 5, "window_size": 2, **arguments},
            {name: "float BHWD"},
            "BHWD",
        )
        for cls, name, arguments in (
            (layers.WindowAttention, "inputs", {"shift": 1, "use_bias": False}),
            (layers.OverlappingCrossAttention, "inputs", {"overlap_ratio": 1.0}),
            (layers.OverlappingCrossAttentionBlock, "x", {"overlap_ratio": 1.0}),
            (
                layers.HybridAttentionBlock,
                "x",
                # More would now and then leave a weight without gradient.
                {"squeeze_factor": 1, "convolution_scale": 0.5, "stochastic_depth": 1e-4},
            ),
            (
                layers.ResidualHybridAttentionGroup,
                "x",
                {"num_blocks": 1, "overlap_ratio": 1.0, "squeeze_factor": 1},
            ),
        )
    ),
    *(
        Row(
            layers.RelativeSelfAttention2D,
            lambda arguments=arguments: {"map_size": (3, 11), **arguments},
            _MAP,
            returns,
            call_arguments=call_arguments,
            variant=variant,
        )
        for variant, arguments, returns, call_arguments in (
            ("", {"num_heads": 4}, ("BTSC", "BAPP"), _ALIGNMENTS),
            ("fused", {"key_dim": 3, "value_dim": 4, "stride": 2}, "BFGC", {}),
        )
    ),
    *(
        Row(
            layers.PolarizedSelfAttention,
            # A bias of the channels' query shifts all scores alike: it has no gradient.
            lambda layout=layout, form=form: {"layout": layout, "form": form, "use_bias": False},
            _MAP,
            ("BTSC", _GATES),
            call_arguments=_ALIGNMENTS,
            variant=f"{form}-{layout}",
        )
        for form in ("paper", "official")
        for layout in ("parallel", "sequential")
    ),
    Row(
        layers.SqueezeExcitation,
        lambda: {"reduction": 3, "activation": "silu", "use_bias": True},
        _MAP,
        ("BTSC", "BC"),
        call_arguments=_ALIGNMENTS,
    ),
    Row(
        layers.EfficientChannelAttention,
        dict,
        _MAP,
        ("BTSC", "BC"),
        call_arguments=_ALIGNMENTS,
    ),
    Row(
        layers.CBAM,
        lambda: {"reduction": 2, "kernel_size": 3},
        _MAP,
        ("BTSC", _GATES),
        call_arguments=_ALIGNMENTS,
    ),
    *(
        Row(
            layers.NonLocalBlock,
            lambda pairwise=pairwise, pool_size=pool_size: {
                "units": 5,
                "pairwise": pairwise,
                "pool_size": pool_size,
            },
            _MAP,
            ("BTSC", returns),
            call_arguments=_ALIGNMENTS,
            variant=pairwise,
        )
        for pairwise, pool_size, returns in (
            ("embedded_gaussian", 2, "BPQ"),
            ("gaussian", 1, "BPP"),
            ("dot_product", 1, "BPP"),
            ("concatenation", 1, "BPP"),
        )
    ),
    Row(
        layers.ExternalAttention,
        lambda: {"memory_size": 7},
        _MAP,
        ("BTSC", "BPU"),
        call_arguments=_ALIGNMENTS,
    ),
    Row(
        layers.GlobalContext,
        lambda: {"reduction": 2},
        _MAP,
        ("BTSC", "BTS"),
        call_arguments=_ALIGNMENTS,
    ),
    Row(
        layers.BottleneckBlock,
        lambda: {
            "filters": 4,
            "output_filters": 13,
            "stride": 2,
            "attention": layers.CBAM(2, kernel_size=3),
        },
        _MAP,
        ("BFGM", {"channel": "BA", "spatial": "BFG"}),
        call_arguments=_ALIGNMENTS,
    ),
    Row(
        layers.BottleneckTransformerBlock,
        lambda: {"filters": 4, "map_size": (3, 11), "activation": "silu"},
        _MAP,
        ("BTSC", "BAPP"),
        call_arguments=_ALIGNMENTS,
    ),
    Row(
        layers.BottleneckTransformerBlock,
        lambda: {"filters": 4, "output_filters": 13, "stride": 2, "map_size": (3, 11)},
        _MAP,
        "BFGM",
        variant="projected",
    ),
]

# Every public class of these modules must have a row.
COVERED = {"attnzoo.layers": LAYERS}
