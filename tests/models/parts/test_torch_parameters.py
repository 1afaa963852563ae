"""On every backend the same order of variables, and on torch parameters that torch knows."""

import keras
import numpy as np
import pytest

from attnzoo import models
from tests import tools
from tests.models import tiny

ON_TORCH = keras.backend.backend() == "torch"
only_torch = pytest.mark.skipif(not ON_TORCH, reason="Torch's parameters.")


def make_pairs(vocabulary=(8, 10)):
    backbone = models.TransformerSeq2SeqBackbone(*vocabulary, **tiny.FAMILIES["Transformer"])
    return models.TransformerSeq2SeqLM(backbone)


MODELS = {
    "pairs": lambda: tiny.make_task(),
    "Transformer pairs": make_pairs,
    "its backbone": lambda: make_pairs().backbone,
    "classifier": lambda: tiny.make_classifier(),
    "masked": lambda: tiny.make_transformer("MaskedLM", None, encoder={"num_layers": 1}),
    "embedder": lambda: tiny.make_transformer("SentenceEmbedder", encoder={"num_layers": 1}),
}


@pytest.mark.parametrize(
    ("make", "first", "last"),
    [
        (tiny.make_task, ["source_embedding", "target_embedding", "encoder"], "output"),
        (make_pairs, ["source_embedding", "target_embedding", "encoder_0"], "output"),
        (tiny.make_classifier, ["token_embedding", "encoder"], "class_logits"),
    ],
    ids=["pairs", "Transformer pairs", "classifier"],
)
def test_variables_come_as_the_layers_were_made(make, first, last):
    """An optimizer in a file goes by this order, on whatever backend it is read."""
    task = make()
    layers = list(dict.fromkeys(one.path.split("/")[0] for one in task.trainable_variables))
    assert layers[: len(first)] == first
    assert layers[-1] == last
    backbone = [id(one) for one in task.backbone.trainable_variables]
    assert [id(one) for one in task.trainable_variables][: len(backbone)] == backbone


def test_a_recurrent_decoder_comes_before_its_bridge():
    task = tiny.make_task()
    layers = list(dict.fromkeys(one.path.split("/")[0] for one in task.trainable_variables))
    assert layers == ["source_embedding", "target_embedding", "encoder", "decoder", "bridge"] + [
        "output"
    ]


def test_a_file_of_a_used_optimizer_goes_on(tmp_path):
    """Embeddings of two sizes: in another order their moments would not fit."""
    task = make_pairs()
    task.compile(keras.optimizers.Adam(0.1), run_eagerly=True)
    task.optimizer.build(task.trainable_variables)
    for number, variable in enumerate(task.optimizer.variables[2:]):
        variable.assign(np.full(variable.shape, number, "float32"))
    task.save(tmp_path / "task.keras")
    again = keras.saving.load_model(tmp_path / "task.keras")
    assert [one.path for one in again.optimizer.variables] == [
        one.path for one in task.optimizer.variables
    ]
    tools.assert_close(again.optimizer.variables, task.optimizer.variables, 0.0)


def test_an_older_file_has_the_order_of_its_backend(tmp_path):
    """On torch it was that of the functional graph, in which the target comes first."""
    task = make_pairs()
    task.compile(keras.optimizers.Adam(0.1), run_eagerly=True)
    config = task.get_compile_config()
    own = config["optimizer"]["task"]
    own["optimizer_built"] = True
    del own["optimizer_order"]
    task.compile_from_config(config)
    shapes = [tuple(one.shape) for one in task.optimizer.variables if "embedding" in one.path]
    sizes = [10, 10, 8, 8] if ON_TORCH else [8, 8, 10, 10]
    assert [shape[0] for shape in shapes] == sizes
    # A file of this one keeps to it.
    own = task.get_compile_config()["optimizer"]["task"]
    assert own["optimizer_order"] == ("functional" if ON_TORCH else "made")


@only_torch
@pytest.mark.parametrize("name", MODELS)
def test_torch_knows_the_parameters(name):
    model, other = MODELS[name](), MODELS[name]()
    learned = [one for one in model.parameters() if one.requires_grad]
    assert {*map(id, learned)} == {id(one.value) for one in model.trainable_weights}
    state = model.state_dict()
    assert len(state) == len(model.variables)
    for variable in other.trainable_weights:
        variable.assign(np.full(variable.shape, 0.5))
    other.load_state_dict(state)
    tools.assert_close(other.get_weights(), model.get_weights(), 0.0)


@only_torch
def test_torch_knows_parameters_that_come_later():
    task = make_pairs()
    before = len(list(task.parameters()))
    task.backbone.enable_lora(2)
    learned = [one for one in task.parameters() if one.requires_grad]
    assert len(learned) == len(task.trainable_weights)
    assert len(list(task.parameters())) > before
