"""Serving spec of sequence-to-sequence tasks: outputs with their scores and alignments.

text -> tokenize -> decode -> token ids -> detokenize -> text
                      |
                      +-> scores, alignments

`generate` calls the same function `decode`: see `attnzoo.models.tasks.decoding`.
"""

import contextlib
import dataclasses

import numpy as np
from keras import ops

from attnzoo.export.specs.base import (
    HALF_TOLERANCE,
    ServingSpec,
    cut_padding_in_graph,
    ordinary_ids,
    pad_rows,
    pad_to,
    sample_ids,
    sample_texts,
)
from attnzoo.models.tasks.decoding import name_outputs
from attnzoo.models.tasks.seq2seq import Seq2SeqTask
from attnzoo.samplers import BeamSampler, GreedySampler


@dataclasses.dataclass(frozen=True)
class SpecialIds:
    """The special ids of a task."""

    source_pad: int = 0
    source_end: int = 3
    pad: int = 0
    start: int = 2
    end: int = 3

    @classmethod
    def of(cls, task):
        preprocessor = task.preprocessor
        if preprocessor is None:
            return cls()
        if not preprocessor.built:
            preprocessor.build(None)
        target = preprocessor.tokenizer
        source = getattr(preprocessor, "source_tokenizer", target)  # A picture has none.
        return cls(
            source.pad_token_id,
            source.end_token_id,
            target.pad_token_id,
            target.start_token_id,
            target.end_token_id,
        )


class Seq2SeqSpec(ServingSpec):
    """A SavedModel that generates outputs.

    With `inputs="text"` the signature takes `text`, string [B], and gives

    - `text`: string [B], or [B, N] for a sampler that returns N > 1 hypotheses, best first;
    - `token_ids`: int32 [B, T], or [B, N, T]; the output's tokens with the end token, without the
      start token, then padding;
    - `scores`: float32 [B], or [B, N], in nats, as `task.generate(..., return_scores=True)` gives
      them;
    - `alignments`: float32 [B, T, S], of the best hypothesis: row t is output token t, column s is
      source token s, end tokens included; padding has zeros.

    With `inputs="ids"` it takes `token_ids`, int32 [B, S], whole sources with their end token, then
    padding, and gives the same outputs without `text`. The ids of padding, start and end come from
    the preprocessor's tokenizers; without a preprocessor they are 0, 2 and 3, as in the tokenizers
    of attnzoo. A pointer-generator takes texts only; `token_ids` from V on are then symbols of the
    source, V + their first position.

    Args:
        task, inputs: As in `ServingSpec`.
        sampler: `"greedy"`, `"beam"` (5 beams) or an `attnzoo.samplers.BeamSampler`; None takes the
            one that the task was compiled with.
        max_length: Longest output, in tokens, with start and end token. At least 2. None takes the
            preprocessor's `decoder_sequence_length`.

    Raises:
        ValueError: If an argument is none of the above, or `inputs` is "ids" for a
            pointer-generator.
    """

    task_cls = Seq2SeqTask
    kind = "seq2seq"

    def __init__(self, task, inputs, *, sampler=None, max_length: int | None = None):
        super().__init__(task, inputs)
        if inputs == "ids" and getattr(task.backbone, "pointer_generator", False):
            raise ValueError(
                'A pointer-generator copies symbols of texts: use `inputs="text"`. '
                'Received: inputs="ids", pointer_generator=True'
            )
        if max_length is None and task.preprocessor is None:
            raise ValueError(
                "`max_length` must be given where there is no preprocessor to take it from. "
                "Received: max_length=None"
            )
        if max_length is not None and max_length < 2:
            raise ValueError(
                "`max_length` must be at least 2: a start token and one more. "
                f"Received: max_length={max_length}"
            )
        self.sampler = _get_sampler(task, sampler)
        self.max_length = max_length or task.preprocessor.decoder_sequence_length
        task.check_generated(max_length=self.max_length)
        beam = isinstance(self.sampler, BeamSampler)
        self.options = {
            "sampler": self.sampler if beam else "greedy",
            "max_length": self.max_length,
        }
        self.special = SpecialIds.of(task)
        self.padding = {"token_ids": self.special.pad}

    # === In the graph ===

    def signature(self):
        import tensorflow as tf

        if self.inputs == "text":
            return {"text": tf.TensorSpec([None], tf.string, name="text")}
        return {"token_ids": tf.TensorSpec([None, None], tf.int32, name="token_ids")}

    def pack(self, given):
        """Return the model's inputs [B, S] for the sources; S is the longest source's length."""
        import tensorflow as tf

        if self.inputs == "ids":
            real = tf.not_equal(given["token_ids"], self.special.source_pad)
            return {"encoder_token_ids": given["token_ids"], "encoder_padding_mask": real}
        packed = self.task.preprocessor.pack_sources(given["text"])
        packed = cut_padding_in_graph(packed, packed["encoder_padding_mask"])
        return {**packed, "encoder_text": given["text"]}

    def compute(self, packed):
        """Decode sources with `attnzoo.models.tasks.decoding.decode`."""
        special = self.special
        decoded = self.task.generate_step(
            self.add_prompt(packed),
            stop_token_ids=(special.end,),
            return_alignments=True,
            steps_of=_longest,
        )
        results = name_outputs(decoded, special.pad)
        if self.gives_text:
            results["text"] = self._detokenize(decoded, packed)
        return results

    def _detokenize(self, decoded, packed):
        """Return strings [...] for ids [..., L]."""
        import tensorflow as tf

        tokens, names = decoded["decoder_token_ids"], ("decoder_token_ids", "decoder_padding_mask")
        flat = {name: tf.reshape(decoded[name], [-1, tf.shape(tokens)[-1]]) for name in names}
        return tf.reshape(self.postprocess(flat, packed), tf.shape(tokens)[:-1])

    def add_prompt(self, packed):
        """Return the model's inputs with the start token of each output, [B, L]."""
        import tensorflow as tf

        special, memory = self.special, self.fill(packed)
        batch = tf.shape(next(iter(memory.values())))[0]
        first = tf.range(self.max_length) == 0  # [L]
        prompt = tf.where(first, special.start, special.pad)
        return {
            **memory,
            "decoder_token_ids": tf.tile(prompt[None, :], [batch, 1]),  # [B, L]
            "decoder_padding_mask": tf.tile(first[None, :], [batch, 1]),
        }

    def fill(self, packed):
        """Return the model's inputs with at least one place, which a loop needs."""
        import tensorflow as tf

        memory = {name: value for name, value in packed.items() if name != "encoder_text"}
        length = tf.shape(memory["encoder_token_ids"])[1]
        if_none = [[0, 0], [0, tf.cast(tf.equal(length, 0), tf.int32)]]
        # The mask marks it as padding.
        return {name: tf.pad(value, if_none) for name, value in memory.items()}

    def postprocess(self, decoded, packed):
        """Return the strings of outputs [R, L], several for each source."""
        import tensorflow as tf

        sources = packed["encoder_text"]
        several = tf.shape(decoded["decoder_token_ids"])[0] // tf.shape(sources)[0]
        sources = tf.repeat(sources, several)
        return self.task.preprocessor.generate_postprocess({**decoded, "encoder_text": sources})

    def resources(self):
        preprocessor = self.task.preprocessor
        source, target = preprocessor.source_tokenizer, preprocessor.tokenizer
        resources = [getattr(source, "lookup_table", source)]
        if not hasattr(target, "lookup_table"):
            resources.append(target)
        elif getattr(preprocessor, "pointer_generator", False):
            resources.append(target.lookup_table)  # Copies are looked up by text.
        return resources

    # === In a portable graph ===

    # `token_ids` are an input and an output.
    portable_names = {"token_ids": "source_ids"}

    def to_portable(self, outputs):
        """Return `ids` int32 [B, N, T], `scores` [B, N] and `alignments` [B, T, S]."""
        ids, scores = outputs["token_ids"], outputs["scores"]
        if ids.shape.rank == 2:
            ids, scores = ids[:, None], scores[:, None]
        return {"ids": ids, "scores": scores, "alignments": outputs["alignments"]}

    def from_portable(self, outputs):
        outputs = {"token_ids": outputs["ids"], **outputs}
        if outputs["alignments"].ndim == 4:  # Of a loop outside, for every hypothesis.
            outputs["alignments"] = outputs["alignments"][:, 0]
        if getattr(self.sampler, "num_hypotheses", 1) == 1:
            one = {name: outputs[name][:, 0] for name in ("token_ids", "scores")}
            outputs = {**outputs, **one}
        return outputs

    def count_ids(self, given):
        return int(self._pack_live([given])["encoder_padding_mask"].sum())

    def padding_of(self, name):
        return self.special.source_pad

    def decoding(self):
        """Return the sampler, its options, the largest length and the special ids."""
        special = self.special
        ids = {"start": special.start, "end": special.end, "padding": special.pad}
        decoding = {"sampler": "greedy", "max_length": self.max_length, **ids}
        if isinstance(self.sampler, BeamSampler):
            options = self.sampler.get_config()
            names = ("num_beams", "num_hypotheses", "length_penalty", "coverage_penalty")
            decoding |= {"sampler": "beam", **{name: options[name] for name in names}}
        return decoding

    # === Beside the live model ===

    def sample(self):
        preprocessor = self.task.preprocessor
        if preprocessor is None:
            size = self.task.backbone.source_vocabulary_size
            return sample_ids(size, self.special.source_end)
        tokenizer = preprocessor.source_tokenizer
        texts = sample_texts(tokenizer, preprocessor.encoder_sequence_length)
        if texts and getattr(preprocessor, "pointer_generator", False):
            symbols = ordinary_ids(tokenizer)
            # As text, the name of the unknown token is a symbol outside every vocabulary.
            texts.append(tokenizer.detokenize([tokenizer.unk_token_id, symbols[0], symbols[-1]]))
        return texts

    def run_live(self, verify):
        task, special = self.task, self.special
        batch = self._pack_live(verify)
        decoded = task.compiled_methods(
            "generate_step", batch, stop_token_ids=(special.end,), return_alignments=True
        )
        outputs = name_outputs(decoded, special.pad)
        outputs = {name: ops.convert_to_numpy(value) for name, value in outputs.items()}
        if task.preprocessor is not None:
            decoded["encoder_text"] = verify
            outputs["text"] = np.array(task.preprocessor.generate_postprocess(decoded), dtype="U")
        return self.make_feeds(verify, batch), {**outputs, "batch": batch}

    def make_feeds(self, verify, batch) -> dict:
        """Return the SavedModel's inputs, given the live model's."""
        if self.inputs == "text":
            return {"text": verify}
        return {"token_ids": batch["encoder_token_ids"].astype("int32")}

    def _pack_live(self, verify):
        """Return the model's inputs for the sources, with the start token of each output."""
        special = self.special
        if self.task.preprocessor is not None:
            batch = self.task.preprocessor.generate_preprocess(
                verify, sequence_length=self.max_length
            )
            return {name: ops.convert_to_numpy(value) for name, value in batch.items()}
        prompt = np.full((len(verify), self.max_length), special.pad, "int32")
        prompt[:, 0] = special.start
        return {
            **self.pack_sources(verify),
            "decoder_token_ids": prompt,
            "decoder_padding_mask": np.arange(self.max_length)[None, :] + 0 * prompt == 0,
        }

    def pack_sources(self, verify) -> dict:
        """Return the model's inputs for sources of a task without a preprocessor."""
        source = pad_rows(verify, self.special.source_pad)
        real = source != self.special.source_pad
        return {"encoder_token_ids": source, "encoder_padding_mask": real}

    def replay_live(self, batch, tokens, kept):
        """Return the live model's alignments and scores for given outputs."""
        given = {**batch, "decoder_token_ids": tokens, "decoder_padding_mask": kept}
        return self.task.replay_on_batch(given)

    def expected(self, live, row, exported):
        """Return the live model's row; if rounding led to another output, only its alignments."""
        expected = {name: value[row] for name, value in live.items() if name != "batch"}
        tokens, live_tokens = exported["token_ids"], expected["token_ids"]
        tokens = pad_to(tokens, np.maximum(tokens.shape, live_tokens.shape), self.special.pad)
        if not self.half or np.array_equal(tokens, live_tokens):
            return expected
        return {"alignments": self._alignments_of(live["batch"], row, tokens)}

    def _alignments_of(self, batch, row, token_ids):
        """Return the live model's alignments for the SavedModel's best hypothesis."""
        special = self.special
        best = token_ids[0] if token_ids.ndim == 2 else token_ids
        length = batch["decoder_token_ids"].shape[1]
        whole = pad_to(np.concatenate([[special.start], best]), (length,), special.pad)
        ended = np.cumsum(whole == special.end)
        kept = (ended == 0) | ((whole == special.end) & (ended == 1))
        tokens, mask = np.array(batch["decoder_token_ids"]), np.array(batch["decoder_padding_mask"])
        tokens[row], mask[row] = whole, kept
        return self.replay_live(batch, tokens, mask)["alignments"][row]

    def tolerances(self, expected):
        """Return the tolerance of scores; in half precision it grows with the number of tokens."""
        if not self.half or "token_ids" not in expected:
            return {}
        # At least one token: the end.
        length = max(1, int(np.count_nonzero(expected["token_ids"] != self.special.pad)))
        return {"scores": HALF_TOLERANCE * length}

    @contextlib.contextmanager
    def as_exported(self):
        """Return a context in which the task has the sampler and truncates like the SavedModel."""
        before, self.task.sampler = self.task.sampler, self.sampler
        preprocessor = self.task.preprocessor
        truncate = getattr(preprocessor, "truncate", None)
        if truncate is not None:
            preprocessor.truncate = "silent"
        try:
            yield
        finally:
            if truncate is not None:
                preprocessor.truncate = truncate
            self.task.sampler = before


def _longest(mask):
    """Return the steps of the longest output in a batch, for its mask bool [..., L]."""
    import tensorflow as tf

    return tf.reduce_max(tf.reduce_sum(tf.cast(mask, tf.int32), axis=-1))


def _get_sampler(task, sampler):
    """Return the sampler of the argument or of `compile`; raise if it is not deterministic."""
    named = {"greedy": GreedySampler, "beam": BeamSampler}
    if isinstance(sampler, str) and sampler in named:
        return named[sampler]()
    chosen = task.sampler if sampler is None else sampler
    if not isinstance(chosen, (GreedySampler, BeamSampler)):
        name = repr(chosen) if isinstance(chosen, str) else type(chosen).__name__
        raise ValueError(
            "A SavedModel is compared with the live model, so its sampler must be deterministic: "
            'pass `sampler="greedy"`, "beam" or an `attnzoo.samplers.BeamSampler`. '
            f"Received: sampler={name}" + (", from `compile`" if sampler is None else "")
        )
    return chosen
