"""Documentation that follows from the docstrings of the layers."""

import inspect
import re
import textwrap
from collections.abc import Iterable

_SECTION = re.compile(r"^(?=(?:Args|Call arguments|Returns|Raises|Example|References)\b)", re.M)


def summaries(layers: list) -> str:
    """Return one line for each layer: its name, and the first line of its docstring."""
    return "".join(f"\n    {one.__name__}: {_first_line(one)}" for one in layers)


def document_call(layer) -> None:
    """Give `call` of a layer's class the parts of the class's docstring that are about it.

    Args:
        layer: The class. One that inherits its `call`, or documents it, is left alone.
    """
    call = vars(layer).get("call")
    if call is None or call.__doc__:
        return
    _, *sections = _SECTION.split(inspect.getdoc(layer) or "")
    about = [one for one in sections if one.startswith(("Call arguments", "Returns"))]
    if about:
        body = "".join(about).replace("Call arguments", "Args", 1).rstrip()
        call.__doc__ = f"{_first_line(layer)}\n\n{body}\n"


def list_names(cls: type, names: Iterable[str]) -> None:
    """Put the names of a table where the docstring of a class says `NAMES`."""
    if not cls.__doc__:  # Python was told to keep none.
        return
    lines = [
        textwrap.fill(
            line.replace("NAMES", ", ".join(f'`"{name}"`' for name in names)),
            width=100,
            subsequent_indent=" " * (len(line) - len(line.lstrip()) + 4),
            break_long_words=False,
            break_on_hyphens=False,
        )
        if "NAMES" in line
        else line
        for line in cls.__doc__.split("\n")
    ]
    cls.__doc__ = "\n".join(lines)


def _first_line(layer) -> str:
    return (inspect.getdoc(layer) or "").split("\n", 1)[0]
