import numpy as np
import pytest

from attnzoo.importing.hat import import_hat, weight_names
from tests.hat_references import Arrays
from tests.models.hat import tiny
from tests.tools import assert_close, to_numpy


def test_it_is_the_network_of_the_paper():
    arrays = Arrays("hat_tiny_x2")
    task = import_hat(arrays.weights(), convolution_scale=0.5)
    assert task.count_params() == arrays.meta["params"]
    assert_close(task(arrays.image("in/x")), arrays.image("out/y"), tolerance=1e-4)


@pytest.mark.shared("torch")
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_sizes_are_told_by_the_weights(scale):
    sizes = {"depths": [1, 2], "window_size": 2, "overlap_ratio": 1.0, "feed_forward_dim": 7}
    task = tiny.make_task(scale, num_channels=1, **sizes)
    found = import_hat(tiny.original_state(task))
    config, expected = found.backbone.get_config(), task.backbone.get_config()
    for name in set(expected) - {"name", "convolution_scale", "stochastic_depth"}:
        assert config[name] == expected[name], name
    assert (found.scale, found.num_features) == (scale, 5)
    assert len(dict(weight_names(task))) == len(task.trainable_weights)


@pytest.mark.shared("torch")
def test_pixels_are_shuffled_as_torch_does():
    torch = pytest.importorskip("torch")
    task = tiny.make_task(3, depths=[1])
    state = tiny.original_state(task)
    found = import_hat(state)
    x = np.random.default_rng(1).normal(size=(1, 4, 6, 5)).astype("float32")
    ours = to_numpy(found.pixel_shuffles[0](found.enlarging_convs[0](x)))
    weight, bias = (torch.tensor(state[f"upsample.0.{name}"]) for name in ("weight", "bias"))
    convolved = torch.nn.functional.conv2d(
        torch.tensor(x.transpose(0, 3, 1, 2)), weight, bias, padding=1
    )
    theirs = torch.nn.functional.pixel_shuffle(convolved, 3).numpy()
    assert_close(ours, theirs.transpose(0, 2, 3, 1), tolerance=1e-5)


@pytest.mark.shared("torch")
def test_weights_of_another_model_are_refused():
    state = tiny.original_state(tiny.make_task(depths=[1]))
    with pytest.raises(ValueError, match=r"must be those of a HAT; there is no .*\['fc.weight'\]"):
        import_hat({"fc.weight": np.zeros((2, 3))})
    with pytest.raises(ValueError, match=r"missing \[\], unknown \['extra'\]"):
        import_hat({**state, "extra": np.zeros(3)})
    del state["norm.bias"]
    with pytest.raises(ValueError, match=r"missing \['norm.bias'\], unknown \[\]"):
        import_hat(state)
