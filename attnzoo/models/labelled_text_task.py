"""What the tasks that label texts share: raw strings and labels."""

import keras
import numpy as np

from attnzoo.data.labelled_batches import LabelledBatches
from attnzoo.models.class_labels import ClassLabels
from attnzoo.models.packing import as_lists
from attnzoo.models.policies import policy_for
from attnzoo.models.text_task import TextTaskMixin, make_dataset, need_targets, split_samples


class LabelledTextMixin(TextTaskMixin):
    """Base of the text classifiers and of the token taggers.

    It stands before a task of KerasHub in the bases of a class. A subclass calls `start` first in
    its constructor, and gives `read(inputs)`: of the backbone's inputs a dict of `logits` float
    [..., C] and, where there are any, `alignments`.
    """

    separated = False  # Whether several labels stand in one string.

    def start(self, backbone, preprocessor, class_names, num_classes):
        """Keep the parts of the task, which must fit together."""
        labels = ClassLabels(class_names, num_classes, separated=self.separated)
        if preprocessor is not None:
            preprocessor.check_vocabulary(backbone)
        self.backbone = backbone
        self.preprocessor = preprocessor
        self.labels = labels

    def make_head(self, dropout: float, name: str):
        """Make what gives the logits: dropout, and a dense layer of this name."""
        policy = self.backbone.dtype_policy
        self.output_dropout = keras.layers.Dropout(
            dropout, name="output_dropout", dtype=policy_for(policy, "output_dropout")
        )
        self.output_dense = keras.layers.Dense(
            self.num_classes, name=name, dtype=policy_for(policy, name)
        )

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
            ValueError: If there are no labels, one is outside the classes, or texts and labels
                differ in number; without a preprocessor, if a token id is outside the vocabulary.
                In a `tf.data.Dataset` such a label raises TensorFlow's error.
        """
        if validation_split and y is None:
            raise ValueError(
                "`validation_split` is of texts that come with `y`; of a dataset, split off "
                "`validation_data`. Received: "
                f"validation_split={validation_split}, x of type {type(x).__name__}, y=None"
            )
        if isinstance(x, keras.utils.PyDataset):
            self._check_batches(x, kwargs.get("validation_data"))
            return super().fit(x, shuffle=shuffle, **kwargs)
        need_targets("Labels", x, y)
        batch_size = (kwargs.pop("batch_size", None) if y is not None else None) or 32
        validation_data = kwargs.pop("validation_data", None)
        validating = None
        if isinstance(validation_data, (tuple, list)):
            validating = self._samples(*validation_data)
        if y is not None:
            samples = self._samples(x, y, kwargs.pop("sample_weight", None))
            if validation_split and validation_data is None:
                samples, validating = split_samples(samples, validation_split)
            x = make_dataset(samples, batch_size, shuffle)
        if validating is not None:
            validation_data = make_dataset(validating, batch_size, shuffle=False)
        return super().fit(x, validation_data=validation_data, shuffle=False, **kwargs)

    def evaluate(self, x=None, y=None, *, sample_weight=None, **kwargs):
        """Loss and metrics. `x` and `y` as in `fit`."""
        if kwargs.get("_use_cached_eval_dataset"):  # From within `fit`, which has checked it.
            return super().evaluate(x, y, sample_weight=sample_weight, **kwargs)
        self._check_batches(x)
        need_targets("Labels", x, y)
        if y is not None:
            x = self._samples(x, y, sample_weight)
            x = make_dataset(x, kwargs.pop("batch_size", None) or 32, shuffle=False)
        return super().evaluate(x, **kwargs)

    def preprocess_samples(self, x, y=None, sample_weight=None):
        """Packed ids of texts, and ids of labels."""
        y = None if y is None else self.label_ids(y)
        return super().preprocess_samples(x, y, sample_weight)

    def label_ids(self, y):
        """The ids of a batch's labels."""
        return self.labels.ids(y)

    def _samples(self, x, y=None, sample_weight=None):
        """Texts and labels that are no dataset, as arrays, with the labels' ids."""
        if self.preprocessor is None:
            self.check_arrays(x)
            self._check_label_array(y)
            return x, y, sample_weight
        x = np.asarray(as_lists(x), dtype=object)
        y = self.label_ids(as_lists(y))
        self.check_samples(x.tolist(), y)
        return x, y, sample_weight

    def check_samples(self, texts, label_ids):
        """Raise unless each of these texts can be read, and has a label."""
        if len(texts) != len(label_ids):
            raise ValueError(
                "There must be as many labels as texts. "
                f"Received: {len(texts)} texts, {len(label_ids)} labels"
            )
        self.preprocessor.check_texts(texts)

    def _check_batches(self, *datasets):
        """Raise on labels outside the classes in batches that show theirs."""
        for one in datasets:
            if isinstance(one, LabelledBatches):
                self.label_ids(one.labels)

    def _check_label_array(self, y):
        """Raise on labels outside the classes; ids in floating point go on to Keras."""
        y = as_lists(y)
        if not any(isinstance(one, float) for one in keras.tree.flatten(y)):
            self.label_ids(y)

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
