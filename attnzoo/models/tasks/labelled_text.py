"""What the tasks that label texts share: raw strings and labels."""

import keras

from attnzoo.data.labelled_batches import LabelledBatches
from attnzoo.models.parts.policies import policy_for
from attnzoo.models.preprocessing.class_labels import ClassLabels
from attnzoo.models.preprocessing.input_checks import need_as_many
from attnzoo.models.preprocessing.packing import as_lists
from attnzoo.models.tasks.samples import as_strings, need_numbers, weights_of_ids
from attnzoo.models.tasks.text import TextTaskMixin


class LabelledTextMixin(TextTaskMixin):
    """Base of the text classifiers and of the token taggers.

    It stands before a task of KerasHub in the bases of a class. A subclass calls `start` first in
    its constructor, and gives `read(inputs)`: of the backbone's inputs a dict of `logits` float
    [..., C] and, where there are any, `alignments`.
    """

    targets_name = "Labels"
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

    def fit(self, x=None, y=None, batch_size=None, **kwargs):
        """Train, as `keras.Model.fit` does.

        Args:
            x: Texts, a list of strings, with labels as `y`; a `tf.data.Dataset` of batches of both;
                or a `keras.utils.PyDataset` whose batches are ids already.
            y: Labels, by name or by id.
            batch_size: How many texts at a time, where `x` is no dataset; 32 if None.
            **kwargs: As in `TaskMixin.fit`: `epochs`, `shuffle`, `sample_weight`,
                `validation_data`, `validation_split`, ...

        Raises:
            ValueError: If there are no labels, one is outside the classes, or texts and labels
                differ in number; without a preprocessor, if a token id is outside the vocabulary.
                In a `tf.data.Dataset` such a label raises TensorFlow's error.
        """
        return super().fit(x, y, batch_size, **kwargs)

    def make_samples(self, x, y=None, sample_weight=None):
        """Texts, the ids of their labels, and weights, as arrays."""
        x, y, sample_weight = super().make_samples(x, y, sample_weight)
        if self.preprocessor is None:
            self._check_label_array(y)
            return x, y, sample_weight
        x = as_strings("text", x)
        y = self.label_ids(as_lists(y))
        self.check_samples(x.tolist(), y)
        return x, y, sample_weight

    def preprocess_samples(self, x, y=None, sample_weight=None):
        """Packed ids of texts, and ids of labels."""
        y = None if y is None else self.label_ids(y)
        return super().preprocess_samples(x, y, sample_weight)

    def label_ids(self, y):
        """The ids of a batch's labels."""
        return self.labels.ids(y)

    def check_samples(self, texts, label_ids):
        """Raise unless each of these texts can be read, and has a label."""
        need_as_many(texts=texts, labels=label_ids)
        self.preprocessor.check_texts(texts)

    def check_dataset(self, dataset):
        """Raise on labels outside the classes in batches that show theirs."""
        super().check_dataset(dataset)
        if isinstance(dataset, LabelledBatches):
            self.label_ids(dataset.labels)

    def class_weights(self, class_weight):
        """The weights of all classes, float32 [C], from a dict of some ids or names."""
        return weights_of_ids(class_weight, self.num_classes, self.labels.ids)

    def _check_label_array(self, y):
        """Raise on labels outside the classes; ids in floating point go on to Keras."""
        y = as_lists(y)
        if any(isinstance(one, float) for one in keras.tree.flatten(y)):
            need_numbers("label", y)
        else:
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
