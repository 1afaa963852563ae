import keras
import numpy as np
import pytest
from keras import ops

from attnzoo import layers
from attnzoo.layers.names import ATTENTIONS
from attnzoo.layers.rnn.equations import state_sizes
from tests import references
from tests.catalogue import CumulativeAttention
from tests.tools import assert_close, lengths_mask, normal, set_weights, to_numpy, weights_of

INPUTS, MEMORY = normal(2, 3, 5, seed=1), normal(2, 11, 13, seed=2)
MASK = lengths_mask([11, 7], 11)

CELLS = {
    "lstm": lambda: keras.layers.LSTMCell(7),
    "gru": lambda: keras.layers.GRUCell(7),
    "simple": lambda: keras.layers.SimpleRNNCell(7),
}
REFERENCES = {
    "lstm": references.lstm_step,
    "gru": references.gru_step,
    "simple": references.simple_rnn_step,
}
MARGINAL = ["hard_exact", "exact_monotonic", "exact_monotonic_zeroth"]
ORDERS = [("before", False), ("after", False), ("after", True)]


def built(cell, attention=None, memory=MEMORY, **arguments):
    attention = layers.BahdanauAttention(5) if attention is None else attention
    cell = layers.AttentionCell(cell, attention, **arguments)
    cell.build(INPUTS.shape, memory.shape)
    set_weights(cell)
    return cell


def prepare(cell, memory=MEMORY, mask=MASK):
    mask = None if mask is None else ops.convert_to_tensor(mask)
    return cell.prepare(ops.convert_to_tensor(memory), mask)


def steps(cell, inputs, prepared, state):
    outputs, alignments = [], []
    for t in range(inputs.shape[1]):
        output, aligned, state = cell.step(ops.convert_to_tensor(inputs[:, t]), prepared, state)
        outputs.append(output)
        alignments.append(aligned)
    return outputs, alignments, state


@pytest.mark.parametrize("output_attention", [True, False])
@pytest.mark.parametrize("attention_layer", [None, 3])
@pytest.mark.parametrize(("attend", "input_feeding"), ORDERS)
@pytest.mark.parametrize("name", CELLS)
def test_a_step_follows_its_equations(
    name, attend, input_feeding, attention_layer, output_attention
):
    cell = built(
        CELLS[name](),
        attend=attend,
        input_feeding=input_feeding,
        attention_layer=attention_layer,
        output_attention=output_attention,
    )
    cell_weights = [ops.convert_to_numpy(weight) for weight in cell.cell.weights]
    score_weights = weights_of(cell.attentions[0])
    width = 3 if attention_layer else 13
    state = [normal(2, 7, seed=3 + i) for i in range(len(state_sizes(cell.cell)))]
    expected_state = (state, np.zeros((2, width)))
    expected = [], []
    for t in range(3):
        output, aligned, expected_state = references.attention_cell_step(
            INPUTS[:, t],
            expected_state,
            MEMORY,
            MASK,
            cell=lambda inputs, states: REFERENCES[name](inputs, states, *cell_weights),
            score=lambda query, memory: references.additive_scores(query, memory, **score_weights),
            attend=attend,
            input_feeding=input_feeding,
            attention_kernel=(
                ops.convert_to_numpy(cell.attention_layer.kernel) if attention_layer else None
            ),
            output_attention=output_attention,
        )
        expected[0].append(output)
        expected[1].append(aligned)
    prepared = prepare(cell)
    outputs, alignments, last = steps(cell, INPUTS, prepared, cell.initial_state(prepared, state))
    assert_close((outputs, alignments), expected)
    assert_close(last["cell"], expected_state[0])
    assert outputs[0].shape[-1] == cell.output_width


@pytest.mark.parametrize(
    ("arguments", "several"),
    [
        ({"attend": "before"}, False),
        ({"attend": "before", "attention_layer": 3}, True),
        ({"attend": "after", "attention_layer": 3}, True),
        ({"attend": "after", "input_feeding": False}, False),
    ],
)
def test_hypotheses_side_by_side_equal_a_repeated_memory(arguments, several):
    memory = normal(2, 11, 7, seed=2)
    attention = CumulativeAttention()
    attention = [attention, layers.BahdanauAttention(5)] if several else attention
    cell = built(keras.layers.LSTMCell(7), attention, memory=memory, **arguments)
    inputs = normal(6, 3, 5, seed=3)  # B = 2 sources, K = 3 hypotheses of each
    prepared = prepare(cell, memory)
    repeated = prepare(cell, np.repeat(memory, 3, axis=0), np.repeat(MASK, 3, axis=0))
    first = cell.initial_state(prepared)
    start = keras.tree.map_structure(lambda leaf: ops.repeat(leaf, 3, axis=0), first)
    assert_close(start, cell.initial_state(repeated))
    assert_close(steps(cell, inputs, prepared, start), steps(cell, inputs, repeated, start))


def test_every_leaf_of_the_state_has_the_batch_first():
    memory = normal(2, 11, 7)
    cell = built(
        [keras.layers.LSTMCell(5), keras.layers.GRUCell(7)],
        [CumulativeAttention(), layers.BahdanauAttention(5)],
        memory=memory,
        attend="after",
        attention_layer=3,
    )
    state = cell.initial_state(prepare(cell, memory))
    shapes = keras.tree.map_structure(lambda leaf: tuple(leaf.shape), state)
    assert shapes["cell"] == [(2, 5), (2, 5), (2, 7)]
    assert shapes["attention"] == ((2, 11), ())
    assert shapes["feed"] == (2, 3)


def test_several_attentions_give_their_contexts_side_by_side():
    attentions = [layers.BahdanauAttention(5), layers.LuongAttention("general")]
    cell = built(keras.layers.GRUCell(7), attentions, attend="after", input_feeding=False)
    prepared = prepare(cell)
    output, alignments, state = cell.step(
        ops.convert_to_tensor(INPUTS[:, 0]), prepared, cell.initial_state(prepared)
    )
    query = ops.expand_dims(state["cell"][0], 1)
    found = [one(query, MEMORY, memory_mask=MASK, return_alignments=True) for one in attentions]
    assert_close(output, ops.concatenate([context[:, 0] for context, _ in found], axis=-1))
    assert_close(alignments, tuple(aligned[:, 0] for _, aligned in found))


def test_one_attention_in_a_list_gives_its_alignments_in_a_tuple():
    cell = built(keras.layers.GRUCell(7), [layers.BahdanauAttention(5)])
    prepared = prepare(cell)
    _, alignments, _ = cell.step(
        ops.convert_to_tensor(INPUTS[:, 0]), prepared, cell.initial_state(prepared)
    )
    assert isinstance(alignments, tuple) and alignments[0].shape == (2, 11)


@pytest.mark.parametrize(("attend", "input_feeding"), ORDERS)
def test_a_step_keeps_the_dtype_of_its_state_under_mixed_precision(attend, input_feeding):
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        cell = built(
            keras.layers.LSTMCell(7), attend=attend, input_feeding=input_feeding, attention_layer=3
        )
    finally:
        keras.config.set_dtype_policy(policy)
    prepared = prepare(cell, ops.cast(MEMORY, "bfloat16"))
    state = cell.initial_state(prepared)
    output, alignments, after = cell.step(ops.cast(INPUTS[:, 0], "bfloat16"), prepared, state)
    for leaf in [output, alignments, *keras.tree.flatten(after)]:
        assert keras.backend.standardize_dtype(leaf.dtype) == "bfloat16"


def test_input_feeding_is_on_for_after_alone():
    for attend in ("before", "after"):
        cell = layers.AttentionCell(
            keras.layers.GRUCell(7), layers.BahdanauAttention(5), attend=attend
        )
        assert cell.input_feeding is (attend == "after")


def test_several_attention_layers_are_refused():
    with pytest.raises(
        ValueError, match=r"must be one layer, .* Received: attention_layer=\[3, 3\]"
    ):
        layers.AttentionCell(
            keras.layers.GRUCell(4), ["luong", "bahdanau"], attend="after", attention_layer=[3, 3]
        )


def test_a_width_makes_luongs_attention_layer():
    cell = built(keras.layers.GRUCell(7), attend="after", attention_layer=3)
    assert weights_of(cell.attention_layer)["kernel"].shape == (20, 3)
    assert cell.attention_layer.activation is keras.activations.tanh
    assert len(cell.attention_layer.weights) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"attend": "during"}, r"`attend` must be one of .* Received: attend='during'"),
        ({"attend": "before", "input_feeding": True}, r"Received: input_feeding=True"),
        ({"cell": 7}, r"`cell` must be a Keras RNN cell.* Received: cell=7"),
        ({"cell": [7]}, r"`cell` must be a Keras RNN cell.* Received: cell=7"),
        ({"attention": "soft"}, r"`attention` must be .*'bahdanau'.* Received: attention='soft'"),
        ({"attention": [3]}, r"`attention` must be .* Received: attention=3"),
    ],
)
def test_what_is_no_cell_or_no_attention_is_refused(arguments, message):
    good = {"cell": keras.layers.GRUCell(7), "attention": layers.BahdanauAttention(5)}
    with pytest.raises(ValueError, match=message):
        layers.AttentionCell(**(good | arguments))


@pytest.mark.rotates
@pytest.mark.parametrize("name", sorted(ATTENTIONS))
def test_an_attention_may_be_given_by_its_name(name):
    attend = "after" if name in MARGINAL else "before"
    cell = layers.AttentionCell(keras.layers.LSTMCell(8), name, attend=attend)
    assert cell.attentions[0].name == "attention"
    memory = MEMORY[:, :, :8]  # The dot product compares what is as wide.
    rnn = layers.AttentionRNN(cell)
    outputs, alignments = rnn(INPUTS, memory, memory_mask=MASK, return_alignments=True)
    assert outputs.shape == (2, 3, 8) and alignments.shape == (2, 3, 11)
    again = layers.AttentionCell.from_config(cell.get_config())
    assert again.get_config() == cell.get_config()


def test_several_names_make_several_attentions():
    cell = built(keras.layers.GRUCell(7), ["bahdanau", "luong"])
    kinds = [type(one).__name__ for one in cell.attentions]
    assert kinds == ["BahdanauAttention", "LuongAttention"] and cell.attentions[0].score.units == 7
    assert len({weight.path for weight in cell.weights}) == len(cell.weights)


@pytest.mark.parametrize("name", MARGINAL)
def test_what_comes_out_is_what_the_output_layer_of_a_marginal_attention_takes(name):
    cell = layers.AttentionCell(keras.layers.GRUCell(7), name, attend="after")
    assert cell.output_attention is False
    cell = layers.AttentionCell(
        keras.layers.GRUCell(7), name, attend="after", output_attention=True
    )
    assert cell.output_attention is True


def test_a_config_may_be_read_twice():
    cell = layers.AttentionCell(
        [keras.layers.GRUCell(7), keras.layers.GRUCell(5)], layers.BahdanauAttention(5)
    )
    config = cell.get_config()
    for _ in range(2):
        assert layers.AttentionCell.from_config(config).get_config() == cell.get_config()


def test_padding_gets_no_weight():
    cell = built(keras.layers.GRUCell(7))
    prepared = prepare(cell)
    _, alignments, _ = steps(cell, INPUTS, prepared, cell.initial_state(prepared))
    for aligned in to_numpy(alignments):
        assert np.all(aligned[~MASK] == 0.0)
