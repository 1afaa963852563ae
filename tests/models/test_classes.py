"""The classes of the models: few of ours on each other, and few arguments."""

import inspect

import pytest

from attnzoo import models

pytestmark = pytest.mark.backend_free

# Their arguments are the keys of presets and files, or those in which networks with published
# weights differ.
OF_MANY_ARGUMENTS = {
    "RNNSeq2SeqBackbone",
    "TransformerSeq2SeqBackbone",
    "AttentionResNetBackbone",
}


def ours(cls) -> list:
    return [one for one in cls.__mro__ if one.__module__.split(".")[0] == "attnzoo"]


@pytest.mark.parametrize("name", models.__all__)
def test_at_most_three_classes_of_ours_stand_on_each_other(name):
    assert len(ours(getattr(models, name))) <= 3


def test_tasks_define_compile_in_two_places():
    tasks = [getattr(models, name) for name in models.__all__]
    tasks = [cls for cls in tasks if hasattr(cls, "preprocessor_cls")]
    defining = {one.__name__ for cls in tasks for one in ours(cls) if "compile" in vars(one)}
    assert defining == {"Task", "Seq2SeqTask"}


@pytest.mark.parametrize("name", models.__all__)
def test_a_constructor_has_at_most_14_arguments_or_a_reason(name):
    parameters = inspect.signature(getattr(models, name).__init__).parameters.values()
    named = [one for one in parameters if one.kind not in (one.VAR_KEYWORD, one.VAR_POSITIONAL)]
    assert len(named) - 1 <= 14 or name in OF_MANY_ARGUMENTS  # Without `self`.
