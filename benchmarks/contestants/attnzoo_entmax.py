"""attnzoo's side of `entmax_parity.py`, on the backend that `KERAS_BACKEND` names."""

import types

import agreement
import entmax_parity
import gradients
import harness


def build(settings):
    """Make a function for each case, for `harness.serve`."""
    from keras import ops

    import attnzoo.ops

    backend = harness.use_threads(settings["threads"])
    without_weights = types.SimpleNamespace(trainable_variables=[])

    def do(name, arrays):
        mask = ops.convert_to_tensor(arrays["mask"]) if "mask" in arrays else None

        def normalize(scores):
            return getattr(attnzoo.ops, entmax_parity.CASES[name])(scores, mask)

        compute, _ = gradients.of_keras(
            without_weights, normalize, [arrays["scores"]], arrays["direction"]
        )
        weights = normalize(ops.convert_to_tensor(arrays["scores"]))
        return {"weights": weights, "gradient": compute()[0]}

    facts = {"versions": harness.versions("keras", backend)}
    return facts, agreement.make_cases(settings, entmax_parity.CASES, do, ops.convert_to_numpy)


if __name__ == "__main__":
    harness.serve(build)
