"""An exported model: texts in, texts or labels out, with scores and alignments."""

import json
import os

import numpy as np

from .results import TASKS
from .rows import RowMaker
from .search import decode
from .sessions import open_graph

FORMAT = 1


class Model:
    """A model that `attnzoo.export` wrote for ONNX Runtime or LiteRT.

    It needs NumPy and that runtime alone. Several threads may call it at once with ONNX Runtime.

    Args:
        path: The folder of the model.
        threads: Number of threads of the runtime. At least 1.

    Call arguments:
        inputs: Texts, a list of strings. For a masked language model with `"[MASK]"` in them; for
            question answering, pairs of a question and its context. Without a preprocessor in the
            exported task: lists of ids.
        batch_size: Number of inputs in a batch. At least 1.

    Returns:
        dict of lists, one item for each input:

        ==================  ====================================================================
        task                items
        ==================  ====================================================================
        seq2seq             `text`, `scores` (in nats) and `tokens`, for the best hypothesis, or
                            lists for N > 1 hypotheses; `alignments` float32 [T, S] of the best
                            one, from its tokens to the `source_tokens`
        text_classifier     `labels`, `probabilities` float32 [C], `tokens`, and `alignments`
                            float32 [..., S] if the graph has them
        token_tagger        `words`, their `labels`, and `probabilities` float32 [W, C]
        masked_lm           `candidates` for each mask, best first, and their `probabilities`
        sentence_embedder   `vectors` float32 [D]
        span_qa             `answers`, `spans` in characters of the context, `probabilities`
        ==================  ====================================================================

    Raises:
        FileNotFoundError: If the folder holds no model.
        ValueError: If its format or task is unknown, a number is below 1, there is no input, or a
            text is blank, no string, or too long for the graph or, with `truncate="error"`, for the
            preprocessor.
        ImportError: If its runtime is not installed.

    Example:
        >>> model = attnzoo.runtime.Model.load("g2p")
        >>> model(["thoughtful"])["text"]
        ['TH AO T F AH L']
    """

    def __init__(self, path: str | os.PathLike, *, threads: int = 1):
        path = os.fspath(path)
        try:
            with open(os.path.join(path, "attnzoo.json"), encoding="utf-8") as file:
                self.about = json.load(file)
        except OSError as error:
            raise FileNotFoundError(
                "A model is a folder with `attnzoo.json`, as `attnzoo export PRESET PATH --format "
                f"onnx` writes it. Received: path={path!r}"
            ) from error
        if self.about.get("format") != FORMAT:
            raise ValueError(
                f"The model's format must be {FORMAT}; another version of attnzoo wrote this one. "
                f"Received: format={self.about.get('format')!r}"
            )
        if threads < 1:
            raise ValueError(f"`threads` must be at least 1. Received: threads={threads}")
        self.task = self.about["task"]
        if self.task not in TASKS:
            raise ValueError(
                f"The model's task must be one of {list(TASKS)}. Received: task={self.task!r}"
            )
        text = self.about["text"]
        self._maker = None if text is None else RowMaker(text, self.task)
        self._padding = 0 if text is None else text["source"]["padding"]
        self._shapes = {one["name"]: one["shape"] for one in self.about["inputs"]}
        self._ids = next(name for name in ("source_ids", "ids") if name in self._shapes)
        graphs = {
            part: open_graph(os.path.join(path, file), threads)
            for part, file in self.about["files"].items()
        }
        self._run = graphs.get("model") or self._run_steps
        self._graphs = graphs

    @classmethod
    def load(cls, path: str | os.PathLike, *, threads: int = 1) -> "Model":
        """Return the model in a folder; see the class."""
        return cls(path, threads=threads)

    def __call__(self, inputs, *, batch_size: int = 64) -> dict[str, list]:
        if isinstance(inputs, (str, bytes)) or not hasattr(inputs, "__len__") or not len(inputs):
            raise ValueError(f"Inputs must be in a list, one or more. Received: {inputs!r}")
        if batch_size < 1:
            raise ValueError(f"`batch_size` must be at least 1. Received: batch_size={batch_size}")
        rows = [self._make_row(given, place) for place, given in enumerate(inputs)]
        fixed = self._shapes[self._ids][0]
        # Inputs of like lengths go together: a batch is as long as its longest.
        order = sorted(range(len(rows)), key=lambda n: len(rows[n]["ids"]))
        results: dict[int, dict] = {}
        for start in range(0, len(order), fixed or batch_size):
            part = order[start : start + (fixed or batch_size)]
            found = self._run(self._pad([rows[n] for n in part]))
            for place, n in enumerate(part):
                own = {name: value[place] for name, value in found.items()}
                results[n] = TASKS[self.task](self.about, self._maker, rows[n], own, inputs[n])
        return {name: [results[n][name] for n in range(len(rows))] for name in results[0]}

    def _make_row(self, given, place):
        row = {"ids": list(given)} if self._maker is None else self._maker(given, place)
        longest = self._shapes[self._ids][1]
        if longest is not None and len(row["ids"]) > longest:
            raise ValueError(
                f"This graph takes at most {longest} tokens, special ones counted: export one of "
                f"another length. Received: {len(row['ids'])} tokens at position {place}"
            )
        return row

    def _pad(self, rows):
        """Return the graph's inputs: rows, padded to one length, or to the sizes of the graph."""
        size, length = self._shapes[self._ids][:2]
        size, length = size or len(rows), length or max(1, *(len(row["ids"]) for row in rows))
        inputs = {self._ids: np.full((size, length), self._padding, "int32")}
        if "span_mask" in self._shapes:
            inputs["span_mask"] = np.zeros((size, length), "bool")
        for place, row in enumerate(rows):
            inputs[self._ids][place, : len(row["ids"])] = row["ids"]
            if "span_mask" in inputs:
                inputs["span_mask"][place, : len(row["ids"])] = row["starts"]
        return inputs

    def _run_steps(self, inputs):
        source = inputs[self._ids]
        encode, step = self._graphs["encoder"], self._graphs["step"]
        return decode(lambda: encode(inputs), step, source, self.about["decoding"])
