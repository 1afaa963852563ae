import inspect

import pytest

from attnzoo import layers
from attnzoo.layers.docs import document_call, list_names, summaries

pytestmark = pytest.mark.backend_free
EXPORTED = [getattr(layers, name) for name in layers.__all__]


def test_the_package_lists_its_layers():
    for layer in EXPORTED:
        assert f"    {layer.__name__}: {inspect.getdoc(layer).splitlines()[0]}" in layers.__doc__


@pytest.mark.parametrize("layer", [one for one in EXPORTED if one is not layers.AttentionCell])
def test_a_call_documents_its_shapes(layer):
    text = inspect.getdoc(layer.call)
    assert "Args" in text and ("[B, " in text or "[..., " in text)


class Documented:
    """A layer.

    Args:
        units: Not of the call.

    Call arguments:
        x: float [B, T, D].

    Returns:
        float [B, T, U].

    Raises:
        ValueError: Never.
    """

    def call(self, x):
        return x


class Inheriting(Documented):
    """Another layer."""


def test_the_documentation_of_a_call_is_that_of_its_class():
    document_call(Documented)
    document_call(Inheriting)
    expected = "A layer.\n\nArgs:\n    x: float [B, T, D].\n\nReturns:\n    float [B, T, U]."
    assert inspect.getdoc(Documented.call) == expected
    assert Inheriting.call is Documented.call
    assert summaries([Documented, Inheriting]) == (
        "\n    Documented: A layer.\n    Inheriting: Another layer."
    )


def test_names_of_a_table_stand_in_a_docstring():
    class Named:
        """A class.

        Args:
            kind: A name: NAMES.
        """

    list_names(Named, ["one", "two"])
    assert '            kind: A name: `"one"`, `"two"`.\n' in Named.__doc__
    Named.__doc__ = None
    list_names(Named, ["one"])
    assert Named.__doc__ is None
