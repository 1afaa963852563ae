"""The example of a server: batches of requests, and what it refuses."""

import asyncio
import importlib.util
import json
import pathlib
import sys

import pytest

pytestmark = pytest.mark.backend_free

SERVING = pathlib.Path(__file__).parents[2] / "examples" / "serving"


def load(name):
    spec = importlib.util.spec_from_file_location(name, SERVING / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


batching = load("batching")


class Echo:
    """A model whose text is the input in upper case; it refuses blank texts."""

    about = {"name": "echo", "task": "seq2seq"}

    def __init__(self):
        self.batches = []

    def __call__(self, texts, batch_size):
        self.batches.append(len(texts))
        for place, text in enumerate(texts):
            if not text.strip():
                raise ValueError(
                    f"A text must have a symbol. Received: {text!r} at position {place}"
                )
        return {"text": [text.upper() for text in texts], "scores": [0.5] * len(texts)}


def batcher(model, **options):
    options = {"batch_size": 8, "wait": 0.02, "max_waiting": 64, **options}
    return batching.Batcher(model, observe=lambda count: None, **options)


def run(model, *requests, **options):
    """What each of several requests at once gets: results, or an error."""

    async def ask():
        async with batcher(model, **options) as one:
            return await asyncio.gather(
                *(one.answer(texts) for texts in requests), return_exceptions=True
            )

    return asyncio.run(ask())


def test_requests_at_once_are_one_batch_and_each_gets_its_own():
    model = Echo()
    requests = [[f"a{n}", f"b{n}"] for n in range(3)]
    answers = run(model, *requests)
    assert [[one["text"] for one in answer] for answer in answers] == [
        [text.upper() for text in request] for request in requests
    ]
    assert model.batches == [6]


def test_a_batch_is_never_larger_than_allowed():
    model = Echo()
    answers = run(model, *[["a"]] * 20)
    assert len(answers) == 20 and all(answer[0]["text"] == "A" for answer in answers)
    assert max(model.batches) == 8 and sum(model.batches) == 20


def test_a_text_that_is_refused_fails_alone():
    first, second, third = run(Echo(), ["a"], ["b", " "], ["c"])
    assert first[0]["text"] == "A" and third[0]["text"] == "C"
    assert isinstance(second, ValueError)
    assert str(second).endswith("Received: ' ' at position 1")


def test_what_the_queue_cannot_hold_is_refused_at_once():
    first, second = run(Echo(), ["a"] * 3, ["b"] * 2, max_waiting=4)
    assert len(first) == 3
    assert isinstance(second, batching.TooBusy) and "3 texts wait" in str(second)


@pytest.fixture
def client(monkeypatch, tmp_path):
    pytest.importorskip("fastapi")
    pytest.importorskip("prometheus_client")
    testclient = pytest.importorskip("fastapi.testclient")
    from attnzoo import runtime

    monkeypatch.setattr(runtime.Model, "load", lambda path, threads: Echo())
    monkeypatch.setenv("MODEL", str(tmp_path))
    monkeypatch.setenv("MAX_TEXTS", "3")
    monkeypatch.setenv("MAX_CHARACTERS", "10")
    monkeypatch.setitem(sys.modules, "batching", batching)
    with testclient.TestClient(load("app").app) as client:
        yield client


def test_the_server_answers_and_says_what_it_refuses(client):
    found = client.post("/predict", json={"texts": ["cat", "hat"]})
    assert found.status_code == 200
    assert [one["text"] for one in found.json()["results"]] == ["CAT", "HAT"]
    for texts, status, rule in (
        ([], 422, "1 to 3 texts. Received: 0"),
        (["a"] * 4, 413, "1 to 3 texts. Received: 4"),
        (["a", "b" * 11], 413, "at most 10 characters. Received: 11 at position 1"),
        (["a", " "], 422, "Received: ' ' at position 1"),
        ([3], 422, "valid string"),
    ):
        refused = client.post("/predict", json={"texts": texts})
        assert refused.status_code == status
        assert rule in json.dumps(refused.json(), ensure_ascii=False)
    assert client.get("/healthz").json() == {"status": "ok", "model": "echo", "task": "seq2seq"}
    metrics = client.get("/metrics").text
    assert 'attnzoo_requests_total{status="200"} 1.0' in metrics
    assert 'attnzoo_requests_total{status="422"} 3.0' in metrics
    assert "attnzoo_batch_texts_count" in metrics
