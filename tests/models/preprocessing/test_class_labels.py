"""Classes by name and by number."""

import numpy as np
import pytest

from attnzoo.models.preprocessing.class_labels import ClassLabels

pytestmark = pytest.mark.backend_free

NAMES = ["negative", "positive"]


def test_names_and_numbers_are_the_same_classes():
    labels = ClassLabels(NAMES)
    assert labels.num_classes == 2
    assert labels.ids(["positive", b"negative", 1]) == [1, 0, 1]
    assert labels.ids(np.array(["positive", "negative"])) == [1, 0]
    assert labels.ids([["positive"], [0, 1]]) == [[1], [0, 1]]
    assert labels.names(np.array([1, 0])) == ["positive", "negative"]


def test_classes_without_names_are_numbers():
    labels = ClassLabels(num_classes=3)
    assert labels.ids(np.array([2, 0])) == [2, 0]
    assert labels.names(np.array([2, 0])) == [2, 0]
    with pytest.raises(ValueError, match="need `class_names`. Received: 'a' with class_names=None"):
        labels.ids(["a"])


@pytest.mark.parametrize("label", ["neutral", 2, -1, 0.5])
def test_a_label_outside_the_classes_is_refused(label):
    rule = r"one of \['negative', 'positive'\], or a whole number in \[0, 2\)"
    with pytest.raises(ValueError, match=f"A label must be {rule}. Received: {label!r}"):
        ClassLabels(NAMES).ids(["positive", label])
    if not isinstance(label, str):
        rule = r"A label must be a whole number in \[0, 2\). Received"
        with pytest.raises(ValueError, match=rule):
            ClassLabels(num_classes=2).ids([label])


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({}, "Received: class_names=None, num_classes=None"),
        ({"num_classes": 0}, "`num_classes` must .* Received: num_classes=0"),
        ({"class_names": "ab"}, "several strings. Received: class_names='ab'"),
        ({"class_names": ["a", 1]}, "must hold strings. Received: 1"),
        ({"class_names": []}, r"at least one. Received: class_names=\[\]"),
        ({"class_names": ["a", "a"]}, r"different .* Received: class_names=\['a', 'a'\]"),
        ({"class_names": ["a"], "num_classes": 2}, "Received: num_classes=2 with 1 names"),
        ({"class_names": ["a b"], "separated": True}, "without white space. Received: 'a b'"),
        ({"class_names": [""], "separated": True}, "without white space. Received: ''"),
    ],
)
def test_wrong_classes_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        ClassLabels(**arguments)


def test_a_graph_gives_the_same_ids():
    tf = pytest.importorskip("tensorflow")
    labels = ClassLabels(NAMES)
    run = tf.function(labels.ids)
    assert run(tf.constant(["positive", "negative"])).numpy().tolist() == [1, 0]
    assert run(tf.constant([1, 0])).numpy().tolist() == [1, 0]
    ragged = tf.ragged.constant([["positive"], ["negative", "positive"]])
    assert run(ragged).to_list() == [[1], [0, 1]]


@pytest.mark.parametrize("label", ["neutral", 2, -1])
def test_a_graph_refuses_the_same_labels(label):
    tf = pytest.importorskip("tensorflow")
    run = tf.function(ClassLabels(NAMES).ids)
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"(?s)A label must be .*{label}"):
        run(tf.constant([label]))
    with pytest.raises(ValueError, match="Labels that are strings need `class_names`"):
        tf.function(ClassLabels(num_classes=2).ids)(tf.constant(["a"]))
