"""What tfa.seq2seq (TensorFlow Addons 0.23) computes, in NumPy and float64, and the same from here.

A mechanism of it differs from ours in how it is put together, not in what it computes: here its
semantics are written out from what it does, and our layers, with the same weights, are held to
them. Where ours differ on purpose, a test shows by how much.
"""

import dataclasses

import keras
import keras_hub
import numpy as np
import pytest
from keras import ops

from attnzoo import layers
from attnzoo.samplers import BeamSampler
from attnzoo.training import SmoothedCrossEntropy
from tests import references, tools
from tests.tools import assert_close, lengths_mask, normal

B, T, S, D, DM, UNITS, SCORE_UNITS = 2, 3, 11, 5, 13, 7, 3
INPUTS, MEMORY = normal(B, T, D, seed=1), normal(B, S, DM, seed=2)
LENGTHS = [11, 5]
MASK = lengths_mask(LENGTHS, S)
LOWEST = np.finfo("float32").min


# === tfa.seq2seq in NumPy ===


@dataclasses.dataclass(frozen=True)
class Mechanism:
    """An attention mechanism of tfa.seq2seq: what its constructor was given.

    Args:
        score: "bahdanau" or "luong".
        scaled: `normalize=True` of the one, `scale=True` of the other.
        mode: That of a monotonic mechanism, or None.
        hardmax: Whether `probability_fn="hardmax"`.
    """

    score: str = "bahdanau"
    scaled: bool = False
    mode: str | None = None
    hardmax: bool = False

    def draw(self, seed=0):
        """Weights, by their names there."""
        units = SCORE_UNITS if self.score == "bahdanau" else UNITS
        shapes = {"memory_layer": (DM, units)}
        if self.score == "bahdanau":
            shapes |= {"query_layer": (UNITS, units), "attention_v": (units,)}
        if self.scaled:
            shapes["attention_g"] = ()
            if self.score == "bahdanau":
                shapes["attention_b"] = (units,)
        if self.mode is not None:
            shapes["attention_score_bias"] = ()
        draw = np.random.default_rng(seed)
        return {name: draw.normal(size=shape, scale=0.7) for name, shape in shapes.items()}

    def first_alignments(self, rows, places):
        start = np.zeros((rows, places))
        if self.mode is not None:
            start[:, 0] = 1.0
        return start

    def attend(self, query, previous, memory, lengths, weights):
        """Context [R, Dm] and alignments [R, S] for queries [R, Dq], without noise."""
        real = lengths_mask(lengths, memory.shape[1])
        values = memory * real[:, :, None]  # Before they are projected.
        keys = values @ weights["memory_layer"]
        if self.score == "bahdanau":
            vector, bias = weights["attention_v"], 0.0
            if self.scaled:
                vector = weights["attention_g"] * vector / np.sqrt(np.sum(vector**2))
                bias = weights["attention_b"]
            asked = (query @ weights["query_layer"])[:, None]
            scores = np.tanh(keys + asked + bias) @ vector
        else:
            scores = weights.get("attention_g", 1.0) * np.einsum("rd,rsd->rs", query, keys)
        scores = scores + weights.get("attention_score_bias", 0.0)
        alignments = self.align(np.where(real, scores, LOWEST), previous)
        return np.einsum("rs,rsd->rd", alignments, values), alignments

    def align(self, scores, previous):
        if self.hardmax:
            return np.eye(scores.shape[1])[np.argmax(scores, axis=1)]
        if self.mode is None:
            powers = np.exp(scores - scores.max(axis=1, keepdims=True))
            return powers / powers.sum(axis=1, keepdims=True)
        if self.mode == "hard":
            choose = (scores > 0.0) * np.cumsum(previous, axis=1)
            return choose * exclusive_product(1.0 - choose)
        choose = 1.0 / (1.0 + np.exp(np.minimum(-scores, 700.0)))
        if self.mode == "recursive":
            return references.monotonic_alignments(choose, previous)
        passing = exclusive_product(1.0 - choose)
        return choose * passing * np.cumsum(previous / np.clip(passing, 1e-10, 1.0), axis=1)


def exclusive_product(factors):
    """Product of the factors [R, S] before each place."""
    return np.cumprod(np.concatenate([np.ones_like(factors[:, :1]), factors[:, :-1]], 1), axis=1)


@dataclasses.dataclass(frozen=True)
class Wrapper:
    """An `AttentionWrapper`: the cell moves first, its output asks, the attention is fed back.

    Args:
        cell: Function of (inputs, states) to (output, states).
        mechanisms: Pairs of `Mechanism` and its weights.
        attention_layers: For each mechanism a function of [output; context]; or None, for the bare
            context.
        output_attention: Whether the attention comes out, or the cell's output.
    """

    cell: callable
    mechanisms: list
    attention_layers: list | None = None
    output_attention: bool = True

    def start(self, states, attention_width, places):
        rows = len(states[0])
        first = [mechanism.first_alignments(rows, places) for mechanism, _ in self.mechanisms]
        return states, np.zeros((rows, attention_width)), first

    def step(self, inputs, state, memory, lengths):
        """Output, alignments (a list), next state."""
        states, attention, previous = state
        output, states = self.cell(np.concatenate([inputs, attention], axis=1), states)
        attentions, alignments = [], []
        for n, (mechanism, weights) in enumerate(self.mechanisms):
            context, aligned = mechanism.attend(output, previous[n], memory, lengths, weights)
            if self.attention_layers:
                context = self.attention_layers[n](np.concatenate([output, context], axis=1))
            attentions.append(context)
            alignments.append(aligned)
        attention = np.concatenate(attentions, axis=1)
        result = attention if self.output_attention else output
        return result, alignments, (states, attention, alignments)

    def run(self, inputs, states, attention_width):
        """Outputs [B, T, ...], alignments (a list of [B, T, S]), the last state."""
        state = self.start(states, attention_width, S)
        outputs, alignments = [], []
        for t in range(inputs.shape[1]):
            output, aligned, state = self.step(inputs[:, t], state, MEMORY, LENGTHS)
            outputs.append(output)
            alignments.append(aligned)
        history = [np.stack(each, axis=1) for each in zip(*alignments, strict=True)]
        return np.stack(outputs, axis=1), history, state


# === The same from here ===


def our_attention(mechanism: Mechanism):
    """As in the table of names."""
    if mechanism.score == "bahdanau":
        score = {"score": "additive", "units": SCORE_UNITS, "normalize": mechanism.scaled}
    else:
        score = {"score": "general", "scale": "learned" if mechanism.scaled else None}
    if mechanism.mode is not None:
        return layers.MonotonicAttention(**score, mode=mechanism.mode)
    if mechanism.hardmax:
        return layers.HardAttention(**score)
    if mechanism.score == "bahdanau":
        return layers.BahdanauAttention(SCORE_UNITS, normalize=mechanism.scaled)
    return layers.LuongAttention(**score)


def load(attention, mechanism: Mechanism, weights):
    """Give a built attention the weights of a mechanism."""
    score = attention.score
    if mechanism.score == "bahdanau":
        score.query_kernel.assign(weights["query_layer"])
        score.memory_kernel.assign(weights["memory_layer"])
        score.vector.assign(weights["attention_v"])
        score.bias.assign(weights.get("attention_b", np.zeros(SCORE_UNITS)))
        if mechanism.scaled:
            score.length.assign(weights["attention_g"])
    else:
        score.kernel.assign(weights["memory_layer"])
        if mechanism.scaled:
            score.factor.assign(weights["attention_g"])
    if mechanism.mode is not None:
        attention.score_bias.assign(weights["attention_score_bias"])


def linear_layer(width):
    return keras.layers.Dense(width, use_bias=False)


def our_decoder(mechanisms, cell=None, **arguments):
    """A built `AttentionRNN` in the wrapper's order, with weights of its own."""
    attentions = [our_attention(mechanism) for mechanism, _ in mechanisms]
    cell = layers.AttentionCell(
        keras.layers.LSTMCell(UNITS) if cell is None else cell,
        attentions if len(attentions) > 1 else attentions[0],
        attend="after",
        **arguments,
    )
    rnn = layers.AttentionRNN(cell)
    rnn.build(INPUTS.shape, MEMORY.shape)
    tools.set_weights(cell)
    for attention, (mechanism, weights) in zip(attentions, mechanisms, strict=True):
        load(attention, mechanism, weights)
    return rnn


def lstm_of(rnn):
    weights = [ops.convert_to_numpy(weight) for weight in rnn.cell.cell.weights]
    return lambda inputs, states: references.lstm_step(inputs, states, *weights)


def product(kernel):
    return lambda joined: joined @ np.asarray(ops.convert_to_numpy(kernel), dtype="float64")


def run(rnn, states, memory=MEMORY, mask=MASK):
    return rnn(
        INPUTS,
        memory,
        memory_mask=mask,
        initial_state=[ops.convert_to_tensor(state) for state in states],
        return_alignments=True,
        return_state=True,
    )


def cell_states():
    return [normal(B, UNITS, seed=3), normal(B, UNITS, seed=4)]


MECHANISMS = {
    "bahdanau": Mechanism("bahdanau"),
    "bahdanau normalize": Mechanism("bahdanau", scaled=True),
    "bahdanau hardmax": Mechanism("bahdanau", hardmax=True),
    "luong": Mechanism("luong"),
    "luong scale": Mechanism("luong", scaled=True),
    "bahdanau monotonic parallel": Mechanism("bahdanau", scaled=True, mode="parallel"),
    "bahdanau monotonic recursive": Mechanism("bahdanau", mode="recursive"),
    "bahdanau monotonic hard": Mechanism("bahdanau", mode="hard"),
    "luong monotonic parallel": Mechanism("luong", mode="parallel"),
    "luong monotonic recursive": Mechanism("luong", scaled=True, mode="recursive"),
    "luong monotonic hard": Mechanism("luong", scaled=True, mode="hard"),
}


@pytest.mark.parametrize("name", MECHANISMS)
def test_a_mechanism_in_its_wrapper_gives_the_same_numbers(name, without_compilation):
    mechanism = MECHANISMS[name]
    mechanisms = [(mechanism, mechanism.draw())]
    rnn = our_decoder(mechanisms, attention_layer=linear_layer(5))
    wrapper = Wrapper(lstm_of(rnn), mechanisms, [product(rnn.cell.attention_layer.kernel)])
    outputs, (history,), (states, attention, _) = wrapper.run(INPUTS, cell_states(), 5)
    found, alignments, last = run(rnn, cell_states())
    assert_close((found, alignments), (outputs, history))
    assert_close((last["cell"], last["feed"]), (states, attention))


@pytest.mark.parametrize("output_attention", [True, False])
@pytest.mark.parametrize("layer", ["none", "given"])
def test_the_wrapper_feeds_back_and_gives_out_what_it_did(
    layer, output_attention, without_compilation
):
    mechanism = Mechanism("bahdanau")
    mechanisms = [(mechanism, mechanism.draw())]
    given = keras.layers.Dense(5, activation="tanh") if layer == "given" else None
    rnn = our_decoder(mechanisms, attention_layer=given, output_attention=output_attention)
    attention_layers = None
    if given is not None:
        linear, bias = product(given.kernel), ops.convert_to_numpy(given.bias)
        attention_layers = [lambda joined: np.tanh(linear(joined) + bias)]
    wrapper = Wrapper(lstm_of(rnn), mechanisms, attention_layers, output_attention)
    outputs, (history,), _ = wrapper.run(INPUTS, cell_states(), 5 if given else DM)
    assert_close(run(rnn, cell_states())[:2], (outputs, history))


def test_a_step_of_the_cell_gives_the_same_numbers():
    mechanism = Mechanism("luong")
    mechanisms = [(mechanism, mechanism.draw())]
    rnn = our_decoder(mechanisms, attention_layer=linear_layer(5))
    wrapper = Wrapper(lstm_of(rnn), mechanisms, [product(rnn.cell.attention_layer.kernel)])
    prepared = rnn.cell.prepare(ops.convert_to_tensor(MEMORY), ops.convert_to_tensor(MASK))
    state, expected_state = (
        rnn.cell.initial_state(prepared),
        wrapper.start([np.zeros((B, UNITS)), np.zeros((B, UNITS))], 5, S),
    )
    for t in range(2):
        output, aligned, state = rnn.cell.step(ops.convert_to_tensor(INPUTS[:, t]), prepared, state)
        expected, (history,), expected_state = wrapper.step(
            INPUTS[:, t], expected_state, MEMORY, LENGTHS
        )
        assert_close((output, aligned), (expected, history))


@pytest.mark.parametrize("widths", [None, (5, 3)])
def test_several_mechanisms_give_what_they_gave(widths, without_compilation):
    # There each has an attention layer of its own; here one layer sees all contexts, and theirs
    # are its blocks.
    pair = [Mechanism("bahdanau", scaled=True), Mechanism("luong", mode="parallel")]
    mechanisms = [(mechanism, mechanism.draw(seed)) for seed, mechanism in enumerate(pair)]
    layer = None if widths is None else linear_layer(sum(widths))
    rnn = our_decoder(mechanisms, attention_layer=layer)
    attention_layers, width = None, 2 * DM
    if widths is not None:
        width = sum(widths)
        kernels = [normal(UNITS + DM, each, seed=each) for each in widths]
        whole = np.zeros((UNITS + 2 * DM, width))
        for n, kernel in enumerate(kernels):
            columns = slice(sum(widths[:n]), sum(widths[: n + 1]))
            whole[:UNITS, columns] = kernel[:UNITS]
            whole[UNITS + n * DM : UNITS + (n + 1) * DM, columns] = kernel[UNITS:]
        layer.kernel.assign(whole)
        attention_layers = [product(kernel) for kernel in kernels]
    wrapper = Wrapper(lstm_of(rnn), mechanisms, attention_layers)
    outputs, history, _ = wrapper.run(INPUTS, cell_states(), width)
    assert_close(run(rnn, cell_states())[:2], (outputs, tuple(history)))


def test_trained_weights_start_where_they_started():
    attention = layers.BahdanauAttention(SCORE_UNITS, normalize=True)
    attention(normal(B, T, UNITS), MEMORY)
    assert tools.to_numpy(attention.score.length) == pytest.approx(np.sqrt(1.0 / SCORE_UNITS))
    assert_close(attention.score.bias, np.zeros(SCORE_UNITS))
    attention = layers.MonotonicAttention("general", score_bias_init=-3.0)
    attention(normal(B, T, UNITS), MEMORY)
    assert tools.to_numpy(attention.score_bias) == -3.0
    attention = layers.LuongAttention("general", scale="learned")
    attention(normal(B, T, UNITS), MEMORY)
    assert tools.to_numpy(attention.score.factor) == 1.0


def test_monotonic_noise_is_an_option_and_of_training_alone():
    query = normal(B, T, UNITS)
    plain, noisy = (
        layers.MonotonicAttention("general", sigmoid_noise=noise, seed=0) for noise in (0.0, 1.0)
    )
    for attention in (plain, noisy):
        attention.build(query.shape, MEMORY.shape)
        tools.set_weights(attention)
    assert not plain.stochastic
    without = plain(query, MEMORY)
    assert_close(plain(query, MEMORY, training=True), tools.to_numpy(without))
    assert_close(noisy(query, MEMORY), tools.to_numpy(without))
    with_noise = tools.to_numpy(noisy(query, MEMORY, training=True))
    assert np.abs(with_noise - tools.to_numpy(without)).max() > 1e-3


def test_a_source_of_nothing_has_the_same_context_but_no_alignments():
    # There a length of 0 is refused, but `memory_mask` may be all False.
    mechanism = Mechanism("luong")
    weights = mechanism.draw()
    attention = our_attention(mechanism)
    query = normal(B, 1, UNITS)
    attention.build(query.shape, MEMORY.shape)
    load(attention, mechanism, weights)
    found, alignments = tools.to_numpy(
        attention(query, MEMORY, memory_mask=lengths_mask([11, 0], S), return_alignments=True)
    )
    context, there = mechanism.attend(query[:, 0], None, MEMORY, [11, 0], weights)
    assert_close(found[:, 0], context)
    np.testing.assert_allclose(there[1], 1.0 / S)  # There they are even: over padding.
    assert not alignments[1].any()


# === Decoding ===

START, END, VOCABULARY = 0, 1, 3


class Translator:
    """A decoder with an embedding and logits, here and there."""

    def __init__(self, vocabulary=VOCABULARY, end_bias=0.0):
        mechanism = Mechanism("bahdanau")
        mechanisms = [(mechanism, mechanism.draw())]
        self.rnn = our_decoder(mechanisms, attention_layer=linear_layer(5))
        self.wrapper = Wrapper(
            lstm_of(self.rnn), mechanisms, [product(self.rnn.cell.attention_layer.kernel)]
        )
        self.embedding = normal(vocabulary, D, seed=5)
        self.readout = 2.0 * normal(5, vocabulary, seed=6)
        self.bias = end_bias * (np.arange(vocabulary) == END)

    def there(self, beams):
        """A function of (tokens [R], state) to (logits, alignments, state), and its first state."""
        memory, lengths = np.repeat(MEMORY, beams, axis=0), np.repeat(LENGTHS, beams)

        def step(tokens, state):
            output, (aligned,), state = self.wrapper.step(
                self.embedding[tokens], state, memory, lengths
            )
            return output @ self.readout + self.bias, aligned, state

        states = [np.repeat(state, beams, axis=0) for state in cell_states()]
        return step, self.wrapper.start(states, 5, S)

    def here(self, sampler_call, steps, stop=(END,)):
        """What a sampler finds: `sampler_call` takes (next, prompt, **arguments)."""
        embedding, readout, bias = (
            ops.convert_to_tensor(array, dtype="float32")
            for array in (self.embedding, self.readout, self.bias)
        )

        def search(prompt):
            mask = ops.convert_to_tensor(MASK)
            prepared = self.rnn.cell.prepare(ops.convert_to_tensor(MEMORY), mask)
            states = [ops.convert_to_tensor(state) for state in cell_states()]

            def next(prompt, cache, index):
                inputs = ops.take(embedding, ops.take(prompt, index - 1, axis=1), axis=0)
                output, aligned, state = self.rnn.cell.step(inputs, prepared, cache["state"])
                cache = {**cache, "state": state, "alignments": aligned}
                logits = ops.matmul(output, readout) + bias
                return logits, None, cache

            cache = {
                "state": self.rnn.cell.initial_state(prepared, states),
                "alignments": ops.zeros((B, S)),
                "memory_mask": mask,
            }
            return sampler_call(next, prompt, cache=cache, index=1, stop_token_ids=stop)

        prompt = np.full((B, steps + 1), START, dtype="int32")
        return tools.to_numpy(tools.compiled(search)(ops.convert_to_tensor(prompt)))

    def n_best(self, sampler, steps, stop=(END,)):
        tokens, scores = self.here(sampler.search, steps, stop)
        return [
            [(until_end(found[1:]), score) for found, score in zip(*row, strict=True)]
            for row in zip(tokens, scores, strict=True)
        ]


def until_end(tokens):
    """Tokens up to and with the first end."""
    tokens = tuple(int(token) for token in tokens)
    return tokens[: tokens.index(END) + 1] if END in tokens else tokens


def beam_search_there(step, state, *, beams, steps, end, length_penalty=0.0, coverage_penalty=0.0):
    """`BeamSearchDecoder`: for each source pairs of tokens and score, best first."""
    picked = np.arange(B)[:, None]
    log_probs = np.where(np.arange(beams) == 0, 0.0, -np.inf) * np.ones((B, 1))
    finished = np.isinf(log_probs)
    lengths = np.zeros((B, beams))
    coverage = np.zeros((B, beams, S))
    tokens = np.full((B, beams, 1), START)
    for _ in range(steps):
        logits, aligned, state = step(tokens[:, :, -1].reshape(-1), state)
        size = logits.shape[-1]
        is_end = np.arange(size) == end
        logits = logits.reshape(B, beams, size)
        steps_log_probs = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
        frozen = np.where(is_end, 0.0, -np.inf)  # A finished beam ends again, for nothing.
        totals = np.where(finished[:, :, None], frozen, steps_log_probs) + log_probs[:, :, None]
        longer = lengths[:, :, None] + ~is_end * ~finished[:, :, None]
        scores = totals / ((5.0 + longer) / 6.0) ** length_penalty
        coverage = coverage + aligned.reshape(B, beams, S) * ~finished[:, :, None]
        if coverage_penalty:  # Only for what was finished before; a place never seen is padding.
            covered = np.log(np.minimum(np.where(coverage == 0.0, 1.0, coverage), 1.0)).sum(-1)
            scores = scores + coverage_penalty * (covered * finished)[:, :, None]
        best = np.argsort(-scores.reshape(B, -1), axis=1, kind="stable")[:, :beams]
        parents, words = best // size, best % size
        log_probs = totals.reshape(B, -1)[picked, best]
        kept_scores = scores.reshape(B, -1)[picked, best]
        was_finished = finished[picked, parents]
        lengths = lengths[picked, parents] + ~was_finished  # Here the end is counted.
        finished = was_finished | (words == end)
        coverage = coverage[picked, parents]
        tokens = np.concatenate([tokens[picked, parents], words[:, :, None]], axis=2)
        rows = (beams * np.arange(B)[:, None] + parents).reshape(-1)
        state = keras.tree.map_structure(lambda leaf, rows=rows: leaf[rows], state)
        if finished.all():
            break
    return [
        [(until_end(found[1:]), score) for found, score in zip(*row, strict=True)]
        for row in zip(tokens, kept_scores, strict=True)
    ]


def assert_same_n_best(found, expected):
    for row, wanted in zip(found, expected, strict=True):
        assert [tokens for tokens, _ in row] == [tokens for tokens, _ in wanted]
        np.testing.assert_allclose(
            [score for _, score in row], [score for _, score in wanted], rtol=1e-5, atol=1e-5
        )


def test_greedy_decoding_finds_what_it_found():
    steps, translator = 5, Translator(vocabulary=7)
    tokens = translator.here(keras_hub.samplers.GreedySampler(), steps)
    step, state = translator.there(beams=1)
    last, expected = np.full(B, START), []
    for _ in range(steps):
        logits, _, state = step(last, state)
        last = np.argmax(logits, axis=-1)
        expected.append(last)
    for found, wanted in zip(tokens, np.stack(expected, axis=1), strict=True):
        assert until_end(found[1:]) == until_end(wanted)


def test_beam_search_finds_the_same_n_best_but_for_what_is_lost_there():
    # There what is finished competes with what is open at each step: (0, 1) is dropped, and a
    # worse hypothesis returned. Here it is kept.
    translator = Translator(vocabulary=5)
    first, second = translator.n_best(BeamSampler(3, num_hypotheses=3), steps=5)
    first_there, second_there = beam_search_there(*translator.there(3), beams=3, steps=5, end=END)
    assert_same_n_best([first], [first_there])
    assert len({len(tokens) for tokens, _ in first}) > 1  # Some end early.
    kept_there = [second_there[0], second_there[1]]
    assert_same_n_best([[second[0], second[2]]], [kept_there])
    assert second[1][0] == (0, 1)
    assert second_there[1][1] < second[1][1]


def test_the_length_penalty_is_the_same_where_nothing_ends():
    translator = Translator(vocabulary=5, end_bias=-1e4)
    sampler = BeamSampler(3, num_hypotheses=3, length_penalty=0.6)
    found = translator.n_best(sampler, steps=4)
    expected = beam_search_there(
        *translator.there(3), beams=3, steps=4, end=END, length_penalty=0.6
    )
    assert_same_n_best(found, expected)


ALL, STEPS = 15, 3  # Beams enough for all hypotheses of three tokens out of three.


@pytest.mark.parametrize("length_penalty", [0.0, 0.6])
def test_the_length_penalty_never_counts_the_end(length_penalty):
    # There the end is not counted in the step that makes it, and counted in all that follow: the
    # score of a finished hypothesis changes once. Here it stays.
    translator = Translator()
    sampler = BeamSampler(ALL, num_hypotheses=ALL, length_penalty=length_penalty)
    found = translator.n_best(sampler, STEPS)
    expected = beam_search_there(
        *translator.there(ALL), beams=ALL, steps=STEPS, end=END, length_penalty=length_penalty
    )
    for row, wanted in zip(found, expected, strict=True):
        wanted = dict(wanted)
        assert {tokens for tokens, _ in row} == set(wanted) and len(wanted) == ALL
        for tokens, score in row:
            length = len(tokens) - (tokens[-1] == END)
            log_prob = score * ((5 + length) / 6) ** length_penalty
            counted = length + (tokens[-1] == END and len(tokens) < STEPS)
            again = log_prob / ((5 + counted) / 6) ** length_penalty
            assert wanted[tokens] == pytest.approx(again, rel=1e-5, abs=1e-5)


def test_the_coverage_penalty_of_what_is_finished_is_the_same():
    # There an open hypothesis, and one that ends in the last step, have none. Here all have it.
    translator = Translator()
    weight = 0.7
    sampler = BeamSampler(ALL, num_hypotheses=ALL, coverage_penalty=weight)
    found = translator.n_best(sampler, STEPS)
    arguments = {"beams": ALL, "steps": STEPS, "end": END}
    bare = beam_search_there(*translator.there(ALL), **arguments)
    covered = beam_search_there(*translator.there(ALL), **arguments, coverage_penalty=weight)
    for row, without, wanted in zip(found, bare, covered, strict=True):
        without, wanted = dict(without), dict(wanted)
        assert {tokens for tokens, _ in row} == set(wanted) and len(wanted) == ALL
        for tokens, score in row:
            if tokens[-1] == END and len(tokens) < STEPS:
                assert score == pytest.approx(wanted[tokens], rel=1e-5, abs=1e-5)
                assert score < without[tokens]
            else:
                assert wanted[tokens] == pytest.approx(without[tokens])
                assert score < wanted[tokens]


# === Loss ===


def cross_entropies():
    logits = normal(B, T, VOCABULARY, seed=7)
    targets = np.array([[0, 2, 1], [1, 2, 0]], dtype="int32")
    weights = np.array([[1.0, 1.0, 1.0], [1.0, 0.0, 0.0]], dtype="float32")
    log_probs = logits - np.log(np.exp(logits.astype("float64")).sum(axis=-1, keepdims=True))
    return logits, targets, weights, -np.take_along_axis(log_probs, targets[:, :, None], 2)[..., 0]


def test_a_loss_is_averaged_over_all_weights_as_by_default():
    logits, targets, weights, losses = cross_entropies()
    loss = SmoothedCrossEntropy()(targets, logits, sample_weight=weights)
    assert float(loss) == pytest.approx((losses * weights).sum() / weights.sum(), rel=1e-5)
    # `SequenceLoss` divides by how many weights are not 0: no difference for weights of 0 and 1.
    assert float(loss) == pytest.approx((losses * weights).sum() / np.count_nonzero(weights))


@pytest.mark.parametrize("axis", [0, 1])
def test_a_loss_may_be_averaged_over_timesteps_or_the_batch_alone(axis):
    logits, targets, weights, losses = cross_entropies()
    each = SmoothedCrossEntropy(reduction=None)(targets, logits, sample_weight=weights)  # [B, T]
    total = ops.maximum(ops.sum(weights, axis=axis), 1e-7)
    expected = (losses * weights).sum(axis) / np.maximum(weights.sum(axis), 1e-7)
    assert_close(ops.sum(each, axis=axis) / total, expected)
