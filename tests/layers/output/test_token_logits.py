import keras
import numpy as np
import pytest
from keras import ops

from attnzoo.layers.output import TokenLogits
from tests.tools import assert_close, normal

KERNEL, BIAS = normal(5, 7, seed=1), normal(7, seed=2)


def made(cls, **arguments):
    layer = cls(7, **arguments)
    layer.build((None, None, 5))
    layer.set_weights([KERNEL, BIAS])
    return layer


@pytest.mark.parametrize("shape", [(2, 5), (2, 3, 5)])
def test_the_logits_are_those_of_a_dense_layer(shape):
    inputs = normal(*shape)
    assert_close(made(TokenLogits)(inputs), inputs @ KERNEL + BIAS)
    symbolic = keras.Input(shape[1:-1] + (5,))
    model = keras.Model(symbolic, made(TokenLogits)(symbolic))
    assert_close(model(inputs), inputs @ KERNEL + BIAS)


def test_half_precision_is_for_the_product_alone():
    layer = made(TokenLogits, dtype="mixed_bfloat16")
    logits = layer(normal(2, 3, 5))
    assert keras.backend.standardize_dtype(logits.dtype) == "bfloat16"
    assert keras.backend.standardize_dtype(layer.kernel.dtype) == "float32"
    assert_close(ops.cast(logits, "float32"), normal(2, 3, 5) @ KERNEL + BIAS, tolerance=0.1)


def test_lora_and_int8_work_as_in_a_dense_layer():
    inputs = normal(2, 3, 5)
    tuned, dense = made(TokenLogits), made(keras.layers.Dense)
    for layer in (tuned, dense):
        layer.enable_lora(2)
        layer.lora_kernel_a.assign(normal(5, 2, seed=3))
        layer.lora_kernel_b.assign(normal(2, 7, seed=4))
    assert_close(tuned(inputs), dense(inputs))
    assert not np.allclose(ops.convert_to_numpy(tuned(inputs)), inputs @ KERNEL + BIAS)
    tuned, dense = made(TokenLogits), made(keras.layers.Dense)
    tuned.quantize("int8")
    dense.quantize("int8")
    assert_close(tuned(inputs), dense(inputs))
