"""Base of token taggers: a tag for each word with its probability."""

import keras_hub
from keras import ops

from attnzoo.layers.output.crf import LinearChainCRF
from attnzoo.models.parts.policies import policy_for
from attnzoo.models.preprocessing.class_labels import ClassLabels
from attnzoo.models.tasks.base import Task
from attnzoo.models.tasks.labelled import check_labels_of, labelled_samples
from attnzoo.models.tasks.reading import read_texts
from attnzoo.training.losses import SmoothedCrossEntropy

HEADS = ("softmax", "crf")


def make_crf(backbone, head: str) -> LinearChainCRF | None:
    """Return the layer that joins the tags of a text, or None."""
    if head == "softmax":
        return None
    return LinearChainCRF(name="crf", dtype=policy_for(backbone.dtype_policy, "crf"))


class TokenTaggerTask(Task, keras_hub.models.Task):
    """Base of the token taggers: one class for each word of a text.

    The tags of a text are a string, separated by white space, or a list, with one tag for each
    word.
    """

    targets_name = "Labels"
    has_classes = True
    labels: ClassLabels
    crf: LinearChainCRF | None = None

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
        """Return the logits float [B, S, C] for the backbone's output; for a CRF the emissions."""
        logits = self.output_dense(self.output_dropout(outputs))
        return {"logits": logits if self.crf is None else self.crf(logits)}

    # === Training with a CRF ===

    def make_accuracy(self):
        """Return the metric that "auto" stands for; none with a CRF, whose outputs are no tags."""
        return super().make_accuracy() if self.crf is None else None

    def compile_training(
        self, optimizer, loss, weighted_metrics, jit_compile, label_smoothing=0.0, **kwargs
    ):
        """Compile; raise for a loss or for smoothed labels that a CRF cannot have."""
        own = isinstance(loss, SmoothedCrossEntropy) or loss == "auto"  # The former in files.
        if self.crf is not None and (label_smoothing or not own):
            raise ValueError(
                'With `head="crf"` the loss is that of the CRF, without smoothed labels. '
                f"Received: loss={loss!r}, label_smoothing={label_smoothing}"
            )
        super().compile_training(
            optimizer, loss, weighted_metrics, jit_compile, label_smoothing, **kwargs
        )

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Return the compiled loss; with a CRF -log p of the tags, in nats a word."""
        if self.crf is None:
            return super().compute_loss(x, y, y_pred, sample_weight, training)
        if sample_weight is None:  # All tokens have tags.
            sample_weight = ops.ones_like(y, dtype="float32")
        weights = ops.cast(sample_weight, "float32")  # [B, S]
        mask = weights > 0
        words = ops.sum(ops.cast(mask, "float32"), axis=1)
        of_texts = ops.sum(weights, axis=1) / ops.maximum(words, 1.0)
        loss = -self.crf.log_likelihood(y_pred, ops.cast(y, "int32"), mask)
        loss = ops.sum(of_texts * loss) / ops.maximum(ops.sum(words), 1.0)
        return loss + sum(ops.cast(one, loss.dtype) for one in self.losses)

    def class_weights(self, class_weight):
        """Return the weights of all classes; raise with a CRF, which weighs texts alone."""
        if self.crf is not None:
            raise ValueError(
                'With `head="crf"` the tags of a text are learned together: weigh texts, by '
                f"`sample_weight`. Received: class_weight={class_weight!r}"
            )
        return super().class_weights(class_weight)

    # === Reading ===

    def inputs_of(self, method):
        """Return the names of the inputs of a method such as `read`."""
        more = [] if self.crf is None or method != "read" else ["is_tagged"]
        return [*super().inputs_of(method), *more]

    def compute_results(self, inputs, method):
        """Return the results of a method; with a CRF marginals as `probabilities`, and `tags`."""
        if self.crf is None or method != "read":
            return super().compute_results(inputs, method)
        logits, mask = self.read(inputs)["logits"], inputs["is_tagged"]
        return {
            "probabilities": ops.softmax(self.crf.log_marginals(logits, mask), axis=-1),
            "tags": ops.cast(self.crf.decode(logits, mask), "float32"),
        }

    def read_on_batch(self, packed, method="read"):
        """Return the NumPy results for one packed batch; without words all tokens have tags."""
        return super().read_on_batch({"is_tagged": packed["padding_mask"], **packed}, method)

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
        """Return the most probable tag of each word; with a CRF the most probable tags of a text.

        Args:
            texts: A string of words, or strings; without a preprocessor, the backbone's inputs, of
                which all real tokens are tagged.
            return_probabilities: Whether to also return the probability of each tag; with a CRF
                its marginal.
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
        tags = results.get("tags", results["probabilities"].argmax(axis=-1))  # [B, S]
        labels = [
            self.labels.names(row[tagged]) for row, tagged in zip(tags, is_tagged, strict=True)
        ]
        if return_probabilities:
            return {"labels": labels, "probabilities": probabilities}
        return labels[0] if is_one else labels
