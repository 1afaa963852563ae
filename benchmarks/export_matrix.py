"""Which tasks can be exported in which format, from which backend: each is written and compared.

    python benchmarks/export_matrix.py --json benchmarks/measurements/export_matrix.json
    python benchmarks/export_matrix.py --backends torch --formats onnx

A small model of each family, with weights that are not trained, is written in each format. An
export loads what it wrote in its own runtime and compares its outputs with the live model's; what
is not equal raises. For each backend a child process does all its exports.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import harness

BACKENDS = ("tensorflow", "jax", "torch")
FORMATS = ("savedmodel", "onnx", "litert", "onnx-step", "litert-step")


def main(arguments=None):
    """Run the benchmark and print a line for each export.

    Args:
        arguments: List of command-line arguments. `None` takes the process's own.
    """
    options = _parse(arguments)
    records = []
    for backend in options.backends:
        environment = {
            **os.environ,
            "KERAS_BACKEND": backend,
            "PYTHONPATH": str(harness.ROOT),
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "OMP_NUM_THREADS": "1",
        }
        child = subprocess.run(
            [sys.executable, __file__, "--child", *options.formats],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        records += [json.loads(line) for line in child.stdout.splitlines() if line[:1] == "{"]
    for one in records:
        print(*(one[name] for name in ("backend", "task", "decoding", "format", "result")))
    if options.json:
        machine = {**harness.machine(), "threads": 1}
        harness.save(options.json, {"machine": machine, "exports": records, "records": []})


def _cases():
    """Return, by task and decoding, a function that makes a small model, and its options."""
    from attnzoo.samplers import BeamSampler
    from tests.models import tiny

    small = {"encoder": {"num_layers": 1}}
    beam = {"sampler": BeamSampler(3, num_hypotheses=2, length_penalty=0.6)}
    covering = {"sampler": BeamSampler(3, coverage_penalty=0.2, no_repeat_ngram_size=2)}

    def rnn():
        return tiny.make_task(tiny.make_preprocessor())

    def monotonic():
        return tiny.make_task(tiny.make_preprocessor(), attention="exact_monotonic")

    cases = {
        ("RNNSeq2SeqLM", "greedy"): (rnn, {}),
        ("RNNSeq2SeqLM", "beam, n-best"): (rnn, beam),
        ("RNNSeq2SeqLM", "beam with rules"): (rnn, covering),
        ("RNNSeq2SeqLM, exact monotonic", "greedy"): (monotonic, {}),
        ("TransformerSeq2SeqLM", "greedy"): (tiny.make_transformer_seq2seq, {}),
        ("TransformerSeq2SeqLM", "beam, n-best"): (tiny.make_transformer_seq2seq, beam),
        ("RNNTextClassifier", ""): (tiny.make_classifier, {}),
        ("RNNTokenTagger", ""): (tiny.make_tagger, {}),
    }
    for name in ("TextClassifier", "TokenTagger", "MaskedLM", "SentenceEmbedder", "SpanQA"):
        cases[f"Transformer{name}", ""] = (
            lambda name=name: tiny.make_transformer(name, **small),
            {},
        )
    return cases


def _run_child(formats):
    import keras

    from attnzoo import export
    from attnzoo.models.tasks.seq2seq import Seq2SeqTask

    writers = {
        "savedmodel": export.saved_model,
        "onnx": export.onnx,
        "litert": export.litert,
        "onnx-step": export.step,
        "litert-step": lambda *args, **more: export.step(*args, format="litert", **more),
    }
    for (task, decoding), (make, options) in _cases().items():
        model = make()
        for name in formats:
            if "step" in name and not isinstance(model, Seq2SeqTask):
                continue
            with tempfile.TemporaryDirectory() as folder:
                try:
                    writers[name](model, Path(folder) / "model", **options)
                    result, reason = "equal", ""
                except ValueError as error:
                    result, reason = "refused", str(error)
                except RuntimeError as error:
                    result, reason = "different", str(error)
            record = {
                "backend": keras.backend.backend(),
                "task": task,
                "decoding": decoding,
                "format": name,
                "result": result,
                "reason": reason[:400],
            }
            print(json.dumps(record), flush=True)


def _parse(arguments):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--backends", type=harness.names("backend", BACKENDS), default=BACKENDS)
    parser.add_argument("--formats", type=harness.names("format", FORMATS), default=FORMATS)
    parser.add_argument("--json", metavar="FILE", help="write what was measured")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        sys.path.insert(0, str(harness.ROOT))
        _run_child(sys.argv[2:])
    else:
        main()
