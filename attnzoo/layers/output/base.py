"""The base of the output layers: OUTPUTS OF A DECODER -> LOGITS."""

from collections.abc import Callable


class OutputLayer:
    """Mixin of the layers that make logits of the outputs of a decoder.

    A layer that needs the decoder's outputs alone is called with them and has nothing more to do.
    One that reads the source too sets `needs_alignments = True`; decoding then uses three methods,
    as it does with an attention:

    1. `prepare(memory, memory_mask, copy_token_ids)`: what depends on the source alone, once;
    2. `initial_state(prepared)`: what must be remembered from step to step, `()` if nothing;
    3. `step(outputs, alignments, token_ids, prepared, state)`: one step of decoding.

    Call arguments:
        outputs: float [B, T, D]. Outputs of the decoder.
        memory: float [B, S, Dm].
        alignments: float [B, T, S]. Alignments of the decoder.
        memory_mask: bool [B, S], or None. True = a real row.
        token_ids: int [B, T], or None. The token that entered the decoder at each step.
        copy_token_ids: int [B, S], or None. The token that copying each place gives.
        return_alignments: Whether to return the alignments too, as this layer knows them.

    Returns:
        float [B, T, V]. Logits; with `return_alignments=True` the pair of them and the alignments,
        float [B, T, S].
    """

    needs_alignments = False
    __call__: Callable  # The layer's.

    def prepare(self, memory, memory_mask=None, copy_token_ids=None):
        """Compute what depends on the source alone: a pytree of tensors, batch first."""
        return ()

    def initial_state(self, prepared):
        """Return the state before the first step: a pytree of float tensors [B, ...]."""
        return ()

    def step(self, outputs, alignments, token_ids, prepared, state):
        """Take one step of decoding, for R = B * K rows: K hypotheses of each source.

        Args:
            outputs: float [R, D].
            alignments: float [R, S], or None where this layer needs none.
            token_ids: int [R]. The token that entered the decoder.
            prepared: Result of `prepare` for the B sources.
            state: The pytree from the step before, leaves [R, ...].

        Returns:
            logits float [R, V], alignments [R, S] as this layer knows them, and the next state.
        """
        return self(outputs), alignments, state
