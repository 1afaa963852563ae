"""The settings of `attnzoo train`: groups of options that hold their help, limits and making.

A group is a dataclass, and an option is one of its fields. A run has the groups of its task and
model (`parts.py`), so that an option that it lacks does not exist in its settings.
"""

from attnzoo.cli.settings.settings import Settings, make_settings, of_record

__all__ = ["Settings", "make_settings", "of_record"]
