"""Texts with labels: their samples, and the layers for the logits of classes."""

import keras

from attnzoo.data.labelled_batches import LabelledBatches
from attnzoo.models.parts.policies import policy_for
from attnzoo.models.preprocessing.input_checks import need_as_many
from attnzoo.models.preprocessing.packing import as_lists
from attnzoo.models.tasks.samples import as_strings, need_numbers


def make_class_layers(backbone, num_classes: int, dropout: float, name: str):
    """Return the layers for the logits: dropout, and a dense layer with this name."""
    policy = backbone.dtype_policy
    output_dropout = keras.layers.Dropout(
        dropout, name="output_dropout", dtype=policy_for(policy, "output_dropout")
    )
    return output_dropout, keras.layers.Dense(
        num_classes, name=name, dtype=policy_for(policy, name)
    )


def labelled_samples(task, x, y, sample_weight):
    """Return texts, the ids of their labels and weights as arrays; raise if they are invalid.

    Args:
        task: A task with `labels`, for texts or for words.
        x, y, sample_weight: As in `fit`.
    """
    if task.preprocessor is None:
        _check_label_array(task, y)
        return x, y, sample_weight
    x = as_strings("text", x)
    y = task.label_ids(as_lists(y))
    need_as_many(texts=x, labels=y)
    task.preprocessor.check_texts(x.tolist())
    task.preprocessor.check_labels(x.tolist(), y)
    return x, y, sample_weight


def check_labels_of(task, dataset):
    """Raise if the labels of batches, where they are known, are outside the classes."""
    if isinstance(dataset, LabelledBatches):
        task.label_ids(dataset.labels)


def _check_label_array(task, y):
    """Raise if labels are outside the classes; Keras checks floating-point labels."""
    y = as_lists(y)
    if any(isinstance(one, float) for one in keras.tree.flatten(y)):
        need_numbers("label", y)
    else:
        task.label_ids(y)
