import numpy as np
import pytest

from attnzoo.data import ImageBatches

pytestmark = pytest.mark.backend_free

IMAGES = np.random.default_rng(0).integers(1, 256, (7, 5, 6, 1)).astype("uint8")


class Preprocessor:
    """Reads arrays, and normalizes nothing."""

    def read(self, images):
        return np.asarray(images)

    def normalize(self, images):
        return images.astype("float32")


def batches(**arguments):
    return ImageBatches(IMAGES, np.arange(7), Preprocessor(), **{"batch_size": 3, **arguments})


def test_every_picture_comes_once_an_epoch_and_the_last_batch_is_filled():
    found = [*batches()]
    assert [x.shape for x, _, _ in found] == [(3, 5, 6, 1)] * 3
    labels = np.concatenate([y[weights > 0] for _, y, weights in found])
    assert sorted(labels) == [*range(7)]
    assert found[2][2].tolist() == [1.0, 0.0, 0.0]
    for x, y, _ in found:
        np.testing.assert_array_equal(x, IMAGES[y])


def test_order_flips_and_shifts_depend_on_seed_and_epoch_alone():
    one, other = batches(flip=True, shift=1, seed=3), batches(flip=True, shift=1, seed=3)
    other.epoch = 1
    first = [*one]
    one.on_epoch_end()
    assert one.epoch == 1
    for (x, y, _), (again, labels, _) in zip(one, other, strict=True):
        np.testing.assert_array_equal(x, again)
        np.testing.assert_array_equal(y, labels)
    assert any(not np.array_equal(x, y) for (x, *_), (y, *_) in zip(first, other, strict=True))
    plain = batches(shuffle=False)
    assert [y.tolist() for _, y, _ in plain] == [[0, 1, 2], [3, 4, 5], [6, 0, 1]]


def test_a_flip_mirrors_a_picture_from_left_to_right():
    flips = 0
    for x, y, _ in batches(flip=True):
        for image, label in zip(x, y, strict=True):
            mirrored = not np.array_equal(image, IMAGES[label])
            flips += mirrored
            np.testing.assert_array_equal(image[:, ::-1] if mirrored else image, IMAGES[label])
    assert 0 < flips < 9


def test_a_shift_moves_a_picture_and_brings_in_black():
    moves = set()
    for x, y, _ in batches(shift=1, batch_size=7):
        for image, label in zip(x, y, strict=True):
            padded = np.pad(IMAGES[label], [(1, 1), (1, 1), (0, 0)])
            fitting = [
                (down, right)
                for down in range(3)
                for right in range(3)
                if np.array_equal(image, padded[down : down + 5, right : right + 6])
            ]
            assert len(fitting) == 1
            moves.update(fitting)
    assert len(moves) > 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_size": 0}, "Received: batch_size=0"),
        ({"shift": -1}, "`shift` must be at least 0. Received: shift=-1"),
        ({"seed": -1}, "Received: seed=-1"),
        ({"workers": 2}, "Received: workers=2"),
    ],
)
def test_numbers_outside_their_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        batches(**arguments)


def test_there_must_be_as_many_labels_as_pictures():
    with pytest.raises(ValueError, match="Received: 7 pictures, 2 labels"):
        ImageBatches(IMAGES, [0, 1], Preprocessor())
