"""Records of runs: a folder and a line of a file say the same."""

import json
import pathlib
import re

import pytest

from attnzoo.cli import main
from attnzoo.cli.leaderboard import draw_curves, make_overview, make_table
from attnzoo.cli.run_records import RunRecord, read_folder, read_runs, to_line, write_folder

pytestmark = pytest.mark.backend_free

HISTORY = "epoch,loss,val_loss\r\n0,2.5,NA\r\n1,1e-05,0.1234567890123\r\n"


def make_folder(folder, name="one", attention="luong", history=HISTORY, **evaluations):
    """A finished run's folder, as the commands write it, with these figures."""
    folder = folder / name
    folder.mkdir(parents=True)
    files = {
        "recipe": {"task": "seq2seq", "attention": attention, "seed": 3, "note": "ß"},
        "metrics": {"parameters": 5, "epochs": 2, "seconds": 61.0, "seconds_since_last_start": 61},
        **{how: {"decoding": how, "bleu": value} for how, value in evaluations.items()},
    }
    for stem, content in files.items():
        (folder / f"{stem}.json").write_text(json.dumps(content, indent=2) + "\n")
    if history:
        (folder / "history.csv").write_text(history, newline="")
    return folder


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def make_file(path, *folders):
    path.write_text("".join(to_line(read_folder(folder)) + "\n" for folder in folders))
    return path


@pytest.mark.parametrize("history", [HISTORY, ""])
def test_a_folder_comes_back_from_its_line_byte_for_byte(tmp_path, history):
    folder = make_folder(tmp_path / "before", history=history, greedy=20.0, beam=21.5)
    (record,) = read_runs(make_file(tmp_path / "runs.jsonl", folder))
    assert record == read_folder(folder)
    write_folder(record, tmp_path / "after")
    assert contents(tmp_path / "after" / "one") == contents(folder)


def test_a_file_of_records_makes_the_same_tables_and_curves_as_folders(tmp_path):
    folders = [
        make_folder(tmp_path / "runs", "one", greedy=20.0),
        make_folder(tmp_path / "runs", "two", "hard", greedy=30.0),
    ]
    file = make_file(tmp_path / "runs.jsonl", *folders)
    assert make_table([file]) == make_table(folders)
    assert make_overview([file]) == make_overview([tmp_path / "runs"])
    (one, other) = (draw_curves(runs, "loss").axes[0].get_lines() for runs in ([file], folders))
    assert [line.get_xydata().tolist() for line in one] == [
        line.get_xydata().tolist() for line in other
    ]


def test_the_command_reads_files_and_folders_together(tmp_path, capsys):
    file = make_file(tmp_path / "runs.jsonl", make_folder(tmp_path, "one", greedy=20.0))
    other = make_folder(tmp_path, "two", greedy=30.0)
    assert main(["leaderboard", str(file), str(other)]) == 0
    rows = capsys.readouterr().out.splitlines()[2:]
    assert [row.split(" | ")[0] for row in rows] == ["| two", "| one"]


def test_runs_of_one_name_are_told_apart_by_their_file(tmp_path):
    folder = make_folder(tmp_path, greedy=20.0)
    file = make_file(tmp_path / "runs.jsonl", folder)
    (legend,) = draw_curves([file, folder], "loss").legends
    assert [text.get_text() for text in legend.get_texts()] == [f"{file}/one", str(folder)]


def test_a_record_that_was_read_nowhere_goes_by_its_name():
    record = RunRecord("one", recipe={}, training={}, evaluations={})
    assert record.full_name() == "one"


def test_a_run_without_history_has_no_curve(tmp_path):
    file = make_file(tmp_path / "runs.jsonl", make_folder(tmp_path, history="", greedy=20.0))
    message = f"must have its history.csv. Received: run={file}/one, without history.csv"
    with pytest.raises(ValueError, match=re.escape(message)):
        draw_curves([file])


@pytest.mark.parametrize("line", ["{", "[]", '{"name": "one"}', '{"surprise": 1}'])
def test_a_line_that_is_no_record_is_told_with_its_number(tmp_path, line):
    file = make_file(tmp_path / "runs.jsonl", make_folder(tmp_path))
    file.write_text(file.read_text() + line + "\n")
    with pytest.raises(ValueError, match="record of a run. Received: .*runs.jsonl, line 2: "):
        read_runs(file)


def test_a_folder_without_a_finished_run_is_refused(tmp_path):
    with pytest.raises(ValueError, match="`attnzoo train` has finished. Received: run="):
        read_runs(pathlib.Path(tmp_path))
