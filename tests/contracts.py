"""What every row of the catalogue must satisfy."""

import inspect
import json

import keras
import numpy as np
from keras import ops, tree

from attnzoo.models import ReinforceMixin
from tests.catalogue import FREE, OTHER_SIZES, SIZES, Row
from tests.tools import (
    assert_close,
    compiled,
    compiled_with_free_sizes,
    set_weights,
    to_numpy,
    without_compilation,
)


def returns_what_it_says(row: Row) -> None:
    """An eager call gives tensors of the shapes in the row, and the same ones again.

    `compute_output_shape` has said so before the layer was built.
    """
    inputs = row.batch()
    shapes = _output_shapes(row, inputs)
    layer, call = _made(row)
    outputs = call(inputs)
    _assert_shapes(outputs, row.returns, SIZES)
    assert shapes == tree.map_structure(lambda leaf: tuple(leaf.shape), outputs)
    for leaf in tree.flatten(to_numpy(outputs)):
        assert np.all(np.isfinite(leaf))
    assert_close(call(inputs), outputs, tolerance=0.0)


def agrees_compiled_with_eager(row: Row) -> None:
    """A functional model, compiled once for any batch and length, gives what the layer gives.

    First with padding, whose mask Keras sends along with a tensor; then in another size without.
    """
    layer, call = _made(row)
    model = _functional(row, layer, sends_masks=True)
    _assert_shapes(model.outputs, tree.flatten(row.returns), dict.fromkeys(FREE) | _widths())
    run = compiled_with_free_sizes(model, _without_masks(row, row.inputs), _widths())

    inputs = row.batch()
    for mask, carrier in row.carriers.items():
        inputs[carrier] = np.where(inputs[mask][..., None], inputs[carrier], np.float32(0.0))
    with without_compilation():  # Other tests have compiled the operations for these sizes.
        expected = call(inputs)
    found = run(_without_masks(row, inputs))
    assert_close(tree.pack_sequence_as(row.returns, tree.flatten(found)), expected)

    inputs = _without_masks(row, row.batch(OTHER_SIZES))
    found = run(inputs)
    expected = compiled(call)(inputs)
    assert_close(tree.pack_sequence_as(row.returns, tree.flatten(found)), expected)


def survives_its_config(row: Row) -> None:
    """`from_config` and Keras's (de)serialization give a layer that computes the same."""
    layer = row.make()
    config = layer.get_config()
    again = type(layer).from_config(config)
    assert again.get_config() == config
    layer, call = _made(row, layer)
    serialized = json.loads(json.dumps(keras.saving.serialize_keras_object(layer)))
    inputs = row.batch()
    for other in (again, keras.saving.deserialize_keras_object(serialized)):
        assert type(other) is type(layer)
        _, call_other = _made(row, other)
        assert_close(call_other(inputs), call(inputs))


def survives_a_file(row: Row, path) -> None:
    """A `.keras` file holds the architecture and every weight."""
    layer, call = _made(row)
    model = _functional(row, layer)
    model.save(path)
    loaded = keras.saving.load_model(path)
    assert len(loaded.weights) == len(model.weights)
    inputs = row.batch()
    outputs = loaded(tree.map_structure(ops.convert_to_tensor, inputs))
    assert_close(tree.flatten(outputs), tree.flatten(call(inputs)))


def trains(row: Row) -> None:
    """One step of `fit` sends a finite, non-zero gradient to every trainable weight."""
    layer, _ = _made(row)
    if not layer.trainable_weights:
        return
    model = Total(row, layer)
    model.compile(optimizer=keras.optimizers.SGD(0.01), loss=lambda _, total: ops.mean(total))
    before = [ops.convert_to_numpy(weight).copy() for weight in layer.trainable_weights]
    loss = model.train_on_batch(row.batch(), np.zeros((SIZES["B"], 1), dtype="float32"))
    assert np.isfinite(loss)
    for weight, old in zip(layer.trainable_weights, before, strict=True):
        new = ops.convert_to_numpy(weight)
        assert np.all(np.isfinite(new)), weight.path
        assert np.any(new != old), f"no gradient reached {weight.path}"


def computes_in_bfloat16(row: Row) -> None:
    """Under mixed precision weights stay float32; results are bfloat16, near the float32 ones."""
    inputs = row.batch()
    _, call = _made(row)
    expected = call(inputs)
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        layer, call = _made(row)
        outputs = compiled(call)(inputs)
        symbolic = _functional(row, layer).outputs
    finally:
        keras.config.set_dtype_policy(policy)
    for weight in layer.trainable_weights:
        assert keras.backend.standardize_dtype(weight.dtype) == "float32"
    for leaf in tree.flatten(outputs) + symbolic:
        assert keras.backend.standardize_dtype(leaf.dtype) == "bfloat16"
    assert_close(outputs, expected, tolerance=0.1)


def gives_padding_no_weight(row: Row) -> None:
    """Alignments are >= 0, sum to 1 (or less) over what is real, and are exactly 0 over padding."""
    _, call = _made(row)
    inputs = row.batch()
    for alignments in _alignments(row, to_numpy(call(inputs))):
        padding = np.broadcast_to(~inputs[row.mask][:, None, :], alignments.shape)
        assert np.all(alignments >= 0.0)
        assert np.all(alignments[padding] == 0.0)
        sums = alignments.sum(axis=-1)
        assert np.all(sums > 0.0) and np.all(sums <= 1.0 + 1e-5)
        if row.sums_to_one:
            np.testing.assert_allclose(sums, 1.0, atol=1e-5)


def gives_nothing_where_all_is_padding(row: Row) -> None:
    """An example without a real place gives zero alignments, and no NaN anywhere."""
    _, call = _made(row)
    inputs = row.batch()
    inputs[row.mask][0] = False
    outputs = to_numpy(call(inputs))
    for alignments in _alignments(row, outputs):
        assert np.all(alignments[0] == 0.0)
    for leaf in tree.flatten(outputs):
        assert np.all(np.isfinite(leaf))


def ignores_padding(row: Row) -> None:
    """What stands in the padding, and how much of it there is, changes nothing."""
    _, call = _made(row)
    inputs = row.batch()
    expected = to_numpy(call(inputs))
    assert_close(call(_with_padding(row, inputs, 0)), expected)
    longer = to_numpy(compiled(call)(_with_padding(row, inputs, 3)))
    cut = tree.map_structure(
        lambda letters, leaf: (
            np.delete(leaf, np.s_[SIZES["S"] :], axis=letters.index("S"))
            if "S" in letters
            else leaf
        ),
        row.returns,
        longer,
    )
    assert_close(cut, expected)


def follows_the_memory(row: Row) -> None:
    """Permuting the memory permutes the alignments, and changes nothing else."""
    _, call = _made(row)
    inputs = row.batch()
    order = np.random.default_rng(1).permutation(SIZES["S"])
    expected = _take_places(row.returns, to_numpy(call(inputs)), order)
    specs = {name: row.inputs[name] for name in inputs}
    assert_close(call(_take_places(specs, inputs, order)), expected)


class Total(ReinforceMixin, keras.Model):
    """One number for each example, which depends on all that a row returns."""

    def __init__(self, row: Row, layer):
        super().__init__()
        self.row = row
        self.layer = row.callable(layer)

    def call(self, inputs, training=False):
        arguments = self.row.call_arguments
        if "training" in inspect.signature(self.layer.call).parameters:
            arguments = {**arguments, "training": training}
        outputs = tree.flatten(self.layer(**inputs, **arguments))
        # Squares around a number of its own: a plain sum of alignments is always 1.
        totals = [
            ops.sum(ops.square(leaf - 0.3), axis=list(range(1, len(leaf.shape))))
            for leaf in outputs
        ]
        return ops.expand_dims(sum(totals), -1)  # [B, 1]


def _made(row: Row, layer=None):
    """A built layer with weights set, and a function of a batch that calls it."""
    layer = row.make() if layer is None else layer
    callable_layer = row.callable(layer)

    def call(inputs):
        return row.call(callable_layer, inputs)

    _functional(row, layer)  # Builds it.
    set_weights(layer)
    return layer, call


def _output_shapes(row: Row, inputs: dict):
    """What a new layer says of its outputs; of what is not called itself, what is around it."""
    layer = row.callable(row.make())
    shapes = {
        f"{name}_shape": tree.map_structure(np.shape, array) for name, array in inputs.items()
    }
    takes = inspect.signature(layer.compute_output_shape).parameters
    if not any(one.kind == one.VAR_KEYWORD for one in takes.values()):  # As Keras gives them.
        return layer.compute_output_shape(**{n: shape for n, shape in shapes.items() if n in takes})
    return layer.compute_output_shape(**shapes, **row.call_arguments)


def _without_masks(row: Row, inputs: dict) -> dict:
    return {name: array for name, array in inputs.items() if name not in row.carriers}


def _functional(row: Row, layer, sends_masks: bool = False) -> keras.Model:
    """A model of the layer alone; its masks are inputs, or come along with other inputs' zeros."""
    sizes = _widths()

    def make(spec, name=None):
        kind, letters = spec.split()
        dtype = {"float": "float32", "int": "int32"}.get(kind, kind)
        return keras.Input([sizes.get(letter) for letter in letters[1:]], dtype=dtype, name=name)

    inputs = {
        name: make(spec, name) if isinstance(spec, str) else tree.map_structure(make, spec)
        for name, spec in row.inputs.items()
    }
    masked = {}
    if sends_masks:
        inputs = _without_masks(row, inputs)
        masked = {name: keras.layers.Masking()(inputs[name]) for name in row.carriers.values()}
    outputs = row.callable(layer)(**{**inputs, **masked}, **row.call_arguments)
    return keras.Model(inputs, outputs)


def _widths() -> dict:
    return {letter: size for letter, size in SIZES.items() if letter not in FREE}


def _assert_shapes(outputs, letters, sizes: dict) -> None:
    tree.assert_same_structure(outputs, letters)
    for leaf, spec in zip(tree.flatten(outputs), tree.flatten(letters), strict=True):
        assert tuple(leaf.shape) == tuple(sizes[letter] for letter in spec)


def _alignments(row: Row, outputs) -> list:
    found = []
    for letters, leaf in zip(tree.flatten(row.returns), tree.flatten(outputs), strict=True):
        if letters == "BTS":
            found.append(leaf)
        elif letters == "BNTS":
            found += [leaf[:, n] for n in range(leaf.shape[1])]
    return found


def _with_padding(row: Row, inputs: dict, more: int) -> dict:
    """The inputs with other numbers where the mask is False, and `more` such places at the end."""
    mask = np.pad(inputs[row.mask], [(0, 0), (0, more)])
    changed = {}
    for name, array in inputs.items():
        if name == row.mask:
            array = mask
        elif "S" in row.inputs[name].split()[1]:
            axis = row.inputs[name].split()[1].index("S")
            array = np.pad(array, [(0, more * (n == axis)) for n in range(array.ndim)])
            real = mask.reshape(
                [len(mask)] + [-1 if n == axis else 1 for n in range(1, array.ndim)]
            )
            array = np.where(real, array, array.dtype.type(3))
        changed[name] = array
    return changed


def _take_places(specs, arrays, order):
    """Permute the axis S of every array that has one."""

    def take(spec, array):
        letters = spec.split()[-1]
        return np.take(array, order, axis=letters.index("S")) if "S" in letters else array

    return tree.map_structure(take, specs, arrays)
