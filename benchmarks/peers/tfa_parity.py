"""The other side of `tfa_parity.py`: each case with tfa.seq2seq itself.

It needs the environment that `tfa_seq2seq.py` describes.
"""

import harness
import parity


def build(settings):
    """Make a function for each case, for `harness.serve`."""
    import numpy as np
    import tensorflow as tf
    import tensorflow_addons as tfa

    make_cell = {
        "lstm": tf.keras.layers.LSTMCell,
        "gru": tf.keras.layers.GRUCell,
        "simple": tf.keras.layers.SimpleRNNCell,
    }

    def make_mechanism(spec):
        if spec.score == "bahdanau":
            units, scaled = parity.SCORE_UNITS, {"normalize": spec.scaled}
        else:
            units, scaled = parity.UNITS, {"scale": spec.scaled}
        if spec.mode is None:
            kinds = {
                "bahdanau": tfa.seq2seq.BahdanauAttention,
                "luong": tfa.seq2seq.LuongAttention,
            }
            function = "hardmax" if spec.hardmax else "softmax"
            return kinds[spec.score](units, probability_fn=function, **scaled)
        kinds = {
            "bahdanau": tfa.seq2seq.BahdanauMonotonicAttention,
            "luong": tfa.seq2seq.LuongMonotonicAttention,
        }
        return kinds[spec.score](
            units, mode=spec.mode, score_bias_init=parity.SCORE_BIAS_INIT, **scaled
        )

    class Model:
        """A wrapped cell with the arrays of a case for weights."""

        def __init__(self, decoder, arrays):
            self.decoder, self.arrays = decoder, arrays
            self.cells = [make_cell[name](parity.UNITS) for name in decoder.cells]
            self.mechanisms = [make_mechanism(spec) for spec in decoder.mechanisms]
            several = len(self.mechanisms) > 1
            sizes = layers = None
            if decoder.attention_layer == "linear":
                sizes = list(decoder.attention_widths())
            elif decoder.attention_layer == "given":
                layers = [
                    tf.keras.layers.Dense(width, activation="tanh")
                    for width in decoder.attention_widths()
                ]
            self.setup_memory(1)
            stack = tf.keras.layers.StackedRNNCells(self.cells)
            self.wrapper = tfa.seq2seq.AttentionWrapper(
                stack if len(self.cells) > 1 else self.cells[0],
                self.mechanisms if several else self.mechanisms[0],
                attention_layer_size=sizes if several or sizes is None else sizes[0],
                attention_layer=layers,
                alignment_history=True,
                output_attention=decoder.output_attention,
            )
            self.layers = self.wrapper._attention_layers or []  # no public way to those it makes
            self.logits = tf.keras.layers.Dense(decoder.vocabulary_size, use_bias=False)
            self.embedding = tf.Variable(arrays["embedding"])
            self.run()  # makes the weights
            for name, weight in self.weights().items():
                weight.assign(arrays[name])

        def weights(self):
            """From the names of the arrays to variables."""
            found = {"embedding": self.embedding, "logits": self.logits.kernel}
            for n, cell in enumerate(self.cells):
                for name, weight in zip(("kernel", "recurrent", "bias"), cell.weights, strict=True):
                    found[f"cell{n}/{name}"] = weight
            for n, mechanism in enumerate(self.mechanisms):
                own = {
                    "query": mechanism.query_layer and mechanism.query_layer.kernel,
                    "memory": mechanism.memory_layer.kernel,
                    "vector": getattr(mechanism, "attention_v", None),
                    "factor": getattr(mechanism, "attention_g", None),
                    "bias": getattr(mechanism, "attention_b", None),
                    "score_bias": getattr(mechanism, "attention_score_bias", None),
                }
                if getattr(mechanism, "scale_weight", None) is not None:
                    own["factor"] = mechanism.scale_weight
                for name, weight in own.items():
                    if weight is not None:
                        found[f"mechanism{n}/{name}"] = weight
            for n, layer in enumerate(self.layers):
                for name, weight in zip(("kernel", "bias"), layer.weights, strict=False):
                    found[f"layer{n}/{name}"] = weight
            return found

        def setup_memory(self, beams):
            memory, lengths = tfa.seq2seq.tile_batch(
                (tf.constant(self.arrays["memory"]), tf.constant(self.arrays["lengths"])), beams
            )
            for mechanism in self.mechanisms:
                mechanism.setup_memory(memory, memory_sequence_length=lengths)

        def start(self, beams=1):
            self.setup_memory(beams)
            states = [
                self.arrays[f"state{n}"]
                for n in range(len(self.arrays))
                if f"state{n}" in self.arrays
            ]
            states = [tfa.seq2seq.tile_batch(tf.constant(state), beams) for state in states]
            initial = self.wrapper.get_initial_state(
                batch_size=parity.BATCH * beams, dtype=tf.float32
            )
            return initial.clone(cell_state=tf.nest.pack_sequence_as(initial.cell_state, states))

        def run(self):
            """Logits, the decoder's outputs and its last state."""
            decoder = tfa.seq2seq.BasicDecoder(self.wrapper, tfa.seq2seq.TrainingSampler())
            outputs, state, _ = decoder(
                tf.constant(self.arrays["inputs"]),
                initial_state=self.start(),
                sequence_length=tf.fill([parity.BATCH], parity.STEPS),
            )
            return self.logits(outputs.rnn_output), outputs.rnn_output, state

    def loss_of(logits, arrays, **averages):
        return tfa.seq2seq.sequence_loss(
            logits, tf.constant(arrays["targets"]), tf.constant(arrays["weights"]), **averages
        )

    def decode(decoder, arrays):
        model = Model(decoder, arrays)
        if decoder.trains:
            with tf.GradientTape() as tape:
                loss = loss_of(model.run()[0], arrays)
            weights = {name: one for name, one in model.weights().items() if name != "embedding"}
            gradients = tape.gradient(loss, list(weights.values()))
            for weight, gradient in zip(weights.values(), gradients, strict=True):
                weight.assign_sub(gradient)
            return {"loss": loss, **weights}
        _, outputs, state = model.run()
        history = state.alignment_history
        several = len(model.mechanisms) > 1
        results = {"outputs": outputs, "attention": state.attention}
        for n, array in enumerate(history if several else [history]):
            results[f"alignments{n}"] = tf.transpose(array.stack(), (1, 0, 2))
        for n, leaf in enumerate(tf.nest.flatten(state.cell_state)):
            results[f"cell{n}"] = leaf
        return results

    def search(case, arrays):
        model = Model(case.decoder, arrays)
        common = {
            "start_tokens": tf.fill([parity.BATCH], parity.START_TOKEN_ID),
            "end_token": parity.END_TOKEN_ID if case.ends else -1,
            "initial_state": model.start(case.beams or 1),
        }
        if case.beams is None:
            decoder = tfa.seq2seq.BasicDecoder(
                model.wrapper,
                tfa.seq2seq.GreedyEmbeddingSampler(),
                output_layer=model.logits,
                maximum_iterations=case.steps,
            )
            outputs, _, _ = decoder(model.embedding, **common)
            tokens = padded(outputs.sample_id.numpy()[:, None], case.steps)
            return parity.hypotheses(case, tokens, np.zeros(tokens.shape[:2]))
        decoder = tfa.seq2seq.BeamSearchDecoder(
            model.wrapper,
            case.beams,
            output_layer=model.logits,
            length_penalty_weight=case.length_penalty,
            coverage_penalty_weight=case.coverage_penalty,
            maximum_iterations=case.steps,
        )
        outputs, _, _ = decoder(model.embedding, **common)
        tokens = padded(tf.transpose(outputs.predicted_ids, (0, 2, 1)).numpy(), case.steps)
        return parity.hypotheses(
            case, tokens, outputs.beam_search_decoder_output.scores.numpy()[:, -1]
        )

    def padded(tokens, steps):
        """It stops when all is finished: the end token up to the last step."""
        missing = steps - tokens.shape[-1]
        return np.pad(tokens, ((0, 0), (0, 0), (0, missing)), constant_values=parity.END_TOKEN_ID)

    def lose(case, arrays):
        logits = tf.constant(arrays["logits"])
        off = {"average_across_timesteps": False, "average_across_batch": False}
        return {
            "average": loss_of(logits, arrays),
            "average across timesteps": loss_of(logits, arrays, average_across_batch=False),
            "average across batch": loss_of(logits, arrays, average_across_timesteps=False),
            "each": loss_of(logits, arrays, **off),
            "sum over both": loss_of(
                logits, arrays, **off, sum_over_timesteps=True, sum_over_batch=True
            ),
            "sum over timesteps": loss_of(logits, arrays, **off, sum_over_timesteps=True),
            "sum over batch": loss_of(logits, arrays, **off, sum_over_batch=True),
        }

    def begin(case, arrays):
        bahdanau = make_mechanism(parity.Mechanism(scaled=True))
        monotonic = make_mechanism(parity.Mechanism("luong", scaled=True, mode="parallel"))
        query = tf.zeros((parity.BATCH, parity.UNITS))
        for mechanism in (bahdanau, monotonic):
            mechanism.setup_memory(tf.zeros((parity.BATCH, parity.PLACES, parity.MEMORY_WIDTH)))
            mechanism([query, mechanism.initial_state(parity.BATCH, tf.float32)])
        return {
            "factor": bahdanau.attention_g,
            "bias": bahdanau.attention_b,
            "score_bias": monotonic.attention_score_bias,
            "scale": monotonic.attention_g,
        }

    kinds = {
        parity.Decoder: decode,
        parity.Search: search,
        parity.Loss: lose,
        parity.Start: begin,
    }
    versions = f"tensorflow {tf.__version__}, tensorflow-addons {tfa.__version__}"
    return {"versions": versions}, parity.make_cases(settings, kinds, np.array)


if __name__ == "__main__":
    harness.serve(build)
