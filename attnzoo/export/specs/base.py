"""Serving specs: the inputs and outputs of SavedModels, and what they are compared with."""

import contextlib

import numpy as np

# How far numbers may be from what is expected. In float32 backends differ in the sum of a hundred
# log-probabilities by about 1e-5, for they add in different orders; a wrong weight or mask shows
# far above 1e-3.
TOLERANCE = 1e-3
# With 8 to 11 bits a number the last rounding decides more: this much, in a probability, in a
# feature of a unit vector, or in nats a token.
HALF_TOLERANCE = 0.1


class ServingSpec:
    """The inputs of a task's SavedModel, its graph, and the outputs of the live model.

    There is a subclass for each family of tasks, whose docstring says what its SavedModels take and
    give. It has

    - `task_cls`: the class of the family's tasks;
    - the constructor's keyword-only arguments: the family's options of `saved_model`, kept in
      `options` in a form that Keras can serialize;
    - `signature`, `pack` and `compute`: the graph;
    - `resources`: what the graph looks things up in;
    - `sample` and `run_live`: what the SavedModel is held to.

    Writing, running and comparing, here or in a child process, know no family.

    Args:
        task: The task.
        inputs: `"text"` or `"ids"`.

    Raises:
        ValueError: If texts are to go in and there is no preprocessor.
    """

    task_cls: type | None = None

    def __init__(self, task, inputs: str):
        if inputs == "text" and task.preprocessor is None:
            raise ValueError(
                '`inputs="text"` needs a task with a preprocessor, which has the tokenizers. Give '
                'it one, or pass `inputs="ids"`. Received: preprocessor=None'
            )
        self.task = task
        self.inputs = inputs
        self.options: dict[str, object] = {}
        # What stands behind a row that is shorter than others, where not 0.
        self.padding: dict[str, int | str] = {}

    # === In the graph ===

    def signature(self) -> dict:
        """Return the names of the inputs, with a `tf.TensorSpec` each."""
        raise NotImplementedError

    def pack(self, given: dict) -> dict:
        """Return the model's inputs, for those of the SavedModel."""
        raise NotImplementedError

    def compute(self, packed: dict) -> dict:
        """Return the outputs, for what `pack` returns."""
        raise NotImplementedError

    def resources(self) -> list:
        """Return the resources that a SavedModel of texts holds: lookup tables, or tokenizers."""
        raise NotImplementedError

    # === Beside the live model ===

    def sample(self) -> list:
        """A few inputs to compare on, of different lengths, the same in every run; or none."""
        raise NotImplementedError

    def run_live(self, verify: list) -> tuple[dict, dict]:
        """Run the live model on what to compare on.

        Args:
            verify: Inputs in Python, as `sample` gives them.

        Returns:
            What goes into the SavedModel, by the names of the signature, lists or arrays; and what
            should come out, by its names, NumPy arrays, batch first, with anything else that
            `expected` needs.
        """
        raise NotImplementedError

    def expected(self, live: dict, row: int, exported: dict) -> dict:
        """Return the outputs that a row of the SavedModel's is compared with.

        Args:
            live: What `run_live` gives.
            row: Which row.
            exported: The row as the SavedModel gives it.

        Returns:
            dict of the live model's row. Where it cannot tell between two choices, rounding may
            have decided for another: then that one is right too.
        """
        return {name: value[row] for name, value in live.items()}

    def tolerances(self, expected: dict) -> dict:
        """How far outputs may be from what is expected, where not `tolerance`.

        Args:
            expected: As `expected` gives it.
        """
        return {}

    @property
    def tolerance(self) -> float:
        """How far the numbers may be from the live model's."""
        return HALF_TOLERANCE if self.half else TOLERANCE

    def as_exported(self):
        """Return a context in which the task computes as the SavedModel does."""
        return contextlib.nullcontext()

    @property
    def half(self) -> bool:
        """Whether the model computes with fewer than 24 bits a number."""
        return self.task.backbone.compute_dtype != "float32"


def sample_texts(tokenizer, limit: int) -> list[str]:
    """A few texts of different lengths, made from a vocabulary, the same in every run.

    Args:
        tokenizer: A tokenizer that has its special ids.
        limit: The longest text, in tokens. Up to 100, one text is longer.

    Returns:
        The texts; none where the vocabulary has no token for one.
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
    """A few rows of ids of different lengths, each with its end token, the same in every run."""
    draw = np.random.default_rng(0)
    return [
        [*draw.integers(min(4, size - 1), size, length).tolist(), end]
        for length in (5, 1, 2, 11, 23)
    ]


def ordinary_ids(tokenizer) -> list[int]:
    """The ids of a vocabulary that text is made of."""
    names = ("pad_token_id", "unk_token_id", "start_token_id", "end_token_id", "mask_token_id")
    hidden = {getattr(tokenizer, name, None) for name in names}
    return [id for id in range(tokenizer.vocabulary_size()) if id not in hidden]


def pad_rows(rows, value):
    """Lists of different lengths as one array."""
    width = max(len(row) for row in rows)
    return np.array([[*row, *[value] * (width - len(row))] for row in rows], "int32")


def pad_to(array, shape, value=0):
    """An array, padded with a value at the ends of its axes."""
    missing = [(0, wanted - has) for wanted, has in zip(shape, np.shape(array), strict=True)]
    return np.pad(array, missing, constant_values=value) if missing else np.asarray(array)


def cut_padding_in_graph(packed: dict, mask) -> dict:
    """Return packed tensors [B, S] without the padding of every row; others as they are."""
    import tensorflow as tf

    lengths = tf.reduce_sum(tf.cast(mask, tf.int32), axis=1)
    longest = tf.maximum(tf.reduce_max(lengths), 1)  # Also where all are empty.
    return {
        name: value[:, :longest] if value.shape.rank == 2 else value
        for name, value in packed.items()
    }
