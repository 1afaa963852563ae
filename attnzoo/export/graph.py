"""The graph: from strings or ids, through decoding, to strings, scores and alignments."""

import dataclasses

import numpy as np

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
        return _generate(task, *_tokenize(task, special, text), special, max_length)

    def generate_from_ids(token_ids):
        real = tf.not_equal(token_ids, special.source_pad)
        results = _generate(task, token_ids, real, special, max_length)
        results.pop("text", None)
        return results

    if inputs == "text":
        function, spec = generate_from_text, tf.TensorSpec([None], tf.string, name="text")
        module.tokenizers = _resources(task.preprocessor)
    else:
        function, spec = generate_from_ids, tf.TensorSpec([None, None], tf.int32, name="token_ids")
    traced = tf.function(function, autograph=False).get_concrete_function(spec)
    module.weights = list(traced.variables)
    tf.saved_model.save(module, directory, signatures={SIGNATURE: traced})


def _tokenize(task, special, text):
    """string [B] to token ids int32 [B, S] and what of them is real, S as the longest needs."""
    import tensorflow as tf

    ids = task.preprocessor.source_tokenizer(text)
    if not isinstance(ids, tf.RaggedTensor):
        ids = tf.RaggedTensor.from_tensor(ids)
    ids = tf.cast(ids, tf.int32)[:, : task.preprocessor.encoder_sequence_length - 1]
    ends = tf.fill([tf.shape(text)[0], 1], special.source_end)
    ids = tf.concat([ids, tf.RaggedTensor.from_tensor(ends)], axis=1)  # [B, (S)]
    lengths = tf.cast(ids.row_lengths(), tf.int32)
    ids = ids.to_tensor(default_value=special.source_pad)  # [B, S]
    return ids, tf.sequence_mask(lengths, tf.shape(ids)[1])


def _generate(task, source, real, special, max_length):
    """Outputs for token ids int32 [B, S] and their mask bool [B, S]: what the signature gives."""
    import tensorflow as tf

    batch = tf.shape(source)[0]
    if_none = [[0, 0], [0, tf.cast(tf.equal(tf.shape(source)[1], 0), tf.int32)]]
    source = tf.pad(source, if_none, constant_values=special.source_pad)  # A loop wants a step.
    real = tf.pad(real, if_none)
    first = tf.range(max_length) == 0  # [L]
    prompt = tf.where(first, special.start, special.pad)
    memory = {"encoder_token_ids": source, "encoder_padding_mask": real}
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
    if task.preprocessor is not None:
        text = task.preprocessor.generate_postprocess(
            {
                "decoder_token_ids": tf.reshape(tokens, [-1, longest]),
                "decoder_padding_mask": tf.reshape(kept, [-1, longest]),
            }
        )
        results["text"] = tf.reshape(text, tf.shape(tokens)[:-1])
    return results


def _resources(preprocessor):
    """What of the tokenizers a SavedModel must hold: our lookup table, or all of another's."""
    source, target = preprocessor.source_tokenizer, preprocessor.tokenizer
    resources = [getattr(source, "lookup_table", source)]
    if not hasattr(target, "lookup_table"):  # Ours need no table to make text of ids.
        resources.append(target)
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
