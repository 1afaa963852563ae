"""What every text classifier shares: training, classes with probabilities, alignments."""

import keras
import keras_hub

from attnzoo.models.labelled_text_task import LabelledTextMixin
from attnzoo.models.text_task import to_the_longest


class TextClassifierTask(LabelledTextMixin, keras_hub.models.TextClassifier):
    """Base of the text classifiers: one class for a text.

    A subclass's `read` gives `logits` float [B, C], and `alignments` float [B, H, S], where H views
    of the text looked. Where alignments cost more, another method gives both, and
    `alignments_door` is its name. The rest is here and in `LabelledTextMixin`.
    """

    alignments_door = "read"

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
