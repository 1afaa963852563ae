"""README.md and the pages of docs/: they run, they link, and their numbers are the records'."""

import importlib.util
import inspect
import os
import pathlib
import re
import subprocess
import sys

import pytest

import attnzoo
from attnzoo.cli import leaderboard
from attnzoo.cli.table_pages import END

ROOT = pathlib.Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
README = ROOT / "README.md"
PAGES = sorted(DOCS.glob("*.md")) + sorted(DOCS.glob("guides/*.md"))
WRITTEN = [README, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]
RESULTS = [page for page in sorted(DOCS.glob("results/*.md")) if END in page.read_text("utf-8")]
sys.path.insert(0, str(DOCS / "extensions"))
import command_help  # noqa: E402
import preset_pages  # noqa: E402
import reference  # noqa: E402
import result_tables  # noqa: E402


def python_blocks(path):
    return re.findall(r"^```python\n(.*?)^```$", path.read_text("utf-8"), re.DOTALL | re.MULTILINE)


def run_blocks(path):
    """Run the blocks of a page from top to bottom, as a reader would."""
    names = {"__name__": path.stem}
    for number, block in enumerate(python_blocks(path), 1):
        exec(compile(block, f"{path.name}, block {number}", "exec"), names)


RUNNABLE = [path for path in PAGES if python_blocks(path)]


@pytest.mark.shared("torch")
def test_the_blocks_of_the_readme_run_from_top_to_bottom(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    assert len(python_blocks(README)) == 5
    run_blocks(README)


@pytest.mark.slow
@pytest.mark.shared("torch")
@pytest.mark.parametrize("path", RUNNABLE, ids=lambda path: path.stem)
def test_the_blocks_of_a_page_run_from_top_to_bottom(path, tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    run_blocks(path)


@pytest.mark.backend_free
def test_the_readme_fits_on_a_few_screens():
    assert len(README.read_text("utf-8").splitlines()) <= 220


@pytest.mark.backend_free
def test_the_figures_of_the_readme_are_those_of_the_records():
    text = README.read_text("utf-8")
    assert result_tables.update_front_page(text) == text


@pytest.mark.backend_free
@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_the_tables_of_runs_are_those_of_the_records(path, monkeypatch):
    monkeypatch.chdir(ROOT)
    text = path.read_text("utf-8")
    assert leaderboard.update_page(text) == text


@pytest.mark.backend_free
@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_and_pictures_of_a_page_exist(path):
    if path.is_relative_to(DOCS / "notebooks") or path.is_relative_to(DOCS / "_build"):
        pytest.skip("made by the build")
    text = re.sub(r"^```.*?^```$", "", path.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        place = target.partition("#")[0]
        if place and "://" not in place and not made_by_the_build(place):
            assert (path.parent / place).exists(), target


def made_by_the_build(place):
    return re.match(r"(\.\./)?(api|cards|notebooks)/", place) is not None


@pytest.mark.backend_free
def test_every_preset_has_a_page_with_its_card(tmp_path):
    preset_pages.write_cards(tmp_path / "cards")
    pages = {page.stem: page.read_text("utf-8") for page in (tmp_path / "cards").iterdir()}
    assert set(pages) == set(attnzoo.presets.PRESETS)
    for name, page in pages.items():
        assert page == attnzoo.presets.read_card(attnzoo.presets.PRESETS[name]).to_markdown()
        assert f"[`{name}`](cards/{name}.md)" in preset_pages.preset_list()


@pytest.mark.backend_free
def test_the_reference_has_every_public_module():
    assert set(reference.MODULES) == set(attnzoo.__all__) - {"__version__"}


@pytest.mark.backend_free
@pytest.mark.parametrize("module", reference.MODULES)
def test_every_public_name_has_a_docstring_with_a_summary(module):
    for name, found in reference.public_names(module).items():
        if callable(found):  # Else it is a table of names.
            assert inspect.getdoc(found), name
            summary = reference.summary(found)
            assert 10 <= len(summary) <= 400 and summary[-1] in ".:?", f"{name}: {summary}"


@pytest.mark.backend_free
@pytest.mark.parametrize("path", sorted(result_tables.MEASUREMENTS.iterdir()), ids=lambda p: p.stem)
def test_every_measurement_says_when_it_was_made_and_is_on_a_page(path):
    found = result_tables.measurement_record(path.stem)
    assert re.fullmatch(r"20\d\d-\d\d-\d\d", found["date"])
    pages = "".join(page.read_text("utf-8") for page in DOCS.rglob("*.md"))
    if path.stem != "trials":
        assert found["command"].startswith("python benchmarks/")
        assert f"measurement}} {path.stem}" in pages or f"difference}}`{path.stem}`" in pages
    else:
        for data in found["trials"]:
            assert f"trials}} {data}" in pages or f"trial}}`{data}/" in pages


@pytest.mark.backend_free
def test_a_score_of_no_evaluation_is_refused():
    with pytest.raises(ValueError, match="that a run has. Received: finnish/luong, beam 9, bleu"):
        result_tables.score("finnish/luong, beam 9, bleu")
    with pytest.raises(ValueError, match="must be in finnish.jsonl. Received: nobody"):
        result_tables.score("finnish/nobody, beam 5, exact_match")


@pytest.mark.backend_free
def test_the_help_of_every_command_is_on_a_page_of_one_width(monkeypatch):
    helps = command_help.helps()
    assert {"train", "evaluate", "leaderboard", "predict", "plot", "export", "demo"} <= set(helps)
    monkeypatch.setenv("COLUMNS", "40")
    assert command_help.helps() == helps
    assert os.environ["COLUMNS"] == "40"


@pytest.mark.backend_free
def test_docstrings_become_restructured_text():
    from docstrings import to_rest

    text = """Score of |w| for *args, in `Layer`s.

    w = g v / |v|

See [Bahdanau
et al.](https://arxiv.org/abs/1409.0473), *general*.

Args:
    width: In `features`, or **kwargs_.""".splitlines()
    assert to_rest(text) == [
        r"Score of \|w\| for \*args, in `Layer`\ s.",
        "",
        ".. code-block:: text",
        "",
        "    w = g v / |v|",
        "",
        "See `Bahdanau et al. <https://arxiv.org/abs/1409.0473>`__, *general*.",
        "",
        "Args:",
        r"    width: In `features`, or \*\*kwargs\_.",
    ]


@pytest.mark.slow
@pytest.mark.backend_free
def test_the_pages_are_built_without_a_warning_and_load_nothing_from_elsewhere(tmp_path):
    for package in ("sphinx", "myst_nb", "furo", "latex2mathml"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    built = subprocess.run(
        [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html"]
        + [str(DOCS), str(tmp_path)],
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stderr
    for page in tmp_path.rglob("*.html"):
        html = page.read_text("utf-8")
        loaded = re.findall(r"<(?:script|img|iframe|source)[^>]*\bsrc=\"([^\"]+)\"", html)
        loaded += re.findall(r"<link[^>]*\brel=\"stylesheet\"[^>]*\bhref=\"([^\"]+)\"", html)
        assert not [target for target in loaded if "//" in target.removeprefix("data:")], page
