"""Comparison of the exported graph's outputs with the live model's."""

import numpy as np

from attnzoo.export.specs.base import pad_to


def compare(spec, verify, live, exported, product: str = "SavedModel"):
    """Compare the exported graph's outputs with the live model's, row by row.

    Args:
        spec: The `ServingSpec` of the task.
        verify: The inputs, as Python values.
        live: The live model's outputs, from `spec.run_live`.
        exported: The graph's outputs: of the whole batch, and of the first row alone.
        product: What the message calls the graph.

    Raises:
        RuntimeError: At the first difference.
    """
    whole, first = exported
    for row, source in enumerate(verify):
        _compare_row(spec, source, row, live, whole, product)
    # A source must give the same outputs alone in a batch as among others.
    _compare_row(spec, verify[0], 0, live, first, product)


def _compare_row(spec, source, row, live, exported, product):
    given = {name: value[row] for name, value in exported.items()}
    expected = spec.expected(live, row, given)
    tolerances = spec.tolerances(expected)
    for name in expected:
        if name not in given:
            continue
        one, other = _as_wide(given[name], expected[name], spec.padding.get(name))
        if other.dtype.kind == "f":
            tolerance = tolerances.get(name, spec.tolerance)
            equal = np.allclose(one, other, rtol=0, atol=tolerance)
        else:
            equal = np.array_equal(one, other)
        if not equal:
            raise RuntimeError(
                f"The {product}'s outputs differ from the live model's, and it was removed. First "
                f"difference: `{name}` for the source {source!r}.\n"
                f"{product}: {_show(one)}\nlive model: {_show(other)}"
            )


def _as_wide(one, other, padding):
    """Return two arrays, padded at the ends of their axes to one shape."""
    one, other = np.asarray(one), np.asarray(other)
    if padding is None:
        padding = "" if one.dtype.kind == "U" else 0
    shape = [max(sizes) for sizes in zip(one.shape, other.shape, strict=True)]
    return pad_to(one, shape, padding), pad_to(other, shape, padding)


def _show(value):
    with np.printoptions(threshold=200, precision=5, suppress=True):
        return repr(value.tolist()) if value.dtype.kind == "U" else str(value)
