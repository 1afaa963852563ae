"""The comparisons with torch.nn and entmax, without them: what is drawn, skipped, and fails."""

import pathlib
import sys

import numpy as np
import pytest

if sys.platform != "linux":
    pytest.skip("the benchmarks need Linux", allow_module_level=True)

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "benchmarks"))
import agreement
import entmax_parity
import torch_parity

MODULES = [torch_parity, entmax_parity]


@pytest.mark.parametrize("module", MODULES)
def test_every_case_is_drawn_the_same_each_time_and_comes_back_from_the_file(module, tmp_path):
    drawn = {name: module.draw(name) for name in module.CASES}
    agreement.save(tmp_path / "arrays.npz", drawn)
    for name in module.CASES:
        again, loaded = module.draw(name), agreement.load(tmp_path / "arrays.npz", name)
        assert drawn[name].keys() == again.keys() == loaded.keys()
        for key, array in drawn[name].items():
            np.testing.assert_array_equal(array, again[key])
            np.testing.assert_array_equal(array, loaded[key])


@pytest.mark.parametrize("module", MODULES)
def test_no_row_is_without_a_place_to_attend_to(module):
    masks = [
        array for name in module.CASES for key, array in module.draw(name).items() if "mask" in key
    ]
    assert masks and all(mask.any(axis=-1).all() and not mask.all() for mask in masks)


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize(("error", "status"), [(0.0, 0), (1e-3, 1), (np.nan, 1)])
def test_the_command_fails_where_a_number_differs(module, error, status, monkeypatch, capsys):
    peer = module.COMPARISON.peer

    def results(self, name, script, arrays, options, **arguments):
        value = 1.0 if name == peer else 1.0 + error
        return {case: {"outputs": np.array([value])} for case in options.cases}, "no version"

    monkeypatch.setattr(agreement.Comparison, "_results", results)
    monkeypatch.setattr(agreement, "missing", lambda python, *pins: None)
    assert module.main(["--backends", "jax"]) == status
    assert ("above" in capsys.readouterr().out) == bool(status)


@pytest.mark.parametrize("module", MODULES)
def test_the_command_says_what_the_peer_lacks_and_ends(module, monkeypatch, capsys):
    monkeypatch.setattr(agreement, "missing", lambda python, *pins: f"skipped: {pins}")
    assert module.main([]) == 0
    assert "torch==2.13.0" in capsys.readouterr().out


def test_another_version_is_not_the_one_that_is_asked_for():
    installed = f"numpy=={np.__version__}"
    assert agreement.missing(sys.executable, installed) is None
    line = agreement.missing(sys.executable, installed, "numpy==0.0.1")
    assert line.startswith("skipped:") and "numpy==0.0.1" in line


def test_a_case_that_is_not_there_is_refused(capsys):
    with pytest.raises(SystemExit):
        torch_parity.main(["--only", "nothing"])
    assert "no case has 'nothing' in its name" in capsys.readouterr().err
