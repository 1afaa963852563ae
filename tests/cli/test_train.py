"""`attnzoo train`: from files to a preset, and on after a kill."""

import argparse
import csv
import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from keras import ops

from attnzoo import training
from attnzoo.cli import main
from attnzoo.cli.data_files import read_data, read_pairs
from attnzoo.cli.run_folder import check_folder
from attnzoo.cli.settings import make_settings
from attnzoo.cli.settings.arguments import add_settings_arguments
from attnzoo.cli.train import train
from attnzoo.models.parts.presets import task_class
from tests.cli.settings.test_settings import OLD_RECORD
from tests.models import tiny

# The command is the same on every backend; what it rests on is tested on each.
pytestmark = pytest.mark.shared("torch")

RECIPE = make_settings(
    source_tokenizer="character",
    target_tokenizer="symbol",
    embedding_dim=5,
    hidden_dim=6,
    epochs=4,
    max_tokens=28,  # 7 pairs.
    num_buckets=1,
    dropout=0.2,
    recurrent_dropout=0.2,
    sampling_probability=0.6,
    accumulate=2,
    schedule="inverse_sqrt",
    warmup=3,
    ema=0.5,
    average=2,
    patience=50,
)
PAIRS = [(word, " ".join(word.upper())) for word in ("ab", "ba", "abc", "cab", "bca", "acb", "bb")]
PAIRS = PAIRS * 3

# Trains as the command does, but is killed in the middle of its third epoch.
KILLED = """\
import os, signal, sys
import keras
import attnzoo.training
from attnzoo.cli.settings import make_settings
from attnzoo.cli.train import train
import json
if keras.backend.backend() == "tensorflow":  # As the tests do.
    import tensorflow as tf
    tf.config.run_functions_eagerly(True)
recipe, data, output = json.loads(sys.argv[1])

def kill(self, batch, logs=None):
    if self.seen_epochs == 2 and batch == 1:
        os.kill(os.getpid(), signal.SIGKILL)

def count(self, epoch, logs=None):
    self.seen_epochs = epoch

attnzoo.training.TrainingBackup.on_epoch_begin = count
attnzoo.training.TrainingBackup.on_train_batch_begin = kill
data = [tuple(one) if isinstance(one, list) else one for one in data]
train(make_settings(**recipe), data, data[:7], output, verbose=0)
"""


def history(folder):
    with open(folder / "history.csv", newline="") as file:
        return [
            {k: float(v) if v != "NA" else None for k, v in row.items()}
            for row in csv.DictReader(file)
        ]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An uninterrupted run: its folder and its task."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, train(RECIPE, PAIRS, PAIRS[:7], folder, verbose=0)


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    """A file of labels and texts: a good one has a c."""
    path = tmp_path_factory.mktemp("labelled") / "texts.txt"
    texts = [f"{'good' if 'c' in word else 'bad'} {' '.join(word)}" for word, _ in PAIRS]
    path.write_text("\n".join(texts) + "\n")
    return path


SMALL = ["--hidden-dim", "8", "--epochs", "30", "--batch-size", "7", "--patience", "30"]


@pytest.mark.parametrize(
    "options",
    [
        ["--model", "rnn", "--num-hops", "2", "--hop-penalty", "0.1", "--embedding-dim", "5"],
        ["--model", "transformer", "--num-heads", "2", "--pooling", "first", "--ema", "0.5"],
    ],
)
def test_a_classifier_is_trained_measured_and_compared(options, labelled, tmp_path, capsys):
    run, data = str(tmp_path / "run"), ["--train", str(labelled), "--dev", str(labelled)]
    options = [*SMALL, *options, "--learning-rate", "0.02", "--verbose", "0", "--average", "2"]
    assert main(["train", "--task", "classifier", *data, "--output", run, *options]) == 0
    assert max(row["val_accuracy"] for row in history(tmp_path / "run")) > 0.9
    record = ["--json", f"{run}/test.json"]
    assert main(["evaluate", f"{run}/preset", "--data", str(labelled), *record]) == 0
    said = capsys.readouterr().out
    assert "21 sources" in said and "accuracy" in said and "good" in said
    accuracy = json.loads((tmp_path / "run" / "test.json").read_text())["accuracy"]
    task = task_class(f"{run}/preset").from_preset(f"{run}/preset")
    texts, labels = zip(*read_data([str(labelled)], "classifier"), strict=True)
    found = task.classify(list(texts))
    assert accuracy == np.mean([one == other for one, other in zip(found, labels, strict=True)])
    assert main(["leaderboard", run, "--metrics", "accuracy"]) == 0
    row = capsys.readouterr().out.splitlines()[-1]
    mechanism = "multi_head" if "transformer" in options else "pooling"
    assert f"| run | {mechanism} | most probable | {100 * accuracy:.1f} % |" in row


@pytest.fixture(scope="module")
def tagged(tmp_path_factory):
    """A file of a letter a line, with a tag that tells which c is the first of its word."""
    path = tmp_path_factory.mktemp("tagged") / "words.conll"
    texts = []
    for word, _ in PAIRS:
        first = word.find("c")
        tags = ["B-C" if i == first else "I-C" if i == first + 1 > 0 else "O" for i in range(9)]
        texts.append("\n".join(map(" ".join, zip(word, tags, strict=False))))
    path.write_text("\n\n".join(texts) + "\n")
    return path


@pytest.mark.parametrize(
    "options",
    [
        ["--spelling-dim", "7", "--embedding-dim", "5", "--head", "crf"],
        ["--model", "transformer", "--num-heads", "2", "--learning-rate", "0.02"],
    ],
)
def test_a_tagger_is_trained_measured_and_compared(options, tagged, tmp_path, capsys):
    run, data = str(tmp_path / "run"), ["--train", str(tagged), "--dev", str(tagged)]
    options = [*SMALL, "--learning-rate", "0.05", "--verbose", "0", *options, "--epochs", "8"]
    assert main(["train", "--task", "tagger", *data, "--output", run, *options]) == 0
    monitored = "val_loss" if "crf" in options else "val_accuracy"
    first, *_, last = [row[monitored] for row in history(tmp_path / "run")]
    assert last < first if "crf" in options else last > first
    record = ["--json", f"{run}/test.json", "--metrics", "accuracy"]
    assert main(["evaluate", f"{run}/preset", "--data", str(tagged), *record]) == 0
    figures = json.loads((tmp_path / "run" / "test.json").read_text())
    task = task_class(f"{run}/preset").from_preset(f"{run}/preset")
    texts, tags = zip(*read_data([str(tagged)], "tagger"), strict=True)
    right = [tag for row in tags for tag in row.split()]
    found = [tag for row in task.tag(list(texts)) for tag in row]
    assert figures["accuracy"] == np.mean([a == b for a, b in zip(found, right, strict=True)])
    assert figures["decoding"] == ("best path" if "crf" in options else "most probable")
    assert main(["leaderboard", run, "--metrics", "accuracy"]) == 0
    assert f"| {100 * figures['accuracy']:.1f} % |" in capsys.readouterr().out
    wrong = ["--metrics", "bleu", "--show", "0"]
    assert main(["evaluate", f"{run}/preset", "--data", str(tagged), *wrong]) == 2
    assert "'entity_f1']. Received: 'bleu'" in capsys.readouterr().err


def test_a_tagger_tells_what_it_cannot_have():
    with pytest.raises(ValueError, match="Received: head='crf', monitor='accuracy'"):
        make_settings(task="tagger", head="crf", monitor="accuracy")
    assert make_settings(task="tagger", head="crf").training.monitored == ("val_loss", "min")
    assert make_settings(task="tagger").training.monitored == ("val_accuracy", "max")
    with pytest.raises(ValueError, match="own pieces. Received: subword_sampling=0.3"):
        make_settings(task="tagger", source_tokenizer="unigram", subword_sampling=0.3)


def test_a_captioner_is_trained_measured_and_drawn(tmp_path, capsys):
    np.savez(tmp_path / "images.npz", images=tiny.make_images())
    lines = [f"{n}\tx\t{caption}\n" for n, caption in enumerate(tiny.CAPTIONS)]
    (tmp_path / "captions.tsv").write_text("".join(lines))
    files = [str(tmp_path / "images.npz"), str(tmp_path / "captions.tsv")]
    options = "--task captioner --image-size 7 --image-filters 3 --num-stages 2 --hidden-dim 6"
    options += " --embedding-dim 5 --attention luong --alignment-penalty 0.1 --batch-size 3"
    options += " --caption-column 2 --num-buckets 1 --epochs 1 --verbose 0"
    run = str(tmp_path / "run")
    main(["train", "--train", *files, "--dev", *files, "--output", run, *options.split()])
    task = task_class(run).from_preset(run)
    assert task.backbone.filters == [3, 6] and task.backbone.image_shape == (7, 7, 3)
    assert task.backbone.vocabulary_size == 6 + 4
    metrics = ["--metrics", "exact_match", "chrf", "--caption-column", "2", "--show", "1"]
    main(["evaluate", run, "--data", *files, *metrics])
    shown = capsys.readouterr().out
    assert "6 sources" in shown and "picture 0" in shown and "chrf" in shown
    assert main(["evaluate", run, "--data", files[1]]) == 2
    assert "Captions are two paths, a folder or an NPZ file" in capsys.readouterr().err

    pillow = pytest.importorskip("PIL.Image")
    picture, figure = str(tmp_path / "one.png"), tmp_path / "where.png"
    pillow.fromarray(tiny.make_images()[0]).save(picture)
    main(["plot", run, picture, "--target", "a red flag", "--output", str(figure)])
    assert figure.stat().st_size > 1000
    assert main(["plot", run, picture, picture, "--output", str(figure)]) == 2
    assert "A figure has one picture and one model. Received: 2" in capsys.readouterr().err


def test_what_is_monitored_tells_when_to_stop():
    recipe = make_settings(task="classifier", patience=2)
    rows = zip((0.5, 0.9, 0.8, 0.7), (0.9, 0.8, 0.7, 0.6), strict=True)
    past = [{"val_accuracy": accuracy, "val_loss": loss} for accuracy, loss in rows]
    assert recipe.training.is_over(past)
    assert not recipe.replace(monitor="loss").training.is_over(past)
    texts = recipe.replace(task="seq2seq")
    assert not texts.training.is_over(past)
    assert texts.replace(monitor="accuracy").training.is_over(past)
    assert not recipe.training.is_over(past[:3]) and not recipe.training.is_over([])


@pytest.mark.parametrize("options", [["--inflections"], []])
def test_labelled_texts_are_one_file(options, labelled, tmp_path, capsys):
    files = [str(labelled)] * (1 if options else 2)
    where = ["--train", *files, "--dev", str(labelled), "--output", str(tmp_path / "run")]
    assert main(["train", "--task", "classifier", *where, *options]) == 2
    assert "Labelled texts are one file, and no inflections. Received:" in capsys.readouterr().err


@pytest.mark.everywhere
def test_a_killed_run_ends_where_an_uninterrupted_run_ends(whole, tmp_path, monkeypatch):
    folder, task = whole
    arguments = json.dumps([RECIPE.as_options(), PAIRS, str(tmp_path)])
    killed = subprocess.run([sys.executable, "-c", KILLED, arguments], capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()[-2000:]
    assert len(history(tmp_path)) == 2 and not (tmp_path / "preset").exists()

    with np.load(tmp_path / "backup.npz") as saved:
        seconds = float(saved["seconds"])
    averaged, average = [], training.average_checkpoints

    def spy(model, paths):
        averaged.append(len(paths))
        average(model, paths)

    monkeypatch.setattr(training, "average_checkpoints", spy)
    resumed = train(RECIPE, PAIRS, PAIRS[:7], tmp_path, verbose=0)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["seconds"] > seconds > 0 and averaged == [2]
    expected, found = history(folder), history(tmp_path)
    assert [row["epoch"] for row in found] == [0, 1, 2, 3]
    for one, other in zip(expected, found, strict=True):
        assert other == pytest.approx(one, rel=1e-4)
    for one, other in zip(task.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)


def test_a_finished_run_is_not_trained_again(whole, capsys):
    folder, task = whole
    before = os.stat(folder / "history.csv").st_mtime_ns
    again = train(RECIPE, PAIRS, PAIRS[:7], folder, verbose=1)
    assert "finished" in capsys.readouterr().out
    assert os.stat(folder / "history.csv").st_mtime_ns == before
    assert again.generate(["ab"]) == task.generate(["ab"])


def test_a_run_folder_has_what_the_help_says(whole):
    folder, _ = whole
    names = {path.name for path in folder.iterdir()}
    assert names == {"recipe.json", "history.csv", "best.weights.h5", "preset", "metrics.json"}
    assert json.loads((folder / "recipe.json").read_text()) == RECIPE.as_options()
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["epochs"] == 4
    assert 0 < metrics["seconds"] <= metrics["seconds_since_last_start"] + 0.1


def test_another_recipe_does_not_touch_a_run(whole):
    folder, _ = whole
    other = RECIPE.replace(hidden_dim=8)
    with pytest.raises(ValueError, match=r"differs in \['hidden_dim'\].*Received: output="):
        train(other, PAIRS, PAIRS, folder)
    assert (folder / "preset").is_dir()


def test_a_run_of_before_an_option_is_a_run_of_its_default(tmp_path):
    old = RECIPE.as_options()
    del old["coverage_loss"], old["sampling_probability"]
    (tmp_path / "recipe.json").write_text(json.dumps(old))
    check_folder(tmp_path, RECIPE.replace(sampling_probability=0.0), overwrite=False)
    with pytest.raises(ValueError, match=r"differs in \['sampling_probability'\]"):
        check_folder(tmp_path, RECIPE, overwrite=False)
    assert json.loads((tmp_path / "recipe.json").read_text()) == old


def test_an_older_run_is_resumed_measured_and_compared(tmp_path, capsys):
    data, run = tmp_path / "data.tsv", tmp_path / "run"
    data.write_text("\n".join("\t".join(pair) for pair in PAIRS) + "\n")
    sizes = ["--embedding-dim", "5", "--hidden-dim", "6", "--batch-size", "7", "--epochs", "2"]
    command = ["train", "--train", str(data), "--dev", str(data), "--output", str(run), *sizes]
    command += ["--source-tokenizer", "character", "--num-buckets", "1", "--verbose", "2"]
    run.mkdir()
    (run / "recipe.json").write_text(json.dumps(OLD_RECORD, indent=2) + "\n")
    assert main(command) == 0  # The folder is of a run that was stopped before its first epoch.
    (run / "recipe.json").write_text(json.dumps(OLD_RECORD, indent=2) + "\n")
    assert main(command) == 0 and "is finished" in capsys.readouterr().out
    assert main([*command, "--cell", "gru"]) == 2
    assert "differs in ['cell']" in capsys.readouterr().err
    figures = ["--json", str(run / "greedy.json")]
    assert main(["evaluate", str(run), "--data", str(data), *figures]) == 0
    assert main(["leaderboard", str(run)]) == 0
    assert "| run | bahdanau | greedy |" in capsys.readouterr().out
    assert main(["predict", str(run), str(data)]) == 0


def test_a_folder_of_other_things_is_not_touched(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"must be new or a run's.*Received: output="):
        train(RECIPE, PAIRS, PAIRS, tmp_path, overwrite=True)
    assert (tmp_path / "thesis.txt").read_text() == "mine"


@pytest.mark.parametrize("options", [{"window": 3}, {"sigmoid_noise": [1]}])
def test_a_run_is_not_taken_away_for_an_option_that_is_refused(options, tmp_path):
    (tmp_path / "recipe.json").write_text("{}")
    (tmp_path / "best.weights.h5").write_text("of an old run")
    recipe = RECIPE.replace(attention="monotonic", attention_options=options)
    with pytest.raises(ValueError, match="Received: "):
        train(recipe, PAIRS, PAIRS, tmp_path, overwrite=True)
    assert (tmp_path / "best.weights.h5").read_text() == "of an old run"
    assert (tmp_path / "recipe.json").read_text() == "{}"


def test_bad_data_is_told_with_file_and_line(tmp_path, capsys):
    data = tmp_path / "data.tsv"
    data.write_text("ab\tA B\nba\n")
    status = main(
        ["train", "--train", str(data), "--dev", str(data), "--output", str(tmp_path / "run")]
    )
    assert status == 2
    message = capsys.readouterr().err
    assert "data.tsv" in message and "2" in message and "Traceback" not in message
    assert not (tmp_path / "run").exists()


def compiled(recipe):
    task = recipe.make_task(PAIRS)
    recipe.compile(task, steps=10)
    return task


def test_sampling_rises_from_nothing_to_what_the_recipe_says():
    task = compiled(RECIPE)
    (schedule,) = RECIPE.training.schedules(task)
    assert schedule.variable is task.sampling_probability
    values = [schedule.schedule(epoch) for epoch in range(4)]
    np.testing.assert_allclose(values, [0.0, 0.2, 0.4, 0.6], atol=1e-12)
    assert RECIPE.replace(epochs=1).training.schedules(task)[0].schedule(0) == 0.0
    off = RECIPE.replace(sampling_probability=0.0)
    task = compiled(off)
    assert task.sampling_probability is None and off.training.schedules(task) == []


def test_a_run_of_before_has_the_optimizer_it_had():
    config = compiled(make_settings(hidden_dim=6)).optimizer.get_config()
    rate = config["learning_rate"]["config"]
    assert (rate["warmup_target"], rate["warmup_steps"], rate["alpha"]) == (2e-3, 1, 0.0)
    names = ("weight_decay", "global_clipnorm", "use_ema", "gradient_accumulation_steps")
    assert [config[name] for name in names] == [None, 1.0, False, None]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"schedule": "constant"}, [0.0, 0.5, 1.0, 1.0, 1.0]),
        ({"schedule": "cosine"}, [0.0, 0.5, 1.0, 0.5, 0.0]),
        ({"schedule": "inverse_sqrt"}, [0.05, 0.55, *((20 / t) ** 0.5 for t in (21, 61, 101))]),
    ],
)
@pytest.mark.parametrize(
    "warmup", [{"warmup": 0.2}, {"warmup": 20}, {"warmup": 5, "accumulate": 4}]
)
def test_the_rate_rises_and_then_does_what_the_schedule_says(options, expected, warmup):
    rate = make_settings(learning_rate=1.0, **options, **warmup).optimizer.make_rate(100)
    found = [float(rate(batch)) for batch in (0, 10, 20, 60, 100)]
    assert found == pytest.approx(expected, abs=1e-6)


def test_weights_decay_and_biases_do_not():
    recipe = RECIPE.replace(weight_decay=0.5, accumulate=1, warmup=1, learning_rate=0.1)
    task = compiled(recipe)
    before = task.get_weights()
    weights = task.trainable_variables
    task.optimizer.apply([ops.zeros(weight.shape) for weight in weights], weights)
    for one, other in zip(before, task.get_weights(), strict=True):
        left = 0.95 if one.ndim > 1 else 1.0  # 1 - decay * rate
        np.testing.assert_allclose(other, left * one, rtol=1e-5)


def test_the_coverage_loss_comes_to_the_attention():
    task = compiled(RECIPE.replace(attention="coverage", coverage_loss=0.5))
    assert task.backbone.decoder.cell.attentions[0].coverage_loss == 0.5
    task = compiled(RECIPE.replace(attention="coverage"))
    assert task.backbone.decoder.cell.attentions[0].coverage_loss == 0.0


def test_options_of_an_attention_come_before_what_its_name_stands_for():
    options = {"window": 3, "sigmoid_noise": 1.0, "inference_mode": "hard"}
    recipe = RECIPE.replace(attention="chunkwise", attention_options=options)
    (attention,) = compiled(recipe).backbone.decoder.cell.attentions
    assert options.items() <= attention.get_config().items()


@pytest.mark.parametrize("model", ["rnn", "transformer"])
def test_both_sides_may_share_tokenizer_and_embedding(model):
    kinds = {"source_tokenizer": "character", "target_tokenizer": "character"}
    recipe = make_settings(model=model, joint_tokenizer=True, hidden_dim=8, **kinds)
    pairs = [("ab", "xy"), ("ba", "yx")]
    apart = recipe.make_task(pairs)
    assert apart.preprocessor.source_tokenizer is apart.preprocessor.tokenizer
    assert {"a", "b", "x", "y"} < set(apart.preprocessor.tokenizer.get_vocabulary())
    assert apart.backbone.source_embedding is not apart.backbone.target_embedding
    shared = recipe.replace(share_embeddings=True).make_task(pairs).backbone
    assert shared.source_embedding is shared.target_embedding


@pytest.mark.parametrize("task", ["seq2seq", "classifier"])
def test_options_of_blocks_come_to_every_block(task):
    options = {"norm_first": False, "activation": "swiglu", "attention": {"num_key_value_heads": 1}}
    recipe = make_settings(task=task, model="transformer", hidden_dim=8, num_heads=2, position="t5")
    layers = {"num_decoder_layers": 2} if task == "seq2seq" else {}
    recipe = recipe.replace(
        num_encoder_layers=2, block_options=options, share_position=True, **layers
    )
    backbone = recipe.make_task(PAIRS).backbone
    blocks = backbone.blocks if task == "classifier" else backbone.decoder_blocks
    assert all(options.items() <= block.get_config().items() for block in blocks)
    assert len({id(block.self_attention.position) for block in blocks}) == 1
    assert backbone.output_norm is None if task == "classifier" else backbone.decoder_norm is None


def test_options_are_written_as_in_json_or_python():
    words = ["a=false", "b=False", "c=None", "d=1e-3", "e=hard", 'f={"g": [1]}']
    parser = argparse.ArgumentParser()
    add_settings_arguments(parser)
    found = parser.parse_args(["--block-options", *words]).block_options
    assert found == {"a": False, "b": False, "c": None, "d": 0.001, "e": "hard", "f": {"g": [1]}}


def test_options_are_read_from_the_command_line_and_shown(tmp_path, capsys):
    data = tmp_path / "data.tsv"
    data.write_text("ab\tA B\nba\tB A\n")
    run = tmp_path / "run"
    command = ["train", "--train", str(data), "--dev", str(data), "--output", str(run)]
    command += ["--embedding-dim", "5", "--hidden-dim", "6", "--epochs", "1", "--verbose", "0"]
    command += ["--attention", "monotonic", "--attention-options"]
    assert main([*command, "window=3"]) == 2
    assert "Received: window" in capsys.readouterr().err
    assert main([*command, "sigmoid_noise=[1]"]) == 2
    assert "Received: {'attention_options': {'sigmoid_noise': [1]}}" in capsys.readouterr().err
    assert not run.exists()
    assert main([*command, "inference_mode=hard", "sigmoid_noise=0.5"]) == 0
    recipe = json.loads((run / "recipe.json").read_text())
    assert recipe["attention_options"] == {"inference_mode": "hard", "sigmoid_noise": 0.5}
    evaluate = ["evaluate", str(run / "preset"), "--data", str(data), "--json", str(run / "g.json")]
    assert main([*evaluate, "--metrics", "exact_match"]) == 0
    assert main(["leaderboard", str(run), "--metrics", "exact_match"]) == 0
    assert "| monotonic, inference_mode=hard, sigmoid_noise=0.5 |" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main([*command, "hard"])
    assert "--attention-options takes NAME=VALUE. Received: hard" in capsys.readouterr().err


def test_a_pointer_generator_comes_to_both_sides():
    task = compiled(RECIPE.replace(pointer_generator=True))
    assert task.backbone.pointer_generator and task.preprocessor.pointer_generator


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--pointer-generator", "--tie-embeddings"], "Received: pointer_generator=True with"),
        (["--pointer-generator", "--label-smoothing", "0.1"], "Received: label_smoothing=0.1"),
        (["--coverage-loss", "0.5"], "Received: coverage_loss=0.5 with"),
        (["--attention", "coverage", "--coverage-loss", "-1"], "Received: coverage_loss=-1.0"),
        (["--sampling-probability", "1.5"], "Received: sampling_probability=1.5"),
        (["--average", "0"], "`average` must be at least 1. Received: average=0"),
        (["--ema", "1"], "`ema` must be in [0, 1). Received: ema=1.0"),
        (["--max-tokens", "2"], "must be at least 3, the length of the longest pair. Received:"),
        (["--max-tokens", "9", "--batch-size", "3"], "Received: max_tokens=9 with batch_size=3"),
    ],
)
def test_a_setting_that_does_not_fit_is_told(options, message, tmp_path, capsys):
    data = tmp_path / "data.tsv"
    data.write_text("ab\tA B\nba\tB A\n")
    where = ["--train", str(data), "--dev", str(data), "--output", str(tmp_path / "run")]
    assert main(["train", *where, "--hidden-dim", "6", *options]) == 2
    assert message in capsys.readouterr().err


def test_three_files_are_no_data():
    with pytest.raises(ValueError, match="one TSV file or two parallel files. Received:"):
        read_pairs(["a", "b", "c"])


def test_inflections_are_one_file():
    with pytest.raises(ValueError, match=r"Inflections are one TSV file. Received: \['a', 'b'\]"):
        read_pairs(["a", "b"], inflections=True)


def test_inflections_are_trained_and_measured_as_text(tmp_path, capsys):
    data = tmp_path / "data.tsv"
    data.write_text("ev ev\tevde\tN;LOC\nel\telde\tN;LOC\n", encoding="utf-8")
    run = str(tmp_path / "run")
    sizes = ["--embedding-dim", "5", "--hidden-dim", "6", "--epochs", "1", "--verbose", "0"]
    data = ["--inflections", "--train", str(data), "--dev", str(data)]
    assert main(["train", *data, "--output", run, *sizes]) == 0
    assert main(["evaluate", f"{run}/preset", "--inflections", "--data", data[2]]) == 0
    said = capsys.readouterr().out
    assert "2 sources" in said and "evde" in said


def test_a_transformer_on_subwords_is_trained_and_speaks(tmp_path, capsys):
    recipe = make_settings(
        model="transformer",
        source_tokenizer="unigram",
        target_tokenizer="bpe",
        max_vocabulary=20,
        hidden_dim=8,
        num_heads=2,
        position="rotary",
        epochs=1,
        batch_size=7,
        num_buckets=1,
    )
    task = train(recipe, PAIRS, PAIRS[:7], tmp_path / "run", verbose=0)
    assert type(task).__name__ == "TransformerSeq2SeqLM"
    preset = str(tmp_path / "run" / "preset")
    (tmp_path / "words.txt").write_text("ab\ncab\n")
    assert main(["predict", preset, str(tmp_path / "words.txt")]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2


@pytest.mark.parametrize(
    "options",
    [
        {"model": "rnn", "source_tokenizer": "unigram", "target_tokenizer": "unigram"},
        {"task": "classifier", "model": "rnn", "source_tokenizer": "unigram"},
    ],
)
def test_pieces_are_drawn_to_train_and_not_to_measure(options, tmp_path):
    texts = ["banana bandana", "nab a banana", "a ban an a bandana", "banana banana"] * 3
    answers = ["good", "bad"] * 6 if "task" in options else texts[::-1]
    pairs = list(zip(texts, answers, strict=True))
    recipe = make_settings(
        **options,
        subword_sampling=0.1,
        max_vocabulary=30,
        embedding_dim=5,
        hidden_dim=6,
        epochs=2,
        batch_size=12,
        **({} if "task" in options else {"num_buckets": 1}),
    )
    task = train(recipe, pairs, pairs, tmp_path / "run", verbose=0)
    name = "token_ids" if "task" in options else "encoder_token_ids"
    drawn, measured = recipe.make_batches(task, pairs, pairs)
    seen = []
    for batches in (drawn, measured):
        epochs = []
        for epoch in range(2):
            batches.epoch = epoch
            epochs.append({tuple(row) for row in batches[0][0][name].tolist()})
        seen.append(epochs)
    assert seen[0][0] != seen[0][1]
    assert seen[1][0] == seen[1][1] and len(seen[1][0]) == 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"model": "transformer", "cell": "gru"},
            "`--cell` needs `--model rnn`. Received: cell='gru' with",
        ),
        ({"num_heads": 2}, "needs `--model transformer`. Received: num_heads=2 with model='rnn'"),
        (
            {"task": "classifier", "attention": "luong"},
            "needs `--task seq2seq` or `--task captioner`. Received: attention='luong'",
        ),
        ({"task": "classifier", "num_buckets": 9}, "num_buckets=9 with task='classifier'"),
        ({"task": "classifier", "pooling": "first"}, "pooling='first' with model='rnn'"),
        ({"block_options": {"norm": "rms"}}, "block_options={'norm': 'rms'} with model='rnn'"),
        (
            {"share_embeddings": True},
            "give `--joint-tokenizer` too. Received: share_embeddings=True",
        ),
        ({"joint_tokenizer": True, "target_tokenizer": "bpe"}, "Received: source_tokenizer='sym"),
        ({"pooling": "first"}, "pooling='first' with task='seq2seq', model='rnn'"),
        ({"subword_sampling": 0.2}, "sampling=0.2, source_tokenizer='symbol', target_"),
        (
            {"subword_sampling": 0.2, "source_tokenizer": "unigram", "target_tokenizer": "bpe"},
            "give `--source-tokenizer unigram`.* subword_sampling=0.2, .* target_tokenizer='bpe'",
        ),
        ({"subword_sampling": 0.0}, "must be above 0, and finite. Received: subword_sampling=0.0"),
    ],
)
def test_an_option_of_another_model_is_refused_before_the_folder_is_made(
    tmp_path, options, message
):
    with pytest.raises(ValueError, match=message):
        train(make_settings(**options), PAIRS, PAIRS, tmp_path / "run")
    assert not (tmp_path / "run").exists()
