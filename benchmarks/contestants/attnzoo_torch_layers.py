"""attnzoo's side of `torch_parity.py`, on the backend that `KERAS_BACKEND` names."""

import types

import agreement
import gradients
import harness
import torch_parity


def build(settings):
    """Make a function for each case, for `harness.serve`."""
    import keras
    from keras import ops

    from attnzoo import layers
    from attnzoo.ops import dot_product_attention

    backend = harness.use_threads(settings["threads"])
    keras.config.set_floatx("float64")
    width, heads = torch_parity.WIDTH, torch_parity.HEADS

    def make(case):
        """A layer, and the function that calls it with its inputs and masks."""
        if case.layer == "function":

            def attend(query, key, value, **masks):
                return dot_product_attention(
                    query, key, value, scale=width**-0.5, causal=case.causal, **masks
                )

            return types.SimpleNamespace(trainable_variables=[]), attend
        shapes = [(None, None, width)] * len(torch_parity.inputs_of(case))
        if case.layer == "attention":
            layer = layers.MultiHeadAttention(heads, width // heads)
        else:
            kinds = {
                "encoder": layers.TransformerEncoderBlock,
                "decoder": layers.TransformerDecoderBlock,
            }
            layer = kinds[case.layer](
                width,
                heads,
                feed_forward_dim=torch_parity.HIDDEN,
                norm_first=case.norm_first,
                epsilon=torch_parity.EPSILON,
            )
        layer.build(*shapes)
        if case.layer != "encoder":
            return layer, layer
        return layer, lambda x, memory_mask=None: layer(x, padding_mask=memory_mask)

    def do(name, arrays):
        case = torch_parity.CASES[name]
        layer, call = make(case)
        weights = [weight.path.split("/", 1)[1] for weight in layer.trainable_variables]
        for weight, one in zip(layer.trainable_variables, weights, strict=True):
            weight.assign(arrays[one])
        inputs = torch_parity.inputs_of(case)
        names = ("memory_mask", "attention_mask")
        masks = {one: ops.convert_to_tensor(arrays[one]) for one in names if one in arrays}

        def with_masks(*tensors):
            return call(*tensors, **masks)

        given = [arrays[one] for one in inputs]
        compute, _ = gradients.of_keras(layer, with_masks, given, arrays["direction"])
        found = dict(zip([*inputs, *weights], compute(), strict=True))
        outputs = with_masks(*(ops.convert_to_tensor(array) for array in given))
        return {"outputs": outputs, **{f"gradient of {one}": x for one, x in found.items()}}

    facts = {"versions": harness.versions("keras", backend)}
    return facts, agreement.make_cases(settings, torch_parity.CASES, do, ops.convert_to_numpy)


if __name__ == "__main__":
    harness.serve(build)
