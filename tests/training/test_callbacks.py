"""The backup: one file, written in one move, with all that training needs."""

import keras
import numpy as np
import pytest
from keras import ops

from attnzoo.training import TrainingBackup
from attnzoo.training import callbacks as module
from tests.tools import assert_close


def make_model(units=3, **arguments):
    model = keras.Sequential(
        [keras.Input((5,)), keras.layers.Dropout(0.5), keras.layers.Dense(units)]
    )
    model.compile(optimizer=keras.optimizers.Adam(**arguments), loss="mse")
    return model


def fit(model, epochs, callbacks, initial_epoch=0):
    x, y = np.ones((7, 5), "float32"), np.ones((7, 3), "float32")
    model.fit(
        x,
        y,
        epochs=epochs,
        initial_epoch=initial_epoch,
        verbose=0,
        callbacks=callbacks,
        shuffle=False,
    )


def make_callbacks(folder):
    history = keras.callbacks.CSVLogger(str(folder / "history.csv"), append=True)
    stopping = keras.callbacks.EarlyStopping("loss", mode="min", patience=9)
    checkpoint = keras.callbacks.ModelCheckpoint(
        folder / "best.weights.h5",
        monitor="loss",
        mode="min",
        save_best_only=True,
        save_weights_only=True,
    )
    backup = TrainingBackup(
        folder / "backup.npz", folder / "history.csv", callbacks=[stopping, checkpoint]
    )
    return [history, stopping, checkpoint, backup]


def test_weights_moments_and_random_states_come_back(tmp_path):
    model = make_model()
    callbacks = make_callbacks(tmp_path)
    assert callbacks[-1].restore(model) == 0
    fit(model, 3, callbacks)
    other = make_model()
    assert make_callbacks(tmp_path)[-1].restore(other) == 3
    for one, two in zip(
        [*model.variables, *model.optimizer.variables],
        [*other.variables, *other.optimizer.variables],
        strict=True,
    ):
        np.testing.assert_array_equal(ops.convert_to_numpy(one), ops.convert_to_numpy(two))


def test_time_adds_up_over_restarts_without_what_a_kill_undid(tmp_path, monkeypatch):
    clock = iter([100.0, 107.0, 120.0, 1000.0, 1005.0])
    monkeypatch.setattr(module.time, "monotonic", lambda: next(clock))
    first, model = make_callbacks(tmp_path)[-1], make_model()
    model.optimizer.build(model.trainable_variables)
    first.restore(model)
    assert first.seconds == 0.0
    first.on_train_begin()  # At 100.
    for epoch in range(2):
        first.on_epoch_end(epoch)  # At 107 and 120; it is killed some time after that.
    second = make_callbacks(tmp_path)[-1]
    assert second.restore(make_model()) == 2 and second.seconds == 20.0
    second.on_train_begin()  # At 1000.
    second.on_epoch_end(2)
    assert second.seconds == 25.0
    with np.load(tmp_path / "backup.npz") as saved:
        without = {name: saved[name] for name in saved if name != "seconds"}
    np.savez(tmp_path / "backup.npz", **without)
    assert second.restore(second.model) == 3 and np.isnan(second.seconds)


def test_averages_are_shown_and_the_weights_themselves_go_on(tmp_path):
    shown, trained = [], []

    def train(initial_epoch, stop):
        """Train to epoch 5, or stop in between."""
        model = make_model(use_ema=True, ema_momentum=0.75)
        swap = keras.callbacks.SwapEMAWeights(swap_on_epoch=True)

        def look(epoch, logs):
            shown.append(model.get_weights())

        def look_again(epoch, logs):
            trained.append(model.get_weights())
            model.stop_training = epoch == stop

        backup = TrainingBackup(tmp_path / "backup.npz", tmp_path / "history.csv", swap=swap)
        looks = [keras.callbacks.LambdaCallback(on_epoch_end=one) for one in (look, look_again)]
        assert backup.restore(model) == initial_epoch
        fit(model, 5, [swap, looks[0], backup, looks[1]], initial_epoch)
        return model.get_weights()

    train(0, stop=2)
    final = train(3, stop=None)
    # One batch is an epoch, and the average begins with the weights after the first. The last epoch
    # has nothing to go on with: there Keras leaves the average in the model.
    average = trained[0]
    for found, weights in zip(shown[:-1], trained[:-1], strict=True):
        average = [0.75 * a + 0.25 * w for a, w in zip(average, weights, strict=True)]
        assert_close(found, average, 1e-4)
    assert_close(final, shown[-1])
    assert not np.allclose(final[0], trained[-2][0], atol=1e-5)


def test_early_stopping_and_checkpoint_remember(tmp_path):
    callbacks = make_callbacks(tmp_path)
    model = make_model()
    callbacks[-1].restore(model)
    fit(model, 3, callbacks)
    again = make_callbacks(tmp_path)
    epoch = again[-1].restore(make_model())
    _, stopping, checkpoint, backup = again
    for callback in again[1:]:
        callback.set_model(model)
        callback.on_train_begin()
    losses = [logs["loss"] for logs in backup.past]
    assert epoch == len(losses) == 3
    assert checkpoint.best == stopping.best == pytest.approx(min(losses))
    assert stopping.wait == 2 - losses.index(min(losses))


def test_what_was_logged_after_the_backup_is_dropped(tmp_path):
    callbacks = make_callbacks(tmp_path)
    model = make_model()
    callbacks[-1].restore(model)
    fit(model, 2, callbacks)
    with open(tmp_path / "history.csv", "a") as file:
        file.write("2,0.5,0.5\n3\n")
    assert make_callbacks(tmp_path)[-1].restore(make_model()) == 2
    assert len((tmp_path / "history.csv").read_text().splitlines()) == 3


def test_a_backup_of_another_model_is_refused(tmp_path):
    callbacks = make_callbacks(tmp_path)
    model = make_model()
    callbacks[-1].restore(model)
    fit(model, 1, callbacks)
    with pytest.raises(ValueError, match="The backup is of another model.*Received: path="):
        make_callbacks(tmp_path)[-1].restore(make_model(units=4))


def test_a_callback_whose_mode_is_not_said_is_refused():
    stopping = keras.callbacks.EarlyStopping("val_loss")
    with pytest.raises(ValueError, match="Received: EarlyStopping of 'val_loss' without it"):
        TrainingBackup("backup.npz", "history.csv", [stopping])
