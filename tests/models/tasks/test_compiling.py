"""What `compile` changes, what it leaves, and what a clone and a file get of it."""

import keras
import numpy as np
import pytest

from attnzoo import models, samplers, training
from tests import tools
from tests.models import tiny


@pytest.fixture(scope="module")
def task():
    return tiny.make_task(attention="coverage")


def compile_all(task):
    optimizer, loss = keras.optimizers.SGD(0.5), training.SmoothedCrossEntropy(0.2)
    task.compile(
        optimizer,
        loss,
        weighted_metrics=[keras.metrics.Mean(name="mine")],
        sampler=samplers.BeamSampler(num_beams=3),
        sampling_probability=0.25,
        run_eagerly=True,
    )
    return optimizer, loss


@pytest.mark.parametrize(
    "arguments",
    [
        {"sampler": "greedy"},
        {"coverage_loss": 2.0},
        {"sampling_probability": 0.5},
        {"steps_per_execution": 1},
        {"jit_compile": False},
    ],
    ids=lambda arguments: next(iter(arguments)),
)
def test_what_is_not_asked_for_stays(task, arguments):
    optimizer, loss = compile_all(task)
    task.compile(**arguments)
    assert task.optimizer is optimizer and task.loss is loss
    assert task.get_compile_config()["weighted_metrics"][0]["config"]["name"] == "mine"
    assert task.run_eagerly
    probability = arguments.get("sampling_probability", 0.25)
    assert float(task.sampling_probability) == pytest.approx(probability)
    is_beam = isinstance(task.sampler, samplers.BeamSampler)
    assert is_beam == ("sampler" not in arguments)
    if "coverage_loss" in arguments:
        assert task.backbone.decoder.cell.attentions[0].coverage_loss == 2.0


def test_training_anew_leaves_the_sampler_alone(task):
    optimizer, _ = compile_all(task)
    task.compile(loss=training.SmoothedCrossEntropy(0.1))
    assert task.optimizer is not optimizer and not task.run_eagerly
    assert task.sampling_probability is None
    assert isinstance(task.sampler, samplers.BeamSampler)
    task.compile()
    assert not isinstance(task.sampler, samplers.BeamSampler)
    assert task.loss.smoothing == 0.0


def test_a_kept_optimizer_goes_with_what_is_trained():
    task = tiny.make_classifier(None)
    task.compile(keras.optimizers.Adam(0.25), run_eagerly=True)
    optimizer = task.optimizer
    optimizer.build(task.trainable_variables)
    task.compile(run_eagerly=True, jit_compile=False)
    assert task.optimizer is optimizer
    task.backbone.trainable = False
    task.compile(run_eagerly=True)
    assert task.optimizer is not optimizer and not task.optimizer.built
    assert float(task.optimizer.learning_rate) == 0.25


def test_smoothing_is_for_the_loss_that_is_made_here(task):
    with pytest.raises(ValueError, match="Received: label_smoothing=0.1 with loss='mse'"):
        task.compile(loss="mse", label_smoothing=0.1)
    embedder = tiny.make_transformer("SentenceEmbedder", encoder={"num_layers": 1})
    with pytest.raises(ValueError, match="no labels to smooth.*Received: label_smoothing=0.1"):
        embedder.compile(label_smoothing=0.1)


@pytest.mark.parametrize("kind", ["classifier", "pairs", "Transformer pairs"])
def test_a_clone_has_weights_of_its_own_and_gives_the_same(kind):
    make = {
        "classifier": lambda: tiny.make_classifier(None),
        "pairs": tiny.make_task,
        "Transformer pairs": lambda: models.TransformerSeq2SeqLM(
            models.TransformerSeq2SeqBackbone(8, 10, **tiny.FAMILIES["Transformer"])
        ),
    }
    task = make[kind]()
    task.compile(keras.optimizers.SGD(0.5))
    clone = keras.models.clone_model(task)
    assert float(clone.optimizer.learning_rate) == 0.5
    clone.set_weights(task.get_weights())
    assert not {id(one) for one in clone.weights} & {id(one) for one in task.weights}
    x = tiny.make_text_inputs() if kind == "classifier" else tiny.make_inputs()
    tools.assert_close(clone(x), task(x), 1e-5)


def test_an_older_file_has_its_own_parts_side_by_side(task):
    compile_all(task)
    config = task.get_compile_config()
    optimizer = dict(config["optimizer"])
    older = {**config, "optimizer": optimizer, **optimizer.pop("task")}
    task.compile()
    task.compile_from_config(older)
    assert isinstance(task.sampler, samplers.BeamSampler)
    assert float(task.sampling_probability) == pytest.approx(0.25)
    assert task.get_compile_config() == config
    assert np.isclose(float(task.optimizer.learning_rate), 0.5)


def test_an_optimizer_of_a_file_is_one_of_this_backend(task):
    """On torch Keras writes the name of a class that no other backend can train with."""
    task.compile(keras.optimizers.Adam(0.5), run_eagerly=True)
    config = task.get_compile_config()
    config["optimizer"]["module"] = "keras.src.backend.torch.optimizers.torch_adam"
    task.compile_from_config(config)
    assert type(task.optimizer) is type(keras.optimizers.Adam(0.5))
    assert float(task.optimizer.learning_rate) == 0.5
