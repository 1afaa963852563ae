"""Ids for symbols of the source: the same in Python and in a graph."""

import numpy as np
import pytest

from attnzoo.data import CharacterTokenizer, SymbolTokenizer
from attnzoo.data.copying import copy_ids, extend_ids, spell_ids

pytestmark = pytest.mark.backend_free

SPECIAL = ["[PAD]", "[UNK]", "[START]", "[END]"]
V = 6  # With "is" and "in".
SOURCES = ["Ada is in Rome", "Bob [UNK] Bob is Rome é", "[END]"]
TARGETS = ["Rome is Ada Paris", "é Bob Bob [UNK] in", ""]
COPIES = [[V, 4, 5, V + 3], [V, V + 1, V, 4, V + 4, V + 5], [V]]
EXTENDED = [[V + 3, 4, V, 1], [V + 5, V, V, V + 1, 5], []]


@pytest.fixture(scope="module")
def tokenizer():
    return SymbolTokenizer([*SPECIAL, "is", "in"])


def test_a_known_symbol_has_its_id_and_another_that_of_its_first_place(tokenizer):
    sources = tokenizer.symbols(SOURCES)
    assert copy_ids(sources, tokenizer) == COPIES
    assert extend_ids(tokenizer.symbols(TARGETS), sources, tokenizer) == EXTENDED
    # Of one text they are the same.
    assert copy_ids(sources[0], tokenizer) == COPIES[0]
    assert extend_ids(tokenizer.symbols(TARGETS[0]), sources[0], tokenizer) == EXTENDED[0]
    assert extend_ids([], sources[0], tokenizer) == []


def test_ids_are_spelled_with_the_symbols_of_their_source(tokenizer):
    mask = [[True] * len(row) for row in EXTENDED]
    found = spell_ids(EXTENDED, mask, tokenizer.symbols(SOURCES), tokenizer)
    assert found == ["Rome is Ada [UNK]", "é Bob Bob [UNK] in", ""]
    assert spell_ids([[V, 4]], [[False, True]], [["Ada"]], tokenizer) == ["is"]
    # A place that a source does not have.
    assert spell_ids([[V + 1, V]], [[True, True]], [["Ada"]], tokenizer) == ["[UNK] Ada"]


def test_characters_are_symbols_too():
    tokenizer = CharacterTokenizer([*SPECIAL, "a", "b"])
    source = tokenizer.symbols("aé\né")
    assert copy_ids(source, tokenizer) == [4, V + 1, V + 2, V + 1]
    assert spell_ids([[V + 1, 4, V + 2]], [[True] * 3], [source], tokenizer) == ["éa\n"]


@pytest.mark.parametrize("whole", [True, False])
def test_graph_and_python_agree(tokenizer, whole):
    tf = pytest.importorskip("tensorflow")
    texts = (SOURCES, TARGETS) if whole else (SOURCES[1], TARGETS[1])

    @tf.function
    def run(source, target):
        source, target = tokenizer.symbols(source), tokenizer.symbols(target)
        return copy_ids(source, tokenizer), extend_ids(target, source, tokenizer)

    copies, extended = run(*map(tf.constant, texts))
    if whole:
        assert (copies.to_list(), extended.to_list()) == (COPIES, EXTENDED)
    else:
        assert (copies.numpy().tolist(), extended.numpy().tolist()) == (COPIES[1], EXTENDED[1])


def test_a_graph_spells_as_python_does(tokenizer):
    tf = pytest.importorskip("tensorflow")
    ids = np.array([[V + 3, 4, V, V + 4], [V + 5, V, 3, V + 1], [V, 5, 0, V + 6]], dtype="int32")
    mask = np.array([[True] * 4, [True, True, False, True], [True, True, False, True]])

    @tf.function
    def run(source, ids, mask):
        return spell_ids(ids, mask, tokenizer.symbols(source), tokenizer)

    found = run(*map(tf.constant, (SOURCES, ids, mask)))
    expected = spell_ids(ids, mask, tokenizer.symbols(SOURCES), tokenizer)
    assert [text.decode("utf-8") for text in found.numpy()] == expected
    assert expected == ["Rome is Ada [UNK]", "é Bob [UNK]", "[END] in [UNK]"]
