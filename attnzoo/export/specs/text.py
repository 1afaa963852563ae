"""Base of the serving specs of tasks that read texts and generate none."""

import contextlib

import numpy as np

from attnzoo.export.specs.base import (
    ServingSpec,
    cut_padding_in_graph,
    pad_rows,
    sample_ids,
    sample_texts,
)
from attnzoo.models.preprocessing.masking import MASK

# The methods of a task that return alignments, and the names of these outputs.
_ALIGNMENTS = {"read_alignments": "alignments", "read_pooling": "pooling_alignments"}


class TextSpec(ServingSpec):
    """Base of the families that read texts and generate none.

    With `inputs="text"` the signature takes `text`, string [B], and gives, besides the family's
    outputs,

    - `token_ids`: int32 [B, S], the text's tokens with the special ones, then padding;
    - `tokens`: string [B, S], the same tokens by name; padding is empty.

    With `inputs="ids"` it takes `token_ids`, int32 [B, S], packed as the preprocessor packs them,
    then padding (without a preprocessor, 0), and gives the family's outputs.

    With `return_alignments=True` a task of the Transformer encoder gives two more:

    - `alignments`: float32 [B, L, N, S, S], of each head of each block, as `task.head_alignments`
      gives them;
    - `pooling_alignments`: float32 [B, 1, S], as `task.pooling_alignments` gives them, if the task
      pools a text into one vector.

    The attribute `method` names a method of the task. A subclass's `graph_outputs` and
    `live_outputs` turn the results of this method into the outputs.

    Args:
        task, inputs: As in `ServingSpec`.
        return_alignments: Whether to give the alignments of the heads and of the pooling.

    Raises:
        ValueError: If `return_alignments` is True, and the task has no heads.
    """

    method = "read"
    id_inputs: tuple[str, ...] = ("token_ids",)  # The inputs with `inputs="ids"`.

    def __init__(self, task, inputs, *, return_alignments: bool = False):
        super().__init__(task, inputs)
        if return_alignments and not task.backbone.has_heads:
            raise ValueError(
                "`return_alignments=True` is for the heads of a Transformer encoder; other tasks "
                "always return their alignments, if any. "
                f"Received: return_alignments=True for {type(task).__name__}"
            )
        more = [method for method in _ALIGNMENTS if return_alignments and hasattr(task, method)]
        self.methods = [self.method, *more]
        self.options = {"return_alignments": return_alignments}
        self.pad, self.end = 0, 3
        if task.preprocessor is not None:
            if not task.preprocessor.built:
                task.preprocessor.build(None)
            self.pad = task.preprocessor.tokenizer.pad_token_id
            self.end = task.preprocessor.tokenizer.end_token_id
        self.padding = {"token_ids": self.pad}

    # === In the graph ===

    def signature(self):
        import tensorflow as tf

        if self.inputs == "text":
            return {"text": tf.TensorSpec([None], tf.string, name="text")}
        return {"token_ids": tf.TensorSpec([None, None], tf.int32, name="token_ids")}

    def pack(self, given):
        """Return the model's inputs [B, S]; for texts, S is the length of the longest."""
        import tensorflow as tf

        if self.inputs == "text":
            packed = self.pack_text(given)
            return cut_padding_in_graph(packed, packed["padding_mask"])
        # An encoder needs at least one token; the mask marks it as padding.
        missing = tf.cast(tf.equal(tf.shape(given["token_ids"])[1], 0), tf.int32)
        packed = {
            name: tf.pad(value, [[0, 0], [0, missing]], constant_values=self.padding_of(name))
            for name, value in given.items()
        }
        return self.complete_inputs({**packed, "padding_mask": packed["token_ids"] != self.pad})

    def pack_text(self, given):
        """Return the model's inputs for texts in the graph, and what else `graph_outputs` needs."""
        return self.task.pack_texts(given["text"])

    def complete_inputs(self, packed):
        """Return the model's inputs in the graph, for ids and their mask."""
        return packed

    def count_ids(self, given):
        return int(np.sum(self.pack_live([given])["padding_mask"]))

    def padding_of(self, name):
        return self.pad if name == "token_ids" else False

    def compute(self, packed):
        import tensorflow as tf

        def read(method):
            return self.task.compute_results(
                {n: packed[n] for n in self.task.inputs_of(method)}, method
            )

        results = self._run_methods(read)
        outputs = {**self.graph_outputs({**packed, **results}), **_alignments_of(results)}
        if self.inputs == "text":
            outputs["token_ids"] = packed["token_ids"]
            tokens = tf.gather(tf.constant(self.token_names()), packed["token_ids"])
            outputs["tokens"] = tf.where(packed["padding_mask"], tokens, "")
        return outputs

    def _run_methods(self, read):
        """Return the results of all methods, each kind of alignments under its own name."""
        results = {}
        for method in self.methods:
            found = dict(read(method))
            if method in _ALIGNMENTS:
                found[_ALIGNMENTS[method]] = found.pop("alignments")
            results.update(found)
        return results

    def graph_outputs(self, results: dict) -> dict:
        """Return the outputs in the graph, for packed texts and the results of methods."""
        raise NotImplementedError

    def token_names(self) -> list[str]:
        """Return the tokens of all ids, in the order of ids."""
        tokenizer = self.task.preprocessor.tokenizer
        names = [tokenizer.id_to_token(id) for id in range(tokenizer.vocabulary_size())]
        return [*names, MASK]  # Only a masked language model has this id.

    def resources(self):
        tokenizer = self.task.preprocessor.tokenizer
        return [getattr(tokenizer, "lookup_table", tokenizer)]

    # === Beside the live model ===

    def sample(self):
        if self.task.preprocessor is None:
            return sample_ids(self.task.backbone.vocabulary_size, self.end)
        preprocessor = self.task.preprocessor
        texts = sample_texts(preprocessor.tokenizer, preprocessor.sequence_length)
        return [text for text in self.to_inputs(texts) if self._is_taken(text)]

    def to_inputs(self, texts: list[str]) -> list:
        """Return inputs of the task, made from texts of ordinary tokens."""
        return texts

    def _is_taken(self, text):
        """Return whether the preprocessor takes a text, which it may refuse for its length."""
        try:
            self.task.preprocessor.check_texts([text])
        except ValueError:
            return False
        return True

    def run_live(self, verify):
        packed = cut_padding(self.pack_live(verify))
        results = self._run_methods(lambda method: self.task.read_on_batch(packed, method))
        outputs = self.live_outputs({**packed, **results}, verify) | _alignments_of(results)
        if self.inputs == "text":
            outputs["token_ids"] = packed["token_ids"]
            outputs["tokens"] = np.where(
                packed["padding_mask"], np.array(self.token_names())[packed["token_ids"]], ""
            )
            return self.make_feeds(verify), outputs
        return {name: packed[name] for name in self.id_inputs}, outputs

    def make_feeds(self, verify) -> dict:
        """Return the inputs of a SavedModel with text inputs."""
        return {"text": verify}

    def pack_live(self, verify) -> dict:
        """Return the model's inputs for the comparison, and what else `live_outputs` needs."""
        if self.task.preprocessor is not None:
            self.task.preprocessor.check_texts(verify)
            return self.task.pack_texts(verify)
        token_ids = pad_rows(verify, self.pad)
        return {"token_ids": token_ids, "padding_mask": token_ids != self.pad}

    def live_outputs(self, results: dict, verify: list) -> dict:
        """Return the expected outputs, for packed texts and the live model's results."""
        raise NotImplementedError

    @contextlib.contextmanager
    def as_exported(self):
        """Return a context in which the task's preprocessor truncates without a warning."""
        preprocessor = self.task.preprocessor
        truncate = getattr(preprocessor, "truncate", None)
        if truncate == "warn":
            preprocessor.truncate = "silent"
        try:
            yield
        finally:
            if truncate == "warn":
                preprocessor.truncate = truncate


def _alignments_of(results):
    return {name: results[name] for name in _ALIGNMENTS.values() if name in results}


def cut_padding(packed):
    """Return packed texts, [B, S] each, without the columns that are padding in every text."""
    longest = int(np.flatnonzero(packed["padding_mask"].any(axis=0)).max(initial=0)) + 1
    return {name: np.asarray(value)[:, :longest] for name, value in packed.items()}


def pad_ragged(rows, value=0):
    """Return arrays [W, ...] of different lengths W as one padded array [B, W, ...]."""
    width = max(len(row) for row in rows)
    filled = [
        np.pad(row, [(0, width - len(row)), *[(0, 0)] * (row.ndim - 1)], constant_values=value)
        for row in rows
    ]
    return np.stack(filled)
