"""The comparison with tfa.seq2seq, without it: what counts as a difference, and what fails."""

import pathlib
import sys

import numpy as np
import pytest

if sys.platform != "linux":
    pytest.skip("the benchmarks need Linux", allow_module_level=True)

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "benchmarks"))
import agreement
import parity
import tfa_parity


def test_a_difference_is_relative_above_one_and_absolute_below():
    theirs = {"outputs": np.array([0.5, 200.0]), "tokens": np.array([[1, 2]])}
    assert agreement.difference(theirs, theirs) == 0.0
    ours = {**theirs, "outputs": np.array([0.5, 203.0])}
    assert agreement.difference(ours, theirs) == pytest.approx(3.0 / 200.0)
    ours = {**theirs, "outputs": np.array([0.25, 200.0])}
    assert agreement.difference(ours, theirs) == pytest.approx(0.25)


def test_what_has_another_shape_or_is_no_number_is_never_close():
    theirs = {"outputs": np.ones((2, 3))}
    assert agreement.difference({"outputs": np.ones((3, 2))}, theirs) == np.inf
    nothing = {"outputs": np.full((2, 3), np.nan)}
    assert not agreement.difference(nothing, theirs) <= tfa_parity.COMPARISON.tolerance


def test_what_is_missing_on_one_side_is_an_error():
    with pytest.raises(ValueError, match=r"Received: \['outputs'\] and \['alignments0'\]"):
        agreement.difference({"outputs": np.ones(3)}, {"alignments0": np.ones(3)})


@pytest.mark.parametrize(("error", "status"), [(0.0, 0), (1e-4, 1), (np.nan, 1)])
def test_the_command_fails_where_a_number_differs(error, status, monkeypatch, capsys):
    def results(self, name, script, arrays, options, **arguments):
        value = 1.0 if name == "tfa.seq2seq" else 1.0 + error
        return {case: {"outputs": np.array([value])} for case in options.cases}, "no version"

    monkeypatch.setattr(agreement.Comparison, "_results", results)
    only = ["--tfa", "python", "--backends", "jax", "--only", "sequence_loss"]
    assert tfa_parity.main(only) == status
    printed = capsys.readouterr().out
    assert ("sequence_loss (jax)" in printed) == bool(status)


def test_a_case_that_is_not_there_is_refused(capsys):
    with pytest.raises(SystemExit):
        tfa_parity.main(["--tfa", "python", "--only", "nothing"])
    assert "no case has 'nothing' in its name" in capsys.readouterr().err


@pytest.mark.parametrize("name", parity.CASES)
def test_a_case_is_drawn_the_same_each_time(name, tmp_path):
    first = parity.draw(name)
    agreement.save(tmp_path / "arrays.npz", {name: parity.draw(name)})
    again = agreement.load(tmp_path / "arrays.npz", name)
    assert first.keys() == again.keys()
    assert all(np.array_equal(first[key], again[key]) for key in first)


def test_what_follows_an_end_is_not_compared():
    end = parity.END_TOKEN_ID
    case = parity.Search(beams=2)
    one, other = (parity.hypotheses(case, [[[2, end, x], [2, 2, x]]], [[0, 0]]) for x in (0, 2))
    np.testing.assert_array_equal(one["tokens"], [[[2, end, -1], [2, 2, 0]]])
    assert not np.array_equal(one["tokens"], other["tokens"])
    np.testing.assert_array_equal(one["tokens"][0, 0], other["tokens"][0, 0])


def test_only_the_first_hypothesis_is_compared_where_it_is_the_best_that_counts():
    case = parity.Search(beams=2, compares="best")
    found = parity.hypotheses(case, [[[2, 2, 0], [2, 0, 0]]], [[-1.0, -2.0]])
    np.testing.assert_array_equal(found["tokens"], [[[2, 2, 0]]])
    np.testing.assert_array_equal(found["scores"], [[-1.0]])


def test_hypotheses_in_any_order_are_the_same_where_all_are_compared():
    case = parity.Search(compares="all")
    tokens, scores = np.array([[[2, 2], [1, 1], [0, 2]]]), np.array([[-1.0, -2.0, -3.0]])
    one = parity.hypotheses(case, tokens, scores)
    other = parity.hypotheses(case, tokens[:, ::-1], scores[:, ::-1])
    np.testing.assert_array_equal(one["tokens"], [[[0, 2], [1, -1], [2, 2]]])
    np.testing.assert_array_equal(one["scores"], other["scores"])
    finished = parity.hypotheses(parity.Search(compares="finished"), tokens, scores)
    np.testing.assert_array_equal(finished["tokens"], [[[1, -1]]])


def test_a_case_is_done_by_what_is_for_its_kind(tmp_path):
    names = list(parity.CASES)
    settings = {"arrays": str(tmp_path / "arrays.npz"), "results": str(tmp_path / "results.npz")}
    agreement.save(settings["arrays"], {name: parity.draw(name) for name in names})
    done = []

    def doer(kind):
        def do(case, arrays):
            done.append((kind, case, sorted(arrays)))
            return {"number": [len(done)]}

        return do

    kinds = (parity.Decoder, parity.Search, parity.Loss, parity.Start)
    cases = parity.make_cases(settings, {kind: doer(kind) for kind in kinds}, np.array)
    assert list(cases) == [str(n) for n in range(len(names))]
    for n, name in enumerate(names):
        assert cases[str(n)](1) == {}
        kind, case, keys = done[-1]
        assert kind is type(case) and case is parity.CASES[name]
        assert keys == sorted(parity.draw(name))
        with np.load(settings["results"]) as results:
            assert results["number"] == n + 1
    assert {kind for kind, _, _ in done} == set(kinds)
