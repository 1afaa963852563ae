"""attnzoo's own part in `seq2seq.py`: `RNNSeq2SeqLM` as a user gets it, with nothing set for speed.

The backend is the one that `KERAS_BACKEND` names.
"""

import harness
import workload


def build(settings):
    """Make the models and their cases, for `harness.serve`."""
    return workload.build_each(_build, settings)


def _build(settings, vocabulary_size):
    import keras
    import numpy as np

    backend = harness.use_threads(settings["threads"])
    import attnzoo.models
    import attnzoo.samplers

    keras.utils.set_random_seed(workload.SEED)
    backbone = attnzoo.models.RNNSeq2SeqBackbone(
        source_vocabulary_size=vocabulary_size,
        target_vocabulary_size=vocabulary_size,
        embedding_dim=workload.EMBEDDING_DIM,
        hidden_dim=workload.HIDDEN_DIM,
        num_encoder_layers=1,
        num_decoder_layers=1,
        cell="lstm",
        bidirectional=False,
        attention="bahdanau",
        dropout=0.0,
    )

    def make_task(sampler):
        # A task for each sampler: compiling again would throw the compiled loop away.
        task = attnzoo.models.RNNSeq2SeqLM(backbone, preprocessor=None)
        task.compile(
            optimizer=keras.optimizers.Adam(workload.LEARNING_RATE),
            sampler=sampler,
        )
        return task

    def train(batch_size):
        task = make_task("greedy")
        batches = workload.training_batches(batch_size, vocabulary_size=vocabulary_size)

        def case(repeats):
            for index in range(repeats):
                x, y, sample_weight = batches[index % len(batches)]
                loss = task.train_on_batch(x, y, sample_weight=sample_weight)
            return {"loss": float(np.ravel(loss)[0])}

        return case

    def decode(sampler, batch_size):
        generate = make_task(sampler).make_generate_function()
        inputs = workload.decoding_inputs(batch_size)

        def case(repeats):
            for _ in range(repeats):
                outputs = generate(inputs, stop_token_ids=None)
                tokens = keras.ops.convert_to_numpy(outputs["decoder_token_ids"])  # [B, T + 1]
            return {"shape": list(tokens[:, 1:].shape)}

        return case

    def make(case):
        if case.kind == "train":
            return train(case.batch_size)
        if case.kind == "greedy":
            return decode("greedy", case.batch_size)
        sampler = attnzoo.samplers.BeamSampler(num_beams=workload.NUM_BEAMS)
        return decode(sampler, case.batch_size)

    facts = {
        "versions": harness.versions("keras", backend),
        "parameters": make_task("greedy").count_params(),
    }
    return facts, {name: make(workload.CASES[name]) for name in settings["cases"]}


if __name__ == "__main__":
    harness.serve(build)
