"""`attnzoo.runtime` where only attnzoo-runtime is installed.

There `attnzoo` is a namespace without an `__init__.py`. Beside the whole package this file is never
read: its `attnzoo/runtime/` comes first.
"""

from attnzoo_runtime import Model

__all__ = ["Model"]
