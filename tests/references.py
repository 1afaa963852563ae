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


def softmax(scores, mask=None, axis: int = -1):
    """Softmax over an axis, of the places where `mask` is True; zeros where there is none."""
    scores = np.asarray(scores, dtype="float64")
    mask = (
        np.ones(scores.shape, dtype=bool) if mask is None else np.broadcast_to(mask, scores.shape)
    )
    highest = np.max(np.where(mask, scores, -np.inf), axis=axis, keepdims=True)
    powers = np.where(mask, np.exp(scores - np.where(np.isfinite(highest), highest, 0.0)), 0.0)
    total = np.sum(powers, axis=axis, keepdims=True)
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


def multi_head_alignments(
    query,
    key,
    memory_mask=None,
    attention_mask=None,
    bias=0.0,
    soft_cap=None,
    causal=False,
    window=None,
    normalize=softmax,
):
    """Alignments [B, N, T, S] of query [B, N, T, D] and key [B, M, S, D], head by head.

    The attention mask is broadcastable to [B, N, T, S]; head n has the key of head n * M / N.
    """
    query, key, bias = _double(query, key, bias)
    group = query.shape[1] // key.shape[1]
    scores = [query[:, n] @ key[:, n // group].swapaxes(1, 2) for n in range(query.shape[1])]
    scores = np.stack(scores, axis=1) / np.sqrt(query.shape[-1])
    if soft_cap is not None:
        scores = soft_cap * np.tanh(scores / soft_cap)
    back = np.arange(scores.shape[2])[:, None] - np.arange(scores.shape[3])
    mask = np.broadcast_to(True if attention_mask is None else attention_mask, scores.shape)
    if memory_mask is not None:
        mask = mask & memory_mask[:, None, None]
    if causal:
        mask = mask & (back >= 0)
    if window is not None:
        mask = mask & (np.abs(back) <= window)
    return normalize(scores + bias, mask)


def gather_heads(alignments, value):
    """Contexts [B, N, T, Dv] of alignments [B, N, T, S] and value [B, M, S, Dv]."""
    alignments, value = _double(alignments, value)
    return alignments @ np.repeat(value, alignments.shape[1] // value.shape[1], axis=1)


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


def pointer_log_probs(logits, gate, alignments, copy_token_ids):
    """log of p_gen softmax(logits) + (1 - p_gen) copies, [B, T, V + S]; -inf where that is 0"""
    logits, alignments = _double(logits, alignments)
    (batch, steps, size), places = logits.shape, alignments.shape[-1]
    said = np.pad(softmax(logits), [(0, 0), (0, 0), (0, places)])
    copies = np.zeros((batch, steps, size + places))
    for b, t, s in np.ndindex(batch, steps, places):
        copies[b, t, copy_token_ids[b, s]] += alignments[b, t, s]
    p_gen = sigmoid(np.asarray(gate, "float64"))[:, :, None]
    with np.errstate(divide="ignore"):
        return np.log(p_gen * said + (1 - p_gen) * copies)


def monotone_moves(alignments, jumps=None):
    """moves[t, s', s]: proportional to alignments[t, s] where s >= s', else 0; or it stays at s'.

    With jumps [T, S', J] also proportional to exp(jumps[t, s', s - s']), and 0 for J and more.
    """
    (alignments,) = _double(alignments)
    steps, places = alignments.shape
    moves = np.zeros((steps, places, places))
    for t, start, end in np.ndindex(moves.shape):
        distance = end - start
        if distance < 0 or jumps is not None and distance >= jumps.shape[-1]:
            continue
        factor = 1.0 if jumps is None else np.exp(np.float64(jumps[t, start, distance]))
        moves[t, start, end] = alignments[t, end] * factor
    for t, start in np.ndindex(steps, places):
        total = moves[t, start].sum()
        moves[t, start] = moves[t, start] / total if total > 0.0 else np.eye(places)[start]
    return moves


def forward_places(moves, log_probs):
    """p(place of step t | targets before t), [T, S]: the forward algorithm, from place 0 on.

    Args:
        moves: [T, S', S].
        log_probs: [T, S]. Log-probability of each target at each place.
    """
    moves, log_probs = _double(moves, log_probs)
    prior, posterior = np.zeros(log_probs.shape), np.eye(log_probs.shape[-1])[0]
    for t in range(len(prior)):
        prior[t] = posterior @ moves[t]
        posterior = prior[t] * np.exp(log_probs[t])
        posterior = posterior / posterior.sum()
    return prior


def monotone_chain(
    outputs,
    memory,
    alignments,
    *,
    query_kernel,
    memory_kernel,
    kernel,
    bias,
    jump_query_kernel=None,
    jump_memory_kernel=None,
    jump_bias=None,
    kept=None,
):
    """Of one example without padding: moves [T, S', S], and log p [T, S, V] of what is said.

    Args:
        outputs: [T, Dq].
        memory: [S, Dm].
        alignments: [T, S].
        kept: [T, U], or None.
    """
    outputs, memory = _double(outputs, memory)
    jumps = None
    if jump_bias is not None:
        jumps = (outputs @ jump_query_kernel)[:, None] + memory @ jump_memory_kernel + jump_bias
    log_probs = log_probs_at_each_place(
        (outputs @ query_kernel)[None],
        (memory @ memory_kernel)[None],
        kernel,
        bias,
        None if kept is None else kept[None],
    )
    return monotone_moves(alignments, jumps), log_probs[0]


def enumerated_monotone_loss(moves, log_probs) -> float:
    """-log of the sum, over all paths that never go back, of p(path) p(target | path)

    Args:
        moves: [T, S', S]. The first step starts at place 0.
        log_probs: [T, S]. Log-probability of each target at each place.
    """
    steps, places = np.shape(log_probs)
    total = 0.0
    for path in itertools.combinations_with_replacement(range(places), steps):
        probability, start = 1.0, 0
        for t, s in enumerate(path):
            probability *= moves[t, start, s] * np.exp(log_probs[t, s])
            start = s
        total += probability
    return -np.log(total)


# === Positions: int [T] of queries, int [S] of keys; heads [B, N, T, d] ===


def position_waves(positions, width: int, max_wavelength: float = 10000.0):
    """exp(i positions[t] / max_wavelength^(2 j / width)) for j < width / 2, complex [T, ...]"""
    positions = np.asarray(positions, dtype="float64")
    waves = [positions / max_wavelength ** (2 * j / width) for j in range((width + 1) // 2)]
    return np.exp(1j * np.stack(waves, axis=-1))


def sinusoidal_position(positions, width: int, max_wavelength: float = 10000.0):
    """Feature 2 j is sin(positions[t] / max_wavelength^(2 j / width)), 2 j + 1 its cos: [T, D]"""
    waves = position_waves(positions, width, max_wavelength)
    features = [(waves.real if d % 2 else waves.imag)[:, d // 2] for d in range(width)]
    return np.stack(features, axis=-1)


def rotary_position(rows, positions, max_wavelength: float = 10000.0):
    """Features j and j + d/2 are a complex number, which is turned: [B, N, T, d]"""
    (rows,) = _double(rows)
    first, second = np.split(rows, 2, axis=-1)
    turned = (first + 1j * second) * position_waves(positions, rows.shape[-1], max_wavelength)
    return np.concatenate([turned.real, turned.imag], axis=-1)


def clipped_distance(query_positions, key_positions, max_distance: int):
    """clip(key - query, -max_distance, max_distance) + max_distance, int [T, S]"""
    distance = np.subtract.outer(np.asarray(key_positions), np.asarray(query_positions)).T
    return np.clip(distance, -max_distance, max_distance) + max_distance


def relative_query_bias(query, table, query_positions, key_positions):
    """query[b, n, t] · table[distance of s from t], [B, N, T, S]"""
    query, table = _double(query, table)
    distance = clipped_distance(query_positions, key_positions, len(table) // 2)
    return np.einsum("bntd,tsd->bnts", query, table[distance])


def relative_value_bias(alignments, table, query_positions, key_positions):
    """sum over s of alignments[b, n, t, s] table[distance of s from t], [B, N, T, d]"""
    alignments, table = _double(alignments, table)
    distance = clipped_distance(query_positions, key_positions, len(table) // 2)
    return np.einsum("bnts,tsd->bntd", alignments, table[distance])


def t5_bucket(relative: int, num_buckets: int, max_distance: int, bidirectional: bool) -> int:
    """The paper's formula, with a hair's breadth added before rounding down."""
    size = num_buckets // 2 if bidirectional else num_buckets
    side = size if bidirectional and relative > 0 else 0
    distance = abs(relative) if bidirectional else max(-relative, 0)
    exact = size // 2
    if distance < exact:
        return side + distance
    share = np.log(distance / exact) / np.log(max_distance / exact)
    return side + min(exact + int(share * (size - exact) + 1e-9), size - 1)


def feed_forward(x, hidden, output, activation, gate=None):
    """O activation(W x + w) + o, or O (activation(G x + g) (W x + w)) + o

    Args:
        hidden, output, gate: The pairs (kernel, bias) W and w, O and o, G and g.
    """
    x, kernel, bias, output_kernel, output_bias = _double(x, *hidden, *output)
    features = x @ kernel + bias
    if gate is None:
        features = activation(features)
    else:
        gate_kernel, gate_bias = _double(*gate)
        features = activation(x @ gate_kernel + gate_bias) * features
    return features @ output_kernel + output_bias


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


# === Maps: [B, H, W, C] ===


def layer_norm(values, gamma, beta, epsilon=1e-5):
    """gamma (values - mean) / sqrt(variance + epsilon) + beta"""
    values, gamma, beta = _double(values, gamma, beta)
    centred = values - values.mean(axis=-1, keepdims=True)
    variance = np.mean(centred**2, axis=-1, keepdims=True)
    return gamma * centred / np.sqrt(variance + epsilon) + beta


def _heads_of_map(inputs, kernel, bias, num_heads):
    """The head's rows [B, N, P, D], place by place."""
    batch, height, width, _ = inputs.shape
    rows = inputs @ kernel + bias
    return rows.reshape(batch, height * width, num_heads, -1).transpose(0, 2, 1, 3)


def relative_attention_2d(inputs, kernels, tables, num_heads, scale_position=True):
    """Scores place by place, with R[place of the key - place of the query + L - 1] on each axis."""
    (inputs,) = _double(inputs)
    query, key, value = (_heads_of_map(inputs, *_double(one), 0.0, num_heads) for one in kernels)
    rows, columns = _double(*tables)
    _, height, width, _ = inputs.shape
    scale = query.shape[-1] ** -0.5
    scores = scale * query @ key.transpose(0, 1, 3, 2)
    for i in range(height * width):
        for j in range(height * width):
            down, right = j // width - i // width, j % width - i % width
            position = rows[down + height - 1] + columns[right + width - 1]
            scores[:, :, i, j] += (scale if scale_position else 1.0) * query[:, :, i] @ position
    alignments = softmax(scores)
    context = (alignments @ value).transpose(0, 2, 1, 3)
    return context.reshape(*inputs.shape[:3], -1), alignments


def yolo_attention_2d(inputs, kernels, biases, tables, num_heads):
    """query[i] · key[j] + (rows[n, h(i)] + columns[n, w(i)]) · query[j]"""
    (inputs,) = _double(inputs)
    query, key, value = (
        _heads_of_map(inputs, *_double(kernel, bias), num_heads)
        for kernel, bias in zip(kernels, biases, strict=True)
    )
    rows, columns = _double(*tables)
    _, height, width, _ = inputs.shape
    scores = query @ key.transpose(0, 1, 3, 2)
    for i in range(height * width):
        position = rows[:, i // width] + columns[:, i % width]  # [N, D]
        scores[:, :, i] += np.einsum("nd,bnjd->bnj", position, query)
    alignments = softmax(scores)
    context = (alignments @ value).transpose(0, 2, 1, 3)
    return context.reshape(*inputs.shape[:3], -1), alignments


def polarized_gates(inputs, weights, layout, form):
    """The gates of channels and of places, each by the order of the paper's equations."""
    (inputs,) = _double(inputs)
    batch, height, width, channels = inputs.shape

    def project(name, rows):
        bias = weights.get(f"{name}_bias", 0.0)
        return rows @ weights[f"{name}_kernel"].astype("float64") + bias

    def norm(rows):
        return layer_norm(rows, weights["gamma"], weights["beta"])

    x = inputs.reshape(batch, height * width, channels)
    shares = softmax(project("channel_query", x), axis=1)  # [B, P, 1]
    context = np.sum(shares * project("channel_value", x), axis=1)
    if (form, layout) == ("official", "sequential"):
        context = np.maximum(norm(project("channel_down", context)), 0.0)
    logits = project("channel_up", context)
    channel = sigmoid(norm(logits) if form == "paper" else logits)

    z = x * channel[:, None] if layout == "sequential" else x
    query = project("spatial_query", z).mean(axis=1)  # [B, C / 2]
    value = project("spatial_value", z)  # [B, P, C / 2]
    if form == "paper":
        logits = np.einsum("bc,bpc->bp", softmax(query), value)
    elif layout == "parallel":
        logits = softmax(np.einsum("bc,bpc->bp", query, value))
    else:
        logits = np.einsum("bc,bpc->bp", query, softmax(value, axis=1))
    return channel, sigmoid(logits).reshape(batch, height, width)


def convolution_2d(inputs, kernel):
    """sum over i, j of inputs[h + i - K // 2, w + j - K // 2] · kernel[i, j], zeros outside"""
    inputs, kernel = _double(inputs, kernel)
    side = kernel.shape[0]
    padded = np.pad(inputs, [(0, 0), (side // 2, side // 2), (side // 2, side // 2), (0, 0)])
    height, width = inputs.shape[1:3]
    return sum(
        padded[:, i : i + height, j : j + width] @ kernel[i, j]
        for i in range(side)
        for j in range(side)
    )


def sigmoid(values):
    return 1.0 / (1.0 + np.exp(-values))


def _double(*arrays):
    return [np.asarray(array, dtype="float64") for array in arrays]


def _bias(bias):
    return 0.0 if bias is None else np.asarray(bias, dtype="float64")
