import keras
import numpy as np
import pytest
from PIL import Image

from attnzoo.data import SuperResolutionBatches
from attnzoo.models import HATSuperResolution
from attnzoo.ops.image_sizes import bicubic_enlarge
from tests.models.hat import tiny
from tests.tools import assert_close, normal, to_numpy


def images(*shape, seed: int = 0):
    return np.random.default_rng(seed).random(shape, dtype="float32")


def bytes_of(*shape, seed: int = 0):
    return np.random.default_rng(seed).integers(0, 256, shape).astype("uint8")


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_images_follow_the_equations(scale):
    task = tiny.make_task(scale)
    x = images(2, 5, 3, 3)
    assert_close(task(x), tiny.enlarged(x, task), tolerance=1e-4)


def test_training_with_a_bicubic_skip_begins_at_the_bicubic_image():
    backbone = tiny.make_backbone(depths=[1])
    task = HATSuperResolution(backbone, scale=3, num_features=5, bicubic_skip=True)
    x = images(1, 5, 4, 3)
    assert_close(task(x), bicubic_enlarge(x, 3))


@pytest.mark.shared("torch")
def test_predict_takes_paths_pictures_and_arrays(tmp_path):
    task = tiny.make_task()
    picture = bytes_of(5, 7, 3)
    Image.fromarray(picture).save(tmp_path / "picture.png")
    large = task.predict(picture)
    assert large.shape == (10, 14, 3) and large.dtype == np.uint8
    for one in (tmp_path / "picture.png", str(tmp_path / "picture.png"), Image.fromarray(picture)):
        assert np.array_equal(task.predict(one), large)
    floats = task.predict(picture / 255.0)
    assert floats.dtype == np.float32 and floats.min() >= 0.0 and floats.max() <= 1.0
    assert np.array_equal(np.rint(floats * 255.0), large)
    assert np.array_equal(task.predict(np.stack([picture] * 3), batch_size=2), [large] * 3)


@pytest.mark.shared("torch")
def test_predict_takes_images_of_several_sizes_in_their_order():
    task = tiny.make_task(num_channels=1)
    several = [bytes_of(5, 7), images(3, 4, 1), bytes_of(5, 7, seed=1), bytes_of(1, 1)]
    found = task.predict(several)
    assert [one.shape for one in found] == [(10, 14, 1), (6, 8, 1), (10, 14, 1), (2, 2, 1)]
    for one, alone in zip(found, map(task.predict, several), strict=True):
        assert one.dtype == alone.dtype
        assert np.abs(one.astype("float32") - alone).max() <= (1 if one.dtype == np.uint8 else 1e-5)


@pytest.mark.shared("torch")
def test_a_preset_holds_the_task(tmp_path):
    task = tiny.make_task(3, num_features=7, bicubic_skip=True)
    task.save_to_preset(str(tmp_path / "preset"))
    loaded = HATSuperResolution.from_preset(tmp_path / "preset")
    x = images(1, 4, 5, 3)
    assert_close(loaded(x), task(x), tolerance=0.0)
    with pytest.raises(ValueError, match="`scale` must be the preset's, 3.*Received: scale=2"):
        HATSuperResolution.from_preset(tmp_path / "preset", scale=2)


@pytest.mark.shared("tensorflow")
def test_a_file_holds_the_task(tmp_path):
    task = tiny.make_task(bicubic_skip=True)
    task.save(tmp_path / "task.keras")
    loaded = keras.saving.load_model(tmp_path / "task.keras")
    x = images(1, 4, 5, 3)
    assert_close(loaded(x), task(x), tolerance=0.0)


def test_training_on_patches_beats_the_bicubic_image():
    backbone = tiny.make_backbone(depths=[1], stochastic_depth=0.0)
    task = HATSuperResolution(backbone, scale=2, num_features=4, bicubic_skip=True)
    task.compile(optimizer=keras.optimizers.Adam(0.01))
    rows, columns = np.indices((48, 48))
    waves = 128 + 100 * np.sin(rows * 0.9) * np.cos(columns * 0.7)
    photo = np.repeat(waves[..., None], 3, axis=-1).astype("uint8")
    batches = SuperResolutionBatches(
        [photo], scale=2, patch_size=8, batch_size=4, batches_per_epoch=10
    )
    history = task.fit(batches, epochs=2, verbose=0).history
    assert history["psnr"][1] > history["psnr"][0] + 0.5


@pytest.mark.shared("torch")
def test_fit_and_evaluate_take_bytes():
    task = tiny.make_task(depths=[1])
    small, large = bytes_of(3, 4, 4, 3), bytes_of(3, 8, 8, 3)
    task.compile(jit_compile=False)
    loss, psnr = task.evaluate(small, large, verbose=0)
    assert loss == pytest.approx(
        float(np.abs(to_numpy(task(small / np.float32(255.0))) - large / 255.0).mean()), rel=1e-4
    )
    assert 0.0 < psnr < 30.0
    validation = small / 255.0, large / 255.0
    history = task.fit(small, large, batch_size=2, validation_data=validation, verbose=0).history
    assert {"loss", "psnr", "val_loss", "val_psnr"} <= set(history)
    with pytest.raises(ValueError, match=r"must be 2 times as high.*y.shape=\(3, 4, 4, 3\)"):
        task.fit(small, small)


@pytest.mark.shared("torch")
def test_wrong_arguments_are_refused():
    backbone = tiny.make_backbone(depths=[1])
    with pytest.raises(ValueError, match=r"`scale` must be one of \(2, 3, 4\). Received: scale=5"):
        HATSuperResolution(backbone, scale=5)
    task = HATSuperResolution(backbone, scale=2)
    with pytest.raises(ValueError, match="`tile_size` must be a whole number.*tile_size=0"):
        task.predict(normal(3, 3, 3), tile_size=0)
    with pytest.raises(ValueError, match="`batch_size` must be a whole number.*batch_size=0"):
        task.predict(normal(3, 3, 3), batch_size=0)
    with pytest.raises(ValueError, match="is for classes, and images have none.*smoothing=0.1"):
        task.compile(label_smoothing=0.1)
