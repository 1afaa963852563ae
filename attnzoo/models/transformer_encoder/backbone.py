"""The network: tokens are embedded and read by a stack of Transformer blocks."""

import keras
import keras_hub
from keras import ops

from attnzoo.layers import TransformerEncoderBlock
from attnzoo.layers.scores.base import check_positive
from attnzoo.layers.transformer.blocks import NORMS
from attnzoo.layers.transformer.positions import get_position
from attnzoo.models.policies import policy_for, quantize_again


@keras.saving.register_keras_serializable(package="attnzoo")
class TransformerEncoderBackbone(keras_hub.models.Backbone):
    """Transformer encoder: one vector for each token, in the light of all the others.

        x      = dropout(sqrt(hidden_dim) embedding(tokens) + positions)
        output = norm(blocks of x)

    with the last norm where the blocks' norm comes first, which is the default.

    Low-rank adaptation (`enable_lora`) and `quantize("int8")` are Keras's, which has both for its
    own layers: of this network the feed-forward layers are adapted, and they and the embedding
    quantized; the projections of the attentions stay as they are.

    Differs from BERT: one kind of segment; the norm comes first; positions are a choice.

    Args:
        vocabulary_size: Number of tokens. At least 1. A masked language model needs one more than
            its tokenizer has, unless that has a mask token.
        hidden_dim: D, the width of all that blocks pass on, in features. A multiple of `num_heads`.
        num_heads: N, heads of every attention. At least 1.
        feed_forward_dim: Width of the feed-forward's hidden layer, in features; 4 times
            `hidden_dim` if None.
        num_layers: L, how many blocks. At least 1.
        position: `"sinusoidal"`, `"learned"` (with `max_length`), `"rotary"`, `"relative"`, `"t5"`,
            `"alibi"` or None. The first two act at the input, the others in each self-attention.
        max_length: The longest text, in tokens, for a learned position.
        dropout: Probability of dropping a feature of the embedding and of branches. In [0, 1).
        block: dict of further arguments of all blocks, such as `norm_first`, `norm`, `activation`,
            `stochastic_depth` or `attention` (see `attnzoo.layers.TransformerEncoderBlock`); or
            None.
        dtype: Dtype or policy of the layers.

    Call arguments:
        dict of `token_ids` int [B, S] and `padding_mask` bool [B, S].

    Returns:
        dict of `sequence_output` float [B, S, D]; what stands at padding means nothing.

    Raises:
        ValueError: For a size below 1, heads that do not divide, a rate outside [0, 1), an unknown
            position, norm or activation, or a learned position without `max_length`.

    Example:
        >>> backbone = attnzoo.models.TransformerEncoderBackbone(
        ...     vocabulary_size=31, hidden_dim=64, num_heads=4, num_layers=2)
        >>> backbone(batch)["sequence_output"].shape  # B=2, S=11
        (2, 11, 64)

    References:
        [Vaswani et al., 2017](https://arxiv.org/abs/1706.03762).
        [Devlin et al., 2019](https://arxiv.org/abs/1810.04805).
        [Xiong et al., 2020](https://arxiv.org/abs/2002.04745) (norm first).
    """

    def __init__(
        self,
        vocabulary_size: int,
        *,
        hidden_dim: int = 256,
        num_heads: int = 4,
        feed_forward_dim: int | None = None,
        num_layers: int = 3,
        position: str | None = "sinusoidal",
        max_length: int | None = None,
        dropout: float = 0.1,
        block: dict | None = None,
        dtype=None,
        **kwargs,
    ):
        check_positive(
            vocabulary_size=vocabulary_size,
            hidden_dim=hidden_dim,
            num_heads=num_heads,
            num_layers=num_layers,
        )
        if not 0.0 <= dropout < 1.0:
            raise ValueError(f"`dropout` must be in [0, 1). Received: dropout={dropout}")
        if position == "learned" and max_length is None:
            raise ValueError(
                "A learned position has a table, as long as the longest text: give "
                '`max_length`, or take one without a table, such as "sinusoidal" or "rotary". '
                f"Received: position={position!r}, max_length={max_length}"
            )
        block = dict(block or {})

        # === Layers ===
        self.token_embedding = keras.layers.ReversibleEmbedding(
            vocabulary_size,
            hidden_dim,
            embeddings_initializer=keras.initializers.RandomNormal(stddev=hidden_dim**-0.5),
            name="token_embedding",
            dtype=policy_for(dtype, "token_embedding"),
        )
        self.position_layer = get_position(
            position,
            num_heads=num_heads,
            key_dim=hidden_dim // num_heads,
            value_dim=hidden_dim // num_heads,
            max_length=max_length,
            name="position",
            dtype=policy_for(dtype, "position"),
        )
        arguments = {
            "feed_forward_dim": 4 * hidden_dim if feed_forward_dim is None else feed_forward_dim,
            "position": None if self.position_layer.at_input else position,
            "dropout": dropout,
            **block,
        }
        self.blocks = [
            TransformerEncoderBlock(
                hidden_dim,
                num_heads,
                name=f"block_{i}",
                dtype=policy_for(dtype, f"block_{i}"),
                **arguments,
            )
            for i in range(num_layers)
        ]
        self.embedding_dropout = keras.layers.Dropout(
            dropout, name="embedding_dropout", dtype=policy_for(dtype, "embedding_dropout")
        )
        self.output_norm = None
        first = self.blocks[0]
        if first.norm_first:
            self.output_norm = NORMS[first.norm](
                epsilon=first.epsilon, name="output_norm", dtype=policy_for(dtype, "output_norm")
            )
        self.scale = keras.layers.Rescaling(
            hidden_dim**0.5, name="scale", dtype=policy_for(dtype, "scale")
        )

        # === Functional Model ===
        inputs = {
            "token_ids": keras.Input((None,), dtype="int32", name="token_ids"),
            "padding_mask": keras.Input((None,), dtype="bool", name="padding_mask"),
        }
        outputs = self.encode(inputs["token_ids"], inputs["padding_mask"])
        super().__init__(inputs=inputs, outputs={"sequence_output": outputs}, dtype=dtype, **kwargs)
        quantize_again(self, dtype)

        # === Config ===
        self.vocabulary_size = vocabulary_size
        self.hidden_dim = hidden_dim
        self.num_heads = num_heads
        self.feed_forward_dim = feed_forward_dim
        self.num_layers = num_layers
        self.position = position
        self.max_length = max_length
        self.dropout = dropout
        self.block = block

    def encode(self, token_ids, padding_mask, return_alignments: bool = False):
        """Read texts: int [B, S] to float [B, S, D].

        With `return_alignments=True` the pair of it and the alignments of all blocks and heads,
        float [B, L, N, S, S].
        """
        x = self.scale(self.token_embedding(token_ids))
        x = self.embedding_dropout(self.position_layer(x))
        maps = []
        for block in self.blocks:
            looked = block(x, padding_mask=padding_mask, return_alignments=return_alignments)
            x, *more = looked if return_alignments else (looked,)
            maps += more
        outputs = x if self.output_norm is None else self.output_norm(x)
        return (outputs, ops.stack(maps, axis=1)) if return_alignments else outputs

    def enable_lora(self, rank: int, target_layer_names: list[str] | None = None):
        """Freeze all weights, and adapt some layers' kernels by low-rank matrices.

        Differs from KerasHub's: the biases of these layers are frozen too, so that what
        `save_lora_weights` writes is all that training changes.

        Args:
            rank: The rank of what is added to a kernel. At least 1.
            target_layer_names: Which layers, by name; None is those of
                `default_lora_layer_names`.
        """
        super().enable_lora(rank, target_layer_names)
        for layer in self._flatten_layers(include_self=False):
            if getattr(layer, "lora_enabled", False) and getattr(layer, "bias", None) is not None:
                layer.bias.trainable = False

    def default_lora_layer_names(self):
        """The layers that `enable_lora` adapts unless it is told others: the feed-forwards'."""
        return ["hidden", "gate", "output"]

    def get_config(self):
        return {
            **super().get_config(),
            "vocabulary_size": self.vocabulary_size,
            "hidden_dim": self.hidden_dim,
            "num_heads": self.num_heads,
            "feed_forward_dim": self.feed_forward_dim,
            "num_layers": self.num_layers,
            "position": self.position,
            "max_length": self.max_length,
            "dropout": self.dropout,
            "block": self.block,
        }
