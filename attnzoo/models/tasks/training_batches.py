"""Training batches from datasets of samples: packed, and weighted by class."""

import functools
from typing import Any

import keras
import numpy as np
from keras import ops

from attnzoo.models.preprocessing.input_checks import check_batched
from attnzoo.models.preprocessing.packing import LENGTH_STEP

# The side, source or target, of each input of a sequence-to-sequence task.
_SIDES = {
    "encoder_padding_mask": ("encoder_padding_mask", "encoder_token_ids", "copy_token_ids"),
    "decoder_padding_mask": ("decoder_padding_mask", "decoder_token_ids"),
}


def check_batches(name: str, dataset):
    """Raise if a dataset is empty, or its samples are not in batches."""
    check_batched(dataset)
    if isinstance(dataset, keras.utils.PyDataset):
        count = dataset.num_batches
    else:
        count = int(dataset.cardinality()) if hasattr(dataset, "cardinality") else None
    if count == 0:
        raise ValueError(
            f"`{name}` must have at least one batch. "
            f"Received: {name} of type {type(dataset).__name__}, without batches"
        )


def check_specs(spec, kinds, targets_name: str | None):
    """Raise unless the elements of a `tf.data.Dataset` are texts with targets.

    Args:
        spec: The dataset's `element_spec`.
        kinds: The names of a sample's texts; None in place of a source that is no text.
        targets_name: The plural name of the targets, or None if the texts determine them.
    """
    if isinstance(spec, dict):  # Both sides in one dict.
        source = spec.get("encoder_text", spec.get("images"))
        parts = [source, spec.get("decoder_text")]
    else:
        parts = [*spec] if isinstance(spec, tuple) else [spec]
    if targets_name is not None and (len(parts) < 2 or parts[1] is None):
        raise ValueError(
            f"{targets_name} must come with the texts, in pairs of batches: (texts, "
            f"{targets_name.lower()}). Received: elements of {spec}"
        )
    for kind, part in zip(kinds, parts, strict=False):
        if kind is not None and getattr(part, "dtype", None) != "string":
            raise ValueError(f"{kind.capitalize()}s must be strings. Received: elements of {part}")


def packed_batches(dataset, pack, class_weight=None, int_masks: bool = False):
    """Return batches of token ids from a `tf.data.Dataset` of batches of samples.

    Args:
        dataset: The dataset.
        pack: Function of `x`, `(x, y)` or `(x, y, sample_weight)` to the same form with ids.
        class_weight: As in `weigh_classes`.
        int_masks: As in `prepare_batch`.
    """
    import tensorflow as tf

    finish = functools.partial(prepare_batch, class_weight=class_weight, int_masks=int_masks)

    def convert(*sample):
        return finish(pack(*sample))

    return dataset.map(convert, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


class PreparedBatches(keras.utils.PyDataset):
    """The batches of another `PyDataset`, processed by `prepare_batch`.

    Args:
        dataset: The other dataset.
        class_weight, int_masks: As in `prepare_batch`.
    """

    def __init__(self, dataset, class_weight, int_masks: bool):
        super().__init__(dataset.workers, dataset.use_multiprocessing, dataset.max_queue_size)
        self._dataset = dataset
        self._class_weight = class_weight
        self._int_masks = int_masks

    @property
    def num_batches(self):
        return self._dataset.num_batches

    def __getitem__(self, index):
        return prepare_batch(self._dataset[index], self._class_weight, self._int_masks)

    def on_epoch_begin(self):
        self._dataset.on_epoch_begin()

    def on_epoch_end(self):
        self._dataset.on_epoch_end()


def prepare_batch(batch, class_weight=None, int_masks: bool = False):
    """Weight a packed batch by its classes, and convert masks for a distribution strategy.

    Args:
        batch: `x`, `(x, y)` or `(x, y, sample_weight)`.
        class_weight: As in `weigh_classes`, or None.
        int_masks: Whether to convert bool inputs and weights to int32, because Keras sums them over
            all replicas to build a model under a `tf.distribute` strategy.
    """
    if class_weight is None and not int_masks:
        return batch
    x, y, weight = keras.utils.unpack_x_y_sample_weight(batch)
    if class_weight is not None:
        weight = weigh_classes(y, weight, *class_weight)
    if int_masks:
        x = keras.tree.map_structure(_as_number, x)
        weight = None if weight is None else _as_number(weight)
    return keras.utils.pack_x_y_sample_weight(x, y, weight)


def weigh_classes(y, weight, classes, in_rows: bool):
    """Return the weights of samples, times those of their classes.

    Args:
        y: int [B] or [B, T], ids of classes. If `in_rows` is False, also float, or one number for
            each class, [B, C], of which the largest selects the class, as in Keras.
        weight: float [B] or of the shape of `y`; or None.
        classes: float32 [C]. The weights of the classes; larger ids have 1.
        in_rows: Whether each sample has a row of classes.
    """
    numpy = not hasattr(y, "get_shape")
    y = ops.convert_to_numpy(y) if numpy else y
    if not in_rows and len(y.shape) > 1:
        y = _argmax(y, numpy) if y.shape[-1] != 1 else y[..., 0]
    factors = _look_up(classes, y, numpy)
    if weight is None:
        return factors
    weight = np.asarray(weight, "float32") if numpy else _cast(weight, "float32")
    if len(weight.shape) < len(factors.shape):
        weight = weight[..., None]
    return factors * weight


def trim_pairs(batch):
    """Remove superfluous padding from a batch of pairs, in the graph of a pipeline.

    Both lengths become one of a few: 8, 16, 32 and so on, up to the original length. A model is
    compiled for each pair of lengths.

    Args:
        batch: `(x, y)` or `(x, y, sample_weight)`, from a `Seq2SeqPreprocessor`.
    """
    import tensorflow as tf

    x, y, weight = keras.utils.unpack_x_y_sample_weight(batch)
    lengths: dict[str, Any] = {}
    for mask, names in _SIDES.items():
        if mask not in x:  # A source without padding.
            continue
        real = tf.reduce_sum(tf.cast(x[mask], tf.int32), axis=1)
        few = tf.constant([LENGTH_STEP * 2**power for power in range(24)])
        length = few[tf.searchsorted(few, [tf.reduce_max(real)])[0]]
        length = tf.minimum(length, tf.shape(x[mask])[1])
        lengths.update((name, length) for name in names)
    x = {name: value[:, : lengths[name]] if name in lengths else value for name, value in x.items()}
    length = lengths["decoder_padding_mask"]
    y, weight = y[:, :length], None if weight is None else weight[:, :length]
    return keras.utils.pack_x_y_sample_weight(x, y, weight)


def _as_number(value):
    if value.dtype == bool:
        return _cast(value, "int32") if hasattr(value, "get_shape") else value.astype("int32")
    return value


def _cast(value, dtype):
    import tensorflow as tf

    return tf.cast(value, dtype)


def _argmax(y, numpy: bool):
    if numpy:
        return np.argmax(y, axis=-1)
    import tensorflow as tf

    return tf.argmax(y, axis=-1)


def _look_up(classes, ids, numpy: bool):
    """Return the weight of each id: float32, shape of `ids`."""
    classes = np.append(classes, np.float32(1.0))
    if numpy:
        ids = np.rint(ids).astype("int64")
        return classes[np.where(ids < len(classes), ids, len(classes) - 1)]
    import tensorflow as tf

    ids = tf.cast(tf.round(ids) if ids.dtype.is_floating else ids, tf.int32)
    return tf.gather(tf.constant(classes), tf.minimum(ids, len(classes) - 1))
