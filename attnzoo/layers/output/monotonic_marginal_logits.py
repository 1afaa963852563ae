"""The output layer that sums over all monotone alignments."""

import keras
from keras import ops

from attnzoo.checks import check_positive
from attnzoo.layers.loop import run_loop
from attnzoo.layers.output.marginal_logits import MarginalLogits
from attnzoo.ops import (
    free_moves,
    hardmax,
    jump_moves,
    linear,
    move_by_jumps,
    move_freely,
    observe,
    target_log_probs,
)

# Of the authors' own models of the first order.
_USUAL_MAX_JUMP = 5


@keras.saving.register_keras_serializable(package="attnzoo")
class MonotonicMarginalLogits(MarginalLogits):
    """Log-probabilities of the vocabulary, summed over monotone alignments so far.

    The places of the steps are a hidden Markov chain that never goes back. With p[b, t, s] the
    probabilities of targets at place s, as in `MarginalLogits`, and y[t] the target of step t,

        order 0:  moves[t](s | s') ∝ alignments[t, s]                               for s >= s'
        order 1:  moves[t](s | s') ∝ alignments[t, s] exp(jumps[t, s'][s - s'])     and s - s' <= J
                  jumps[t, s'] = W output[t] + M memory[s'] + b                     [J + 1]

        prior[t](s)     = sum over s' of moves[t](s | s') posterior[t - 1](s')
        p[t]            = sum over s of prior[t](s) p[t, s]
        posterior[t](s) = prior[t](s) p[t, s, y[t]] / p[t, y[t]]

    The product of p[t, y[t]] is the sum over all monotone alignments of a target, exactly, and the
    layer gives log p[t]. Before the first step the place is the first real one, so that the first
    step may be there or further on. The targets that are known at step t are the tokens that
    entered the decoder up to it: their evidence comes with the token of the next step.

    The alignments that it returns are the priors: the place of a step, given the targets before it.
    They follow the evidence of each target, and so may return to a place that seemed passed.

    Differs from the paper: its moves of the first order are the jumps alone, without alignments;
    the readout is that of `MarginalLogits`.

    Args:
        vocabulary_size: V, the number of targets. At least 1.
        hidden_dim: Width U of the readout, in features. At least 1.
        order: 0 or 1.
        max_jump: J, order 1 only: how many places a step may move on, at most. At least 1. None for
            5; with order 0 a step may move any distance.
        dropout: Probability of dropping a feature of the readout. In [0, 1).

    Call arguments:
        outputs: float [B, T, Dq]. Of a decoder cell; they know nothing of the alignments.
        memory: float [B, S, Dm].
        alignments: float [B, T, S]. At least 0.
        memory_mask: bool [B, S], or None. True = a real row.
        token_ids: int [B, T]. The token that entered the decoder at each step: the target of the
            step before.
        copy_token_ids: Not used here; see `OutputLayer`.
        return_alignments: Whether to return the priors too.
        training: Whether dropout is on.

    Returns:
        float [B, T, V]. Log-probabilities, in nats; with `return_alignments=True` the pair of them
        and the priors, float [B, T, S], whose rows sum to 1.

    Raises:
        ValueError: If a size is below 1, `dropout` is outside [0, 1), `order` is not 0 or 1,
            `max_jump` is below 1 or comes with order 0, or there are no `token_ids`.

    Example:
        >>> output_layer = attnzoo.layers.MonotonicMarginalLogits(43, hidden_dim=7, order=1)
        >>> output_layer(outputs, memory, alignments, token_ids=token_ids).shape  # B=2, T=3
        (2, 3, 43)

    References:
        [Wu and Cotterell, 2019](https://arxiv.org/abs/1905.06319).
    """

    def __init__(
        self,
        vocabulary_size: int,
        *,
        hidden_dim: int,
        order: int = 1,
        max_jump: int | None = None,
        dropout: float = 0.0,
        **kwargs,
    ):
        super().__init__(vocabulary_size, hidden_dim=hidden_dim, dropout=dropout, **kwargs)
        check_order(order, max_jump)
        self.order = order
        self.max_jump = max_jump

    def build(self, outputs_shape, memory_shape):
        super().build(outputs_shape, memory_shape)
        if self.order == 0:
            return
        width = (self.max_jump or _USUAL_MAX_JUMP) + 1

        def kernel(name, size):
            return self.add_weight(shape=(size, width), initializer="glorot_uniform", name=name)

        self.jump_query_kernel = kernel("jump_query_kernel", outputs_shape[-1])
        self.jump_memory_kernel = kernel("jump_memory_kernel", memory_shape[-1])
        self.jump_bias = self.add_weight(shape=(width,), initializer="zeros", name="jump_bias")

    # === The equations ===

    def moves(self, outputs, alignments, prepared):
        """Compute the moves of [B, T] steps: float32 [B, T, S, ...]."""
        mask = ops.expand_dims(prepared["mask"], 1)  # [B, 1, S]
        if self.order == 0:
            return free_moves(alignments, mask)
        jumps = linear(outputs, self._read(self.jump_query_kernel), self._read(self.jump_bias))
        jumps = ops.expand_dims(ops.cast(jumps, "float32"), 2)  # [B, T, 1, J + 1]
        return jump_moves(alignments, jumps + ops.expand_dims(prepared["jumps"], 1), mask)

    def next_places(self, places, evidence, moves):
        """Return the prior of the next step, given the prior and the target of this one.

        Args:
            places: float32 [..., S].
            evidence: float32 [..., S]. Log-probability, at each place, of the step's target.
            moves: float32 [..., S, ...]. Of the next step.
        """
        move = move_freely if self.order == 0 else move_by_jumps
        return move(observe(places, evidence), moves)

    def token_evidence(self, query, token_ids, prepared, kept=None):
        """Return the log-probability of tokens [B, T] at each place, by their queries."""
        kernel, bias = self._read(self.kernel), self._read(self.bias)
        return target_log_probs(query, prepared["key"], token_ids, kernel, bias, kept)

    # === Step by step ===

    def prepare(self, memory, memory_mask=None, copy_token_ids=None):
        if memory_mask is None:
            memory_mask = ops.ones(ops.shape(memory)[:2], dtype="bool")
        prepared = {"key": super().prepare(memory), "mask": ops.cast(memory_mask, "bool")}
        if self.order == 1:
            jumps = linear(memory, self._read(self.jump_memory_kernel))
            prepared["jumps"] = ops.cast(jumps, "float32")  # [B, S, J + 1]
        return prepared

    def initial_state(self, prepared):
        """Return the place before the first step, and zeros for its query.

        Places keep their precision. The evidence of the start token changes nothing, as there is
        one place only.
        """
        key = prepared["key"]
        start = ops.zeros(ops.shape(key)[:2], dtype="float32")
        query = ops.zeros((ops.shape(key)[0], self.hidden_dim), dtype=self.compute_dtype)
        return {"places": hardmax(start, prepared["mask"]), "query": query}

    def step(self, outputs, alignments, token_ids, prepared, state):
        batch, memory_length = ops.shape(prepared["key"])[:2]

        def side_by_side(rows, width):
            return ops.reshape(rows, (batch, -1, width))  # [B, K, width]

        outputs = side_by_side(outputs, outputs.shape[-1])
        query = self.project(outputs)
        evidence = self.token_evidence(
            side_by_side(state["query"], self.hidden_dim),
            ops.reshape(token_ids, (batch, -1)),
            prepared,
        )
        moves = self.moves(outputs, side_by_side(alignments, memory_length), prepared)
        places = self.next_places(side_by_side(state["places"], memory_length), evidence, moves)
        log_probs = self.marginalize(query, prepared["key"], places)
        places = ops.reshape(places, (-1, memory_length))
        state = {"places": places, "query": ops.reshape(query, (-1, self.hidden_dim))}
        log_probs = ops.reshape(log_probs, (-1, self.vocabulary_size))
        return log_probs, ops.cast(places, self.compute_dtype), state

    def call(
        self,
        outputs,
        memory,
        alignments,
        memory_mask=None,
        token_ids=None,
        copy_token_ids=None,
        return_alignments: bool = False,
        training: bool = False,
    ):
        check_token_ids(token_ids)
        prepared = self.prepare(memory, memory_mask)
        query = self.project(outputs)
        kept = self.draw_kept(query, training)
        start = self.initial_state(prepared)
        # The token that enters now is the target of the step before.
        evidence = self.token_evidence(
            _delayed(query), token_ids, prepared, None if kept is None else _delayed(kept)
        )
        places = self.all_places(
            start["places"], evidence, self.moves(outputs, alignments, prepared)
        )
        log_probs = self.marginalize(query, prepared["key"], places, kept)
        places = ops.cast(places, self.compute_dtype)
        return (log_probs, places) if return_alignments else log_probs

    def all_places(self, start, evidence, moves):
        """Take `next_places` over all T steps: [B, S], [B, T, S], [B, T, S, M] to [B, T, S]."""
        width = moves.shape[-1] + 1
        both = ops.concatenate([ops.expand_dims(evidence, -1), moves], axis=-1)
        batch, steps, memory_length, _ = ops.shape(both)
        # A loop has one input, and of rank 3.
        both = ops.reshape(both, (batch, steps, memory_length * width))

        def body(both, places):
            both = ops.reshape(both, (batch, -1, width))  # [B, S, M + 1]
            places = self.next_places(places, both[..., 0], both[..., 1:])
            return places, places

        return run_loop(body, both, start, "float32")[0]

    def compute_output_spec(
        self, outputs, memory, alignments, memory_mask=None, token_ids=None, *args, **kwargs
    ):
        check_token_ids(token_ids)
        return super().compute_output_spec(outputs, memory, alignments, **kwargs)

    def get_config(self):
        return {**super().get_config(), "order": self.order, "max_jump": self.max_jump}


def check_order(order: int, max_jump: int | None):
    """Raise unless `order` is 0 or 1, and `max_jump` goes with it."""
    if order not in (0, 1) or isinstance(order, bool):
        raise ValueError(f"`order` must be 0 or 1. Received: order={order!r}")
    if max_jump is None:
        return
    if order == 0:
        raise ValueError(
            "With order 0 a step may move any distance; use `max_jump=None`, or `order=1`. "
            f"Received: max_jump={max_jump} with order=0"
        )
    check_positive(max_jump=max_jump)


def check_token_ids(token_ids):
    """Raise if there are no `token_ids`."""
    if token_ids is None:
        raise ValueError(
            "`token_ids` must be given: the tokens so far tell the places of their steps. "
            "Received: token_ids=None"
        )


def _delayed(tensor):
    """Shift by one step: each gets the row of the step before, the first one zeros."""
    return ops.pad(tensor, [[0, 0], [1, 0], [0, 0]])[:, :-1]
