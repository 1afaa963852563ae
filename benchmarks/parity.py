"""What `tfa_parity.py` holds to tfa.seq2seq: its cases, and the arrays that each begins with.

A case is a decoder with a few random weights, a search with one, or a loss. Weights have the same
names on both sides:

    cell0/kernel, cell0/recurrent, cell0/bias, cell1/...     of the cell, or the stack of them
    mechanism0/query, /memory, /vector, /bias                of an attention mechanism
    mechanism0/factor                                        its attention_g
    mechanism0/score_bias                                    of a monotonic one
    layer0/kernel, layer0/bias                               of its attention layer
    embedding, logits                                        around the decoder

This file is imported by each contestant in its own environment, so it needs NumPy alone.
"""

import dataclasses

import agreement
import numpy as np

SEED = 0
BATCH, STEPS, PLACES = 3, 5, 11
INPUT_WIDTH, MEMORY_WIDTH, UNITS, SCORE_UNITS = 5, 13, 7, 6
LAYER_WIDTHS = (4, 3)  # of the attention layers of the first and the second mechanism
LENGTHS = (11, 7, 2)
START_TOKEN_ID, END_TOKEN_ID = 0, 1
SCORE_BIAS_INIT = -1.5


@dataclasses.dataclass(frozen=True)
class Mechanism:
    """An attention mechanism of tfa.seq2seq.

    Args:
        score: "bahdanau" or "luong".
        scaled: `normalize=True` of the one, `scale=True` of the other.
        mode: "parallel", "recursive" or "hard" of a monotonic one; or None.
        hardmax: Whether `probability_fn="hardmax"`.
    """

    score: str = "bahdanau"
    scaled: bool = False
    mode: str | None = None
    hardmax: bool = False


@dataclasses.dataclass(frozen=True)
class Decoder:
    """A cell in an `AttentionWrapper`, run over a sequence.

    Args:
        mechanisms: One or more `Mechanism`.
        cells: Names of the Keras cells, from the lowest up: "lstm", "gru", "simple".
        attention_layer: "linear" for `attention_layer_size`, "given" for a layer with bias and
            tanh, None for the bare context.
        output_attention: As in `AttentionWrapper`.
        trains: Whether one step of gradient descent is compared, not the outputs.
    """

    mechanisms: tuple = (Mechanism(),)
    cells: tuple = ("lstm",)
    attention_layer: str | None = "linear"
    output_attention: bool = True
    trains: bool = False
    vocabulary_size: int = 7

    def attention_widths(self):
        """Width that each mechanism gives, in features."""
        count = len(self.mechanisms)
        return LAYER_WIDTHS[:count] if self.attention_layer else (MEMORY_WIDTH,) * count


@dataclasses.dataclass(frozen=True)
class Search:
    """Decoding with a decoder.

    Args:
        beams: Beams, or None for greedy decoding.
        compares: What must be the same: "n_best", the hypotheses in their order, with scores;
            "best", the first of them, where tfa.seq2seq drops some that it had finished; "all",
            every hypothesis there is, with scores as tfa.seq2seq counts their lengths;
            "finished", of those the ones that ended before the last step.
        ends: Whether there is an end token.
    """

    beams: int | None = None
    compares: str = "n_best"
    ends: bool = True
    length_penalty: float = 0.0
    coverage_penalty: float = 0.0
    steps: int = STEPS
    decoder: Decoder = Decoder()


@dataclasses.dataclass(frozen=True)
class Loss:
    """`sequence_loss` with each of its averages."""


@dataclasses.dataclass(frozen=True)
class Start:
    """Where trained weights start."""


# Beams for every hypothesis of three tokens out of three: 1 + 2 + 4 that end, and 8 that do not.
_TINY = {"beams": 15, "steps": 3, "decoder": Decoder(vocabulary_size=3)}


def _monotonic(score, scaled):
    name = f"{score.capitalize()}MonotonicAttention"
    name += {"bahdanau": ", normalize", "luong": ", scale"}[score] if scaled else ""
    return {
        f"{name}, {mode}": Decoder((Mechanism(score, scaled, mode),))
        for mode in ("parallel", "recursive", "hard")
    }


CASES = {
    "BahdanauAttention": Decoder(),
    "BahdanauAttention, normalize": Decoder((Mechanism(scaled=True),)),
    "BahdanauAttention, hardmax": Decoder((Mechanism(hardmax=True),)),
    "LuongAttention": Decoder((Mechanism("luong"),)),
    "LuongAttention, scale": Decoder((Mechanism("luong", scaled=True),)),
    **_monotonic("bahdanau", False),
    **_monotonic("bahdanau", True),
    **_monotonic("luong", False),
    **_monotonic("luong", True),
    "AttentionWrapper, GRU": Decoder(cells=("gru",)),
    "AttentionWrapper, SimpleRNN": Decoder(cells=("simple",)),
    "AttentionWrapper, stack of LSTM and GRU": Decoder(cells=("lstm", "gru")),
    "AttentionWrapper, no attention layer": Decoder(attention_layer=None),
    "AttentionWrapper, attention layer given": Decoder(attention_layer="given"),
    "AttentionWrapper, output_attention=False": Decoder(output_attention=False),
    "AttentionWrapper, two mechanisms": Decoder((Mechanism(), Mechanism("luong"))),
    "AttentionWrapper, two, no attention layer": Decoder(
        (Mechanism(scaled=True), Mechanism("luong", mode="parallel")), attention_layer=None
    ),
    "training step, normalize": Decoder((Mechanism(scaled=True),), trains=True),
    "training step, monotonic": Decoder((Mechanism("luong", True, "parallel"),), trains=True),
    "GreedyEmbeddingSampler": Search(),
    "BeamSearchDecoder": Search(beams=3),
    "BeamSearchDecoder, monotonic": Search(
        beams=3, compares="best", decoder=Decoder((Mechanism(mode="parallel"),))
    ),
    "BeamSearchDecoder, length penalty, no end": Search(beams=3, ends=False, length_penalty=0.6),
    "BeamSearchDecoder, length penalty": Search(compares="all", length_penalty=0.6, **_TINY),
    "BeamSearchDecoder, coverage penalty": Search(
        compares="finished", coverage_penalty=0.7, **_TINY
    ),
    "sequence_loss": Loss(),
    "initial values": Start(),
}


def draw(name):
    """The arrays that a case begins with: a dict from names to float32 or int32 arrays."""
    case = CASES[name]
    random = np.random.default_rng([SEED, list(CASES).index(name)])

    def normal(*shape, scale=1.0):
        return random.normal(size=shape, scale=scale).astype("float32")

    decoder = case.decoder if isinstance(case, Search) else case
    if isinstance(case, Start):
        return {}
    if isinstance(case, Loss):
        decoder = Decoder()
    targets = random.integers(0, decoder.vocabulary_size, size=(BATCH, STEPS)).astype("int32")
    common = {
        "targets": targets,
        "weights": (np.arange(STEPS) < np.array([[5], [4], [1]])).astype("float32"),
    }
    if isinstance(case, Loss):
        return {**common, "logits": normal(BATCH, STEPS, decoder.vocabulary_size)}
    shapes = _weight_shapes(decoder)
    return {
        **common,
        "inputs": normal(BATCH, STEPS, INPUT_WIDTH),
        "memory": normal(BATCH, PLACES, MEMORY_WIDTH),
        "lengths": np.array(LENGTHS, dtype="int32"),
        **{
            f"state{n}": normal(BATCH, UNITS)
            for n in range(sum(2 if cell == "lstm" else 1 for cell in decoder.cells))
        },
        **{weight: normal(*shape, scale=0.6) for weight, shape in shapes.items()},
    }


def _weight_shapes(decoder):
    widths = decoder.attention_widths()
    shapes, below = {}, INPUT_WIDTH + sum(widths)
    for n, cell in enumerate(decoder.cells):
        gates = {"lstm": 4, "gru": 3, "simple": 1}[cell] * UNITS
        shapes[f"cell{n}/kernel"] = (below, gates)
        shapes[f"cell{n}/recurrent"] = (UNITS, gates)
        shapes[f"cell{n}/bias"] = (2, gates) if cell == "gru" else (gates,)
        below = UNITS
    for n, mechanism in enumerate(decoder.mechanisms):
        name = f"mechanism{n}"
        if mechanism.score == "bahdanau":
            shapes[f"{name}/query"] = (UNITS, SCORE_UNITS)
            shapes[f"{name}/memory"] = (MEMORY_WIDTH, SCORE_UNITS)
            shapes[f"{name}/vector"] = (SCORE_UNITS,)
        else:
            shapes[f"{name}/memory"] = (MEMORY_WIDTH, UNITS)
        if mechanism.scaled:
            shapes[f"{name}/factor"] = ()
            if mechanism.score == "bahdanau":
                shapes[f"{name}/bias"] = (SCORE_UNITS,)
        if mechanism.mode is not None:
            shapes[f"{name}/score_bias"] = ()
        if decoder.attention_layer is not None:
            shapes[f"layer{n}/kernel"] = (UNITS + MEMORY_WIDTH, widths[n])
            if decoder.attention_layer == "given":
                shapes[f"layer{n}/bias"] = (widths[n],)
    out = sum(widths) if decoder.output_attention else UNITS
    shapes["embedding"] = (decoder.vocabulary_size, INPUT_WIDTH)
    shapes["logits"] = (out, decoder.vocabulary_size)
    return shapes


def hypotheses(case, tokens, scores):
    """What is compared of an n-best list.

    Args:
        case: A `Search`.
        tokens: int [B, K, T].
        scores: float [B, K].

    Returns:
        A dict of `tokens` int [B, K', T], -1 after the end, and `scores` float [B, K'].
    """
    tokens, scores = np.array(tokens, dtype="int32"), np.array(scores, dtype="float32")
    if case.ends:
        ended = np.cumsum(tokens == END_TOKEN_ID, axis=-1) - (tokens == END_TOKEN_ID)
        tokens = np.where(ended > 0, -1, tokens)
    if case.compares in ("n_best", "best"):
        first = 1 if case.compares == "best" else None
        return {"tokens": tokens[:, :first], "scores": scores[:, :first]}
    found = {"tokens": [], "scores": []}
    for row, row_scores in zip(tokens, scores, strict=True):
        order = np.lexsort(row.T[::-1])
        if case.compares == "finished":
            order = [n for n in order if row[n][-1] == -1]
        found["tokens"].append(row[order])
        found["scores"].append(row_scores[order])
    return {name: np.stack(rows) for name, rows in found.items()}


def make_cases(settings, kinds, to_numpy):
    """The cases as `harness.serve` wants them.

    Args:
        settings, to_numpy: As in `agreement.make_cases`.
        kinds: A dict from `Decoder`, `Search`, `Loss` and `Start` to what does a case of that kind:
            a function of the case and its arrays to a dict from names to numbers.
    """

    def do(name, arrays):
        return kinds[type(CASES[name])](CASES[name], arrays)

    return agreement.make_cases(settings, CASES, do, to_numpy)
