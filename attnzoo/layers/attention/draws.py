"""Draws of a pass of training, for the model that charges them with its loss."""

import contextlib
import contextvars
import dataclasses
import typing

import keras


@dataclasses.dataclass(frozen=True, eq=False)
class Draws:
    """The draws of one attention in a pass of training.

    Args:
        layer: The attention. It has `entropy_weight`, `credit` and `update_baseline(loss)`.
        log_probs: float32 [B, T]. log p of the draws of each step, in nats; 0 where there are
            none, or the step is padding. With a gradient.
        entropy: float32 [B, T]. Entropy of the distribution of the draws, in nats; 0 where the step
            is padding. With a gradient.
        baseline: float32 [B, T]. The loss that was to be expected; in the unit of the loss.
        drawn: float32 [B, T]. 1 where something was drawn, else 0.
        real: float32 [B, T]. 1 for a real step, 0 for padding.
        causal: Whether a draw has no effect on the steps before its own.
    """

    layer: keras.layers.Layer
    log_probs: typing.Any
    entropy: typing.Any
    baseline: typing.Any
    drawn: typing.Any
    real: typing.Any
    causal: bool


_COLLECTED: contextvars.ContextVar[list[Draws] | None] = contextvars.ContextVar(
    "collected_draws", default=None
)


@contextlib.contextmanager
def collect_draws():
    """Collect the draws that attentions hand in, within a pass of training.

    Yields:
        A list for the `Draws`. Where another is open already, that one gets them: draws are charged
        with the loss of the outermost model.
    """
    if _COLLECTED.get() is not None:
        yield []
        return
    collected: list[Draws] = []
    token = _COLLECTED.set(collected)
    try:
        yield collected
    finally:
        _COLLECTED.reset(token)


def is_collecting() -> bool:
    """Return whether draws are collected: see `collect_draws`."""
    return _COLLECTED.get() is not None


def hand_in(draws: Draws) -> None:
    """Add draws to those that are collected.

    Raises:
        RuntimeError: If none are collected: nothing would be trained by them.
    """
    collected = _COLLECTED.get()
    if collected is None:
        raise RuntimeError(
            f"Draws must be handed in within `collect_draws`. Received: draws of {draws.layer.name}"
        )
    collected.append(draws)
