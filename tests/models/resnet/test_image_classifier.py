import keras
import keras_hub
import numpy as np
import pytest

from attnzoo.data import ImageBatches
from attnzoo.models import (
    AttentionResNetBackbone,
    AttentionResNetImageClassifier,
    AttentionResNetImageClassifierPreprocessor,
    BoTNetBackbone,
    BoTNetImageClassifier,
    BoTNetImageClassifierPreprocessor,
)
from tests.tools import set_weights

SMALL = {"filters": (4, 8), "num_blocks": (1, 1), "strides": (2, 2), "stem": "small"}
NAMES = ["left", "right"]


def pictures(count=12, seed=0):
    """Noise that is bright on one side: class 0 on the left, class 1 on the right."""
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, 2, count)
    images = draw.integers(0, 100, (count, 8, 8)).astype("uint8")
    for image, label in zip(images, labels, strict=True):
        image[:, 4 * label : 4 * label + 4] += 150
    return images, labels


IMAGES, LABELS = pictures()


def botnet(**arguments):
    backbone = BoTNetBackbone((8, 8, 1), **SMALL, **arguments)
    return BoTNetImageClassifier(
        backbone, BoTNetImageClassifierPreprocessor((8, 8, 1)), class_names=NAMES
    )


@pytest.fixture(scope="module")
def task():
    task = botnet()
    set_weights(task, scale=0.3)
    return task


def test_it_learns_what_it_sees():
    task = botnet()
    set_weights(task, scale=0.3)
    images, labels = pictures(64)
    task.compile(optimizer=keras.optimizers.Adam(0.01))
    names = [NAMES[label] for label in labels]
    history = task.fit(images, names, batch_size=16, epochs=6, verbose=0).history
    assert history["accuracy"][-1] > 0.9
    # The moving statistics have seen few batches: what they give need not be as good.
    loss, accuracy = task.evaluate(images, names, verbose=0)
    assert np.isfinite(loss) and 0.0 <= accuracy <= 1.0


def test_classes_probabilities_and_alignments_are_those_of_the_logits(task):
    found = task.classify(IMAGES[:3], return_probabilities=True, return_alignments=True)
    logits = task.predict(IMAGES[:3], verbose=0)
    shares = np.exp(logits - logits.max(axis=-1, keepdims=True))
    np.testing.assert_allclose(
        found["probabilities"], shares / shares.sum(axis=-1, keepdims=True), atol=1e-5
    )
    assert found["labels"] == [NAMES[i] for i in logits.argmax(axis=-1)]
    (alignments,) = found["alignments"].values()
    assert alignments.shape == (3, 4, 16, 16)
    np.testing.assert_allclose(alignments.sum(axis=-1), 1.0, atol=1e-5)
    assert task.classify(IMAGES[0]) == found["labels"][0]
    assert list(task.alignments(IMAGES[:1])) == ["stage2_block1"]


@pytest.mark.shared("torch")
def test_a_path_a_picture_and_an_array_have_one_class(task, tmp_path):
    image = pytest.importorskip("PIL.Image").fromarray(IMAGES[0])
    image.save(tmp_path / "one.png")
    expected = task.classify([IMAGES[0]], return_probabilities=True)["probabilities"]
    for one in (tmp_path / "one.png", image, IMAGES[0] / 255.0):
        found = task.classify(one, return_probabilities=True)["probabilities"]
        np.testing.assert_allclose(found, expected, atol=1e-5)
    larger = image.resize((16, 16))
    assert task.classify(larger) in NAMES


def test_saliency_sums_to_the_change_of_the_logit(task):
    found = task.saliency(IMAGES[:2], class_name="right", steps=64)
    assert found["labels"] == ["right"] * 2 and found["saliency"].shape == (2, 8, 8)
    normalized = task.preprocessor.normalize(task.preprocessor.read(IMAGES[:2]))
    ends = [keras.ops.convert_to_numpy(task(scale * normalized))[:, 1] for scale in (0.0, 1.0)]
    np.testing.assert_allclose(
        found["saliency"].sum(axis=(1, 2)), ends[1] - ends[0], rtol=0.1, atol=0.05
    )


@pytest.mark.shared("torch")
def test_a_preset_gives_the_same_task(task, tmp_path):
    task.save_to_preset(str(tmp_path / "preset"))
    expected = task.predict(IMAGES[:3], verbose=0)
    for cls in (keras_hub.models.ImageClassifier, BoTNetImageClassifier):
        loaded = cls.from_preset(str(tmp_path / "preset"))
        assert type(loaded) is BoTNetImageClassifier and loaded.class_names == NAMES
        np.testing.assert_allclose(loaded.predict(IMAGES[:3], verbose=0), expected, atol=1e-5)
    fresh = BoTNetImageClassifier.from_preset(str(tmp_path / "preset"), class_names=["a", "b", "c"])
    assert fresh.predict(IMAGES[:3], verbose=0).shape == (3, 3)


@pytest.mark.shared("torch")
def test_it_is_saved_to_a_file(task, tmp_path):
    task.save(tmp_path / "task.keras")
    loaded = keras.saving.load_model(tmp_path / "task.keras")
    np.testing.assert_allclose(
        loaded.predict(IMAGES[:3], verbose=0), task.predict(IMAGES[:3], verbose=0), atol=1e-5
    )


@pytest.mark.shared("torch")
def test_gates_have_a_name_each_and_a_network_without_attention_has_none():
    def make(**arguments):
        return AttentionResNetImageClassifier(
            AttentionResNetBackbone((8, 8, 1), **SMALL, **arguments),
            AttentionResNetImageClassifierPreprocessor((8, 8, 1)),
            num_classes=2,
        )

    gates = make(attention="cbam").alignments(IMAGES[:2])
    assert {name: found.shape for name, found in gates.items()} == {
        "stage1_block1/channel": (2, 4),
        "stage1_block1/spatial": (2, 4, 4),
        "stage2_block1/channel": (2, 8),
        "stage2_block1/spatial": (2, 2, 2),
    }
    with pytest.raises(ValueError, match="must have attention. Received: a backbone without"):
        make().alignments(IMAGES[:1])
    assert make().classify(IMAGES[:1]) in ([0], [1])


@pytest.mark.shared("torch")
def test_a_dataset_of_arrays_trains_too(task):
    import tensorflow as tf

    dataset = tf.data.Dataset.from_tensor_slices((IMAGES[..., None], LABELS)).batch(4)
    other = botnet()
    other.compile()
    assert np.isfinite(other.fit(dataset, verbose=0).history["loss"][0])
    with pytest.raises(ValueError, match="Labels must come with pictures.* Received: elements of"):
        other.fit(tf.data.Dataset.from_tensor_slices(IMAGES[..., None]).batch(4))


@pytest.mark.shared("torch")
def test_without_a_preprocessor_it_reads_normalized_arrays(task):
    other = BoTNetImageClassifier(task.backbone, class_names=NAMES)
    normalized = task.preprocessor(IMAGES[:3])
    assert len(other.classify(normalized)) == 3
    with pytest.raises(ValueError, match=r"float \[B, H, W, 1\]. Received: shape \(3, 8, 8\)"):
        other.classify(IMAGES[:3])


@pytest.mark.shared("torch")
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda task: task.fit(IMAGES), "Labels must come with what is to be learned"),
        (lambda task: task.fit(IMAGES, ["left"]), "12 images, 1 labels"),
        (lambda task: task.fit(IMAGES[:1], ["up"]), "A label must be one of .* Received: 'up'"),
        (lambda task: task.classify([]), "at least one image"),
        (lambda task: task.classify("no.png"), "that Pillow can read.*Received: no.png"),
        (lambda task: task.saliency(IMAGES[0], steps=0), "Received: steps=0"),
        (lambda task: task.saliency(IMAGES[0], class_name="up"), "Received: 'up'"),
    ],
)
def test_what_is_no_sample_is_refused(task, call, message):
    with pytest.raises(ValueError, match=message):
        call(task)


@pytest.mark.shared("torch")
def test_channels_of_preprocessor_and_backbone_must_agree(task):
    preprocessor = BoTNetImageClassifierPreprocessor((8, 8, 3))
    with pytest.raises(ValueError, match=r"reads, 1. Received: image_shape=\(8, 8, 3\)"):
        BoTNetImageClassifier(task.backbone, preprocessor, num_classes=2)


@pytest.mark.shared("torch")
def test_batches_of_pictures_train_in_an_order_of_their_own(task):
    other = botnet()
    other.compile()
    batches = ImageBatches(IMAGES, LABELS, other.preprocessor, batch_size=4, flip=True, shift=1)
    history = other.fit(batches, epochs=2, shuffle=False, verbose=0).history
    assert len(history["loss"]) == 2 and batches.epoch == 2
