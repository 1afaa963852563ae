import keras
import pytest

from attnzoo import layers
from attnzoo.layers import names

pytestmark = pytest.mark.backend_free


def test_the_package_exports_the_table():
    assert layers.__all__ == names.__all__
    for name in layers.__all__:
        layer = getattr(layers, name)
        assert issubclass(layer, keras.layers.Layer) and layer.__name__ == name


def test_every_string_stands_for_an_exported_layer():
    attentions = [cls for cls, _ in names.ATTENTIONS.values()]
    for cls in [*names.SCORES.values(), *names.POSITIONS.values(), *attentions]:
        assert getattr(layers, cls.__name__) is cls
