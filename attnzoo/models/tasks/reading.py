"""Inference on texts in batches: strings in, NumPy arrays out."""

import numpy as np

from attnzoo.models.tasks.batch_sizes import join_rows, split_rows


def read_texts(task, texts, batch_size: int = 32, method: str = "read", **more) -> dict:
    """Run a task's method on texts, in batches.

    Args:
        task: A task that reads texts.
        texts: A string or strings, or other inputs of the task; without a preprocessor, the
            backbone's inputs.
        batch_size: Number of texts in a batch. At least 1.
        method: The name of the task's method.
        **more: Further inputs of the method, arrays with a row for each text.

    Returns:
        dict of NumPy arrays, batch first: the packed texts, `probabilities` float32 [..., C] in
        place of logits, and the other results of the method, float32.

    Raises:
        ValueError: If there is no text or no list of texts, a text is empty, a token id is outside
            the vocabulary, or `batch_size` is below 1.
    """
    texts = task.check_inputs([texts] if isinstance(texts, (str, bytes)) else texts)
    results = []
    for rows in split_rows(count_texts(task, texts), batch_size):
        if task.preprocessor is None:
            packed = {name: np.asarray(value)[rows] for name, value in texts.items()}
        else:
            packed = task.pack_texts(texts[rows])
        packed = {**packed, **{name: value[rows] for name, value in more.items()}}
        results.append({**packed, **task.read_on_batch(packed, method)})
    return {name: join_rows([one[name] for one in results]) for name in results[0]}


def count_texts(task, texts) -> int:
    """Return the number of texts, or of rows of the backbone's inputs."""
    return len(texts["token_ids"] if task.preprocessor is None else texts)


def cut_padding(results: dict, name: str = "alignments"):
    """Return a result [B, S], [B, H, S] or [B, L, N, S, S] without padding common to all texts."""
    longest = int(np.flatnonzero(results["padding_mask"].any(axis=0)).max(initial=-1)) + 1
    sequences = 2 if results[name].ndim == 5 else 1
    return results[name][(..., *[slice(longest)] * sequences)]
