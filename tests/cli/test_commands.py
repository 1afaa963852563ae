"""The commands on a trained preset, as a user types them."""

import io
import json
import shutil

import keras
import matplotlib.image
import numpy as np
import pytest

import attnzoo
from attnzoo.cli import evaluate, main, make_parser, predict
from attnzoo.cli.leaderboard import draw_curves
from tests import tools
from tests.models import tiny

WORDS = ("ab", "ba", "abc", "cab")

pytestmark = pytest.mark.shared("torch")


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    data, models = attnzoo.data, attnzoo.models
    preprocessor = models.RNNSeq2SeqLMPreprocessor(
        data.CharacterTokenizer.from_texts(WORDS),
        data.SymbolTokenizer.from_texts(["A B C"]),
        encoder_sequence_length=8,
        decoder_sequence_length=8,
    )
    backbone = models.RNNSeq2SeqBackbone(7, 7, embedding_dim=5, hidden_dim=6)
    folder = tmp_path_factory.mktemp("commands") / "preset"
    models.RNNSeq2SeqLM(backbone, preprocessor).save_to_preset(str(folder))
    return folder


@pytest.mark.parametrize(
    "command",
    [
        "demo",
        "evaluate",
        "export",
        "import-weights",
        "train-super-resolution",
        "leaderboard",
        "plot",
        "predict",
        "presets",
        "publish",
        "retrain",
        "train",
    ],
)
def test_each_command_explains_itself(command, capsys):
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    said = capsys.readouterr().out
    assert stop.value.code == 0
    assert f"attnzoo {command}" in said and len(said) > 300


def test_no_command_is_an_error(capsys):
    with pytest.raises(SystemExit) as stop:
        make_parser().parse_args([])
    assert stop.value.code == 2


def test_evaluate_groups_references_and_writes_json(preset, tmp_path, capsys):
    data = tmp_path / "data.tsv"
    data.write_text("ab\tA B\nab\tB A\nba\tB A\n")
    status = main(
        ["evaluate", str(preset), "--data", str(data), "--json", str(tmp_path / "figures.json")]
    )
    said = capsys.readouterr().out
    assert status == 0 and "2 sources" in said and "phoneme_error_rate" in said
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures.pop("decoding") == "greedy" and figures.pop("sources") == 2
    assert set(figures) == {"exact_match", "word_error_rate", "phoneme_error_rate"}


@pytest.mark.parametrize(
    ("options", "decoding"),
    [
        (["--beam", "2"], "beam 2"),
        (["--beam", "2", "--length-penalty", "1"], "beam 2, length penalty 1"),
        (
            ["--beam", "3", "--length-penalty", "0.6", "--coverage-penalty", "0.1"],
            "beam 3, length penalty 0.6, coverage penalty 0.1",
        ),
        (["--min-length", "2"], "greedy, at least 2 tokens"),
        (
            ["--beam", "2", "--no-repeat-ngram-size", "3", "--repetition-penalty", "1.5"],
            "beam 2, no repeated 3-gram, repetition penalty 1.5",
        ),
        (
            ["--forced-prefix", "A", "--banned-phrase", "A B", "--banned-phrase", "A C"],
            "greedy, prefix A, without A B and A C",
        ),
    ],
)
def test_a_record_tells_how_was_decoded(preset, tmp_path, options, decoding):
    data, figures = tmp_path / "data.tsv", tmp_path / "figures.json"
    data.write_text("ab\tA B\n")
    command = ["evaluate", str(preset), "--data", str(data), "--json", str(figures)]
    assert main([*command, *options]) == 0
    assert json.loads(figures.read_text())["decoding"] == decoding


def test_bleu_comes_with_its_signature(preset, tmp_path, capsys):
    data, figures = tmp_path / "data.tsv", tmp_path / "figures.json"
    data.write_text("ab\tA B\nba\tB A\n")
    metrics = ["bleu", "exact_match", "bleu_lowercase"]
    command = ["evaluate", str(preset), "--data", str(data), "--metrics", *metrics]
    assert main([*command, "--json", str(figures)]) == 0
    record, said = json.loads(figures.read_text()), capsys.readouterr().out
    assert list(record)[2:] == [*metrics, "bleu_signature", "bleu_lowercase_signature"]
    for name, case in (("bleu", "mixed"), ("bleu_lowercase", "lc")):
        assert 0.0 <= record[name] <= 100.0
        signature = record[f"{name}_signature"]
        assert signature.startswith(f"nrefs:1|case:{case}") and signature in said


def finished_run(folder, attention, seconds=None, **evaluations):
    folder.mkdir()
    (folder / "recipe.json").write_text(json.dumps({"attention": attention, "seed": 3}))
    training = {"parameters": 1234567, "epochs": 11, "seconds_since_last_start": 130.0}
    training |= {} if seconds is None else {"seconds": seconds}
    (folder / "metrics.json").write_text(json.dumps(training))
    for decoding, rate in evaluations.items():
        figures = {"decoding": decoding, "word_error_rate": rate, "bleu": 100 * rate}
        (folder / f"{decoding}.json").write_text(json.dumps(figures))
    return str(folder)


def test_the_leaderboard_ranks_runs_by_their_records(tmp_path, capsys):
    runs = [
        finished_run(tmp_path / "one", "hard", greedy=0.5, beam=0.25),
        finished_run(tmp_path / "two", "soft", seconds=610.0, greedy=0.375),
    ]
    assert main(["leaderboard", *runs, "--metrics", "word_error_rate"]) == 0
    table = capsys.readouterr().out.splitlines()
    assert table[2:] == [
        "| one | hard | beam | 25.0 % | 1,234,567 | 11 | 2 | 3 |",
        "| two | soft | greedy | 37.5 % | 1,234,567 | 11 | 10 | 3 |",
        "| one | hard | greedy | 50.0 % | 1,234,567 | 11 | 2 | 3 |",
    ]
    assert main(["leaderboard", *runs, "--metrics", "bleu", "word_error_rate"]) == 0
    table = capsys.readouterr().out.splitlines()
    assert table[2].startswith("| one | hard | greedy | 50.00 | 50.0 % |")
    assert main(["leaderboard", *runs, "--metrics", "exact_match"]) == 2
    assert "needs an evaluation with ['exact_match'] in its folder" in capsys.readouterr().err
    rows = ["leaderboard", *runs, "--metrics", "bleu", "--decoding"]
    assert main([*rows, "greedy"]) == 0
    assert [row.split(" | ")[2] for row in capsys.readouterr().out.splitlines()[2:]] == [
        "greedy"
    ] * 2
    assert main([*rows, "beam"]) == 2
    assert f"run={runs[1]}, with decoding='beam'" in capsys.readouterr().err


def test_folders_of_runs_stand_side_by_side(tmp_path, capsys):
    for data in ("cmudict", "latin"):
        (tmp_path / data).mkdir()
    finished_run(tmp_path / "cmudict" / "one", "hard", greedy=0.5, beam=0.25)
    finished_run(tmp_path / "cmudict" / "two", "soft", greedy=0.375)
    finished_run(tmp_path / "latin" / "two", "soft", greedy=0.75)
    finished_run(tmp_path / "latin" / "three", "soft", greedy=0.875, beam=0.5)
    command = ["leaderboard", "--side-by-side", str(tmp_path / "cmudict"), str(tmp_path / "latin")]
    assert main([*command, "--metrics", "accuracy", "bleu"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "| run | cmudict, bleu | latin, bleu |",
        "| --- | --- | --- |",
        "| one | 50.00 |  |",
        "| three |  | 87.50 |",
        "| two | 37.50 | 75.00 |",
    ]
    assert main([*command, "--decoding", "beam"]) == 0
    assert capsys.readouterr().out.splitlines()[2:] == [
        "| one | 25.0 % |  |",
        "| three |  | 50.0 % |",
    ]
    with pytest.raises(SystemExit):
        main([*command, "--curves", "curves.png"])
    assert "not allowed with" in capsys.readouterr().err
    (tmp_path / "latin" / "two" / "dev.json").write_text('{"decoding": "greedy", "bleu": 1.0}')
    assert main([*command, "--metrics", "bleu"]) == 2
    assert "two with two of decoding='greedy'" in capsys.readouterr().err
    assert main([*command, "--decoding", "beam 5"]) == 2
    assert f"decoding='beam 5'. Received: {tmp_path / 'cmudict'}" in capsys.readouterr().err


def test_the_leaderboard_needs_finished_and_evaluated_runs(tmp_path, capsys):
    assert main(["leaderboard", str(tmp_path)]) == 2
    assert f"has finished. Received: run={tmp_path}" in capsys.readouterr().err
    unmeasured = finished_run(tmp_path / "one", "hard")
    assert main(["leaderboard", unmeasured]) == 2
    assert f"attnzoo evaluate {unmeasured}/preset" in capsys.readouterr().err


def test_the_leaderboard_draws_how_training_went(tmp_path, capsys):
    run = finished_run(tmp_path / "one", "hard", greedy=0.5)
    (tmp_path / "one" / "history.csv").write_text("epoch,loss,val_loss\n0,3.5,4.5\n1,2.5,3.0\n")
    picture = tmp_path / "curves.png"
    curves = ["--curves", str(picture), "--quantity", "loss", "--metrics", "exact_match"]
    assert main(["leaderboard", run, *curves]) == 2
    assert not picture.exists()  # There is no such metric.
    command = ["leaderboard", run, "--metrics", "bleu", "--curves", str(picture)]
    assert main(command) == 0 and picture.read_bytes().startswith(b"\x89PNG")
    (line,) = draw_curves([run], "loss").axes[0].get_lines()
    assert line.get_ydata().tolist() == [3.5, 2.5]
    (tmp_path / "other").mkdir()
    same_name = finished_run(tmp_path / "other" / "one", "hard", greedy=0.5)
    capsys.readouterr()
    assert main([*command[:2], same_name, *command[2:]]) == 2
    assert f"run={same_name}, without history.csv" in capsys.readouterr().err
    shutil.copy(tmp_path / "one" / "history.csv", same_name)
    (legend,) = draw_curves([run, same_name]).legends
    assert [text.get_text() for text in legend.get_texts()] == [run, same_name]
    (tmp_path / "one" / "history.csv").write_text("epoch,loss,val_loss\n0,NA,NA\n")
    assert main(command) == 2
    assert "'one' must be finite. Received: a value of nan" in capsys.readouterr().err
    shutil.copy(f"{same_name}/history.csv", run)
    assert main([*command, "--quantity", "bleu"]) == 2
    said = capsys.readouterr().err
    assert f"must be one of ['loss', 'val_loss']. Received: bleu, for run={run}" in said


def test_predict_reads_a_file_line_by_line(preset, tmp_path, capsys):
    (tmp_path / "words.txt").write_text("ab\n\ncab\n")
    assert main(["predict", str(preset), str(tmp_path / "words.txt"), "--scores"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3 and lines[1] == ""
    assert float(lines[0].split("\t")[1]) < 0
    task = attnzoo.models.RNNSeq2SeqLM.from_preset(preset)
    assert [lines[0].split("\t")[0], lines[2].split("\t")[0]] == task.generate(["ab", "cab"])


def test_predict_reads_standard_input(preset, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.StringIO("ab\n"))
    assert main(["predict", str(preset), "--beam", "2"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_predict_keeps_the_rules_that_are_given(preset, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.StringIO("ab\ncab\n"))
    options = ["--forced-prefix", "C", "--wanted-phrase", "B A", "--banned-phrase", "C C"]
    assert main(["predict", str(preset), *options, "--no-repeat-ngram-size", "2"]) == 0
    for line in capsys.readouterr().out.splitlines():
        assert line.startswith("C") and "B A" in line and "C C" not in line


@pytest.fixture(scope="module")
def tagger(tmp_path_factory):
    """The preset of a task that reads texts."""
    folder = tmp_path_factory.mktemp("commands") / "tagger"
    tiny.make_tagger().save_to_preset(str(folder))
    return folder


def test_predict_tags_words(tagger, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.StringIO("a good film\n\nbad\n"))
    assert main(["predict", str(tagger), "--scores"]) == 0
    lines = capsys.readouterr().out.splitlines()
    task = attnzoo.models.RNNTokenTagger.from_preset(tagger)
    live = task.tag(["a good film", "bad"], return_probabilities=True)
    tags, scores = lines[0].split("\t")
    assert tags.split() == live["labels"][0] and lines[1] == ""
    expected = [f"{row.max():.4f}" for row in live["probabilities"][0]]
    assert scores.split() == expected


def test_evaluate_counts_masked_tokens_that_are_filled_in_right(tmp_path, monkeypatch, capsys):
    task = tiny.make_transformer("MaskedLM")
    (bias,) = (w for w in task.output_head.weights if w.shape == (tiny.TEXT_VOCABULARY + 1,))
    bias.assign(
        100.0 * (np.arange(bias.shape[0]) == 4)
    )  # It says the most frequent word everywhere.
    monkeypatch.setattr(evaluate, "load_any_task", lambda arguments: task)
    texts = 5 * tiny.TEXTS
    (tmp_path / "texts.txt").write_text("".join(f"{text}\n" for text in texts))
    command = ["evaluate", "preset", "--data", str(tmp_path / "texts.txt")]
    found = []
    for name in ("one.json", "two.json"):
        assert main([*command, "--json", str(tmp_path / name)]) == 0
        found.append(json.loads((tmp_path / name).read_text()))
    assert found[0] == found[1] and found[0]["sources"] == len(texts)
    right = count = 0.0
    for inputs, targets, weights in attnzoo.data.MaskedBatches(
        texts, task.preprocessor, batch_size=64, shuffle=False
    ):
        logits = task(keras.tree.map_structure(keras.ops.convert_to_tensor, inputs))
        best = tools.to_numpy(logits).argmax(axis=-1)
        right += np.sum((best == targets) * weights)
        count += np.sum(weights)
    assert 0 < right < count and found[0]["accuracy"] == pytest.approx(right / count, abs=1e-6)
    assert main([*command, "--metrics", "bleu"]) == 2
    assert "is measured by accuracy. Received: metrics=['bleu']" in capsys.readouterr().err


class Filling:
    def fill(self, texts, return_probabilities):
        return {"tokens": [[["good"], ["bad"]]], "probabilities": [[[0.5], [0.25]]]}


class Answering:
    def answer(self, pairs, return_spans):
        answers = [context for _, context in pairs]
        return {"answers": answers, "probabilities": np.array([0.75])}


class Classifying:
    def classify(self, texts, return_probabilities):
        return {"labels": ["good"], "probabilities": np.array([[0.25, 0.75]])}


class Embedding:
    def embed(self, texts):
        return np.array([[0.6, -0.8]])


@pytest.mark.parametrize(
    "task, line, said",
    [
        (Filling(), "[MASK] [MASK]", "good bad\t0.5000 0.2500"),
        (Answering(), "who sings\tthe bird", "the bird\t0.7500"),
        (Classifying(), "film", "good\t0.7500"),
        (Embedding(), "film", "0.600000 -0.800000"),
    ],
)
def test_predict_prints_what_a_task_of_each_kind_gives(task, line, said, monkeypatch, capsys):
    monkeypatch.setattr(predict, "load_any_task", lambda arguments: task)
    monkeypatch.setattr("sys.stdin", io.StringIO(line + "\n"))
    assert main(["predict", "preset", "--scores"]) == 0
    assert capsys.readouterr().out == said + "\n"


def test_a_question_needs_its_context(monkeypatch, capsys):
    monkeypatch.setattr(predict, "load_any_task", lambda arguments: Answering())
    monkeypatch.setattr("sys.stdin", io.StringIO("who sings\n"))
    assert main(["predict", "preset"]) == 2
    assert "Received: 'who sings'" in capsys.readouterr().err


def test_export_writes_whatever_task_it_is(tagger, monkeypatch, tmp_path, capsys):
    asked = []
    monkeypatch.setattr(
        attnzoo.export, "saved_model", lambda task, *args, **kwargs: asked.append((task, kwargs))
    )
    assert main(["export", str(tagger), str(tmp_path / "model"), "--inputs", "ids"]) == 0
    task, arguments = asked[0]
    assert isinstance(task, attnzoo.models.RNNTokenTagger)
    assert arguments == {"inputs": "ids", "overwrite": False}
    assert capsys.readouterr().out == f"{tmp_path / 'model'}\n"


@pytest.mark.parametrize(
    ("options", "name", "expected"),
    [
        ("--format onnx", "onnx", {}),
        ("--format litert --length 7", "litert", {"length": 7}),
        ("--format onnx-step --max-length 9", "step", {"format": "onnx", "max_length": 9}),
        ("--format litert-step --overwrite", "step", {"format": "litert", "overwrite": True}),
    ],
)
def test_export_has_a_format(options, name, expected, monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr("attnzoo.cli.export.load_any_task", lambda arguments: "the task")
    monkeypatch.setattr(attnzoo.export, name, lambda *args, **more: asked.append((args, more)))
    assert main(["export", "preset", str(tmp_path / "model"), *options.split()]) == 0
    assert asked == [(("the task", str(tmp_path / "model")), {"overwrite": False, **expected})]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--format onnx --length 7", "Received: --length 7 with --format onnx"),
        ("--format litert --inputs text", "Received: --inputs text with --format litert"),
    ],
)
def test_an_option_of_another_format_is_named(options, message, tmp_path, capsys):
    assert main(["export", "preset", str(tmp_path / "model"), *options.split()]) == 2
    assert message in capsys.readouterr().err


def test_weights_are_quantized_before_they_are_exported(tagger, monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(attnzoo.export, "onnx", lambda task, *args, **more: asked.append(task))
    line = f"export {tagger} {tmp_path / 'model'} --format onnx --quantize int8"
    assert main(line.split()) == 0
    assert "int8" in {keras.backend.standardize_dtype(one.dtype) for one in asked[0].weights}


def test_a_beam_is_for_a_task_that_generates(tagger, capsys):
    assert main(["predict", str(tagger), "--beam", "5"]) == 2
    assert "Received: --beam 5 for a RNNTokenTagger" in capsys.readouterr().err
    assert main(["predict", str(tagger), "--min-length", "5"]) == 2
    assert "Received: {'min_length': 5} for a RNNTokenTagger" in capsys.readouterr().err


def test_a_preset_of_an_unknown_task_is_told(tagger, tmp_path, capsys):
    copy = tmp_path / "preset"
    shutil.copytree(tagger, copy)
    record = json.loads((copy / "task.json").read_text())
    (copy / "task.json").write_text(json.dumps({**record, "registered_name": "zoo>Okapi"}))
    assert main(["predict", str(copy)]) == 2
    assert "no task of the name 'zoo>Okapi'" in capsys.readouterr().err


def test_plot_draws_a_page(preset, tmp_path):
    picture = tmp_path / "page.png"
    assert main(["plot", str(preset), "ab", "cab", "--output", str(picture)]) == 0
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_plot_draws_models_beside_each_other(preset, tmp_path):
    other = tmp_path / "run" / "preset"
    shutil.copytree(preset, other)
    arguments = ["plot", str(preset), "ab", "cab", "--target", "A B", "--target", "C A B"]
    for name in ("alone.png", "beside.png"):
        assert main([*arguments, "--output", str(tmp_path / name)]) == 0
        arguments += ["--beside", str(other)]
    alone, beside = (
        matplotlib.image.imread(tmp_path / name).shape for name in ("alone.png", "beside.png")
    )
    assert beside[0] > 1.5 * alone[0]  # A row a pair, where one model has both in a row.


def test_plot_wants_as_many_targets_as_sources(preset, tmp_path, capsys):
    status = main(["plot", str(preset), "ab", "ba", "--target", "A", "--output", "x.png"])
    assert status == 2 and "Received: 2 sources, 1 targets" in capsys.readouterr().err


def test_an_unknown_preset_is_told(capsys):
    assert main(["predict", "no_such_preset"]) == 2
    assert "Received: preset='no_such_preset'" in capsys.readouterr().err
