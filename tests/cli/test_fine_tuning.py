"""`attnzoo train --preset`: what one run has learned, another starts from."""

import json
import signal
import subprocess
import sys

import numpy as np
import pytest

from attnzoo import layers, models
from attnzoo.cli import main
from attnzoo.cli.data_files import read_data
from attnzoo.cli.settings import make_settings
from attnzoo.cli.train import train
from tests import tools
from tests.cli.test_train import KILLED
from tests.models import tiny

pytestmark = pytest.mark.shared("torch")

TEXTS = tiny.TEXTS * 2
LABELLED = list(zip(tiny.TEXTS, tiny.SENTIMENTS, strict=True))
LANGUAGE = make_settings(
    task="masked_lm",
    model="transformer",
    hidden_dim=8,
    num_heads=2,
    mask_rate=0.4,
    batch_size=4,
    max_source_length=16,
    epochs=2,
    dropout=0.3,
)
PAIRS = list(zip(tiny.WORDS, tiny.PHONEMES, strict=True))
SEQ2SEQ = make_settings(
    source_tokenizer="character",
    pointer_generator=True,
    embedding_dim=5,
    hidden_dim=6,
    batch_size=3,
    epochs=1,
    num_buckets=1,
)


@pytest.fixture(scope="module")
def language(tmp_path_factory):
    """The preset of a run that saw texts alone, and its task."""
    run = tmp_path_factory.mktemp("language")
    task = train(LANGUAGE, TEXTS, TEXTS, run, verbose=0)
    return str(run / "preset"), task


@pytest.fixture(scope="module")
def spoken(tmp_path_factory):
    """The preset of a run that saw words and their sounds, and its task."""
    run = tmp_path_factory.mktemp("spoken")
    return str(run / "preset"), train(SEQ2SEQ, PAIRS, PAIRS, run, verbose=0)


def same_weights(one, other):
    pairs = zip(one.weights, other.weights, strict=True)
    return all(np.array_equal(*map(tools.to_numpy, pair)) for pair in pairs)


def test_a_language_is_learned_and_spoken_from_the_command_line(tmp_path, capsys):
    texts, run = tmp_path / "texts.txt", str(tmp_path / "run")
    texts.write_text("\n\n".join(TEXTS) + "\n")
    data = ["--train", str(texts), str(texts), "--dev", str(texts), "--output", run]
    sizes = ["--hidden-dim", "8", "--num-heads", "2", "--epochs", "1", "--verbose", "2"]
    assert main(["train", "--task", "masked_lm", "--model", "transformer", *data, *sizes]) == 0
    assert "val_loss" in capsys.readouterr().out
    assert read_data([str(texts), str(texts)], "masked_lm") == TEXTS * 2
    texts.write_text("a [MASK] film\n")
    assert main(["predict", f"{run}/preset", str(texts)]) == 0
    assert capsys.readouterr().out.strip() in " ".join(TEXTS).split()


def test_other_tokens_are_hidden_in_each_epoch_and_the_same_of_dev():
    recipe = LANGUAGE.replace(mask_rate=0.2, batch_size=12)
    task = recipe.make_task(TEXTS)
    assert task.preprocessor.mask_rate == 0.2
    assert task.backbone.vocabulary_size == task.preprocessor.tokenizer.vocabulary_size() + 1
    train_batches, dev_batches = recipe.make_batches(task, TEXTS, TEXTS)
    for batches, alike in ((train_batches, False), (dev_batches, True)):
        first = batches[0][0]["token_ids"]
        batches.on_epoch_end()
        assert batches.epoch == 1 and np.array_equal(batches[0][0]["token_ids"], first) == alike


def test_a_classifier_starts_from_what_a_language_model_knows(language, tmp_path):
    preset, pretrained = language
    recipe = make_settings(
        task="classifier",
        model="transformer",
        preset=preset,
        pooling="first",
        dropout=0.1,
        max_source_length=12,
        batch_size=2,
        epochs=1,
    )
    task = recipe.make_task(LABELLED)
    assert same_weights(task.backbone, pretrained.backbone)
    assert task.backbone.dropout == 0.1 and pretrained.backbone.dropout == 0.3
    assert task.class_names == tiny.CLASSES
    preprocessor = task.preprocessor
    assert preprocessor.add_start and preprocessor.sequence_length == 12
    vocabularies = [one.preprocessor.tokenizer.get_vocabulary() for one in (task, pretrained)]
    assert vocabularies[0] == vocabularies[1]
    tuned = train(recipe, LABELLED, LABELLED, tmp_path, verbose=0)
    assert not same_weights(tuned.backbone, pretrained.backbone)
    assert set(tuned.classify(TEXTS)) <= set(tiny.CLASSES)
    # A classifier's head starts anew, of other classes too.
    others = [("a film", "yes"), ("good", "no")]
    another = recipe.replace(preset=str(tmp_path / "preset")).make_task(others)
    assert another.class_names == ["no", "yes"] and same_weights(another.backbone, tuned.backbone)


def test_a_language_model_goes_on_with_all_it_knows(language):
    preset, pretrained = language
    recipe = make_settings(task="masked_lm", model="transformer", preset=preset)
    task = recipe.make_task(["unknown words"])
    assert type(task) is models.TransformerMaskedLM and same_weights(task, pretrained)


def test_a_sequence_to_sequence_model_goes_on_with_all_it_knows(spoken):
    preset, trained = spoken
    recipe = make_settings(preset=preset, dropout=0.4, recurrent_dropout=0.1, max_target_length=9)
    task = recipe.make_task(PAIRS)
    assert same_weights(task, trained)
    assert (task.backbone.dropout, task.backbone.recurrent_dropout) == (0.4, 0.1)
    assert task.preprocessor.pointer_generator and task.preprocessor.decoder_sequence_length == 9
    outputs = [one.generate(tiny.WORDS, max_length=8) for one in (task, trained)]
    assert outputs[0] == outputs[1]


@pytest.mark.parametrize("attention", ["luong", layers.LuongAttention(name="attention")])
def test_the_leaderboard_knows_the_attention_of_the_preset(attention, tmp_path, capsys):
    task = tiny.make_task(tiny.make_preprocessor(), attention=attention)
    task.save_to_preset(str(tmp_path / "preset"))
    recipe = make_settings(preset=str(tmp_path / "preset"), epochs=1, num_buckets=1)
    train(recipe, PAIRS, PAIRS, tmp_path / "run", verbose=0)
    (tmp_path / "run" / "test.json").write_text('{"decoding": "greedy", "exact_match": 0.5}')
    assert main(["leaderboard", str(tmp_path / "run"), "--metrics", "exact_match"]) == 0
    name = "luong" if attention == "luong" else "LuongAttention"
    assert f"| run | {name} | greedy | 50.0 %" in capsys.readouterr().out


def test_a_built_in_preset_can_be_fine_tuned(tmp_path):
    recipe = make_settings(preset="rnn_seq2seq_small_cmudict", epochs=1, num_buckets=1)
    task = train(recipe, PAIRS, PAIRS, tmp_path, verbose=0)
    assert len(task.generate(tiny.WORDS)) == len(tiny.WORDS)


def test_how_texts_are_packed_goes_from_task_to_task(tmp_path):
    preprocessor = models.TransformerMaskedLMPreprocessor(
        tiny.make_text_tokenizer(), add_start=True, truncate="silent"
    )
    tiny.make_transformer("MaskedLM", preprocessor).save_to_preset(str(tmp_path))
    recipe = make_settings(task="classifier", model="transformer", preset=str(tmp_path))
    preprocessor = recipe.make_task(LABELLED).preprocessor
    assert preprocessor.add_start and preprocessor.truncate == "silent"


def test_one_tokenizer_for_both_sides_is_the_presets_too(tmp_path):
    shared = {"joint_tokenizer": True, "source_tokenizer": "bpe", "target_tokenizer": "bpe"}
    sizes = {"max_vocabulary": 40, "hidden_dim": 8, "num_heads": 2, "share_embeddings": True}
    trained = make_settings(model="transformer", **shared, **sizes).make_task(PAIRS)
    trained.save_to_preset(str(tmp_path))
    task = make_settings(model="transformer", preset=str(tmp_path)).make_task(PAIRS)
    assert same_weights(task, trained) and task.backbone.share_embeddings
    assert task.generate(tiny.WORDS, max_length=8) == trained.generate(tiny.WORDS, max_length=8)


def test_a_killed_run_of_texts_ends_where_an_uninterrupted_run_ends(language, tmp_path):
    recipe = LANGUAGE.replace(epochs=4, preset=language[0], hidden_dim=256, num_heads=4)
    whole = train(recipe, TEXTS, TEXTS[:7], tmp_path / "whole", verbose=0)
    run = tmp_path / "killed"
    arguments = json.dumps([recipe.as_options(), TEXTS, str(run)])
    killed = subprocess.run([sys.executable, "-c", KILLED, arguments], capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()[-2000:]
    resumed = train(recipe, TEXTS, TEXTS[:7], run, verbose=0)
    for one, other in zip(whole.weights, resumed.weights, strict=True):
        np.testing.assert_allclose(tools.to_numpy(one), tools.to_numpy(other), atol=1e-5)


def test_a_path_may_be_written_in_several_ways(spoken, tmp_path, capsys):
    data = tmp_path / "words.tsv"
    data.write_text("\n".join("\t".join(pair) for pair in PAIRS) + "\n")
    run = ["train", "--train", str(data), "--dev", str(data), "--output", str(tmp_path / "run")]
    options = ["--epochs", "1", "--num-buckets", "1", "--verbose", "2"]
    for preset in (spoken[0], spoken[0] + "/"):
        assert main([*run, *options, "--preset", preset]) == 0
    assert "is finished" in capsys.readouterr().out


def save_quantized(folder):
    task = tiny.make_task(tiny.make_preprocessor())
    task.quantize("int8")
    task.save_to_preset(str(folder))


def save_classifier(folder):
    recipe = make_settings(task="classifier", model="transformer", hidden_dim=8, num_heads=2)
    recipe.make_task(LABELLED).save_to_preset(str(folder))


@pytest.mark.parametrize(
    ("save", "options", "message"),
    [
        (
            save_quantized,
            {"task": "classifier"},
            "starts from a preset with a RNNEncoderBackbone: ",
        ),
        (save_quantized, {}, "must not be quantized: its weights could not be trained. Received:"),
        (save_classifier, {"model": "rnn"}, "`model` must be the preset's too. Received: preset="),
        (
            save_classifier,
            {"model": "transformer", "task": "masked_lm"},
            "whose backbone knows the mask token.* Received: .* of a TransformerTextClassifier",
        ),
    ],
)
def test_a_preset_that_does_not_fit_is_refused(save, options, message, tmp_path):
    save(tmp_path / "preset")
    data = {"classifier": LABELLED, "masked_lm": TEXTS}.get(options.get("task"), PAIRS)
    recipe = make_settings(preset=str(tmp_path / "preset"), **options)
    with pytest.raises(ValueError, match=message):
        train(recipe, data, data, tmp_path / "run", verbose=0)


@pytest.mark.parametrize(
    ("preset", "message"),
    [
        ("nowhere", "A preset must be one of .* Received: preset='nowhere'"),
        ("kaggle://someone/something", "a directory or hf://user/name: load another in Python"),
        (None, "must lie outside the run folder, which is written anew. Received: preset="),
    ],
)
def test_a_run_is_not_taken_away_for_a_preset_that_is_refused(preset, message, tmp_path):
    tiny.make_task(tiny.make_preprocessor()).save_to_preset(str(tmp_path / "preset"))
    (tmp_path / "recipe.json").write_text("{}")
    recipe = make_settings(preset=preset or str(tmp_path / "preset"))
    with pytest.raises(ValueError, match=message):
        train(recipe, PAIRS, PAIRS, tmp_path, overwrite=True)
    assert (tmp_path / "preset" / "task.json").exists()


def test_a_run_is_not_taken_away_for_a_preset_without_pieces_to_draw(spoken, tmp_path):
    (tmp_path / "recipe.json").write_text("{}")
    (tmp_path / "best.weights.h5").write_text("of an old run")
    recipe = make_settings(preset=spoken[0], subword_sampling=0.3)
    with pytest.raises(ValueError, match="unigram model.* Received: tokenizer="):
        train(recipe, PAIRS, PAIRS, tmp_path, overwrite=True)
    assert (tmp_path / "best.weights.h5").read_text() == "of an old run"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"preset": "runs/a/preset", "hidden_dim": 9},
            "`--hidden-dim` needs no `--preset`.* hidden_dim=9",
        ),
        ({"preset": "a", "source_tokenizer": "bpe"}, "source_tokenizer='bpe' with preset='a'"),
        ({"task": "masked_lm"}, "is a Transformer: give `--model transformer`. Received: model="),
        ({"preset": "a", "dropout": 1.5}, "`dropout` must be in .0, 1.. Received: dropout=1.5"),
        ({"recurrent_dropout": -1.0}, "`recurrent_dropout` must be .* recurrent_dropout=-1.0"),
        (
            {"task": "masked_lm", "model": "transformer", "mask_rate": 0.0},
            "`mask_rate` must be in .0, 1.. Received: mask_rate=0.0",
        ),
        ({"max_source_length": 0}, "`max_source_length` must be at least 1. Received: max_source_"),
        ({"mask_rate": 0.5}, "`--mask-rate` needs `--task masked_lm`. Received: mask_rate=0.5"),
    ],
)
def test_what_goes_with_no_preset_is_refused_before_the_folder_is_made(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        train(make_settings(**options), PAIRS, PAIRS, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_language_is_no_table_of_inflections():
    with pytest.raises(ValueError, match="reads texts, and no inflections. Received: .*'a.tsv'"):
        read_data(["a.tsv"], "masked_lm", inflections=True)
