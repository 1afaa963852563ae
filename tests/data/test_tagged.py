"""Readers of texts with tags."""

import gzip

import numpy as np
import pytest

from attnzoo import data, models

pytestmark = pytest.mark.backend_free

CONLL = """-DOCSTART- -X- O O

Ann NNP I-NP B-PER
lives VBZ I-VP O

Rome NNP I-NP B-LOC
"""
CONLLU = """# sent_id = 1
# text = Don't go
1-2\tDon't\t_\t_\t_\t_\t_\t_\t_\t_
1\tDo\tdo\tAUX\tVB\t_\t3\taux\t_\t_
2\tn't\tnot\tPART\tRB\t_\t3\tadvmod\t_\t_
2.1\tever\tever\tADV\t_\t_\t_\t_\t_\t_
3\tgo\tgo\tVERB\tVB\t_\t0\troot\t_\t_

1\t10 000\t10 000\tNUM\tCD\t_\t0\troot\t_\t_

"""


def written(folder, name, text):
    path = folder / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


@pytest.mark.parametrize("name", ["dev.conll", "dev.bio.gz", "dev.IOB2"])
def test_a_word_a_line_is_read(tmp_path, name):
    expected = [("Ann lives", "B-PER O"), ("Rome", "B-LOC")]
    path = written(tmp_path, name, CONLL)
    assert list(data.read_tagged(path)) == expected == list(data.read_conll(path))
    assert list(data.read_conll(path, tag_column=1))[0] == ("Ann lives", "NNP VBZ")


@pytest.mark.parametrize("name", ["dev.conllu", "dev.conllu.gz"])
def test_a_treebank_is_read_without_ranges_and_empty_words(tmp_path, name):
    path = written(tmp_path, name, CONLLU)
    assert list(data.read_tagged(path)) == [("Do n't go", "AUX PART VERB"), ("10_000", "NUM")]
    assert next(data.read_conllu(path, column="xpos")) == ("Do n't go", "VB RB VB")
    assert next(data.read_conllu(path, column="deprel"))[1] == "aux advmod root"


def test_words_and_tags_in_two_columns_are_read(tmp_path):
    path = written(tmp_path, "dev.tsv", "the film\tDET  NOUN\n\nends\tVERB\n")
    assert list(data.read_tagged(path)) == [("the film", "DET NOUN"), ("ends", "VERB")]


@pytest.mark.parametrize(
    "name, text, message",
    [
        ("a.tsv", "the film\tDET\n", "line 1. Received: 2 words, 1 tags in 'the film.tDET'"),
        ("a.tsv", "the film\n", "must be named .conll .* line 1. Received: 2 words, 0 tags"),
        ("a.conll", "Ann B-PER\nRome\n", "a word and its tag: .* line 2. Received: 'Rome'"),
        ("a.conllu", "1\tgo\n", "a word and its tag: .* line 1. Received: '1.tgo'"),
        ("a.conllu", "# only a comment\n", "hold a word with its tag. Received: .*a.conllu"),
    ],
)
def test_what_lacks_a_tag_is_refused(tmp_path, name, text, message):
    path = written(tmp_path, name, text)
    with pytest.raises(ValueError, match=message):
        list(data.read_tagged(path))


def test_another_column_is_refused(tmp_path):
    path = written(tmp_path, "a.conllu", CONLLU)
    with pytest.raises(ValueError, match="one of .* Received: column='lemma'"):
        data.read_conllu(path, column="lemma")


# === Batches ===

TEXTS = ["the cats sit", "cats", "the dog sits down", "dog"]
TAGS = [[0, 1, 2], [1], [0, 1, 2, 3], [1]]


def make(**arguments):
    tokenizer = data.SymbolTokenizer.from_texts(TEXTS)
    arguments = {"sequence_length": 23, "word_length": 3, **arguments}
    return models.RNNTokenTaggerPreprocessor(tokenizer, **arguments)


def test_batches_are_what_the_preprocessor_packs():
    preprocessor = make()
    batches = data.TaggedBatches(TEXTS, TAGS, preprocessor, batch_size=2, shuffle=False)
    assert len(batches) == 2 and batches.labels == TAGS
    for index, rows in enumerate(([1, 3], [0, 2])):
        x, y, weight = preprocessor([TEXTS[i] for i in rows], [TAGS[i] for i in rows])
        found = batches[index]
        assert set(found[0]) == {"token_ids", "padding_mask", "word_bytes"}
        for name in x:
            np.testing.assert_array_equal(found[0][name], x[name])
        np.testing.assert_array_equal(found[1], y)
        np.testing.assert_array_equal(found[2], weight)
        assert found[2].dtype == "float32"
    assert 0 < batches.padding_fraction < 1


def test_tags_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="Received: 4 texts, 3 lists of tags"):
        data.TaggedBatches(TEXTS, TAGS[:3], make())
    with pytest.raises(ValueError, match="Received: 1 words, 2 tags at position 3"):
        data.TaggedBatches(TEXTS, [*TAGS[:3], [1, 2]], make())
    with pytest.raises(ValueError, match="own pieces. Received: subword_sampling=0.3"):
        data.TaggedBatches(TEXTS, TAGS, make(), subword_sampling=0.3)
