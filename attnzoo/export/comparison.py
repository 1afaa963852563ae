"""The SavedModel's outputs beside the live model's."""

import numpy as np

from attnzoo.export.graph import SpecialIds
from attnzoo.export.live import replay_live

# A score is the sum of up to `max_length` log-probabilities. In float32 backends differ in it by
# about 1e-5, for they add in different orders; a wrong weight or mask shows far above 1e-3.
TOLERANCE = 1e-3
# With 8 to 11 bits a number the last rounding decides more: this much a token, in nats.
HALF_TOLERANCE = 0.1


def compare(task, verify, live, exported):
    """Hold the SavedModel's outputs to the live model's, source by source.

    Raises:
        RuntimeError: At the first difference.
    """
    whole, first = exported
    half = task.backbone.compute_dtype != "float32"
    for row, source in enumerate(verify):
        _compare_row(task, source, row, live, whole, half)
    # Alone in its batch a source must give what it gave among others.
    _compare_row(task, verify[0], 0, live, first, half)


def _compare_row(task, source, row, live, exported, half):
    tokens, live_tokens = _as_wide(exported["token_ids"][row], live["token_ids"][row])
    expected = {name: value[row] for name, value in live.items() if name != "batch"}
    tolerances = {"scores": TOLERANCE, "alignments": TOLERANCE}
    names = ["token_ids", "text", "scores", "alignments"]
    if half:
        # At least one token: the end.
        length = max(1, int(np.count_nonzero(live_tokens)))
        tolerances = {"scores": HALF_TOLERANCE * length, "alignments": HALF_TOLERANCE}
        if not np.array_equal(tokens, live_tokens):
            expected["alignments"] = _alignments_of(task, live["batch"], row, tokens)
            names = ["alignments"]
    for name in names:
        if name not in exported:
            continue
        one, other = exported[name][row], expected[name]
        if name == "text":
            equal = np.array_equal(one, other)
        else:
            one, other = _as_wide(one, other)
            equal = np.allclose(one, other, rtol=0, atol=tolerances.get(name, 0))
        if not equal:
            raise RuntimeError(
                "The SavedModel does not give what the live model gives, and was removed. First "
                f"difference: `{name}` for the source {source!r}.\n"
                f"SavedModel: {_show(one)}\nlive model: {_show(other)}"
            )


def _alignments_of(task, batch, row, token_ids):
    """The live model's alignments for the best hypothesis of another."""
    special = SpecialIds.of(task)
    best = token_ids[0] if token_ids.ndim == 2 else token_ids
    length = batch["decoder_token_ids"].shape[1]
    whole = _fit(np.concatenate([[special.start], best]), (length,), special.pad)
    ended = np.cumsum(whole == special.end)
    kept = (ended == 0) | ((whole == special.end) & (ended == 1))
    tokens, mask = np.array(batch["decoder_token_ids"]), np.array(batch["decoder_padding_mask"])
    tokens[row], mask[row] = whole, kept
    return replay_live(task, batch, tokens, mask)["alignments"][row]


def _as_wide(one, other):
    """Two arrays, each padded with zeros at the ends of its axes to be as wide as the other."""
    shape = [max(sizes) for sizes in zip(np.shape(one), np.shape(other), strict=True)]
    return _fit(one, shape), _fit(other, shape)


def _fit(array, shape, value=0):
    missing = [(0, wanted - has) for wanted, has in zip(shape, np.shape(array), strict=True)]
    return np.pad(array, missing, constant_values=value) if missing else np.asarray(array)


def _show(value):
    with np.printoptions(threshold=200, precision=5, suppress=True):
        return repr(value.tolist()) if value.dtype.kind == "U" else str(value)
