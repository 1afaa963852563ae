"""The graph: from strings or ids, through decoding, to strings, scores and alignments."""

import dataclasses

import numpy as np

from attnzoo.data.copying import copy_ids

SIGNATURE = "serving_default"


@dataclasses.dataclass(frozen=True)
class SpecialIds:
    """The special ids of a task."""

    source_pad: int = 0
    source_end: int = 3
    pad: int = 0
    start: int = 2
    end: int = 3

    @classmethod
    def of(cls, task):
        preprocessor = task.preprocessor
        if preprocessor is None:
            return cls()
        if not preprocessor.built:
            preprocessor.build(None)
        source, target = preprocessor.source_tokenizer, preprocessor.tokenizer
        return cls(
            source.pad_token_id,
            source.end_token_id,
            target.pad_token_id,
            target.start_token_id,
            target.end_token_id,
        )


def write_graph(task, directory, inputs, max_length):
    """Trace the graph under TensorFlow, and save it with what it reads: variables and tables."""
    import tensorflow as tf

    special = SpecialIds.of(task)
    module = tf.Module()

    def generate_from_text(text):
        sources = _tokenize(task, special, text)
        return _generate(task, sources, special, max_length, text)

    def generate_from_ids(token_ids):
        real = tf.not_equal(token_ids, special.source_pad)
        sources = {"encoder_token_ids": token_ids, "encoder_padding_mask": real}
        return _generate(task, sources, special, max_length)

    if inputs == "text":
        function, spec = generate_from_text, tf.TensorSpec([None], tf.string, name="text")
        module.tokenizers = _resources(task.preprocessor)
    else:
        function, spec = generate_from_ids, tf.TensorSpec([None, None], tf.int32, name="token_ids")
    traced = tf.function(function, autograph=False).get_concrete_function(spec)
    module.weights = list(traced.variables)
    tf.saved_model.save(module, directory, signatures={SIGNATURE: traced})


def _tokenize(task, special, text):
    """string [B] to the model's inputs [B, S] for the sources, S as the longest needs."""
    import tensorflow as tf

    ids = task.preprocessor.source_tokenizer(text)
    if not isinstance(ids, tf.RaggedTensor):
        ids = tf.RaggedTensor.from_tensor(ids)
    ids = tf.cast(ids, tf.int32)[:, : task.preprocessor.encoder_sequence_length - 1]
    ids = _end_with(ids, special.source_end)  # [B, (S)]
    lengths = tf.cast(ids.row_lengths(), tf.int32)
    ids = ids.to_tensor(default_value=special.source_pad)  # [B, S]
    real = tf.sequence_mask(lengths, tf.shape(ids)[1])
    sources = {"encoder_token_ids": ids, "encoder_padding_mask": real}
    if getattr(task.preprocessor, "pointer_generator", False):
        symbols = task.preprocessor.source_symbols(text)
        copies = _end_with(copy_ids(symbols, task.preprocessor.tokenizer), special.end)
        sources["copy_token_ids"] = copies.to_tensor(default_value=special.pad)
    return sources


def _end_with(ids, end):
    """A ragged tensor of ids, with one more at the end of each row."""
    import tensorflow as tf

    ends = tf.fill([ids.nrows(out_type=tf.int32), 1], end)
    return tf.concat([ids, tf.RaggedTensor.from_tensor(ends)], axis=1)


def _generate(task, memory, special, max_length, text=None):
    """Outputs for the model's inputs [B, S] of the sources: what the signature gives."""
    import tensorflow as tf

    source = memory["encoder_token_ids"]
    batch = tf.shape(source)[0]
    if_none = [[0, 0], [0, tf.cast(tf.equal(tf.shape(source)[1], 0), tf.int32)]]
    # A loop wants a step; by its mask it is padding.
    memory = {name: tf.pad(value, if_none) for name, value in memory.items()}
    first = tf.range(max_length) == 0  # [L]
    prompt = tf.where(first, special.start, special.pad)
    made = task.generate_step(
        {
            **memory,
            "decoder_token_ids": tf.tile(prompt[None, :], [batch, 1]),  # [B, L]
            "decoder_padding_mask": tf.tile(first[None, :], [batch, 1]),
        },
        stop_token_ids=(special.end,),
    )
    tokens = tf.cast(made["decoder_token_ids"], tf.int32)  # [B, L] or [B, N, L]
    kept = tf.cast(made["decoder_padding_mask"], tf.bool)
    longest = tf.reduce_max(tf.reduce_sum(tf.cast(kept, tf.int32), axis=-1))
    longest = tf.maximum(longest, 2)  # Also for a batch of none.
    tokens, kept = tokens[..., :longest], kept[..., :longest]
    tokens = tf.where(kept, tokens, special.pad)
    several = len(tokens.shape) == 3
    replayed = task.replay(
        {
            **memory,
            "decoder_token_ids": tokens[:, 0] if several else tokens,
            "decoder_padding_mask": kept[:, 0] if several else kept,
        }
    )
    scores = replayed["scores"]
    if "scores" in made:
        scores = made["scores"] if several else made["scores"][:, 0]
    results = {
        "token_ids": tokens[..., 1:],
        "scores": tf.cast(scores, tf.float32),
        "alignments": replayed["alignments"],
    }
    if text is not None:
        outputs = task.preprocessor.generate_postprocess(
            {
                "decoder_token_ids": tf.reshape(tokens, [-1, longest]),
                "decoder_padding_mask": tf.reshape(kept, [-1, longest]),
                "encoder_text": tf.repeat(text, tokens.shape[1] if several else 1),
            }
        )
        results["text"] = tf.reshape(outputs, tf.shape(tokens)[:-1])
    return results


def _resources(preprocessor):
    """What of the tokenizers a SavedModel must hold: our lookup table, or all of another's."""
    source, target = preprocessor.source_tokenizer, preprocessor.tokenizer
    resources = [getattr(source, "lookup_table", source)]
    if not hasattr(target, "lookup_table"):
        resources.append(target)
    elif getattr(preprocessor, "pointer_generator", False):
        resources.append(target.lookup_table)  # Else ours need none to make text of ids.
    return resources


def run_exported(directory, inputs, feeds):
    """Load the SavedModel and run it: on the whole batch, and on its first source alone."""
    import tensorflow as tf

    generate = tf.saved_model.load(directory).signatures[SIGNATURE]

    def run(rows):
        if inputs == "text":
            outputs = generate(text=tf.constant(rows))
        else:
            outputs = generate(token_ids=tf.constant(rows, tf.int32))
        outputs = {name: value.numpy() for name, value in outputs.items()}
        if "text" in outputs:
            decode = np.vectorize(lambda text: text.decode("utf-8"), otypes=["U"])
            outputs["text"] = decode(outputs["text"]).astype("U")
        return outputs

    return run(feeds), run(feeds[:1])
