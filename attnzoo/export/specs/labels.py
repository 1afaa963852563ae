"""Serving specs of tasks with labels: a class for a text, a tag for each word."""

import numpy as np

from attnzoo.export.specs.text import TextSpec, pad_ragged
from attnzoo.models.preprocessing.forms import form
from attnzoo.models.tasks.text_classifier import TextClassifierTask
from attnzoo.models.tasks.token_tagger import TokenTaggerTask


class _LabelSpec(TextSpec):
    """Base of both: labels by name, or by id if they have no names."""

    portable_names = {**TextSpec.portable_names, "labels": None}

    def __init__(self, task, inputs, *, return_alignments: bool = False):
        super().__init__(task, inputs, return_alignments=return_alignments)
        self.none = -1 if task.class_names is None else ""
        self.padding["labels"] = self.none

    def label_in_graph(self, probabilities):
        """Return the most probable labels for probabilities float [..., C]."""
        import tensorflow as tf

        return self.name_in_graph(tf.argmax(probabilities, axis=-1, output_type=tf.int32))

    def name_in_graph(self, ids):
        """Return the labels for ids [...]."""
        import tensorflow as tf

        ids, names = tf.cast(ids, tf.int32), self.task.class_names
        return ids if names is None else tf.gather(tf.constant(names), ids)

    def label(self, probabilities):
        """Return the most probable labels for an array of probabilities."""
        return self.name(probabilities.argmax(axis=-1))

    def name(self, ids):
        """Return the labels for an array of ids."""
        return np.array(self.task.labels.names(ids.ravel())).reshape(ids.shape)

    def expected(self, live, row, exported):
        """Return the live model's row, with the labels that the exported probabilities select."""
        probabilities = exported["probabilities"]
        real = probabilities.sum(axis=-1) > 0
        labels = np.where(real, self.label(probabilities), self.none)
        return {**super().expected(live, row, exported), "labels": labels}


class TextClassifierSpec(_LabelSpec):
    """A SavedModel that classifies texts.

    It takes what `TextSpec` says, and gives

    - `labels`: string [B], the most probable class; int32 [B], its id, if classes have no names;
    - `probabilities`: float32 [B, C];
    - `alignments`: float32 [B, H, S], the alignments of each view of the text, for an
      `RNNTextClassifier`; float32 [B, L, N, S, S] for a `TransformerTextClassifier` with
      `return_alignments=True`.

    Args:
        task, inputs, return_alignments: As in `TextSpec`.
    """

    task_cls = TextClassifierTask
    kind = "text_classifier"

    def graph_outputs(self, results):
        probabilities = results["probabilities"]
        return {"labels": self.label_in_graph(probabilities), "probabilities": probabilities}

    def live_outputs(self, results, verify):
        probabilities = results["probabilities"]
        return {"labels": self.label(probabilities), "probabilities": probabilities}


class TokenTaggerSpec(_LabelSpec):
    """A SavedModel that tags words.

    It takes what `TextSpec` says. With `inputs="text"` it gives

    - `words`: string [B, W], the words of each text, then empty strings;
    - `labels`: string [B, W], the most probable tag of each word, then empty strings; int32 [B, W],
      its id, then -1, if tags have no names;
    - `probabilities`: float32 [B, W, C], then zeros;
    - `lengths`: int32 [B], the number of words, without those lost by truncation.

    With `inputs="ids"` it gives `labels` [B, S] and `probabilities` [B, S, C] of all real tokens.

    Args:
        task, inputs, return_alignments: As in `TextSpec`.
    """

    task_cls = TokenTaggerTask
    kind = "token_tagger"

    def __init__(self, task, inputs, *, return_alignments: bool = False):
        if inputs == "ids" and getattr(task.backbone, "spelling_dim", None) is not None:
            raise ValueError(
                'A backbone that reads the spelling of words needs texts: use `inputs="text"`. '
                f'Received: inputs="ids", spelling_dim={task.backbone.spelling_dim}'
            )
        super().__init__(task, inputs, return_alignments=return_alignments)

    def pack_text(self, given):
        return {**super().pack_text(given), "text": given["text"]}

    def complete_inputs(self, packed):
        return {**packed, "is_tagged": packed["padding_mask"]}

    def pack_live(self, verify):
        packed = super().pack_live(verify)
        # Without texts there are no words: all real tokens have tags.
        return self.complete_inputs(packed) if self.inputs == "ids" else packed

    def label_of_results(self, results):
        """Return the labels in the graph; those of a CRF are the best together."""
        if "tags" not in results:
            return self.label_in_graph(results["probabilities"])
        return self.name_in_graph(results["tags"])

    def expected(self, live, row, exported):
        """Return the live model's row; only without a CRF do probabilities select labels."""
        if self.task.crf is None:
            return super().expected(live, row, exported)
        return super(_LabelSpec, self).expected(live, row, exported)

    def graph_outputs(self, results):
        import tensorflow as tf

        probabilities = results["probabilities"]  # [B, S, C]
        if self.inputs == "ids":
            real = results["padding_mask"]
            labels = tf.where(real, self.label_of_results(results), self.none)
            return {
                "labels": labels,
                "probabilities": tf.where(real[:, :, None], probabilities, 0.0),
            }
        tagged = results["is_tagged"]
        by_word = tf.ragged.boolean_mask(probabilities, tagged)  # [B, (W), C]
        labels = tf.ragged.boolean_mask(self.label_of_results(results), tagged)
        lengths = tf.reduce_sum(tf.cast(tagged, tf.int32), axis=1)
        words = form().split_words(results["text"]).to_tensor("")
        words = words[:, : tf.reduce_max(lengths)]
        real = tf.sequence_mask(lengths, tf.shape(words)[1])
        return {
            "words": tf.where(real, words, ""),
            "labels": labels.to_tensor(self.none),
            "probabilities": by_word.to_tensor(0.0),
            "lengths": lengths,
        }

    def live_outputs(self, results, verify):
        ids = self.inputs == "ids"
        tagged = results["padding_mask" if ids else "is_tagged"].astype(bool)
        tags = results.get("tags", results["probabilities"].argmax(axis=-1))  # [B, S]
        if ids:
            probabilities = results["probabilities"] * tagged[:, :, None]
            labels = np.where(tagged, self.name(tags), self.none)
            return {"labels": labels, "probabilities": probabilities}
        lengths = tagged.sum(axis=1)
        by_word = [row[real] for row, real in zip(results["probabilities"], tagged, strict=True)]
        words = [
            np.array(row[:length], "U")
            for row, length in zip(form().split_words(verify), lengths, strict=True)
        ]
        return {
            "words": pad_ragged(words, ""),
            "labels": pad_ragged(
                [self.name(row[real]) for row, real in zip(tags, tagged, strict=True)], self.none
            ),
            "probabilities": pad_ragged(by_word),
            "lengths": lengths,
        }
