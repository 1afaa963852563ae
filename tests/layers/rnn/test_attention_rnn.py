import keras
import numpy as np
import pytest
from keras import ops

from attnzoo import layers
from attnzoo.ops import masked_softmax
from tests.catalogue import CumulativeAttention
from tests.layers.rnn.test_equations import DecayCell
from tests.tools import assert_close, lengths_mask, normal, set_weights, to_numpy

pytestmark = pytest.mark.usefixtures("without_compilation")
INPUTS, MEMORY = normal(2, 3, 5, seed=1), normal(2, 11, 7, seed=2)
MASK = lengths_mask([11, 7], 11)

CELLS = {
    "lstm": lambda: keras.layers.LSTMCell(7),
    "gru": lambda: keras.layers.GRUCell(7, reset_after=False),
    "simple": lambda: keras.layers.SimpleRNNCell(7),
    "stack": lambda: [keras.layers.LSTMCell(5), keras.layers.GRUCell(7)],
    "own": lambda: DecayCell(7),
}
ATTENTIONS = {
    "one": lambda: layers.BahdanauAttention(5),
    "several": lambda: [layers.BahdanauAttention(5), layers.LuongAttention("dot")],
    "stateful": lambda: [CumulativeAttention(), layers.LuongAttention("general")],
}
ORDERS = [("before", False), ("after", False), ("after", True)]
READOUTS = [(None, True), (3, True), (3, False)]


def built(cell="lstm", attention="one", **arguments):
    rnn = layers.AttentionRNN(
        layers.AttentionCell(CELLS[cell](), ATTENTIONS[attention](), **arguments)
    )
    rnn.build(INPUTS.shape, MEMORY.shape)
    set_weights(rnn)
    return rnn


def everything(rnn, inputs=INPUTS, initial_state=None):
    return rnn(
        ops.convert_to_tensor(inputs),
        ops.convert_to_tensor(MEMORY),
        memory_mask=ops.convert_to_tensor(MASK),
        initial_state=initial_state,
        return_alignments=True,
        return_state=True,
    )


def step_by_step(rnn, inputs=INPUTS):
    cell = rnn.cell
    prepared = cell.prepare(ops.convert_to_tensor(MEMORY), ops.convert_to_tensor(MASK))
    state = cell.initial_state(prepared)
    outputs, alignments = [], []
    for t in range(inputs.shape[1]):
        output, aligned, state = cell.step(ops.convert_to_tensor(inputs[:, t]), prepared, state)
        outputs.append(output)
        alignments.append(aligned)
    stacked = keras.tree.map_structure(lambda *steps: ops.stack(steps, axis=1), *alignments)
    return ops.stack(outputs, axis=1), stacked, state


@pytest.mark.rotates
@pytest.mark.parametrize(("attention_layer", "output_attention"), READOUTS)
@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize(("attend", "input_feeding"), ORDERS)
@pytest.mark.parametrize("cell", CELLS)
def test_the_loop_equals_its_steps(
    cell, attend, input_feeding, attention, attention_layer, output_attention
):
    rnn = built(
        cell,
        attention,
        attend=attend,
        input_feeding=input_feeding,
        attention_layer=attention_layer,
        output_attention=output_attention,
    )
    assert_close(everything(rnn), step_by_step(rnn))


@pytest.mark.parametrize("attention", ["one", "stateful"])
@pytest.mark.parametrize(("attend", "input_feeding"), ORDERS)
def test_a_run_may_be_continued_from_its_state(attend, input_feeding, attention):
    rnn = built("stack", attention, attend=attend, input_feeding=input_feeding)
    outputs, alignments, state = everything(rnn)
    first = everything(rnn, INPUTS[:, :2])
    second = everything(rnn, INPUTS[:, 2:], initial_state=first[2])
    joined = keras.tree.map_structure(
        lambda *parts: ops.concatenate(parts, axis=1), first[:2], second[:2]
    )
    assert_close(joined, (outputs, alignments))
    assert_close(second[2], state)


@pytest.mark.parametrize("attend", ["before", "after"])
def test_initial_states_of_the_cell_may_be_a_list(attend):
    rnn = built(attend=attend)
    hidden, carry = normal(2, 7, seed=3), normal(2, 7, seed=4)
    prepared = rnn.cell.prepare(ops.convert_to_tensor(MEMORY), ops.convert_to_tensor(MASK))
    whole = rnn.cell.initial_state(prepared, cell_state=[hidden, carry])
    states = [ops.convert_to_tensor(hidden), ops.convert_to_tensor(carry)]
    assert_close(everything(rnn, initial_state=states), everything(rnn, initial_state=whole))
    zeros = [ops.zeros((2, 7)), ops.zeros((2, 7))]
    assert_close(everything(rnn, initial_state=zeros), everything(rnn))


@pytest.mark.parametrize("attention", ["one", "several"])
@pytest.mark.parametrize(("attention_layer", "output_attention"), READOUTS)
def test_the_parallel_road_equals_the_loop(attention_layer, output_attention, attention):
    rnn = built(
        attention=attention,
        attend="after",
        input_feeding=False,
        attention_layer=attention_layer,
        output_attention=output_attention,
    )
    prepared = rnn.cell.prepare(ops.convert_to_tensor(MEMORY), ops.convert_to_tensor(MASK))
    state = rnn.cell.initial_state(prepared)
    bound = rnn.cell.bind(prepared)
    inputs = ops.convert_to_tensor(INPUTS)
    asked = {"return_alignments": True, "return_queries": True}
    loop = rnn._in_a_loop(bound, inputs, state, [], **asked)
    assert_close(rnn._in_parallel(bound, inputs, state, []), loop)


class NoisyAttention(layers.LuongAttention):
    """Looks at random in training: alignments = softmax(noise)."""

    stochastic = True

    def draw_noise(self, prepared, steps):
        shape = (*ops.shape(prepared["value"])[:1], steps, ops.shape(prepared["value"])[1])
        return keras.random.normal(shape, seed=keras.random.SeedGenerator(3))

    def noisy_step(self, query, prepared, state, noise):
        alignments = masked_softmax(noise, prepared["mask"])
        return ops.matmul(alignments, prepared["value"]), alignments, state


@pytest.mark.parametrize("input_feeding", [False, True])
def test_a_stochastic_attention_explores_in_training_alone(input_feeding):
    attentions = [layers.BahdanauAttention(5), NoisyAttention("dot")]
    cell = layers.AttentionCell(
        keras.layers.GRUCell(7), attentions, attend="after", input_feeding=input_feeding
    )
    rnn = layers.AttentionRNN(cell)
    query, memory, mask = (ops.convert_to_tensor(one) for one in (INPUTS, MEMORY, MASK))
    arguments = {"memory_mask": mask, "return_alignments": True}
    _, (plain, quiet) = rnn(query, memory, **arguments)
    _, (still_plain, random) = rnn(query, memory, training=True, **arguments)
    noise = attentions[1].draw_noise({"value": memory}, 3)
    assert_close(random, masked_softmax(noise, mask[:, None]))
    assert_close(plain[:, 0], still_plain[:, 0])
    assert not np.allclose(to_numpy(quiet), to_numpy(random))
    prepared = attentions[1].prepare(memory, mask)
    expected = attentions[1].noisy_step(memory[:, :3], prepared, (), noise)[:2]
    found = attentions[1](memory[:, :3], memory, mask, return_alignments=True, training=True)
    assert_close(found, expected)


class RememberingAttention(NoisyAttention):
    """Keeps what it may look back at."""

    needs_training_pass = True
    seen = None

    def after_training(self, steps):
        self.seen = steps


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("attention_layer", [None, 3])
@pytest.mark.parametrize(("attend", "input_feeding"), ORDERS)
@pytest.mark.parametrize("cell", ["stack", "own"])
def test_looking_back_sees_what_was_asked(cell, attend, input_feeding, attention_layer, several):
    remembering = RememberingAttention("general")
    attentions = [layers.BahdanauAttention(5), remembering] if several else remembering
    attention_cell = layers.AttentionCell(
        CELLS[cell](),
        attentions,
        attend=attend,
        input_feeding=input_feeding,
        attention_layer=attention_layer,
    )
    rnn = layers.AttentionRNN(attention_cell)
    rnn.build(INPUTS.shape, MEMORY.shape)
    set_weights(rnn)
    query, memory, mask = (ops.convert_to_tensor(one) for one in (INPUTS, MEMORY, MASK))
    steps_mask = ops.convert_to_tensor(lengths_mask([3, 2], 3))
    arguments = {"memory_mask": mask, "inputs_mask": steps_mask, "return_alignments": True}
    outputs, alignments = rnn(query, memory, training=True, **arguments)
    seen, bound = remembering.seen, attention_cell.bind(attention_cell.prepare(memory, mask))
    assert seen.causal and seen.query_mask is steps_mask
    assert_close(seen.alignments, alignments[1] if several else alignments)
    assert_close(seen.alignments, masked_softmax(seen.noise, mask[:, None]))
    # Each query, from the state that the steps before it leave.
    projected = bound.project(query)
    state = attention_cell.initial_state(bound.prepared)
    for t in range(3):
        noise = [None] * several + [seen.noise[:, t]]
        _, _, asked, state = bound.training_step(projected[:, t], state, noise)
        assert_close(seen.query[:, t], asked)
        if cell == "own" and attend == "after":
            assert_close(asked, state["cell"][0])  # Its output is its state.
    remembering.seen = None
    rnn(query, memory, **arguments)
    assert remembering.seen is None
    found = remembering(memory[:, :3], memory, mask, training=True, return_alignments=True)
    assert not remembering.seen.causal
    assert_close(remembering.seen.query, memory[:, :3])
    assert_close(remembering.seen.alignments, found[1])


@pytest.mark.parametrize(
    "flags", [(), ("alignments",), ("state",), ("alignments", "state")], ids=str
)
def test_what_is_asked_for_comes_out(flags):
    rnn = built()
    asked = {f"return_{flag}": True for flag in flags}
    found = rnn(INPUTS, MEMORY, memory_mask=MASK, **asked)
    outputs, alignments, state = everything(rnn)
    parts = {"alignments": alignments, "state": state}
    expected = (outputs, *(parts[flag] for flag in flags))
    assert_close(found, expected if flags else outputs)


def test_recurrent_dropout_is_for_training_alone():
    dropping = layers.AttentionRNN(
        layers.AttentionCell(
            keras.layers.LSTMCell(7, dropout=0.5, recurrent_dropout=0.5),
            layers.BahdanauAttention(5),
        )
    )
    dropping.build(INPUTS.shape, MEMORY.shape)
    set_weights(dropping)
    plain = built()
    expected = plain(INPUTS, MEMORY)
    assert_close(dropping(INPUTS, MEMORY), expected)
    assert np.any(np.abs(to_numpy(dropping(INPUTS, MEMORY, training=True) - expected)) > 1e-3)


def test_a_mask_on_the_inputs_passes_through():
    rnn = built()
    mask = ops.convert_to_tensor(lengths_mask([3, 2], 3))
    assert rnn.compute_mask(None, mask) is mask


def test_a_cell_alone_is_refused():
    with pytest.raises(ValueError, match=r"must be an `AttentionCell`. Received: cell=<LSTMCell"):
        layers.AttentionRNN(keras.layers.LSTMCell(7))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"initial_state": [normal(2, 7)]},
            "one tensor for each of the cell's 2 states. Received: 1 tensors",
        ),
        ({"memory": MEMORY[:1]}, r"same batch size. .*memory.shape=\(1, 11, 7\)"),
        ({"memory_mask": MASK.astype("int32")}, r"Received: memory_mask.dtype=.*int32"),
        (
            {"inputs_mask": np.ones((2, 3), "int32")},
            r"True = is real. Received: inputs_mask.dtype=.*int32",
        ),
        ({"memory_mask": MASK[0]}, r"Received: memory_mask.shape=\(11,\)"),
    ],
)
def test_what_does_not_belong_together_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        built()(**({"inputs": INPUTS, "memory": MEMORY} | arguments))


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="Others have no graph of it.")
def test_a_graph_with_open_sizes_has_no_loop_within_a_step():
    """Each step is known to be one query, so that the additive score needs no blocks."""
    import tensorflow as tf

    rnn = built()
    open_sizes = [tf.TensorSpec((None, None, 5)), tf.TensorSpec((None, None, 7))]

    @tf.function(input_signature=open_sizes)
    def run(inputs, memory):
        return rnn(inputs, memory)

    graph = run.get_concrete_function().graph.as_graph_def()
    bodies = [node.op for function in graph.library.function for node in function.node_def]
    assert not any("While" in op for op in bodies)
    assert_close(run(INPUTS, MEMORY), rnn(INPUTS, MEMORY))
