"""Serve an exported model over HTTP: FastAPI over `attnzoo.runtime`.

    MODEL=g2p uvicorn app:app

Requests that arrive within a few milliseconds are answered as one batch. Environment variables:

    MODEL             folder of the model, as `attnzoo export --format onnx` writes it
    THREADS           threads of the runtime (1)
    MAX_TEXTS         largest number of texts in a request (64)
    MAX_CHARACTERS    largest number of characters in a text (1000)
    MAX_WAITING       largest number of texts that wait; above it, requests get status 503 (2048)
    BATCH_SIZE        largest number of texts in a batch (64)
    BATCH_WAIT_MS     how long a batch waits for more texts, in milliseconds (3)
"""

import contextlib
import os

import numpy as np
from batching import Batcher, TooBusy
from fastapi import FastAPI, HTTPException, Response
from prometheus_client import CONTENT_TYPE_LATEST, Counter, Histogram, generate_latest
from pydantic import BaseModel

from attnzoo.runtime import Model


def number(name: str, default: float) -> float:
    """Return an environment variable as a number."""
    return float(os.environ.get(name, default))


MAX_TEXTS = int(number("MAX_TEXTS", 64))
MAX_CHARACTERS = int(number("MAX_CHARACTERS", 1000))

REQUESTS = Counter("attnzoo_requests_total", "Requests, by their status", ["status"])
SECONDS = Histogram("attnzoo_request_seconds", "Time from a request to its answer")
BATCHES = Histogram("attnzoo_batch_texts", "Texts in a batch", buckets=(1, 2, 4, 8, 16, 32, 64))


class Request(BaseModel):
    """Texts; for question answering pairs of a question and its context."""

    texts: list[str | tuple[str, str]]


@contextlib.asynccontextmanager
async def lifespan(app: FastAPI):
    """Load the model, and answer batches as long as the server runs."""
    app.state.model = Model.load(os.environ["MODEL"], threads=int(number("THREADS", 1)))
    app.state.batcher = Batcher(
        app.state.model,
        batch_size=int(number("BATCH_SIZE", 64)),
        wait=number("BATCH_WAIT_MS", 3) / 1000,
        max_waiting=int(number("MAX_WAITING", 2048)),
        observe=BATCHES.observe,
    )
    async with app.state.batcher:
        yield


app = FastAPI(title="attnzoo", lifespan=lifespan)


@app.middleware("http")
async def measure(request, call_next):
    if request.url.path != "/predict":
        return await call_next(request)
    with SECONDS.time():
        response = await call_next(request)
    REQUESTS.labels(response.status_code).inc()
    return response


@app.post("/predict")
async def predict(request: Request):
    """Return the results of each text, as `Model` gives them."""
    check_sizes(request.texts)
    try:
        results = await app.state.batcher.answer(request.texts)
    except ValueError as error:  # A blank text, or one that the model refuses.
        raise HTTPException(422, str(error)) from error
    except TooBusy as error:
        raise HTTPException(503, str(error), headers={"Retry-After": "1"}) from error
    return {"results": [as_json(one) for one in results]}


def check_sizes(texts):
    """Refuse requests that are too large, before any work."""
    if not 1 <= len(texts) <= MAX_TEXTS:
        rule = f"A request must have 1 to {MAX_TEXTS} texts. Received: {len(texts)}"
        raise HTTPException(413 if texts else 422, rule)
    for place, text in enumerate(texts):
        size = len(text) if isinstance(text, str) else sum(map(len, text))
        if size > MAX_CHARACTERS:
            raise HTTPException(
                413,
                f"A text must have at most {MAX_CHARACTERS} characters. "
                f"Received: {size} at position {place}",
            )


def as_json(result: dict) -> dict:
    """Return a result with lists in place of arrays."""
    return {
        name: value.tolist() if isinstance(value, np.ndarray) else value
        for name, value in result.items()
    }


@app.get("/healthz")
async def health():
    """Return what is served; status 200 once the model is loaded."""
    about = app.state.model.about
    return {"status": "ok", "model": about.get("name"), "task": about["task"]}


@app.get("/metrics")
async def metrics():
    """Return numbers of requests, their times and batches, as Prometheus reads them."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
