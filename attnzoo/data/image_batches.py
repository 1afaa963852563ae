"""Batches of labelled pictures, flipped and shifted at random."""

from collections.abc import Sequence

import keras
import numpy as np

from attnzoo.checks import check_at_least, check_positive
from attnzoo.data.planned_batches import PlannedBatches


class ImageBatches(PlannedBatches):
    """Pictures and their labels, for `fit` and `evaluate` of a classifier of pictures.

    With `flip` half of the pictures are mirrored, left to right; with `shift` each moves by up to
    so many pixels down or up and right or left, and black comes in behind it. Order, flips and
    shifts depend on `seed` and `epoch` alone. By default `fit` shuffles a dataset's batches once
    more, from Python's global random state: pass `shuffle=False` to `fit` for a reproducible order.

    Args:
        images: One picture or several: paths, pictures of Pillow, or arrays [H, W] or [H, W, C],
            uint8 in [0, 255] or float in [0, 1]. At least one.
        labels: One whole number for each picture: ids of classes, as `task.label_ids` gives them.
        preprocessor: The task's preprocessor. It reads all pictures in the constructor, and
            normalizes each batch.
        batch_size: Pictures in a batch. At least 1. The last batch is filled with the first
            pictures of the epoch, with weight 0.
        flip: Whether pictures are mirrored. Not for dev and test.
        shift: Largest shift, in pixels. At least 0. Not for dev and test.
        shuffle: Whether each epoch has another order. Otherwise all epochs have the same.
        seed: At least 0.
        **kwargs: For `keras.utils.PyDataset`, which may have no more than one worker.

    Returns:
        Item i is `(x, y, sample_weight)`: normalized pictures float32 [B, H, W, C], labels
        int32 [B], and weights float32 [B].

    Raises:
        ValueError: If there is no picture, one is invalid, the numbers of pictures and labels
            differ, or a number is out of range.

    Example:
        >>> batches = attnzoo.data.ImageBatches(
        ...     images, task.label_ids(labels), task.preprocessor, flip=True, shift=2)
        >>> task.fit(batches, epochs=10, shuffle=False)
    """

    def __init__(
        self,
        images,
        labels: Sequence[int],
        preprocessor: keras.layers.Layer,
        *,
        batch_size: int = 32,
        flip: bool = False,
        shift: int = 0,
        shuffle: bool = True,
        seed: int = 0,
        **kwargs,
    ) -> None:
        check_positive(batch_size=batch_size)
        check_at_least(0, shift=shift, seed=seed)
        super().__init__(**kwargs)
        self._images = preprocessor.read(images)
        self._labels = np.asarray(labels, "int32")
        if len(self._images) != len(self._labels):
            raise ValueError(
                "There must be as many labels as pictures. "
                f"Received: {len(self._images)} pictures, {len(self._labels)} labels"
            )
        self._normalize = preprocessor.normalize
        self.batch_size = batch_size
        self.flip = flip
        self.shift = shift
        self.shuffle = shuffle
        self.seed = seed
        self.epoch = 0

    @property
    def labels(self) -> np.ndarray:
        """The labels of all pictures, int32 [number of pictures], in the order of the argument."""
        return self._labels

    def __getitem__(self, index):
        rows = self._planned(index)
        missing = self.batch_size - len(rows)
        weights = np.ones(self.batch_size, "float32")
        weights[len(rows) :] = 0.0
        rows = np.concatenate([rows, np.resize(self._plan[0], missing)])
        images = self._images[rows]
        draw = np.random.default_rng((self.seed, self.epoch, index, 2))
        if self.flip:
            mirrored = draw.random(len(rows)) < 0.5
            images[mirrored] = images[mirrored, :, ::-1]
        if self.shift:
            images = _shift(
                images, draw.integers(0, 2 * self.shift + 1, (len(rows), 2)), self.shift
            )
        return self._normalize(images), self._labels[rows], weights

    def _make_plan(self, epoch):
        rows = np.arange(len(self._labels))
        if self.shuffle:
            np.random.default_rng((self.seed, epoch)).shuffle(rows)
        return [rows[at : at + self.batch_size] for at in range(0, len(rows), self.batch_size)]


def _shift(images, corners, margin):
    """Return a window of each picture, with a black margin, from its corner int [B, 2] on."""
    _, height, width, _ = images.shape
    around = (margin, margin)
    padded = np.pad(images, ((0, 0), around, around, (0, 0)))
    windows = zip(padded, corners, strict=True)
    return np.stack([one[y : y + height, x : x + width] for one, (y, x) in windows])
