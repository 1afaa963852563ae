"""Serving specs: inputs and outputs of exported graphs, and the expected values of the outputs."""

import contextlib

import numpy as np

# Largest difference from the expected numbers. In float32, backends add in different orders, and
# differ by about 1e-5 in the sum of a hundred log-probabilities; a wrong weight or mask makes a
# difference far above 1e-3.
TOLERANCE = 1e-3
# With 8 to 11 bits a number rounding errors are larger: up to this much in a probability, in a
# feature of a unit vector, or in nats a token.
HALF_TOLERANCE = 0.1


class ServingSpec:
    """The inputs of a task's SavedModel, its graph, and the outputs of the live model.

    Each family of tasks has a subclass, whose docstring lists the inputs and outputs of its
    SavedModels. A subclass has

    - `task_cls`: the class of the family's tasks;
    - the constructor's keyword-only arguments: the family's options of `saved_model`, kept in
      `options` in a form that Keras can serialize;
    - `signature`, `pack` and `compute`: the graph;
    - `resources`: the lookup tables and tokenizers of the graph;
    - `sample` and `run_live`: the inputs and outputs that the SavedModel is compared with;
    - `kind`, and the names, with `inputs="ids"`, in graphs that are no SavedModels: see
      `portable_names`.

    The code that writes, runs and compares does not depend on the family.

    Args:
        task: The task.
        inputs: One of `input_kinds`.

    Raises:
        ValueError: If `inputs` is "text" and there is no preprocessor.
    """

    task_cls: type | None = None
    input_kinds: tuple[str, ...] = ("text", "ids")  # What the graph may take.
    kind = ""  # The family's name in `attnzoo.json`.
    # Portable graphs take and give numbers only, and no name is an input's and an output's. These
    # are the names of inputs and outputs there, if they are others. None leaves an output out.
    portable_names: dict[str, str | None] = {"token_ids": "ids"}

    def __init__(self, task, inputs: str):
        if inputs == "text" and task.preprocessor is None:
            raise ValueError(
                '`inputs="text"` needs a task with a preprocessor, which has the tokenizers. Give '
                'it one, or pass `inputs="ids"`. Received: preprocessor=None'
            )
        self.task = task
        self.inputs = inputs
        self.options: dict[str, object] = {}
        self.padding: dict[str, int | str] = {}  # Padding value of each output, if not 0.

    @property
    def gives_text(self) -> bool:
        """Whether the graph has the preprocessor, with its tokenizers."""
        return self.inputs != "ids" and self.task.preprocessor is not None

    # === In the graph ===

    def signature(self) -> dict:
        """Return a dict from the name of each input to its `tf.TensorSpec`."""
        raise NotImplementedError

    def pack(self, given: dict) -> dict:
        """Return the model's inputs for the SavedModel's inputs."""
        raise NotImplementedError

    def compute(self, packed: dict) -> dict:
        """Return the outputs for the model's inputs, as `pack` returns them."""
        raise NotImplementedError

    def resources(self) -> list:
        """Return the lookup tables or tokenizers that a SavedModel with text inputs holds."""
        raise NotImplementedError

    # === In a portable graph, with `inputs="ids"` ===

    def portable_name(self, name: str) -> str | None:
        """Return the name of an input or output in portable graphs, or None if it is not there."""
        return self.portable_names.get(name, name)

    def portable_signature(self, sizes=(None, None)) -> dict:
        """Return a dict from the name of each input to its `tf.TensorSpec`.

        Args:
            sizes: B and S, or None for any size.
        """
        import tensorflow as tf

        signature = {}
        for name, one in self.signature().items():
            name = self.portable_name(name)
            fixed = one.shape.as_list()
            shape = list(sizes) if len(fixed) == 2 else [sizes[0], *fixed[1:]]
            signature[name] = tf.TensorSpec(shape, one.dtype, name=name)
        return signature

    def compute_portable(self, given: dict) -> dict:
        """Return the outputs of a portable graph for its inputs."""
        given = {name: given[self.portable_name(name)] for name in self.signature()}
        return self.to_portable(self.compute(self.pack(given)))

    def to_portable(self, outputs: dict) -> dict:
        """Return the outputs of a portable graph for those of `compute`."""
        named = {self.portable_name(name): value for name, value in outputs.items()}
        named.pop(None, None)
        return named

    def from_portable(self, outputs: dict) -> dict:
        """Return arrays by the names of `compute` for the outputs of a portable graph."""
        names = {other: name for name, other in self.portable_names.items()}
        return {names.get(name, name): value for name, value in outputs.items()}

    def count_ids(self, given) -> int:
        """Return the number of ids of an input of the comparison, special ones counted."""
        raise NotImplementedError

    def padding_of(self, name: str):
        """Return the value that pads an input of `signature`."""
        raise NotImplementedError

    def decoding(self) -> dict | None:
        """Return how outputs are decoded, in a form that JSON can hold; None if they are not."""
        return None

    # === Beside the live model ===

    def sample(self) -> list:
        """Return a few inputs of different lengths, the same in every run, or an empty list."""
        raise NotImplementedError

    def run_live(self, verify: list) -> tuple[dict, dict]:
        """Run the live model on the inputs of the comparison.

        Args:
            verify: Inputs in Python, as `sample` gives them.

        Returns:
            The SavedModel's inputs, lists or arrays, by the names in the signature; and its
            expected outputs, NumPy arrays by name, batch first, with anything else that `expected`
            needs.
        """
        raise NotImplementedError

    def expected(self, live: dict, row: int, exported: dict) -> dict:
        """Return the expected outputs for one row of the SavedModel's outputs.

        Args:
            live: The outputs that `run_live` returns.
            row: Index of the row.
            exported: This row of the SavedModel's outputs.

        Returns:
            dict of the live model's row. If the best two choices are within the tolerance, rounding
            may have selected the other one, which is then the expected one.
        """
        return {name: value[row] for name, value in live.items()}

    def tolerances(self, expected: dict) -> dict:
        """Return the largest differences by output, for outputs that do not use `tolerance`.

        Args:
            expected: The outputs that `expected` returns.
        """
        return {}

    @property
    def tolerance(self) -> float:
        """Largest difference from the live model's numbers."""
        return HALF_TOLERANCE if self.half else TOLERANCE

    def as_exported(self):
        """Return a context in which the task computes as the SavedModel does."""
        return contextlib.nullcontext()

    @property
    def half(self) -> bool:
        """Whether the model computes with fewer than 24 bits a number."""
        return self.task.backbone.compute_dtype != "float32"


def sample_texts(tokenizer, limit: int) -> list[str]:
    """Return a few texts of different lengths from a vocabulary, the same in every run.

    Args:
        tokenizer: A tokenizer that has its special ids.
        limit: The longest text, in tokens. Up to 100, one text is longer.

    Returns:
        The texts; an empty list if the vocabulary has no ordinary token.
    """
    symbols, draw = ordinary_ids(tokenizer), np.random.default_rng(0)
    lengths = [5, 1, 2, 11, 23, *([limit + 2] if limit <= 100 else [])]
    texts = [
        tokenizer.detokenize([int(id) for id in draw.choice(symbols, length)])
        for length in lengths
        if symbols
    ]
    return [text for text in texts if text.strip()]


def sample_ids(size: int, end: int) -> list[list[int]]:
    """Return a few rows of ids of different lengths with end tokens, the same in every run."""
    draw = np.random.default_rng(0)
    return [
        [*draw.integers(min(4, size - 1), size, length).tolist(), end]
        for length in (5, 1, 2, 11, 23)
    ]


def ordinary_ids(tokenizer) -> list[int]:
    """Return the ids of a vocabulary that are no special tokens."""
    names = ("pad_token_id", "unk_token_id", "start_token_id", "end_token_id", "mask_token_id")
    hidden = {getattr(tokenizer, name, None) for name in names}
    return [id for id in range(tokenizer.vocabulary_size()) if id not in hidden]


def pad_rows(rows, value):
    """Return lists of different lengths as one padded array."""
    width = max(len(row) for row in rows)
    return np.array([[*row, *[value] * (width - len(row))] for row in rows], "int32")


def pad_to(array, shape, value=0):
    """Return an array, padded with a value at the ends of its axes."""
    missing = [(0, wanted - has) for wanted, has in zip(shape, np.shape(array), strict=True)]
    return np.pad(array, missing, constant_values=value) if missing else np.asarray(array)


def cut_padding_in_graph(packed: dict, mask) -> dict:
    """Return packed tensors [B, S, ...] without the columns that are padding in every row."""
    import tensorflow as tf

    lengths = tf.reduce_sum(tf.cast(mask, tf.int32), axis=1)
    longest = tf.maximum(tf.reduce_max(lengths), 1)  # Also where all are empty.
    return {
        name: value[:, :longest] if value.shape.rank > 1 else value
        for name, value in packed.items()
    }
