"""Decoding: from packed sources to token ids, scores and alignments, in one graph.

`generate`, the graph of an export and the check of that export all call `decode`, so that they
cannot differ. Beam search and greedy search record scores and alignments. KerasHub's other samplers
return only tokens: their outputs are replayed, all steps at once, with the source encoded only
once.
"""

from keras import ops

from attnzoo.models.tasks.phrases import sampler_of
from attnzoo.samplers import BeamSampler, GreedySampler
from attnzoo.samplers.greedy import search_greedily


def decode(
    task,
    inputs: dict,
    stop_token_ids=None,
    *,
    return_alignments=False,
    steps_of=None,
    search_with=None,
):
    """Decode one batch with the task's sampler.

    Args:
        task: A `Seq2SeqTask`.
        inputs: The task's inputs, with the prompt of each target, padded to the maximal length L.
        stop_token_ids: Ids that end an output, or None.
        return_alignments: Whether to also return scores and alignments.
        steps_of: Function of the outputs' mask, bool [B, L] or [B, N, L], to the number of steps to
            keep; None keeps L. It needs a graph without fixed shapes.
        search_with: What runs the search, with the arguments and results of `search`; None is
            `search` itself.

    Returns:
        dict of `decoder_token_ids` int [B, T] and `decoder_padding_mask` bool [B, T], T = L unless
        `steps_of` is given; for a sampler that returns N hypotheses both are [B, N, T]. With
        `return_alignments=True`, or a `BeamSampler`, `scores` float32 [B] or [B, N], in nats; with
        `return_alignments=True` `alignments` float32 [B, T - 1, S] of the (best) output, as
        `replay` gives them.
    """
    sampler = sampler_of(task)
    encoded = task.encode(inputs)
    found = (search_with or search)(
        task, sampler, inputs, encoded, stop_token_ids, return_alignments
    )
    token_ids, alignments = found["token_ids"], found.get("alignments")
    given = inputs["decoder_padding_mask"]
    given = given if len(token_ids.shape) == 2 else given[:, None]  # [B, L] or [B, 1, L].
    mask = until_stop(token_ids, given, stop_token_ids)
    if steps_of is not None:
        steps = steps_of(mask)
        token_ids, mask = token_ids[..., :steps], mask[..., :steps]
        alignments = None if alignments is None else alignments[:, :steps]
    results = {"decoder_token_ids": token_ids, "decoder_padding_mask": mask}
    if alignments is not None:
        real = mask[:, 0] if len(mask.shape) == 3 else mask
        results["alignments"] = _of_real_steps(alignments[:, 1:], real)
    elif return_alignments:
        known = {**inputs, "decoder_token_ids": token_ids, "decoder_padding_mask": mask}
        results.update(replay(task, known, encoded))
    if "scores" in found:
        results["scores"] = ops.cast(found["scores"], "float32")
    return results


def search(
    task, sampler, inputs: dict, encoded, stop_token_ids=None, return_alignments: bool = False
):
    """Run a sampler on an encoded batch.

    Args:
        task: A `Seq2SeqTask`.
        sampler: `sampler_of(task)`, or a copy of it with another `run_loop`.
        inputs: As in `decode`.
        encoded: `task.encode(inputs)`.
        stop_token_ids: Ids that end an output, or None.
        return_alignments: Whether to record the alignments, if the sampler can.

    Returns:
        dict of `token_ids` int [B, L]; of what was recorded `scores` float [B] and `alignments`
        float [B, L, S] of the best hypothesis. For a sampler that returns N hypotheses `token_ids`
        is [B, N, L], and `scores` [B, N].
    """
    is_beam = isinstance(sampler, BeamSampler)
    records = return_alignments and (is_beam or type(sampler) is GreedySampler)
    covers = bool(getattr(sampler, "coverage_penalty", 0.0))
    hypotheses = sampler.num_beams if is_beam else 1
    next, cache = task.make_next(inputs, records or covers, encoded, hypotheses)
    arguments = {
        "prompt": inputs["decoder_token_ids"],
        "cache": cache,
        "index": 1,  # Position 0 is the start token; a longer prompt is read step by step.
        "mask": inputs["decoder_padding_mask"],
        "stop_token_ids": stop_token_ids,
        "model": task,
    }
    if is_beam:
        token_ids, scores, *recorded = sampler.search(
            next, **arguments, resize_cache=task.resize_cache, return_alignments=records
        )  # [B, N, L], [B, N], [B, N, L, S]
        if sampler.num_hypotheses == 1:
            token_ids, scores = token_ids[:, 0], scores[:, 0]
        recorded = {"alignments": recorded[0][:, 0]} if records else {}
        return {"token_ids": token_ids, "scores": scores, **recorded}
    if records:
        names = "token_ids", "scores", "alignments"
        return dict(zip(names, search_greedily(sampler, next, **arguments), strict=True))
    return {"token_ids": sampler(next, **arguments)}


def replay(task, inputs: dict, encoded=None) -> dict:
    """Run the model on known outputs, all steps at once.

    Args:
        task: A `Seq2SeqTask`.
        inputs: The task's inputs, with the whole target, from its start to its end token.
        encoded: `task.encode(inputs)`, or None to encode the source here.

    Returns:
        dict of `alignments` float32 [B, T - 1, S], row t for the token at t + 1, zero if that is
        padding, and `scores` float32 [B], log p of all tokens except the first, in nats.
    """
    target, real = inputs["decoder_token_ids"], inputs["decoder_padding_mask"]
    logits, alignments = task.decode({**inputs, "decoder_token_ids": target[:, :-1]}, encoded)
    logits = ops.cast(logits, "float32")
    following = ops.cast(target[:, 1:], "int32")
    chosen = ops.take_along_axis(logits, following[:, :, None], axis=-1)[:, :, 0]
    log_probs = chosen - ops.logsumexp(logits, axis=-1)
    return {
        "alignments": _of_real_steps(alignments, real),
        "scores": ops.sum(log_probs * ops.cast(real[:, 1:], "float32"), axis=1),
    }


def name_outputs(decoded: dict, padding: int) -> dict:
    """Name and pad the results of `decode` as an export returns them, without the start token.

    Args:
        decoded: `decode(..., return_alignments=True)`, tensors or arrays.
        padding: The id of padding.

    Returns:
        dict of `token_ids` int32 [B, T - 1] or [B, N, T - 1], `scores` and `alignments`.
    """
    token_ids = ops.cast(decoded["decoder_token_ids"], "int32")
    token_ids = ops.where(decoded["decoder_padding_mask"], token_ids, padding)
    kept = {name: decoded[name] for name in ("scores", "alignments")}
    return {"token_ids": token_ids[..., 1:], **kept}


def until_stop(token_ids, given, stop_token_ids):
    """Return bool, shape of `token_ids`: True through the first stop token after the prompt."""
    if stop_token_ids is None:
        return ops.ones_like(token_ids, dtype="bool")
    stops = ops.zeros_like(token_ids, dtype="bool")
    for stop in stop_token_ids:
        stops = ops.logical_or(stops, token_ids == stop)
    stops = ops.cast(ops.logical_and(stops, ops.logical_not(ops.cast(given, "bool"))), "int32")
    return (ops.cumsum(stops, axis=-1) - stops) == 0


def _of_real_steps(alignments, mask):
    """Return alignments float32 [B, T - 1, S], zero if the mask bool [B, T] has padding."""
    return ops.cast(alignments, "float32") * ops.cast(mask[:, 1:], "float32")[:, :, None]
