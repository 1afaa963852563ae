"""Saving and loading: presets, `.keras` files, other backends, and what is damaged."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import warnings

import keras
import keras_hub
import numpy as np
import pytest
from keras import ops

from attnzoo import models, presets, samplers, training
from tests import tools
from tests.models import tiny

pytestmark = pytest.mark.shared("torch")

ROOT = pathlib.Path(__file__).parents[3]
ARGUMENTS = {"cell": "gru", "num_decoder_layers": 2, "attention": "luong", "dropout": 0.1}

# What another backend computes of a preset, in a process of its own.
CHILD = """
import sys
import numpy as np
import keras, attnzoo
from keras import ops

place = sys.argv[1]
task = attnzoo.models.RNNSeq2SeqLM.from_preset(place)
inputs = {name: ops.convert_to_tensor(a) for name, a in np.load(place + "/inputs.npz").items()}
np.save(f"{place}/logits_{keras.backend.backend()}.npy", ops.convert_to_numpy(task(inputs)))
"""


def logits_of(task):
    inputs = {n: ops.convert_to_tensor(v) for n, v in tiny.make_inputs().items()}
    return tools.to_numpy(tools.compiled(lambda inputs: task(inputs))(inputs))


@pytest.fixture(scope="module")
def task():
    task = tiny.make_task(tiny.make_preprocessor(), **ARGUMENTS)
    task.compile(
        optimizer=keras.optimizers.Adam(0.02),
        label_smoothing=0.1,
        sampler=samplers.BeamSampler(3, num_hypotheses=2, length_penalty=0.6),
    )
    return task


@pytest.fixture(scope="module")
def preset(task, tmp_path_factory):
    place = tmp_path_factory.mktemp("preset")
    task.save_to_preset(str(place))
    return place


@pytest.fixture(scope="module", autouse=True)
def children(preset):
    """Another backend at work on the preset, while the tests go on; each is read by one."""
    np.savez(preset / "inputs.npz", **tiny.make_inputs())
    other = {"jax": "tensorflow", "tensorflow": "torch", "torch": "jax"}[keras.backend.backend()]
    running = {
        backend: subprocess.Popen(
            [sys.executable, "-c", CHILD, str(preset)],
            env={**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": str(ROOT)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for backend in [other]
    }
    yield running
    for process in running.values():
        process.kill()
        process.communicate()


@pytest.fixture
def copy(preset, tmp_path):
    """A preset of one's own to damage."""
    return pathlib.Path(shutil.copytree(preset, tmp_path / "copy"))


@pytest.mark.everywhere
def test_a_preset_gives_the_same_task_again(task, preset):
    again = models.RNNSeq2SeqLM.from_preset(preset)
    assert type(again) is models.RNNSeq2SeqLM
    np.testing.assert_array_equal(logits_of(again), logits_of(task))
    ours, theirs = task.preprocessor, again.preprocessor
    assert theirs.encoder_sequence_length == ours.encoder_sequence_length
    assert theirs.decoder_sequence_length == ours.decoder_sequence_length
    for side in ("source_tokenizer", "tokenizer"):
        one, other = getattr(ours, side), getattr(theirs, side)
        assert type(one) is type(other)
        assert one.get_vocabulary() == other.get_vocabulary()


def test_a_preset_holds_no_optimizer_and_loads_without_a_warning(task, copy):
    task.optimizer.build(task.trainable_variables)
    task.save_task_weights(copy / "task.weights.h5")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = models.RNNSeq2SeqLM.from_preset(copy)
    assert not again.optimizer.built
    assert isinstance(task.optimizer, keras.optimizers.Adam)


def test_keras_hub_finds_the_class_of_a_preset(task, preset):
    again = keras_hub.models.Seq2SeqLM.from_preset(str(preset))
    assert type(again) is models.RNNSeq2SeqLM
    np.testing.assert_array_equal(logits_of(again), logits_of(task))


def test_the_backbone_loads_alone(task, preset):
    again = models.RNNSeq2SeqBackbone.from_preset(str(preset))
    for one, other in zip(again.get_weights(), task.backbone.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_preprocessor_loads_alone(task, preset):
    again = models.RNNSeq2SeqLMPreprocessor.from_preset(str(preset))
    assert again.tokens("cat", "source") == ["c", "a", "t", "[END]"]
    assert again.tokens("K AE T") == ["K", "AE", "T", "[END]"]


def test_a_preset_may_come_without_its_weights(task, preset):
    again = models.RNNSeq2SeqLM.from_preset(preset, load_weights=False)
    assert np.abs(logits_of(again) - logits_of(task)).max() > 1e-3


def test_a_preset_may_come_in_another_dtype(task, preset):
    again = models.RNNSeq2SeqLM.from_preset(preset, dtype="mixed_bfloat16")
    assert again.backbone.compute_dtype == "bfloat16"
    assert again.dtype_policy.name == "mixed_bfloat16"
    np.testing.assert_allclose(logits_of(again), logits_of(task), atol=0.2)


@pytest.mark.everywhere
def test_a_keras_file_gives_the_same_task_again_compiled_as_it_was(task, tmp_path):
    task.save(tmp_path / "task.keras")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = keras.saving.load_model(tmp_path / "task.keras")
    assert type(again) is models.RNNSeq2SeqLM
    np.testing.assert_array_equal(logits_of(again), logits_of(task))
    assert isinstance(again.optimizer, keras.optimizers.Adam)
    assert float(again.optimizer.learning_rate) == pytest.approx(0.02)
    assert isinstance(again.loss, training.SmoothedCrossEntropy)
    assert again.loss.smoothing == 0.1
    assert again.sampler.get_config() == task.sampler.get_config()
    assert isinstance(again.sampler, samplers.BeamSampler)
    assert again.jit_compile == task.jit_compile
    assert again.get_compile_config() == task.get_compile_config()
    assert again.preprocessor.tokens("cat", "source") == ["c", "a", "t", "[END]"]


@pytest.mark.everywhere
def test_training_goes_on_from_a_keras_file_as_if_it_had_not_stopped(tmp_path):
    task = tiny.make_task(tiny.make_preprocessor())
    task.compile(optimizer=keras.optimizers.Adam(0.02))
    batch = np.array(tiny.WORDS), np.array(tiny.PHONEMES)
    task.train_on_batch(*batch)
    task.save(tmp_path / "task.keras")
    again = keras.saving.load_model(tmp_path / "task.keras")
    assert int(again.optimizer.iterations) == 1
    for one in (task, again):
        one.train_on_batch(*batch)
    np.testing.assert_allclose(logits_of(again), logits_of(task), rtol=1e-5, atol=1e-5)


def test_a_task_without_a_preprocessor_survives_its_preset(tmp_path):
    task = tiny.make_task(tie_embeddings=True)
    task.save_to_preset(str(tmp_path))
    again = models.RNNSeq2SeqLM.from_preset(tmp_path)
    assert again.preprocessor is None
    np.testing.assert_array_equal(logits_of(again), logits_of(task))


def test_a_subword_task_survives_its_preset(tmp_path):
    def word_piece():
        tokens = ["[PAD]", "[UNK]", "[START]", "[END]", "c", "h", "##h", "##at"]
        return keras_hub.tokenizers.WordPieceTokenizer(vocabulary=tokens)

    preprocessor = models.RNNSeq2SeqLMPreprocessor(
        tiny.make_preprocessor().source_tokenizer,
        word_piece(),
        encoder_sequence_length=11,
        decoder_sequence_length=5,
    )
    task = tiny.make_task(preprocessor)
    task.save_to_preset(str(tmp_path))
    again = models.RNNSeq2SeqLM.from_preset(tmp_path)
    assert again.preprocessor.tokens("chat") == ["c", "##h", "##at", "[END]"]
    assert isinstance(again.generate("cat"), str)
    one, other = (t.preprocessor(["cat"], ["chat"])[1] for t in (task, again))
    np.testing.assert_array_equal(tools.to_numpy(one), tools.to_numpy(other))


# === What cannot be loaded ===


def test_an_unknown_name_lists_the_known_ones(monkeypatch, tmp_path):
    monkeypatch.setitem(presets.PRESETS, "rnn_tiny_words", tmp_path)
    with pytest.raises(ValueError, match="'rnn_tiny_words'.*Received: preset='rnn_tiny_wards'"):
        models.RNNSeq2SeqLM.from_preset("rnn_tiny_wards")


def test_a_known_name_loads_its_directory(monkeypatch, task, preset):
    monkeypatch.setitem(presets.PRESETS, "rnn_tiny_words", preset)
    again = models.RNNSeq2SeqLM.from_preset("rnn_tiny_words")
    np.testing.assert_array_equal(logits_of(again), logits_of(task))


@pytest.mark.parametrize(
    "file",
    [
        "config.json",
        "model.weights.h5",
        "assets/tokenizer/vocabulary.json",
        "assets/source_tokenizer/vocabulary.json",
    ],
)
def test_a_preset_with_a_missing_file_is_said_to_be_damaged(copy, file):
    (copy / file).unlink()
    with pytest.raises(ValueError, match="(?s)damaged.*Received: preset=.*which holds"):
        models.RNNSeq2SeqLM.from_preset(copy)


@pytest.mark.parametrize("file", ["config.json", "task.json", "model.weights.h5"])
def test_a_preset_with_a_file_cut_short_is_said_to_be_damaged(copy, file):
    content = (copy / file).read_bytes()
    (copy / file).write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match="(?s)damaged.*Received: preset=.*which holds"):
        models.RNNSeq2SeqLM.from_preset(copy)


@pytest.mark.parametrize("content", [{}, []])
def test_a_preset_with_another_kind_of_config_is_said_to_be_damaged(copy, content):
    (copy / "config.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match="(?s)damaged.*Received: preset=.*which holds"):
        models.RNNSeq2SeqLM.from_preset(copy)


def test_a_preset_whose_weights_have_other_shapes_is_said_to_be_damaged(copy):
    other = tiny.make_task(tiny.make_preprocessor(), **{**ARGUMENTS, "embedding_dim": 7})
    other.backbone.save_weights(copy / "model.weights.h5")
    with pytest.raises(ValueError, match="(?s)damaged.*Received: preset=.*which holds"):
        models.RNNSeq2SeqLM.from_preset(copy)


def test_an_empty_directory_is_no_preset(tmp_path):
    for cls in (models.RNNSeq2SeqLM, models.RNNSeq2SeqBackbone, models.RNNSeq2SeqLMPreprocessor):
        with pytest.raises(ValueError, match=r"^The directory holds no preset: .* holds \[\]"):
            cls.from_preset(tmp_path)
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"holds no preset: .* which holds \['thesis.txt'\]"):
        models.RNNSeq2SeqLM.from_preset(tmp_path)


def test_a_run_stands_for_its_preset(task, preset, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (run / "recipe.json").write_text("{}")
    with pytest.raises(ValueError, match=r"run is not finished.* its `attnzoo train` command"):
        models.RNNSeq2SeqLM.from_preset(run)
    shutil.copytree(preset, run / "preset")
    again = models.RNNSeq2SeqLM.from_preset(str(run))
    np.testing.assert_array_equal(again.get_weights()[0], task.get_weights()[0])
    assert type(models.RNNSeq2SeqBackbone.from_preset(run)) is models.RNNSeq2SeqBackbone


def test_what_is_no_name_of_a_preset_is_told():
    with pytest.raises(ValueError, match="a name, a directory or a handle. Received: preset=None"):
        models.RNNSeq2SeqLM.from_preset(None)


# === Presets of another class ===

BUILT_IN = "rnn_seq2seq_small_cmudict"


def test_a_built_in_name_is_known_to_backbones_and_preprocessors():
    backbone = models.RNNSeq2SeqBackbone.from_preset(BUILT_IN, load_weights=False)
    preprocessor = models.RNNSeq2SeqLMPreprocessor.from_preset(BUILT_IN)
    assert type(preprocessor) is models.RNNSeq2SeqLMPreprocessor
    assert backbone.target_vocabulary_size == preprocessor.tokenizer.vocabulary_size()


@pytest.mark.parametrize(
    "cls, loads",
    [
        (models.RNNTextClassifier, "RNNSeq2SeqLM"),
        (models.TransformerTextClassifier, "RNNSeq2SeqLM"),
        (models.TransformerSeq2SeqLM, "RNNSeq2SeqLM"),
        (models.TransformerSeq2SeqBackbone, "RNNSeq2SeqBackbone"),
        (models.RNNEncoderBackbone, "RNNSeq2SeqBackbone"),
        (models.RNNTextClassifierPreprocessor, "RNNSeq2SeqLMPreprocessor"),
        (models.TransformerSeq2SeqLMPreprocessor, "RNNSeq2SeqLMPreprocessor"),
    ],
)
def test_a_preset_of_another_class_says_which_one_loads_it(cls, loads):
    message = f"holds a RNNSeq2Seq.*, and no {cls.__name__}: load it with `attnzoo.models.{loads}.f"
    with pytest.raises(ValueError, match=message) as error:
        cls.from_preset(BUILT_IN)
    assert "damaged" not in str(error.value) and BUILT_IN in str(error.value)
    # A name that is no preset's is told what fits this class.
    with pytest.raises(
        ValueError, match=rf"for a {cls.__name__} must be a directory \(no built-in"
    ):
        cls.from_preset("rnn_seq2seq_large_cmudict")


@pytest.mark.parametrize(
    "cls", [models.RNNSeq2SeqLM, models.RNNSeq2SeqBackbone, models.RNNSeq2SeqLMPreprocessor]
)
def test_a_wrong_name_lists_what_fits(cls):
    message = (
        rf"for a {cls.__name__} must be one of \[.*'{BUILT_IN}'.*\], .* Received: preset='zoo'"
    )
    with pytest.raises(ValueError, match=message) as error:
        cls.from_preset("zoo")
    assert "Did you mean" not in str(error.value)
    with pytest.raises(ValueError, match=f"Did you mean '{BUILT_IN}'?"):
        cls.from_preset(BUILT_IN.replace("cmudict", "cmu"))
    assert BUILT_IN in cls.presets


def test_a_class_lists_the_presets_that_it_loads():
    found = models.RNNSeq2SeqLM.presets[BUILT_IN]["metadata"]
    card = presets.list_presets()[BUILT_IN]
    assert found == {
        "description": card.summary,
        "params": card.parameters,
        "path": "rnn_seq2seq",
    }
    assert set(found) <= set(
        keras_hub.models.BertBackbone.presets["bert_tiny_en_uncased"]["metadata"]
    )
    assert BUILT_IN not in models.TransformerSeq2SeqLM.presets
    assert models.RNNTokenTagger.presets == {}


def test_an_argument_is_told_and_the_preset_is_not_called_damaged(tmp_path):
    tiny.make_tagger().save_to_preset(str(tmp_path))
    with pytest.raises(ValueError, match="^`dropout` must be in .* Received: dropout=3.0$"):
        models.RNNTokenTagger.from_preset(tmp_path, dropout=3.0)
    with pytest.raises(ValueError, match="needs `class_names`.* holds a RNNTokenTagger.*") as error:
        models.RNNTextClassifier.from_preset(tmp_path)
    assert "`attnzoo.models.RNNTokenTagger.from_preset` loads it as it is" in str(error.value)
    assert "damaged" not in str(error.value)
    again = models.RNNTextClassifier.from_preset(tmp_path, class_names=["good", "bad"])
    assert again.class_names == ["good", "bad"]


# === Other backends (last: the children have had their time) ===


def test_a_preset_gives_the_same_logits_on_another_backend(task, preset, children):
    expected = logits_of(task)
    for backend, process in children.items():
        _, errors = process.communicate(timeout=300)
        if "No module named" in errors and process.returncode:
            pytest.skip(f"{backend} is not installed")
        assert process.returncode == 0, errors
        found = np.load(preset / f"logits_{backend}.npy")
        np.testing.assert_allclose(found, expected, atol=1e-4)


def test_a_preset_keeps_its_mixed_precision(tmp_path):
    task = tiny.make_task(tiny.make_preprocessor(), dtype="mixed_bfloat16")
    task.save_to_preset(str(tmp_path))
    again = models.RNNSeq2SeqLM.from_preset(tmp_path)
    assert again.backbone.compute_dtype == "bfloat16"
    assert again.backbone.variable_dtype == "float32"


@pytest.mark.everywhere
def test_a_built_in_preset_loads_and_speaks():
    task = models.RNNSeq2SeqLM.from_preset(BUILT_IN)
    assert task.generate(["cat"]) == ["K AE T"]
