"""The loop over an attention cell."""

import keras
from keras import ops, tree

from attnzoo.checks import check_attention_inputs, check_mask
from attnzoo.layers.attention.base import TrainingPass
from attnzoo.layers.base import SpecLayer
from attnzoo.layers.loop import run_loop
from attnzoo.layers.masks import warn_of_lost_mask
from attnzoo.layers.rnn.attention_cell import AttentionCell, BoundCell
from attnzoo.layers.rnn.equations import state_sizes


@keras.saving.register_keras_serializable(package="attnzoo")
class AttentionRNN(SpecLayer):
    """Recurrent layer that runs an `AttentionCell` over a sequence, with a memory.

    Memory and inputs are projected once, outside the loop. Where the order is "after", nothing is
    fed back and no attention has a state, there is no attention in the loop at all: the cell runs
    first, then all T queries attend at once.

    Args:
        cell: An `AttentionCell`.

    Call arguments:
        inputs: float [B, T, D]. Inputs of the cell, such as embedded target tokens.
        memory: float [B, S, Dm]. Rows to attend to, such as encoder outputs.
        memory_mask: bool [B, S], or None. True = a real row. None is the mask that Keras sends
            along with `memory`, if there is one: the recurrent layers of Keras 3.16 and later send
            none, so pass it there.
        initial_state: The cell's states as a flat list of float [B, units], the state that an
            earlier call returned, or None for zeros.
        return_alignments: Whether to return the alignments too.
        return_state: Whether to return the state after the last step too.
        inputs_mask: bool [B, T], or None. True = a real step; for the losses of the attentions
            themselves. All steps are run.

    Returns:
        outputs float [B, T, D']; then, as asked for, alignments float [B, T, S] (a tuple of them
        for a list of attentions) and the final state. D' is the width of the attention layer, or
        else of the cell's output ("before") or of the context ("after").

    Raises:
        ValueError: If `cell` is no `AttentionCell`; for memory and masks, as in `Attention`; if
            `initial_state` has not one tensor for each state of the cell.

    Example:
        >>> cell = attnzoo.layers.AttentionCell(
        ...     keras.layers.GRUCell(7), attnzoo.layers.LuongAttention("general"), attend="after")
        >>> rnn = attnzoo.layers.AttentionRNN(cell)
        >>> outputs, alignments = rnn(inputs, memory, return_alignments=True)
        >>> outputs.shape, alignments.shape  # B=2, T=3, S=11, Dm=5
        ((2, 3, 5), (2, 3, 11))
    """

    def __init__(self, cell: AttentionCell, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(cell, AttentionCell):
            raise ValueError(f"`cell` must be an `AttentionCell`. Received: cell={cell!r}")
        self.cell = cell
        self.supports_masking = True

    def build(self, inputs_shape, memory_shape):
        if not self.cell.built:
            self.cell.build(inputs_shape, memory_shape)
        self.built = True

    def call(
        self,
        inputs,
        memory,
        memory_mask=None,
        initial_state=None,
        return_alignments: bool = False,
        return_state: bool = False,
        training: bool = False,
        inputs_mask=None,
    ):
        self._check(inputs, memory, memory_mask, initial_state, inputs_mask)
        prepared = self.cell.prepare(memory, memory_mask)
        bound = self.cell.bind(prepared, training=bool(training), hypotheses=1)
        state = initial_state
        if not isinstance(state, dict):
            state = self.cell.initial_state(prepared, cell_state=state)
        noise = bound.draw_noise(ops.shape(inputs)[1]) if training else []
        reviewing = [one.needs_training_pass and bool(training) for one in self.cell.attentions]
        stateless = not tree.flatten(state["attention"])
        if self.cell.attend == "after" and not self.cell.input_feeding and stateless:
            outputs, alignments, queries, state = self._in_parallel(bound, inputs, state, noise)
        else:
            outputs, alignments, queries, state = self._in_a_loop(
                bound,
                inputs,
                state,
                noise,
                return_alignments=return_alignments or any(reviewing),
                return_queries=any(reviewing),
            )
        for n, one in enumerate(self.cell.attentions):
            if reviewing[n]:
                aligned = alignments[n] if self.cell.several else alignments
                one.after_training(
                    TrainingPass(queries, prepared[n], aligned, noise[n], inputs_mask, causal=True)
                )
        results = [outputs]
        results += [alignments] * return_alignments
        results += [state] * return_state
        return tuple(results) if len(results) > 1 else outputs

    def _in_parallel(self, bound: BoundCell, inputs, state, noise):
        """Run the cell over all steps, then the attention over all steps at once."""

        def body(projected, cell_state):
            return bound.equations.step(projected, None, cell_state)

        outputs, cell_state = run_loop(
            body, bound.project(inputs), state["cell"], self.compute_dtype
        )
        contexts, alignments = [], []
        for n, (one, prepared) in enumerate(zip(self.cell.attentions, bound.prepared, strict=True)):
            if noise and noise[n] is not None:
                context, aligned, _ = one.noisy_step(outputs, prepared, (), noise[n])
            else:
                context, aligned = one.attend(outputs, prepared)
            contexts.append(context)
            alignments.append(aligned)
        queries = outputs
        if bound.reads_out_later:
            outputs = bound.read_out(ops.concatenate([outputs, *contexts], axis=-1))
        return outputs, bound.one_or_tuple(alignments), queries, {**state, "cell": cell_state}

    def _in_a_loop(
        self, bound: BoundCell, inputs, state, noise, *, return_alignments, return_queries
    ):
        """Step by step. A loop has one input and one output: the noise rides along with the one,
        alignments, and with them queries, with the other.
        """
        projected = bound.project(inputs)
        loop_inputs, split = _join(projected, noise)

        def body(inputs_t, state):
            projected_t, noise_t = split(inputs_t)
            output, alignments, query, state = bound.training_step(projected_t, state, noise_t)
            if return_alignments:
                parts = [query] if return_queries else []
                output = ops.concatenate([*parts, output, *tree.flatten(alignments)], axis=-1)
            return output, state

        outputs, state = run_loop(body, loop_inputs, state, self.compute_dtype)
        if not return_alignments:
            return bound.read_out(outputs), None, None, state
        places = ops.shape(bound.prepared[0]["value"])[1]
        width = ops.shape(outputs)[-1] - places * len(self.cell.attentions)
        alignments = [
            outputs[:, :, width + n * places : width + (n + 1) * places]
            for n in range(len(self.cell.attentions))
        ]
        start = self.cell.query_width if return_queries else 0
        queries = outputs[:, :, :start] if return_queries else None
        outputs = bound.read_out(outputs[:, :, start:width])
        return outputs, bound.one_or_tuple(alignments), queries, state

    def _check(self, inputs, memory, memory_mask, initial_state, inputs_mask):
        check_attention_inputs(inputs, memory, memory_mask)
        check_mask("inputs_mask", inputs_mask, ranks=(2,), true="is real")
        expected = len(state_sizes(self.cell.cell))
        if initial_state is None or isinstance(initial_state, dict):
            return
        if len(initial_state) != expected:
            raise ValueError(
                f"`initial_state` must hold one tensor for each of the cell's {expected} states. "
                f"Received: {len(initial_state)} tensors"
            )

    def compute_mask(self, inputs, mask=None):
        return mask  # Outputs stand where their inputs stood.

    def compute_output_spec(
        self,
        inputs,
        memory,
        memory_mask=None,
        initial_state=None,
        return_alignments: bool = False,
        return_state: bool = False,
        training: bool = False,
        inputs_mask=None,
    ):
        self._check(inputs, memory, memory_mask, initial_state, inputs_mask)
        warn_of_lost_mask("memory_mask", memory, memory_mask)
        if not self.cell.built:
            self.cell.measure(memory.shape)
        batch, length = inputs.shape[:2]

        def spec(*shape):
            return keras.KerasTensor((batch, *shape), dtype=self.compute_dtype)

        outputs = spec(length, self.cell.output_width)
        results = [outputs]
        if return_alignments:
            each = [spec(length, memory.shape[1]) for _ in self.cell.attentions]
            results.append(tuple(each) if self.cell.several else each[0])
        if return_state:
            results.append(
                {
                    "cell": [spec(width) for width in state_sizes(self.cell.cell)],
                    "attention": tuple(
                        one.state_spec(memory.shape) for one in self.cell.attentions
                    ),
                    "feed": spec(self.cell.result_width) if self.cell.input_feeding else (),
                }
            )
        return tuple(results) if len(results) > 1 else outputs

    def get_config(self):
        return {**super().get_config(), "cell": keras.saving.serialize_keras_object(self.cell)}

    @classmethod
    def from_config(cls, config: dict):
        return cls(**{**config, "cell": keras.saving.deserialize_keras_object(config["cell"])})


def _join(projected, noise: list):
    """Join noise with the projected inputs, [B, T, P + R]; return a function to split them."""
    drawn = [one for one in noise if one is not None]
    if not drawn:
        return projected, lambda inputs_t: (inputs_t, None)
    # Random numbers keep their precision: in half of it, draws would be visibly uneven.
    joined = ops.concatenate([ops.cast(projected, drawn[0].dtype), *drawn], axis=-1)
    places = [projected.shape[-1]]
    for one in drawn:
        places.append(places[-1] + ops.shape(one)[-1])

    def split(inputs_t):
        parts = iter(
            inputs_t[:, start:end] for start, end in zip(places[:-1], places[1:], strict=True)
        )
        noise_t = [None if one is None else next(parts) for one in noise]
        return ops.cast(inputs_t[:, : places[0]], projected.dtype), noise_t

    return joined, split
