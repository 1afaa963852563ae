"""Turn docstrings, which are Markdown in small ways, into reStructuredText for Sphinx."""

import inspect
import re

# What is no plain text: a link, code, or an emphasis.
_PIECES = re.compile(
    r"\[(?P<words>[^\]\[]+)\]\((?P<link>https?://[^)\s]+)\)"
    r"|(?P<code>``[^`]+``|`[^`]+`)(?P<after>\w?)"
    r"|(?P<emphasis>(?<![\w*])(?P<stars>\*{1,2})(?![\s*])[^*\n]*[^\s*](?P=stars)(?![\w*]))"
    r"|(?P<plain>[*|]|(?<=\w)_(?!\w))"
)


def to_rest(lines: list[str]) -> list[str]:
    """Return the lines of a docstring as reStructuredText.

    A block that is indented below text at the margin is a formula or a piece of code, and stays as
    it is.
    """
    made, text = [], []

    def flush():
        made.extend(_escape("\n".join(text)).split("\n") if text else ())
        text.clear()

    margin, in_block = "", False
    for number, line in enumerate(lines):
        after_gap = number > 0 and not lines[number - 1].strip()
        if line.startswith("    ") and after_gap and not in_block and not _is_section(margin):
            in_block = True
            flush()
            made.extend([".. code-block:: text", ""])
        elif line.strip() and not line.startswith("    "):
            margin, in_block = line, False
        if in_block:
            made.append(line)
        else:
            text.append(line)
    flush()
    return made


def _is_section(line: str) -> bool:
    """Whether a line is the head of a section such as "Args:"."""
    return re.fullmatch(r"[A-Z][a-z]+( [a-z]+)?:", line) is not None


def _escape(text: str) -> str:
    """Return text with its links rewritten, and with what only looks like markup escaped."""

    def replace(found):
        if found["link"]:
            return f"`{' '.join(found['words'].split())} <{found['link']}>`__"
        if found["code"]:
            return found["code"] + (f"\\ {found['after']}" if found["after"] else "")
        return found["emphasis"] or "\\" + found["plain"]

    return _PIECES.sub(replace, text)


def _process(app, what, name, obj, options, lines):
    for number, line in enumerate(lines[:-1]):
        # Without names it is a section of plain text.
        if line == "Call arguments:" and not re.match(r"\s+[\w*, ]+: ", lines[number + 1]):
            lines[number] = "Call:"
    lines[:] = to_rest(lines)


def _sign(app, what, name, obj, options, signature, returned):
    """Take the signature of a class from its `__init__`: a layer's `__new__` takes anything."""
    if what == "class":
        init = inspect.signature(obj.__init__)
        return str(init.replace(parameters=list(init.parameters.values())[1:])), None
    return signature, returned


def setup(app):
    app.connect("autodoc-process-docstring", _process, priority=400)  # Before napoleon.
    app.connect("autodoc-process-signature", _sign)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
