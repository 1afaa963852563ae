"""The base of the attentions: SCORES -> ALIGNMENTS -> CONTEXT."""

import dataclasses
import typing

import keras
from keras import ops

from attnzoo.checks import check_attention_inputs, check_mask
from attnzoo.layers.base import SpecLayer
from attnzoo.layers.loop import run_loop
from attnzoo.layers.masks import warn_of_lost_mask


@dataclasses.dataclass(frozen=True, eq=False)
class TrainingPass:
    """All steps of a pass of training, for an attention that needs them at its end.

    Args:
        query: float [B, T, Dq].
        prepared: Result of `prepare`.
        alignments: float [B, T, S]. The alignments of these queries.
        noise: float [B, T, R], what `draw_noise` gave, or None.
        query_mask: bool [B, T], or None. True = a real step.
        causal: Whether step t has no effect on the steps before it, as in a decoder.
    """

    query: typing.Any
    prepared: dict
    alignments: typing.Any
    noise: typing.Any
    query_mask: typing.Any
    causal: bool


class Attention(SpecLayer):
    """Base of the attention mechanisms.

    A decoder uses three methods and nothing else:

    1. `prepare(memory, memory_mask)`: what depends on the memory alone, once per source;
    2. `initial_state(prepared)`: what must be remembered from step to step, `()` if nothing;
    3. `step(query, prepared, state)`: one decoding step.

    In a step several queries of one source may ask side by side: the K hypotheses of a beam. They
    do not see one another, and the memory is not repeated for them. K is 1 in training.

    `call` runs all T queries, one step after the other. A mechanism without state gives `attend` in
    place of `step`, and computes all T at once.

    A mechanism that is stochastic in training sets `stochastic = True` and gives two more methods,
    which only training uses: `draw_noise(prepared, steps)` draws the random numbers of all steps
    before the loop, and `noisy_step(query, prepared, state, noise)` is one step that uses them.
    `step` is always deterministic.

    A mechanism with a loss of its own sets `needs_training_pass = True` and gives `after_training`,
    which gets all steps once a pass of training is over.

    A mechanism that sums over places in the probabilities of the target, and not in the memory,
    sets `marginal = True` and makes the `OutputLayer` that sums, by
    `make_output_layer(vocabulary_size, *, hidden_dim, dropout)`.

    A mechanism that keeps a coverage sets `has_coverage = True` and has a `coverage_loss`, the
    weight of its loss. `decoder_order` is the order of the paper's decoder, `"before"` or
    `"after"`: a model takes it for the `attend` of its `AttentionCell` where none is given.

    Call arguments:
        query: float [B, T, Dq]. Decoder states, target tokens.
        memory: float [B, S, Dm]. Rows to attend to, such as encoder outputs.
        memory_mask: bool [B, S], or None. True = a real row. None is the mask that Keras sends
            along with `memory`, if there is one: the recurrent layers of Keras 3.16 and later send
            none, so pass it there.
        attention_mask: bool [B, T, S] or [T, S], or None. True = this query may attend to this row.
            Only for a mechanism without state.
        return_alignments: Whether to return the alignments too.
        training: Whether a stochastic mechanism draws, and losses are added.
        query_mask: bool [B, T], or None. True = a real query; for a loss of the mechanism's own.

    Returns:
        context float [B, T, Dv]; with `return_alignments=True` the pair of it and the alignments,
        float [B, T, S]. Where nothing may be attended to, both are zeros.

    Raises:
        ValueError: If a mask is not boolean or has the wrong shape, or if query and memory differ
            in batch size.
    """

    stochastic = False
    needs_training_pass = False
    marginal = False
    has_coverage = False

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True

    @property
    def decoder_order(self) -> str:
        """The order of the paper's decoder: see `AttentionCell`. A class may name its own."""
        return "after" if self.marginal else "before"  # A sum goes with nothing fed back.

    def prepare(self, memory, memory_mask=None) -> dict:
        """Compute what depends on the memory alone.

        Args:
            memory: float [B, S, Dm].
            memory_mask: bool [B, S], or None.

        Returns:
            dict of tensors, batch first, for `step`. Every mechanism has in it `"value"`, float
            [B, S, Dv], and `"mask"`, bool [B, 1, S] or None.
        """
        raise NotImplementedError(f"`{type(self).__name__}` must implement `prepare`.")

    def initial_state(self, prepared: dict):
        """Return the state before the first step.

        Returns:
            A pytree of float tensors [B, 1, ...], or `()` where nothing is remembered.
        """
        return ()

    def step(self, query, prepared: dict, state):
        """Take one decoding step.

        Args:
            query: float [B, K, Dq]. K hypotheses of each source, side by side; 1 in training.
            prepared: Result of `prepare`.
            state: The pytree from the step before, leaves [B, K, ...].

        Returns:
            context float [B, K, Dv], alignments float [B, K, S], and the next state.
        """
        if type(self).attend is Attention.attend:
            raise NotImplementedError(
                f"`{type(self).__name__}` must implement `step`, or `attend` if it has no state."
            )
        return *self.attend(query, prepared), state

    def draw_noise(self, prepared: dict, steps):
        """Draw the random numbers of a pass in training, before its loop.

        Returns:
            float [B, T, R], R numbers for each of T steps.
        """
        raise NotImplementedError(f"`{type(self).__name__}` must implement `draw_noise`.")

    def noisy_step(self, query, prepared: dict, state, noise):
        """Take one step of training of a stochastic mechanism.

        Args:
            query: float [B, K, Dq]. A mechanism without state may get all T queries as K.
            prepared: Result of `prepare`.
            state: The pytree from the step before.
            noise: float [B, K, R]. This step's part of what `draw_noise` gave.

        Returns:
            As `step`.
        """
        raise NotImplementedError(f"`{type(self).__name__}` must implement `noisy_step`.")

    def after_training(self, steps: TrainingPass):
        """Take a pass of training, once it is over: here a mechanism may `add_loss`.

        Called by the layer that ran the T steps, in training, if `needs_training_pass` is true.
        """
        raise NotImplementedError(f"`{type(self).__name__}` must implement `after_training`.")

    def attend(self, query, prepared: dict):
        """Take all T steps: query [B, T, Dq] to context [B, T, Dv] and alignments [B, T, S]."""

        def one_step(query, state):
            return self.step(query, prepared, state)

        return self._over_steps(one_step, query, prepared)

    def noisy_attend(self, query, prepared: dict, noise):
        """Take all T steps of training, as `attend`, with what `draw_noise` gave."""
        width = query.shape[-1]

        def one_step(both, state):
            query_t = ops.cast(both[:, :, :width], self.compute_dtype)
            return self.noisy_step(query_t, prepared, state, both[:, :, width:])

        # Random numbers keep their precision: in half of it, draws would be visibly uneven.
        both = ops.concatenate([ops.cast(query, noise.dtype), noise], axis=-1)
        return self._over_steps(one_step, both, prepared)

    def _over_steps(self, one_step, inputs, prepared):
        memory_length = ops.shape(prepared["value"])[1]

        def body(inputs_t, state):
            context, alignments, state = one_step(inputs_t[:, None], state)
            return ops.concatenate([context, alignments], axis=-1)[:, 0], state

        both, _ = run_loop(body, inputs, self.initial_state(prepared), self.compute_dtype)
        split = ops.shape(both)[-1] - memory_length
        return both[:, :, :split], both[:, :, split:]

    def call(
        self,
        query,
        memory,
        memory_mask=None,
        attention_mask=None,
        return_alignments: bool = False,
        training: bool = False,
        query_mask=None,
    ):
        check_attention_inputs(query, memory, memory_mask, attention_mask)
        check_mask("query_mask", query_mask, ranks=(2,), true="is real")
        prepared = self.prepare(memory, memory_mask)
        if attention_mask is not None:
            prepared = self.mask_pairs(prepared, attention_mask)
        noise = None
        if training and self.stochastic:
            noise = self.draw_noise(prepared, ops.shape(query)[1])
            context, alignments = self.noisy_attend(query, prepared, noise)
        else:
            context, alignments = self.attend(query, prepared)
        if training and self.needs_training_pass:
            self.after_training(
                TrainingPass(query, prepared, alignments, noise, query_mask, causal=False)
            )
        return (context, alignments) if return_alignments else context

    def mask_pairs(self, prepared: dict, attention_mask) -> dict:
        """Join a mask over pairs of query and memory with the mask in `prepared`."""
        raise ValueError(
            f"`{type(self).__name__}` goes step by step and takes no `attention_mask`; use "
            f"`memory_mask`. Received: attention_mask of shape {tuple(attention_mask.shape)}"
        )

    def compute_mask(self, query, mask=None):
        return mask  # Contexts stand where their queries stood.

    def compute_output_spec(
        self,
        query,
        memory,
        memory_mask=None,
        attention_mask=None,
        return_alignments: bool = False,
        training: bool = False,
        query_mask=None,
    ):
        check_attention_inputs(query, memory, memory_mask, attention_mask)
        check_mask("query_mask", query_mask, ranks=(2,), true="is real")
        warn_of_lost_mask("memory_mask", memory, memory_mask)
        batch, query_length = query.shape[:2]
        width = self.context_width(memory.shape)
        context = keras.KerasTensor((batch, query_length, width), dtype=self.compute_dtype)
        if not return_alignments:
            return context
        shape = (batch, query_length, memory.shape[1])
        return context, keras.KerasTensor(shape, dtype=self.compute_dtype)

    def state_spec(self, memory_shape):
        """Return shapes and dtypes of the state: `keras.KerasTensor` [B, ...], without K."""
        return ()

    def context_width(self, memory_shape) -> int:
        """Return the width Dv of the context for memory of this shape, in features."""
        return memory_shape[-1]
