"""Documentation that follows from the docstrings of the layers."""

import inspect
import re

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


def _first_line(layer) -> str:
    return (inspect.getdoc(layer) or "").split("\n", 1)[0]
