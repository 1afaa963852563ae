"""The layers of a recurrent decoder, from its cells to its output layer."""

import keras

from attnzoo.layers import AttentionCell, AttentionRNN, Bridge
from attnzoo.layers.output import PointerGenerator, TiedLogits, TokenLogits
from attnzoo.layers.rnn.equations import state_sizes
from attnzoo.models.parts.policies import policy_for
from attnzoo.models.parts.rnn_cells import make_cell


def make_decoder(
    mechanism,
    *,
    hidden_dim: int,
    num_layers: int,
    cell: str,
    recurrent_dropout: float,
    attend: str | None,
    input_feeding: bool | None,
    dtype=None,
):
    """Return an `AttentionRNN` for a mechanism.

    Args:
        mechanism: An `Attention`. With one that is `marginal` the decoder's outputs are the cell's.
        hidden_dim: Width of the cells, and of the attention layer.
        num_layers, cell, recurrent_dropout, attend, input_feeding, dtype: As in
            `RNNSeq2SeqBackbone`.
    """
    cells = [
        make_cell(
            cell=cell,
            units=hidden_dim,
            recurrent_dropout=recurrent_dropout,
            name=f"decoder_{i}",
            dtype=dtype,
        )
        for i in range(num_layers)
    ]
    attention_cell = AttentionCell(
        cells[0] if num_layers == 1 else cells,
        mechanism,
        attend=attend or mechanism.decoder_order,
        input_feeding=input_feeding,
        attention_layer=None if mechanism.marginal else hidden_dim,
        output_attention=not mechanism.marginal,
        name="attention_cell",
        dtype=dtype,
    )
    return AttentionRNN(attention_cell, name="decoder", dtype=dtype)


def make_dropout(rate: float, name: str, dtype):
    """Return a dropout layer of this name."""
    return keras.layers.Dropout(rate, name=name, dtype=policy_for(dtype, name))


def make_bridge(kind: str, decoder, dtype):
    """Return the bridge to the first states of a decoder, an `AttentionRNN`."""
    return Bridge(
        state_sizes(decoder.cell.cell), kind=kind, name="bridge", dtype=policy_for(dtype, "bridge")
    )


def make_tied_projection(embedding_dim: int, dtype):
    """Return the layer between the readout and an output layer of the target's embeddings."""
    name = "tied_projection"
    return keras.layers.Dense(embedding_dim, name=name, dtype=policy_for(dtype, name))


def make_output_layer(backbone):
    """Return the output layer of a backbone."""
    size, arguments = backbone.target_vocabulary_size, {"name": "output"}
    arguments["dtype"] = policy_for(backbone.dtype_policy, "output")
    if backbone.pointer_generator:
        return PointerGenerator(size, **arguments)
    if backbone.tie_embeddings:
        return TiedLogits(backbone.target_embedding, **arguments)
    if backbone.marginal:
        attention = backbone.decoder.cell.attentions[0]
        arguments.update(hidden_dim=backbone.hidden_dim, dropout=backbone.dropout)
        return attention.make_output_layer(size, **arguments)
    return TokenLogits(size, **arguments)


def connect_output_layer(backbone, output_layer):
    """Return the symbolic logits of a model with the backbone's inputs."""
    decoded = backbone(backbone.input)
    return backbone.logits(
        output_layer,
        backbone.input,
        decoded["decoder_sequence_output"],
        decoded["encoder_sequence_output"],
        decoded.get("alignments"),
    )


def check_output_layer(mechanism, attention, tie_embeddings: bool, pointer_generator: bool):
    """Raise if the mechanism or a pointer-generator does not work with the chosen output layer.

    Args:
        mechanism: An `Attention`.
        attention: The backbone's argument, for messages.
        tie_embeddings, pointer_generator: As in `RNNSeq2SeqBackbone`.
    """
    if mechanism.marginal and tie_embeddings:
        raise ValueError(
            "Where the output layer reads out every place, it has weights of its own: use "
            "`tie_embeddings=False`, or another attention. Received: "
            f"tie_embeddings=True with attention={attention!r}"
        )
    if pointer_generator and (mechanism.marginal or tie_embeddings):
        raise ValueError(
            "A pointer-generator is an output layer with weights of its own, and reads the "
            "readout: use `tie_embeddings=False` and an attention that is not marginal, or "
            "`pointer_generator=False`. Received: pointer_generator=True with "
            f"tie_embeddings={tie_embeddings}, attention={attention!r}"
        )
