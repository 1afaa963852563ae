"""Serving spec of the masked language model: the best candidates for masked tokens."""

import numpy as np

from attnzoo.export.specs.text import TextSpec
from attnzoo.models.preprocessing import graph
from attnzoo.models.preprocessing.masking import MASK
from attnzoo.models.transformer_encoder.masked_lm import TransformerMaskedLM


class MaskedLMSpec(TextSpec):
    """A SavedModel that predicts masked tokens.

    It takes the inputs of `TextSpec`: texts with `"[MASK]"`, or ids with the mask token's id. It
        gives

    - `mask_positions`: int32 [B, M], the positions of the masks among the tokens, then -1;
    - `candidate_ids`: int32 [B, M, K], the most probable tokens for each, the best one first, then
      -1;
    - `candidates`: string [B, M, K], the same by name, then empty strings; with `inputs="text"`;
    - `probabilities`: float32 [B, M, K], then zeros.

    M is the largest number of masks in a text of the batch, and at least 1. A text without a mask,
    which the live model refuses, has no candidates.

    Args:
        task, inputs, return_alignments: As in `TextSpec`.
        num_candidates: K, the number of tokens for each mask. At least 1.

    Raises:
        ValueError: If there is no preprocessor, or `num_candidates` is not between 1 and the number
            of tokens.
    """

    task_cls = TransformerMaskedLM
    kind = "masked_lm"

    def __init__(self, task, inputs, *, return_alignments: bool = False, num_candidates: int = 5):
        if task.preprocessor is None:
            raise ValueError(
                "A masked language model needs its preprocessor, which knows the mask token. "
                "Received: preprocessor=None"
            )
        super().__init__(task, inputs, return_alignments=return_alignments)
        self.known = task.preprocessor.ordinary_token_ids
        if not 1 <= num_candidates <= len(self.known):
            raise ValueError(
                f"`num_candidates` must be in [1, {len(self.known)}]. "
                f"Received: num_candidates={num_candidates}"
            )
        self.num_candidates = num_candidates
        self.options["num_candidates"] = num_candidates
        self.padding |= {"mask_positions": -1, "candidate_ids": -1, "candidates": ""}

    def pack_text(self, given):
        return self.task.preprocessor.pack_masks(given["text"])

    def complete_inputs(self, packed):
        mask_id = self.task.preprocessor.mask_token_id
        return {**packed, **graph.find_masks(packed["token_ids"], mask_id)}

    def graph_outputs(self, results):
        import tensorflow as tf

        is_mask = results["is_mask"]
        found = tf.gather(results["probabilities"], self.known, axis=-1)  # [B, M, known tokens]
        probabilities, best = tf.math.top_k(found, self.num_candidates)
        ids = tf.gather(tf.constant(self.known), best)
        outputs = {
            "mask_positions": tf.where(is_mask, results["mask_positions"], -1),
            "candidate_ids": tf.where(is_mask[:, :, None], ids, -1),
            "probabilities": tf.where(is_mask[:, :, None], probabilities, 0.0),
        }
        if self.inputs == "text":
            candidates = tf.gather(tf.constant(self.token_names()), ids)
            outputs["candidates"] = tf.where(is_mask[:, :, None], candidates, "")
        return outputs

    def to_inputs(self, texts):
        """Return texts with a mask at the end, at the start, or at both."""
        forms = ("{} [MASK]", "[MASK] {}", "[MASK] {} [MASK]")
        return [MASK, *(forms[n % 3].format(text) for n, text in enumerate(texts))]

    def _is_taken(self, text):
        try:
            self.task.preprocessor.pack_masks([text])
        except ValueError:
            return False
        return True

    def pack_live(self, verify):
        return self.task.preprocessor.pack_masks(verify)

    def live_outputs(self, results, verify):
        is_mask = results["is_mask"]
        found = results["probabilities"][:, :, self.known]
        best = np.argsort(-found, axis=-1, kind="stable")[:, :, : self.num_candidates]
        ids = np.where(is_mask[:, :, None], self.known[best], -1)
        chances = np.take_along_axis(found, best, axis=-1) * is_mask[:, :, None]
        return {
            "mask_positions": np.where(is_mask, results["mask_positions"], -1),
            "candidate_ids": ids,
            "candidates": self._names(ids),
            "probabilities": chances,
            "found": found,
        }

    def _names(self, ids):
        """Return the tokens of ids, empty for -1."""
        return np.where(ids < 0, "", np.array(self.token_names())[ids])

    def expected(self, live, row, exported):
        """Return the live model's row, with the exported candidates if they are as probable."""
        expected = super().expected(live, row, exported)
        found, ids = expected.pop("found"), exported["candidate_ids"]
        masks = slice(len(ids))
        places = np.clip(np.searchsorted(self.known, ids), 0, len(self.known) - 1)
        chances = np.take_along_axis(found[masks], places, axis=-1)
        as_good = (ids >= 0) & (np.abs(chances - exported["probabilities"]) <= self.tolerance)
        expected["candidate_ids"] = expected["candidate_ids"].copy()
        expected["candidate_ids"][masks] = np.where(as_good, ids, expected["candidate_ids"][masks])
        expected["candidates"] = self._names(expected["candidate_ids"])
        return expected
