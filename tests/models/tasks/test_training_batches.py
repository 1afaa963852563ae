"""Batches that tasks train on: no longer than they must be, and refused where they are none."""

import subprocess
import sys
import textwrap

import keras
import numpy as np
import pytest

from attnzoo.models.tasks.training_batches import packed_batches, prepare_batch, weigh_classes
from tests import tools
from tests.models import tiny


def shapes_of(dataset):
    return [(x["encoder_token_ids"].shape[1], y.shape[1]) for x, y, _ in dataset]


@pytest.mark.backend_free
def test_pairs_are_padded_to_the_batch_in_few_sizes():
    """Lengths count the end token; 8, 16, 32, and no more than the preprocessor's."""
    import tensorflow as tf

    task = tiny.make_task(
        tiny.make_preprocessor(encoder_sequence_length=24, decoder_sequence_length=64)
    )
    # Symbols of the source and of the target in each batch, and the padded lengths.
    wanted = {(3, 3): (8, 8), (7, 8): (8, 16), (8, 15): (16, 16), (16, 40): (24, 64)}
    sources = [letter * length for length, _ in wanted for letter in "ch"]
    targets = [" ".join(["K"] * length) for _, length in wanted for _ in "ch"]
    dataset = tf.data.Dataset.from_tensor_slices((sources, targets)).batch(2)
    batches = list(packed_batches(dataset, task.pack_batch))
    assert shapes_of(batches) == list(wanted.values())
    whole = list(dataset.map(task.preprocess_samples))
    for (x, y, weight), (whole_x, whole_y, whole_weight) in zip(batches, whole, strict=True):
        source, target = x["encoder_token_ids"].shape[1], y.shape[1]
        for name, value in x.items():
            length = source if name.startswith("encoder") else target
            np.testing.assert_array_equal(value, whole_x[name][:, :length])
        np.testing.assert_array_equal(y, whole_y[:, :target])
        np.testing.assert_array_equal(weight, whole_weight[:, :target])
        assert not np.any(whole_weight[:, target:])
        assert not np.any(whole_x["encoder_padding_mask"][:, source:])


def test_padding_changes_no_loss():
    task = tiny.make_task(tiny.make_preprocessor(decoder_sequence_length=32))
    task.compile(keras.optimizers.SGD(0.0), run_eagerly=True)
    found = task.evaluate(tiny.WORDS, tiny.PHONEMES, batch_size=6, verbose=0)
    packed = tools.to_numpy(task.preprocessor(tiny.WORDS, tiny.PHONEMES))
    assert packed[1].shape[1] == 32
    wanted = task.test_on_batch(tiny.WORDS, tiny.PHONEMES)
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


@pytest.mark.backend_free
@pytest.mark.parametrize(
    ("y", "weight", "in_rows", "wanted"),
    [
        ([0, 2, 5], None, False, [1.0, 3.0, 1.0]),
        ([0, 2, 5], [2.0, 2.0, 0.5], False, [2.0, 6.0, 0.5]),
        ([[2.0], [0.0]], None, False, [3.0, 1.0]),
        ([[0.1, 0.2, 0.7], [0.0, 1.0, 0.0]], None, False, [3.0, 2.0]),
        ([[0, 2], [1, 5]], [[1.0, 1.0], [0.0, 1.0]], True, [[1.0, 3.0], [0.0, 1.0]]),
        ([[0, 2], [1, 5]], [1.0, 0.5], True, [[1.0, 3.0], [1.0, 0.5]]),
    ],
)
def test_classes_weigh_alike_in_arrays_and_in_graphs(y, weight, in_rows, wanted):
    import tensorflow as tf

    classes = np.array([1.0, 2.0, 3.0], "float32")
    weight = None if weight is None else np.array(weight, "float32")
    found = weigh_classes(np.array(y), weight, classes, in_rows)
    np.testing.assert_allclose(found, wanted)
    tensors = tf.constant(y), None if weight is None else tf.constant(weight)
    np.testing.assert_allclose(weigh_classes(*tensors, classes, in_rows), wanted)


@pytest.mark.backend_free
def test_masks_become_numbers_where_they_are_added_up():
    inputs = tiny.make_text_inputs()
    x, _, weight = prepare_batch((inputs, inputs["token_ids"], inputs["padding_mask"]), None, True)
    assert weight.dtype == "int32"
    assert {name: str(value.dtype) for name, value in x.items()} == {
        "token_ids": "int32",
        "padding_mask": "int32",
    }


def make_dataset(*parts, batched=True):
    import tensorflow as tf

    dataset = tf.data.Dataset.from_tensor_slices(parts if len(parts) > 1 else parts[0])
    return dataset.batch(2) if batched else dataset


@pytest.mark.parametrize(
    ("dataset", "match"),
    [
        (lambda: make_dataset(tiny.TEXTS, tiny.SENTIMENTS, batched=False), "must have batches"),
        (lambda: make_dataset(tiny.TEXTS, tiny.SENTIMENTS).take(0), "at least one batch"),
        (lambda: make_dataset([[4], [5]], [0, 1]), "Texts must be strings. Received: elements"),
        (
            lambda: make_dataset(tiny.TEXTS),
            r"Labels must come .*: \(texts, labels",
        ),
    ],
    ids=["rows", "nothing", "ids", "no labels"],
)
def test_a_dataset_of_something_else_is_refused(dataset, match):
    task = tiny.make_classifier()
    for method in (task.fit, task.evaluate):
        with pytest.raises(ValueError, match=match):
            method(dataset(), verbose=0)
    with pytest.raises(ValueError, match=match):
        task.fit(tiny.TEXTS, tiny.SENTIMENTS, validation_data=dataset(), verbose=0)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"x": ["good", None]}, "A text must be a string .*Received: None at position 1"),
        ({"x": ["good", float("nan")]}, "A text must be a string .*Received: nan at position 1"),
        ({"x": [[4, 5], [4]]}, "A text must be a string .*Received: .* at position 0"),
        ({"x": []}, "There must be at least one text. Received: none"),
        ({"y": ["neutral", None]}, "A label must be .*Received: None at position 1"),
        ({"y": [0, float("nan")]}, "A label must be .*Received: nan at position 1"),
        ({"sample_weight": [1.0, None]}, "A weight must be .*Received: None at position 1"),
        ({"sample_weight": [1.0, np.inf]}, "A weight must be .*Received: inf at position 1"),
        ({"sample_weight": 2.0}, "Weights must be in a list. Received: 2.0"),
        (
            {"validation_data": (["good", 3], [0, 1])},
            "A text must be a string .*Received: 3 at position 1, in `validation_data`",
        ),
        ({"validation_data": (["good"], [0], [None])}, "A weight must be .*, in `validation_data`"),
    ],
    ids=str,
)
def test_holes_among_samples_are_named_before_training(arguments, match):
    task = tiny.make_classifier()
    with pytest.raises(ValueError, match=match):
        task.fit(**{"x": ["good", "bad"], "y": [0, 1], "verbose": 0, **arguments})


def test_holes_among_pairs_and_partners_are_named():
    task = tiny.make_task(tiny.make_preprocessor())
    for given, match in (
        ((["cat", None], ["K", "K"]), "A source must be .*Received: None at position 1"),
        ((["cat", "hat"], ["K", 3]), "A target must be .*Received: 3 at position 1"),
        (({"encoder_text": ["cat"]},), "Targets must come with"),
    ):
        with pytest.raises(ValueError, match=match):
            task.fit(*given, verbose=0)
    embedder = tiny.make_transformer("SentenceEmbedder", encoder={"num_layers": 1})
    with pytest.raises(ValueError, match="A partner must be .*Received: None at position 1"):
        embedder.fit(["good", "bad"], ["film", None], verbose=0)


def test_holes_among_ids_are_named():
    """Without a preprocessor labels may be floats, as a table with holes has them."""
    task = tiny.make_classifier(None)
    with pytest.raises(ValueError, match="A label must be .*Received: nan at position 1"):
        task.fit(tiny.make_text_inputs(), np.array([0.0, np.nan]), verbose=0)


STRATEGY = """
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    import keras
    import numpy as np
    from attnzoo import data
    from tests.models import tiny

    def make():
        task = tiny.make_task(tiny.make_preprocessor())
        task.compile(keras.optimizers.SGD(0.5))
        return task

    pairs = list(zip(tiny.WORDS, tiny.PHONEMES))
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    with strategy.scope():
        task = make()
    assert not task.jit_compile
    # Targets of one length: then the mean of both halves is the mean of all.
    one = make()
    one.compile(keras.optimizers.SGD(0.5), jit_compile=False)
    arguments = {"batch_size": 6, "epochs": 2, "shuffle": False, "verbose": 0}
    found, wanted = (
        each.fit(tiny.WORDS, tiny.PHONEMES, **arguments).history["loss"] for each in (task, one)
    )
    np.testing.assert_allclose(found, wanted, rtol=1e-4)
    batches = data.BucketedBatches(pairs, task.preprocessor, batch_size=6)
    found, wanted = (each.evaluate(batches, verbose=0) for each in (task, one))
    np.testing.assert_allclose(found, wanted, rtol=1e-4)
"""


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="It is TensorFlow's.")
def test_two_devices_of_a_strategy_train_as_one():
    """In a process of its own: devices cannot be split later."""
    code = [sys.executable, "-c", textwrap.dedent(STRATEGY)]
    done = subprocess.run(code, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
