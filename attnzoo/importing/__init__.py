"""Weights of other packages, from a file that you have, as tasks of attnzoo.

Each format is a map from the names of the package's weights to ours. The sizes of a model follow
from the shapes of its weights; what no weight tells is an option.
"""

from attnzoo.importing.files import read_weights
from attnzoo.importing.formats import FORMATS, WeightFormat, import_weights

__all__ = ["FORMATS", "WeightFormat", "import_weights", "read_weights"]
