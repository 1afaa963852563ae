"""What the leaderboard compares where nobody says by what, and what it leaves out."""

import json

import pytest

from attnzoo.cli import main
from attnzoo.cli.table_pages import END

pytestmark = pytest.mark.backend_free


def make_run(folder, task="seq2seq", **evaluations):
    """A finished run's folder, with these figures by the name of their evaluation."""
    folder.mkdir(parents=True)
    recipe = {"task": task, "model": "rnn", "attention": "bahdanau", "seed": 3}
    (folder / "recipe.json").write_text(json.dumps(recipe))
    training = {"parameters": 5, "epochs": 2, "seconds": 61.0, "seconds_since_last_start": 61.0}
    (folder / "metrics.json").write_text(json.dumps(training))
    for decoding, figures in evaluations.items():
        record = {"decoding": decoding, "sources": 7, **figures}
        (folder / f"{decoding}.json").write_text(json.dumps(record))
    return str(folder)


def table(*words, capsys, status=0):
    """The columns of metrics, the runs' names, and what was told; an error alone."""
    assert main(["leaderboard", *words]) == status
    said = capsys.readouterr()
    rows = [line.strip("| ").split(" | ") for line in said.out.splitlines()]
    return (rows[0][3:-4], [row[0] for row in rows[2:]], said.err) if rows else said.err


def test_it_takes_the_metrics_that_there_are(tmp_path, capsys):
    one = make_run(tmp_path / "one", "classifier", greedy={"accuracy": 0.5})
    two = make_run(tmp_path / "two", "classifier", greedy={"accuracy": 0.75})
    assert table(one, two, capsys=capsys) == (["accuracy"], ["two", "one"], "")
    figures = {"bleu": 20.0, "bleu_signature": "nrefs:1", "exact_match": 0.5}
    three = make_run(tmp_path / "three", greedy=figures)
    assert table(three, capsys=capsys)[0] == ["bleu", "exact_match"]
    four = make_run(tmp_path / "four", greedy={"bleu": 30.0}, beam={"bleu": 10.0})
    assert table(three, four, capsys=capsys)[:2] == (["bleu"], ["four", "three", "four"])
    rates = {"exact_match": 0.5, "word_error_rate": 0.5, "phoneme_error_rate": 0.25}
    five = make_run(tmp_path / "five", greedy=rates)
    assert table(five, capsys=capsys)[0] == ["word_error_rate", "phoneme_error_rate"]
    told = table(four, five, capsys=capsys, status=2)
    assert "must share a metric: give `--metrics`" in told and "Received: ['bleu', 'exact" in told
    assert table(four, five, "--metrics", "bleu", capsys=capsys, status=2)


def test_other_kinds_of_runs_are_left_out_with_a_note(tmp_path, capsys):
    spoken = make_run(tmp_path / "spoken", greedy={"word_error_rate": 0.5})
    classes = make_run(tmp_path / "classes", "classifier", greedy={"accuracy": 0.5})
    language = make_run(tmp_path / "language", "masked_lm")
    for options in ([], ["--metrics", "word_error_rate"]):
        for order in ([spoken, classes, language], [spoken, language, classes]):
            metrics, runs, told = table(*order, *options, capsys=capsys)
            assert (metrics, runs) == (["word_error_rate"], ["spoken"])
            assert f"{classes} is left out: it is a run of task='classifier'" in told
            assert f"{language} is left out: it is a run of task='masked_lm'" in told
    metrics, runs, told = table(language, classes, spoken, capsys=capsys)
    assert (metrics, runs) == (["accuracy"], ["classes"])  # Of the first run that was measured.
    _, runs, told = table(language, classes, spoken, "--metrics", "word_error_rate", capsys=capsys)
    assert runs == ["spoken"] and told.count("is left out") == 2


def test_a_run_that_was_not_measured_is_told(tmp_path, capsys):
    language = make_run(tmp_path / "language", "masked_lm")
    assert f"attnzoo evaluate {language}/preset" in table(language, capsys=capsys, status=2)
    done, open_ = make_run(tmp_path / "a", greedy={"bleu": 2.0}), make_run(tmp_path / "b")
    assert f"attnzoo evaluate {open_}/preset" in table(done, open_, capsys=capsys, status=2)


def test_the_preset_of_a_run_stands_for_the_run(tmp_path, capsys):
    run = make_run(tmp_path / "one", greedy={"bleu": 2.0})
    (tmp_path / "one" / "preset").mkdir()
    assert table(f"{run}/preset", capsys=capsys)[1] == ["one"]


def test_a_file_that_is_no_evaluation_is_no_row(tmp_path, capsys):
    run = make_run(tmp_path / "one", greedy={"bleu": 2.0})
    (tmp_path / "one" / "notes.json").write_text('["mine"]')
    (tmp_path / "one" / "facts.json").write_text('{"why": "because"}')
    assert table(run, capsys=capsys)[:2] == (["bleu"], ["one"])


def test_columns_side_by_side_have_each_their_own_metric(tmp_path, capsys):
    make_run(tmp_path / "spoken" / "one", greedy={"exact_match": 0.5, "word_error_rate": 0.25})
    make_run(tmp_path / "films" / "one", "classifier", greedy={"accuracy": 0.75})
    folders = [str(tmp_path / "spoken"), str(tmp_path / "films")]
    assert main(["leaderboard", "--side-by-side", *folders]) == 0
    head, _, row = capsys.readouterr().out.splitlines()
    assert head == "| run | spoken, word_error_rate | films, accuracy |"
    assert row == "| one | 25.0 % | 75.0 % |"


# === Pages ===


def test_the_tables_of_a_page_are_made_anew_by_their_commands(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    make_run(tmp_path / "one", "classifier", greedy={"accuracy": 0.5})
    page = tmp_path / "page.md"
    begin = "<!-- attnzoo leaderboard one --metrics\n     accuracy -->"
    page.write_text(f"# Runs\n\n{begin}\nold\n{END}\n\nMore.\n\n{begin}{END}\n")
    assert main(["leaderboard", "--update", "page.md"]) == 0
    assert main(["leaderboard", "one", "--metrics", "accuracy"]) == 0
    table = capsys.readouterr().out
    assert "50.0 %" in table
    expected = f"# Runs\n\n{begin}\n\n{table}\n{END}\n\nMore.\n\n{begin}\n\n{table}\n{END}\n"
    assert page.read_text() == expected
    assert main(["leaderboard", "--update", "page.md"]) == 0
    assert page.read_text() == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("# Runs\n", "needs a comment with its command, <!-- attnzoo leaderboard ... -->"),
        ("<!-- attnzoo leaderboard one -->", f"must end with {END}. Received: <!-- attnzoo lead"),
        (2 * "<!-- attnzoo leaderboard one -->" + END, f"must end with {END}. Received: <!-- att"),
        (f"<!-- attnzoo leaderboard one --size 3 -->{END}", "must be right: unrecognized arg"),
        (f"<!-- attnzoo leaderboard nowhere -->{END}", "A run must be in a .jsonl file"),
    ],
)
def test_a_page_that_cannot_be_updated_is_told(text, message, tmp_path, capsys):
    page = tmp_path / "page.md"
    page.write_text(text)
    assert main(["leaderboard", "--update", str(page)]) == 2
    told = capsys.readouterr().err
    assert message in told and f"Received: {page}" in told
    assert page.read_text() == text


def test_a_table_needs_runs_or_pages(capsys):
    for words in ([], ["one", "--update", "page.md"]):
        assert main(["leaderboard", *words]) == 2
        assert "A table needs runs, or `--update`" in capsys.readouterr().err
