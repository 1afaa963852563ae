"""One exported model in `exports.py`, which decodes words one by one with its own runtime.

The settings name the `folder` of the export, and the `words`, as lists of ids. With `write` in them
it writes the exports instead: the built-in preset in every format, greedy and with five beams.
"""

import os

import harness

PRESET = "rnn_seq2seq_small_cmudict"
WORDS = [
    *("thoughtful", "attention", "rough", "cat", "mechanism", "phone", "alignment", "queue"),
    *("decoder", "island", "weight", "sequence", "through", "a", "memory", "xylophone", "score"),
    *("beam", "translation", "quick"),
]
FORMATS = ("SavedModel", "ONNX", "LiteRT", "ONNX, loop outside", "LiteRT, loop outside")


def build(settings):
    """Load the model and make its one case, for `harness.serve`."""
    if "write" in settings:
        return {"words": _write(settings["write"])}, {}
    import numpy as np

    words = [np.array([word], "int32") for word in settings["words"]]
    run = _load(settings["folder"], settings["threads"])

    def decode(repeats):
        for _ in range(repeats):
            ids = [run(word) for word in words]
        return {"ids": [[int(id) for id in np.ravel(one) if id] for one in ids]}

    return {}, {"words": decode}


def _load(folder, threads):
    """Return a function from ids [1, S] to ids."""
    if os.path.exists(os.path.join(folder, "saved_model.pb")):
        harness.use_threads(threads)
        import tensorflow as tf

        signature = tf.saved_model.load(folder).signatures["serving_default"]
        return lambda word: signature(token_ids=tf.constant(word))["token_ids"].numpy()
    import json

    import numpy as np

    from attnzoo.export.formats.portable import open_graphs

    with open(os.path.join(folder, "attnzoo.json"), encoding="utf-8") as file:
        about = json.load(file)
    graph, shape = open_graphs(folder, about), about["inputs"][0]["shape"]

    def run(word):
        if shape[1] is not None:
            word = np.pad(word, [(0, 0), (0, shape[1] - word.shape[1])])
        return graph({"source_ids": word})["ids"]

    return run


def _write(folder):
    """Write the exports; return the words as ids."""
    from attnzoo import export, models

    task = models.RNNSeq2SeqLM.from_preset(PRESET)
    writers = {
        "SavedModel": lambda *args, **kwargs: export.saved_model(*args, inputs="ids", **kwargs),
        "ONNX": export.onnx,
        "LiteRT": export.litert,
        "ONNX, loop outside": export.step,
        "LiteRT, loop outside": lambda *args, **kwargs: export.step(
            *args, format="litert", **kwargs
        ),
    }
    for sampler in ("greedy", "beam"):
        for name in FORMATS:
            writers[name](task, os.path.join(folder, sampler, name), sampler=sampler)
    packed = task.preprocessor.generate_preprocess(WORDS)
    rows = zip(packed["encoder_token_ids"], packed["encoder_padding_mask"], strict=True)
    return [[int(id) for id in ids[mask.astype(bool)]] for ids, mask in rows]


if __name__ == "__main__":
    harness.serve(build)
