"""The task: train on pairs of strings, generate, look at alignments, export."""

import keras
from keras import ops

from attnzoo.models.rnn_seq2seq.backbone import RNNSeq2SeqBackbone
from attnzoo.models.rnn_seq2seq.preprocessor import RNNSeq2SeqLMPreprocessor
from attnzoo.models.seq2seq_task import Seq2SeqTask


@keras.saving.register_keras_serializable(package="attnzoo")
class RNNSeq2SeqLM(Seq2SeqTask):
    """Sequence transduction with a recurrent encoder and an attending recurrent decoder.

    Args:
        backbone: An `RNNSeq2SeqBackbone`.
        preprocessor: An `RNNSeq2SeqLMPreprocessor`, or None to work on token ids.

    Call arguments:
        The backbone's inputs.

    Returns:
        float [B, T, V]. Logits of the next target token.

    Raises:
        ValueError: If a tokenizer knows more tokens than the backbone embeds.

    Example:
        >>> task = attnzoo.models.RNNSeq2SeqLM(backbone, preprocessor)
        >>> task.fit(["cat", "hat"], ["K AE T", "HH AE T"], epochs=100)
        >>> task.generate(["that"])
        ['HH AE T']
        >>> task.alignments({"encoder_text": ["cat"], "decoder_text": ["K AE T"]}).shape
        (1, 4, 4)

    References:
        [Bahdanau et al., 2015](https://arxiv.org/abs/1409.0473).
        [Luong et al., 2015](https://arxiv.org/abs/1508.04025).
    """

    backbone_cls = RNNSeq2SeqBackbone
    preprocessor_cls = RNNSeq2SeqLMPreprocessor

    def __init__(self, backbone, preprocessor=None, **kwargs):
        if preprocessor is not None:
            preprocessor.check_vocabularies(backbone)

        # === Layers ===
        self.backbone = backbone
        self.preprocessor = preprocessor
        self.output_layer = None
        if not backbone.tie_embeddings:
            self.output_layer = keras.layers.Dense(
                backbone.target_vocabulary_size, name="output", dtype=backbone.dtype_policy
            )

        # === Functional Model ===
        inputs = backbone.input
        outputs = self.logits(backbone(inputs)["decoder_sequence_output"])
        super().__init__(inputs=inputs, outputs=outputs, **kwargs)

    def logits(self, decoder_outputs):
        """The output layer: what the decoder gives, [..., D], to logits [..., V]."""
        if self.output_layer is None:
            return self.backbone.target_embedding(decoder_outputs, reverse=True)
        return self.output_layer(decoder_outputs)

    def decode(self, inputs):
        """Teacher-forced pass: logits float [B, T, V] and alignments float [B, T, S]."""
        backbone = self.backbone
        memory_mask = inputs["encoder_padding_mask"]
        memory, decoder_state = backbone.encode(inputs["encoder_token_ids"], memory_mask)
        outputs, alignments = backbone.decoder(
            backbone.embed_target(inputs["decoder_token_ids"]),
            memory,
            memory_mask=memory_mask,
            initial_state=decoder_state,
            return_alignments=True,
        )
        return self.logits(backbone.finish(outputs)), alignments

    def make_next(self, inputs, with_alignments: bool):
        """Encode and prepare once; then `next` takes one step for each token.

        Returns:
            `next`, as samplers call it, and the cache before the first step. The memory is in the
            cache of no step: the hypotheses of a beam share it.
        """
        backbone = self.backbone
        memory_mask = inputs["encoder_padding_mask"]
        memory, decoder_state = backbone.encode(inputs["encoder_token_ids"], memory_mask)
        cell = backbone.decoder.cell
        prepared = cell.prepare(memory, memory_mask)
        bound = cell.bind(prepared)
        cache = {"state": cell.initial_state(prepared, cell_state=decoder_state)}
        if with_alignments:
            cache["alignments"] = ops.zeros(ops.shape(memory)[:2], dtype=backbone.compute_dtype)
            cache["memory_mask"] = ops.cast(memory_mask, "bool")

        def next(prompt, cache, index):
            previous = ops.take(prompt, index - 1, axis=1)[:, None]  # [R, 1]
            projected = bound.project(backbone.embed_target(previous))[:, 0]
            output, alignments, state = bound.step(projected, cache["state"])
            hidden = backbone.finish(bound.read_out(output))
            cache = {**cache, "state": state}
            if with_alignments:
                cache["alignments"] = alignments
            return self.logits(hidden), hidden, cache

        return next, cache
