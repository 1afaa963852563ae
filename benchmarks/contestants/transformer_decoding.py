"""attnzoo's own part in `transformer_decoding.py`: `TransformerSeq2SeqLM` as a user gets it.

The backend is the one that `KERAS_BACKEND` names.
"""

import harness
import workload


def build(settings):
    """Make the model and a case for each length, for `harness.serve`."""
    import keras

    backend = harness.use_threads(settings["threads"])

    import attnzoo.models
    import attnzoo.samplers

    keras.utils.set_random_seed(workload.SEED)
    backbone = attnzoo.models.TransformerSeq2SeqBackbone(
        source_vocabulary_size=workload.VOCABULARY_SIZE,
        target_vocabulary_size=workload.VOCABULARY_SIZE,
        **settings["model"],
        num_encoder_layers=settings["layers"],
        num_decoder_layers=settings["layers"],
        dropout=0.0,
    )
    task = attnzoo.models.TransformerSeq2SeqLM(backbone, preprocessor=None)
    task.compile(sampler=attnzoo.samplers.BeamSampler(num_beams=workload.NUM_BEAMS))
    generate = task.make_generate_function()

    def decode(length):
        inputs = workload.decoding_inputs(settings["sentences"], length)

        def case(repeats):
            for _ in range(repeats):
                outputs = generate(inputs, stop_token_ids=None)
                tokens = keras.ops.convert_to_numpy(outputs["decoder_token_ids"])  # [B, T + 1]
            return {"shape": list(tokens[:, 1:].shape)}

        return case

    facts = {"versions": harness.versions("keras", backend), "parameters": task.count_params()}
    return facts, {str(length): decode(length) for length in settings["lengths"]}


if __name__ == "__main__":
    harness.serve(build)
