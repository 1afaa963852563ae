"""Checkpoints that are kept, and their mean."""

import keras
import numpy as np
import pytest

from attnzoo.training import BestCheckpoints, average_checkpoints


def make_model():
    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(2), keras.layers.Dropout(0.5)])


def set_to(model, value):
    model.set_weights([np.full(weight.shape, value) for weight in model.get_weights()])


def make_checkpoints(folder, model, **arguments):
    checkpoints = BestCheckpoints(folder / "checkpoints", **{"keep": 2, **arguments})
    checkpoints.set_model(model)
    return checkpoints


def run_epochs(checkpoints, losses, start=0):
    """Epochs that leave weights of their own number."""
    for epoch, loss in enumerate(losses, start):
        checkpoints.on_epoch_begin(epoch)
        set_to(checkpoints.model, epoch)
        checkpoints.on_epoch_end(epoch, {"val_loss": loss})


def epochs_of(paths):
    return [int(path.name.split("_")[1]) for path in paths]


def test_the_mean_is_that_of_all_checkpoints(tmp_path):
    model, draw = make_model(), np.random.default_rng(0)
    paths, values = [], []
    for name in "abc":
        values.append([draw.normal(size=weight.shape) for weight in model.get_weights()])
        model.set_weights(values[-1])
        paths.append(tmp_path / f"{name}.weights.h5")
        model.save_weights(paths[-1])
    average_checkpoints(model, paths)
    for weight, *each in zip(model.get_weights(), *values, strict=True):
        np.testing.assert_allclose(weight, np.mean(each, axis=0), atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "best"),
    [({}, [4, 1]), ({"mode": "max"}, [2, 0]), ({"monitor": None}, [5, 4]), ({"keep": 9}, None)],
    ids=str,
)
def test_the_best_epochs_are_kept(tmp_path, arguments, best):
    checkpoints = make_checkpoints(tmp_path, make_model(), **arguments)
    run_epochs(checkpoints, [7.0, 2.0, 11.0, 3.0, 2.0, 5.0])
    checkpoints.on_train_end()
    assert epochs_of(checkpoints.paths) == (best or [4, 1, 3, 5, 0, 2])
    assert set(checkpoints.folder.iterdir()) == set(checkpoints.paths)
    if best:
        average_checkpoints(checkpoints.model, checkpoints.paths)
        np.testing.assert_allclose(checkpoints.model.get_weights()[0], np.mean(best))


def test_what_an_interrupted_epoch_left_is_forgotten(tmp_path):
    """Killed after epoch 2 had its checkpoint, before a backup said that it was done."""
    model = make_model()
    run_epochs(make_checkpoints(tmp_path, model), [5.0, 3.0, 2.0])
    again = make_checkpoints(tmp_path, model)
    again.on_epoch_begin(2)
    assert epochs_of(again.paths) == [1, 0]  # The first is still there.
    run_epochs(again, [4.0], start=2)
    assert epochs_of(again.paths) == [1, 2]
    again.on_epoch_begin(0)  # Training from the start.
    assert again.paths == []


def test_an_epoch_without_a_number_leaves_no_checkpoint(tmp_path):
    checkpoints = make_checkpoints(tmp_path, make_model())
    run_epochs(checkpoints, [float("nan"), float("inf"), 7.0])
    assert epochs_of(checkpoints.paths) == [2, 1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"keep": 0}, "`keep` must be at least 1. Received: keep=0"),
        ({"mode": "auto"}, "Received: mode='auto'"),
    ],
)
def test_what_cannot_be_kept_is_refused(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        BestCheckpoints(tmp_path, **arguments)


def test_an_epoch_must_end_with_what_it_is_ranked_by(tmp_path):
    checkpoints = make_checkpoints(tmp_path, make_model(), monitor="val_accuracy")
    with pytest.raises(ValueError, match=r"\['val_loss'\]. Received: monitor='val_accuracy'"):
        run_epochs(checkpoints, [1.0])


def test_there_is_no_mean_of_nothing_or_of_integers():
    model = make_model()
    with pytest.raises(ValueError, match=r"at least one checkpoint. Received: paths=\[\]"):
        average_checkpoints(model, [])
    model.quantize("int8", filters=lambda layer: isinstance(layer, keras.layers.Dense))
    with pytest.raises(ValueError, match="must not be quantized.*Received: int8 weights"):
        average_checkpoints(model, ["a.weights.h5"])
