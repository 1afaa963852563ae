"""The sentence embedder: a vector for a text."""

from attnzoo.export.specs.text import ServedReader
from attnzoo.models.transformer_encoder.sentence_embedder import TransformerSentenceEmbedder


class ServedSentenceEmbedder(ServedReader):
    """A SavedModel that embeds texts.

    It takes what `ServedReader` says, and gives `embeddings`, float32 [B, D], of unit length.

    Args:
        task, inputs, return_alignments: As in `ServedReader`.
    """

    task_cls = TransformerSentenceEmbedder

    def read_out(self, results):
        return {"embeddings": results["embeddings"]}

    def read_out_live(self, results, verify):
        return {"embeddings": results["embeddings"]}
