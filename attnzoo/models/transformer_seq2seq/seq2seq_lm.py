"""The task: train on pairs of strings, generate, look at alignments, export."""

import keras
from keras import ops

from attnzoo.layers.output import TiedLogits, TokenLogits
from attnzoo.models.seq2seq_task import Seq2SeqTask
from attnzoo.models.transformer_seq2seq.backbone import TransformerSeq2SeqBackbone
from attnzoo.models.transformer_seq2seq.preprocessor import TransformerSeq2SeqLMPreprocessor


@keras.saving.register_keras_serializable(package="attnzoo")
class TransformerSeq2SeqLM(Seq2SeqTask):
    """Sequence transduction with a Transformer.

    Where one alignment is asked for (`alignments`, `generate(..., return_alignments=True)`, a
    SavedModel, a coverage penalty), it is the mean over the heads of the last decoder block's
    attention to the source.

    Args:
        backbone: A `TransformerSeq2SeqBackbone`.
        preprocessor: A `TransformerSeq2SeqLMPreprocessor`, or None to work on token ids.

    Call arguments:
        The backbone's inputs.

    Returns:
        float [B, T, V]. Logits of the next target token.

    Raises:
        ValueError: If a tokenizer knows more tokens than the backbone embeds.

    Example:
        >>> task = attnzoo.models.TransformerSeq2SeqLM(backbone, preprocessor)
        >>> task.fit(["cat", "hat"], ["K AE T", "HH AE T"], epochs=100)
        >>> task.generate(["that"])
        ['HH AE T']

    References:
        [Vaswani et al., 2017](https://arxiv.org/abs/1706.03762).
    """

    backbone_cls = TransformerSeq2SeqBackbone
    preprocessor_cls = TransformerSeq2SeqLMPreprocessor

    def __init__(self, backbone, preprocessor=None, **kwargs):
        if preprocessor is not None:
            preprocessor.check_vocabularies(backbone)

        # === Layers ===
        self.backbone = backbone
        self.preprocessor = preprocessor
        if backbone.tie_embeddings:
            self.output_layer = TiedLogits(
                backbone.target_embedding, name="output", dtype=backbone.dtype_policy
            )
        else:
            self.output_layer = TokenLogits(
                backbone.target_vocabulary_size, name="output", dtype=backbone.dtype_policy
            )

        # === Functional Model ===
        inputs = backbone.input
        outputs = self.output_layer(backbone(inputs)["decoder_sequence_output"])
        super().__init__(inputs=inputs, outputs=outputs, **kwargs)

    def decode(self, inputs):
        """Teacher-forced pass: logits float [B, T, V] and alignments float [B, T, S]."""
        mask = inputs["encoder_padding_mask"]
        memory = self.backbone.encode(inputs["encoder_token_ids"], mask)
        outputs, maps = self.backbone.decode(
            inputs["decoder_token_ids"], memory, mask, return_alignments=True
        )
        return self.output_layer(outputs), ops.mean(maps[-1], axis=1)

    def make_next(self, inputs, with_alignments: bool):
        """Encode and prepare once; then `next` takes one step for each token.

        Returns:
            `next`, as samplers call it, and the cache before the first step. The memory is in the
            cache of no step: the hypotheses of a beam share it.
        """
        backbone, mask = self.backbone, inputs["encoder_padding_mask"]
        memory = backbone.encode(inputs["encoder_token_ids"], mask)
        prepared = [block.prepare(memory, mask) for block in backbone.decoder_blocks]
        batch, longest = ops.shape(inputs["decoder_token_ids"])
        cache = {
            "blocks": [block.initial_cache(batch, longest) for block in backbone.decoder_blocks]
        }
        if with_alignments:
            cache["alignments"] = ops.zeros(ops.shape(memory)[:2], dtype=backbone.compute_dtype)
            cache["memory_mask"] = ops.cast(mask, "bool")

        def next(prompt, cache, index):
            previous = ops.take(prompt, index - 1, axis=1)[:, None]  # [R, 1]
            outputs, alignments, blocks = backbone.step(
                previous, prepared, cache["blocks"], index - 1
            )
            hidden = outputs[:, 0]  # [R, D]
            cache = {**cache, "blocks": blocks}
            if with_alignments:
                cache["alignments"] = ops.mean(alignments, axis=1)[:, 0]  # [R, S]
            return self.output_layer(hidden), hidden, cache

        return next, cache
