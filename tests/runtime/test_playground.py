"""The page in headless Chromium beside the live model: `make playground` first."""

import functools
import http.server
import json
import os
import pathlib
import shutil
import subprocess
import threading

import numpy as np
import pytest

from attnzoo import models, samplers
from attnzoo.runtime import Model

pytestmark = [pytest.mark.shared("torch"), pytest.mark.slow]

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "_build" / "playground"
WORDS = """
thoughtful cat a attention knight psychology rhythm queue choir colonel island yacht schedule
through although bureaucracy mississippi xylophone don't zzyzx
""".split()
SENTENCES = [
    "Ein Programm zum Abspielen von Musik",
    "a simple text editor",
    "bash",
    "Bibliothek for the Desktop , ein ~ unbekanntes wort",
]


class Handler(http.server.SimpleHTTPRequestHandler):
    extensions_map = {
        **http.server.SimpleHTTPRequestHandler.extensions_map,
        ".mjs": "text/javascript",
        ".js": "text/javascript",
        ".wasm": "application/wasm",
    }

    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="module")
def answers():
    """What the page answers; PLAYGROUND_SCREENSHOT names a file for a picture of it."""
    chromium = os.environ.get("CHROMIUM", "/usr/bin/chromium")
    if not (shutil.which("node") and os.path.exists(chromium)):
        pytest.skip("needs node and Chromium")
    if not (PAGE / "vendor").exists() or not (PAGE / "node_modules" / "puppeteer-core").exists():
        pytest.skip("needs `make playground`")
    handler = functools.partial(Handler, directory=PAGE)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        picture = os.environ.get("PLAYGROUND_SCREENSHOT")
        child = subprocess.run(
            [
                *("node", "browse.mjs", f"http://127.0.0.1:{server.server_port}/"),
                *([os.path.abspath(picture)] if picture else []),
            ],
            cwd=PAGE,
            input=json.dumps({"pronunciation": WORDS, "language": SENTENCES}),
            capture_output=True,
            text=True,
        )
        server.shutdown()
    assert child.returncode == 0, child.stderr
    return json.loads(child.stdout)


def test_words_are_said_as_the_live_model_says_them(answers):
    task = models.RNNSeq2SeqLM.from_preset("rnn_seq2seq_small_cmudict")
    task.compile(sampler=samplers.BeamSampler(5, num_hypotheses=5))
    live = task.generate(WORDS, return_scores=True)
    for found, texts, scores in zip(
        answers["pronunciation"], live["outputs"], live["scores"], strict=True
    ):
        assert [one["text"] for one in found["hypotheses"]] == texts
        np.testing.assert_allclose([one["score"] for one in found["hypotheses"]], scores, atol=1e-4)
    task.compile(sampler=samplers.BeamSampler(5))
    live = task.generate(WORDS, return_alignments=True)
    for found, rows in zip(answers["pronunciation"], live["alignments"], strict=True):
        shape = len(found["hypotheses"][0]["tokens"]), len(found["sourceTokens"])
        rows = rows[: shape[0], : shape[1]]
        np.testing.assert_allclose(found["alignments"], rows, atol=1e-4)
    assert answers["shown"] == answers["pronunciation"][0]["hypotheses"][0]["text"]


def test_sentences_are_classified_as_outside_of_the_browser(answers):
    found = Model.load(PAGE / "models" / "language")(SENTENCES)
    for one, label, chances, weights, tokens in zip(
        answers["language"],
        *(found[n] for n in ("labels", "probabilities", "alignments", "tokens")),
        strict=True,
    ):
        assert one["label"] == label and one["tokens"] == tokens
        np.testing.assert_allclose(one["probabilities"], chances, atol=1e-5)
        np.testing.assert_allclose(one["weights"], weights[0], atol=1e-5)
