"""The settings of `attnzoo train`: groups of options with help, limits and the objects they make.

A group is a dataclass, and an option is one of its fields. A run has only the groups, and thus the
options, of its task and model (`parts.py`).
"""

from attnzoo.cli.settings.settings import Settings, make_settings, of_record

__all__ = ["Settings", "make_settings", "of_record"]
