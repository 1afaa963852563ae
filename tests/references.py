"""The equations, written out in NumPy and float64. Every backend is held to these."""

import itertools

import numpy as np

# === Scores: query [B, T, Dq], memory [B, S, Dm] -> [B, T, S] ===


def dot_scores(query, memory, scale: float = 1.0):
    """scale * query[b, t] · memory[b, s]"""
    return scale * np.einsum("btd,bsd->bts", *_double(query, memory))


def bilinear_scores(query, memory, kernel):
    """query[b, t] · (W memory[b, s])"""
    query, memory, kernel = _double(query, memory, kernel)
    return np.einsum("btd,bsd->bts", query, memory @ kernel)


def additive_scores(
    query, memory, query_kernel, memory_kernel, bias, vector, length=None, place=0.0
):
    """v · tanh(W query[b, t] + U memory[b, s] + b + place); with a length, v = length w / |w|"""
    query, memory, query_kernel, memory_kernel, bias, vector = _double(
        query, memory, query_kernel, memory_kernel, bias, vector
    )
    if length is not None:
        vector = float(length) * vector / np.sqrt(np.sum(vector**2))
    query_part = (query @ query_kernel)[:, :, None, :]  # [B, T, 1, U]
    memory_part = (memory @ memory_kernel + bias)[:, None, :, :]  # [B, 1, S, U]
    return np.tanh(query_part + memory_part + place) @ vector


def location_features(alignments, kernel):
    """sum over j of kernel[j, n] alignments[b, t, s + j - (J - 1) / 2], zeros outside"""
    alignments, kernel = _double(alignments, kernel)
    (width, filters), places = kernel.shape, alignments.shape[-1]
    features = np.zeros((*alignments.shape, filters))
    for s in range(places):
        for j in range(width):
            at = s + j - (width - 1) // 2
            if 0 <= at < places:
                features[:, :, s] += alignments[:, :, at, None] * kernel[j]
    return features


def location_sensitive_scores(
    query, memory, history, location_filters, location_kernel, **additive
):
    """v · tanh(W query + U memory + b + L (F * history))"""
    (location_kernel,) = _double(location_kernel)
    place = location_features(history, location_filters) @ location_kernel  # [B, T, S, U]
    return additive_scores(query, memory, **additive, place=place)


def coverage_scores(query, memory, history, coverage_kernel, **additive):
    """v · tanh(W query + U memory + b + w history)"""
    history, coverage_kernel = _double(history, coverage_kernel)
    return additive_scores(query, memory, **additive, place=history[..., None] * coverage_kernel)


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


def entmax(scores, mask=None, alpha: float = 1.5):
    """max((alpha - 1) scores - threshold, 0)^(1 / (alpha - 1)); alpha = 2 is sparsemax.

    The threshold where a row sums to 1 is found by halving the interval that it must lie in.
    """
    scores = (alpha - 1.0) * np.asarray(scores, dtype="float64")
    mask = (
        np.ones(scores.shape, dtype=bool) if mask is None else np.broadcast_to(mask, scores.shape)
    )
    highest = np.max(np.where(mask, scores, -np.inf), axis=-1, keepdims=True)
    highest = np.where(np.isfinite(highest), highest, 0.0)
    scores = np.where(mask, scores - highest, -np.inf)

    def weights(threshold):
        return np.maximum(scores - threshold, 0.0) ** (1.0 / (alpha - 1.0))

    low, high = np.full_like(highest, -1.0), np.zeros_like(highest)
    for _ in range(60):
        middle = (low + high) / 2.0
        too_much = weights(middle).sum(axis=-1, keepdims=True) >= 1.0
        low, high = np.where(too_much, middle, low), np.where(too_much, high, middle)
    return weights(low)


def soft_attention(scores, memory, mask=None):
    """Context [B, T, Dm] and alignments [B, T, S]; `mask` is broadcastable to the scores."""
    alignments = softmax(scores, mask)
    return alignments @ np.asarray(memory, dtype="float64"), alignments


def hard_attention(scores, memory, mask=None):
    """Context and alignments: all weight on the highest score, the first one on a tie."""
    scores, memory = _double(scores, memory)
    mask = np.ones(scores.shape, bool) if mask is None else np.broadcast_to(mask, scores.shape)
    best = np.argmax(np.where(mask, scores, -np.inf), axis=-1)
    alignments = np.eye(scores.shape[-1])[best] * mask.any(axis=-1, keepdims=True)
    return alignments @ memory, alignments


def predicted_center(query, lengths, position_kernel, position_vector):
    """S_b sigmoid(v · tanh(W query[b, t])), [B, T]"""
    query, kernel, vector = _double(query, position_kernel, position_vector)
    return np.asarray(lengths)[:, None] * sigmoid(np.tanh(query @ kernel) @ vector)


def local_attention(
    scores, memory, center, window: int, mask=None, curve: bool = True, normalize=softmax
):
    """Context and alignments: normalized at most `window` from the centre [B, T], as a whole.

    With the curve the result is multiplied with exp(-(s - center)^2 / (2 (window / 2)^2)).
    """
    scores, memory, center = _double(scores, memory, center)
    distance = np.arange(memory.shape[1]) - center[:, :, None]  # [B, T, S]
    inside = np.abs(distance) <= window
    alignments = normalize(scores, inside if mask is None else inside & mask)
    if curve:
        alignments = alignments * np.exp(-(distance**2) / (2.0 * (window / 2.0) ** 2))
    return alignments @ memory, alignments


def history_attention(query, memory, mask, score, *, align=softmax, cumulative: bool = True):
    """Step by step: scores see the alignments before, their sum or the last ones alone.

    Args:
        score: Function of (query [B, 1, Dq], history [B, 1, S]) to scores [B, 1, S].
        align: Function of (scores, mask [B, 1, S]) to alignments.
        cumulative: Whether the history is the sum.

    Returns:
        Context [B, T, Dm] and alignments [B, T, S].
    """
    history = np.zeros((len(query), 1, np.shape(memory)[1]))
    steps = []
    for t in range(np.shape(query)[1]):
        steps.append(align(score(query[:, t : t + 1], history), mask[:, None, :]))
        history = history + steps[-1] if cumulative else steps[-1]
    alignments = np.concatenate(steps, axis=1)
    return alignments @ np.asarray(memory, dtype="float64"), alignments


def coverage_loss(alignments, mask=None):
    """Mean over the real b, t of sum over s of min(alignments[t], sum over t' < t of them)"""
    (alignments,) = _double(alignments)
    overlaps = []
    for b in range(len(alignments)):
        for t in range(alignments.shape[1]):
            if mask is None or mask[b, t]:
                overlaps.append(np.minimum(alignments[b, t], alignments[b, :t].sum(axis=0)).sum())
    return sum(overlaps) / max(len(overlaps), 1)


def monotonic_alignments(choose, previous):
    """arrivals[s] = (1 - choose[s-1]) arrivals[s-1] + previous[s]; alignments = choose arrivals"""
    choose, previous = _double(choose, previous)
    alignments, arrivals = np.zeros_like(previous), 0.0
    for s in range(previous.shape[-1]):
        passing = 1.0 - choose[..., s - 1] if s else 0.0
        arrivals = passing * arrivals + previous[..., s]
        alignments[..., s] = choose[..., s] * arrivals
    return alignments


def monotonic_paths(choose):
    """Expected alignments [T, S] for choose [T, S], from every path there is, one by one.

    A path is one place for each step, S where nothing was chosen; it never goes back.
    """
    choose = np.asarray(choose, dtype="float64")
    steps, places = choose.shape
    expected = np.zeros((steps, places))
    for path in itertools.product(range(places + 1), repeat=steps):
        probability, start = 1.0, 0
        for t, place in enumerate(path):
            probability *= np.prod(1.0 - choose[t, start:place]) if place >= start else 0.0
            probability *= choose[t, place] if place < places else 1.0
            start = place
        for t, place in enumerate(path):
            if place < places:
                expected[t, place] += probability
    return expected


def monotonic_walk(choose):
    """Hard alignments [T, S] for choose [T, S]: algorithm 1 with a threshold of 0.5."""
    steps, places = choose.shape
    alignments, start = np.zeros((steps, places)), 0
    for t in range(steps):
        while start < places and choose[t, start] <= 0.5:
            start += 1
        if start < places:
            alignments[t, start] = 1.0
    return alignments


def chunkwise_alignments(alignments, chunk_scores, window: int, mask=None):
    """Each place's weight, spread by a softmax over the `window` places that end there."""
    alignments, chunk_scores = _double(alignments, chunk_scores)
    mask = np.broadcast_to(True if mask is None else mask, alignments.shape)
    spread = np.zeros_like(alignments)
    for k in range(alignments.shape[-1]):
        part = slice(max(0, k - window + 1), k + 1)
        weights = softmax(chunk_scores[..., part], mask[..., part])
        spread[..., part] += alignments[..., k : k + 1] * weights
    return spread


def log_probs_at_each_place(query, key, kernel, bias, kept=None):
    """log softmax over v of kernel (kept[t] tanh(query[t] + key[s])) + bias, [B, T, S, V]"""
    query, key, kernel, bias = _double(query, key, kernel, bias)
    readout = np.tanh(query[:, :, None] + key[:, None])
    logits = (readout if kept is None else readout * kept[:, :, None]) @ kernel + bias
    return np.log(softmax(logits))


def marginal_log_probs(query, key, alignments, kernel, bias, kept=None):
    """log of sum over s of alignments[t, s] p[t, s, v], [B, T, V]"""
    probabilities = np.exp(log_probs_at_each_place(query, key, kernel, bias, kept))
    return np.log(np.einsum("bts,btsv->btv", np.asarray(alignments, "float64"), probabilities))


def enumerated_loss(alignments, log_probs, targets) -> float:
    """-log of the sum, over all S^T ways to align a target, of p(alignment) p(target | alignment)

    Args:
        alignments: [T, S]. Probabilities of the places.
        log_probs: [T, S, V]. Of what is said there.
        targets: int [T].
    """
    steps, places = np.shape(alignments)
    total = 0.0
    for path in itertools.product(range(places), repeat=steps):
        probability = 1.0
        for t, s in enumerate(path):
            probability *= alignments[t, s] * np.exp(log_probs[t, s, targets[t]])
        total += probability
    return -np.log(total)


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
