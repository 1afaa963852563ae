"""Whether attnzoo's layers give the numbers of torch.nn, with the same weights, on each backend.

    python benchmarks/torch_parity.py
    python benchmarks/torch_parity.py --backends jax --only decoder

Held to `scaled_dot_product_attention`, `MultiheadAttention`, `TransformerEncoderLayer` and
`TransformerDecoderLayer`: outputs, and the gradients of all inputs and weights. All begins in
float64; attention on JAX and torch goes on in float32. The command fails if a difference, as in
`agreement.py`, is above 1e-5.

A case of a layer has the names of attnzoo's weights, "self_attention/query/kernel" and so on. No
row is without a place to attend to: torch gives NaN there, or zeros.

This file is imported by each contestant, so it needs NumPy alone.
"""

import dataclasses
import sys

import agreement
import numpy as np

SEED = 0
BATCH, STEPS, PLACES, HEADS, WIDTH, HIDDEN = 3, 5, 7, 2, 6, 11
LENGTHS, STEP_LENGTHS = (7, 2, 4), (5, 1, 3)
EPSILON = 1e-5


@dataclasses.dataclass(frozen=True)
class Case:
    """A layer and what it is told.

    Args:
        layer: "function", "attention", "encoder" or "decoder".
        memory_mask: Whether sources have padding.
        attention_mask: Whether each step has places of its own.
        causal: Whether step t sees steps 0..t alone.
        norm_first: Of the blocks.
    """

    layer: str
    memory_mask: bool = False
    attention_mask: bool = False
    causal: bool = False
    norm_first: bool = True


CASES = {
    "scaled_dot_product_attention": Case("function"),
    "scaled_dot_product_attention, attention mask": Case("function", attention_mask=True),
    "scaled_dot_product_attention, causal": Case("function", causal=True),
    "MultiheadAttention": Case("attention"),
    "MultiheadAttention, padding": Case("attention", memory_mask=True),
    "MultiheadAttention, both masks": Case("attention", memory_mask=True, attention_mask=True),
    "TransformerEncoderLayer, norm first": Case("encoder"),
    "TransformerEncoderLayer, norm last, padding": Case(
        "encoder", memory_mask=True, norm_first=False
    ),
    "TransformerDecoderLayer, norm first": Case("decoder", causal=True),
    "TransformerDecoderLayer, norm last, padding": Case(
        "decoder", memory_mask=True, causal=True, norm_first=False
    ),
}


def draw(name):
    """The arrays that a case begins with: a dict from names to float64 or bool arrays."""
    case = CASES[name]
    random = np.random.default_rng([SEED, list(CASES).index(name)])

    def normal(*shape):
        return random.normal(size=shape, scale=0.6)

    if case.layer == "function":
        places = STEPS if case.causal else PLACES
        shapes = {"x": (STEPS, WIDTH), "key": (places, WIDTH), "value": (places, WIDTH)}
        arrays = {one: normal(BATCH, HEADS, *shape) for one, shape in shapes.items()}
        arrays["direction"] = normal(BATCH, HEADS, STEPS, WIDTH)
    else:
        arrays = {"x": normal(BATCH, STEPS, WIDTH), "direction": normal(BATCH, STEPS, WIDTH)}
        if case.layer != "encoder":
            arrays["memory"] = normal(BATCH, PLACES, WIDTH)
    masks = {}
    if case.memory_mask:
        longest, lengths = (STEPS, STEP_LENGTHS) if case.layer == "encoder" else (PLACES, LENGTHS)
        masks["memory_mask"] = np.arange(longest) < np.array(lengths)[:, None]
    if case.attention_mask:
        masks["attention_mask"] = random.random((STEPS, PLACES)) < 0.6
        masks["attention_mask"][:, 0] = True
    weights = {weight: normal(*shape) for weight, shape in weight_shapes(case).items()}
    return {**arrays, **masks, **weights}


def inputs_of(case):
    """Names of the arrays that a layer is called with, in their order."""
    return {
        "function": ["x", "key", "value"],
        "attention": ["x", "memory"],
        "encoder": ["x"],
        "decoder": ["x", "memory"],
    }[case.layer]


def weight_shapes(case):
    """Shapes of a layer's weights, by attnzoo's names."""

    def dense(name, *shape):
        return {f"{name}/kernel": shape, f"{name}/bias": shape[1:]}

    def attention(start):
        shapes = {}
        for name in ("query", "key", "value", "attention_output"):
            shapes.update(dense(f"{start}{name}", WIDTH, WIDTH))
        return shapes

    def norm(name):
        return {f"{name}/gamma": (WIDTH,), f"{name}/beta": (WIDTH,)}

    if case.layer == "function":
        return {}
    if case.layer == "attention":
        return attention("")
    shapes = {
        **attention("self_attention/"),
        **dense("feed_forward/hidden", WIDTH, HIDDEN),
        **dense("feed_forward/output", HIDDEN, WIDTH),
        **norm("self_attention_norm"),
        **norm("feed_forward_norm"),
    }
    if case.layer == "decoder":
        shapes.update({**attention("cross_attention/"), **norm("cross_attention_norm")})
    return shapes


COMPARISON = agreement.Comparison(
    "torch",
    theirs="peers/torch_layers.py",
    ours="contestants/attnzoo_torch_layers.py",
    cases=CASES,
    draw=draw,
    tolerance=1e-5,
    environment={"JAX_ENABLE_X64": "1"},
)


def main(arguments=None):
    """Run all cases and print the table: 0 if all is within the tolerance, else 1."""
    options = agreement.parse(arguments, __doc__, CASES, peer_option="--torch")
    lacking = agreement.missing(options.python, "torch==2.13.0")
    if lacking:
        print(lacking)
        return 0
    return COMPARISON.run(options)


if __name__ == "__main__":
    sys.exit(main())
