"""The distribution `attnzoo-runtime`: alone, and beside the whole package."""

import os
import pathlib
import subprocess
import sys
import zipfile

import numpy as np
import pytest

pytestmark = [pytest.mark.backend_free, pytest.mark.slow]

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder with the distribution alone, as its wheel has it."""
    folder = tmp_path_factory.mktemp("distribution")
    pip = [sys.executable, "-m", "pip"]
    subprocess.run(
        [*pip, "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ROOT / "runtime"], check=True
    )
    (wheel,) = folder.glob("attnzoo_runtime-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def run(program, *places):
    """What a process prints that finds nothing but these places, NumPy and the standard library."""
    numpy = pathlib.Path(np.__file__).parents[1]
    path = os.pathsep.join(map(str, [*places, numpy]))
    child = subprocess.run(
        [sys.executable, "-S", "-c", program],
        cwd=places[0],
        env={"PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert child.returncode == 0, child.stderr
    return child.stdout.split()


LOADED = (
    "import sys, attnzoo.runtime; print(attnzoo.runtime.__file__, attnzoo.runtime.Model.__module__,"
    "*({'keras', 'tensorflow', 'onnxruntime'} & set(sys.modules)))"
)


def test_alone_it_is_attnzoo_runtime_under_both_names(installed):
    assert run(LOADED, installed) == [
        str(installed / "attnzoo" / "runtime.py"),
        "attnzoo_runtime.model",
    ]


def test_beside_the_whole_package_that_one_is_read(installed):
    for places in ((ROOT, installed), (installed, ROOT)):
        file, module = run(LOADED, *places)
        assert file == str(ROOT / "attnzoo" / "runtime" / "__init__.py")
        assert module == "attnzoo.runtime.model"


def test_the_two_share_no_file(installed):
    ours = {path.relative_to(installed) for path in installed.rglob("*") if path.is_file()}
    assert not any((ROOT / path).exists() for path in ours)


def test_it_has_the_version_of_the_package_and_a_command(installed):
    import attnzoo

    (about,) = installed.glob("attnzoo_runtime-*.dist-info")
    assert about.name == f"attnzoo_runtime-{attnzoo.__version__}.dist-info"
    assert "attnzoo-run = attnzoo_runtime.command:main" in (about / "entry_points.txt").read_text()
