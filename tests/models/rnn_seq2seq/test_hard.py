"""Hard attention in a whole model: its draws are charged under plain `fit`."""

import keras
import numpy as np
import pytest
from keras import ops

from attnzoo import layers, models
from attnzoo.models.objectives import reinforce
from tests import tools
from tests.models import tiny

pytestmark = pytest.mark.shared("torch")

NAMES = ("hard", "hard_straight_through", "hard_gumbel")


def attention_of(task):
    return task.backbone.decoder.cell.attentions[0]


def batch():
    inputs = tiny.make_inputs()
    targets = np.roll(inputs["decoder_token_ids"], -1, axis=1).astype("int32")
    return inputs, targets, inputs["decoder_padding_mask"].astype("float32")


def decoded(task):
    """Logits and alignments, teacher-forced."""
    inputs = {name: ops.convert_to_tensor(one) for name, one in tiny.make_inputs().items()}
    with tools.without_compilation():
        return tools.to_numpy(task.decode(inputs))


@pytest.mark.parametrize("name", NAMES)
def test_a_model_is_the_same_from_a_file_and_from_a_preset(name, tmp_path):
    task = tiny.make_task(tiny.make_preprocessor(), attention=name)
    expected = decoded(task)
    assert set(np.unique(expected[1])) <= {0.0, 1.0}
    task.save(tmp_path / "task.keras")
    task.save_to_preset(str(tmp_path / "preset"))
    for loaded in (
        keras.saving.load_model(tmp_path / "task.keras"),
        models.RNNSeq2SeqLM.from_preset(str(tmp_path / "preset")),
    ):
        tools.assert_close(decoded(loaded), expected)
        for one, other in zip(loaded.weights, task.weights, strict=True):
            np.testing.assert_array_equal(tools.to_numpy(one.value), tools.to_numpy(other.value))


@pytest.mark.parametrize(("attend", "input_feeding"), [("before", None), ("after", False)])
def test_the_scores_learn_only_what_draws_are_charged_with(attend, input_feeding, monkeypatch):
    """Without the charge there is nothing that would move them."""
    arguments = {"score": "bilinear", "baseline": None, "seed": 1}
    moved = {}
    for charged in (True, False):
        attention = layers.HardAttention(**arguments, name="attention")
        task = tiny.make_task(attention=attention, attend=attend, input_feeding=input_feeding)
        if not charged:
            monkeypatch.setattr(reinforce, "_keep", lambda model, draws: None)
        task.compile(optimizer=keras.optimizers.SGD(0.1))
        weight = attention.score.trainable_weights[0]
        before = tools.to_numpy(weight.value).copy()
        task.train_on_batch(*batch())
        moved[charged] = np.abs(tools.to_numpy(weight.value) - before).max()
    assert moved[True] > 1e-4 and moved[False] == 0.0


def test_mixed_precision_trains():
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        task = tiny.make_task(attention="hard", dtype="mixed_bfloat16")
        task.compile(optimizer=keras.optimizers.SGD(0.1))
        loss = task.train_on_batch(*batch())
    finally:
        keras.config.set_dtype_policy(policy)
    average = attention_of(task).average_loss
    assert np.isfinite(loss[0] if isinstance(loss, list) else loss)
    assert keras.backend.standardize_dtype(average.dtype) == "float32"
    for weight in task.trainable_weights:
        assert np.all(np.isfinite(tools.to_numpy(weight.value)))
