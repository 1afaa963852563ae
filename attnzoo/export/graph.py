"""The graph of any task: traced under TensorFlow, saved, loaded and run."""

import contextlib
import hashlib

import keras_hub

SIGNATURE = "serving_default"


def write_graph(spec, directory):
    """Trace the graph under TensorFlow, and save it with its variables and lookup tables.

    Raises:
        ValueError: If the inputs are texts, and the preprocessor cannot be traced.
    """
    import tensorflow as tf

    signature = spec.signature()
    module = tf.Module()
    resources = []
    if spec.gives_text:
        _check_packing(spec, signature)
        resources = module.tokenizers = spec.resources()

    def run(**given):
        batch = tf.shape(next(iter(given.values())))[0]
        given = {name: _with_a_row(value) for name, value in given.items()}
        outputs = spec.compute(spec.pack(given))
        return {name: value[:batch] for name, value in outputs.items()}

    with _named_by_content(resources):
        traced = tf.function(run, autograph=False).get_concrete_function(**signature)
        module.weights = list(traced.variables)
        tf.saved_model.save(module, directory, signatures={SIGNATURE: traced})


@contextlib.contextmanager
def _named_by_content(resources):
    """Return a context in which each SentencePiece model has a unique name.

    TensorFlow treats resources with the same name as one resource, in all SavedModels that a
    process loads. By default all SentencePiece models have the same name.
    """
    kind = keras_hub.tokenizers.SentencePieceTokenizer
    before = [(one, one._sentence_piece) for one in resources if isinstance(one, kind)]
    for tokenizer, _ in before:
        import tensorflow_text

        tokenizer._sentence_piece = tensorflow_text.SentencepieceTokenizer(
            model=tokenizer.proto,
            out_type=tokenizer.compute_dtype,
            add_bos=tokenizer.add_bos,
            add_eos=tokenizer.add_eos,
            name=f"sentencepiece_{hashlib.sha256(tokenizer.proto).hexdigest()[:32]}",
        )
    try:
        yield
    finally:
        for tokenizer, model in before:
            tokenizer._sentence_piece = model


def _with_a_row(value):
    """Return a batch; add an empty row to a batch of size 0, which some layers cannot take."""
    import tensorflow as tf

    shape = tf.shape(value)
    missing = tf.maximum(1 - shape[0], 0)
    return tf.concat([value, tf.zeros(tf.concat([[missing], shape[1:]], 0), value.dtype)], axis=0)


def _check_packing(spec, signature):
    """Raise if TensorFlow cannot trace the tokenizer, or a custom preprocessor."""
    import tensorflow as tf

    packing = tf.function(lambda **given: spec.pack(given), autograph=False)
    try:
        packing.get_concrete_function(**signature)
    except Exception as error:
        raise ValueError(
            '`inputs="text"` needs a preprocessor whose work TensorFlow can trace, and this one '
            f"raised {type(error).__name__}: {error}. If this cannot be changed, pass "
            '`inputs="ids"` and tokenize outside. '
            f"Received: preprocessor={type(spec.task.preprocessor).__name__}"
        ) from error


def run_exported(directory, feeds):
    """Load the SavedModel and run it: on the whole batch, and on its first row alone.

    Args:
        directory: The SavedModel's directory.
        feeds: Inputs by name: lists or arrays, batch first.

    Returns:
        Two dicts of NumPy arrays.
    """
    import numpy as np
    import tensorflow as tf

    signature = tf.saved_model.load(directory).signatures[SIGNATURE]
    dtypes = {name: spec.dtype for name, spec in signature.structured_input_signature[1].items()}
    decode = np.vectorize(lambda text: text.decode("utf-8"), otypes=["U"])

    def run(rows):
        given = {name: tf.constant(feeds[name][rows], dtype) for name, dtype in dtypes.items()}
        outputs = {name: value.numpy() for name, value in signature(**given).items()}
        return {
            name: decode(value).astype("U") if value.dtype.kind == "O" else value
            for name, value in outputs.items()
        }

    return run(slice(None)), run(slice(1))
