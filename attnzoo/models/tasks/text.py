"""What the tasks that read texts share: raw strings in, results in NumPy out."""

import numpy as np
from keras import ops

from attnzoo.models.preprocessing.input_checks import as_texts, check_ids
from attnzoo.models.tasks.base import TaskMixin
from attnzoo.models.tasks.batch_sizes import join_rows, split_rows


class TextTaskMixin(TaskMixin):
    """Base of the tasks that read texts and write none.

    It stands before a task of KerasHub in the bases of a class. A subclass gives `read(inputs)`, or
    more such methods: of the backbone's inputs a dict of tensors, batch first, in which `logits`
    are float [..., C].
    """

    def make_samples(self, x, y=None, sample_weight=None):
        """As in `TaskMixin`; token ids in NumPy must be of the vocabulary."""
        if isinstance(x, dict) and isinstance(x.get("token_ids"), np.ndarray):
            self._check_token_ids(x)
        return super().make_samples(x, y, sample_weight)

    def pack(self, texts):
        """The backbone's inputs of texts, with what else comes of them: a dict of arrays."""
        return self.preprocessor(texts)

    def run(self, texts, batch_size: int = 32, door: str = "read", **more) -> dict:
        """Read texts, in batches.

        Args:
            texts: Strings; without a preprocessor, the backbone's inputs.
            batch_size: How many at a time. At least 1.
            door: The name of the method that reads.
            **more: Arrays that it takes beside the backbone's inputs, with a row for each text.

        Returns:
            dict of NumPy arrays, batch first: what `pack` gives, `probabilities` float32 [..., C]
            in place of logits, and what else the method gives, float32.

        Raises:
            ValueError: If there is no text or no list of them, one is empty, a token id is outside
                the vocabulary, or `batch_size` is below 1.
        """
        texts = self.check_read(texts)
        count = len(texts["token_ids"] if self.preprocessor is None else texts)
        results = []
        for rows in split_rows(count, batch_size):
            if self.preprocessor is None:
                packed = {name: np.asarray(value)[rows] for name, value in texts.items()}
            else:
                packed = self.pack(texts[rows])
            packed = {**packed, **{name: value[rows] for name, value in more.items()}}
            results.append({**packed, **self.read_on_batch(packed, door)})
        return {name: join_rows([one[name] for one in results]) for name in results[0]}

    def read_through(self, inputs, door: str) -> dict:
        """What one method gives, float32, with `probabilities` in place of logits."""
        results = getattr(self, door)(inputs)
        results = {name: ops.cast(value, "float32") for name, value in results.items()}
        if "logits" in results:
            results["probabilities"] = ops.softmax(results.pop("logits"), axis=-1)
        return results

    def read_on_batch(self, packed, door: str = "read") -> dict:
        """`read_through`, compiled, on one batch as `pack` gives it: NumPy arrays."""
        inputs = {name: packed[name] for name in self.reads(door)}
        return self.compiled_methods("read_through", inputs, door=door)

    def reads(self, door: str) -> list[str]:
        """The names of what a method that reads takes."""
        return list(self.input)

    def check_read(self, texts):
        """What is to be read, a list of strings; without a preprocessor the backbone's inputs."""
        if self.preprocessor is None:
            self._check_token_ids(texts)
            return texts
        texts = as_texts(texts)
        self.preprocessor.check_texts(texts)
        return texts

    def _check_token_ids(self, inputs):
        """Raise on what are no inputs of the backbone."""
        sizes = dict.fromkeys(self.backbone.input)
        check_ids(inputs, {**sizes, "token_ids": self.backbone.vocabulary_size})


def to_the_longest(results, name: str = "alignments"):
    """What is [B, S], [B, H, S] or [B, L, N, S, S], without what is padding in every text."""
    longest = int(np.flatnonzero(results["padding_mask"].any(axis=0)).max(initial=-1)) + 1
    sequences = 2 if results[name].ndim == 5 else 1
    return results[name][(..., *[slice(longest)] * sequences)]
