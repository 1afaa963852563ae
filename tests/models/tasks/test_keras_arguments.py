"""Each argument of Keras's `compile`, `fit` and `evaluate` does for our tasks what it does there.

The plain model shares weights and layers with the task, and nothing is learned.
"""

import keras
import numpy as np
import pytest

from attnzoo import data, models
from tests.models import tiny

LABELS = np.array([0, 1, 1, 2, 0, 1])


@pytest.fixture(scope="module")
def inputs():
    return tiny.make_text_inputs((3, 2, 3, 1, 2, 3), places=3)


@pytest.fixture(scope="module")
def task():
    return compiled(tiny.make_transformer("TextClassifier", None, encoder={"num_layers": 1}))


@pytest.fixture(scope="module")
def plain(task):
    return compiled(keras.Model(task.input, task.output))


def compiled(model, **arguments):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    defaults = {"weighted_metrics": ["accuracy"], "run_eagerly": not is_on("jax")}
    model.compile(**{"optimizer": keras.optimizers.SGD(0.0), "loss": loss, **defaults, **arguments})
    return model


def is_on(backend):
    return keras.backend.backend() == backend


class Count(keras.callbacks.Callback):
    """Counts batches, and notes what Keras tells callbacks of training."""

    def __init__(self):
        super().__init__()
        self.batches = {"train": 0, "test": 0}

    def on_train_batch_end(self, batch, logs=None):
        self.batches["train"] += 1

    def on_test_batch_end(self, batch, logs=None):
        self.batches["test"] += 1


VALIDATION = {"validation_data": "inputs and labels"}


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"batch_size": 3},
        {"epochs": 3, "initial_epoch": 1},
        {"epochs": 3, "steps_per_epoch": 1},
        {"sample_weight": np.array([1.0, 0.0, 2.0, 1.0, 3.0, 1.0])},
        {"class_weight": {0: 1.0, 1: 3.0}},
        {"validation_split": 1 / 3},
        VALIDATION,
        {**VALIDATION, "validation_batch_size": 3},
        {**VALIDATION, "validation_steps": 1},
        {**VALIDATION, "validation_freq": 2, "epochs": 3},
    ],
    ids=lambda arguments: "-".join(arguments) or "nothing",
)
def test_fit(task, plain, inputs, arguments):
    arguments = {"batch_size": 2, "shuffle": False, **arguments}
    if "validation_data" in arguments:
        arguments["validation_data"] = (inputs, LABELS)
    found, counts = [], []
    for model in (task, plain):
        counts.append(Count())
        history = model.fit(inputs, LABELS, verbose=0, callbacks=counts[-1:], **arguments)
        found.append({**history.history, "epochs": history.epoch})
    assert counts[0].batches == counts[1].batches
    assert found[0].keys() == found[1].keys()
    for name, values in found[0].items():
        np.testing.assert_allclose(values, found[1][name], rtol=1e-5, err_msg=name)


def test_fit_shuffles_and_tells_how_it_goes(task, inputs, capsys):
    x = {name: value[:, :2] for name, value in inputs.items()}
    losses = {
        shuffle: [
            task.fit(
                x, LABELS, batch_size=5, steps_per_epoch=1, shuffle=shuffle, verbose=0
            ).history["loss"][0]
            for _ in range(8)
        ]
        for shuffle in (False, True)
    }
    assert len({round(loss, 5) for loss in losses[False]}) == 1
    assert len({round(loss, 5) for loss in losses[True]}) > 1
    task.fit(inputs, LABELS, batch_size=2, verbose=2)
    assert "loss: " in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        {"batch_size": 3},
        {"steps": 2},
        {"return_dict": True},
        {"sample_weight": np.array([1.0, 0.0, 2.0, 1.0, 3.0, 1.0])},
    ],
    ids=lambda arguments: next(iter(arguments)),
)
def test_evaluate(task, plain, inputs, arguments):
    arguments = {"batch_size": 2, "verbose": 0, **arguments}
    count, other = Count(), Count()
    found = task.evaluate(inputs, LABELS, callbacks=[count], **arguments)
    wanted = plain.evaluate(inputs, LABELS, callbacks=[other], **arguments)
    assert type(found) is type(wanted) and count.batches == other.batches
    for one, another in zip(keras.tree.flatten(found), keras.tree.flatten(wanted), strict=True):
        assert one == pytest.approx(another, rel=1e-5)


@pytest.mark.parametrize(
    "arguments",
    [
        {"loss_weights": [2.0]},
        {"metrics": ["accuracy"], "weighted_metrics": None},
        {"weighted_metrics": [keras.metrics.SparseCategoricalAccuracy(name="hits")]},
        {"auto_scale_loss": False},
        {"steps_per_execution": 2, "run_eagerly": False, "jit_compile": False},
    ],
    ids=lambda arguments: next(iter(arguments)),
)
def test_compile(inputs, arguments):
    if "steps_per_execution" in arguments and is_on("torch"):
        pytest.skip("Keras has it not on torch.")
    task = tiny.make_transformer("TextClassifier", None, encoder={"num_layers": 1})
    plain = keras.Model(task.input, task.output)
    found = []
    for model in (task, plain):
        compiled(model, **{"run_eagerly": True, **arguments})
        count = Count()
        logs = model.evaluate(
            inputs, LABELS, batch_size=2, verbose=0, return_dict=True, callbacks=[count]
        )
        found.append({**logs, **count.batches})
    assert found[0] == pytest.approx(found[1], rel=1e-5)
    assert model.run_eagerly == task.run_eagerly and model.jit_compile == task.jit_compile


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"y": LABELS}, "`y`, `batch_size`, `sample_weight` must be None. Received: y with x of"),
        ({"batch_size": 2}, "Received: batch_size with x of type"),
        ({"sample_weight": LABELS}, "Received: sample_weight with x of type"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_dataset_has_all_itself(task, inputs, arguments, match):
    import tensorflow as tf

    dataset = tf.data.Dataset.from_tensor_slices((inputs, LABELS)).batch(2)
    for method in (task.fit, task.evaluate):
        with pytest.raises(ValueError, match=match):
            method(dataset, verbose=0, **arguments)


def make_batches():
    """Those that weigh padding by themselves."""
    preprocessor = tiny.make_preprocessor()
    pairs = list(zip(tiny.WORDS, tiny.PHONEMES, strict=True))
    return preprocessor, data.BucketedBatches(pairs, preprocessor, batch_size=6, shuffle=False)


@pytest.mark.shared("torch")
def test_classes_of_sequences_are_weighed_in_samples_and_in_batches():
    """The loss is that of NumPy: the mean of the tokens', each as often as its class weighs."""
    preprocessor, batches = make_batches()
    task = tiny.make_task(preprocessor)
    task.compile(keras.optimizers.SGD(0.0), run_eagerly=True)
    x, y, weight = (batches[0][0], *batches[0][1:])
    logits = keras.ops.convert_to_numpy(task(x))
    nats = -np.take_along_axis(tiny.log_softmax(logits), y[..., None], axis=-1)[..., 0]
    class_weight = {tiny.END: 5.0, 4: 0.0}
    factors = weight * np.where(y == tiny.END, 5.0, np.where(y == 4, 0.0, 1.0))
    wanted = (nats * factors).sum() / factors.sum()
    for given in ((tiny.WORDS, tiny.PHONEMES), (batches,)):
        history = task.fit(*given, class_weight=class_weight, shuffle=False, verbose=0)
        assert history.history["loss"][0] == pytest.approx(wanted, rel=1e-4)


@pytest.mark.shared("torch")
def test_tags_are_weighed_by_name():
    task = tiny.make_transformer("TokenTagger", encoder={"num_layers": 1})
    task.compile(keras.optimizers.SGD(0.0), run_eagerly=True)
    one, another, none = (
        task.fit(tiny.TEXTS, tiny.TAGS, batch_size=6, verbose=0, class_weight=weights).history
        for weights in ({"A": 3.0}, {0: 3.0}, None)
    )
    assert one["loss"] == pytest.approx(another["loss"], rel=1e-5)
    assert one["loss"] != pytest.approx(none["loss"], rel=1e-3)


@pytest.mark.parametrize(
    ("class_weight", "match"),
    [
        ({"good": 2.0}, "class 'good': A label must be .*Received: 'good'"),
        ({7: 2.0}, "class 7: A label must be"),
        ({0: None}, "class 0: A weight must be a finite number. Received: None"),
        ([1.0, 2.0], r"must be a dict .*Received: class_weight=\[1.0, 2.0\]"),
    ],
    ids=str,
)
def test_a_class_that_cannot_be_weighed_is_named(task, inputs, class_weight, match):
    with pytest.raises(ValueError, match=match):
        task.fit(inputs, LABELS, class_weight=class_weight, verbose=0)


def test_tokens_have_no_names_and_pairs_no_classes():
    preprocessor, batches = make_batches()
    with pytest.raises(ValueError, match=r"a token id, in \[0, 10\). Received: 'K'"):
        tiny.make_task(preprocessor).fit(batches, class_weight={"K": 2.0}, verbose=0)
    embedder = tiny.make_transformer("SentenceEmbedder", encoder={"num_layers": 1})
    with pytest.raises(ValueError, match="no classes to weigh.*Received: class_weight={0: 2.0}"):
        embedder.fit(tiny.TEXTS, tiny.TEXTS, class_weight={0: 2.0}, verbose=0)
    assert (
        models.TransformerSpanQA.class_weights is models.TransformerSentenceEmbedder.class_weights
    )
