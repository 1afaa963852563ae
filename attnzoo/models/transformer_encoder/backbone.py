"""The backbone: an embedding and a stack of Transformer blocks."""

import keras

from attnzoo.checks import check_positive
from attnzoo.layers import TransformerEncoderBlock
from attnzoo.models.parts.inputs import text_inputs
from attnzoo.models.parts.transformer import TransformerBackbone, TransformerParts, run_blocks


@keras.saving.register_keras_serializable(package="attnzoo")
class TransformerEncoderBackbone(TransformerBackbone):
    """Transformer encoder: one contextual vector for each token.

        x      = dropout(sqrt(hidden_dim) embedding(tokens) + positions)
        output = norm(blocks of x)

    The last norm is there only if the blocks are norm-first, which is the default.

    Low-rank adaptation (`enable_lora`) adapts the attentions' queries and values by default;
    `quantize("int8")` quantizes the embedding, all projections of the attentions and the
    feed-forwards.

    Differs from BERT: there are no segment embeddings; blocks are norm-first by default; the
        position method is an argument.

    Args:
        vocabulary_size: Number of tokens. At least 1. A masked language model needs one more than
            its tokenizer has, unless the tokenizer has a mask token.
        hidden_dim: D, the width of the residual stream, in features. A multiple of `num_heads`.
        num_heads: N, the number of heads of every attention. At least 1.
        feed_forward_dim: Width of the feed-forward's hidden layer, in features; 4 times
            `hidden_dim` if None.
        num_layers: L, the number of blocks. At least 1.
        position: `"sinusoidal"`, `"learned"` (with `max_length`), `"rotary"`, `"relative"`, `"t5"`,
            `"alibi"` or None. The first two act at the input, the others in each self-attention.
        share_position: Whether all blocks share one such position, as in T5.
        max_length: Largest length of a text, in tokens, for a learned position.
        dropout: Probability of dropping a feature of the embedding and of branches. In [0, 1).
        block: dict of further arguments of all blocks, such as `norm_first`, `norm`, `activation`,
            `stochastic_depth` or `attention` (see `attnzoo.layers.TransformerEncoderBlock`); or
            None.
        dtype: Dtype or policy of the layers.

    Call arguments:
        dict of `token_ids` int [B, S] and `padding_mask` bool [B, S].

    Returns:
        dict of `sequence_output` float [B, S, D]; values at padding are undefined.

    Raises:
        ValueError: If a size is below 1, `num_heads` does not divide `hidden_dim`, a rate is
            outside [0, 1), a position, norm or activation is unknown, or a learned position has no
            `max_length`.

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
        share_position: bool = False,
        max_length: int | None = None,
        dropout: float = 0.1,
        block: dict | None = None,
        dtype: str | keras.DTypePolicy | None = None,
        **kwargs,
    ):
        check_positive(vocabulary_size=vocabulary_size, num_layers=num_layers)
        parts = TransformerParts(
            hidden_dim=hidden_dim,
            num_heads=num_heads,
            feed_forward_dim=feed_forward_dim,
            position=position,
            share_position=share_position,
            max_length=max_length,
            dropout=dropout,
            block=block,
            dtype=dtype,
        )

        # === Layers ===
        self.token_embedding = parts.make_embedding(vocabulary_size, "token_embedding")
        self.scale = parts.make_scale()
        self.position_layer = parts.make_position("position")
        self.embedding_dropout = parts.make_dropout()
        self.blocks = parts.make_blocks(TransformerEncoderBlock, num_layers, "block")
        self.output_norm = parts.make_norm(self.blocks[0], "output_norm")

        # === Functional Model ===
        inputs = text_inputs()
        outputs = self.encode(inputs["token_ids"], inputs["padding_mask"])
        super().__init__(parts, inputs=inputs, outputs={"sequence_output": outputs}, **kwargs)

        # === Config ===
        self.vocabulary_size = vocabulary_size
        self.num_layers = num_layers

    def encode(self, token_ids, padding_mask, return_alignments: bool = False):
        """Encode texts int [B, S] to float [B, S, D].

        With `return_alignments=True` also return the alignments of all blocks and heads, float
        [B, L, N, S, S].
        """
        x = self.embed(token_ids, self.token_embedding, self.position_layer)
        x, *alignments = run_blocks(
            self.blocks, x, padding_mask=padding_mask, return_alignments=return_alignments
        )
        outputs = x if self.output_norm is None else self.output_norm(x)
        return (outputs, *alignments) if return_alignments else outputs

    def get_config(self):
        return {
            **super().get_config(),
            "vocabulary_size": self.vocabulary_size,
            "num_layers": self.num_layers,
        }
