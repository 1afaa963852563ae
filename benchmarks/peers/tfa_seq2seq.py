"""A peer of `seq2seq.py`: the model in tfa.seq2seq, as the tutorials of TensorFlow Addons have it.

TensorFlow Addons is no longer maintained and needs an old TensorFlow, so it needs an environment
of its own, with Python 3.10 or 3.11:

    python3.11 -m venv .venv-tfa
    .venv-tfa/bin/pip install "tensorflow-cpu==2.15.*" tensorflow-addons==0.23.0 "numpy<2"
    python benchmarks/seq2seq.py --tfa .venv-tfa/bin/python

Differs from the tutorials: in training the logits are made once for all steps, after the loop,
which is a little faster. Differs from the other contestants where the library leaves no choice: the
query is the cell's output, so the context that enters the cell is that of the step before.
"""

import harness
import workload


def build(settings):
    """Make the models and their cases, for `harness.serve`."""
    return workload.build_each(_build, settings)


def _build(settings, vocabulary_size):
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(settings["threads"])
    tf.config.threading.set_inter_op_parallelism_threads(settings["threads"])
    import tensorflow_addons as tfa

    tf.random.set_seed(workload.SEED)

    class Seq2Seq(tf.keras.Model):
        def __init__(self, vocabulary_size, embedding_dim, hidden_dim, units):
            super().__init__()
            self.source_embedding = tf.keras.layers.Embedding(vocabulary_size, embedding_dim)
            self.target_embedding = tf.keras.layers.Embedding(vocabulary_size, embedding_dim)
            self.encoder = tf.keras.layers.LSTM(
                hidden_dim, return_sequences=True, return_state=True
            )
            self.attention = tfa.seq2seq.BahdanauAttention(units)
            self.cell = tfa.seq2seq.AttentionWrapper(
                tf.keras.layers.LSTMCell(hidden_dim),
                self.attention,
                attention_layer_size=None,  # the context itself is fed to the next step
                output_attention=False,  # the logits are read from the cell's output
            )
            self.readout = tf.keras.layers.Dense(vocabulary_size)
            self.training_decoder = tfa.seq2seq.BasicDecoder(
                self.cell, tfa.seq2seq.TrainingSampler()
            )
            self.greedy_decoder = tfa.seq2seq.BasicDecoder(
                self.cell,
                tfa.seq2seq.GreedyEmbeddingSampler(),
                output_layer=self.readout,
                maximum_iterations=workload.TARGET_LENGTH,
            )
            self.beam_decoder = tfa.seq2seq.BeamSearchDecoder(
                self.cell,
                workload.NUM_BEAMS,
                output_layer=self.readout,
                maximum_iterations=workload.TARGET_LENGTH,
            )

        def start(self, source, source_lengths, num_beams=1):
            """Encode, hand the memory to the attention, and make the first decoder state."""
            memory, hidden, carry = self.encoder(self.source_embedding(source))
            state = [hidden, carry]
            if num_beams > 1:
                memory, source_lengths, state = tfa.seq2seq.tile_batch(
                    (memory, source_lengths, state), multiplier=num_beams
                )
            self.attention.setup_memory(memory, memory_sequence_length=source_lengths)
            initial = self.cell.get_initial_state(
                batch_size=tf.shape(memory)[0], dtype=memory.dtype
            )
            return initial.clone(cell_state=state)

    model = Seq2Seq(
        vocabulary_size,
        workload.EMBEDDING_DIM,
        workload.HIDDEN_DIM,
        workload.ATTENTION_UNITS,
    )
    optimizer = tf.keras.optimizers.Adam(workload.LEARNING_RATE)
    cross_entropy = tf.keras.losses.SparseCategoricalCrossentropy(
        from_logits=True, reduction="none"
    )

    @tf.function
    def train_step(source, source_lengths, target, target_lengths, labels):
        with tf.GradientTape() as tape:
            initial = model.start(source, source_lengths)
            outputs, _, _ = model.training_decoder(
                model.target_embedding(target),
                initial_state=initial,
                sequence_length=target_lengths,
            )
            real = tf.cast(tf.not_equal(labels, workload.PAD_TOKEN_ID), tf.float32)
            losses = cross_entropy(labels, model.readout(outputs.rnn_output))
            loss = tf.reduce_sum(losses * real) / tf.reduce_sum(real)
        variables = model.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    # No token has the id -1: nothing ends early.
    @tf.function
    def greedy(source, source_lengths):
        outputs, _, _ = model.greedy_decoder(
            model.target_embedding.embeddings,
            start_tokens=tf.fill([tf.shape(source)[0]], workload.START_TOKEN_ID),
            end_token=-1,
            initial_state=model.start(source, source_lengths),
        )
        return outputs.sample_id  # [B, T]

    @tf.function
    def beam(source, source_lengths):
        outputs, _, _ = model.beam_decoder(
            model.target_embedding.embeddings,
            start_tokens=tf.fill([tf.shape(source)[0]], workload.START_TOKEN_ID),
            end_token=-1,
            initial_state=model.start(source, source_lengths, num_beams=workload.NUM_BEAMS),
        )
        return outputs.predicted_ids[:, :, 0]  # [B, T], the best beam

    def train(batch_size):
        source_lengths = tf.fill([batch_size], workload.SOURCE_LENGTH)
        target_lengths = tf.fill([batch_size], workload.TARGET_LENGTH)
        batches = [
            (
                tf.constant(x["encoder_token_ids"]),
                source_lengths,
                tf.constant(x["decoder_token_ids"]),
                target_lengths,
                tf.constant(y),
            )
            for x, y, _ in workload.training_batches(batch_size, vocabulary_size=vocabulary_size)
        ]

        def case(repeats):
            for index in range(repeats):
                loss = train_step(*batches[index % len(batches)])
            return {"loss": float(loss)}

        return case

    def decode(function, batch_size):
        source = tf.constant(workload.source_batch(batch_size)[0])
        source_lengths = tf.fill([batch_size], workload.SOURCE_LENGTH)

        def case(repeats):
            for _ in range(repeats):
                tokens = function(source, source_lengths).numpy()
            return {"shape": list(tokens.shape)}

        return case

    # One step on the smallest batch makes the weights, in a state that decoding can read them from.
    train(1)(1)

    def make(case):
        if case.kind == "train":
            return train(case.batch_size)
        return decode(greedy if case.kind == "greedy" else beam, case.batch_size)

    facts = {
        "versions": f"tensorflow {tf.__version__}, tensorflow-addons {tfa.__version__}",
        "parameters": sum(int(tf.size(variable)) for variable in model.trainable_variables),
    }
    return facts, {name: make(workload.CASES[name]) for name in settings["cases"]}


if __name__ == "__main__":
    harness.serve(build)
