"""What the benchmark of the Transformer's decoding prints and refuses. It measures nothing."""

import pathlib
import sys
import types

import pytest

if sys.platform != "linux":
    pytest.skip("the benchmarks need Linux", allow_module_level=True)

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "benchmarks"))
import transformer_decoding


class Contestant:
    """One that takes 2 milliseconds for each token, and 4 where it is the peer."""

    def __init__(self, name, shape=None):
        self.name, self.shape = name, shape
        self.facts = {"versions": "none", "parameters": 7}

    def run(self, case, repeats):
        milliseconds = int(case) * (4.0 if self.name == transformer_decoding.PEER else 2.0)
        return {"milliseconds": milliseconds, "shape": self.shape or [3, int(case)]}

    def ticks(self):
        return 0


OPTIONS = types.SimpleNamespace(sentences=3, rounds=2)


def test_time_is_beside_the_peers_and_by_the_token(capsys):
    contestants = [Contestant("attnzoo jax"), Contestant(transformer_decoding.PEER)]
    found = transformer_decoding._measure(OPTIONS, contestants, 5)
    transformer_decoding._print_beside(contestants, found)
    assert "0.50 (0.50-0.50)" in capsys.readouterr().out
    growth = [transformer_decoding._measure(OPTIONS, contestants[:1], n) for n in (5, 11)]
    transformer_decoding._print_growth(growth)
    printed = capsys.readouterr().out.split("\n")
    assert printed[2].split()[-3:] == ["11", "/", "5"]
    assert printed[4].split()[2:] == ["2.00", "(2.00-2.00)", "2.00", "(2.00-2.00)", "1.00"]


def test_another_number_of_tokens_is_an_error():
    with pytest.raises(RuntimeError, match=r"shape \[3, 5\]. Received: shape=\[3, 4\]"):
        transformer_decoding._measure(OPTIONS, [Contestant("early", [3, 4])], 5)
