"""What the tasks that label texts share: raw strings and labels in, results in NumPy out."""

import keras
import numpy as np
from keras import ops

from attnzoo.models.class_labels import ClassLabels
from attnzoo.models.packing import as_lists
from attnzoo.models.task_mixin import TaskMixin


class LabelledTextMixin(TaskMixin):
    """Base of the text classifiers and of the token taggers.

    It stands before a task of KerasHub in the bases of a class. A subclass calls `start` first in
    its constructor, and gives `read(inputs)`: of the backbone's inputs a dict of `logits` float
    [..., C] and, where there are any, `alignments`.
    """

    separated = False  # Whether several labels stand in one string.
    _reader = None

    def start(self, backbone, preprocessor, class_names, num_classes):
        """Keep the parts of the task, which must fit together."""
        labels = ClassLabels(class_names, num_classes, separated=self.separated)
        if preprocessor is not None:
            preprocessor.check_vocabulary(backbone)
        self.backbone = backbone
        self.preprocessor = preprocessor
        self.labels = labels

    @property
    def class_names(self) -> list[str] | None:
        """The names of the classes in the order of ids, or None where they have none."""
        return self.labels.class_names

    @property
    def num_classes(self) -> int:
        """C, how many classes there are."""
        return self.labels.num_classes

    def fit(self, x=None, y=None, *, shuffle: bool = True, validation_split=None, **kwargs):
        """Train, as `keras.Model.fit` does.

        Args:
            x: Texts, a list of strings, with labels as `y`; a `tf.data.Dataset` of batches of both;
                or a `keras.utils.PyDataset` whose batches are ids already.
            y: Labels, by name or by id.
            shuffle: Whether each epoch has another order, where `x` is no dataset.
            validation_split: Part of the samples, the last ones, to validate with, where `x` is no
                dataset. In (0, 1).
            **kwargs: As in `keras.Model.fit`: `epochs`, `batch_size`, `sample_weight`,
                `validation_data`, ...

        Raises:
            ValueError: If a label is outside the classes, or texts and labels differ in number. In
                a `tf.data.Dataset` such a label raises TensorFlow's error.
        """
        if isinstance(x, keras.utils.PyDataset):
            return super().fit(x, shuffle=shuffle, **kwargs)
        batch_size = (kwargs.pop("batch_size", None) if y is not None else None) or 32
        validation_data = kwargs.pop("validation_data", None)
        validating = None
        if isinstance(validation_data, (tuple, list)):
            validating = self._samples(*validation_data)
        if y is not None:
            samples = self._samples(x, y, kwargs.pop("sample_weight", None))
            if validation_split and validation_data is None:
                samples, validating = _split(samples, validation_split)
            x = _dataset(samples, batch_size, shuffle)
        if validating is not None:
            validation_data = _dataset(validating, batch_size, shuffle=False)
        return super().fit(x, validation_data=validation_data, shuffle=False, **kwargs)

    def evaluate(self, x=None, y=None, *, sample_weight=None, **kwargs):
        """Loss and metrics. `x` and `y` as in `fit`."""
        if kwargs.get("_use_cached_eval_dataset"):  # From within `fit`.
            return super().evaluate(x, y, sample_weight=sample_weight, **kwargs)
        if y is not None:
            x = self._samples(x, y, sample_weight)
            x = _dataset(x, kwargs.pop("batch_size", None) or 32, shuffle=False)
        return super().evaluate(x, **kwargs)

    def preprocess_samples(self, x, y=None, sample_weight=None):
        """Packed ids of texts, and ids of labels."""
        y = None if y is None else self.label_ids(y)
        return super().preprocess_samples(x, y, sample_weight)

    def label_ids(self, y):
        """The ids of a batch's labels."""
        return self.labels.ids(y)

    def pack(self, texts):
        """The backbone's inputs of texts, with what else comes of them: a dict of arrays."""
        return self.preprocessor(texts)

    def run(self, texts, batch_size: int = 32) -> dict:
        """Read texts, in batches.

        Args:
            texts: Strings; without a preprocessor, the backbone's inputs.
            batch_size: How many at a time. At least 1.

        Returns:
            dict of NumPy arrays, batch first: what `pack` gives, `probabilities` float32 [..., C]
            of what `read` gives, and its alignments.

        Raises:
            ValueError: If there is no text, one is empty, or a token id is outside the vocabulary.
        """
        if self.preprocessor is None:
            self._check_token_ids(texts)
            count = len(texts["token_ids"])
        else:
            texts = list(as_lists(texts))
            count = len(texts)
            self.preprocessor.check_texts(texts)
        if not count:
            raise ValueError("There must be at least one text. Received: none")
        results = []
        for start in range(0, count, batch_size):
            rows = slice(start, start + batch_size)
            if self.preprocessor is None:
                packed = {name: np.asarray(value)[rows] for name, value in texts.items()}
            else:
                packed = self.pack(texts[rows])
            results.append({**packed, **self._read_on_batch(packed)})
        return {name: _join([one[name] for one in results]) for name in results[0]}

    def _read_on_batch(self, packed):
        """`read`, compiled once and kept, on one batch: NumPy arrays."""
        # With LoRA or after quantization there are other weights, and what was compiled is old.
        state = [id(weight) for weight in self.weights]
        if self._reader is None or self._reader.state != state:
            # Kept out of Keras's tracking: its weights are the task's own.
            object.__setattr__(self, "_reader", _Reader(self, state))
        return self._reader.predict_on_batch({name: packed[name] for name in self.input})

    def _samples(self, x, y=None, sample_weight=None):
        """Texts and labels that are no dataset, as arrays, with the labels' ids."""
        if self.preprocessor is None:
            return x, y, sample_weight
        x = np.asarray(as_lists(x), dtype=object)
        y = self.label_ids(as_lists(y))
        if len(x) != len(y):
            raise ValueError(
                f"There must be as many labels as texts. Received: {len(x)} texts, {len(y)} labels"
            )
        self.preprocessor.check_texts(x.tolist())
        return x, y, sample_weight

    def _check_token_ids(self, inputs):
        """Raise on an id that no embedding has: backends differ in what they would make of it."""
        ids, size = ops.convert_to_numpy(inputs["token_ids"]), self.backbone.vocabulary_size
        outside = ids[(ids < 0) | (ids >= size)]
        if outside.size:
            raise ValueError(
                f"`token_ids` must be ids of the vocabulary, in [0, {size}). "
                f"Received: {int(outside[0])}"
            )

    def get_config(self):
        return {
            **super().get_config(),
            "num_classes": self.labels.num_classes,
            "class_names": self.labels.class_names,
        }

    @classmethod
    def from_preset(cls, preset, load_weights: bool = True, **kwargs):
        """Load a task from a preset.

        Args:
            preset: A built-in name (see `attnzoo.presets`), a directory that `save_to_preset`
                wrote, or a handle that KerasHub knows (`kaggle://`, `hf://`).
            load_weights: Whether to load the weights too.
            **kwargs: As in `keras_hub.models.Task.from_preset`. With `class_names` or
                `num_classes` the preset's classes are left behind: all but the backbone starts
                anew. `dtype` is the one the preset was saved with, unless it is given.

        Raises:
            ValueError: If the name is unknown, or the directory is damaged.
        """
        if kwargs.get("class_names") is not None:
            kwargs.setdefault("num_classes", len(kwargs["class_names"]))
        elif "num_classes" in kwargs:
            kwargs["class_names"] = None
        return super().from_preset(preset, load_weights, **kwargs)


class _Reader(keras.Model):
    """`read` as a model, so that Keras compiles it on every backend."""

    def __init__(self, task, state):
        super().__init__(name="reader", dtype=task.dtype_policy)
        self.task = task
        object.__setattr__(self, "state", state)

    def call(self, inputs):
        results = dict(self.task.read(inputs))
        logits = ops.cast(results.pop("logits"), "float32")
        results = {name: ops.cast(value, "float32") for name, value in results.items()}
        return {"probabilities": ops.softmax(logits, axis=-1), **results}


def _split(samples, fraction):
    """The first samples, and the last ones, which are that part of all."""
    first = samples[0]
    count = len(next(iter(first.values())) if isinstance(first, dict) else first)
    kept = int(count * (1.0 - fraction))
    if not 0 < kept < count:
        raise ValueError(
            "`validation_split` must leave samples on both sides. "
            f"Received: validation_split={fraction} of {count} samples"
        )
    parts = slice(0, kept), slice(kept, None)
    return tuple(tuple(_rows(one, part) for one in samples) for part in parts)


def _rows(samples, rows):
    """Some rows of samples: of lists or arrays, or of each in a dict."""
    if isinstance(samples, dict):
        return {name: value[rows] for name, value in samples.items()}
    return None if samples is None else samples[rows]


def _dataset(samples, batch_size, shuffle):
    """Batches of samples as a `tf.data.Dataset`, in a new order each time where so wanted."""
    import tensorflow as tf

    def convert(sample):
        if isinstance(sample, dict):
            return {name: convert(value) for name, value in sample.items()}
        if isinstance(sample, list) and sample and isinstance(sample[0], list):
            return tf.ragged.constant(sample, dtype=tf.int32, ragged_rank=1)
        if isinstance(sample, list):
            return np.asarray(sample)
        if isinstance(sample, np.ndarray) and sample.dtype.kind == "O":
            return tf.constant(sample.tolist(), tf.string)
        return ops.convert_to_numpy(sample)

    samples = tuple(convert(one) for one in samples if one is not None)
    dataset = tf.data.Dataset.from_tensor_slices(samples)
    if shuffle:
        dataset = dataset.shuffle(len(dataset))
    return dataset.batch(batch_size)


def _join(parts):
    """Arrays of several batches as one; where they differ in length, they are padded with 0."""
    sizes = np.max([part.shape[1:] for part in parts], axis=0).astype(int)

    def pad(part):
        missing = [(0, size - n) for size, n in zip(sizes, part.shape[1:], strict=True)]
        return np.pad(part, [(0, 0), *missing])

    return np.concatenate([pad(part) for part in parts])
