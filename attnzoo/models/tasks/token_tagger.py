"""What every token tagger shares: training, and a tag for each word with its probability."""

import keras_hub

from attnzoo.models.preprocessing.tagging import split_words
from attnzoo.models.tasks.labelled_text import LabelledTextMixin


class TokenTaggerTask(LabelledTextMixin, keras_hub.models.Task):
    """Base of the token taggers: one class for each word of a text.

    Tags come as a string, with white space between them, or as a list, as long as the text has
    words. A subclass's `read` gives `logits` float [B, S, C]. The rest is here and in
    `LabelledTextMixin`.
    """

    separated = True

    def label_ids(self, y):
        """The ids of the tags of a batch: rows as long as their texts have words."""
        return self.labels.ids(split_words(y))

    def check_samples(self, texts, label_ids):
        """Raise unless each text has as many tags as words."""
        super().check_samples(texts, label_ids)
        self.preprocessor.check_tags(texts, label_ids)

    def preprocess_samples(self, x, y=None, sample_weight=None):
        """Packed ids of words and of their tags; without tags all texts are of one length."""
        if y is None and self.preprocessor is not None:  # What is predicted must fit together.
            return self.preprocessor(x, sequence_length=self.preprocessor.sequence_length)
        return super().preprocess_samples(x, y, sample_weight)

    def pack(self, texts):
        """The backbone's inputs, and `is_tagged` bool [B, S]: the first token of each word."""
        packed, _, is_tagged = self.preprocessor.pack_words(texts)
        return {**packed, "is_tagged": is_tagged}

    def tag(self, texts, *, return_probabilities: bool = False, batch_size: int = 32):
        """The most probable tag of each word.

        Args:
            texts: A string of words, or strings; without a preprocessor, the backbone's inputs,
                whose tokens that are no padding are all tagged.
            return_probabilities: Whether to return the probability of each tag too.
            batch_size: How many texts at a time. At least 1.

        Returns:
            For each text a list of tags, by name, or by id where they have none, one for each word;
            the words that a long text was cut by get none. For one string, its list. With
            `return_probabilities` a dict of `"labels"`, the lists, and `"probabilities"`, a list of
            float32 [words, C].

        Raises:
            ValueError: If there is no text, one is empty, or a token id is outside the vocabulary.
        """
        is_one = isinstance(texts, (str, bytes))
        results = self.run([texts] if is_one else texts, batch_size)
        is_tagged = results.get("is_tagged", results["padding_mask"]).astype(bool)
        probabilities = [
            row[tagged] for row, tagged in zip(results["probabilities"], is_tagged, strict=True)
        ]
        labels = [self.labels.names(row.argmax(axis=-1)) for row in probabilities]
        if return_probabilities:
            return {"labels": labels, "probabilities": probabilities}
        return labels[0] if is_one else labels
