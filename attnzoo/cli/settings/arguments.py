"""The options of `attnzoo train` on the command line."""

import argparse
import ast
import json

from attnzoo.cli.settings.option import as_flag, own_fields, value_type
from attnzoo.cli.settings.parts import GROUPS, OPTIONS, requirement


def add_settings_arguments(parser: argparse.ArgumentParser):
    """Add one argument for each option, without a default, to tell given options from others."""
    for group in GROUPS:
        fields = own_fields(group)
        needs = requirement(fields[0].name).replace("`", "")
        title = (group.__doc__ or "").partition("\n")[0]
        section = parser.add_argument_group(f"{title} ({needs})" if needs else title)
        for field in fields:
            _add_argument(section, field)


def given_options(arguments: argparse.Namespace) -> dict:
    """Return the options that were given on the command line."""
    return {name: value for name, value in vars(arguments).items() if name in OPTIONS}


def _add_argument(section, field):
    kind = value_type(field)
    default = "" if field.default is None else f" (default: {field.default})"
    more = {"type": kind, "choices": field.metadata["choices"]}
    if kind is bool:
        more = {"action": argparse.BooleanOptionalAction}
        default = f" (default: {'yes' if field.default else 'no'})" if default else ""
    elif kind is dict:
        more = {"nargs": "+", "action": _NamedValues, "metavar": "NAME=VALUE"}
    section.add_argument(
        as_flag(field.name),
        default=argparse.SUPPRESS,
        help=field.metadata["help"].replace("%", "%%") + default,
        **more,
    )


class _NamedValues(argparse.Action):
    """Converts NAME=VALUE words to a dict."""

    def __call__(self, parser, namespace, values, option_string=None):
        options = {}
        for word in values:
            name, separator, value = word.partition("=")
            if not (name and separator):
                parser.error(f"{option_string} takes NAME=VALUE. Received: {word}")
            options[name] = _parse_value(value)
        setattr(namespace, self.dest, options)


def _parse_value(text: str):
    """Return a JSON or Python value, else the string: `false`, `False`, `1e-3`, `hard`."""
    for parse in (json.loads, ast.literal_eval):
        try:
            return parse(text)
        except (ValueError, SyntaxError):
            pass
    return text
