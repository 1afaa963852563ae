"""Scheduled sampling: what enters the decoder in training, and what it leaves as it is."""

import keras
import numpy as np
import pytest
from keras import ops

from attnzoo import models
from attnzoo.models.objectives.scheduled_sampling import ScheduledSampling, draw_ids
from attnzoo.training import TrainingBackup, VariableSchedule, linear_decay
from tests import tools
from tests.models import tiny

V, T = tiny.TARGET_VOCABULARY, 5
ATTENTIONS = ["luong", "hard_exact", "hard"]  # The last one explores, for REINFORCE.
RATE = 0.1


def tensors(inputs):
    return {name: ops.convert_to_tensor(value) for name, value in inputs.items()}


def make_inputs():
    return tiny.make_inputs(target_lengths=(5, 3), steps=T)


# === The walk, over tables ===


def next_by(table):
    """`next` of a model whose next token depends on the last one alone: logits [V, V]."""

    def next(prompt, cache, index):
        logits = ops.take(ops.convert_to_tensor(table), ops.take(prompt, index - 1, axis=1), axis=0)
        return logits, None, {"steps": cache["steps"] + 1.0}

    return next


def walk(table, ids, mask, coins, uniforms):
    """The walk, compiled where the backend compiles."""

    def run(ids, mask, coins, uniforms):
        inputs = {"decoder_token_ids": ids, "decoder_padding_mask": mask}
        cache = {"steps": ops.zeros((ops.shape(ids)[0], 1))}
        return draw_ids(next_by(table), cache, inputs, coins, uniforms)

    arrays = [ops.convert_to_tensor(one) for one in (ids, mask, coins, uniforms)]
    return tools.to_numpy(tools.compiled(run)(*arrays))


# After token i comes 3 i + 1 (mod V), for certain.
CERTAIN = np.where(np.arange(V)[None, :] == (3 * np.arange(V)[:, None] + 1) % V, 40.0, 0.0)
CERTAIN = CERTAIN.astype("float32")
IDS = np.array([[2, 6, 8, 9, 3], [2, 5, 3, 0, 0]], "int32")
MASK = tools.lengths_mask([5, 3], T)


def test_what_is_drawn_follows_what_entered_and_padding_stays():
    coins, uniforms = np.ones((2, T), "bool"), np.full((2, T), 0.5, "float32")
    found = walk(CERTAIN, IDS, MASK, coins, uniforms)
    np.testing.assert_array_equal(found, [[2, 7, 2, 7, 2], [2, 7, 2, 0, 0]])
    coins = np.array([[1, 0, 1, 1, 0], [0, 1, 0, 1, 1]], "bool")
    found = walk(CERTAIN, IDS, MASK, coins, uniforms)
    np.testing.assert_array_equal(found, [[2, 6, 9, 8, 3], [2, 7, 3, 0, 0]])
    found = walk(CERTAIN, IDS, MASK, np.zeros((2, T), "bool"), uniforms)
    np.testing.assert_array_equal(found, IDS)


def test_evenly_spread_uniforms_give_each_token_its_share():
    count = 1009
    p = np.random.default_rng(0).dirichlet(np.ones(V), size=V)
    p[:, 4] = 0.0
    p /= p.sum(axis=1, keepdims=True)
    with np.errstate(divide="ignore"):
        table = np.log(p).astype("float32") + 3.0  # Logits need not be log p.
    uniforms = np.zeros((count, 2), "float32")
    uniforms[:, 1] = np.arange(count) / count
    ids = np.full((count, 2), 6, "int32")
    every = np.ones((count, 2), "bool")
    found = walk(table, ids, every, every, uniforms)
    assert (found[:, 0] == 6).all()
    shares = np.bincount(found[:, 1], minlength=V)
    assert np.abs(shares - count * p[6]).max() <= 1.5  # Both ends of an interval are rounded.
    assert shares[4] == 0


def test_a_target_of_one_token_is_its_start():
    one = np.ones((2, 1), "bool")
    found = walk(CERTAIN, IDS[:, :1], one, one, np.zeros((2, 1), "float32"))
    np.testing.assert_array_equal(found, [[2], [2]])


class Certain:
    """What `ScheduledSampling` sees of a task: here one that always says 9."""

    input = ("decoder_token_ids", "decoder_padding_mask")
    trainable_variables = non_trainable_variables = ()
    dtype_policy = keras.DTypePolicy("float32")

    def make_next(self, inputs, with_alignments):
        table = np.zeros((V, V), "float32")
        table[:, 9] = 40.0
        return next_by(table), {"steps": ops.zeros((ops.shape(inputs["decoder_token_ids"])[0], 1))}


def test_each_example_and_step_has_a_coin_of_its_own():
    batch, probability = 499, 0.3
    inputs = {
        "decoder_token_ids": np.full((batch, T), 5, "int32"),
        "decoder_padding_mask": np.ones((batch, T), "bool"),
    }
    sampling = ScheduledSampling(probability)
    drawn = [
        tools.to_numpy(sampling.mix(Certain(), inputs)["decoder_token_ids"]) == 9 for _ in range(3)
    ]
    assert not np.stack(drawn)[:, :, 0].any()
    drawn = np.stack([one[:, 1:] for one in drawn]).astype("float64")  # [3, B, T - 1]
    error = np.sqrt(probability * (1 - probability))
    assert abs(drawn.mean() - probability) < 4 * error / np.sqrt(drawn.size)
    # Whether two coins show the same, by chance in p^2 of all pairs.
    pairs = {
        "steps": drawn[:, :, 1:] * drawn[:, :, :-1],
        "examples": drawn[:, 1:] * drawn[:, :-1],
        "passes": drawn[1:] * drawn[:-1],
    }
    for name, both in pairs.items():
        # Neighbouring pairs share a coin: their sum varies by at most three times as much.
        error = np.sqrt(3 * probability**2 * (1 - probability**2) / both.size)
        assert abs(both.mean() - probability**2) < 4 * error, name


@pytest.mark.parametrize(("probability", "expected"), [(0.0, 5), (1.0, 9)])
def test_zero_is_never_and_one_is_always(probability, expected):
    inputs = {
        "decoder_token_ids": np.full((499, T), 5, "int32"),
        "decoder_padding_mask": np.ones((499, T), "bool"),
    }
    found = ScheduledSampling(probability).mix(Certain(), inputs)["decoder_token_ids"]
    assert (tools.to_numpy(found)[:, 1:] == expected).all()


# === In a model ===


def make_task(sampling, attention="luong", **arguments):
    keras.utils.set_random_seed(3)
    task = tiny.make_task(attention=attention, **arguments)
    task.compile(optimizer=keras.optimizers.SGD(RATE), sampling_probability=sampling)
    return task


def walk_in_python(task, inputs, coins, uniforms):
    """What enters, by a loop over the teacher-forced pass, in float64."""
    decode = tools.compiled(lambda inputs: task.decode(inputs)[0])
    ids = inputs["decoder_token_ids"].copy()
    for place in range(1, ids.shape[1]):
        logits = tools.to_numpy(decode(tensors({**inputs, "decoder_token_ids": ids})))
        cumulative = np.exp(tiny.log_softmax(logits[:, place - 1])).cumsum(axis=-1)
        gaps = np.abs(cumulative - uniforms[:, place, None])
        drawn = (cumulative <= uniforms[:, place, None]).sum(axis=-1)
        here = coins[:, place] & inputs["decoder_padding_mask"][:, place]
        assert gaps[here].min(initial=1.0) > 1e-4  # Far enough from where a rounding error tells.
        ids[here, place] = drawn[here]
    return ids


def step(task, inputs):
    """The weights after a step of training from where the task is."""
    keras.utils.set_random_seed(11)  # On torch, dropout draws from what all share.
    labels = np.roll(make_inputs()["decoder_token_ids"], -1, axis=1)
    weights = np.roll(inputs["decoder_padding_mask"], -1, axis=1).astype("float32")
    weights[:, -1] = 0.0
    loss = task.train_on_batch(inputs, labels, sample_weight=weights)[0]
    return float(loss), task.get_weights()


@pytest.mark.rotates
@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.graph
def test_training_is_teacher_forcing_on_what_was_drawn(attention, monkeypatch):
    """So no gradient flows through a draw, and with probability 0 it is plain training."""

    def draw_coins(self, shape):  # Compiled, TensorFlow's own numbers are others than eagerly.
        coins, uniforms = ops.convert_to_tensor(COINS), ops.convert_to_tensor(UNIFORMS)
        return coins < ops.convert_to_tensor(self.probability), uniforms

    monkeypatch.setattr(ScheduledSampling, "draw_coins", draw_coins)
    plain, sampling = (make_task(one, attention, dropout=0.2) for one in (None, 0.0))
    start = plain.get_weights()
    inputs = make_inputs()
    loss, expected = step(plain, inputs)
    sampled_loss, found = step(sampling, inputs)
    assert sampled_loss == pytest.approx(loss, rel=1e-6)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-7)

    plain.set_weights(start)
    sampling.set_weights(start)
    sampling.sampling_probability.assign(0.75)  # The compiled step goes by it from now on.
    drawn = walk_in_python(plain, inputs, COINS < 0.75, UNIFORMS)
    assert (drawn != inputs["decoder_token_ids"]).sum() >= 2
    other_loss, expected = step(plain, {**inputs, "decoder_token_ids": drawn})
    sampled_loss, found = step(sampling, inputs)
    assert abs(other_loss - loss) > 1e-3
    assert sampled_loss == pytest.approx(other_loss, rel=1e-5)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


COINS, UNIFORMS = np.random.default_rng(5).uniform(size=(2, 2, T)).astype("float32")


class Training(keras.layers.Layer):
    """A pass of training around the pass that draws."""

    def __init__(self, task):
        super().__init__()
        self.task = task

    def call(self, inputs, training=False):
        return self.task._scheduled_sampling.mix(self.task, inputs)["decoder_token_ids"]


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_the_pass_that_draws_drops_nothing(dtype):
    """Even inside a layer that is training it draws as a model without dropout does."""
    dropping = make_task(1.0, "hard", dropout=0.5, recurrent_dropout=0.5, dtype=dtype)
    keeping = make_task(1.0, "hard", dtype=dtype)
    before = dropping._scheduled_sampling.seed_generator.state.numpy()
    keeping._scheduled_sampling.seed_generator.state.assign(before)
    layers = {Training(dropping): True, Training(keeping): False}

    def run(inputs):
        found = []
        for layer, training in layers.items():
            with keras.StatelessScope([(one, one.value) for one in layer.task.variables]):
                found.append(layer(inputs, training=training))
        return found

    inputs = make_inputs()
    training, inference = tools.to_numpy(tools.compiled(run)(tensors(inputs)))
    np.testing.assert_array_equal(training, inference)
    assert (training != inputs["decoder_token_ids"]).any()


def test_what_a_pointer_generator_copies_may_enter(monkeypatch):
    def draw_coins(self, shape):
        return ops.ones((2, T), dtype="bool"), ops.full((2, T), 0.9999, dtype="float32")

    monkeypatch.setattr(ScheduledSampling, "draw_coins", draw_coins)
    task = make_task(1.0, pointer_generator=True)
    inputs = make_inputs()
    places = V + np.arange(inputs["encoder_token_ids"].shape[1], dtype="int32")
    inputs["copy_token_ids"] = places * inputs["encoder_padding_mask"]
    mix = tools.compiled(lambda inputs: task._scheduled_sampling.mix(task, inputs))
    found = tools.to_numpy(mix(tensors(inputs)))
    np.testing.assert_array_equal(found["copy_token_ids"], inputs["copy_token_ids"])
    drawn = found["decoder_token_ids"][:, 1:][inputs["decoder_padding_mask"][:, 1:]]
    assert (drawn >= V).all()  # The last of what has a probability.


def test_only_training_samples(monkeypatch):
    task = make_task(1.0)

    def refuse(self, task, inputs):
        raise InterruptedError

    monkeypatch.setattr(ScheduledSampling, "mix", refuse)
    inputs = tensors(make_inputs())
    tools.compiled(lambda inputs: [task(inputs), task(inputs, training=False)])(inputs)
    with pytest.raises(InterruptedError):
        task(inputs, training=True)


# === The variable ===


@pytest.mark.shared("torch")
def test_a_schedule_moves_the_probability_and_a_backup_keeps_it(tmp_path):
    task = make_task(0.0)
    schedule = VariableSchedule(task.sampling_probability, linear_decay(0.25))
    backup = TrainingBackup(tmp_path / "backup.npz", tmp_path / "history.csv")
    backup.restore(task)
    backup.on_train_begin()
    for epoch in range(3):
        schedule.on_epoch_begin(epoch)
        assert float(task.sampling_probability.numpy()) == pytest.approx(0.25 * epoch)
        task._scheduled_sampling.draw_coins((2, T))
        backup.on_epoch_end(epoch)
    other = make_task(0.0)
    assert TrainingBackup(tmp_path / "backup.npz", tmp_path / "history.csv").restore(other) == 3
    assert float(other.sampling_probability.numpy()) == 0.5
    for one, two in zip(task.variables, other.variables, strict=True):
        np.testing.assert_array_equal(ops.convert_to_numpy(one), ops.convert_to_numpy(two))


@pytest.mark.shared("torch")
def test_a_saved_task_goes_on_with_its_probability(tmp_path):
    task = make_task(0.0)
    task.sampling_probability.assign(0.75)
    task.save(tmp_path / "task.keras")
    loaded = keras.saving.load_model(tmp_path / "task.keras")
    assert float(loaded.sampling_probability.numpy()) == 0.75


@pytest.mark.shared("torch")
def test_a_preset_and_its_weights_know_nothing_of_it(tmp_path):
    with_it, without = make_task(0.25), make_task(None)
    assert [one.path for one in with_it.weights] == [one.path for one in without.weights]
    assert with_it.count_params() == without.count_params()
    with_it.save_weights(tmp_path / "its.weights.h5")
    without.load_weights(tmp_path / "its.weights.h5")
    with_it.save_to_preset(str(tmp_path / "preset"))
    loaded = models.RNNSeq2SeqLM.from_preset(str(tmp_path / "preset"))
    assert loaded.sampling_probability is None
    for one, other in zip(with_it.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.shared("torch")
def test_compiled_again_a_task_keeps_the_variable_or_drops_it():
    task = tiny.make_task()
    assert task.sampling_probability is None
    task.compile(sampling_probability=0.25)
    variable = task.sampling_probability
    assert not variable.trainable and float(variable.numpy()) == 0.25
    task.compile(sampling_probability=0.5)
    assert task.sampling_probability is variable and float(variable.numpy()) == 0.5
    count = len(task.variables)
    task.compile()
    assert task.sampling_probability is None and len(task.variables) == count - 2


@pytest.mark.parametrize("probability", [-0.1, 1.5, float("nan")])
def test_what_is_no_probability_is_refused(probability):
    task = tiny.make_task()
    message = rf"`sampling_probability` must be in \[0, 1\].*Received: .*={probability}"
    with pytest.raises(ValueError, match=message):
        task.compile(sampling_probability=probability)
    task.compile(sampling_probability=0.5)
    with pytest.raises(ValueError, match=message):
        task.compile(sampling_probability=probability)
    assert float(task.sampling_probability.numpy()) == 0.5
