import numpy as np
import pytest

from attnzoo.layers import PolarizedSelfAttention
from tests import references
from tests.layers.vision.parity import channels_last, load, matrix
from tests.tools import assert_close, normal, set_weights, to_numpy, weights_of

pytestmark = pytest.mark.usefixtures("without_compilation")

X = normal(2, 3, 5, 16)
ALL = [(layout, form) for layout in ("parallel", "sequential") for form in ("paper", "official")]


def made(inputs=X, **arguments):
    layer = PolarizedSelfAttention(**arguments)
    layer.build(inputs.shape)
    set_weights(layer)
    return layer


@pytest.mark.parametrize(("layout", "form"), ALL)
def test_gates_are_those_of_the_equations(layout, form):
    layer = made(layout=layout, form=form)
    weights = weights_of(layer)
    channel, spatial = references.polarized_gates(X, weights, layout, form)
    by_channel = X * channel[:, None, None, :]
    other = by_channel if layout == "sequential" else X
    expected = other * spatial[..., None]
    if layout == "parallel":
        expected = expected + by_channel
    outputs, gates = layer(X, return_alignments=True)
    assert_close(gates, {"channel": np.float32(channel), "spatial": np.float32(spatial)})
    assert_close(outputs, np.float32(expected))
    assert_close(layer(X), outputs)


def test_the_official_parallel_gate_of_places_is_near_one_half():
    _, gates = made(form="official")(X, return_alignments=True)
    spatial = to_numpy(gates["spatial"])
    assert spatial.min() >= 0.5 and spatial.max() <= 1.0 / (1.0 + np.exp(-1.0))
    logits = np.log(spatial / (1.0 - spatial))
    np.testing.assert_allclose(logits.sum(axis=(1, 2)), 1.0, atol=1e-5)


def test_the_official_code_gives_the_same_in_parallel():
    arrays = load("psa_official_parallel")
    names = {
        "channel_query": "conv_q_right",
        "channel_value": "conv_v_right",
        "channel_up": "conv_up",
        "spatial_query": "conv_q_left",
        "spatial_value": "conv_v_left",
    }
    weights = {f"{ours}_kernel": matrix(arrays[f"w/{name}.weight"]) for ours, name in names.items()}
    check_parity(arrays, weights, layout="parallel", form="official")


def test_the_usual_code_of_the_paper_gives_the_same_in_sequence():
    arrays = load("psa_paper_sequential")
    names = {
        "channel_query": "ch_wq",
        "channel_value": "ch_wv",
        "channel_up": "ch_wz",
        "spatial_query": "sp_wq",
        "spatial_value": "sp_wv",
    }
    weights = {"gamma": arrays["w/ln.weight"], "beta": arrays["w/ln.bias"]}
    for ours, name in names.items():
        weights[f"{ours}_kernel"] = matrix(arrays[f"w/{name}.weight"])
        weights[f"{ours}_bias"] = arrays[f"w/{name}.bias"]
    check_parity(arrays, weights, layout="sequential", form="paper")


def check_parity(arrays, weights, **arguments):
    x = channels_last(arrays["in/x"])
    layer = made(x, **arguments)
    assert {weight.name for weight in layer.weights} == set(weights)
    for weight in layer.weights:
        weight.assign(weights[weight.name])
    outputs, gates = layer(x, return_alignments=True)
    assert_close(gates["channel"], arrays["mid/mask_channel"], tolerance=1e-4)
    assert_close(gates["spatial"], arrays["mid/mask_spatial"], tolerance=1e-4)
    assert_close(outputs, channels_last(arrays["out/y"]), tolerance=1e-4)


@pytest.mark.backend_free
def test_other_names_and_widths_are_refused():
    with pytest.raises(ValueError, match="`layout` must be one of .* Received: layout='both'"):
        PolarizedSelfAttention("both")
    with pytest.raises(ValueError, match="`form` must be one of .* Received: form='code'"):
        PolarizedSelfAttention(form="code")
    with pytest.raises(ValueError, match=r"multiple of 2. Received: inputs.shape=\(2, 3, 5, 7\)"):
        PolarizedSelfAttention().build((2, 3, 5, 7))
    with pytest.raises(ValueError, match="multiple of 8"):
        PolarizedSelfAttention("sequential", "official").build((2, 3, 5, 12))
