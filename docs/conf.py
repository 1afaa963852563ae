"""How Sphinx builds the pages: `make docs`."""

import os
import pathlib
import sys

DOCS = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(DOCS.parent), str(DOCS / "extensions")]
os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import attnzoo  # noqa: E402

project = "attnzoo"
author = "the attnzoo authors"
copyright = author
version = release = attnzoo.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "command_help",
    "docstrings",
    "mathml",
    "preset_pages",
    "result_tables",
    "reference",
]
exclude_patterns = ["_build", "extensions", "playground"]
html_theme = "furo"
html_static_path = ["static"]
html_css_files = ["style.css"]
html_title = f"attnzoo {version}"
html_show_sphinx = False
html_copy_source = False
# Nothing is loaded from another place: mathematics is MathML, and no page has widgets.
html_math_renderer = "mathml"
nb_ipywidgets_js = {}

# Notebooks are shown as they were stored: `make notebooks` runs them.
nb_execution_mode = "off"
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

default_role = "py:obj"
autodoc_inherit_docstrings = False
autodoc_member_order = "bysource"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_custom_sections = [("Call arguments", "params_style"), "Call", "Returns"]
suppress_warnings = ["config.cache"]
