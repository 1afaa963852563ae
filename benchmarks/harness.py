"""Side-by-side measurement of contestants that cannot share a process.

Each contestant is a child process that lives as long as the benchmark: it builds its model once,
and then does a named case when it is told to. The parent gives them turns: in each round every
contestant does the case once, one at a time, in an order that rotates from round to round. A drift
of the machine (heat, a neighbour) then falls on all of them alike, and a ratio is taken within one
round.

A child that waits for its turn is stopped with SIGSTOP. Its thread pools cannot spin beside the one
that is being measured, and no thread pool has to be told to sleep where it would be faster to spin.

The two halves speak over the child's standard input and output: a line "run CASE REPEATS" in, a
line of JSON out. What the libraries print goes to a log that is shown if the child dies.

This file is imported by each contestant in its own environment, so it needs the standard library
alone. It needs Linux: elsewhere a process cannot be kept on chosen cores.
"""

import argparse
import ctypes
import datetime
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path

_PR_SET_PDEATHSIG = 1  # "end me with my parent": a stopped child would not see its input end

# Fraction of the machine that others may take. A thread pool that spins suffers most: where others
# took 0.7, eager PyTorch was seen ten and more times slower, tfa.seq2seq about twice.
QUIET = 0.05

# How long a waiting thread spins is left as each library has it, whatever the shell says: telling
# the thread pool to sleep makes eager PyTorch more than twice as slow at B=1.
_SPINNING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")

BENCHMARKS = Path(__file__).resolve().parent
ROOT = BENCHMARKS.parent


# === The child ===


def serve(build):
    """Be a contestant: build, then run cases as they are asked for, until the input ends.

    Args:
        build: Function of one dict (the settings that the parent gave, `threads` among them). It
            imports what it needs and returns `facts, cases`: a dict of what to tell about this
            contestant, and a dict from a case's name to a function of `repeats`. Such a function
            does the work `repeats` times, returns only when all of it is done, and returns a dict
            that JSON can hold.
    """
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # a library that prints must not break into the replies
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    facts, cases = build(json.loads(sys.argv[1]))
    _reply(replies, facts)
    for line in sys.stdin:
        _, case, repeats = line.split()
        start = time.perf_counter()
        result = cases[case](int(repeats))
        seconds = time.perf_counter() - start
        _reply(replies, {"milliseconds": 1e3 * seconds / int(repeats), **result})


def _reply(replies, message):
    replies.write(json.dumps(message) + "\n")
    replies.flush()


def use_threads(threads):
    """Tell the backend that Keras runs on how many threads it has. Gives the backend's name."""
    import keras

    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    elif backend == "torch":
        import torch

        torch.set_num_threads(threads)
    return backend


def versions(*packages):
    """Installed versions, as one string for the table: "torch 2.13.0, numpy 2.4.6"."""
    return ", ".join(f"{package} {metadata.version(package)}" for package in packages)


# === The parent ===


class Contestant:
    """A child process that is measured.

    Args:
        name: What the tables call it.
        script: File under `benchmarks/` that calls `serve`.
        settings: Dict that its `build` is given, `threads` among them.
        python: Interpreter that runs it.
        environment: Variables to set besides those of this process.
    """

    def __init__(self, name, *, script, settings, python=sys.executable, environment=None):
        self.name = name
        self._log = tempfile.TemporaryFile("w+")
        threads = str(settings["threads"])
        inherited = {name: value for name, value in os.environ.items() if name not in _SPINNING}
        self._process = subprocess.Popen(
            [python, str(BENCHMARKS / script), json.dumps(settings)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            cwd=ROOT,
            env={
                **inherited,
                "PYTHONPATH": os.pathsep.join([str(BENCHMARKS), str(ROOT)]),
                "OMP_NUM_THREADS": threads,
                "MKL_NUM_THREADS": threads,
                "CUDA_VISIBLE_DEVICES": "",
                "JAX_PLATFORMS": "cpu",
                "TF_CPP_MIN_LOG_LEVEL": "2",
                **(environment or {}),
            },
        )
        self.facts = self._read()
        self._pause()

    def run(self, case, repeats):
        """Let it do `case` `repeats` times while all the others are stopped.

        Returns:
            What the child replied: `milliseconds` for one repeat, and what the case returned.

        Raises:
            RuntimeError: If the child ended instead of replying.
        """
        self._process.send_signal(signal.SIGCONT)
        try:
            self._process.stdin.write(f"run {case} {repeats}\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended: reading says so, with its log
        reply = self._read()
        self._pause()
        return reply

    def ticks(self):
        """Core time that the child has used, in clock ticks."""
        # The name of the program, in brackets, may hold spaces: count from behind it.
        text = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return int(text[11]) + int(text[12])

    def close(self):
        """End the child. A second call does nothing."""
        if self._process.poll() is None:
            self._process.kill()  # it is stopped and has nothing to save
            self._process.wait()
        self._process.stdout.close()
        try:
            self._process.stdin.close()
        except BrokenPipeError:
            pass
        self._log.close()

    def _pause(self):
        self._process.send_signal(signal.SIGSTOP)

    def _read(self):
        line = self._process.stdout.readline()
        if line:
            return json.loads(line)
        code = self._process.wait()
        self._log.seek(0)
        tail = "".join(self._log.readlines()[-20:])
        reason = f"was killed by signal {-code}" if code < 0 else f"ended with status {code}"
        raise RuntimeError(f"The contestant {self.name!r} {reason}. Its last words:\n{tail}")


def use_cores(threads):
    """Keep this process, and all that it will start, on `threads` cores.

    XLA sizes its thread pools by the cores it may use, and has no other setting.

    Raises:
        ValueError: If `threads` is not between 1 and the number of cores there are.
    """
    cores = sorted(os.sched_getaffinity(0))
    if not 1 <= threads <= len(cores):
        raise ValueError(
            f"`threads` must be from 1 to {len(cores)}, the cores there are. "
            f"Received: threads={threads}"
        )
    os.sched_setaffinity(0, cores[:threads])


class Neighbours:
    """How much of the machine others take while we measure: made before, asked after.

    Args:
        contestants: List of `Contestant`, the ones that are ours.
    """

    def __init__(self, contestants):
        self._contestants = contestants
        self._start = self._now()

    def share(self):
        """Fraction of all core time since the start that was neither idle nor a contestant's."""
        whole, busy, ours = (
            after - before for after, before in zip(self._now(), self._start, strict=True)
        )
        return max(0.0, (busy - ours) / max(whole, 1))

    def report(self):
        """The share in words, with a warning where it spoils the numbers."""
        words = f"other processes took {self.share():.0%} of the machine"
        return f"{words}: NOT QUIET, do not quote" if self.share() > QUIET else words

    def _now(self):
        """All core time, its busy part, and the contestants' part, in clock ticks."""
        ticks = [int(part) for part in Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
        idle = ticks[3] + ticks[4]
        return sum(ticks), sum(ticks) - idle, sum(own.ticks() for own in self._contestants)


def measure(contestants, *, case, repeats, rounds, check=None):
    """Give each contestant its turn in each of `rounds` rounds, after one turn that is not counted.

    Args:
        contestants: List of `Contestant`.
        case: Name of the case.
        repeats: Times that a contestant does it in one turn.
        rounds: Rounds that are counted. At least 1.
        check: Function of a contestant's name and reply, called for each turn; it raises if the
            work was not what all must do.

    Returns:
        A dict from a contestant's name to a list of `rounds` milliseconds per repeat.
    """
    times = {contestant.name: [] for contestant in contestants}
    for round_index in range(-1, rounds):
        turn = max(round_index, 0) % len(contestants)
        for contestant in contestants[turn:] + contestants[:turn]:
            reply = contestant.run(case, 2 if round_index < 0 else repeats)
            if check is not None:
                check(contestant.name, reply)
            if round_index >= 0:
                times[contestant.name].append(reply["milliseconds"])
    return times


def compare(layers, *, script, settings, backend, repeats, rounds):
    """Measure layers beside one another on one backend: time of their gradients, and memory.

    Args:
        layers: List of names, which the contestants get as `layer` in their settings.
        script: File under `benchmarks/` whose contestants have the case "gradients". Its replies
            have `finite` and `peak_gib`, its facts `versions` and `before_gib`.
        settings: Dict that all of them get; `length` is one of it.
        backend: What Keras runs on; the layer "torch" is PyTorch's own.
        repeats: Times that a contestant does the case in one turn.
        rounds: Rounds that are counted. At least 1.

    Returns:
        One dict for each layer, that JSON can hold. "attnzoo" has `ratios` of time and
        `memory_ratios`, both by the name of the peer.

    Raises:
        RuntimeError: If a contestant dies (the kernel may end one that takes too much memory) or
            returns a number that is not finite.
    """
    contestants, peaks = [], {}

    def check(name, reply):
        if not reply["finite"]:
            raise RuntimeError(f"{name} on {backend} gave a gradient that is not finite.")
        peaks[name] = reply["peak_gib"]

    try:
        for layer in layers:
            contestants.append(
                Contestant(
                    layer,
                    script=script,
                    settings={**settings, "layer": layer},
                    environment={"KERAS_BACKEND": "torch" if layer == "torch" else backend},
                )
            )
        neighbours = Neighbours(contestants)
        times = measure(contestants, case="gradients", repeats=repeats, rounds=rounds, check=check)
        others = neighbours.report()
    finally:
        for contestant in contestants:
            contestant.close()

    def record(contestant):
        name = contestant.name
        peers = [peer for peer in times if peer != name and name == "attnzoo"]
        return {
            "backend": backend,
            "length": settings["length"],
            "layer": name,
            "versions": contestant.facts["versions"],
            "others": others,
            "before_gib": contestant.facts["before_gib"],
            "peak_gib": peaks[name],
            "milliseconds": times[name],
            "ratios": {peer: ratios(times[name], times[peer]) for peer in peers},
            "memory_ratios": {peer: peaks[name] / peaks[peer] for peer in peers},
        }

    return [record(contestant) for contestant in contestants]


# === Numbers and tables ===


def spread(values, digits):
    """Median and range: "12.3 (11.9-13.0)"."""
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:.{digits}f} ({low:.{digits}f}-{high:.{digits}f})"


def ratios(times, peer_times):
    """Time as a multiple of a peer's, round by round."""
    return [time / peer for time, peer in zip(times, peer_times, strict=True)]


def table(header, rows):
    """Text of a table: the first column to the left, the others to the right."""
    lines = [list(header), *[[str(cell) for cell in row] for row in rows]]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def print_comparison(records, peers, digits):
    """Print what `compare` found: a table, how quiet it was, and where ours is slowest.

    Args:
        records: List of dicts, from any number of calls.
        peers: Names that have a column of ratios of time and memory.
        digits: Digits of milliseconds after the point.
    """

    def ratio(record, peer):
        if peer not in record["ratios"]:
            return ""
        return f"{spread(record['ratios'][peer], 2)}, {record['memory_ratios'][peer]:.2f}"

    rows = [
        (
            record["layer"],
            record["versions"],
            record["length"],
            f"{record['peak_gib']:.2f} ({record['before_gib']:.2f})",
            spread(record["milliseconds"], digits),
            *(ratio(record, peer) for peer in peers),
        )
        for record in records
    ]
    columns = [f"/ {peer}: ms, GiB" for peer in peers]
    header = ["layer", "versions", "T=S", "peak GiB (before)", "ms (range)", *columns]
    print(table(header, rows), flush=True)
    for backend, length, others in dict.fromkeys(
        (record["backend"], record["length"], record["others"]) for record in records
    ):
        print(f"{backend}, T=S={length}: {others}")
    for peer in peers:
        compared = [record for record in records if peer in record["ratios"]]
        if compared:
            worst = max(compared, key=lambda record: statistics.median(record["ratios"][peer]))
            print(f"slowest of ours beside {peer}: {worst['backend']}, T=S={worst['length']}")


def machine():
    """Dict that says where this ran: `cpu`, `python`, and the `load` average of the last minute."""
    cpu = platform.processor() or platform.machine()
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                cpu = line.split(":", 1)[1].strip()
                break
    return {"cpu": cpu, "python": platform.python_version(), "load": round(os.getloadavg()[0], 1)}


def save(path, record):
    """Write what was measured as JSON, with the day and the command that measured it.

    The pages about speed are made from such files in `benchmarks/measurements/`.
    """
    command = ["python", os.path.relpath(sys.argv[0], ROOT), *sys.argv[1:]]
    told = {"command": " ".join(command), "date": datetime.date.today().isoformat(), **record}
    with open(path, "w") as file:
        json.dump(told, file, indent=2)
        file.write("\n")


def run(options, *, title, seed, cases, peers, digits):
    """Run a benchmark of layers: say what it is, compare case by case, print and keep the numbers.

    Args:
        options: Parsed arguments, those of `add_arguments` among them.
        title: Line that says what is measured.
        seed: Number that the contestants draw from.
        cases: Function without arguments that gives, one after the other, dicts of what `compare`
            takes, without `rounds`; the settings get `threads` and `seed` here.
        peers, digits: As in `print_comparison`.
    """
    here = machine()
    use_cores(options.threads)
    print(
        f"{here['cpu']}, {options.threads} threads, load average {here['load']} before; "
        f"{options.rounds} interleaved rounds, seed {seed}\n{title}\n",
        flush=True,
    )
    records = []
    for case in cases():
        settings = {"threads": options.threads, "seed": seed, **case["settings"]}
        records += compare(**{**case, "settings": settings, "rounds": options.rounds})
    print_comparison(records, peers, digits)
    if options.json:
        save(options.json, {"machine": here, "records": records})


# === Command line ===


def names(what, known):
    """Parser of an argument such as "jax,torch": a list of names out of `known`."""

    def parse(text):
        chosen = [name for name in text.split(",") if name]
        for name in chosen:
            if name not in known:
                raise argparse.ArgumentTypeError(
                    f"unknown {what} {name!r}. Known: {', '.join(known)}"
                )
        return chosen

    return parse


def lengths(text):
    """Parser of an argument such as "64,256": a list of whole numbers of at least 1."""
    return [at_least_one(part) for part in text.split(",")]


def add_arguments(parser):
    """Add what every benchmark of layers takes: `threads`, `rounds` and `json`."""
    parser.add_argument("--threads", type=at_least_one, default=min(2, os.cpu_count()))
    parser.add_argument("--rounds", type=at_least_one, default=5)
    parser.add_argument("--json", metavar="PATH", help="write all numbers here too")


def at_least_one(text):
    """Parser of an argument that is a whole number of at least 1."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1. Received: {text}")
    return int(text)
