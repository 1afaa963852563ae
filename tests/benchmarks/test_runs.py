"""The records of runs: each makes its rows, and the script moves them without a loss."""

import sys
from pathlib import Path

import pytest

from attnzoo.cli.leaderboard import make_overview, make_table
from attnzoo.cli.run_records import read_folder, read_runs, to_line

pytestmark = pytest.mark.backend_free

ROOT = Path(__file__).parents[2]
RUNS = sorted((ROOT / "benchmarks" / "runs").iterdir())
each_file = pytest.mark.parametrize("file", RUNS, ids=lambda path: path.stem)
sys.path.insert(0, str(ROOT / "benchmarks"))
import records  # noqa: E402


@each_file
def test_every_record_has_a_row_and_its_history_or_a_note(file):
    runs = read_runs(file)
    assert [run.name for run in runs] == sorted({run.name for run in runs})
    rows = make_table([file]).splitlines()[2:]
    assert len(rows) == sum(len(run.evaluations) for run in runs)
    for run in runs:
        assert run.note or len(run.history["epoch"]) == run.training["epochs"]


@each_file
def test_a_line_is_written_as_it_was_read(file):
    assert [to_line(run) for run in read_runs(file)] == file.read_text("utf-8").splitlines()


def test_the_script_extracts_records_and_adds_them_again(tmp_path):
    file = next(path for path in RUNS if path.stem == "multi30k")
    records.main(["extract", str(file), str(tmp_path / "runs")])
    folders = sorted((tmp_path / "runs").iterdir())
    assert [read_folder(folder) for folder in folders] == read_runs(file)
    again = tmp_path / "again.jsonl"
    for part in (folders[1:], folders[:2]):  # The second is there already, and replaced.
        records.main(["add", str(again), *map(str, part)])
    assert again.read_text("utf-8") == file.read_text("utf-8")


def test_every_mechanism_stands_in_the_overview():
    files = [path for path in RUNS if path.stem in ("cmudict", "finnish", "latin", "turkish")]
    rows = make_overview(files, ["word_error_rate", "exact_match"], "beam 5").splitlines()[2:]
    full = [row for row in rows if "|  |" not in row]
    assert len(full) == 20
