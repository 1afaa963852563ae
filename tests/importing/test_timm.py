import numpy as np
import pytest

from attnzoo.importing import import_weights
from attnzoo.importing.timm import set_weights, weight_names
from attnzoo.models import BoTNetBackbone, BoTNetImageClassifier
from tests import tools

pytestmark = pytest.mark.shared("torch")

SIZES = {
    "filters": (4, 8),
    "num_blocks": (1, 2),
    "transformer_blocks": (0, 1),
    "strides": (1, 2),
    "stem": "tiered",
    "attention": "squeeze_excitation",
    "attention_options": {"reduction": 2, "use_bias": True},
    "head_filters": 5,
}


def small():
    return BoTNetImageClassifier(BoTNetBackbone((16, 16, 3), **SIZES), num_classes=3)


def to_timm(task):
    """The state dict that timm would have of a task."""
    state: dict = {}
    for name, variable in weight_names(task):
        value = tools.to_numpy(variable.value)
        if value.ndim == 4:
            value = value.transpose(3, 2, 0, 1)
        elif value.ndim == 2 and not name.endswith("_rel"):
            value = value.T if name.startswith("head") else value.T[:, :, None, None]
        state[name] = np.concatenate([state[name], value]) if name in state else value
        state[f"{name}.num_batches_tracked"] = np.zeros(())
    return state


def test_every_weight_has_a_name_and_comes_back():
    task, other = small(), small()
    tools.set_weights(task)
    assert len([*weight_names(task)]) == len(task.weights)
    set_weights(other, to_timm(task), "small")
    for one, again in zip(task.weights, other.weights, strict=True):
        np.testing.assert_array_equal(tools.to_numpy(one.value), tools.to_numpy(again.value))


def test_weights_of_another_model_are_refused():
    task = small()
    state = to_timm(task)
    with pytest.raises(ValueError, match="those of small, and no others. .*unknown .'extra'"):
        set_weights(task, {**state, "extra": np.zeros(3)}, "small")
    with pytest.raises(ValueError, match="sizes of small. Received: head.fc.bias of shape"):
        set_weights(task, {**state, "head.fc.bias": np.zeros(4)}, "small")
    with pytest.raises(ValueError, match="there is no 'head.fc.bias'. Received: 1 weights"):
        import_weights("botnet26t_256", {"x": np.zeros(3)})


@pytest.mark.slow
@pytest.mark.parametrize("name", ["botnet26t_256", "sebotnet33ts_256"])
def test_random_weights_of_timm_give_the_same_logits(name):
    torch = pytest.importorskip("torch")
    timm = pytest.importorskip("timm", exc_type=Exception)
    torch.manual_seed(0)
    model = timm.create_model(name).eval()
    for norm in model.modules():
        if isinstance(norm, torch.nn.BatchNorm2d):  # As if it were trained.
            norm.running_mean.normal_(std=0.1)
            norm.running_var.uniform_(0.5, 1.5)
            norm.weight.data.uniform_(0.5, 1.5)
    images = torch.randn(1, 3, 256, 256)
    with torch.no_grad():
        expected = model(images).numpy()
    weights = {key: value.numpy() for key, value in model.state_dict().items()}
    task = import_weights(name, weights)
    found = tools.to_numpy(task(images.numpy().transpose(0, 2, 3, 1)))
    np.testing.assert_allclose(found, expected, atol=1e-4 * max(1.0, np.abs(expected).max()))
