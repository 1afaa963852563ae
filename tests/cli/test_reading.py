"""All commands read files alike, and say what is wrong with one by file and line."""

import gzip
import io
import json

import numpy as np
import pytest

from attnzoo.cli import evaluate, main, predict
from attnzoo.cli.data_files import read_data
from attnzoo.cli.run_folder import save_preset
from attnzoo.data import CharacterTokenizer, SymbolTokenizer

pytestmark = pytest.mark.backend_free


class Echo:
    """A task that generates what it reads."""

    preprocessor = None

    def generate(self, texts, return_scores=False, **kwargs):
        if not return_scores:
            return list(texts)
        return {"outputs": list(texts), "scores": np.zeros(len(texts))}


class Classifying:
    """A task whose class is the text."""

    preprocessor = None

    def classify(self, texts, return_probabilities=False):
        return {"labels": list(texts), "probabilities": np.ones((len(texts), 1))}


@pytest.fixture
def echo(monkeypatch):
    monkeypatch.setattr(predict, "load_any_task", lambda arguments: Echo())
    monkeypatch.setattr(evaluate, "load_any_task", lambda arguments: Echo())


def run(*words, status=0):
    assert main([str(word) for word in words]) == status


def predicted(path, capsys, *options):
    run("predict", "preset", path, *options)
    return capsys.readouterr().out


@pytest.mark.parametrize(
    "data",
    [
        b"a\rb c\nd\n",
        b"\xef\xbb\xbfa b\nc\r\n",
        "a\u2028b\nc\x85d\n".encode(),
        b" a b \n\nc",
    ],
)
def test_predict_evaluate_and_train_read_the_same_sources(data, echo, tmp_path, capsys):
    sources, packed = tmp_path / "a.src", tmp_path / "a.src.gz"
    sources.write_bytes(data)
    packed.write_bytes(gzip.compress(data, mtime=0))
    found = predicted(sources, capsys)
    assert predicted(packed, capsys) == found
    assert found.count("\n") == data.rstrip().count(b"\n") + 1
    pairs = read_data([str(sources), str(packed)])
    assert [source for source, _ in pairs] == found.split("\n")[:-1]
    if b"\n\n" in data:
        return  # No reference is empty.
    run("evaluate", "preset", "--data", sources, packed, "--metrics", "exact_match")
    assert "exact_match          1.0000" in capsys.readouterr().out


def test_a_classifier_reads_texts_as_it_is_trained_on_them(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(predict, "load_any_task", lambda arguments: Classifying())
    (tmp_path / "labelled").write_text("1  a film \n0 b\n")
    (tmp_path / "texts").write_text(" a film \nb\n")
    texts = [text for text, _ in read_data([str(tmp_path / "labelled")], "classifier")]
    assert predicted(tmp_path / "texts", capsys).splitlines() == texts == ["a film", "b"]


def test_standard_input_is_a_file_like_any_other(echo, tmp_path, monkeypatch, capsys):
    def give(data):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))

    give(b"\xef\xbb\xbfa\rb\nc\n")
    assert predicted("-", capsys).split("\n") == ["a\rb", "c", ""]
    give(b"a\ta\n")
    run("evaluate", "preset", "--data", "-")
    assert "1 sources" in capsys.readouterr().out
    give(b"a\tb\n")
    assert read_data(["-"]) == [("a", "b")]
    (tmp_path / "dev.tsv").write_text("a\tb\n")
    run("train", "--train", "-", "--dev", "-", "--output", tmp_path / "run", status=2)
    assert "Standard input can be read once. Received: ['-', '-']" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.txt", b"", "a.txt, line 1. Received: an empty file"),
        ("a.txt", "a\tb\né\tc\n".encode("latin-1"), "a.txt, line 2. Received: b'\\xe9"),
        (
            "a.gz",
            gzip.compress(b"a\tb\n" * 99, mtime=0)[:-9],
            "a.gz, line 100. Received: Compressed file",
        ),
        ("a.gz", b"a\tb\n", "a.gz, line 1. Received: Not a gzipped file"),
    ],
)
def test_what_cannot_be_read_is_told_by_every_command(name, data, message, echo, tmp_path, capsys):
    path = tmp_path / name
    path.write_bytes(data)
    output = ["--output", tmp_path / "run"]
    for command in (
        ["predict", "preset", path],
        ["evaluate", "preset", "--data", path],
        ["train", "--train", path, "--dev", path, *output],
        ["train", "--task", "classifier", "--train", path, "--dev", path, *output],
        [
            "train",
            "--task",
            "masked_lm",
            "--model",
            "transformer",
            "--train",
            path,
            "--dev",
            path,
            *output,
        ],
        ["train", "--inflections", "--train", path, "--dev", path, *output],
    ):
        run(*command, status=2)
        told = capsys.readouterr().err.splitlines()[-1]
        # Where columns are wanted, a line without them comes first.
        assert message in told or "--inflections" in command and f"{path}, line 1." in told
    assert not (tmp_path / "run").exists()


def test_hidden_forms_are_made_and_not_learned(echo, tmp_path, capsys):
    path = tmp_path / "covered.tsv"
    path.write_text("ev ev\tN;SG\n")
    assert predicted(path, capsys, "--inflections") == "ev ev<N><SG>\n"
    assert predicted(path, capsys, "--inflections", "--scores") == "ev ev<N><SG>\t0.0000\n"
    for command in (
        ["evaluate", "preset", "--data", path],
        ["train", "--train", path, "--dev", path, "--output", tmp_path / "run"],
    ):
        run(*command, "--inflections", status=2)
        told = capsys.readouterr().err
        assert "must have their forms" in told and f"Received: ['{path}']" in told


def test_fields_of_json_lines_are_sources_and_targets(echo, tmp_path, capsys):
    path = tmp_path / "dev.jsonl"
    path.write_text('{"a": "x y", "b": "x"}\n{"a": "z", "b": "z"}\n')
    assert predicted(path, capsys, "--fields", "a") == "x y\nz\n"
    run("evaluate", "preset", "--data", path, "--fields", "a", "b", "--metrics", "exact_match")
    assert "exact_match          0.5000" in capsys.readouterr().out
    run("evaluate", "preset", "--data", path, "--fields", "a", status=2)
    assert "Received: fields=['a'], " in capsys.readouterr().err
    with pytest.raises(ValueError, match=r"fields=\['a'\] with task='tagger'"):
        read_data([str(path)], "tagger", fields=["a"])


def test_a_folder_of_stories_is_read(tmp_path):
    (tmp_path / "a.story").write_text("It rained.\n\n@highlight\n\nRain.\n")
    assert read_data([str(tmp_path)]) == [("It rained.", "Rain.")]


# === Symbols that are not known ===


class Preprocessor:
    def __init__(self, tokenizer, pointer_generator=False):
        self.source_tokenizer = self.tokenizer = tokenizer
        self.pointer_generator = pointer_generator


def told(tokenizer, data, tmp_path, monkeypatch, capsys, task=Echo, **options):
    one = task()
    one.preprocessor = Preprocessor(tokenizer, **options)
    monkeypatch.setattr(predict, "load_any_task", lambda arguments: one)
    (tmp_path / "a.txt").write_text(data)
    run("predict", "preset", tmp_path / "a.txt", "--batch-size", "2")
    return [line for line in capsys.readouterr().err.splitlines() if "know" in line]


def test_capital_letters_that_a_model_does_not_know_are_told(tmp_path, monkeypatch, capsys):
    letters = CharacterTokenizer.from_texts(["cat"])
    given = (tmp_path, monkeypatch, capsys)
    assert told(letters, "cat\n\nact\n", *given) == []
    (line,) = told(letters, "cat\nCAT\nACT\nTAC\n", *given)  # Once, for the first lines with any.
    assert line == (
        "attnzoo predict: the model does not know all symbols of 1 of 2 texts, such as 'C' in "
        "'CAT', and reads [UNK] in their place; in lower case it knows them."
    )
    (line,) = told(letters, "DOG\n", *given)
    assert line.endswith("of 1 of 1 texts, such as 'D' in 'DOG', and reads [UNK] in their place.")
    assert told(letters, "DOG\n", *given, pointer_generator=True) == []
    lower = CharacterTokenizer.from_texts(["cat"], lowercase=True)
    assert told(lower, "CAT\n", *given) == []


def test_what_is_to_be_filled_in_is_no_unknown_symbol(tmp_path, monkeypatch, capsys):
    class Filling(Echo):
        def fill(self, texts):
            raise AssertionError("It generates.")

    words = SymbolTokenizer.from_texts(["a film"])
    given = (tmp_path, monkeypatch, capsys, Filling)
    assert told(words, "a [MASK]\n", *given) == []
    assert len(told(words, "a [MASK] dog\n", *given)) == 1


def test_what_separates_a_question_from_its_context_is_no_symbol(tmp_path, monkeypatch, capsys):
    class Answering(Echo):
        def answer(self, pairs):
            raise AssertionError("It generates.")

    letters = CharacterTokenizer.from_texts(["who it"])
    given = (tmp_path, monkeypatch, capsys, Answering)
    assert told(letters, "who\tit\n", *given) == []
    assert len(told(letters, "who\tIT\n", *given)) == 1


def test_evaluate_tells_of_unknown_symbols_too(echo, tmp_path, monkeypatch, capsys):
    task = Echo()
    task.preprocessor = Preprocessor(CharacterTokenizer.from_texts(["cat"]))
    monkeypatch.setattr(evaluate, "load_any_task", lambda arguments: task)
    (tmp_path / "a.tsv").write_text("cat\tc\nCAT\tc\n")
    run("evaluate", "preset", "--data", tmp_path / "a.tsv", "--metrics", "exact_match")
    assert (
        "attnzoo evaluate: the model does not know all symbols of 1 of 2" in capsys.readouterr().err
    )


# === Work that could not be kept is not begun ===


def test_work_whose_result_cannot_be_written_is_not_begun(monkeypatch, tmp_path, capsys):
    def fail(*arguments):
        raise AssertionError("It began.")

    monkeypatch.setattr(evaluate, "load_any_task", fail)
    monkeypatch.setattr("attnzoo.cli.plot.load_task", fail)
    (tmp_path / "a.tsv").write_text("a\ta\n")
    nowhere = tmp_path / "nowhere" / "a"
    measure = ["evaluate", "preset", "--data", tmp_path / "a.tsv", "--json"]
    run(*measure, nowhere, status=2)
    assert (
        f"`--json` must be in a folder that exists. Received: {nowhere}" in capsys.readouterr().err
    )
    run(*measure, tmp_path / "recipe.json", status=2)
    assert "must not take the place of a run's own records" in capsys.readouterr().err
    run("plot", "preset", "a", "--output", nowhere, status=2)
    assert (
        f"`--output` must be in a folder that exists. Received: {nowhere}"
        in capsys.readouterr().err
    )
    run("leaderboard", "run", "--curves", nowhere, status=2)
    assert "`--curves` must be in a folder that exists." in capsys.readouterr().err


def test_an_unknown_metric_is_told_before_the_work(echo, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(evaluate, "generate_all", None)
    (tmp_path / "a.tsv").write_text("a\ta\n")
    run("evaluate", "preset", "--data", tmp_path / "a.tsv", "--metrics", "blue", status=2)
    assert "`metrics` must be among ['exact_match'" in capsys.readouterr().err


def test_a_preset_is_whole_or_not_there(tmp_path, monkeypatch):
    class Task:
        def save_to_preset(self, folder):
            (tmp_path / "seen").write_text(folder)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        save_preset(Task(), tmp_path / "preset")
    assert not (tmp_path / "preset").exists()
    assert json.dumps((tmp_path / "seen").read_text()).endswith('preset.tmp"')
