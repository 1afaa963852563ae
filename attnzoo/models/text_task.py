"""What the tasks that read texts share: raw strings in, results in NumPy out."""

import numpy as np
from keras import ops

from attnzoo.layers.scores.base import check_positive
from attnzoo.models.packing import as_lists, need_some
from attnzoo.models.task_mixin import TaskMixin


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
        check_positive(batch_size=batch_size)
        if self.preprocessor is None:
            self._check_token_ids(texts)
            count = len(texts["token_ids"])
            need_some("text", texts["token_ids"])
        else:
            texts = as_lists(texts)
            if isinstance(texts, dict) or not hasattr(texts, "__iter__"):
                raise ValueError(f"What is read must be in a list. Received: {texts!r}")
            texts = list(texts)
            count = len(texts)
            self.preprocessor.check_texts(texts)
        results = []
        for start in range(0, count, batch_size):
            rows = slice(start, start + batch_size)
            if self.preprocessor is None:
                packed = {name: np.asarray(value)[rows] for name, value in texts.items()}
            else:
                packed = self.pack(texts[rows])
            packed = {**packed, **{name: value[rows] for name, value in more.items()}}
            results.append({**packed, **self.read_on_batch(packed, door)})
        return {name: _join([one[name] for one in results]) for name in results[0]}

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

    def _check_token_ids(self, inputs):
        """Raise on an id that no embedding has: backends differ in what they would make of it."""
        ids, size = ops.convert_to_numpy(inputs["token_ids"]), self.backbone.vocabulary_size
        outside = ids[(ids < 0) | (ids >= size)]
        if outside.size:
            raise ValueError(
                f"`token_ids` must be ids of the vocabulary, in [0, {size}). "
                f"Received: {int(outside[0])}"
            )


def to_the_longest(results, name: str = "alignments"):
    """What is [B, S], [B, H, S] or [B, L, N, S, S], without what is padding in every text."""
    longest = int(np.flatnonzero(results["padding_mask"].any(axis=0)).max(initial=-1)) + 1
    sequences = 2 if results[name].ndim == 5 else 1
    return results[name][(..., *[slice(longest)] * sequences)]


def _join(parts):
    """Arrays of several batches as one; where they differ in length, they are padded with 0."""
    sizes = np.max([part.shape[1:] for part in parts], axis=0).astype(int)

    def pad(part):
        missing = [(0, size - n) for size, n in zip(sizes, part.shape[1:], strict=True)]
        return np.pad(part, [(0, 0), *missing])

    return np.concatenate([pad(part) for part in parts])
