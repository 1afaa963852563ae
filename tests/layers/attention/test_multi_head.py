import keras
import numpy as np
import pytest
from keras import ops

from attnzoo import layers
from attnzoo.layers.lookup import get_attention
from tests import references
from tests.catalogue import NegativeDistance
from tests.tools import assert_close, lengths_mask, normal, set_weights, to_numpy, weights_of

QUERY, MEMORY = normal(2, 3, 5, seed=1), normal(2, 11, 13, seed=2)
MASK = lengths_mask([11, 7], 11)
PAIRS = np.random.default_rng(3).random((2, 3, 11)) < 0.7

KINDS = {
    "plain": {},
    "no bias": {"use_bias": False, "value_dim": 2, "output_dim": 17},
    "grouped": {"num_key_value_heads": 2},
    "multi-query": {"num_key_value_heads": 1, "value_dim": 2},
    "normalized": {"qk_norm": True, "num_key_value_heads": 2},
    "capped": {"soft_cap": 0.7, "causal": True},
    "window": {"window": 2, "causal": True},
    "sparsemax": {"normalizer": "sparsemax"},
    "entmax15": {"normalizer": "entmax15", "num_key_value_heads": 2},
}
NORMALIZE = {
    "softmax": references.softmax,
    "sparsemax": lambda *args: references.entmax(*args, alpha=2.0),
    "entmax15": references.entmax,
}


def built(query=QUERY, memory=MEMORY, **arguments):
    attention = layers.MultiHeadAttention(**({"num_heads": 4, "key_dim": 7} | arguments))
    attention.build(query.shape, memory.shape)
    set_weights(attention)
    return attention


def named_weights(attention):
    """Its own weights and its projections', `"query_kernel"` and so on, float64."""
    return weights_of(attention) | {
        f"{name}_{part}": weight
        for name in ("query", "key", "value", "output")
        for part, weight in weights_of(getattr(attention, f"{name}_dense")).items()
    }


def expected(attention, query=QUERY, memory=MEMORY, **masks):
    """Context and alignments, by hand and in float64."""
    weights = named_weights(attention)

    def project(rows, name, heads):
        rows = rows @ weights[f"{name}_kernel"] + weights.get(f"{name}_bias", 0.0)
        rows = rows.reshape(*rows.shape[:2], heads, -1).swapaxes(1, 2)
        if f"{name}_factor" in weights:
            rows = rows / np.sqrt(np.mean(rows**2, axis=-1, keepdims=True) + 1e-6)
            rows = rows * weights[f"{name}_factor"]
        return rows

    queries = project(query.astype("float64"), "query", attention.num_heads)
    key, value = (
        project(memory.astype("float64"), name, attention.num_key_value_heads)
        for name in ("key", "value")
    )
    alignments = references.multi_head_alignments(
        queries,
        key,
        soft_cap=attention.soft_cap,
        causal=attention.causal,
        window=attention.window,
        normalize=NORMALIZE[attention.normalizer],
        **masks,
    )
    contexts = references.gather_heads(alignments, value).swapaxes(1, 2)
    rows = contexts.reshape(*contexts.shape[:2], -1)
    return rows @ weights["output_kernel"] + weights.get("output_bias", 0.0), alignments


@pytest.mark.parametrize("kind", KINDS)
def test_it_follows_its_equation_on_both_roads(kind):
    attention = built(**KINDS[kind])
    found = attention(QUERY, MEMORY, memory_mask=MASK, return_alignments=True)
    wanted = expected(attention, memory_mask=MASK)
    assert_close(found, wanted)
    assert_close(attention(QUERY, MEMORY, memory_mask=MASK), wanted[0].astype("float32"))


@pytest.mark.parametrize("shape", ["T S", "B T S", "B N T S"])
def test_a_mask_over_pairs_joins_the_mask_over_memory(shape):
    attention = built()
    pairs = {"T S": PAIRS[0], "B T S": PAIRS, "B N T S": np.stack([PAIRS] * 3 + [~PAIRS], 1)}[shape]
    mask = pairs[:, None] if pairs.ndim == 3 else pairs
    wanted = expected(attention, memory_mask=MASK, attention_mask=mask)
    arguments = {"memory_mask": MASK, "attention_mask": pairs}
    assert_close(attention(QUERY, MEMORY, **arguments, return_alignments=True), wanted)
    assert_close(attention(QUERY, MEMORY, **arguments), wanted[0].astype("float32"))


@pytest.mark.parametrize("need_weights", [False, True])
def test_torch_with_the_same_weights_gives_the_same(need_weights):
    torch = pytest.importorskip("torch")
    peer = torch.nn.MultiheadAttention(28, 4, kdim=13, vdim=13, batch_first=True)
    query = normal(2, 3, 28, seed=1)
    attention = built(query=query)
    weights = named_weights(attention)
    names = {"q_proj_weight": "query", "k_proj_weight": "key", "v_proj_weight": "value"}
    with torch.no_grad():
        for theirs, name in names.items():
            getattr(peer, theirs).copy_(torch.tensor(weights[f"{name}_kernel"].T))
        biases = [weights[f"{name}_bias"] for name in names.values()]
        peer.in_proj_bias.copy_(torch.tensor(np.concatenate(biases)))
        peer.out_proj.weight.copy_(torch.tensor(weights["output_kernel"].T))
        peer.out_proj.bias.copy_(torch.tensor(weights["output_bias"]))
        tensors = [torch.tensor(array) for array in (query, MEMORY, MEMORY)]
        context, alignments = peer(
            *tensors,
            key_padding_mask=torch.tensor(~MASK),
            need_weights=need_weights,
            average_attn_weights=False,
        )
    found = attention(query, MEMORY, memory_mask=MASK, return_alignments=need_weights)
    wanted = (context.numpy(), alignments.numpy()) if need_weights else context.numpy()
    assert_close(found, wanted)


@pytest.mark.parametrize(
    "score",
    [NegativeDistance, lambda: layers.DotScore(scale="inverse_sqrt"), lambda: "additive"],
)
def test_any_score_compares_within_each_head(score):
    score = score()
    own = {"units": 3} if score == "additive" else {}
    attention = built(score=score, num_key_value_heads=2, **own)
    found = attention(QUERY, MEMORY, memory_mask=MASK, return_alignments=True)
    query = to_numpy(attention.project_query(ops.convert_to_tensor(QUERY)))
    key, value = map(to_numpy, attention.project_memory(ops.convert_to_tensor(MEMORY)))
    key = np.repeat(key, 2, axis=1)
    by_head = [
        to_numpy(attention.score(query[:, n], key[:, n])).astype("float64") for n in range(4)
    ]
    alignments = references.softmax(np.stack(by_head, axis=1), MASK[:, None, None])
    assert_close(found[1], alignments.astype("float32"))
    contexts = references.gather_heads(alignments, value).astype("float32")
    assert_close(found[0], attention.project_output(ops.convert_to_tensor(contexts)))


@pytest.mark.parametrize("position", ["rotary", "alibi", "t5", "relative"])
@pytest.mark.parametrize("asked", [False, True])
def test_positions_act_within_the_heads(position, asked):
    if position == "relative":
        position = layers.RelativePosition(8, max_distance=2, values=True)
    attention = built(memory=QUERY, key_dim=8, position=position)
    position = attention.position
    found = attention(QUERY, QUERY, return_alignments=asked)
    query = ops.convert_to_tensor(QUERY)
    steps = ops.arange(3)
    queries, (key, value) = attention.project_query(query), attention.project_memory(query)
    queries, key = position.rotate(queries, key, steps, steps)
    scores = to_numpy(queries) @ to_numpy(key).swapaxes(2, 3) / np.sqrt(8.0)
    for bias in (
        position.bias(steps, steps),
        position.query_bias(queries / np.sqrt(8.0), steps, steps),
    ):
        scores = scores if bias is None else scores + to_numpy(bias)
    alignments = references.softmax(scores).astype("float32")
    contexts = alignments @ to_numpy(value)
    more = position.value_bias(ops.convert_to_tensor(alignments), steps, steps)
    contexts = contexts if more is None else contexts + to_numpy(more)
    context = attention.project_output(ops.convert_to_tensor(contexts))
    assert_close(found, (to_numpy(context), alignments) if asked else to_numpy(context))
    assert np.any(np.abs(to_numpy(context) - expected(attention, memory=QUERY)[0]) > 1e-3)


def test_a_decoder_gets_the_mean_over_the_heads():
    attention = built(qk_norm=True)
    query = ops.convert_to_tensor(QUERY)
    prepared = attention.prepare(ops.convert_to_tensor(MEMORY), ops.convert_to_tensor(MASK))
    context, alignments = expected(attention, memory_mask=MASK)
    assert attention.initial_state(prepared) == ()
    for found in (attention.step(query, prepared, ())[:2], attention.attend(query, prepared)):
        assert_close(found, (context, alignments.mean(axis=1)))
    for t in range(3):
        found = attention.step(query[:, t : t + 1], prepared, ())
        wanted = context[:, t : t + 1], alignments.mean(axis=1)[:, t : t + 1], ()
        assert_close(found, wanted)


@pytest.mark.parametrize(
    "arguments", [{"causal": True}, {"window": 2}, {"position": "rotary", "key_dim": 8}]
)
def test_a_decoder_does_not_tell_where_it_stands(arguments):
    attention = built(**arguments)
    query, memory = ops.convert_to_tensor(QUERY), ops.convert_to_tensor(MEMORY)
    with pytest.raises(ValueError, match=f"for `call` alone. Received: {{'{next(iter(arguments))}"):
        attention.step(query, attention.prepare(memory), ())


@pytest.mark.parametrize("asked", [False, True])
def test_dropout_is_for_training_alone(asked):
    attention, plain = built(dropout=0.5, seed=1), built()
    wanted = plain(QUERY, MEMORY, return_alignments=asked)
    assert_close(attention(QUERY, MEMORY, return_alignments=asked), wanted)
    one, other = (
        attention(QUERY, MEMORY, return_alignments=asked, training=True) for _ in range(2)
    )
    if asked:
        assert_close(one[1], wanted[1])
        one, other = one[0], other[0]
    assert np.any(np.abs(to_numpy(one) - to_numpy(other)) > 1e-2)


@pytest.mark.parametrize("kind", ["plain", "grouped", "multi-query", "capped"])
def test_who_asks_for_alignments_drops_the_same_weights(kind):
    one, other = (built(**KINDS[kind], dropout=0.4, seed=1) for _ in range(2))
    context = one(QUERY, MEMORY, memory_mask=MASK, training=True)
    again, _ = other(QUERY, MEMORY, memory_mask=MASK, training=True, return_alignments=True)
    assert_close(again, context)


def test_dropout_in_a_decoder_keeps_the_context_on_average():
    attention = built(dropout=0.25, seed=1)
    query = ops.convert_to_tensor(np.repeat(QUERY[:, :1], 2000, axis=1))
    prepared = attention.prepare(ops.convert_to_tensor(MEMORY), ops.convert_to_tensor(MASK))
    noise = attention.draw_noise(prepared, 2000)
    assert tuple(noise.shape) == (2, 2000, 4 * 11)
    found = to_numpy(attention.noisy_attend(query, prepared, noise)[0])
    wanted = to_numpy(attention.attend(query, prepared)[0])
    error = found.std(axis=1) / np.sqrt(2000)
    assert np.all(np.abs(found.mean(axis=1) - wanted[:, 0]) < 4.5 * error)


def test_a_name_gives_heads_that_divide_the_width():
    for units, heads in ((512, 8), (12, 4), (7, 1)):
        attention = get_attention("multi_head", units)
        assert (attention.num_heads, attention.key_dim) == (heads, units // heads)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_heads": 0}, "Received: num_heads=0"),
        ({"key_dim": 0}, "Received: key_dim=0"),
        ({"value_dim": 0}, "Received: value_dim=0"),
        ({"output_dim": 0}, "Received: output_dim=0"),
        ({"window": 0}, "Received: window=0"),
        (
            {"num_key_value_heads": 3},
            "must divide `num_heads`. Received: num_key_value_heads=3, num_heads=4",
        ),
        ({"dropout": 1.0}, r"in \[0, 1\). Received: dropout=1.0"),
        ({"soft_cap": 0.0}, "above 0. Received: soft_cap=0.0"),
        ({"normalizer": "hard"}, "Received: normalizer='hard'"),
        ({"score": "cosine"}, "Received: score='cosine'"),
        ({"position": "spiral"}, "Received: position='spiral'"),
        ({"position": "learned"}, "acts at the input of a model.* Received: position='learned'"),
        (
            {"position": layers.SinusoidalPosition()},
            "take `position=None` here.* Received: position=<SinusoidalPosition",
        ),
    ],
)
def test_what_cannot_be_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        layers.MultiHeadAttention(**({"num_heads": 4, "key_dim": 7} | arguments))


def test_low_rank_and_eight_bits_reach_the_projections():
    attention = built()
    wanted = attention(QUERY, MEMORY, memory_mask=MASK)
    attention.query_dense.enable_lora(2)
    factors = attention.query_dense.lora_kernel_a, attention.query_dense.lora_kernel_b
    for factor in factors:
        factor.assign(normal(*factor.shape, seed=4))
    added = np.matmul(*map(to_numpy, factors))
    found = attention(QUERY, MEMORY, memory_mask=MASK)
    attention = built()
    attention.query_dense.kernel.assign_add(added)
    assert_close(found, attention(QUERY, MEMORY, memory_mask=MASK))
    assert np.abs(to_numpy(found) - to_numpy(wanted)).max() > 1e-2
    attention = built()
    for name in ("query", "key", "value", "output"):
        getattr(attention, f"{name}_dense").quantize("int8")
    found = to_numpy(attention(QUERY, MEMORY, memory_mask=MASK))
    assert 0 < np.abs(found - to_numpy(wanted)).max() < 0.1 * np.abs(to_numpy(wanted)).max()


@pytest.mark.parametrize("symbolic", [False, True])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"memory_mask": MASK[:, :7]}, r"S=11. Received: memory_mask.shape=\(2, 7\)"),
        ({"memory_mask": MASK[:1]}, r"B=2, S=11. Received: memory_mask.shape=\(1, 11\)"),
        (
            {"attention_mask": PAIRS[:, :2]},
            r"\[B, N, T, S\] with B=2, S=11, N=4, T=3. "
            r"Received: attention_mask.shape=\(2, 2, 11\)",
        ),
        (
            {"attention_mask": PAIRS.astype("int32")},
            "must be boolean.*attention_mask.dtype=.*int32",
        ),
        ({"query_mask": MASK[0]}, r"Received: query_mask.shape=\(11,\)"),
        ({"memory": MEMORY[:1]}, "must have the same batch size"),
    ],
)
def test_masks_that_do_not_fit_are_refused(arguments, message, symbolic):
    arguments = {"query": QUERY, "memory": MEMORY} | arguments
    if symbolic:
        arguments = {
            name: keras.KerasTensor(array.shape, dtype=array.dtype)
            for name, array in arguments.items()
        }
    with pytest.raises(ValueError, match=message):
        layers.MultiHeadAttention(4, 7)(**arguments)


@pytest.mark.parametrize("length", [None, 5])
def test_a_model_around_it_is_exported_by_keras(length, tmp_path):
    if keras.backend.backend() == "torch":
        pytest.skip("There Keras exports by another road, without open sizes.")
    tf = pytest.importorskip("tensorflow")
    inputs = keras.Input((length, 8))
    model = keras.Model(inputs, layers.MultiHeadAttention(2, 4)(inputs, inputs))
    model.export(str(tmp_path), verbose=False)
    x = np.random.default_rng(0).normal(size=(3, 5, 8)).astype("float32")
    loaded = tf.saved_model.load(str(tmp_path))
    found = loaded.serve(x)
    np.testing.assert_allclose(found, np.asarray(model(x)), atol=1e-5)
