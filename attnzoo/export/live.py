"""What the live model gives, for the SavedModel to be held to."""

import contextlib

import keras
import numpy as np
from keras import ops

from attnzoo.export.graph import SpecialIds


def run_live(task, verify, max_length):
    """The live model on the sources to compare on: their token ids [B, S], and its outputs."""
    special = SpecialIds.of(task)
    if task.preprocessor is not None:
        batch = task.preprocessor.generate_preprocess(verify, sequence_length=max_length)
        batch = {name: ops.convert_to_numpy(value) for name, value in batch.items()}
    else:
        width = max(len(row) for row in verify)
        source = np.array(
            [[*row, *[special.source_pad] * (width - len(row))] for row in verify], "int32"
        )
        prompt = np.full((len(verify), max_length), special.pad, "int32")
        prompt[:, 0] = special.start
        batch = {
            "encoder_token_ids": source,
            "encoder_padding_mask": source != special.source_pad,
            "decoder_token_ids": prompt,
            "decoder_padding_mask": np.arange(max_length)[None, :] + 0 * prompt == 0,
        }
    tensors = {name: ops.convert_to_tensor(value) for name, value in batch.items()}
    made = task.make_generate_function()(tensors, stop_token_ids=(special.end,))
    outputs = {}
    if task.preprocessor is not None:
        made = {**made, "encoder_text": verify}
        outputs["text"] = np.array(task.preprocessor.generate_postprocess(made), dtype="U")
    tokens = ops.convert_to_numpy(made["decoder_token_ids"])
    kept = ops.convert_to_numpy(made["decoder_padding_mask"]).astype(bool)
    outputs["token_ids"] = np.where(kept, tokens, special.pad)[..., 1:].astype("int32")
    several = tokens.ndim == 3
    best = (tokens[:, 0], kept[:, 0]) if several else (tokens, kept)
    replayed = replay_live(task, batch, *best)
    outputs["alignments"] = replayed["alignments"]
    outputs["scores"] = replayed["scores"]
    if "scores" in made:
        scores = ops.convert_to_numpy(made["scores"])
        outputs["scores"] = scores if several else scores[:, 0]
    outputs["batch"] = batch
    return batch["encoder_token_ids"].astype("int32"), outputs


def replay_live(task, batch, tokens, kept):
    given = {**batch, "decoder_token_ids": tokens, "decoder_padding_mask": kept}
    return task.replay_on_batch(given)


@contextlib.contextmanager
def sampling_with(task, sampler):
    """The task with another sampler, for a while."""
    before = task.sampler, task.generate_function
    if sampler is not None:
        task.sampler, task.generate_function = sampler, None
    try:
        yield
    finally:
        task.sampler, task.generate_function = before


@contextlib.contextmanager
def full_precision():
    """float32 products whole: on some accelerators the default keeps 10 bits of each factor."""
    if keras.backend.backend() == "jax":
        import jax

        with jax.default_matmul_precision("highest"):
            yield
    elif keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        before = tf.config.experimental.tensor_float_32_execution_enabled()
        tf.config.experimental.enable_tensor_float_32_execution(False)
        try:
            yield
        finally:
            tf.config.experimental.enable_tensor_float_32_execution(before)
    else:
        yield


def sample_sources(task):
    """A few sources of different lengths, made from the vocabulary, the same in every run."""
    draw = np.random.default_rng(0)
    if task.preprocessor is None:
        size = task.backbone.source_vocabulary_size
        special = SpecialIds.of(task)
        return [
            [*draw.integers(min(4, size - 1), size, length).tolist(), special.source_end]
            for length in (5, 1, 2, 11, 23)
        ]
    tokenizer = task.preprocessor.source_tokenizer
    SpecialIds.of(task)  # Now the tokenizer has its special ids.
    names = ("pad_token_id", "unk_token_id", "start_token_id", "end_token_id")
    hidden = {getattr(tokenizer, name, None) for name in names}
    symbols = [id for id in range(tokenizer.vocabulary_size()) if id not in hidden]
    limit = task.preprocessor.encoder_sequence_length
    lengths = [5, 1, 2, 11, 23, *([limit + 2] if limit <= 100 else [])]  # The last one is cut.
    texts = [
        tokenizer.detokenize([int(id) for id in draw.choice(symbols, length)])
        for length in lengths
        if symbols
    ]
    if symbols and getattr(task.preprocessor, "pointer_generator", False):
        # The name of the unknown token, as text, is a symbol that is in no vocabulary.
        texts.append(tokenizer.detokenize([tokenizer.unk_token_id, symbols[0], symbols[-1]]))
    texts = [text for text in texts if text.strip()]
    if not texts:
        raise ValueError(
            "The source vocabulary gives no text to compare on: pass some as `verify`. "
            f"Received: verify=None, with a vocabulary of {tokenizer.vocabulary_size()} tokens"
        )
    return texts
