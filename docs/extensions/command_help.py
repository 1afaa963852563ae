"""The help of each command, as `attnzoo COMMAND --help` prints it."""

import argparse
import os

WIDTH = 98  # columns


def helps() -> dict[str, str]:
    """Return the help of each command by its name."""
    from attnzoo.cli import make_parser

    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = str(WIDTH)
    try:
        (commands,) = (
            action
            for action in make_parser()._actions
            if isinstance(action, argparse._SubParsersAction)
        )
        return {name: parser.format_help() for name, parser in commands.choices.items()}
    finally:
        os.environ.pop("COLUMNS")
        if before is not None:
            os.environ["COLUMNS"] = before


def setup(app):
    from sphinx.util.docutils import SphinxDirective

    class CommandHelp(SphinxDirective):
        """`{command-help}`: a section for each command."""

        def run(self):
            pieces = [f"### {name}\n\n```text\n{text}```\n" for name, text in helps().items()]
            return self.parse_text_to_nodes("\n".join(pieces), allow_section_headings=True)

    app.add_directive("command-help", CommandHelp)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
