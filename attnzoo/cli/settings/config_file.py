"""The settings of a run in a file, YAML or JSON: `run.yaml`, or a run's `recipe.json`."""

from collections.abc import Mapping, Sequence

from attnzoo.cli.settings.option import check_value, value_type
from attnzoo.cli.settings.parts import OPTIONS, explain_unknown


def read_config(path: str, others: Sequence[str] = ()) -> dict:
    """Return the options in a file, by names with underscores.

    Args:
        path: The file: a mapping from names of options, with hyphens or underscores, to values.
        others: Names allowed in the file besides the options of settings.

    Raises:
        ValueError: If the file is no such mapping, a name is unknown or repeated, or a value does
            not have its option's type or range. The message has the line.
    """
    import yaml

    with open(path, encoding="utf-8") as file:
        loader = yaml.SafeLoader(file)
        try:
            return _read_mapping(loader, loader.get_single_node(), path, others)
        except yaml.YAMLError as error:
            raise ValueError(f"{path} is no YAML: {error}") from error
        finally:
            loader.dispose()


def write_config(options: Mapping) -> str:
    """Return options as YAML, with their names on the command line."""
    import yaml

    named = {name.replace("_", "-"): value for name, value in options.items()}
    return yaml.safe_dump(named, sort_keys=False, allow_unicode=True)


def _read_mapping(loader, node, path, others):
    import yaml

    if not isinstance(node, yaml.MappingNode):
        raise ValueError(f"A file of settings must map names to values. Received: {path}")
    found = {}
    for key, value in node.value:
        name = str(key.value).replace("-", "_")
        place = f"{path}, line {key.start_mark.line + 1}: "
        if name not in OPTIONS and name not in others:
            known = [one.replace("_", "-") for one in (*OPTIONS, *others)]
            raise ValueError(place + explain_unknown(name.replace("_", "-"), known))
        if name in found:
            raise ValueError(f"{place}an option must not be repeated. Received: {key.value}")
        found[name] = loader.construct_object(value, deep=True)
        if name in OPTIONS:
            found[name] = _convert(OPTIONS[name], found[name], place)
    return found


def _convert(field, value, place):
    """Return the value converted to its option's type: 1e-3 is a string in YAML."""
    if value_type(field) is float and isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            pass  # The check raises.
    try:
        check_value(field, value)
    except ValueError as error:
        raise ValueError(place + str(error)) from error
    return value
