import keras
import keras_hub
import numpy as np
import pytest
import torch
from keras import ops

from attnzoo import layers
from tests.tools import (
    assert_close,
    compiled,
    lengths_mask,
    normal,
    set_weights,
    shared,
    to_numpy,
)

B, T, S, N, D, DM, U = 2, 5, 7, 2, 8, 3, 11
X, MEMORY = normal(B, T, D, seed=1), normal(B, S, DM, seed=2)
MASK, MEMORY_MASK = lengths_mask([5, 3], T), lengths_mask([4, 7], S)


def encoder(**arguments):
    block = layers.TransformerEncoderBlock(D, N, feed_forward_dim=U, **arguments)
    block.build(X.shape)
    set_weights(block)
    return block


def decoder(**arguments):
    block = layers.TransformerDecoderBlock(D, N, feed_forward_dim=U, **arguments)
    block.build(X.shape, MEMORY.shape)
    set_weights(block)
    return block


# === The same numbers as others, with the same weights ===


def _give(linear, kernel, bias):
    linear.weight.data = torch.tensor(to_numpy(kernel).T)
    linear.bias.data = torch.tensor(to_numpy(bias))


def _give_attention(theirs, ours):
    names = ("query", "key", "value")
    parts = [getattr(ours, f"{name}_dense") for name in names]
    kernels = [to_numpy(dense.kernel).T for dense in parts]
    if theirs.in_proj_weight is None:
        for name, kernel in zip("qkv", kernels, strict=True):
            getattr(theirs, f"{name}_proj_weight").data = torch.tensor(kernel)
    else:
        theirs.in_proj_weight.data = torch.tensor(np.concatenate(kernels))
    biases = [to_numpy(dense.bias) for dense in parts]
    theirs.in_proj_bias.data = torch.tensor(np.concatenate(biases))
    _give(theirs.out_proj, ours.output_dense.kernel, ours.output_dense.bias)


def _give_norm(theirs, ours):
    theirs.weight.data = torch.tensor(to_numpy(ours.gamma))
    theirs.bias.data = torch.tensor(to_numpy(ours.beta))


def _give_block(theirs, ours):
    _give_attention(theirs.self_attn, ours.self_attention)
    for linear, dense in (
        (theirs.linear1, ours.feed_forward.hidden_dense),
        (theirs.linear2, ours.feed_forward.output_dense),
    ):
        _give(linear, dense.kernel, dense.bias)
    _give_norm(theirs.norm1, ours.self_attention_norm)


@pytest.mark.parametrize("norm_first", [True, False])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_an_encoder_block_is_torchs(norm_first, activation):
    ours = encoder(norm_first=norm_first, activation=activation)
    theirs = torch.nn.TransformerEncoderLayer(
        D, N, U, 0.0, activation, batch_first=True, norm_first=norm_first
    )
    _give_block(theirs, ours)
    _give_norm(theirs.norm2, ours.feed_forward_norm)
    theirs.eval()
    expected = theirs(torch.tensor(X), src_key_padding_mask=torch.tensor(~MASK))
    found = to_numpy(ours(X, padding_mask=MASK))
    np.testing.assert_allclose(found[MASK], expected.detach().cpu().numpy()[MASK], atol=1e-5)


@pytest.mark.parametrize("norm_first", [True, False])
def test_a_decoder_block_is_torchs(norm_first):
    memory = normal(B, S, D, seed=2)
    ours = layers.TransformerDecoderBlock(D, N, feed_forward_dim=U, norm_first=norm_first)
    ours.build(X.shape, memory.shape)
    set_weights(ours)
    theirs = torch.nn.TransformerDecoderLayer(D, N, U, 0.0, batch_first=True, norm_first=norm_first)
    _give_block(theirs, ours)
    _give_attention(theirs.multihead_attn, ours.cross_attention)
    _give_norm(theirs.norm2, ours.cross_attention_norm)
    _give_norm(theirs.norm3, ours.feed_forward_norm)
    theirs.eval()
    expected = theirs(
        torch.tensor(X),
        torch.tensor(memory),
        tgt_mask=torch.nn.Transformer.generate_square_subsequent_mask(T),
        memory_key_padding_mask=torch.tensor(~MEMORY_MASK),
        tgt_is_causal=True,
    )
    assert_close(ours(X, memory, memory_mask=MEMORY_MASK), expected.detach().cpu().numpy())


@pytest.mark.parametrize("norm_first", [True, False])
def test_an_encoder_block_is_keras_hubs(norm_first):
    ours = encoder(norm_first=norm_first)
    theirs = keras_hub.layers.TransformerEncoder(U, N, normalize_first=norm_first)
    theirs.build(X.shape)
    attention, feed_forward = ours.self_attention, ours.feed_forward
    parts = {
        "self_attention_layer/query/": attention.query_dense.weights,
        "self_attention_layer/key/": attention.key_dense.weights,
        "self_attention_layer/value/": attention.value_dense.weights,
        "attention_output/": attention.output_dense.weights,
        "self_attention_layer_norm/": (
            ours.self_attention_norm.gamma,
            ours.self_attention_norm.beta,
        ),
        "feedforward_layer_norm/": (ours.feed_forward_norm.gamma, ours.feed_forward_norm.beta),
        "feedforward_intermediate_dense/": feed_forward.hidden_dense.weights,
        "feedforward_output_dense/": feed_forward.output_dense.weights,
    }
    for weight in theirs.weights:
        if "seed" in weight.path:
            continue
        (pair,) = [pair for name, pair in parts.items() if name in weight.path]
        source = pair[weight.path.endswith(("bias", "beta"))]
        weight.assign(np.reshape(to_numpy(source), weight.shape))
    tensors = ops.convert_to_tensor(X), ops.convert_to_tensor(MASK)
    found, expected = ours(*tensors), theirs(tensors[0], padding_mask=tensors[1])
    np.testing.assert_allclose(to_numpy(found)[MASK], to_numpy(expected)[MASK], atol=1e-5)


# === The decoder, step by step ===

ARGUMENTS = {
    "plain": {},
    "post": {"norm_first": False, "norm": "rms"},
    **{name: {"position": name} for name in ("none", "rotary", "relative", "t5", "alibi")},
    "windowed": {"position": "rotary", "attention": {"window": 2, "num_key_value_heads": 1}},
    "normed": {"activation": "swiglu", "attention": {"qk_norm": True, "use_bias": False}},
}


@pytest.mark.rotates
@pytest.mark.parametrize("name", shared(ARGUMENTS, ["plain"]))
def test_step_by_step_it_is_the_whole_pass(name):
    block = decoder(**ARGUMENTS[name])

    def run(x, memory, mask):
        whole = block(x, memory, memory_mask=mask, return_alignments=True)
        prepared = block.prepare(memory, mask)
        cache = block.initial_cache(B, T)
        first, looked, cache = block.call_with_cache(x[:, :2], prepared, cache, 0)  # A prompt.
        outputs, alignments = [first], [looked]
        for index in range(2, T):
            step = x[:, index : index + 1]
            output, looked, cache = block.call_with_cache(step, prepared, cache, index)
            outputs.append(output)
            alignments.append(looked)
        return whole, (ops.concatenate(outputs, axis=1), ops.concatenate(alignments, axis=2))

    whole, stepwise = compiled(run)(*map(ops.convert_to_tensor, (X, MEMORY, MEMORY_MASK)))
    assert whole[1].shape == (B, N, T, S)
    assert_close(stepwise, whole)


def test_hypotheses_share_a_memory():
    block = decoder(position="rotary")
    x = normal(B * 3, 2, D, seed=4)  # K = 3
    memory, mask = (np.repeat(one, 3, axis=0) for one in (MEMORY, MEMORY_MASK))
    expected = block(x, memory, memory_mask=mask, return_alignments=True)
    prepared = block.prepare(ops.convert_to_tensor(MEMORY), ops.convert_to_tensor(MEMORY_MASK))
    found = block.call_with_cache(
        ops.convert_to_tensor(x), prepared, block.initial_cache(B * 3, 2), 0
    )
    assert_close(found[:2], expected)


def test_a_step_sees_nothing_that_comes_later():
    block = decoder()
    changed = X.copy()
    changed[:, 3:] += 1.0
    before, after = (to_numpy(block(x, MEMORY)) for x in (X, changed))
    np.testing.assert_array_equal(before[:, :3], after[:, :3])
    assert np.abs(before[:, 3:] - after[:, 3:]).max() > 0.01


# === Training ===


def test_stochastic_depth_leaves_branches_out_and_keeps_the_mean():
    block = encoder(stochastic_depth=0.5)
    many = np.repeat(X[:1], 4000, axis=0)
    outputs = to_numpy(block(many, training=True))
    kinds = np.unique(outputs.round(4).reshape(4000, -1), axis=0)
    assert len(kinds) == 4  # Each of two branches is there, or not.
    assert np.any(np.all(kinds == X[0].round(4).ravel(), axis=1))  # Neither.
    added = to_numpy(block.self_attention(block.self_attention_norm(X[:1])))[0]
    streams = outputs - X[:1]
    # The first branch alone is the stream where the second was left out.
    alone = np.abs(streams - 2.0 * added).max(axis=(1, 2)) < 1e-3
    error = np.sqrt(0.25 * 0.75 / 4000)
    assert abs(alone.mean() - 0.25) < 4 * error
    assert_close(block(X), encoder()(X))  # Nothing of that in inference.


def test_dropout_is_of_training():
    block = encoder(dropout=0.5, attention={"dropout": 0.5})
    assert_close(block(X), encoder()(X))
    assert np.abs(to_numpy(block(X, training=True)) - to_numpy(block(X))).max() > 0.1


@pytest.mark.parametrize("way", ["called", "functional"])
def test_masks_that_keras_sends_along_are_heeded(way):
    ids, memory_ids = MASK * np.array([[3, 1, 4, 1, 5]]), MEMORY_MASK * np.arange(1, S + 1)
    embedding = keras.layers.Embedding(9, D, mask_zero=True)
    attention = layers.MultiHeadSelfAttention(N, D // N)
    attention.build((B, T, D))
    parts = encoder(), attention

    def look(ids, memory_ids):
        x, memory = embedding(ids), embedding(memory_ids)
        return *(part(x) for part in parts), block(x, memory)

    block = layers.TransformerDecoderBlock(D, N, feed_forward_dim=U)
    x, memory = embedding(ids), embedding(memory_ids)
    expected = [part(x, padding_mask=ops.convert_to_tensor(MASK)) for part in parts]
    masks = {"padding_mask": MASK, "memory_mask": MEMORY_MASK}
    expected.append(block(x, memory, **{k: ops.convert_to_tensor(v) for k, v in masks.items()}))
    if way == "functional":
        inputs = [keras.Input((n,), dtype="int32") for n in (T, S)]
        model = keras.Model(inputs, look(*inputs))
        found = model([ops.convert_to_tensor(one) for one in (ids, memory_ids)])
    else:
        found = look(ops.convert_to_tensor(ids), ops.convert_to_tensor(memory_ids))
    for one, other in zip(found, expected, strict=True):
        assert_close(one, other)
    assert np.abs(to_numpy(found[0]) - to_numpy(parts[0](to_numpy(x))))[1, :3].max() > 1e-3


def test_masks_of_symbolic_calls_are_checked():
    x, memory = keras.Input((T, D), batch_size=B), keras.Input((S, DM), batch_size=B)
    wrong = keras.Input((T + 1,), batch_size=B, dtype="bool")
    with pytest.raises(ValueError, match="`padding_mask` must have shape .* Received"):
        encoder()(x, padding_mask=wrong)
    with pytest.raises(ValueError, match="`memory_mask` must have shape .* Received"):
        decoder()(x, memory, memory_mask=wrong)


def test_padding_changes_nothing():
    block = encoder(position="rotary")
    x = np.pad(np.where(MASK[..., None], X, 9.0), [(0, 0), (0, 3), (0, 0)], constant_values=9.0)
    mask = np.pad(MASK, [(0, 0), (0, 3)])
    found = to_numpy(block(x, padding_mask=mask))[:, :T]
    np.testing.assert_allclose(found[MASK], to_numpy(block(X, padding_mask=MASK))[MASK], atol=1e-5)


# === Bad input ===


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_heads": 3}, "must divide `hidden_dim`. Received: num_heads=3, hidden_dim=8"),
        ({"hidden_dim": 0}, "Received: hidden_dim=0"),
        ({"feed_forward_dim": 0}, "`feed_forward_dim` must .* Received: feed_forward_dim=0"),
        ({"norm": "batch"}, "must be one of .*'layer'.* Received: norm='batch'"),
        ({"dropout": 1.0}, r"`dropout` must be in \[0, 1\). Received: dropout=1.0"),
        ({"stochastic_depth": -0.1}, "Received: stochastic_depth=-0.1"),
        ({"epsilon": 0.0}, "`epsilon` must be above 0. Received: epsilon=0.0"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        layers.TransformerEncoderBlock(
            **{"hidden_dim": D, "num_heads": N, "feed_forward_dim": U, **arguments}
        )


def test_a_stream_of_another_width_is_refused():
    message = r"as wide as the block, 8 features. Received: x.shape=\(2, 5, 3\)"
    with pytest.raises(ValueError, match=message):
        layers.TransformerEncoderBlock(D, N, feed_forward_dim=U)(X[:, :, :3])


def test_a_cache_of_another_batch_is_refused():
    block = decoder()
    prepared, cache = block.prepare(ops.convert_to_tensor(MEMORY)), block.initial_cache(3, T)
    with pytest.raises(ValueError, match=r"a cache of 3 sequences with inputs.shape=\(2, 1, 8\)"):
        block.call_with_cache(ops.convert_to_tensor(X[:, :1]), prepared, cache, 0)


def test_a_memory_of_another_batch_is_refused():
    block = decoder()
    prepared, cache = block.prepare(ops.convert_to_tensor(MEMORY)), block.initial_cache(3, T)
    x = ops.convert_to_tensor(normal(3, 1, D))
    with pytest.raises(ValueError, match=r"Received: 2 sources with x.shape=\(3, 1, 8\)"):
        block.call_with_cache(x, prepared, cache, 0)


def test_more_steps_than_the_cache_has_room_for_are_refused():
    block = decoder()
    prepared, cache = block.prepare(ops.convert_to_tensor(MEMORY)), block.initial_cache(B, T)
    with pytest.raises(ValueError, match="5 places. Received: index=5 with 1 tokens"):
        block.call_with_cache(ops.convert_to_tensor(X[:, :1]), prepared, cache, T)


@pytest.mark.parametrize(
    ("attention", "message"),
    [
        ({"heads": 4}, "must hold arguments of .*'window'.* Received: {'heads': 4}"),
        ({"units": 3}, "must hold arguments of .* Received: {'units': 3}"),
        ({"score": "additive", "unit": 3}, "'units'.* Received: {'unit': 3}"),
        (
            {"causal": True},
            "must leave out the arguments that the block sets.* Received: {'causal': True}",
        ),
        ({"position": "rotary"}, "must leave out .* Received: {'position': 'rotary'}"),
        ({"output_dim": 3}, "must leave out .* Received: {'output_dim': 3}"),
        ("additive", "must be a dict of arguments, or None. Received: attention='additive'"),
    ],
)
def test_arguments_that_an_attention_does_not_take_are_refused(attention, message):
    for block in (encoder, decoder):
        with pytest.raises(ValueError, match=message):
            block(attention=attention)


# === Parts that blocks share ===


def test_a_shared_position_is_one_layer():
    position = layers.RotaryPosition()
    first, second = (encoder(position=position) for _ in range(2))
    assert first.self_attention.position is second.self_attention.position
    assert isinstance(keras.saving.serialize_keras_object(first), dict)


def shared_position():
    return {"position": layers.T5Position(N)}


def shared_score():
    return {"attention": {"score": layers.AdditiveScore(3), "window": 2}}


def part_of(block):
    """The position or the score, whichever has weights."""
    attention = block.self_attention
    return attention.position if attention.score == "dot" else attention.score


def stack(**arguments):
    """A model of an encoder's and a decoder's block, which share what they are given."""
    blocks = [
        layers.TransformerEncoderBlock(D, N, feed_forward_dim=U, name="encoder", **arguments),
        layers.TransformerDecoderBlock(D, N, feed_forward_dim=U, name="decoder", **arguments),
    ]
    x = keras.Input((None, D))
    model = keras.Model(x, blocks[1](blocks[0](x), x))
    set_weights(model)
    return model


@pytest.mark.parametrize("shared", [shared_position, shared_score])
def test_what_blocks_share_they_share_in_a_file_too(shared, tmp_path):
    model = stack(**shared())
    path = tmp_path / "model.keras"
    for _ in range(2):  # Of a file, and of a file of what was in it.
        expected = model(X)
        model.save(path)
        model = keras.saving.load_model(path)
        assert_close(model(ops.convert_to_tensor(X)), expected)
        parts = [part_of(model.get_layer(name)) for name in ("encoder", "decoder")]
        assert parts[0] is parts[1] and parts[0].weights


@pytest.mark.parametrize("shared", [shared_position, shared_score])
def test_a_block_from_a_config_has_weights_of_its_own(shared):
    block = encoder(**shared())
    again = layers.TransformerEncoderBlock.from_config(block.get_config())
    assert again.get_config() == block.get_config()
    assert part_of(again) is not part_of(block)
    again.build(X.shape)
    set_weights(again)
    assert_close(again(X), block(X))


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16", "float64"])
def test_a_step_has_the_dtype_of_the_whole_pass(dtype):
    block = decoder(dtype=dtype)
    whole = block(X, MEMORY)
    cache = block.initial_cache(B, T)
    step, _, _ = block.call_with_cache(X[:, :1], block.prepare(MEMORY), cache, 0)  # NumPy will do.
    assert step.dtype == whole.dtype
    tolerance = 0.1 if dtype == "mixed_bfloat16" else 1e-5
    assert_close(step, whole[:, :1], tolerance=tolerance)


def test_a_block_that_is_not_built_says_so():
    block = layers.TransformerDecoderBlock(D, N, feed_forward_dim=U)
    with pytest.raises(ValueError, match="must be built .* Received: layer 'key', not built"):
        block.prepare(MEMORY)
    with pytest.raises(ValueError, match="must be built .* Received: layer 'key', not built"):
        layers.MultiHeadAttention(N, 3).prepare(MEMORY)
