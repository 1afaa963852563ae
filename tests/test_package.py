"""The package itself: its version, and what loads when."""

import importlib.metadata
import types

import pytest

import attnzoo

pytestmark = pytest.mark.backend_free

LAZY = (
    "analysis",
    "data",
    "export",
    "importing",
    "models",
    "plotting",
    "presets",
    "samplers",
    "training",
)


def test_the_version_is_one_of_the_usual_form():
    assert all(part.isdigit() for part in attnzoo.__version__.split("."))


def test_the_version_is_that_of_the_installed_distribution():
    try:
        installed = importlib.metadata.version("attnzoo")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("attnzoo is not installed, only on the path")
    assert attnzoo.__version__ == installed


@pytest.mark.parametrize("name", LAZY)
def test_a_lazy_module_is_there_when_asked_for(name):
    module = getattr(attnzoo, name)
    assert isinstance(module, types.ModuleType)
    assert module.__name__ == f"attnzoo.{name}"


def test_dir_lists_the_lazy_modules_too():
    assert {*LAZY, "layers", "ops", "__version__"} <= set(dir(attnzoo))
    assert set(attnzoo.__all__) <= set(dir(attnzoo))


def test_an_unknown_name_is_an_attribute_error_that_says_it():
    with pytest.raises(AttributeError, match="no attribute 'transformers'"):
        attnzoo.transformers  # noqa: B018
