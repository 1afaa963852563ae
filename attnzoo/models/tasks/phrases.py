"""Phrases of a sampler as token ids of a task's target."""

import contextlib

from attnzoo.data.tokenizers import in_graph
from attnzoo.models.preprocessing.packing import tokenize_rows
from attnzoo.samplers import BeamSampler


def sampler_of(task):
    """Return the task's sampler, the phrases of a beam search as token ids.

    Raises:
        ValueError: If there are texts and no preprocessor, or a phrase has symbols or ids outside
            the target's vocabulary.
    """
    sampler = task.sampler
    if not (isinstance(sampler, BeamSampler) and sampler.rules.phrases):
        return sampler
    with _outside_graph():
        sampler = sampler.with_token_ids(lambda text: _tokenize(task, text))
    size = task.backbone.target_vocabulary_size
    for phrase in sampler.rules.phrases:
        if max(phrase) >= size:
            raise ValueError(
                f"The ids of a phrase must be below the target's vocabulary size, {size}. "
                f"Received: {phrase}"
            )
    return sampler


def _tokenize(task, text: str) -> list[int]:
    if task.preprocessor is None:
        raise ValueError(
            "Phrases that are texts need a preprocessor, whose tokenizer makes token ids of them. "
            f"Received: {text!r}"
        )
    tokenizer = task.preprocessor.tokenizer
    (ids,) = tokenize_rows(tokenizer, [text])
    if not ids or getattr(tokenizer, "unk_token_id", None) in ids:
        raise ValueError(
            f"A phrase must be made of tokens that the target's tokenizer knows. Received: {text!r}"
        )
    return ids


@contextlib.contextmanager
def _outside_graph():
    """Return a context in which tokenizers work on Python strings, also while a graph is traced."""
    if not in_graph():
        yield
        return
    import tensorflow as tf

    with tf.init_scope():
        yield
