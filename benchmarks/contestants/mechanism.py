"""One attention of `mechanisms.py`: training steps of `RNNSeq2SeqLM` with it, as a user gets it.

The backend is the one that `KERAS_BACKEND` names.
"""

import harness
import workload


def build(settings):
    """Make the model and its case, for `harness.serve`."""
    import keras
    import numpy as np

    backend = harness.use_threads(settings["threads"])
    import attnzoo.models

    keras.utils.set_random_seed(workload.SEED)
    shape = settings["shape"]
    backbone = attnzoo.models.RNNSeq2SeqBackbone(
        source_vocabulary_size=shape["vocabulary_size"],
        target_vocabulary_size=shape["vocabulary_size"],
        embedding_dim=settings["embedding_dim"],
        hidden_dim=settings["hidden_dim"],
        attention=settings["attention"],
        attend=settings["attend"],
        input_feeding=False,
    )
    task = attnzoo.models.RNNSeq2SeqLM(backbone, preprocessor=None)
    task.compile(keras.optimizers.Adam(workload.LEARNING_RATE))
    batches = workload.training_batches(settings["batch_size"], **shape)

    def train(repeats):
        for index in range(repeats):
            x, y, sample_weight = batches[index % len(batches)]
            loss = task.train_on_batch(x, y, sample_weight=sample_weight)
        return {"finite": bool(np.isfinite(np.ravel(loss)[0]))}

    facts = {"versions": harness.versions("keras", backend), "parameters": task.count_params()}
    return facts, {"train": train}


if __name__ == "__main__":
    harness.serve(build)
