import importlib
import inspect

import pytest

from tests import catalogue, contracts, tools
from tests.catalogue import LAYERS

MASKED = [row for row in LAYERS if row.mask]
# The first row of each class runs on every backend, another way to make it on one of them.
FIRST = {row.cls: row for row in reversed(LAYERS)}.values()
WAYS = tools.shared(LAYERS, FIRST)
PERMUTABLE = [row for row in LAYERS if row.permutable and "memory" in row.inputs]


def public_classes():
    for module_name in catalogue.COVERED:
        module = importlib.import_module(module_name)
        for name in module.__all__:
            if inspect.isclass(getattr(module, name)):
                yield pytest.param(module_name, getattr(module, name), id=f"{module_name}.{name}")


@pytest.mark.parametrize(("module_name", "cls"), public_classes())
def test_every_public_class_has_a_row(module_name, cls):
    assert any(row.cls is cls for row in catalogue.COVERED[module_name]), (
        f"{cls.__name__} needs a row in tests/catalogue.py"
    )


@pytest.mark.parametrize("module_name", catalogue.COVERED)
def test_every_public_name_is_listed(module_name):
    module = importlib.import_module(module_name)
    classes = {
        name
        for name, value in vars(module).items()
        if inspect.isclass(value) and not name.startswith("_")
    }
    assert classes <= set(module.__all__)


@pytest.mark.parametrize("row", LAYERS, ids=str)
@pytest.mark.usefixtures("without_compilation")
def test_a_call_returns_what_it_says(row):
    contracts.returns_what_it_says(row)


@pytest.mark.parametrize("row", LAYERS, ids=str)
def test_compiled_and_eager_calls_agree(row):
    contracts.agrees_compiled_with_eager(row)


@pytest.mark.parametrize("row", LAYERS, ids=str)
@pytest.mark.usefixtures("without_compilation")
def test_a_config_holds_all_arguments(row):
    contracts.survives_its_config(row)


@pytest.mark.rotates
@pytest.mark.parametrize("row", WAYS, ids=str)
@pytest.mark.usefixtures("without_compilation")
def test_a_file_holds_all_weights(row, tmp_path):
    contracts.survives_a_file(row, tmp_path / "model.keras")


@pytest.mark.rotates
@pytest.mark.parametrize("row", WAYS, ids=str)
def test_a_training_step_reaches_every_weight(row):
    contracts.trains(row)


@pytest.mark.rotates
@pytest.mark.parametrize("row", WAYS, ids=str)
@pytest.mark.usefixtures("without_compilation")
def test_mixed_precision_computes_in_bfloat16(row):
    contracts.computes_in_bfloat16(row)


@pytest.mark.parametrize("row", MASKED, ids=str)
@pytest.mark.usefixtures("without_compilation")
def test_padding_gets_no_weight(row):
    contracts.gives_padding_no_weight(row)


@pytest.mark.parametrize("row", MASKED, ids=str)
@pytest.mark.usefixtures("without_compilation")
def test_nothing_to_attend_to_gives_no_weight(row):
    contracts.gives_nothing_where_all_is_padding(row)


@pytest.mark.parametrize("row", MASKED, ids=str)
@pytest.mark.usefixtures("without_compilation")
def test_more_padding_changes_nothing(row):
    contracts.ignores_padding(row)


@pytest.mark.parametrize("row", PERMUTABLE, ids=str)
@pytest.mark.usefixtures("without_compilation")
def test_permuting_memory_permutes_alignments(row):
    contracts.follows_the_memory(row)
