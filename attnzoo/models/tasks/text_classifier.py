"""Base of text classifiers: classes with probabilities, alignments, saliency."""

from typing import Any

import keras
import keras_hub
import numpy as np
from keras import ops

from attnzoo.checks import check_positive
from attnzoo.models.parts.pooling import pooling_weights
from attnzoo.models.preprocessing.class_labels import ClassLabels
from attnzoo.models.tasks.base import Task
from attnzoo.models.tasks.labelled import check_labels_of, labelled_samples
from attnzoo.models.tasks.reading import count_texts, cut_padding, read_texts
from attnzoo.models.tasks.saliency import after_embedding, saliency


class TextClassifierTask(Task, keras_hub.models.TextClassifier):
    """Base of the text classifiers: one class for a text.

    A subclass has `pool`, a function of memory float [B, S, D] and its mask bool [B, S] to float
    [B, D], which with `return_alignments=True` also returns the weights of the rows, float
    [B, H, S]. Its `head` returns `logits` float [B, C]. `alignments_method` names the method that
    returns the alignments with the logits.
    """

    targets_name = "Labels"
    has_classes = True
    labels: ClassLabels
    labels_in_rows = False
    alignments_method = "read"
    _after_embedding: Any = None  # A model, once saliency is asked for.

    @property
    def class_names(self) -> list[str] | None:
        """The names of the classes in the order of ids, or None if they have no names."""
        return self.labels.class_names

    @property
    def num_classes(self) -> int:
        """C, the number of classes."""
        return self.labels.num_classes

    def make_accuracy(self):
        """Return the metric that "auto" stands for."""
        return keras.metrics.SparseCategoricalAccuracy(name="accuracy")

    def make_samples(self, x, y=None, sample_weight=None):
        """Return texts, the ids of their labels and weights as arrays."""
        return labelled_samples(self, *super().make_samples(x, y, sample_weight))

    def check_dataset(self, dataset):
        """Raise if a dataset has no texts and labels, or has labels outside the classes."""
        super().check_dataset(dataset)
        check_labels_of(self, dataset)

    def head(self, outputs, inputs: dict) -> dict:
        """Return the logits float [B, C] for the backbone's output."""
        pooled = self.pool(outputs, inputs["padding_mask"])
        return {"logits": self.output_dense(self.output_dropout(pooled))}

    def classify(
        self,
        texts,
        *,
        return_probabilities: bool = False,
        return_alignments: bool = False,
        batch_size: int = 32,
    ):
        """Return the most probable class of each text.

        Args:
            texts: A string or strings; without a preprocessor, the backbone's inputs.
            return_probabilities: Whether to also return the probability of each class.
            return_alignments: Whether to also return the alignments.
            batch_size: Number of texts in a batch. At least 1.

        Returns:
            A list of class names, or of ids if classes have no names; for a single string, its
            class.
            With `return_probabilities` or `return_alignments` a dict of `"labels"`, a list,
            `"probabilities"` float32 [B, C] and `"alignments"` float32 [B, H, S], as asked for.

        Raises:
            ValueError: If there is no text, one is empty, or a token id is outside the vocabulary.
        """
        is_one = isinstance(texts, (str, bytes))
        method = self.alignments_method if return_alignments else "read"
        results = read_texts(self, texts, batch_size, method)
        labels = self.labels.names(results["probabilities"].argmax(axis=-1))
        if not (return_probabilities or return_alignments):
            return labels[0] if is_one else labels
        asked = {"probabilities": return_probabilities, "alignments": return_alignments}
        if return_alignments:
            results["alignments"] = cut_padding(results)
        return {"labels": labels, **{n: results[n] for n, wanted in asked.items() if wanted}}

    def alignments(self, texts, *, batch_size: int = 32):
        """Return the alignments of each head, or those of the pooling.

        Args:
            texts: As in `classify`.
            batch_size: Number of texts in a batch. At least 1.

        Returns:
            As `head_alignments` if the backbone has heads; else as `pooling_alignments`.

        Raises:
            ValueError: As in `classify`.
        """
        if self.backbone.has_heads:
            return self.head_alignments(texts, batch_size=batch_size)
        return self.pooling_alignments(texts, batch_size=batch_size)

    def pooling_alignments(self, texts, *, batch_size: int = 32):
        """Return the weight of each token's vector in each pooled vector of the text.

        With `pooling="attention"`, as in a recurrent classifier, the weights are learned; with
        `"mean"` all tokens have the same weight, and with `"first"` only the first token has a
        weight. Multiplied with the rollout of `head_alignments` (see
        `attnzoo.analysis.attention_rollout`) they are the contributions of the input tokens.

        Args:
            texts: As in `classify`.
            batch_size: Number of texts in a batch. At least 1.

        Returns:
            float32 [B, H, S], a NumPy array for H views, 1 for a Transformer: rows sum to 1 over a
            text's tokens, special tokens included (see `preprocessor.tokens(text)`). Padding is 0.

        Raises:
            ValueError: As in `classify`.
        """
        return cut_padding(read_texts(self, texts, batch_size, "read_pooling"))

    def read_pooling(self, inputs: dict) -> dict:
        """Return a dict of the pooling weights float [B, H, S] of the backbone's output."""
        return {"alignments": pooling_weights(self, inputs)}

    def saliency(
        self,
        texts,
        *,
        class_name: str | int | None = None,
        steps: int = 1,
        batch_size: int = 32,
    ):
        """Return the contribution of each token to a class, by gradients.

        One step is gradient times input; more steps are integrated gradients.

        A token's score is the sum over the features of its embedding of the feature times the
        gradient of the class's logit. A score above 0 is evidence for the class, below 0 against
        it. This is a first-order approximation, which may be quite wrong if the model is very
        confident. More `steps` average the gradient on the line from a zero embedding to the actual
        one; the scores of a text then sum approximately to the change of the logit between the two.
        (This does not hold if a norm comes first and no position is added to the embedding: the
        norm is discontinuous at 0.)

        Args:
            texts: As in `classify`.
            class_name: The class, by name or by id; None is the most probable class of each text.
            steps: Number of points at which the gradient is taken, at least 1: the embedding itself
                if 1, else the midpoints of equal intervals of the line. 20 is usual.
            batch_size: Number of texts in a batch. At least 1.

        Returns:
            dict of `"tokens"`, for each text a list of strings (not without a preprocessor);
            `"saliency"` float32 [B, S], a NumPy array, in nats, 0 at padding; and `"labels"`, the
            class of each row, as in `classify`.

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
            class_ids = read_texts(self, texts, batch_size)["probabilities"].argmax(axis=-1)
        else:
            texts = self.check_inputs(texts)
            class_ids = np.full(count_texts(self, texts), self.labels.id(class_name))
        with self.compiled_methods.lock:
            if self._after_embedding is None:
                self._after_embedding = after_embedding(self.backbone)
        by_token = 0.0
        for fraction in [1.0] if steps == 1 else (np.arange(steps) + 0.5) / steps:
            more = {
                "class_ids": class_ids.astype("int32"),
                "fractions": np.full(len(class_ids), fraction, "float32"),
            }
            found = read_texts(self, texts, batch_size, "explain", **more)
            by_token = by_token + cut_padding(found, "saliency") / steps
        results = {"saliency": by_token, "labels": self.labels.names(class_ids)}
        if self.preprocessor is None:
            return results
        return {"tokens": [self.preprocessor.tokens(text) for text in texts], **results}

    def explain(self, inputs):
        """Return a dict of the saliency float32 [B, S] for the classes `class_ids` int [B].

        The gradient is taken at the embeddings times `fractions` float [B].
        """
        mask = ops.convert_to_tensor(inputs["padding_mask"])  # All inputs must be tensors.
        is_chosen = ops.one_hot(inputs["class_ids"], self.num_classes)  # [B, C]

        def score(embedded):
            outputs = self._after_embedding(embedded, mask)["sequence_output"]
            logits = self.head(outputs, {"padding_mask": mask})["logits"]
            # Texts are independent, so the gradient of the sum holds the gradient of each text.
            return ops.sum(ops.cast(logits, "float32") * is_chosen)

        embedded = self.backbone.token_embedding(inputs["token_ids"])
        by_token = saliency(score, embedded, inputs["fractions"])
        return {"saliency": by_token * ops.cast(mask, "float32")}

    def inputs_of(self, method):
        """Return the names of the inputs of a method such as `read`."""
        more = ["class_ids", "fractions"] if method == "explain" else []
        return [*super().inputs_of(method), *more]
