"""`Model` beside live tasks of every family: the live task computes in the graph's place."""

import gzip
import json

import numpy as np
import pytest

from attnzoo import cli, models, runtime
from attnzoo.data import CharacterTokenizer
from attnzoo.export.description import describe
from attnzoo.export.specs.families import make_spec
from attnzoo.models.preprocessing.span_units import SPAN_UNITS, find_units
from attnzoo.models.tasks.decoding import name_outputs
from attnzoo.runtime import command
from attnzoo.runtime import model as runtime_model
from attnzoo.runtime.rows import RowMaker
from attnzoo.samplers import BeamSampler
from tests.models import tiny

pytestmark = pytest.mark.shared("torch")

SMALL = {"encoder": {"num_layers": 1}}
SPECIAL = {"start": tiny.START, "end": tiny.END, "padding": 0}


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write a model's folder; the graph in it is a function of arrays by name."""

    def write(task_name, graph, *, text, name="source_ids", shape=(None, None), **more):
        monkeypatch.setattr(runtime_model, "open_graph", lambda path, threads: graph)
        inputs = [{"name": name, "dtype": "int32", "shape": list(shape)}]
        if task_name == "span_qa":
            inputs.append({"name": "span_mask", "dtype": "bool", "shape": list(shape)})
        about = {
            "format": 1,
            "task": task_name,
            "files": {"model": "model.onnx"},
            "inputs": inputs,
            "text": text,
            "labels": None,
            "decoding": SPECIAL,
            **more,
        }
        (tmp_path / "attnzoo.json").write_text(json.dumps(about))
        return runtime.Model.load(tmp_path)

    return write


def outputs_of(task, given, **more):
    """What a label task's graph gives for ids."""
    mask = given["ids"] != 0
    return task.read_on_batch({"token_ids": given["ids"], "padding_mask": mask, **more})


# === From texts to texts ===


@pytest.fixture(scope="module")
def task():
    return tiny.make_task(tiny.make_preprocessor(truncate="silent"))


def decoded(task, given):
    source, length = given["source_ids"], tiny.T
    prompt = np.zeros((len(source), length), "int32")
    prompt[:, 0] = tiny.START
    batch = {
        "encoder_token_ids": source,
        "encoder_padding_mask": source != 0,
        "decoder_token_ids": prompt,
        "decoder_padding_mask": prompt == tiny.START,
    }
    found = task.compiled_methods(
        "generate_step", batch, stop_token_ids=(tiny.END,), return_alignments=True
    )
    found = {name: np.asarray(value) for name, value in name_outputs(found, 0).items()}
    several = found["token_ids"].ndim == 3
    return {
        "ids": found["token_ids"] if several else found["token_ids"][:, None],
        "scores": found["scores"] if several else found["scores"][:, None],
        "alignments": found["alignments"],
    }


WORDS = ["cat", "that", "hat zebra", "tac" * 9, "chat"]


@pytest.mark.parametrize("sampler", ["greedy", BeamSampler(3, length_penalty=0.5)])
def test_texts_scores_and_alignments_are_those_of_the_live_model(task, write, sampler):
    task.compile(sampler=sampler)
    text = describe(task.preprocessor)
    model = write("seq2seq", lambda given: decoded(task, given), text=text)
    found = model(WORDS, batch_size=2)
    live = task.generate(WORDS, return_scores=True, return_alignments=True)
    assert found["text"] == live["outputs"]
    np.testing.assert_allclose(found["scores"], live["scores"], atol=1e-5)
    for word, row, tokens, source, other in zip(
        WORDS,
        found["alignments"],
        *(found[n] for n in ("tokens", "source_tokens")),
        live["alignments"],
        strict=True,
    ):
        assert source == task.preprocessor.tokens(word, "source")
        assert row.shape == (len(tokens), len(source))
        np.testing.assert_allclose(row, other[: len(tokens), : len(source)], atol=1e-5)


def test_several_hypotheses_are_lists(task, write):
    task.compile(sampler=BeamSampler(3, num_hypotheses=2))
    model = write("seq2seq", lambda given: decoded(task, given), text=describe(task.preprocessor))
    found = model(WORDS[:2])
    assert found["text"] == task.generate(WORDS[:2])
    assert [len(scores) for scores in found["scores"]] == [2, 2]
    assert found["alignments"][0].shape[0] == len(found["tokens"][0][0])


def test_without_tokenizers_a_model_reads_and_writes_ids(task, write):
    task.compile(sampler="greedy")
    model = write("seq2seq", lambda given: decoded(task, given), text=None)
    rows = [[4, 5, 6, 3], [7, 3]]
    found = model(rows)
    assert set(found) == {"tokens", "scores", "alignments"}
    assert all(isinstance(id, int) for row in found["tokens"] for id in row)
    assert [one.shape[1] for one in found["alignments"]] == [4, 2]


def test_a_graph_of_fixed_size_gets_what_it_wants(task, write):
    task.compile(sampler="greedy")
    shapes = []

    def graph(given):
        shapes.append(given["source_ids"].shape)
        return decoded(task, given)

    text = describe(task.preprocessor)
    model = write("seq2seq", graph, text=text, shape=(2, 9))
    assert model(["cat", "hat", "chat"])["text"] == task.generate(["cat", "hat", "chat"])
    assert shapes == [(2, 9), (2, 9)]
    with pytest.raises(ValueError, match="at most 9 tokens.*Received: 10 tokens at position 1"):
        model(["cat", "catcatcat"])


# === Labels ===


def test_a_classifier_gives_labels_and_where_it_looked(write):
    task = tiny.make_classifier(num_hops=2)
    model = write(
        "text_classifier",
        lambda given: outputs_of(task, given),
        text=describe(task.preprocessor),
        name="ids",
        labels=task.class_names,
    )
    texts = ["a good film", "bad", "not bad unknown"]
    found = model(texts)
    live = task.classify(texts, return_probabilities=True, return_alignments=True)
    assert found["labels"] == live["labels"]
    np.testing.assert_allclose(found["probabilities"], live["probabilities"], atol=1e-6)
    assert found["tokens"][0] == task.preprocessor.tokens(texts[0])
    assert found["alignments"][1].shape == (2, 2)
    np.testing.assert_allclose(found["alignments"][0], live["alignments"][0], atol=1e-6)


def test_a_tagger_gives_each_word_its_tag(write):
    task = tiny.make_transformer("TokenTagger", **SMALL)
    model = write(
        "token_tagger",
        lambda given: outputs_of(task, given),
        text=describe(task.preprocessor),
        name="ids",
        labels=task.class_names,
    )
    texts = ["a  good film", "bad " * 13]
    found = model(texts)
    with pytest.warns(UserWarning, match="were cut"):
        live = task.tag(texts, return_probabilities=True)
    assert found["labels"] == live["labels"]
    assert found["words"] == [["a", "good", "film"], ["bad"] * (tiny.S - 1)]
    np.testing.assert_allclose(found["probabilities"][1], live["probabilities"][1], atol=1e-6)


def test_a_word_without_a_token_is_refused(write):
    text = describe(tiny.make_transformer("TokenTagger", **SMALL).preprocessor)
    text["source"]["tokenizer"]["words"] = "[a-z]+"  # As a tokenizer that drops control characters.
    model = write("token_tagger", None, text=text, name="ids")
    with pytest.raises(ValueError, match=r"at least one token. Received: '\\x07' at position 1"):
        model(["a film", "a \x07 film"])


def test_masks_are_filled(write):
    task = tiny.make_transformer("MaskedLM", **SMALL)
    spec = make_spec(task, "ids", num_candidates=3)
    mask = task.preprocessor.mask_token_id

    def graph(given):
        from attnzoo.models.preprocessing import eager

        packed = {
            "token_ids": given["ids"],
            "padding_mask": given["ids"] != 0,
            **eager.find_masks(given["ids"], mask),
        }
        found = spec.live_outputs({**packed, **task.read_on_batch(packed)}, [])
        return {name: found[name] for name in ("mask_positions", "candidate_ids", "probabilities")}

    model = write("masked_lm", graph, text=describe(task.preprocessor), name="ids")
    texts = ["a [MASK] film", "[MASK][MASK] bad"]
    found = model(texts)
    live = task.fill(texts, num_candidates=3, return_probabilities=True)
    assert found["candidates"] == live["tokens"]
    np.testing.assert_allclose(found["probabilities"][1], live["probabilities"][1], atol=1e-6)
    with pytest.raises(ValueError, match=r"have a \[MASK\].*Received: none at position 1"):
        model(["[MASK]", "a film"])


def test_a_text_has_a_vector(write):
    task = tiny.make_transformer("SentenceEmbedder", **SMALL)
    model = write(
        "sentence_embedder",
        lambda given: {"vectors": outputs_of(task, given)["embeddings"]},
        text=describe(task.preprocessor),
        name="ids",
    )
    texts = ["a good film", "bad"]
    np.testing.assert_allclose(model(texts)["vectors"], task.embed(texts), atol=1e-6)


def test_an_answer_is_a_part_of_its_context(write):
    task = tiny.make_transformer("SpanQA", **SMALL)
    spec = make_spec(task, "ids")

    def graph(given):
        found = outputs_of(task, given, span_mask=given["span_mask"])
        found = spec.live_outputs({**found, "span_mask": given["span_mask"]}, pairs)
        return {name: np.array(found[name]) for name in ("spans", "probabilities")}

    model = write("span_qa", graph, text=describe(task.preprocessor), name="ids")
    pairs = [("a film", "good  film not\u00a0bad"), ("bad", "a film " * 9)]
    found = model(pairs)
    with pytest.warns(UserWarning, match="were cut"):
        live = task.answer(pairs, return_spans=True)
    assert found["answers"] == live["answers"] and found["spans"] == live["spans"]
    np.testing.assert_allclose(found["probabilities"], live["probabilities"], atol=1e-6)
    with pytest.raises(ValueError, match="must be a pair of strings.*Received: 'a film'"):
        model(["a film"])
    with pytest.raises(ValueError, match="a question of 10 tokens at position 0"):
        model([("a " * 10, "film")])


@pytest.mark.parametrize("no_answer", [False, True])
@pytest.mark.parametrize("span_unit", SPAN_UNITS)
def test_units_of_contexts_are_those_of_the_preprocessor(span_unit, no_answer):
    tokenizer = CharacterTokenizer.from_texts(["abcdefg"])
    preprocessor = models.RNNSpanQAPreprocessor(
        tokenizer, sequence_length=33, span_unit=span_unit, no_answer=no_answer
    )
    maker = RowMaker(describe(preprocessor), "span_qa")
    for context in ("in 1998, ok (6½) ", "手塚治虫(1928年)は、漫画家", "e\u0301a  \u00a0b_c\tไทย"):
        row = maker(("a", context), 0)
        packed = preprocessor([("a", context)])
        length = len(row["ids"])
        assert row["ids"] == packed["token_ids"][0, :length].tolist()
        assert row["starts"] == packed["span_mask"][0, : len(row["starts"])].tolist()
        assert row["words"] == [(0, 0)] * no_answer + find_units(context, span_unit)


def test_there_may_be_no_answer(write):
    tokenizer = tiny.make_text_tokenizer()
    preprocessor = models.TransformerSpanQAPreprocessor(tokenizer, no_answer=True)
    places = np.array([[1, 1], [3, 4]], "int32")  # question [END] a bad film

    def graph(given):
        return {"spans": places, "probabilities": np.full(2, 0.5, "float32")}

    model = write("span_qa", graph, text=describe(preprocessor), name="ids")
    found = model([("film", "a bad film")] * 2)
    assert found["answers"] == ["", "bad film"] and found["spans"] == [(0, 0), (2, 10)]
    preprocessor.stride = 3
    with pytest.raises(ValueError, match="does not split them into windows: .* stride=3"):
        describe(preprocessor)


# === What is refused ===


@pytest.mark.parametrize(
    "inputs, rule",
    [
        ("cat", "must be in a list, one or more. Received: 'cat'"),
        ([], r"must be in a list, one or more. Received: \[\]"),
        (["cat", " \n"], r"at least one symbol. Received: ' \\n' at position 1"),
        ([None], "at least one symbol. Received: None at position 0"),
    ],
)
def test_what_is_no_text_is_refused(task, write, inputs, rule):
    model = write("seq2seq", None, text=describe(task.preprocessor))
    with pytest.raises(ValueError, match=rule):
        model(inputs)


def test_a_long_text_is_refused_where_training_refused_it(write):
    preprocessor = tiny.make_preprocessor(truncate="error")
    model = write("seq2seq", None, text=describe(preprocessor))
    with pytest.raises(ValueError, match=f"at most {tiny.S} tokens.*Received: 13 tokens at pos"):
        model(["cat" * 4])


def test_numbers_out_of_range_are_refused(task, write, tmp_path):
    model = write("seq2seq", None, text=describe(task.preprocessor))
    with pytest.raises(ValueError, match="Received: batch_size=0"):
        model(["cat"], batch_size=0)
    with pytest.raises(ValueError, match="Received: threads=0"):
        runtime.Model.load(tmp_path, threads=0)
    with pytest.raises(ValueError, match="must be 1; .* Received: format=2"):
        write("seq2seq", None, text=None, format=2)
    with pytest.raises(ValueError, match="one of .*'span_qa'.. Received: task='other'"):
        write("other", None, text=None)


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="a folder with `attnzoo.json`.*Received: path="):
        runtime.Model.load(tmp_path / "nothing")


@pytest.mark.parametrize(
    "file, package", [("m.onnx", "onnxruntime"), ("m.tflite", "ai-edge-litert")]
)
def test_a_missing_runtime_is_named(file, package, monkeypatch):
    from attnzoo.runtime.sessions import open_graph

    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    monkeypatch.setitem(__import__("sys").modules, "ai_edge_litert", None)
    monkeypatch.setitem(__import__("sys").modules, "ai_edge_litert.interpreter", None)
    with pytest.raises(ImportError, match=f"needs {package}: pip install {package}. Received"):
        open_graph(file, 1)


# === The command ===


def test_the_command_answers_each_line(task, write, tmp_path, capsys):
    task.compile(sampler="greedy")
    write("seq2seq", lambda given: decoded(task, given), text=describe(task.preprocessor))
    (tmp_path / "words.txt").write_text("cat\n\nhat\n")
    arguments = [str(tmp_path), str(tmp_path / "words.txt")]
    assert command.main([*arguments, "--scores"]) == 0
    lines = capsys.readouterr().out.split("\n")
    live = task.generate(["cat", "hat"], return_scores=True)
    shown = [f"{t}\t{s:.4f}" for t, s in zip(live["outputs"], live["scores"], strict=True)]
    assert lines == [shown[0], "", shown[1], ""]
    assert command.main([*arguments, "--json"]) == 0
    first, second, _ = map(json.loads, capsys.readouterr().out.splitlines())
    assert first["text"] == live["outputs"][0] and second is None
    assert np.shape(first["alignments"]) == (len(first["tokens"]), 4)


def test_texts_are_given_on_the_command_line_or_to_attnzoo_predict(write, task, tmp_path, capsys):
    write("seq2seq", lambda given: decoded(task, given), text=describe(task.preprocessor))
    live = "".join(f"{text}\n" for text in task.generate(["cat", "hat"]))
    assert command.main([str(tmp_path), "cat", "hat"]) == 0
    assert capsys.readouterr().out == live
    assert cli.main(["predict", str(tmp_path), "cat", "hat"]) == 0
    assert capsys.readouterr().out == live
    with gzip.open(tmp_path / "words.txt.gz", "wt") as file:
        file.write("cat\nhat\n")
    assert cli.main(["predict", str(tmp_path), str(tmp_path / "words.txt.gz")]) == 0
    assert capsys.readouterr().out == live
    for option, shown in (
        (["--beam", "3"], "beam=3"),
        (["--min-length", "2"], "min_length=2"),
        (["--highlight"], "highlight=True"),
        (["--output", "a.png"], "output='a.png'"),
    ):
        assert cli.main(["predict", str(tmp_path), "cat", *option]) == 2
        told = capsys.readouterr().err
        assert "decodes as it was exported" in told and f"Received: {shown}" in told


def test_the_command_says_what_is_wrong(tmp_path, capsys):
    assert command.main([str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith("attnzoo-run: A model is a folder with")
