"""Base of the backbones with a recurrent decoder that attends to a memory, whatever the source."""

import os

import keras
from keras import ops

from attnzoo.models.parts.backbone import Backbone

# The unknown token's id in the tokenizers of attnzoo; a pointer-generator supports no others.
UNKNOWN_TOKEN_ID = 1


class RecurrentDecoderBackbone(Backbone):
    """Base of the backbones that decode with recurrent cells and attention.

    A subclass defines the side of its source, `encode_source(inputs)` and `memory_mask(inputs)`,
    and makes the layers of the decoder: `target_embedding`, `embedding_dropout`, `decoder` (an
    `AttentionRNN`), `state_bridge`, `readout_dropout` and `tied_projection`.
    """

    decoder: keras.layers.Layer
    marginal = False  # Whether the output layer reads out every place of the memory.
    pointer_generator = False
    tie_embeddings = False  # Whether the output layer is the transposed target embedding.
    tied_projection: keras.layers.Layer | None = None

    def encode_source(self, inputs: dict):
        """Return the memory float [B, S, D], and the decoder cell's first states."""
        raise NotImplementedError(f"`{type(self).__name__}` must implement `encode_source`.")

    def memory_mask(self, inputs: dict):
        """Return the mask of the memory bool [B, S], or None if every place is real."""
        raise NotImplementedError(f"`{type(self).__name__}` must implement `memory_mask`.")

    @property
    def needs_alignments(self) -> bool:
        """Whether a pass of the network gives alignments."""
        return self.marginal or self.pointer_generator

    def connect(self, inputs: dict) -> dict:
        """Return the outputs of the network for its inputs."""
        with_alignments = self.needs_alignments
        memory, decoder_state = self.encode_source(inputs)
        outputs = self.decoder(
            self.embed_target(inputs["decoder_token_ids"]),
            memory,
            memory_mask=self.memory_mask(inputs),
            initial_state=decoder_state,
            return_alignments=with_alignments,
            inputs_mask=inputs["decoder_padding_mask"],
        )
        outputs, alignments = outputs if with_alignments else (outputs, None)
        return {
            "encoder_sequence_output": memory,
            "decoder_sequence_output": self.readout(outputs),
            **({"alignments": alignments} if with_alignments else {}),
        }

    def embed_target(self, token_ids):
        """Return the embeddings float [B, T, embedding_dim] of target tokens int [B, T]."""
        if self.pointer_generator:
            known = token_ids < self.target_embedding.input_dim
            token_ids = ops.where(known, token_ids, UNKNOWN_TOKEN_ID)
        return self.embedding_dropout(self.target_embedding(token_ids))

    def readout(self, decoder_outputs):
        """Return the inputs of the output layer, for decoder outputs of any number of steps."""
        if self.marginal:
            return decoder_outputs  # The output layer has a readout for each place.
        outputs = self.readout_dropout(decoder_outputs)
        return outputs if self.tied_projection is None else self.tied_projection(outputs)

    # === Decoding ===

    def logits(self, output_layer, inputs, outputs, memory, alignments=None, **kwargs):
        """Return logits [B, T, V] for the readouts [B, T, D] of all steps."""
        if not output_layer.needs_alignments:
            return output_layer(outputs)
        return output_layer(
            outputs,
            memory,
            alignments,
            memory_mask=self.memory_mask(inputs),
            token_ids=inputs["decoder_token_ids"],
            copy_token_ids=inputs.get("copy_token_ids"),
            **kwargs,
        )

    def decode(self, output_layer, inputs, encoded):
        """Return logits float [B, T, V] and alignments float [B, T, S], teacher-forced.

        Args:
            output_layer: The task's output layer.
            inputs: The inputs, with known targets.
            encoded: `encode_source(inputs)`.
        """
        memory, decoder_state = encoded
        outputs, alignments = self.decoder(
            self.embed_target(inputs["decoder_token_ids"]),
            memory,
            memory_mask=self.memory_mask(inputs),
            initial_state=decoder_state,
            return_alignments=True,
        )
        outputs = self.readout(outputs)
        if output_layer.needs_alignments:
            return self.logits(
                output_layer, inputs, outputs, memory, alignments, return_alignments=True
            )
        return self.logits(output_layer, inputs, outputs, memory), alignments

    def prepare_decoding(self, output_layer, inputs, encoded, with_alignments: bool):
        """Return what depends on the source alone, and the cache before the first step.

        Args:
            output_layer: The task's output layer.
            inputs: The inputs, with the prompts.
            encoded: `encode_source(inputs)`.
            with_alignments: Whether the cache has the alignments of the last step.
        """
        memory, decoder_state = encoded
        memory_mask = self.memory_mask(inputs)
        cell = self.decoder.cell
        attention = cell.prepare(memory, memory_mask)
        output = output_layer.prepare(memory, memory_mask, inputs.get("copy_token_ids"))
        cache = {
            "state": cell.initial_state(attention, cell_state=decoder_state),
            "output": output_layer.initial_state(output),
        }
        if with_alignments:
            places = ops.shape(memory)[:2]
            cache["alignments"] = ops.zeros(places, dtype=cell.compute_dtype)
            every = ops.ones(places, "bool") if memory_mask is None else memory_mask
            cache["memory_mask"] = ops.cast(every, "bool")
        return {"attention": attention, "output": output}, cache

    def bind_next(self, output_layer, prepared, hypotheses: int | None = None):
        """Return the function `next` that decodes one step, as samplers call it.

        Args:
            output_layer: The task's output layer.
            prepared: The first result of `prepare_decoding`.
            hypotheses: K, the rows of each source, or None if it is not known.
        """
        bound = self.decoder.cell.bind(prepared["attention"], hypotheses=hypotheses)

        def next(prompt, cache, index):
            previous = ops.take(prompt, index - 1, axis=1)  # [R]
            projected = bound.project(self.embed_target(previous[:, None]))[:, 0]
            outputs, alignments, state = bound.step(projected, cache["state"])
            hidden = self.readout(bound.read_out(outputs))
            logits, alignments, remembered = output_layer.step(
                hidden, alignments, previous, prepared["output"], cache["output"]
            )
            if "alignments" in cache:
                cache = {**cache, "alignments": alignments}
            return logits, hidden, {**cache, "state": state, "output": remembered}

        return next

    # === Low-rank adaptation ===

    def save_lora_weights(self, filepath: str | os.PathLike):
        """Raise: KerasHub's file can hold kernels only, and here embeddings are adapted."""
        raise NotImplementedError(
            "KerasHub saves the low-rank weights of kernels, and a recurrent network has them at "
            "its embeddings. Save the task or the backbone with `save_to_preset`, which adds them "
            f"to these. Received: filepath={filepath!r}"
        )

    def load_lora_weights(self, filepath: str | os.PathLike):
        """Raise: there is no such file, as `save_lora_weights` explains."""
        self.save_lora_weights(filepath)


def set_coverage_loss(backbone: RecurrentDecoderBackbone, weight: float):
    """Set the weight of the coverage loss of each attention with coverage; raise if none has it."""
    attentions = backbone.decoder.cell.attentions
    covering = [one for one in attentions if one.has_coverage]
    if weight and not covering:
        raise ValueError(
            "A coverage loss needs an attention that keeps a coverage: make the backbone with "
            '`attention="coverage"` or a `CoverageAttention`. Received: '
            f"coverage_loss={weight} with {', '.join(map(repr, attentions))}"
        )
    for one in covering:
        one.coverage_loss = weight
