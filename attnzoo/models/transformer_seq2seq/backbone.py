"""The backbone: encoder blocks for the source, and decoder blocks with cross-attention."""

import keras
from keras import ops

from attnzoo.checks import check_positive
from attnzoo.layers import TransformerDecoderBlock, TransformerEncoderBlock
from attnzoo.models.parts.embeddings import source_and_target
from attnzoo.models.parts.inputs import pair_inputs
from attnzoo.models.parts.transformer import TransformerBackbone, TransformerParts, run_blocks


@keras.saving.register_keras_serializable(package="attnzoo")
class TransformerSeq2SeqBackbone(TransformerBackbone):
    """Transformer encoder and decoder.

        x      = dropout(sqrt(hidden_dim) embedding(source) + positions)
        memory = norm(encoder blocks of x)
        y      = dropout(sqrt(hidden_dim) embedding(target) + positions)
        output = norm(decoder blocks of y, memory)

    The last norms are there only if the blocks are norm-first, which is the default.

    Low-rank adaptation (`enable_lora`) adapts the attentions' queries and values by default;
    `quantize("int8")` quantizes the embeddings, all projections of the attentions and the
    feed-forwards.

    Differs from the paper: source and target may be tokenized differently, each with its own
    embedding, unless they share one; blocks are norm-first by default.

    Args:
        source_vocabulary_size: Number of source tokens. At least 1.
        target_vocabulary_size: Number of target tokens. At least 1.
        hidden_dim: D, the width of the residual stream, in features. A multiple of `num_heads`.
        num_heads: N, the number of heads of every attention. At least 1.
        feed_forward_dim: Width of the feed-forward's hidden layer, in features; 4 times
            `hidden_dim` if None.
        num_encoder_layers: L, the number of encoder blocks. At least 1.
        num_decoder_layers: M, the number of decoder blocks. At least 1.
        position: `"sinusoidal"`, `"learned"` (with `max_length`), `"rotary"`, `"relative"`, `"t5"`,
            `"alibi"` or None. The first two act at the input, the others in each self-attention.
        share_position: Whether all blocks of a side share one such position, as in T5.
        max_length: Largest length of either side, in tokens, for a learned position.
        dropout: Probability of dropping a feature of embeddings and branches. In [0, 1).
        tie_embeddings: Whether the output layer is the transposed target embedding.
        share_embeddings: Whether source and target share one embedding, and thus one vocabulary;
            with `tie_embeddings` the output layer shares it too, as in the paper.
        block: dict of further arguments of all blocks, such as `norm_first`, `norm`, `activation`,
            `stochastic_depth` or `attention` (see `attnzoo.layers.TransformerEncoderBlock`); or
            None.
        dtype: Dtype or policy of the layers.

    Call arguments:
        dict of `encoder_token_ids` int [B, S], `encoder_padding_mask` bool [B, S],
        `decoder_token_ids` int [B, T] and `decoder_padding_mask` bool [B, T].

    Returns:
        dict of `encoder_sequence_output` float [B, S, D] and `decoder_sequence_output` float
        [B, T, D].

    Raises:
        ValueError: If a size is below 1, `num_heads` does not divide `hidden_dim`, a rate is
            outside [0, 1), a position, norm or activation is unknown, a learned position has no
            `max_length`, or a shared embedding has two vocabularies of different sizes.

    Example:
        >>> backbone = attnzoo.models.TransformerSeq2SeqBackbone(
        ...     source_vocabulary_size=31, target_vocabulary_size=43, hidden_dim=64, num_heads=4)
        >>> backbone(batch)["decoder_sequence_output"].shape  # B=2, T=3
        (2, 3, 64)

    References:
        [Vaswani et al., 2017](https://arxiv.org/abs/1706.03762).
        [Xiong et al., 2020](https://arxiv.org/abs/2002.04745) (norm first).
        [Press and Wolf, 2017](https://arxiv.org/abs/1608.05859) (tied embeddings).
    """

    # More than 14 arguments: each is an independent choice, and a key in presets and files.
    def __init__(
        self,
        source_vocabulary_size: int,
        target_vocabulary_size: int,
        *,
        hidden_dim: int = 256,
        num_heads: int = 4,
        feed_forward_dim: int | None = None,
        num_encoder_layers: int = 3,
        num_decoder_layers: int = 3,
        position: str | None = "sinusoidal",
        share_position: bool = False,
        max_length: int | None = None,
        dropout: float = 0.1,
        tie_embeddings: bool = False,
        share_embeddings: bool = False,
        block: dict | None = None,
        dtype: str | keras.DTypePolicy | None = None,
        **kwargs,
    ):
        check_positive(
            source_vocabulary_size=source_vocabulary_size,
            target_vocabulary_size=target_vocabulary_size,
            num_encoder_layers=num_encoder_layers,
            num_decoder_layers=num_decoder_layers,
        )
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
        self.source_embedding, self.target_embedding = source_and_target(
            parts.make_embedding, source_vocabulary_size, target_vocabulary_size, share_embeddings
        )
        self.scale = parts.make_scale()
        self.source_position = parts.make_position("source_position")
        self.target_position = parts.make_position("target_position")
        self.embedding_dropout = parts.make_dropout()
        self.encoder_blocks = parts.make_blocks(
            TransformerEncoderBlock, num_encoder_layers, "encoder"
        )
        self.decoder_blocks = parts.make_blocks(
            TransformerDecoderBlock, num_decoder_layers, "decoder"
        )
        self.encoder_norm = parts.make_norm(self.encoder_blocks[0], "encoder_norm")
        self.decoder_norm = parts.make_norm(self.decoder_blocks[0], "decoder_norm")

        # === Functional Model ===
        inputs = pair_inputs()
        memory = self.encode(inputs["encoder_token_ids"], inputs["encoder_padding_mask"])
        outputs = self.decode(inputs["decoder_token_ids"], memory, inputs["encoder_padding_mask"])
        super().__init__(
            parts,
            inputs=inputs,
            outputs={"encoder_sequence_output": memory, "decoder_sequence_output": outputs},
            **kwargs,
        )

        # === Config ===
        self.source_vocabulary_size = source_vocabulary_size
        self.target_vocabulary_size = target_vocabulary_size
        self.num_encoder_layers = num_encoder_layers
        self.num_decoder_layers = num_decoder_layers
        self.tie_embeddings = tie_embeddings
        self.share_embeddings = share_embeddings

    def encode(self, token_ids, padding_mask, return_alignments: bool = False):
        """Encode the source int [B, S] to memory float [B, S, D].

        With `return_alignments=True` also return the alignments of all blocks and heads, float
        [B, L, N, S, S].
        """
        x = self.embed(token_ids, self.source_embedding, self.source_position)
        x, *alignments = run_blocks(
            self.encoder_blocks, x, padding_mask=padding_mask, return_alignments=return_alignments
        )
        memory = x if self.encoder_norm is None else self.encoder_norm(x)
        return (memory, *alignments) if return_alignments else memory

    def decode(
        self,
        token_ids,
        memory,
        memory_mask,
        return_alignments: bool = False,
        return_self_alignments: bool = False,
    ):
        """Return the outputs float [B, T, D] for all target tokens int [B, T] at once.

        The target needs no mask: tokens attend only to earlier ones, and padding is last.

        With `return_alignments=True` also return the cross-attention alignments of all blocks and
        heads, float [B, M, N, T, S]; with `return_self_alignments=True` then also those of
        self-attention, float [B, M, N, T, T].
        """
        x, *alignments = run_blocks(
            self.decoder_blocks,
            self.embed(token_ids, self.target_embedding, self.target_position),
            memory,
            memory_mask=memory_mask,
            return_alignments=return_alignments,
            return_self_alignments=return_self_alignments,
        )
        outputs = self.readout(x)
        return (outputs, *alignments) if alignments else outputs

    def step(self, token_ids, prepared: list, caches: list, index):
        """Decode one step.

        Args:
            token_ids: int [R, 1]. R = B * K rows: K hypotheses for each of the B sources.
            prepared: The results of each decoder block's `prepare` for the B sources.
            caches: Each decoder block's cache, from its `initial_cache` or the previous step.
            index: int scalar, the position of the token.

        Returns:
            outputs float [R, 1, D], the last block's alignments with the memory float [R, N, 1, S],
            and the next caches.
        """
        positions = ops.reshape(ops.cast(index, "int32"), (1,))
        x = self.embed(token_ids, self.target_embedding, self.target_position, positions)
        after = []
        for block, one, cache in zip(self.decoder_blocks, prepared, caches, strict=True):
            x, alignments, cache = block.call_with_cache(x, one, cache, index)
            after.append(cache)
        return self.readout(x), alignments, after

    def readout(self, x):
        """Return the inputs of the output layer for the last block's outputs."""
        return x if self.decoder_norm is None else self.decoder_norm(x)

    def get_config(self):
        return {
            **super().get_config(),
            "source_vocabulary_size": self.source_vocabulary_size,
            "target_vocabulary_size": self.target_vocabulary_size,
            "num_encoder_layers": self.num_encoder_layers,
            "num_decoder_layers": self.num_decoder_layers,
            "tie_embeddings": self.tie_embeddings,
            "share_embeddings": self.share_embeddings,
        }
