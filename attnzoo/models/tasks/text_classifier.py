"""What every text classifier shares: training, classes with probabilities, alignments, saliency."""

import keras
import keras_hub
import numpy as np
from keras import ops

from attnzoo.checks import check_positive
from attnzoo.models.tasks.labelled_text import LabelledTextMixin
from attnzoo.models.tasks.saliency import after_embedding, saliency
from attnzoo.models.tasks.text import to_the_longest


class TextClassifierTask(LabelledTextMixin, keras_hub.models.TextClassifier):
    """Base of the text classifiers: one class for a text.

    A subclass's `read` gives `logits` float [B, C], and `alignments` float [B, H, S], where H views
    of the text looked. Where alignments cost more, another method gives both, and
    `alignments_door` is its name. Its `finish(outputs, padding_mask)` gives the logits of the
    backbone's `sequence_output`. The rest is here and in `LabelledTextMixin`.
    """

    labels_in_rows = False
    alignments_door = "read"
    _after_embedding = None

    def compile(self, *args, metrics=None, **kwargs):
        """Configure training, as `TaskMixin.compile` does."""
        super().compile(*args, metrics=metrics, **kwargs)

    def make_accuracy(self):
        """The metric that "auto" stands for."""
        return keras.metrics.SparseCategoricalAccuracy(name="accuracy")

    def classify(
        self,
        texts,
        *,
        return_probabilities: bool = False,
        return_alignments: bool = False,
        batch_size: int = 32,
    ):
        """The most probable class of each text.

        Args:
            texts: A string or strings; without a preprocessor, the backbone's inputs.
            return_probabilities: Whether to return the probability of each class too.
            return_alignments: Whether to return the alignments too.
            batch_size: How many texts at a time. At least 1.

        Returns:
            A list of class names, or of ids where classes have none; for one string, one of them.
            With `return_probabilities` or `return_alignments` a dict of `"labels"`, a list,
            `"probabilities"` float32 [B, C] and `"alignments"` float32 [B, H, S], as asked for.

        Raises:
            ValueError: If there is no text, one is empty, or a token id is outside the vocabulary.
        """
        is_one = isinstance(texts, (str, bytes))
        door = self.alignments_door if return_alignments else "read"
        results = self.run([texts] if is_one else texts, batch_size, door)
        labels = self.labels.names(results["probabilities"].argmax(axis=-1))
        if not (return_probabilities or return_alignments):
            return labels[0] if is_one else labels
        asked = {"probabilities": return_probabilities, "alignments": return_alignments}
        if return_alignments:
            results["alignments"] = to_the_longest(results)
        return {"labels": labels, **{n: results[n] for n, wanted in asked.items() if wanted}}

    def alignments(self, texts, *, batch_size: int = 32):
        """Where each view of each text looked.

        Args:
            texts: As in `classify`.
            batch_size: How many texts at a time. At least 1.

        Returns:
            float32 [B, H, S], a NumPy array: rows sum to 1 over a text's tokens, with the special
            ones as `preprocessor.tokens(text)` names them. Padding is 0.

        Raises:
            ValueError: As in `classify`.
        """
        texts = [texts] if isinstance(texts, (str, bytes)) else texts
        return to_the_longest(self.run(texts, batch_size, self.alignments_door))

    def saliency(
        self,
        texts,
        *,
        class_name: str | int | None = None,
        steps: int = 1,
        batch_size: int = 32,
    ):
        """How much each token speaks for a class: gradient times input, or integrated gradients.

        A token's score is the sum over the features of its embedding of the feature times the
        gradient of the class's logit. Above 0 it speaks for the class, below against it. That is
        true to first order only, and where a model is sure of itself it may be quite wrong: more
        `steps` average the gradient on the way from no embedding to the whole one, and then the
        scores of a text sum to about what its tokens, all together, changed in the logit. (Not
        where a norm comes first and no position is added to the embedding: its output jumps at 0.)

        Args:
            texts: As in `classify`.
            class_name: The class, by name or by id; None is each text's most probable one.
            steps: Places where the gradient is taken, at least 1: the embedding itself if 1, else
                the middles of as many equal parts of the way. 20 are usual.
            batch_size: How many texts at a time. At least 1.

        Returns:
            dict of `"tokens"`, for each text a list of strings (not without a preprocessor);
            `"saliency"` float32 [B, S], a NumPy array, in nats, 0 at padding; and `"labels"`, the
            class that each row is about, as `classify` names it.

        Raises:
            ValueError: As in `classify`, or if the class is unknown or `steps` below 1.

        References:
            [Simonyan et al., 2014](https://arxiv.org/abs/1312.6034).
            [Li et al., 2016](https://arxiv.org/abs/1506.01066).
            [Sundararajan et al., 2017](https://arxiv.org/abs/1703.01365) (more steps).
        """
        check_positive(steps=steps)
        texts = [texts] if isinstance(texts, (str, bytes)) else texts
        if class_name is None:
            class_ids = self.run(texts, batch_size)["probabilities"].argmax(axis=-1)
        else:
            texts = self.check_read(texts)
            count = len(texts["token_ids"] if self.preprocessor is None else texts)
            class_ids = np.full(count, self.labels.ids(class_name))
        with self.compiled_methods.lock:
            if self._after_embedding is None:
                self._after_embedding = after_embedding(self.backbone)
        by_token = 0.0
        for fraction in [1.0] if steps == 1 else (np.arange(steps) + 0.5) / steps:
            more = {
                "class_ids": class_ids.astype("int32"),
                "fractions": np.full(len(class_ids), fraction, "float32"),
            }
            found = self.run(texts, batch_size, "explain", **more)
            by_token = by_token + to_the_longest(found, "saliency") / steps
        results = {"saliency": by_token, "labels": self.labels.names(class_ids)}
        if self.preprocessor is None:
            return results
        return {"tokens": [self.preprocessor.tokens(text) for text in texts], **results}

    def explain(self, inputs):
        """Saliency float32 [B, S] for the classes `class_ids` int [B]: a dict.

        The gradient is taken where there is as much of each text as `fractions` float [B] says.
        """
        mask = ops.convert_to_tensor(inputs["padding_mask"])  # With tensors, it must be one too.
        is_chosen = ops.one_hot(inputs["class_ids"], self.num_classes)  # [B, C]

        def score(embedded):
            outputs = self._after_embedding(embedded, mask)["sequence_output"]
            logits = ops.cast(self.finish(outputs, mask), "float32")
            # No text's logits depend on another text: the sum's gradient has those of each.
            return ops.sum(logits * is_chosen)

        embedded = self.backbone.token_embedding(inputs["token_ids"])
        by_token = saliency(score, embedded, inputs["fractions"])
        return {"saliency": by_token * ops.cast(mask, "float32")}

    def reads(self, door):
        """The names of what a method that reads takes."""
        return [*super().reads(door), *(["class_ids", "fractions"] if door == "explain" else [])]
