"""The task: training on pairs of strings, generation, alignments, and export."""

import keras
from keras import ops

from attnzoo.layers.output import PointerGenerator, TiedLogits, TokenLogits
from attnzoo.models.parts.policies import policy_for
from attnzoo.models.rnn_seq2seq.backbone import RNNSeq2SeqBackbone
from attnzoo.models.rnn_seq2seq.preprocessor import RNNSeq2SeqLMPreprocessor
from attnzoo.models.tasks.seq2seq import Seq2SeqTask


@keras.saving.register_keras_serializable(package="attnzoo")
class RNNSeq2SeqLM(Seq2SeqTask):
    """Sequence transduction with a recurrent encoder and a recurrent decoder with attention.

    Args:
        backbone: An `RNNSeq2SeqBackbone`.
        preprocessor: An `RNNSeq2SeqLMPreprocessor`, or None to work on token ids.

    Call arguments:
        The backbone's inputs.

    Returns:
        float [B, T, V]. Logits of the next target token. With a pointer-generator [B, T, V + S]:
        the last S are symbols of the source outside the vocabulary, by their first position.

    Raises:
        ValueError: If a tokenizer has more tokens than the backbone, or only one of backbone and
            preprocessor has a pointer-generator.

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
        [See et al., 2017](https://arxiv.org/abs/1704.04368) (pointer-generator).
    """

    backbone_cls = RNNSeq2SeqBackbone
    preprocessor_cls = RNNSeq2SeqLMPreprocessor
    _asked_coverage_loss = None

    def __init__(
        self,
        backbone: RNNSeq2SeqBackbone,
        preprocessor: RNNSeq2SeqLMPreprocessor | None = None,
        **kwargs,
    ):
        if preprocessor is not None:
            preprocessor.check_backbone(backbone)

        # === Layers ===
        self.backbone = backbone
        self.preprocessor = preprocessor
        self.output_layer = make_output_layer(backbone)

        # === Functional Model ===
        inputs = backbone.input
        decoded = backbone(inputs)
        outputs = self.logits(
            inputs,
            decoded["decoder_sequence_output"],
            decoded["encoder_sequence_output"],
            decoded.get("alignments"),
        )
        super().__init__(inputs=inputs, outputs=outputs, **kwargs)

    def check_loss(self, loss, label_smoothing: float):
        """Raise if labels are smoothed for a pointer-generator."""
        smoothing = label_smoothing or getattr(loss, "smoothing", 0.0)
        if self.backbone.pointer_generator and smoothing:
            raise ValueError(
                "A pointer-generator gives most ids of a batch no probability, so labels cannot be "
                "smoothed over them: use `label_smoothing=0`. Received: "
                f"label_smoothing={smoothing}"
            )

    def set_coverage_loss(self, weight):
        """Set the weight of the coverage loss of each attention with coverage."""
        attentions = self.backbone.decoder.cell.attentions
        covering = [one for one in attentions if one.has_coverage]
        if weight and not covering:
            raise ValueError(
                "A coverage loss needs an attention that keeps a coverage: make the backbone with "
                '`attention="coverage"` or a `CoverageAttention`. Received: '
                f"coverage_loss={weight} with {', '.join(map(repr, attentions))}"
            )
        for one in covering:
            one.coverage_loss = weight
        self._asked_coverage_loss = weight

    def task_compile_config(self):
        """Return the part of the compile config that is specific to this task."""
        return {**super().task_compile_config(), "coverage_loss": self._asked_coverage_loss}

    def logits(self, inputs, outputs, memory, alignments=None, **kwargs):
        """Return logits [B, T, V] for the decoder's outputs [B, T, D] of all steps."""
        if not self.output_layer.needs_alignments:
            return self.output_layer(outputs)
        return self.output_layer(
            outputs,
            memory,
            alignments,
            memory_mask=inputs["encoder_padding_mask"],
            token_ids=inputs["decoder_token_ids"],
            copy_token_ids=inputs.get("copy_token_ids"),
            **kwargs,
        )

    def encode(self, inputs):
        """Return the memory float [B, S, D], and the decoder cell's first states."""
        return self.backbone.encode(inputs["encoder_token_ids"], inputs["encoder_padding_mask"])

    def decode(self, inputs, encoded=None):
        """Return logits float [B, T, V] and alignments float [B, T, S], teacher-forced."""
        backbone = self.backbone
        memory_mask = inputs["encoder_padding_mask"]
        memory, decoder_state = self.encode(inputs) if encoded is None else encoded
        outputs, alignments = backbone.decoder(
            backbone.embed_target(inputs["decoder_token_ids"]),
            memory,
            memory_mask=memory_mask,
            initial_state=decoder_state,
            return_alignments=True,
        )
        outputs = backbone.readout(outputs)
        if self.output_layer.needs_alignments:
            return self.logits(inputs, outputs, memory, alignments, return_alignments=True)
        return self.logits(inputs, outputs, memory), alignments

    def prepare_decoding(self, inputs, with_alignments: bool, encoded=None):
        """Return what depends on the source alone, and the cache before the first step."""
        memory_mask = inputs["encoder_padding_mask"]
        memory, decoder_state = self.encode(inputs) if encoded is None else encoded
        cell = self.backbone.decoder.cell
        attention = cell.prepare(memory, memory_mask)
        output = self.output_layer.prepare(memory, memory_mask, inputs.get("copy_token_ids"))
        cache = {
            "state": cell.initial_state(attention, cell_state=decoder_state),
            "output": self.output_layer.initial_state(output),
        }
        if with_alignments:
            cache["alignments"] = ops.zeros(ops.shape(memory)[:2], dtype=cell.compute_dtype)
            cache["memory_mask"] = ops.cast(memory_mask, "bool")
        return {"attention": attention, "output": output}, cache

    def bind_next(self, prepared, hypotheses: int | None = None):
        """Return the function `next` that decodes one step, for a prepared source."""
        backbone = self.backbone
        bound = backbone.decoder.cell.bind(prepared["attention"], hypotheses=hypotheses)

        def next(prompt, cache, index):
            previous = ops.take(prompt, index - 1, axis=1)  # [R]
            projected = bound.project(backbone.embed_target(previous[:, None]))[:, 0]
            outputs, alignments, state = bound.step(projected, cache["state"])
            hidden = backbone.readout(bound.read_out(outputs))
            logits, alignments, remembered = self.output_layer.step(
                hidden, alignments, previous, prepared["output"], cache["output"]
            )
            if "alignments" in cache:
                cache = {**cache, "alignments": alignments}
            return logits, hidden, {**cache, "state": state, "output": remembered}

        return next


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
