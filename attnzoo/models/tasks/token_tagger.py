"""Base of token taggers: a tag for each word with its probability."""

import keras_hub

from attnzoo.models.preprocessing.class_labels import ClassLabels
from attnzoo.models.tasks.base import Task
from attnzoo.models.tasks.labelled import check_labels_of, labelled_samples
from attnzoo.models.tasks.reading import read_texts


class TokenTaggerTask(Task, keras_hub.models.Task):
    """Base of the token taggers: one class for each word of a text.

    The tags of a text are a string, separated by white space, or a list, with one tag for each
    word.
    """

    targets_name = "Labels"
    has_classes = True
    labels: ClassLabels

    @property
    def class_names(self) -> list[str] | None:
        """The tags in the order of ids, or None if they have no names."""
        return self.labels.class_names

    @property
    def num_classes(self) -> int:
        """C, the number of tags."""
        return self.labels.num_classes

    def make_samples(self, x, y=None, sample_weight=None):
        """Return texts, the ids of their tags and weights as arrays."""
        return labelled_samples(self, *super().make_samples(x, y, sample_weight))

    def check_dataset(self, dataset):
        """Raise if a dataset has no texts and tags, or has tags outside the classes."""
        super().check_dataset(dataset)
        check_labels_of(self, dataset)

    def head(self, outputs, inputs: dict) -> dict:
        """Return the logits float [B, S, C] for the backbone's output."""
        return {"logits": self.output_dense(self.output_dropout(outputs))}

    def preprocess_samples(self, x, y=None, sample_weight=None):
        """Return packed ids of words and of their tags; without tags, all texts have one length."""
        if y is None and self.preprocessor is not None:  # `predict` joins batches of equal length.
            return self.preprocessor(x, sequence_length=self.preprocessor.sequence_length)
        return super().preprocess_samples(x, y, sample_weight)

    def pack_texts(self, texts):
        """Return the backbone's inputs, and `is_tagged` bool [B, S], True where a word starts."""
        packed, _, is_tagged = self.preprocessor.pack_words(texts)
        return {**packed, "is_tagged": is_tagged}

    def tag(self, texts, *, return_probabilities: bool = False, batch_size: int = 32):
        """Return the most probable tag of each word.

        Args:
            texts: A string of words, or strings; without a preprocessor, the backbone's inputs, of
                which all real tokens are tagged.
            return_probabilities: Whether to also return the probability of each tag.
            batch_size: Number of texts in a batch. At least 1.

        Returns:
            For each text a list of tags, by name, or by id if tags have no names, one for each
            word, without words lost by truncation. For a single string, its list. With
            `return_probabilities` a dict of `"labels"`, the lists, and `"probabilities"`, a list of
            float32 [words, C].

        Raises:
            ValueError: If there is no text, a text is empty, or a token id is outside the
                vocabulary.
        """
        is_one = isinstance(texts, (str, bytes))
        results = read_texts(self, texts, batch_size)
        is_tagged = results.get("is_tagged", results["padding_mask"]).astype(bool)
        probabilities = [
            row[tagged] for row, tagged in zip(results["probabilities"], is_tagged, strict=True)
        ]
        labels = [self.labels.names(row.argmax(axis=-1)) for row in probabilities]
        if return_probabilities:
            return {"labels": labels, "probabilities": probabilities}
        return labels[0] if is_one else labels
