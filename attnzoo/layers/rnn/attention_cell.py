"""A recurrent cell and its attention: one decoding step."""

import copy

import keras
from keras import ops, tree

from attnzoo.checks import check_choice
from attnzoo.layers.attention.base import Attention
from attnzoo.layers.lookup import get_attention
from attnzoo.layers.rnn.equations import bind, output_size, query_index, state_sizes

_ORDERS = ("before", "after")


@keras.saving.register_keras_serializable(package="attnzoo")
class AttentionCell(keras.layers.Layer):
    """Any Keras RNN cell joined with any attention.

    `attend="before"` is the order of Bahdanau et al.: the query is the state of the step before,
    and the context enters the cell.

        context[t] = attention(state[t-1], memory)
        output[t], state[t] = cell([input[t]; context[t]], state[t-1])

    `attend="after"` is the order of Luong et al.: the cell moves first, and its output is the
    query. With `input_feeding` the result is also part of the next input.

        output[t], state[t] = cell([input[t]; result[t-1]], state[t-1])
        context[t] = attention(output[t], memory)
        result[t] = attention_layer([output[t]; context[t]])

    Args:
        cell: A Keras RNN cell (LSTM, GRU, SimpleRNN, one's own), or a list of them for a stack.
        attention: An `Attention`; the name of one, as `RNNSeq2SeqBackbone` has them, which then is
            as wide as the cell's output; or a list of several, whose contexts are concatenated.
        attend: `"before"` or `"after"`.
        input_feeding: Whether the result is fed back to the next input; on by default for "after".
            For "before" the context is the cell's input already, and this must not be True; nor
            with an attention that is `marginal`, for which it is off by default.
        attention_layer: Layer that makes the result of output and context: a Keras layer; a width,
            for Luong's tanh(W [output; context]) without bias (equation 5); or None, for the bare
            context ("after") or the bare output ("before").
        output_attention: Whether the result is the output. False gives the cell's own output.
            On by default, unless an attention is `marginal`: its output layer takes the cell's.

    Call arguments: `step` takes one step and `prepare` and `initial_state` make ready for it;
        `AttentionRNN` runs the cell over a whole sequence.

    Raises:
        ValueError: If `attend` is unknown, `input_feeding` comes with "before", an attention is
            `marginal` and the order is "before" or something fed back, the cell is no RNN cell, or
            the attention no `Attention` and no name of one.

    Example:
        >>> cell = attnzoo.layers.AttentionCell(
        ...     keras.layers.LSTMCell(7), attnzoo.layers.BahdanauAttention(units=7))
        >>> cell.build((2, None, 5), (2, 11, 13))
        >>> prepared = cell.prepare(memory)                      # once per source, B=2, S=11
        >>> state = cell.initial_state(prepared)
        >>> output, alignments, state = cell.step(inputs, prepared, state)  # inputs [B, 5]
        >>> output.shape, alignments.shape
        ((2, 7), (2, 11))

    References:
        [Bahdanau et al., 2015](https://arxiv.org/abs/1409.0473), section 3.1.
        [Luong et al., 2015](https://arxiv.org/abs/1508.04025), sections 3 and 3.3.
    """

    def __init__(
        self,
        cell: keras.layers.Layer | list,
        attention: Attention | str | list,
        *,
        attend: str = "before",
        input_feeding: bool | None = None,
        attention_layer: keras.layers.Layer | int | None = None,
        output_attention: bool | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_choice(_ORDERS, attend=attend)
        if attend == "before" and input_feeding:
            raise ValueError(
                'With `attend="before"` the context enters the cell already; `input_feeding` goes '
                f'with `attend="after"`. Received: input_feeding={input_feeding}'
            )
        self.cell = _as_cell(cell)
        self.several = isinstance(attention, (list, tuple))
        self.attentions = [
            self._as_attention(one, f"attention_{i}" if self.several else "attention")
            for i, one in enumerate(attention if self.several else [attention])
        ]
        self.attend = attend
        marginal = any(one.marginal for one in self.attentions)
        if input_feeding is None:
            input_feeding = attend == "after" and not marginal
        if marginal and (attend == "before" or input_feeding):
            raise ValueError(
                "An attention that is `marginal` sums over the place of each step, so no later "
                'step may depend on that place: use `attend="after"` and `input_feeding=False`, or '
                f"another attention. Received: attend={attend!r}, input_feeding={input_feeding} "
                f"with attention={attention!r}"
            )
        self.input_feeding = input_feeding
        if isinstance(attention_layer, (list, tuple)):
            raise ValueError(
                "`attention_layer` must be one layer, or its width: it sees the output and all "
                f"contexts. Received: attention_layer={attention_layer}"
            )
        if isinstance(attention_layer, int):
            attention_layer = keras.layers.Dense(
                attention_layer,
                activation="tanh",
                use_bias=False,
                name="attention_layer",
                dtype=self.dtype_policy,
            )
        self.attention_layer: keras.layers.Layer | None = attention_layer
        self.output_attention = not marginal if output_attention is None else output_attention

    def build(self, inputs_shape, memory_shape):
        batch, inputs_width = inputs_shape[0], inputs_shape[-1]
        self.measure(memory_shape)
        for one in self.attentions:
            if not one.built:
                one.build((batch, None, self.query_width), memory_shape)
                one.built = True
        if self.attention_layer is not None and not self.attention_layer.built:
            self.attention_layer.build((batch, output_size(self.cell) + self.context_width))
        if self.attend == "before":
            late_width = self.context_width
        else:
            late_width = self.result_width if self.input_feeding else 0
        if not self.cell.built:
            self.cell.build((batch, inputs_width + late_width))
            self.cell.built = True
        self.inputs_width = inputs_width
        self.built = True

    def measure(self, memory_shape):
        """Work out the widths of query, context and result, before any weight is made."""
        before = self.attend == "before"
        self.query_width = (
            state_sizes(self.cell)[query_index(self.cell)] if before else output_size(self.cell)
        )
        query_shape = (memory_shape[0], None, self.query_width)
        self.context_width = sum(
            one.compute_output_shape(query_shape, memory_shape)[-1] for one in self.attentions
        )
        self.result_width = output_size(self.cell) if before else self.context_width
        if self.attention_layer is not None:
            both = (memory_shape[0], output_size(self.cell) + self.context_width)
            self.result_width = self.attention_layer.compute_output_shape(both)[-1]

    @property
    def output_width(self) -> int:
        """Width of the output of a step, in features."""
        return self.result_width if self.output_attention else output_size(self.cell)

    def prepare(self, memory, memory_mask=None) -> tuple:
        """Compute what depends on the memory alone, once per source: one entry an attention."""
        return tuple(one.prepare(memory, memory_mask) for one in self.attentions)

    def initial_state(self, prepared: tuple, cell_state=None) -> dict:
        """Return the state before the first step.

        Args:
            prepared: Result of `prepare`.
            cell_state: The cell's states, a flat list of float [B, units]; zeros if None.

        Returns:
            dict of `"cell"`, `"attention"` and `"feed"`; every leaf is a float tensor with the
            batch axis first, so that a sampler may repeat and gather it.
        """
        batch = ops.shape(prepared[0]["value"])[0]

        def zeros(width):
            return ops.zeros((batch, width), dtype=self.compute_dtype)

        if cell_state is None:
            cell_state = [zeros(width) for width in state_sizes(self.cell)]
        attention = tuple(
            tree.map_structure(lambda leaf: leaf[:, 0], one.initial_state(each))
            for one, each in zip(self.attentions, prepared, strict=True)
        )
        feed = zeros(self.result_width) if self.input_feeding else ()
        cell_state = [ops.cast(leaf, self.compute_dtype) for leaf in cell_state]
        return {"cell": cell_state, "attention": attention, "feed": feed}

    def step(self, inputs, prepared: tuple, state: dict):
        """Take one decoding step.

        Args:
            inputs: float [R, D]. R = B * K rows: K hypotheses for each of the B sources, side by
                side; the memory is not repeated for them.
            prepared: Result of `prepare` for the B sources.
            state: From `initial_state` or the step before; leaves [R, ...].

        Returns:
            output float [R, D'], alignments float [R, S] (a tuple of them for a list of
            attentions), and the next state.
        """
        bound = self.bind(prepared)
        output, alignments, state = bound.step(bound.project(inputs[:, None])[:, 0], state)
        return bound.read_out(output), alignments, state

    def bind(
        self, prepared: tuple, training: bool = False, hypotheses: int | None = None
    ) -> "BoundCell":
        """Read the weights and join them with a prepared memory, before a loop of steps.

        Args:
            prepared: Result of `prepare`.
            training: Whether dropout falls and stochastic attentions draw.
            hypotheses: K, the rows of each source, where it is known. A graph with open sizes is
                faster for it.
        """
        return BoundCell(self, prepared, training, hypotheses)

    def _as_attention(self, attention, name: str) -> Attention:
        """Make an attention of its name, or check an instance."""
        if isinstance(attention, str):
            return get_attention(
                attention, output_size(self.cell), name=name, dtype=self.dtype_policy
            )
        if not isinstance(attention, Attention):
            raise ValueError(
                "`attention` must be an `Attention`, the name of one, or a list of them. "
                f"Received: attention={attention!r}"
            )
        return attention

    def get_config(self):
        serialize = keras.saving.serialize_keras_object
        attention = [serialize(one) for one in self.attentions]
        return {
            **super().get_config(),
            "cell": serialize(self.cell),
            "attention": attention if self.several else attention[0],
            "attend": self.attend,
            "input_feeding": self.input_feeding,
            "attention_layer": (
                None if self.attention_layer is None else serialize(self.attention_layer)
            ),
            "output_attention": self.output_attention,
        }

    @classmethod
    def from_config(cls, config: dict):
        revive = keras.saving.deserialize_keras_object
        config = copy.deepcopy(config)  # `StackedRNNCells.from_config` empties the one it is given.
        attention = config["attention"]
        several = isinstance(attention, list)
        return cls(
            **{
                **config,
                "cell": revive(config["cell"]),
                "attention": [revive(one) for one in attention] if several else revive(attention),
                "attention_layer": revive(config["attention_layer"]),
            }
        )


class BoundCell:
    """An `AttentionCell` with its weights read and its memory prepared, for a loop of steps.

    Made by `AttentionCell.bind`, used within one call, never kept.
    """

    def __init__(
        self, cell: AttentionCell, prepared: tuple, training: bool, hypotheses: int | None
    ):
        self.layer = cell
        self.prepared = prepared
        self.hypotheses = hypotheses
        self.equations = bind(cell.cell, cell.inputs_width, training)
        self.query_index = query_index(cell.cell)
        # Without feedback the attention layer has no place in the loop: it is applied afterwards.
        wants_context = cell.attention_layer is not None or cell.attend == "after"
        self.reads_out_later = cell.output_attention and wants_context and not cell.input_feeding

    def project(self, inputs):
        """Compute the inputs' part of the cell, all steps at once: [B, T, D] to [B, T, P]."""
        return self.equations.project(inputs)

    def draw_noise(self, steps) -> list:
        """Draw the noise of the stochastic attentions for all steps: float [B, T, R] each."""
        return [
            one.draw_noise(prepared, steps) if one.stochastic else None
            for one, prepared in zip(self.layer.attentions, self.prepared, strict=True)
        ]

    def step(self, projected, state: dict):
        """Take one step: [R, P] to [R, E] for `read_out`, the alignments and the next state."""
        output, alignments, _, state = self.training_step(projected, state, None)
        return output, alignments, state

    def training_step(self, projected, state: dict, noise: list | None):
        """Take one step as `step`, with its noise. It returns the query [R, Dq] too."""
        if self.layer.attend == "before":
            query = state["cell"][self.query_index]
            context, alignments, remembered = self.attend(query, state["attention"], noise)
            output, cell_state = self.equations.step(projected, context, state["cell"])
            feed = ()
        else:
            late = state["feed"] if self.layer.input_feeding else None
            output, cell_state = self.equations.step(projected, late, state["cell"])
            query = output
            context, alignments, remembered = self.attend(query, state["attention"], noise)
            feed = self.result(output, context) if self.layer.input_feeding else ()
        state = {"cell": cell_state, "attention": remembered, "feed": feed}
        if self.reads_out_later:
            output = ops.concatenate([output, context], axis=-1)
        elif self.layer.input_feeding and self.layer.output_attention:
            output = feed
        return output, alignments, query, state

    def attend(self, query, states: tuple, noise: list | None = None):
        """Attend with R = B * K queries to B memories: context [R, Dv], alignments [R, S].

        With noise, one float [R, N] or None for each attention, a stochastic one draws.
        """
        query = self._by_source(query)  # [B, K, Dq]
        contexts, alignments, remembered = [], [], []
        noise = noise or [None] * len(states)
        for one, prepared, state, drawn in zip(
            self.layer.attentions, self.prepared, states, noise, strict=True
        ):
            stateful = bool(tree.flatten(state))
            if stateful:
                state = tree.map_structure(self._by_source, state)
            if drawn is None:
                context, aligned, state = one.step(query, prepared, state)
            else:
                drawn = self._by_source(drawn)
                context, aligned, state = one.noisy_step(query, prepared, state, drawn)
            contexts.append(_rows(context))
            alignments.append(_rows(aligned))
            remembered.append(tree.map_structure(_rows, state) if stateful else state)
        context = contexts[0] if len(contexts) == 1 else ops.concatenate(contexts, axis=-1)
        return context, self.one_or_tuple(alignments), tuple(remembered)

    def _by_source(self, rows):
        """Reshape rows [B * K, ...] to [B, K, ...], with K known if possible."""
        if self.hypotheses == 1:
            return ops.expand_dims(rows, 1)  # The batch size may be open here.
        if self.hypotheses is not None:
            return ops.reshape(rows, (-1, self.hypotheses, *ops.shape(rows)[1:]))
        batch = ops.shape(self.prepared[0]["value"])[0]
        return ops.reshape(rows, (batch, -1, *ops.shape(rows)[1:]))

    def one_or_tuple(self, alignments: list):
        """Return one tensor for one attention, a tuple for a list of them."""
        return tuple(alignments) if self.layer.several else alignments[0]

    def result(self, output, context):
        """Return the result of output and context."""
        if self.layer.attention_layer is not None:
            return self.layer.attention_layer(ops.concatenate([output, context], axis=-1))
        return context if self.layer.attend == "after" else output

    def read_out(self, output):
        """Return the outputs of the layer for those of `step`, any number of steps at once."""
        if not self.reads_out_later:
            return output
        if self.layer.attention_layer is not None:
            return self.layer.attention_layer(output)
        width = output_size(self.layer.cell)
        return self.result(output[..., :width], output[..., width:])


def _rows(tensor):
    """Reshape [B, K, ...] to [B * K, ...]."""
    return ops.reshape(tensor, (-1, *ops.shape(tensor)[2:]))


def _as_cell(cell):
    """Return one Keras cell for one or several."""
    if isinstance(cell, (list, tuple)):
        return keras.layers.StackedRNNCells([_as_cell(one) for one in cell])
    if not (hasattr(cell, "state_size") and hasattr(cell, "call")):
        raise ValueError(
            "`cell` must be a Keras RNN cell, with `call` and `state_size`, or a list of them. "
            f"Received: cell={cell!r}"
        )
    return cell
