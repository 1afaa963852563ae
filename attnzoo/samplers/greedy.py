"""Greedy search with a record: the output of a `GreedySampler`, its score and its alignments."""

from collections.abc import Callable, Iterable

import keras
from keras import ops

from attnzoo.ops import write_steps


def search_greedily(
    sampler,
    next: Callable,
    prompt,
    cache: dict,
    index: int,
    mask,
    stop_token_ids: Iterable[int] | None = None,
    model: keras.Model | None = None,
):
    """Choose the most probable token at each step, and record its log p and its alignments.

    Args:
        sampler: A KerasHub sampler, whose `run_loop` runs the loop.
        next, prompt, cache, index, mask, stop_token_ids, model: As in `BeamSampler.search`, for one
            hypothesis. The cache must have `"alignments"`, float [B, S], those of the last step.

    Returns:
        Tokens int [B, T]; scores float32 [B], log p of all tokens from `index` through the end
        token, in nats; and alignments float [B, T, S]. Row t is of the step that made token t. What
        comes after an end token is undefined.
    """
    stops = [] if stop_token_ids is None else list(stop_token_ids)
    batch, length = ops.shape(prompt)
    places = ops.shape(cache["alignments"])[1]
    state = {
        "tokens": prompt,
        "scores": ops.zeros((batch,), "float32"),
        "alignments": ops.zeros((batch, length, places), cache["alignments"].dtype),
        "is_open": ops.ones((batch,), "bool"),
        "cache": cache,
    }

    def cond(state, index):
        return ops.any(state["is_open"])

    def body(state, index):
        logits, _, cache = next(state["tokens"], state["cache"], index)
        logits = ops.cast(logits, "float32")  # [B, V]
        _, best = ops.top_k(logits, 1)
        given = ops.cast(ops.take(mask, index, axis=1), "bool")
        token = ops.where(
            given, ops.take(prompt, index, axis=1), ops.cast(best[:, 0], prompt.dtype)
        )
        is_token = ops.arange(ops.shape(logits)[1], dtype="int32") == token[:, None]
        log_probs = ops.sum(ops.where(is_token, logits, 0.0), axis=-1)
        log_probs = log_probs - ops.logsumexp(logits, axis=-1)
        is_open = state["is_open"]
        ended = ops.zeros_like(is_open)
        for stop in stops:
            ended = ops.logical_or(ended, token == stop)
        ended = ops.logical_and(ended, ops.logical_not(given))
        state = {
            "tokens": write_steps(state["tokens"], token[:, None], index, axis=1),
            "scores": state["scores"] + ops.where(is_open, log_probs, 0.0),
            "alignments": write_steps(
                state["alignments"], cache["alignments"][:, None], index, axis=1
            ),
            "is_open": ops.logical_and(is_open, ops.logical_not(ended)),
            "cache": cache,
        }
        return state, index + 1

    index = ops.cast(index, "int32")
    state, _ = sampler.run_loop(
        cond,
        body,
        model=model,
        loop_vars=(state, index),
        maximum_iterations=ops.cast(length, "int32") - index,
    )
    return state["tokens"], state["scores"], state["alignments"]
