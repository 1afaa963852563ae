"""The backbone: a grid of a picture's places, and a decoder that attends to it step by step."""

from collections.abc import Sequence

import keras
from keras import ops

from attnzoo.checks import check_at_least, check_positive
from attnzoo.layers import Attention, DoublyStochasticPenalty
from attnzoo.layers.docs import list_names
from attnzoo.layers.lookup import get_attention
from attnzoo.layers.names import ATTENTIONS
from attnzoo.models.image_captioner.grid import GridEncoder
from attnzoo.models.parts.policies import policy_for, quantize_again
from attnzoo.models.parts.recurrent_decoder import RecurrentDecoderBackbone
from attnzoo.models.parts.recurrent_layers import make_bridge, make_decoder, make_dropout
from attnzoo.models.parts.rnn_cells import check_cells


@keras.saving.register_keras_serializable(package="attnzoo")
class ImageCaptionerBackbone(RecurrentDecoderBackbone):
    """Network that looks at places of a picture while it writes a text.

    A convolutional network makes a grid of places, which is the memory. The decoder's first states
    are computed from the mean of the places. At each step the decoder attends to the places.

    With `alignment_penalty` the loss of training has a term that makes the weights of each place
    sum to 1 over all steps ("doubly stochastic attention"; see
    `attnzoo.layers.DoublyStochasticPenalty`).

    Differs from the paper: the convolutional network is small and is trained with the decoder, the
    context has no gate, and the readout is that of Bahdanau et al. and Luong et al.

    Args:
        vocabulary_size: Number of tokens of the captions. At least 1.
        image_shape: (H, W, C) of a picture, in pixels and channels. C is 1 or 3.
        filters: Features of each stage of the convolutional network. Pooling between stages halves
            the grid. At least one stage.
        embedding_dim: Width of the token embeddings, in features. At least 1.
        hidden_dim: Width of the decoder and of the readout, in features. At least 1.
        num_decoder_layers: At least 1.
        cell: `"lstm"`, `"gru"` or `"simple"`.
        attention: An `Attention`, or a name: NAMES.
        attend: `"before"` or `"after"`; None takes the order of the mechanism's paper.
        input_feeding: Whether the readout is fed back to the next input. None is True for "after".
        dropout: Probability of dropping a feature of places, embeddings and readout. In [0, 1).
        recurrent_dropout: Probability of dropping a feature of the recurrent state, the same one in
            all steps of a pass. In [0, 1).
        alignment_penalty: Weight of the doubly stochastic penalty. At least 0.
        dtype: Dtype or policy of the layers.

    Call arguments:
        dict of `images` float [B, H, W, C], in [0, 1], `decoder_token_ids` int [B, T] and
        `decoder_padding_mask` bool [B, T].

    Returns:
        dict of `encoder_sequence_output` float [B, S, D], the S = H' W' places of the grid row by
        row, and `decoder_sequence_output` float [B, T, hidden_dim], which the output layer takes.
        With an attention that is `marginal`, or an `alignment_penalty`, also `alignments` float
        [B, T, S].

    Raises:
        ValueError: If a size is below 1, `image_shape` is no (H, W, 1 or 3), a rate is outside
            [0, 1), the penalty is negative, or a cell, attention or order is unknown.

    Example:
        >>> backbone = attnzoo.models.ImageCaptionerBackbone(43, image_shape=(32, 32, 3))
        >>> backbone.grid_size
        (8, 8)
        >>> backbone(batch)["decoder_sequence_output"].shape  # B=2, T=3
        (2, 3, 256)

    References:
        [Xu et al., 2015](https://arxiv.org/abs/1502.03044).
    """

    def __init__(
        self,
        vocabulary_size: int,
        *,
        image_shape: Sequence[int] = (32, 32, 3),
        filters: Sequence[int] = (32, 64, 128),
        embedding_dim: int = 128,
        hidden_dim: int = 256,
        num_decoder_layers: int = 1,
        cell: str = "lstm",
        attention: Attention | str = "bahdanau",
        attend: str | None = None,
        input_feeding: bool | None = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        alignment_penalty: float = 0.0,
        dtype: str | keras.DTypePolicy | None = None,
        **kwargs,
    ):
        check_positive(
            vocabulary_size=vocabulary_size,
            embedding_dim=embedding_dim,
            hidden_dim=hidden_dim,
            num_decoder_layers=num_decoder_layers,
        )
        check_image_shape(image_shape)
        check_at_least(0, alignment_penalty=alignment_penalty)
        check_cells(
            cell=cell,
            hidden_dim=hidden_dim,
            bidirectional=False,
            dropout=dropout,
            recurrent_dropout=recurrent_dropout,
        )
        policy = policy_for(dtype, "decoder")
        mechanism = get_attention(attention, hidden_dim, name="attention", dtype=policy)

        # === Config ===
        self.vocabulary_size = self.target_vocabulary_size = vocabulary_size
        self.image_shape = tuple(image_shape)
        self.filters = list(filters)
        self.embedding_dim = embedding_dim
        self.hidden_dim = hidden_dim
        self.num_decoder_layers = num_decoder_layers
        self.cell = cell
        self.dropout = dropout
        self.recurrent_dropout = recurrent_dropout
        self.alignment_penalty = alignment_penalty
        self.marginal = mechanism.marginal

        # === Layers ===
        self._make_layers(mechanism, attend, input_feeding, dtype)

        # === Functional Model ===
        inputs = {
            "images": keras.Input(self.image_shape, dtype="float32", name="images"),
            "decoder_token_ids": keras.Input((None,), dtype="int32", name="decoder_token_ids"),
            "decoder_padding_mask": keras.Input((None,), dtype="bool", name="decoder_padding_mask"),
        }
        super().__init__(inputs=inputs, outputs=self.connect(inputs), dtype=dtype, **kwargs)
        quantize_again(self, dtype)

        # The decoder resolves None. `attention` is set last, after the layers that hold it.
        self.attend = self.decoder.cell.attend
        self.input_feeding = self.decoder.cell.input_feeding
        self.attention = attention if isinstance(attention, str) else mechanism

    def _make_layers(self, mechanism, attend, input_feeding, dtype):
        self.encoder = GridEncoder(self.filters, name="encoder", dtype=policy_for(dtype, "encoder"))
        self.target_embedding = keras.layers.ReversibleEmbedding(
            self.vocabulary_size,
            self.embedding_dim,
            name="target_embedding",
            dtype=policy_for(dtype, "target_embedding"),
        )
        self.memory_dropout = make_dropout(self.dropout, "memory_dropout", dtype)
        self.embedding_dropout = make_dropout(self.dropout, "embedding_dropout", dtype)
        self.readout_dropout = make_dropout(self.dropout, "readout_dropout", dtype)
        self.decoder = make_decoder(
            mechanism,
            hidden_dim=self.hidden_dim,
            num_layers=self.num_decoder_layers,
            cell=self.cell,
            recurrent_dropout=self.recurrent_dropout,
            attend=attend,
            input_feeding=input_feeding,
            dtype=policy_for(dtype, "decoder"),
        )
        self.state_bridge = make_bridge("dense", self.decoder, dtype)
        self.penalty = None
        if self.alignment_penalty:
            self.penalty = DoublyStochasticPenalty(self.alignment_penalty, name="penalty")

    @property
    def grid_size(self) -> tuple[int, int]:
        """The size (H', W') of the grid, in places."""
        return self.encoder.grid_size(*self.image_shape[:2])

    def encode_source(self, inputs: dict):
        """Return the places of the grid float [B, S, D], and the decoder cell's first states."""
        grid = self.encoder(inputs["images"])  # [B, H', W', D]
        height, width = self.grid_size
        memory = ops.reshape(grid, (-1, height * width, self.filters[-1]))  # [B, S, D]
        memory = self.memory_dropout(memory)
        return memory, self.state_bridge([ops.mean(memory, axis=1)])

    def memory_mask(self, inputs: dict):
        """Return None: every place is real."""

    def connect(self, inputs: dict) -> dict:
        """Return the outputs of the network for its inputs."""
        outputs = super().connect(inputs)
        if self.penalty is not None:
            alignments = outputs["alignments"]
            outputs["alignments"] = self.penalty(alignments, inputs["decoder_padding_mask"])
        return outputs

    @property
    def needs_alignments(self) -> bool:
        """Whether a pass of the network gives alignments."""
        return super().needs_alignments or self.penalty is not None

    def default_lora_layer_names(self):
        """Return the layers that `enable_lora` adapts by default."""
        return ["target_embedding"]

    def get_config(self):
        attention = self.attention
        if not isinstance(attention, str):
            attention = keras.saving.serialize_keras_object(attention)
        return {
            **super().get_config(),
            "vocabulary_size": self.vocabulary_size,
            "image_shape": self.image_shape,
            "filters": self.filters,
            "embedding_dim": self.embedding_dim,
            "hidden_dim": self.hidden_dim,
            "num_decoder_layers": self.num_decoder_layers,
            "cell": self.cell,
            "attention": attention,
            "attend": self.attend,
            "input_feeding": self.input_feeding,
            "dropout": self.dropout,
            "recurrent_dropout": self.recurrent_dropout,
            "alignment_penalty": self.alignment_penalty,
        }


def check_image_shape(image_shape):
    """Raise unless the shape of a picture is (H, W, 1 or 3)."""
    sizes = tuple(image_shape)
    if len(sizes) != 3 or min(sizes) < 1 or sizes[2] not in (1, 3):
        raise ValueError(
            "`image_shape` must be (height, width, channels), of at least 1 pixel and of 1 or 3 "
            f"channels. Received: image_shape={image_shape}"
        )


list_names(ImageCaptionerBackbone, ATTENTIONS)
