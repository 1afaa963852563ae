"""What Keras's optimizers do with our tasks: accumulated gradients, averaged weights."""

import keras
import numpy as np
import pytest

from attnzoo.training import InverseSquareRootDecay
from tests.models import tiny
from tests.tools import assert_close, to_numpy

MOMENTUM = 0.75


def make_task(**arguments):
    """A tagger: it has a loss for each token, and no loop, which is slow where it is not compiled.

    It trains step by step; on JAX it is quicker to compile.
    """
    task = tiny.make_transformer("TokenTagger", preprocessor=None, encoder={"num_layers": 1})
    optimizer = keras.optimizers.SGD(0.5, **arguments)
    task.compile(optimizer, run_eagerly=keras.backend.backend() != "jax")
    return task


@pytest.fixture(scope="module")
def accumulating():
    return make_task(gradient_accumulation_steps=2, use_ema=True, ema_momentum=MOMENTUM)


@pytest.fixture(scope="module")
def plain():
    return make_task()


def make_batch(lengths):
    """Four texts: inputs, labels, and a weight of 1 for each real token."""
    x = tiny.make_text_inputs(lengths, places=3)
    return x, x["token_ids"] % len(tiny.TAG_NAMES), x["padding_mask"].astype("float32")


def train_half(task, batch, half):
    rows = slice(2 * half, 2 * half + 2)
    task.train_on_batch(*keras.tree.map_structure(lambda array: array[rows], batch))
    return task.get_weights()


@pytest.mark.parametrize(
    ("lengths", "counts"), [((3, 2, 2, 3), (5, 5)), ((3, 3, 2, 1), (6, 3))], ids=str
)
def test_two_half_batches_make_one_step_in_which_both_count_alike(
    accumulating, plain, lengths, counts
):
    """With as many tokens in both it is the step of the whole batch."""
    x, labels, weight = batch = make_batch(lengths)
    before = accumulating.get_weights()
    plain.set_weights(before)
    assert_close(train_half(accumulating, batch, 0), before, 0.0)
    after = train_half(accumulating, batch, 1)
    assert not np.allclose(after[0], before[0], atol=1e-4)
    if counts[0] != counts[1]:
        weight = weight / np.repeat(counts, 2)[:, None].astype("float32")
    plain.train_on_batch(x, labels, weight)
    assert_close(after, plain.get_weights(), 1e-5)


def test_the_average_moves_with_each_batch(accumulating):
    def averages():
        weights = accumulating.get_weights()
        accumulating.optimizer.finalize_variable_values(accumulating.trainable_variables)
        averaged = accumulating.get_weights()
        accumulating.set_weights(weights)
        return averaged

    batch = make_batch((3, 2, 2, 3))
    for half in (0, 1):
        train_half(accumulating, batch, half)
    average = averages()
    for half in (0, 1, 0):
        weights = train_half(accumulating, batch, half)
        average = [
            MOMENTUM * one + (1.0 - MOMENTUM) * other
            for one, other in zip(average, weights, strict=True)
        ]
        assert_close(averages(), average, 1e-5)
    assert not np.allclose(average[0], weights[0], atol=1e-4)
    train_half(accumulating, batch, 1)  # No step is left half done.


def test_sampled_targets_and_drawn_places_go_through_all_of_it():
    """Scheduled sampling and REINFORCE, compiled, with what an optimizer can be asked for.

    XLA on TensorFlow, which is slow to compile, is left to the test of the command.
    """
    task = tiny.make_task(attention="hard")
    optimizer = keras.optimizers.Adam(
        InverseSquareRootDecay(0.1, warmup_steps=2),
        weight_decay=0.01,
        global_clipnorm=1.0,
        use_ema=True,
        gradient_accumulation_steps=2,
    )
    task.compile(optimizer, sampling_probability=0.5, jit_compile=keras.backend.backend() == "jax")
    start = to_numpy(task.trainable_variables)
    x = tiny.make_inputs()
    labels = np.roll(x["decoder_token_ids"], -1, axis=1)
    for number in (1, 2, 3, 4):
        assert np.isfinite(task.train_on_batch(x, labels, x["decoder_padding_mask"])[0])
        assert int(optimizer.iterations) == number // 2
        if number == 1:
            assert_close(to_numpy(task.trainable_variables), start, 0.0)
    for one, other in zip(start, to_numpy(task.trainable_variables), strict=True):
        assert np.isfinite(other).all() and np.abs(one - other).max() > 0.0


@pytest.mark.graph
@pytest.mark.only("tensorflow")
def test_a_step_is_traced_once():
    task = tiny.make_transformer("TokenTagger", preprocessor=None, encoder={"num_layers": 1})
    task.compile(keras.optimizers.Adam(), jit_compile=False)
    traced, step = [], task.train_step
    task.train_step = lambda data: traced.append(data) or step(data)
    x, labels, weight = make_batch((3, 2, 2, 3))
    task.fit(x, labels, sample_weight=weight, epochs=2, batch_size=2, verbose=0)
    assert len(traced) == 1
