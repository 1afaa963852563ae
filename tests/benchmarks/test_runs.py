"""The README's leaderboards say what the records of the runs say."""

from pathlib import Path

import pytest

from attnzoo.cli.leaderboard import make_overview, make_table

pytestmark = pytest.mark.backend_free

ROOT = Path(__file__).parents[2]
RUNS = ROOT / "benchmarks" / "runs"
METRICS = {
    "cmudict": ["word_error_rate", "phoneme_error_rate"],
    "finnish": ["exact_match", "mean_edit_distance"],
    "latin": ["exact_match", "mean_edit_distance"],
    "turkish": ["exact_match", "mean_edit_distance"],
    "multi30k": ["bleu"],
    "sst2": ["accuracy"],
}


@pytest.mark.parametrize("data", sorted(path.name for path in RUNS.iterdir()))
def test_every_record_is_a_row_of_the_readme(data):
    runs = sorted((RUNS / data).iterdir())
    rows = make_table(runs, METRICS[data]).splitlines()[2:]
    readme = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert len(rows) >= len(runs)
    for row in rows:
        assert row in readme


def test_the_overview_is_of_the_records():
    folders = [RUNS / data for data in ("cmudict", "finnish", "latin", "turkish")]
    table = make_overview(folders, ["word_error_rate", "exact_match"], "beam 5")
    assert table in (ROOT / "README.md").read_text(encoding="utf-8")
