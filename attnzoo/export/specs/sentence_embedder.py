"""Serving spec of the sentence embedder: a vector for a text."""

from attnzoo.export.specs.text import TextSpec
from attnzoo.models.transformer_encoder.sentence_embedder import TransformerSentenceEmbedder


class SentenceEmbedderSpec(TextSpec):
    """A SavedModel that embeds texts.

    It takes the inputs of `TextSpec`, and gives `embeddings`, float32 [B, D], of unit length.

    Args:
        task, inputs, return_alignments: As in `TextSpec`.
    """

    task_cls = TransformerSentenceEmbedder
    kind = "sentence_embedder"
    portable_names = {**TextSpec.portable_names, "embeddings": "vectors"}

    def graph_outputs(self, results):
        return {"embeddings": results["embeddings"]}

    def live_outputs(self, results, verify):
        return {"embeddings": results["embeddings"]}
