"""The backbone: an embedding and a stack of recurrent layers."""

import os

import keras

from attnzoo.checks import check_positive
from attnzoo.layers.spelling import WordSpelling
from attnzoo.models.parts.backbone import Backbone
from attnzoo.models.parts.inputs import text_inputs
from attnzoo.models.parts.policies import policy_for
from attnzoo.models.parts.rnn_cells import check_cells, make_encoder


@keras.saving.register_keras_serializable(package="attnzoo")
class RNNEncoderBackbone(Backbone):
    """Recurrent encoder: one contextual vector for each token.

    The task pools the vectors: a tagger needs all of them, and classifiers pool them in different
    ways.

    Low-rank adaptation (`enable_lora`) and `quantize("int8")` affect only the embedding: Keras
    supports neither for recurrent cells.

    Args:
        vocabulary_size: Number of tokens. At least 1.
        embedding_dim: Width of the token embedding, in features. At least 1.
        hidden_dim: Width of the output, in features. With two directions each has half of it, and
            it must be even.
        num_layers: Recurrent layers. At least 1.
        cell: `"lstm"`, `"gru"` or `"simple"`.
        bidirectional: Whether to read in both directions.
        spelling_dim: Width of the vector of a word's spelling (see `WordSpelling`), which stands
            beside its embedding, in features. At least 1. None is no spelling; otherwise the inputs
            have `word_bytes` int [B, S, W] too. For taggers.
        dropout: Probability of dropping a feature of the embedding and between layers. In [0, 1).
        recurrent_dropout: Probability of dropping a feature of the recurrent state, the same one in
            all steps of a pass. In [0, 1).
        dtype: Dtype or policy of the layers.

    Call arguments:
        dict of `token_ids` int [B, S] and `padding_mask` bool [B, S].

    Returns:
        dict of `sequence_output` float [B, S, hidden_dim]; padding is 0.

    Raises:
        ValueError: For a size below 1, an odd `hidden_dim` with two directions, a rate outside
            [0, 1), or an unknown cell.

    Example:
        >>> backbone = attnzoo.models.RNNEncoderBackbone(vocabulary_size=31, hidden_dim=14)
        >>> backbone(batch)["sequence_output"].shape  # B=2, S=11
        (2, 11, 14)

    References:
        [Schuster and Paliwal, 1997](https://doi.org/10.1109/78.650093).
        [Gal and Ghahramani, 2016](https://arxiv.org/abs/1512.05287) (recurrent dropout).
    """

    def __init__(
        self,
        vocabulary_size: int,
        *,
        embedding_dim: int = 128,
        hidden_dim: int = 256,
        num_layers: int = 1,
        cell: str = "lstm",
        bidirectional: bool = True,
        spelling_dim: int | None = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        dtype: str | keras.DTypePolicy | None = None,
        **kwargs,
    ):
        check_positive(
            vocabulary_size=vocabulary_size,
            embedding_dim=embedding_dim,
            hidden_dim=hidden_dim,
            num_layers=num_layers,
        )
        if spelling_dim is not None:
            check_positive(spelling_dim=spelling_dim)
        check_cells(
            cell=cell,
            hidden_dim=hidden_dim,
            bidirectional=bidirectional,
            dropout=dropout,
            recurrent_dropout=recurrent_dropout,
        )

        # === Layers ===
        self.token_embedding = keras.layers.Embedding(
            vocabulary_size,
            embedding_dim,
            name="token_embedding",
            dtype=policy_for(dtype, "token_embedding"),
        )
        self.spelling = None
        if spelling_dim is not None:
            policy = policy_for(dtype, "spelling")
            self.spelling = WordSpelling(spelling_dim, name="spelling", dtype=policy)
        self.embedding_dropout = keras.layers.Dropout(
            dropout, name="embedding_dropout", dtype=policy_for(dtype, "embedding_dropout")
        )
        self.encoder = make_encoder(
            cell=cell,
            hidden_dim=hidden_dim,
            num_layers=num_layers,
            bidirectional=bidirectional,
            dropout=dropout,
            recurrent_dropout=recurrent_dropout,
            dtype=policy_for(dtype, "encoder"),
        )

        # === Functional Model ===
        inputs = text_inputs(spelled=spelling_dim is not None)
        embedded = self.token_embedding(inputs["token_ids"])
        if self.spelling is not None:
            spelled = self.spelling(inputs["word_bytes"])
            embedded = keras.layers.Concatenate(name="word")([embedded, spelled])
        embedded = self.embedding_dropout(embedded)
        outputs, _ = self.encoder(embedded, mask=inputs["padding_mask"])
        super().__init__(inputs=inputs, outputs={"sequence_output": outputs}, dtype=dtype, **kwargs)

        # === Config ===
        self.vocabulary_size = vocabulary_size
        self.embedding_dim = embedding_dim
        self.hidden_dim = hidden_dim
        self.num_layers = num_layers
        self.cell = cell
        self.bidirectional = bidirectional
        self.spelling_dim = spelling_dim
        self.dropout = dropout
        self.recurrent_dropout = recurrent_dropout

    def save_lora_weights(self, filepath: str | os.PathLike):
        """Raise: KerasHub's file can hold kernels only, and here an embedding is adapted."""
        raise NotImplementedError(
            "KerasHub saves the low-rank weights of kernels, and a recurrent encoder has them at "
            "its embedding. Save the task or the backbone with `save_to_preset`, which adds them "
            f"to it. Received: filepath={filepath!r}"
        )

    def load_lora_weights(self, filepath: str | os.PathLike):
        """Raise: there is no such file, as `save_lora_weights` explains."""
        self.save_lora_weights(filepath)

    def default_lora_layer_names(self):
        """Return the layers that `enable_lora` adapts by default."""
        return ["token_embedding"]

    def get_config(self):
        return {
            **super().get_config(),
            "vocabulary_size": self.vocabulary_size,
            "embedding_dim": self.embedding_dim,
            "hidden_dim": self.hidden_dim,
            "num_layers": self.num_layers,
            "cell": self.cell,
            "bidirectional": self.bidirectional,
            "spelling_dim": self.spelling_dim,
            "dropout": self.dropout,
            "recurrent_dropout": self.recurrent_dropout,
        }
