"""Pages of the reference: one a module, from its `__all__`, and one a public name.

They are written before Sphinx looks for pages, into `docs/api/`, and so are the notebooks' copies.
Nothing has to be listed by hand: a new public name has its page.
"""

import importlib
import inspect
import pathlib
import shutil

from docstrings import to_rest

DOCS = pathlib.Path(__file__).resolve().parents[1]
MODULES = (
    "layers",
    "ops",
    "models",
    "samplers",
    "data",
    "training",
    "export",
    "runtime",
    "importing",
    "plotting",
    "analysis",
    "presets",
)
# Folders whose names are no titles yet.
_TITLES = {"rnn": "Recurrent decoders and encoders", "scores": "Scores", "attention": "Attentions"}


def public_names(module: str) -> dict:
    """Return the public names of a module of attnzoo, each with its object."""
    loaded = importlib.import_module(f"attnzoo.{module}")
    return {name: getattr(loaded, name) for name in sorted(loaded.__all__)}


def summary(found) -> str:
    """Return the first paragraph of a docstring as one line; "" where there is none."""
    text = inspect.getdoc(found) if callable(found) else None
    return " ".join((text or "").split("\n\n")[0].split())


def group(module: str, found) -> str:
    """Return the heading that a public name stands under: its folder within the module."""
    if module not in ("layers", "models"):
        return ""
    parts = found.__module__.split(".")[2:-1]
    folder = parts[-1] if parts else "other"
    return _TITLES.get(folder, folder.replace("_", " ").capitalize())


def write_pages(folder) -> None:
    """Write the pages of all modules, and the table of them.

    Args:
        folder: Folder for the pages. What it holds is replaced.
    """
    folder = pathlib.Path(folder)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for module in MODULES:
        names = public_names(module)
        (folder / f"{module}.rst").write_text(_module_page(module, names), encoding="utf-8")
        (folder / module).mkdir()
        for name, found in names.items():
            if callable(found):
                page = _name_page(module, name, found)
                (folder / module / f"{name}.rst").write_text(page, encoding="utf-8")


def _module_page(module, names) -> str:
    title = f"attnzoo.{module}"
    lines = [title, "=" * len(title), ""]
    loaded = importlib.import_module(title)
    lines += [*to_rest(inspect.getdoc(loaded).splitlines()), ""]
    groups = {}
    for name, found in names.items():
        groups.setdefault(group(module, found), []).append(name)
    for heading in sorted(groups):
        if heading:
            lines += [heading, "-" * len(heading), ""]
        lines += [".. list-table::", "   :widths: 35 65", ""]
        for name in groups[heading]:
            if callable(names[name]):
                lines += [f"   * - :doc:`{name} <{module}/{name}>`"]
                lines += [f"     - {' '.join(to_rest([summary(names[name])]))}"]
            else:
                lines += [f"   * - ``{name}``", f"     - {_keys(names[name])}"]
        lines += [""]
    pages = [f"   {module}/{name}" for name, found in names.items() if callable(found)]
    return "\n".join([*lines, ".. toctree::", "   :hidden:", "", *pages, ""])


def _keys(table) -> str:
    """A table of names, in words."""
    return "A dict with the keys " + ", ".join(f"``{key}``" for key in table) + "."


def _name_page(module, name, found) -> str:
    lines = [name, "=" * len(name), ""]
    if not found.__module__.startswith("attnzoo"):
        library = found.__module__.split(".")[0]
        lines += [f".. py:class:: attnzoo.{module}.{name}{inspect.signature(found)}", ""]
        lines += [f"   {line}" for line in to_rest([summary(found)])]
        return "\n".join([*lines, "", f"   The class of {library}, whose own pages say more.", ""])
    if not inspect.isclass(found):
        return "\n".join([*lines, f".. autofunction:: attnzoo.{module}.{name}", ""])
    # Members that classes of other libraries define are documented there.
    others = [cls for cls in found.__mro__ if not cls.__module__.startswith("attnzoo")]
    lines += [f".. autoclass:: attnzoo.{module}.{name}", "   :members:"]
    lines += [f"   :inherited-members: {', '.join(dict.fromkeys(cls.__name__ for cls in others))}"]
    return "\n".join([*lines, ""])


def copy_notebooks(folder) -> None:
    """Copy the stored notebooks to where Sphinx finds them."""
    folder = pathlib.Path(folder)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for path in sorted((DOCS.parent / "notebooks").glob("*.ipynb")):
        shutil.copy(path, folder)


def setup(app):
    write_pages(DOCS / "api")
    copy_notebooks(DOCS / "notebooks")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
