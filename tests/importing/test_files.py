import sys

import numpy as np
import pytest

from attnzoo.importing import import_weights, read_weights

WEIGHTS = {"first": np.arange(6.0, dtype="float32").reshape(2, 3), "place": np.arange(3)}


def assert_same(found):
    assert {*found} == {*WEIGHTS}
    for name, value in WEIGHTS.items():
        assert np.array_equal(found[name], value)
    assert found["first"].dtype == np.float32


@pytest.mark.shared("torch")
@pytest.mark.parametrize("key", [None, "state_dict", "params", "params_ema"])
def test_a_file_of_torch_holds_weights_alone_or_under_a_usual_key(tmp_path, key):
    torch = pytest.importorskip("torch")
    state = {name: torch.tensor(value) for name, value in WEIGHTS.items()}
    state["first"] = state["first"].bfloat16()
    held = state if key is None else {"model": {"x": torch.zeros(1)}, key: state, "epoch": 3}
    torch.save(held, tmp_path / "weights.pth")
    assert_same(read_weights(tmp_path / "weights.pth"))


@pytest.mark.shared("torch")
def test_the_prefix_of_several_devices_is_cut_off(tmp_path):
    torch = pytest.importorskip("torch")
    state = {f"module.{name}": torch.tensor(value) for name, value in WEIGHTS.items()}
    torch.save({"model": state}, tmp_path / "weights.pt")
    assert_same(read_weights(str(tmp_path / "weights.pt")))


@pytest.mark.shared("torch")
def test_a_file_of_torch_runs_no_code_and_must_hold_tensors(tmp_path):
    torch = pytest.importorskip("torch")
    torch.save({"epoch": 3, "name": "x"}, tmp_path / "other.pth")
    with pytest.raises(ValueError, match=r"must hold tensors by name.*other.pth.*'epoch', 'name'"):
        read_weights(tmp_path / "other.pth")
    torch.save(torch.nn.Linear(2, 3), tmp_path / "code.pth")
    with pytest.raises(Exception, match="(?i)weights.only"):
        read_weights(tmp_path / "code.pth")


@pytest.mark.backend_free
def test_files_of_numpy_and_safetensors(tmp_path):
    np.savez(tmp_path / "weights.npz", first=WEIGHTS["first"].astype("float16"), place=np.arange(3))
    assert_same(read_weights(tmp_path / "weights.npz"))
    numpy = pytest.importorskip("safetensors.numpy")
    numpy.save_file(WEIGHTS, tmp_path / "weights.safetensors")
    assert_same(read_weights(tmp_path / "weights.safetensors"))


@pytest.mark.backend_free
@pytest.mark.parametrize(
    ("name", "package"), [("weights.safetensors", "safetensors"), ("weights.pth", "torch")]
)
def test_a_missing_package_is_told_with_its_remedy(monkeypatch, name, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match="pip install 'attnzoo"):
        read_weights(name)


@pytest.mark.backend_free
def test_unknown_files_formats_and_options_are_refused():
    with pytest.raises(ValueError, match=r"must end in .pth, .*or .npz. Received: weights.h5"):
        read_weights("weights.h5")
    with pytest.raises(ValueError, match="`format` must be one of .*'hat'.* Received: format='x'"):
        import_weights("x", {})
    with pytest.raises(ValueError, match=r"among \['convolution_scale'\]. Received: \['scale'\]"):
        import_weights("hat", {}, scale=2)
