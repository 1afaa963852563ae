"""The equations, written out in NumPy and float64. Every backend is held to these."""

import numpy as np

# === Scores: query [B, T, Dq], memory [B, S, Dm] -> [B, T, S] ===


def dot_scores(query, memory, scale: float = 1.0):
    """scale * query[b, t] · memory[b, s]"""
    return scale * np.einsum("btd,bsd->bts", *_double(query, memory))


def bilinear_scores(query, memory, kernel):
    """query[b, t] · (W memory[b, s])"""
    query, memory, kernel = _double(query, memory, kernel)
    return np.einsum("btd,bsd->bts", query, memory @ kernel)


def additive_scores(query, memory, query_kernel, memory_kernel, bias, vector, length=None):
    """v · tanh(W query[b, t] + U memory[b, s] + b); with a length, v = length w / |w|"""
    query, memory, query_kernel, memory_kernel, bias, vector = _double(
        query, memory, query_kernel, memory_kernel, bias, vector
    )
    if length is not None:
        vector = float(length) * vector / np.sqrt(np.sum(vector**2))
    query_part = (query @ query_kernel)[:, :, None, :]  # [B, T, 1, U]
    memory_part = (memory @ memory_kernel + bias)[:, None, :, :]  # [B, 1, S, U]
    return np.tanh(query_part + memory_part) @ vector


def location_scores(query, memory_length: int, kernel):
    """(W query[b, t])[s]"""
    query, kernel = _double(query, kernel)
    return (query @ kernel)[:, :, :memory_length]


# === Scores -> alignments -> context ===


def softmax(scores, mask=None):
    """Softmax over the last axis, of the places where `mask` is True; zeros where there is none."""
    scores = np.asarray(scores, dtype="float64")
    mask = (
        np.ones(scores.shape, dtype=bool) if mask is None else np.broadcast_to(mask, scores.shape)
    )
    highest = np.max(np.where(mask, scores, -np.inf), axis=-1, keepdims=True)
    powers = np.where(mask, np.exp(scores - np.where(np.isfinite(highest), highest, 0.0)), 0.0)
    total = np.sum(powers, axis=-1, keepdims=True)
    return powers / np.where(total > 0.0, total, 1.0)


def soft_attention(scores, memory, mask=None):
    """Context [B, T, Dm] and alignments [B, T, S]; `mask` is broadcastable to the scores."""
    alignments = softmax(scores, mask)
    return alignments @ np.asarray(memory, dtype="float64"), alignments


# === Recurrent cells: inputs [B, D], states -> output [B, U], states ===


def lstm_step(inputs, states, kernel, recurrent_kernel, bias=None):
    """i, f, o = sigmoid(...); c' = f c + i tanh(...); h' = o tanh(c')"""
    inputs, hidden, carry, kernel, recurrent_kernel = _double(
        inputs, *states, kernel, recurrent_kernel
    )
    gates = inputs @ kernel + hidden @ recurrent_kernel + _bias(bias)
    i, f, candidate, o = np.split(gates, 4, axis=-1)
    carry = sigmoid(f) * carry + sigmoid(i) * np.tanh(candidate)
    hidden = sigmoid(o) * np.tanh(carry)
    return hidden, [hidden, carry]


def gru_step(inputs, states, kernel, recurrent_kernel, bias=None, reset_after: bool = True):
    """z, r = sigmoid(...); h' = z h + (1 - z) candidate

    The candidate is tanh(W x + b + r (R h + b')) with `reset_after`, else tanh(W x + b + R (r h)).
    """
    inputs, hidden, kernel, recurrent_kernel = _double(inputs, *states, kernel, recurrent_kernel)
    units = hidden.shape[-1]
    outer_bias = inner_bias = 0.0
    if bias is not None:
        outer_bias, inner_bias = bias if reset_after else (bias, np.zeros(3 * units))
    outer = np.split(inputs @ kernel + outer_bias, 3, axis=-1)
    inner = np.split(hidden @ recurrent_kernel + inner_bias, 3, axis=-1)
    z, r = sigmoid(outer[0] + inner[0]), sigmoid(outer[1] + inner[1])
    reset = r * inner[2] if reset_after else (r * hidden) @ recurrent_kernel[:, 2 * units :]
    hidden = z * hidden + (1.0 - z) * np.tanh(outer[2] + reset)
    return hidden, [hidden]


def simple_rnn_step(inputs, states, kernel, recurrent_kernel, bias=None):
    """h' = tanh(W x + R h + b)"""
    inputs, hidden, kernel, recurrent_kernel = _double(inputs, *states, kernel, recurrent_kernel)
    hidden = np.tanh(inputs @ kernel + hidden @ recurrent_kernel + _bias(bias))
    return hidden, [hidden]


# === A recurrent cell and its attention ===


def attention_cell_step(
    inputs,
    state,
    memory,
    mask,
    *,
    cell,
    score,
    attend: str,
    input_feeding: bool,
    attention_kernel=None,
    output_attention: bool = True,
):
    """One decoding step.

        before:  context = attention(h[t-1]);  output = cell([x; context]);  result = output
        after:   output = cell([x; result[t-1]]);  context = attention(output);  result = context

    With a kernel W the result is tanh(W [output; context]).

    Args:
        inputs: [B, D].
        state: (cell states, result of the step before).
        memory: [B, S, Dm].
        mask: bool [B, S], or None.
        cell: Function of (inputs, states) to (output, states); states[0] is the hidden state.
        score: Function of (query [B, 1, Dq], memory) to scores [B, 1, S].

    Returns:
        output [B, D'], alignments [B, S], next state.
    """
    states, result = state

    def look(query):
        pairs = None if mask is None else mask[:, None, :]
        context, alignments = soft_attention(score(query[:, None], memory), memory, pairs)
        return context[:, 0], alignments[:, 0]

    if attend == "before":
        context, alignments = look(np.asarray(states[0], dtype="float64"))
        output, states = cell(np.concatenate([inputs, context], axis=-1), states)
        result = output
    else:
        fed = [inputs, result] if input_feeding else [inputs]
        output, states = cell(np.concatenate(fed, axis=-1), states)
        context, alignments = look(output)
        result = context
    if attention_kernel is not None:
        result = np.tanh(np.concatenate([output, context], axis=-1) @ attention_kernel)
    return (result if output_attention else output), alignments, (states, result)


def sigmoid(values):
    return 1.0 / (1.0 + np.exp(-values))


def _double(*arrays):
    return [np.asarray(array, dtype="float64") for array in arrays]


def _bias(bias):
    return 0.0 if bias is None else np.asarray(bias, dtype="float64")
