"""Captions of pictures: one model however it is run, whatever form the pictures have."""

import keras
import numpy as np
import pytest
from keras import ops

from attnzoo import models
from attnzoo.samplers import BeamSampler
from tests import tools
from tests.models import tiny

PLACES = 12
KINDS = {
    "bahdanau": {},
    "luong": {"attention": "luong", "cell": "gru", "num_decoder_layers": 2},
    "hard_exact": {"attention": "hard_exact"},
    "hard": {"attention": "hard", "alignment_penalty": 0.1},
}


@pytest.fixture(scope="module")
def task():
    return tiny.make_captioner()


def make_inputs():
    inputs = tiny.make_inputs()
    return {
        "images": tiny.make_images(2).astype("float32") / 255.0,
        "decoder_token_ids": inputs["decoder_token_ids"],
        "decoder_padding_mask": inputs["decoder_padding_mask"],
    }


@pytest.mark.parametrize("name", tools.shared(KINDS, ["bahdanau"]))
@pytest.mark.rotates
def test_step_by_step_it_is_the_teacher_forced_model(name):
    task = tiny.make_captioner(None, scale=0.5, **KINDS[name])
    inputs = {name: ops.convert_to_tensor(value) for name, value in make_inputs().items()}

    def run(inputs):
        next, cache = task.make_next(inputs, True)
        steps = []
        for index in range(1, 4):
            logits, _, cache = next(inputs["decoder_token_ids"], cache, index)
            steps.append((logits, cache["alignments"]))
        stepwise = tuple(ops.stack(parts, axis=1) for parts in zip(*steps, strict=True))
        return task.decode(inputs), stepwise, task(inputs)

    whole, stepwise, logits = tools.compiled(run)(inputs)
    assert tuple(whole[1].shape) == (2, 3, PLACES)
    tools.assert_close(stepwise, whole, tolerance=2e-5)
    tools.assert_close(logits, whole[0], tolerance=2e-5)
    alignments = tools.to_numpy(whole[1])
    np.testing.assert_allclose(alignments.sum(axis=-1), 1.0, rtol=1e-5)
    assert np.ptp(tools.to_numpy(logits), axis=1).max() > 0.1  # No two steps alike.


@pytest.mark.shared("torch")
def test_it_learns_captions_and_a_penalty_counts_in_training():
    task = tiny.make_captioner(hidden_dim=16, embedding_dim=8, filters=(4, 8), scale=0.3)
    task.compile(keras.optimizers.Adam(0.03))
    images = tiny.make_images()
    history = task.fit(images, tiny.CAPTIONS, epochs=25, batch_size=6, verbose=0).history
    assert history["loss"][-1] < 0.5 * history["loss"][0]
    penalized = tiny.make_captioner(alignment_penalty=10.0)
    penalized.compile()
    assert penalized.evaluate(images, tiny.CAPTIONS, verbose=0)[0] < 20.0
    loss = penalized.fit(images, tiny.CAPTIONS, verbose=0).history["loss"][0]
    assert loss > 20.0  # 10 for each place whose weights sum to almost nothing.


@pytest.mark.shared("torch")
def test_hard_attention_learns_where_to_look_by_its_loss():
    task = tiny.make_captioner(attention="hard")
    task.compile(keras.optimizers.SGD(0.1))
    score = task.backbone.decoder.cell.attentions[0].score
    before = [ops.convert_to_numpy(weight).copy() for weight in score.trainable_weights]
    task.fit(tiny.make_images(), tiny.CAPTIONS, verbose=0)
    for weight, old in zip(score.trainable_weights, before, strict=True):
        assert np.any(ops.convert_to_numpy(weight) != old)
    alignments = task.alignments((tiny.make_images(), tiny.CAPTIONS))
    assert set(np.unique(alignments)) == {0.0, 1.0}  # One place a step.


def test_what_is_generated_is_what_is_replayed(task):
    images = tiny.make_images()
    found = task.generate(images, return_scores=True, return_alignments=True)
    assert found["alignments"].shape[2:] == (4, 3) == task.backbone.grid_size
    replayed = task.alignments({"images": images, "decoder_text": found["outputs"]})
    steps = min(replayed.shape[1], found["alignments"].shape[1])
    sums = replayed.sum(axis=(2, 3))
    np.testing.assert_allclose(sums[sums > 0.5], 1.0, rtol=1e-5)
    np.testing.assert_allclose(
        found["alignments"][:, : steps - 1], replayed[:, : steps - 1], atol=1e-5
    )
    task.compile(sampler=BeamSampler(2, num_hypotheses=2))
    several = task.generate(images[:2])
    task.compile(sampler="greedy")
    assert [len(one) for one in several] == [2, 2]


@pytest.mark.shared("torch")
def test_pictures_may_come_in_any_form(task, tmp_path):
    pillow = pytest.importorskip("PIL.Image")
    images = tiny.make_images()
    expected = task.generate(images)
    paths = [str(tmp_path / f"{n}.png") for n in range(len(images))]
    for path, image in zip(paths, images, strict=True):
        pillow.fromarray(image).save(path)
    assert task.generate(paths) == expected
    assert task.generate({"images": images / np.float32(255.0)}) == expected
    assert task.generate(paths[0]) == task.generate(images[0]) == expected[0]
    import tensorflow as tf

    dataset = tf.data.Dataset.from_tensor_slices((images, tiny.CAPTIONS)).batch(6)
    assert task.generate(dataset.map(lambda image, _: image)) == expected
    assert np.allclose(
        task.evaluate(dataset, verbose=0), task.evaluate(images, tiny.CAPTIONS, verbose=0)
    )
    logits = task.predict({"images": images, "decoder_text": tiny.CAPTIONS}, verbose=0)
    assert logits.shape == (6, tiny.T, task.backbone.vocabulary_size)


@pytest.mark.shared("torch")
def test_a_preset_holds_all(task, tmp_path):
    task.save_to_preset(tmp_path)
    loaded = models.ImageCaptioner.from_preset(tmp_path)
    assert loaded.preprocessor.image_shape == tiny.IMAGE_SHAPE
    assert loaded.backbone.get_config() == task.backbone.get_config()
    assert loaded.generate(tiny.make_images()) == task.generate(tiny.make_images())


@pytest.mark.shared("torch")
@pytest.mark.parametrize(
    "call, message",
    [
        (lambda task: task.fit(tiny.make_images()), "Targets must come with"),
        (
            lambda task: task.fit(tiny.make_images(), tiny.CAPTIONS[:2]),
            "There must be as many targets as sources. Received: 6 sources, 2 targets",
        ),
        (
            lambda task: task.generate({"encoder_text": ["a"]}),
            r"a dict of 'images' and 'decoder_text'. Received: a dict of \['encoder_text'\]",
        ),
        (
            lambda task: task.generate(["nowhere.png"]),
            "An image must be a file that Pillow can read: .*nowhere.png",
        ),
        (
            lambda task: task.generate(tiny.make_images().astype("float32")),
            r"An image of floats must be in \[0, 1\]",
        ),
        (
            lambda task: task.predict(tiny.make_images()),
            "`predict` gives the logits of known targets: a dict of 'images' and 'decoder_text'",
        ),
    ],
)
def test_what_cannot_be_is_refused(task, call, message):
    with pytest.raises(ValueError, match=message):
        call(task)


@pytest.mark.shared("torch")
def test_a_dataset_of_other_pictures_or_captions_is_refused(task):
    import tensorflow as tf

    images = np.zeros((2, 3, 3, 3), "uint8")
    dataset = tf.data.Dataset.from_tensor_slices((images, ["a", "b"])).batch(2)
    message = r"pictures must be of shape \(7, 5, 3\). Received: shape \(None, 3, 3, 3\)"
    with pytest.raises(ValueError, match=message):
        task.fit(dataset)
    dataset = tf.data.Dataset.from_tensor_slices((tiny.make_images(2), [1, 2])).batch(2)
    with pytest.raises(ValueError, match="Targets must be strings"):
        task.fit(dataset)


@pytest.mark.backend_free
@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"image_shape": (7, 5)}, r"`image_shape` must be .*Received: image_shape=\(7, 5\)"),
        ({"image_shape": (7, 5, 4)}, r"of 1 or 3 channels. Received: image_shape=\(7, 5, 4\)"),
        ({"alignment_penalty": -1.0}, "`alignment_penalty` must be at least 0. Received: .*-1"),
        ({"cell": "none"}, "`cell` must be one of .* Received: cell='none'"),
    ],
)
def test_a_backbone_that_cannot_be_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        models.ImageCaptionerBackbone(5, **arguments)


@pytest.mark.shared("torch")
def test_backbone_and_preprocessor_must_fit(task):
    for arguments, message in (
        ({"vocabulary_size": 5}, "`vocabulary_size` must be at least .* vocabulary_size=5"),
        ({"image_shape": (9, 5, 3)}, r"the same `image_shape`. Received: \(9, 5, 3\) in the back"),
    ):
        arguments = {"image_shape": tiny.IMAGE_SHAPE, "vocabulary_size": 50, **arguments}
        backbone = models.ImageCaptionerBackbone(**arguments, filters=(3,), hidden_dim=6)
        with pytest.raises(ValueError, match=message):
            models.ImageCaptioner(backbone, task.preprocessor)
    with pytest.raises(ValueError, match="`side` must be \"target\". Received: side='source'"):
        task.preprocessor.tokens("a flag", "source")
    with pytest.raises(ValueError, match="A coverage loss needs an attention"):
        task.compile(coverage_loss=1.0)
