"""A SavedModel gives what the live model gives, with TensorFlow alone."""

import importlib.util
import os

import keras
import numpy as np
import pytest

from attnzoo import data, export, layers, models, samplers
from attnzoo.data.subwords import MODELS
from attnzoo.export import saving
from attnzoo.export.specs.seq2seq import Seq2SeqSpec
from tests import tools
from tests.export.consumer import consume
from tests.export.halved import HalvedScore
from tests.models import tiny

# Elsewhere a child process does the same: tests/export/test_child.py.
pytestmark = pytest.mark.only("tensorflow")

CUT = 7  # Longest source, in tokens.
TEXTS = [["cat", "hatch", "c" * 13], ["that"]]
# [UNK] in the second; whole sources, with their end token.
IDS = [[[4, 5, 6, 3, 0], [7, 1, 5, 4, 3], [6, 3, 0, 0, 0]], [[5, 6, 4, 7, 5, 6, 4, 3]]]
BEAM = {
    "num_beams": 3,
    "num_hypotheses": 2,
    "length_penalty": 0.7,
    "no_repeat_ngram_size": 2,
    "repetition_penalty": 1.2,
    "banned_phrases": [[4, 5], [9]],
    "wanted_phrases": [[6]],
}


@pytest.fixture(scope="module")
def task():
    """Works on text; with dropouts, and a class that the package does not know."""
    attention = layers.SoftAttention(score=HalvedScore())
    task = tiny.make_task(
        tiny.make_preprocessor(encoder_sequence_length=CUT, decoder_sequence_length=5),
        attention=attention,
        dropout=0.5,
        recurrent_dropout=0.5,
    )
    task.compile(jit_compile=False)
    return task


@pytest.fixture(scope="module")
def bare_task():
    """Works on token ids, with a beam."""
    task = tiny.make_task(cell="gru", attention="luong", bidirectional=False)
    task.compile(sampler=samplers.BeamSampler(**BEAM), jit_compile=False)
    return task


@pytest.fixture(scope="module")
def paths(task, bare_task, tmp_path_factory):
    """Two SavedModels, and an existing one replaced."""
    folder = tmp_path_factory.mktemp("exported") / "deeper"
    text, ids = folder / "text", folder / "ids"
    old = folder / "text"
    old.mkdir(parents=True)
    (old / "saved_model.pb").write_text("old")
    assert export.saved_model(task, text, overwrite=True) == str(text)
    export.saved_model(bare_task, ids, inputs="ids", max_length=5)
    return {"text": str(text), "ids": str(ids)}


@pytest.fixture(scope="module")
def consumed(paths, tmp_path_factory):
    """What a process that has TensorFlow, and nothing else of ours, gets from both."""
    text = [*TEXTS, ["cat", "", "hatch"], []]
    ids = [*IDS, [[4, 5, 6, 3, 0], [0] * 5, [7, 1, 5, 4, 3]]]
    feeds = {
        paths["text"]: [{"text": rows} for rows in text],
        paths["ids"]: [{"token_ids": rows} for rows in ids],
    }
    return consume(feeds, tmp_path_factory.mktemp("consumed"))


def assert_agrees(exported, live):
    """Alignments of the live model may be padded further."""
    steps, places = exported.shape[1:]
    assert np.allclose(exported, live[:, :steps, :places], atol=1e-5)
    assert not live[:, steps:].any() and not live[:, :, places:].any()


def test_text_goes_in_and_out_with_tensorflow_alone(task, paths, consumed):
    assert not {"attnzoo", "keras", "keras_hub", "tensorflow_text"} & set(consumed["modules"])
    for texts, outputs in zip(TEXTS, consumed["outputs"][paths["text"]], strict=False):
        live = task.generate(texts, return_scores=True, return_alignments=True)
        assert outputs["text"].tolist() == live["outputs"]
        assert np.allclose(outputs["scores"], live["scores"], atol=1e-4)
        assert_agrees(outputs["alignments"], live["alignments"])


def test_each_alignment_row_is_for_one_token_and_sums_to_one(consumed, paths):
    first = consumed["outputs"][paths["text"]][0]
    assert first["alignments"].shape == (3, first["token_ids"].shape[1], CUT)
    made = first["token_ids"] != 0
    made |= np.cumsum(first["token_ids"] == tiny.END, axis=1) == 0  # [PAD] may be generated.
    assert np.allclose(first["alignments"].sum(axis=2), made, atol=1e-5)
    assert not first["alignments"][0, :, len("cat") + 1 :].any()


def test_a_batch_is_as_long_as_its_longest(consumed, paths):
    whole, alone = consumed["outputs"][paths["text"]][:2]
    assert whole["alignments"].shape[2] == CUT
    assert alone["alignments"].shape[2] == len("that") + 1


def test_an_empty_text_changes_no_other_row(consumed, paths):
    whole, _, with_empty, _ = consumed["outputs"][paths["text"]]
    assert with_empty["text"].shape == (3,)
    for row in (0, 2):
        assert with_empty["text"][row] == whole["text"][row // 2]
        assert np.allclose(with_empty["scores"][row], whole["scores"][row // 2], atol=1e-5)
    assert np.isfinite(with_empty["scores"]).all() and np.isfinite(with_empty["alignments"]).all()


def test_a_batch_of_none_gives_none(consumed, paths):
    assert consumed["outputs"][paths["text"]][3]["text"].shape == (0,)


def test_ids_go_in_and_a_beam_comes_out(bare_task, consumed, paths):
    for ids, outputs in zip(IDS, consumed["outputs"][paths["ids"]], strict=False):
        ids = np.array(ids, dtype="int32")
        prompt = np.zeros((len(ids), 5), dtype="int32")
        prompt[:, 0] = tiny.START
        inputs = {
            "encoder_token_ids": ids,
            "encoder_padding_mask": ids != 0,
            "decoder_token_ids": prompt,
            "decoder_padding_mask": prompt != 0,
        }
        live = bare_task.generate(inputs, stop_token_ids=(tiny.END,), return_scores=True)
        assert set(outputs) == {"token_ids", "scores", "alignments"}
        assert np.allclose(outputs["scores"], live["scores"], atol=1e-4)
        tokens, real = (
            tools.to_numpy(live["outputs"][name])[..., 1:]
            for name in ("decoder_token_ids", "decoder_padding_mask")
        )
        steps = outputs["token_ids"].shape[2]
        assert np.array_equal(outputs["token_ids"], (tokens * real)[..., :steps])
        assert outputs["alignments"].shape == (len(ids), steps, ids.shape[1])
        whole = np.concatenate([prompt[:, :1], tokens[:, 0]], axis=1)
        seen = np.concatenate([prompt[:, :1] > 0, real[:, 0].astype(bool)], axis=1)
        given = {**inputs, "decoder_token_ids": whole, "decoder_padding_mask": seen}
        assert_agrees(outputs["alignments"], bare_task.alignments(given))


def test_a_source_of_padding_alone_gets_no_alignments(consumed, paths):
    whole, _, with_empty = consumed["outputs"][paths["ids"]]
    assert not with_empty["alignments"][1].any()
    for row in (0, 2):
        assert np.allclose(with_empty["scores"][row], whole["scores"][row // 2], atol=1e-5)


def test_weights_are_saved_once_and_nothing_else_is(task, bare_task, consumed, paths):
    for path, saved in ((paths["text"], task), (paths["ids"], bare_task)):
        expected = sorted(
            tuple(weight.shape) for weight in saved.weights if "seed" not in weight.path
        )
        assert sorted(map(tuple, consumed["weights"][path])) == expected
        assert {"saved_model.pb", "variables"} <= set(os.listdir(path))
        assert set(os.listdir(path)) <= {"assets", "fingerprint.pb", "saved_model.pb", "variables"}
    folder = os.path.dirname(paths["text"])
    assert sorted(os.listdir(folder)) == ["ids", "text"]


ENGLISH = ["two men are outside", "a man in an orange hat"]
GERMAN = ["zwei Leute sind draußen", "jemand mit orangefarbenem Hut"]


def make_subword_task(sources, targets, model):
    preprocessor = models.RNNSeq2SeqLMPreprocessor(
        data.train_subword_tokenizer(sources, vocabulary_size=60, model=model),
        data.train_subword_tokenizer(targets, vocabulary_size=60, model=model),
        encoder_sequence_length=32,
        decoder_sequence_length=8,
    )
    return tiny.make_task(preprocessor, scale=0.5)


@pytest.mark.parametrize("model", sorted(set(MODELS) - {"bpe"}))  # Kept as unigram is.
def test_two_subword_tokenizers_of_one_kind_stay_two(model, tmp_path):
    task = make_subword_task(ENGLISH, GERMAN, model)
    # Compared with the live model before it is where it belongs, or this raises.
    export.saved_model(task, tmp_path / "exported", sampler="greedy", verify=ENGLISH)


def test_two_exports_may_be_loaded_in_one_process(tmp_path):
    import tensorflow as tf

    pairs = {"there": (ENGLISH, GERMAN), "back": (GERMAN, ENGLISH)}
    tasks = {name: make_subword_task(*pair, "unigram") for name, pair in pairs.items()}
    before = tasks["there"].preprocessor.tokenizer._sentence_piece
    paths = {
        name: export.saved_model(task, tmp_path / name, verify=pairs[name][0])
        for name, task in tasks.items()
    }
    assert tasks["there"].preprocessor.tokenizer._sentence_piece is before
    loaded = {name: tf.saved_model.load(path) for name, path in paths.items()}
    for name, task in tasks.items():
        texts = pairs[name][0]
        found = loaded[name].signatures["serving_default"](text=tf.constant(texts))["text"]
        assert [text.decode() for text in found.numpy()] == task.generate(texts)


def test_half_precision_and_another_sampler_leave_the_task_as_it_was(tmp_path):
    task = tiny.make_task(tiny.make_preprocessor(), dtype="mixed_bfloat16", dropout=0.5)
    task.compile(sampler="top_k", jit_compile=False)
    sampler = task.sampler
    export.saved_model(task, tmp_path / "half", sampler="beam", verify=["cat", "that"])
    assert os.path.isfile(tmp_path / "half" / "saved_model.pb")
    assert task.sampler is sampler


# === The comparison, without the cost of an export ===


@pytest.fixture
def quick(monkeypatch):
    """Let `saved_model` write next to nothing, and get outputs that a test may change."""
    live = {
        "batch": {},
        "text": np.array(["K AE T", "T"]),
        "token_ids": np.array([[4, 5, 6, 3, 0], [6, 3, 0, 0, 0]]),
        "scores": np.array([-0.7, -1.1]),
        "alignments": np.full((2, 5, 7), 1 / 7),
    }
    exported = {name: value.copy() for name, value in live.items() if name != "batch"}
    # As a SavedModel would: only as long as the longest.
    exported["token_ids"] = exported["token_ids"][:, :4]
    alone = {name: value[:1] for name, value in exported.items()}

    def write_and_run(form, spec, workplace, made, feeds):
        os.makedirs(made)
        with open(os.path.join(made, "saved_model.pb"), "w") as file:
            file.write("new")
        return exported, alone

    monkeypatch.setattr(Seq2SeqSpec, "run_live", lambda spec, verify: ({}, live))
    monkeypatch.setattr(saving, "_write_and_run", write_and_run)
    return exported, alone, live


def save_quickly(task, path, **arguments):
    return export.saved_model(task, path, verify=["cat", "tac"], **arguments)


def test_a_good_artefact_gets_its_name(task, quick, tmp_path):
    save_quickly(task, tmp_path / "good")
    assert (tmp_path / "good" / "saved_model.pb").read_text() == "new"
    assert os.listdir(tmp_path) == ["good"]


@pytest.mark.parametrize(
    "name, place, value, shown",
    [
        ("text", 1, "K", "'K'"),
        ("token_ids", (1, 0), 5, "[5 3 0 0 0]"),
        ("scores", 1, -1.098, "-1.098"),
        ("alignments", (1, 0, 3), 0.5, "0.5 "),
    ],
)
def test_a_difference_raises_and_leaves_nothing(task, quick, tmp_path, name, place, value, shown):
    quick[0][name][place] = value
    with pytest.raises(RuntimeError) as raised:
        save_quickly(task, tmp_path / "bad")
    message = str(raised.value)
    assert f"`{name}` for the source 'tac'" in message
    assert shown in message.split("live model:")[0].split("SavedModel:")[-1]
    assert os.listdir(tmp_path) == []


def test_a_source_must_give_the_same_alone(task, quick, tmp_path):
    quick[1]["scores"] = quick[1]["scores"] - 1
    with pytest.raises(RuntimeError, match="`scores` for the source 'cat'"):
        save_quickly(task, tmp_path / "bad")


def test_rounding_is_no_difference(task, quick, tmp_path):
    quick[0]["scores"] += 9e-4
    quick[0]["alignments"] -= 9e-4
    save_quickly(task, tmp_path / "good")


def test_in_half_precision_another_output_is_held_to_its_own_alignments(
    quick, monkeypatch, tmp_path
):
    asked = []

    def replay(spec, batch, tokens, kept):
        asked.append((tokens[1].tolist(), kept[1].astype(int).tolist()))
        return {"alignments": np.full((2, 5, 7), 1 / 7)}

    live = quick[2]
    live["batch"]["decoder_token_ids"] = np.zeros((2, 6), "int32")
    live["batch"]["decoder_padding_mask"] = np.zeros((2, 6), bool)
    monkeypatch.setattr(Seq2SeqSpec, "replay_live", replay)
    task = tiny.make_task(tiny.make_preprocessor(), dtype="mixed_bfloat16")
    quick[0]["token_ids"][1], quick[0]["text"][1], quick[0]["scores"][1] = [5, 4, 3, 0], "AE K", -9
    save_quickly(task, tmp_path / "good")
    assert asked == [([2, 5, 4, 3, 0, 0], [1, 1, 1, 1, 0, 0])]
    quick[0]["alignments"][1, 2, 4] = 0.9
    with pytest.raises(RuntimeError, match="`alignments` for the source 'tac'"):
        save_quickly(task, tmp_path / "bad")


def test_an_existing_one_is_kept_until_the_new_one_is_good(task, quick, tmp_path):
    path = tmp_path / "model"
    path.mkdir()
    (path / "saved_model.pb").write_text("old")
    with pytest.raises(FileExistsError, match="overwrite=True.*Received: path='.*model'"):
        save_quickly(task, path)
    quick[0]["scores"][0] = 0.0
    with pytest.raises(RuntimeError):
        save_quickly(task, path, overwrite=True)
    assert (path / "saved_model.pb").read_text() == "old"
    quick[0]["scores"][0] = -0.7
    save_quickly(task, path, overwrite=True)
    assert (path / "saved_model.pb").read_text() == "new"
    assert os.listdir(tmp_path) == ["model"]


def test_overwriting_spares_what_is_no_saved_model(task, quick, tmp_path):
    (tmp_path / "thesis.tex").write_text("years")
    for path in (tmp_path, tmp_path / "thesis.tex"):
        with pytest.raises(FileExistsError, match="the path holds something else"):
            save_quickly(task, path, overwrite=True)
    assert (tmp_path / "thesis.tex").read_text() == "years"


# === Bad input ===


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"inputs": "words"}, "Received: inputs='words'"),
        ({"max_length": 1}, "Received: max_length=1"),
        ({"sampler": "top_p"}, "deterministic.*Received: sampler='top_p'"),
        ({"sampler": samplers.RandomSampler()}, "Received: sampler=RandomSampler"),
        ({"verify": []}, r"Received: verify=\[\]"),
        ({"verify": "cat"}, "Received: verify='cat'"),
    ],
)
def test_an_argument_that_cannot_be_is_named(task, tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        export.saved_model(task, tmp_path / "model", **arguments)
    assert os.listdir(tmp_path) == []


def test_a_random_sampler_from_compile_is_refused(tmp_path):
    task = tiny.make_task(tiny.make_preprocessor())
    task.compile(sampler="top_k")
    with pytest.raises(ValueError, match="sampler=TopKSampler, from `compile`"):
        export.saved_model(task, tmp_path / "model")


def test_text_needs_a_preprocessor_and_ids_without_one_a_length(bare_task, tmp_path):
    with pytest.raises(ValueError, match="Received: preprocessor=None"):
        export.saved_model(bare_task, tmp_path / "model", max_length=5)
    with pytest.raises(ValueError, match="Received: max_length=None"):
        export.saved_model(bare_task, tmp_path / "model", inputs="ids")


def test_another_kind_of_model_is_refused(tmp_path):
    with pytest.raises(ValueError, match="of type Sequential"):
        export.saved_model(keras.Sequential(), tmp_path / "model")


def test_missing_tensorflow_is_named(task, monkeypatch, tmp_path):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, package=None: None)
    with pytest.raises(ImportError, match="pip install tensorflow"):
        export.saved_model(task, tmp_path / "model")
