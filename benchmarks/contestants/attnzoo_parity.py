"""attnzoo's side of `tfa_parity.py`: each case as one who comes from tfa.seq2seq would write it.

The backend is the one that `KERAS_BACKEND` names.
"""

import harness
import parity


def build(settings):
    """Make a function for each case, for `harness.serve`."""
    import keras
    import keras_hub
    import numpy as np
    from keras import ops

    import attnzoo.samplers
    import attnzoo.training
    from attnzoo import layers

    make_cell = {
        "lstm": keras.layers.LSTMCell,
        "gru": keras.layers.GRUCell,
        "simple": keras.layers.SimpleRNNCell,
    }

    def make_attention(spec):
        units, scale = parity.SCORE_UNITS, "learned" if spec.scaled else None
        if spec.mode is not None:
            arguments = {"mode": spec.mode, "score_bias_init": parity.SCORE_BIAS_INIT}
            if spec.score == "luong":
                return layers.MonotonicAttention("general", scale=scale, **arguments)
            return layers.MonotonicAttention(
                "additive", units=units, normalize=spec.scaled, **arguments
            )
        if spec.hardmax:
            return layers.HardAttention("additive", units=units, normalize=spec.scaled)
        if spec.score == "luong":
            return layers.LuongAttention("general", scale=scale)
        return layers.BahdanauAttention(units, normalize=spec.scaled)

    class Model:
        """A decoder with the arrays of a case for weights."""

        def __init__(self, decoder, arrays):
            self.decoder, self.arrays = decoder, arrays
            self.cells = [make_cell[name](parity.UNITS) for name in decoder.cells]
            self.attentions = [make_attention(spec) for spec in decoder.mechanisms]
            self.layer = None
            if decoder.attention_layer is not None:
                given = decoder.attention_layer == "given"
                self.layer = keras.layers.Dense(
                    sum(decoder.attention_widths()),
                    use_bias=given,
                    activation="tanh" if given else None,
                )
            self.cell = layers.AttentionCell(
                self.cells if len(self.cells) > 1 else self.cells[0],
                self.attentions if len(self.attentions) > 1 else self.attentions[0],
                attend="after",
                attention_layer=self.layer,
                output_attention=decoder.output_attention,
            )
            self.rnn = layers.AttentionRNN(self.cell)
            self.rnn.build(arrays["inputs"].shape, arrays["memory"].shape)
            self.logits = keras.layers.Dense(decoder.vocabulary_size, use_bias=False)
            self.logits.build((None, None, self.cell.output_width))
            for name, weight in self.weights().items():
                if name in arrays:
                    weight.assign(arrays[name])
            self.load_what_is_joined()

        def weights(self):
            """From the names of the arrays to variables, where they are the same on both sides."""
            found = {"logits": self.logits.kernel}
            for n, cell in enumerate(self.cells):
                for name, weight in zip(("kernel", "recurrent", "bias"), cell.weights, strict=True):
                    found[f"cell{n}/{name}"] = weight
            for n, attention in enumerate(self.attentions):
                score, name = attention.score, f"mechanism{n}"
                if self.decoder.mechanisms[n].score == "bahdanau":
                    found[f"{name}/query"] = score.query_kernel
                    found[f"{name}/memory"] = score.memory_kernel
                    found[f"{name}/vector"] = score.vector
                    found[f"{name}/bias"] = score.bias  # starts at 0, as good as none
                    if score.normalize:
                        found[f"{name}/factor"] = score.length
                else:
                    found[f"{name}/memory"] = score.kernel
                    if score.scale is not None:
                        found[f"{name}/factor"] = score.factor
                if self.decoder.mechanisms[n].mode is not None:
                    found[f"{name}/score_bias"] = attention.score_bias
            if self.layer is not None and len(self.attentions) == 1:
                for name, weight in zip(("kernel", "bias"), self.layer.weights, strict=False):
                    found[f"layer0/{name}"] = weight
            return found

        def load_what_is_joined(self):
            """Where one weight of ours holds two of theirs."""
            if self.layer is None or len(self.attentions) == 1:
                return
            # Their attention layers, one for each mechanism, are blocks of ours.
            whole, column, row = np.zeros(self.layer.kernel.shape), 0, parity.UNITS
            for n, width in enumerate(self.decoder.attention_widths()):
                kernel = self.arrays[f"layer{n}/kernel"]
                columns = slice(column, column + width)
                whole[: parity.UNITS, columns] = kernel[: parity.UNITS]
                whole[row : row + parity.MEMORY_WIDTH, columns] = kernel[parity.UNITS :]
                column, row = column + width, row + parity.MEMORY_WIDTH
            self.layer.kernel.assign(whole)

        def tensors(self):
            """Memory, its mask and the cell's first states."""
            mask = attnzoo.ops.padding_mask(self.arrays["lengths"], parity.PLACES)
            count = sum(2 if cell == "lstm" else 1 for cell in self.decoder.cells)
            states = [ops.convert_to_tensor(self.arrays[f"state{n}"]) for n in range(count)]
            return ops.convert_to_tensor(self.arrays["memory"]), mask, states

    def decode(decoder, arrays):
        model = Model(decoder, arrays)
        if decoder.trains:
            return train(model, arrays)
        memory, mask, states = model.tensors()
        outputs, alignments, state = model.rnn(
            ops.convert_to_tensor(arrays["inputs"]),
            memory,
            memory_mask=mask,
            initial_state=states,
            return_alignments=True,
            return_state=True,
        )
        alignments = alignments if model.cell.several else [alignments]
        return {
            "outputs": outputs,
            "attention": state["feed"],
            **{f"alignments{n}": one for n, one in enumerate(alignments)},
            **{f"cell{n}": leaf for n, leaf in enumerate(state["cell"])},
        }

    def train(model, arrays):
        _, mask, states = model.tensors()
        x = {"inputs": arrays["inputs"], "memory": arrays["memory"]}
        x["mask"] = ops.convert_to_numpy(mask)
        x |= {f"state{n}": arrays[f"state{n}"] for n in range(len(states))}
        given = {
            name: keras.Input(array.shape[1:], dtype=str(array.dtype)) for name, array in x.items()
        }
        outputs = model.rnn(
            given["inputs"],
            given["memory"],
            memory_mask=given["mask"],
            initial_state=[given[f"state{n}"] for n in range(len(states))],
        )
        whole = keras.Model(given, model.logits(outputs))
        whole.compile(keras.optimizers.SGD(1.0), attnzoo.training.SmoothedCrossEntropy())
        loss = whole.train_on_batch(x, arrays["targets"], sample_weight=arrays["weights"])
        return {"loss": loss, **{k: w for k, w in model.weights().items() if k in arrays}}

    def search(case, arrays):
        model = Model(case.decoder, arrays)
        memory, mask, states = model.tensors()
        embedding = ops.convert_to_tensor(arrays["embedding"])
        prepared = model.cell.prepare(memory, mask)

        def next(prompt, cache, index):
            inputs = ops.take(embedding, ops.take(prompt, index - 1, axis=1), axis=0)
            output, alignments, state = model.cell.step(inputs, prepared, cache["state"])
            return model.logits(output), None, {**cache, "state": state, "alignments": alignments}

        arguments = {
            "cache": {
                "state": model.cell.initial_state(prepared, states),
                "alignments": ops.zeros((parity.BATCH, parity.PLACES)),
                "memory_mask": mask,
            },
            "index": 1,
            "stop_token_ids": [parity.END_TOKEN_ID] if case.ends else None,
        }
        prompt = ops.full((parity.BATCH, case.steps + 1), parity.START_TOKEN_ID, dtype="int32")
        if case.beams is None:
            sampler = keras_hub.samplers.GreedySampler()
            tokens = ops.convert_to_numpy(sampler(next, prompt, **arguments))[:, None, 1:]
            return parity.hypotheses(case, tokens, np.zeros(tokens.shape[:2]))
        sampler = attnzoo.samplers.BeamSampler(
            case.beams,
            num_hypotheses=case.beams,
            length_penalty=case.length_penalty,
            coverage_penalty=case.coverage_penalty,
        )
        tokens, scores = sampler.search(next, prompt, **arguments)
        found = parity.hypotheses(
            case, ops.convert_to_numpy(tokens)[:, :, 1:], ops.convert_to_numpy(scores)
        )
        return counted_there(case, found) if case.compares == "all" else found

    def counted_there(case, found):
        """Scores with the end in the length, for what ended before the last step."""
        made = (found["tokens"] != -1) & (found["tokens"] != parity.END_TOKEN_ID)
        length = made.sum(axis=-1)
        there = length + (found["tokens"][:, :, -1] == -1)
        ratio = ((5 + length) / (5 + there)) ** case.length_penalty
        return {**found, "scores": found["scores"] * ratio}

    def lose(case, arrays):
        targets, logits, weights = (arrays[name] for name in ("targets", "logits", "weights"))
        loss = attnzoo.training.SmoothedCrossEntropy
        each = loss(reduction=None)(targets, logits, sample_weight=weights)  # [B, T]
        by_time, by_batch = (ops.sum(each, axis) / ops.sum(weights, axis) for axis in (1, 0))
        mean = loss()(targets, logits, sample_weight=weights)
        return {
            "average": mean,
            "average across timesteps": by_time,
            "average across batch": by_batch,
            "each": each,
            "sum over both": mean,  # With weights of 0 and 1 a sum is divided by the same number.
            "sum over timesteps": by_time,
            "sum over batch": by_batch,
        }

    def begin(case, arrays):
        query = ops.zeros((parity.BATCH, 1, parity.UNITS))
        memory = ops.zeros((parity.BATCH, parity.PLACES, parity.MEMORY_WIDTH))
        bahdanau = make_attention(parity.Mechanism(scaled=True))
        monotonic = make_attention(parity.Mechanism("luong", scaled=True, mode="parallel"))
        bahdanau(query, memory), monotonic(query, memory)
        return {
            "factor": bahdanau.score.length,
            "bias": bahdanau.score.bias,
            "score_bias": monotonic.score_bias,
            "scale": monotonic.score.factor,
        }

    kinds = {
        parity.Decoder: decode,
        parity.Search: search,
        parity.Loss: lose,
        parity.Start: begin,
    }
    backend = keras.backend.backend()
    facts = {
        "versions": harness.versions("keras", "tensorflow" if backend == "tensorflow" else backend)
    }
    return facts, parity.make_cases(settings, kinds, ops.convert_to_numpy)


if __name__ == "__main__":
    harness.serve(build)
