"""The built-in presets: their names, and where their files lie.

A preset is named family_size_data. `from_preset(name)` loads it.
"""

import pathlib

PRESETS: dict[str, pathlib.Path] = {}

__all__ = ["PRESETS"]
