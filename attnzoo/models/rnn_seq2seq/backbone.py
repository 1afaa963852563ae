"""The backbone: an encoder of the source, and a decoder that attends to it step by step."""

import functools
from typing import Any

import keras

from attnzoo.checks import check_positive
from attnzoo.layers import Attention
from attnzoo.layers.docs import list_names
from attnzoo.layers.lookup import get_attention
from attnzoo.layers.names import ATTENTIONS
from attnzoo.models.parts.embeddings import source_and_target
from attnzoo.models.parts.inputs import pair_inputs
from attnzoo.models.parts.policies import policy_for, quantize_again
from attnzoo.models.parts.recurrent_decoder import RecurrentDecoderBackbone
from attnzoo.models.parts.recurrent_layers import (
    check_output_layer,
    make_bridge,
    make_decoder,
    make_dropout,
    make_tied_projection,
)
from attnzoo.models.parts.rnn_cells import check_cells, make_encoder


@keras.saving.register_keras_serializable(package="attnzoo")
class RNNSeq2SeqBackbone(RecurrentDecoderBackbone):
    """Recurrent sequence-to-sequence network with attention.

    A bidirectional encoder reads the source; a bridge computes the decoder's first state from the
    encoder's last state; at each step the decoder attends to the encoder's output.
    `attend="before"` is the network of Bahdanau et al. (the context enters the cell),
    `attend="after"` that of Luong et al. (the cell's output is the query). In both, a readout layer
    of width `hidden_dim` joins the decoder's output with its context.

    Low-rank adaptation (`enable_lora`) adapts the two embeddings by default: Keras does not support
    it for recurrent cells.

    Differs from the papers: source and target may be tokenized differently, the readout has no
    maxout, and the bridge uses the states of both directions.

    Args:
        source_vocabulary_size: Number of source tokens. At least 1.
        target_vocabulary_size: Number of target tokens. At least 1.
        embedding_dim: Width of the token embeddings, in features. At least 1.
        hidden_dim: Width of the encoder's output, of the decoder and of the readout, in features.
            In a bidirectional encoder each direction has half of it, and it must be even.
        num_encoder_layers: At least 1.
        num_decoder_layers: At least 1.
        cell: `"lstm"`, `"gru"` or `"simple"`.
        bidirectional: Whether the encoder reads in both directions.
        attention: An `Attention`, or a name: NAMES.
        attend: `"before"` or `"after"`; None takes the order of the mechanism's paper.
        input_feeding: Whether the readout is fed back to the next input. None is True for "after".
        bridge: `"dense"`, `"copy"` or `"zeros"`.
        dropout: Probability of dropping a feature of embeddings, layers and readout. In [0, 1).
        recurrent_dropout: Probability of dropping a feature of the recurrent state, the same one in
            all steps of a pass. In [0, 1).
        tie_embeddings: Whether the output layer is the transposed target embedding.
        share_embeddings: Whether source and target share one embedding, and thus one vocabulary.
        pointer_generator: Whether a step may copy a symbol of the source, even outside the
            vocabulary. The output layer is then a `PointerGenerator`.
        dtype: Dtype or policy of the layers.

    Call arguments:
        dict of `encoder_token_ids` int [B, S], `encoder_padding_mask` bool [B, S],
        `decoder_token_ids` int [B, T] and `decoder_padding_mask` bool [B, T]. With a
        pointer-generator also `copy_token_ids` int [B, S], in [0, V + S): the id for a copy of each
        source position, a target token, or from V on a symbol of this source. Such a symbol in
        `decoder_token_ids` is read as the unknown token, 1.

    Returns:
        dict of `encoder_sequence_output` float [B, S, hidden_dim] and `decoder_sequence_output`,
        float [B, T, hidden_dim] (tied: [B, T, embedding_dim]), which the output layer takes. With
        an attention that is `marginal` the decoder's outputs are the cell's own, without readout.
        With such an attention or a pointer-generator the dict also has `alignments`, float
        [B, T, S].

    Raises:
        ValueError: If a size is below 1, `hidden_dim` is odd with two directions, a rate is outside
            [0, 1), or a cell, attention, order or bridge is unknown; if an attention that is
            `marginal` is combined with order "before", input feeding or tied embeddings; if a
            pointer-generator is combined with such an attention or tied embeddings; if a shared
            embedding has two vocabularies of different sizes.

    Example:
        >>> backbone = attnzoo.models.RNNSeq2SeqBackbone(
        ...     source_vocabulary_size=31, target_vocabulary_size=43, attention="luong")
        >>> backbone(batch)["decoder_sequence_output"].shape  # B=2, T=3
        (2, 3, 256)

    References:
        [Bahdanau et al., 2015](https://arxiv.org/abs/1409.0473).
        [Luong et al., 2015](https://arxiv.org/abs/1508.04025).
        [Gal and Ghahramani, 2016](https://arxiv.org/abs/1512.05287) (recurrent dropout).
        [Press and Wolf, 2017](https://arxiv.org/abs/1608.05859) (tied embeddings).
        [See et al., 2017](https://arxiv.org/abs/1704.04368) (pointer-generator).
    """

    # More than 14 arguments: each is an independent choice, and a key in presets and files.
    def __init__(
        self,
        source_vocabulary_size: int,
        target_vocabulary_size: int,
        *,
        embedding_dim: int = 128,
        hidden_dim: int = 256,
        num_encoder_layers: int = 1,
        num_decoder_layers: int = 1,
        cell: str = "lstm",
        bidirectional: bool = True,
        attention: Attention | str = "bahdanau",
        attend: str | None = None,
        input_feeding: bool | None = None,
        bridge: str = "dense",
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        tie_embeddings: bool = False,
        share_embeddings: bool = False,
        pointer_generator: bool = False,
        dtype: str | keras.DTypePolicy | None = None,
        **kwargs,
    ):
        check_positive(
            source_vocabulary_size=source_vocabulary_size,
            target_vocabulary_size=target_vocabulary_size,
            embedding_dim=embedding_dim,
            hidden_dim=hidden_dim,
            num_encoder_layers=num_encoder_layers,
            num_decoder_layers=num_decoder_layers,
        )
        check_cells(
            cell=cell,
            hidden_dim=hidden_dim,
            bidirectional=bidirectional,
            dropout=dropout,
            recurrent_dropout=recurrent_dropout,
        )

        policy = policy_for(dtype, "decoder")
        mechanism = get_attention(attention, hidden_dim, name="attention", dtype=policy)
        check_output_layer(mechanism, attention, tie_embeddings, pointer_generator)

        # === Config ===
        self.source_vocabulary_size = source_vocabulary_size
        self.target_vocabulary_size = target_vocabulary_size
        self.embedding_dim = embedding_dim
        self.hidden_dim = hidden_dim
        self.num_encoder_layers = num_encoder_layers
        self.num_decoder_layers = num_decoder_layers
        self.cell = cell
        self.bidirectional = bidirectional
        self.bridge = bridge
        self.dropout = dropout
        self.recurrent_dropout = recurrent_dropout
        self.tie_embeddings = tie_embeddings
        self.share_embeddings = share_embeddings
        self.pointer_generator = pointer_generator
        self.marginal = mechanism.marginal

        # === Layers ===
        self._make_layers(mechanism, attend, input_feeding, dtype)

        # === Functional Model ===
        inputs = pair_inputs(copies=pointer_generator)
        super().__init__(inputs=inputs, outputs=self.connect(inputs), dtype=dtype, **kwargs)
        quantize_again(self, dtype)

        # The decoder resolves None. `attention` is set last, after the layers that hold it.
        self.attend = self.decoder.cell.attend
        self.input_feeding = self.decoder.cell.input_feeding
        self.attention = attention if isinstance(attention, str) else mechanism

    def _make_layers(self, mechanism, attend, input_feeding, dtype):
        """Make the layers, in the order of their variables in files."""
        recurrent: dict[str, Any] = {
            "cell": self.cell,
            "recurrent_dropout": self.recurrent_dropout,
            "hidden_dim": self.hidden_dim,
        }
        self.source_embedding, self.target_embedding = source_and_target(
            functools.partial(_make_embedding, self.embedding_dim, dtype),
            self.source_vocabulary_size,
            self.target_vocabulary_size,
            self.share_embeddings,
        )
        self.embedding_dropout = make_dropout(self.dropout, "embedding_dropout", dtype)
        self.readout_dropout = make_dropout(self.dropout, "readout_dropout", dtype)
        self.encoder = make_encoder(
            num_layers=self.num_encoder_layers,
            bidirectional=self.bidirectional,
            dropout=self.dropout,
            dtype=policy_for(dtype, "encoder"),
            **recurrent,
        )
        self.decoder = make_decoder(
            mechanism,
            num_layers=self.num_decoder_layers,
            attend=attend,
            input_feeding=input_feeding,
            dtype=policy_for(dtype, "decoder"),
            **recurrent,
        )
        self.state_bridge = make_bridge(self.bridge, self.decoder, dtype)
        self.tied_projection = None
        if self.tie_embeddings:
            self.tied_projection = make_tied_projection(self.embedding_dim, dtype)

    def encode_source(self, inputs: dict):
        """Return the memory float [B, S, hidden_dim], and the decoder cell's first states."""
        return self.encode(inputs["encoder_token_ids"], inputs["encoder_padding_mask"])

    def memory_mask(self, inputs: dict):
        """Return the mask of the source, bool [B, S]."""
        return inputs["encoder_padding_mask"]

    def encode(self, token_ids, padding_mask):
        """Return the memory float [B, S, hidden_dim], and the decoder cell's first states."""
        embedded = self.embedding_dropout(self.source_embedding(token_ids))
        memory, final_states = self.encoder(embedded, mask=padding_mask)
        return memory, self.state_bridge(final_states)

    def default_lora_layer_names(self):
        """Return the layers that `enable_lora` adapts by default."""
        if self.share_embeddings:
            return ["token_embedding"]
        return ["source_embedding", "target_embedding"]

    def get_config(self):
        attention = self.attention
        if not isinstance(attention, str):
            attention = keras.saving.serialize_keras_object(attention)
        return {
            **super().get_config(),
            "source_vocabulary_size": self.source_vocabulary_size,
            "target_vocabulary_size": self.target_vocabulary_size,
            "embedding_dim": self.embedding_dim,
            "hidden_dim": self.hidden_dim,
            "num_encoder_layers": self.num_encoder_layers,
            "num_decoder_layers": self.num_decoder_layers,
            "cell": self.cell,
            "bidirectional": self.bidirectional,
            "attention": attention,
            "attend": self.attend,
            "input_feeding": self.input_feeding,
            "bridge": self.bridge,
            "dropout": self.dropout,
            "recurrent_dropout": self.recurrent_dropout,
            "tie_embeddings": self.tie_embeddings,
            "share_embeddings": self.share_embeddings,
            "pointer_generator": self.pointer_generator,
        }


def _make_embedding(embedding_dim: int, dtype, size: int, name: str):
    cls = keras.layers.ReversibleEmbedding
    if name == "source_embedding":  # The source embedding is never an output layer.
        cls = keras.layers.Embedding
    return cls(size, embedding_dim, name=name, dtype=policy_for(dtype, name))


list_names(RNNSeq2SeqBackbone, ATTENTIONS)
