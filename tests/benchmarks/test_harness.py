"""The machinery of the benchmarks: turns, numbers and errors. It measures nothing."""

import argparse
import os
import pathlib
import sys

import pytest

pytestmark = pytest.mark.backend_free

if sys.platform != "linux":
    pytest.skip("the benchmarks need Linux", allow_module_level=True)

BENCHMARKS = pathlib.Path(__file__).resolve().parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))
import harness  # noqa: E402
import seq2seq  # noqa: E402
import workload  # noqa: E402

CHILD = """
import os
import harness

def build(settings):
    print("a library that prints")
    def count(repeats):
        return {"done": repeats}
    def die(repeats):
        print("these are my last words", flush=True)
        os._exit(3)
    return {"versions": "none"}, {"count": count, "die": die}

harness.serve(build)
"""


@pytest.fixture
def make_contestant(tmp_path):
    script = tmp_path / "child.py"
    script.write_text(CHILD)
    made = []

    def make(name):
        made.append(harness.Contestant(name, script=script, settings={"threads": 1}))
        return made[-1]

    yield make
    for contestant in made:
        contestant.close()


def test_contestants_take_turns_and_the_warm_up_is_not_counted(make_contestant):
    contestants = [make_contestant("first"), make_contestant("second")]
    turns = []
    times = harness.measure(
        contestants,
        case="count",
        repeats=5,
        rounds=3,
        check=lambda name, reply: turns.append((name, reply["done"])),
    )
    assert [name for name, _ in turns] == ["first", "second"] * 2 + ["second", "first"] + [
        "first",
        "second",
    ]
    assert [repeats for _, repeats in turns] == [2, 2] + [5] * 6
    assert all(len(times[name]) == 3 for name in ("first", "second"))
    assert all(time > 0 for name in times for time in times[name])


def test_prints_of_a_child_do_not_break_its_replies(make_contestant):
    assert make_contestant("loud").facts == {"versions": "none"}


def test_a_waiting_contestant_is_stopped(make_contestant):
    contestant = make_contestant("waiting")
    contestant.run("count", 1)
    os.waitid(os.P_PID, contestant._process.pid, os.WSTOPPED | os.WNOWAIT)
    state = pathlib.Path(f"/proc/{contestant._process.pid}/stat").read_text().rpartition(")")[2]
    assert state.split()[0] == "T"


def test_a_contestant_that_dies_is_named_with_its_last_words(make_contestant):
    contestant = make_contestant("doomed")
    with pytest.raises(RuntimeError, match="'doomed' ended with status 3") as error:
        contestant.run("die", 1)
    assert "these are my last words" in str(error.value)


LAYER = """
import harness

def build(settings):
    def gradients(repeats):
        return {"finite": settings["layer"] != "broken", "peak_gib": settings["length"] / 4}
    return {"versions": "none", "before_gib": 1.0}, {"gradients": gradients}

harness.serve(build)
"""


def test_layers_are_compared_with_their_peers(tmp_path, capsys):
    script = tmp_path / "layer.py"
    script.write_text(LAYER)
    arguments = {"script": script, "backend": "jax", "repeats": 1, "rounds": 2}
    arguments["settings"] = {"threads": 1, "length": 6}
    ours, keras = harness.compare(["attnzoo", "keras"], **arguments)
    assert (ours["layer"], ours["length"], ours["peak_gib"]) == ("attnzoo", 6, 1.5)
    assert len(ours["milliseconds"]) == len(ours["ratios"]["keras"]) == 2
    assert ours["memory_ratios"] == {"keras": 1.0} and keras["ratios"] == {}
    harness.print_comparison([ours, keras], ["keras"], digits=1)
    printed = capsys.readouterr().out
    assert "1.50 (1.00)" in printed and "slowest of ours beside keras: jax, T=S=6" in printed
    with pytest.raises(RuntimeError, match="broken on jax gave a gradient that is not finite"):
        harness.compare(["broken"], **arguments)


def test_ratios_are_taken_round_by_round():
    assert harness.ratios([2.0, 9.0, 5.0], [4.0, 3.0, 5.0]) == [0.5, 3.0, 1.0]
    with pytest.raises(ValueError):
        harness.ratios([1.0], [1.0, 2.0])


def test_a_spread_is_median_and_range():
    assert harness.spread([3.0, 1.0, 11.0], 1) == "3.0 (1.0-11.0)"


def test_table_columns_line_up():
    assert harness.table(["", "ms"], [("jax", "7.0"), ("pytorch", "11.5")]) == (
        "           ms\n-------  ----\njax       7.0\npytorch  11.5"
    )


def test_more_threads_than_cores_is_an_error():
    threads = len(os.sched_getaffinity(0)) + 1
    with pytest.raises(ValueError, match=f"Received: threads={threads}"):
        harness.use_cores(threads)


def test_arguments_out_of_range_are_errors():
    with pytest.raises(argparse.ArgumentTypeError, match="unknown case 'tarin'. Known: train"):
        harness.names("case", workload.CASES)("greedy1,tarin")
    with pytest.raises(argparse.ArgumentTypeError, match="Received: 0"):
        harness.at_least_one("0")
    assert harness.names("case", workload.CASES)("") == []
    assert harness.lengths("64,256") == [64, 256]


def test_a_contestant_that_does_other_work_is_an_error():
    check = seq2seq._checker(workload.CASES["greedy64"])
    check("peer", {"shape": [64, workload.TARGET_LENGTH]})
    with pytest.raises(RuntimeError, match=r"Received: shape=\[64, 7\]"):
        check("peer", {"shape": [64, 7]})
    with pytest.raises(RuntimeError, match="does not train. Received: loss=nan"):
        seq2seq._checker(workload.CASES["train"])("peer", {"loss": float("nan")})


def test_batches_are_the_same_for_every_contestant():
    first, second = workload.training_batches(3), workload.training_batches(3)
    for (x, y, weight), (other_x, other_y, _) in zip(first, second, strict=True):
        assert (x["encoder_token_ids"] == other_x["encoder_token_ids"]).all()
        assert (y == other_y).all()
        assert (x["decoder_token_ids"][:, 1:] == y[:, :-1]).all()
        assert weight.shape == y.shape == (3, workload.TARGET_LENGTH)
