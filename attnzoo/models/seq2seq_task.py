"""What every sequence-to-sequence task shares: training, generation, alignments, presets."""

import keras
import keras_hub
import numpy as np
from keras import ops

from attnzoo.models.reinforce_model import ReinforceMixin
from attnzoo.models.samples import as_strings, need_as_many
from attnzoo.models.scheduled_sampling import ScheduledSampling, check_probability
from attnzoo.models.task_mixin import TaskMixin
from attnzoo.samplers import BeamSampler


class Seq2SeqTask(TaskMixin, ReinforceMixin, keras_hub.models.Seq2SeqLM):
    """Base of the sequence-to-sequence tasks.

    A subclass gives `decode(inputs)`, the teacher-forced pass with its alignments, and
    `make_next(inputs, with_alignments)`, one step of decoding; and where its cache has a place for
    each step, `resize_cache(cache, max_length)`. The rest is here.
    """

    resize_cache = None
    _scheduled_sampling = None

    def compile(
        self,
        optimizer="auto",
        loss="auto",
        *,
        weighted_metrics="auto",
        sampler="greedy",
        label_smoothing: float = 0.0,
        sampling_probability: float | None = None,
        jit_compile="auto",
        **kwargs,
    ):
        """Configure training and generation.

        Args:
            optimizer: A Keras optimizer, or its name; "auto" is Adam with a rate of 1e-3.
            loss: A Keras loss; "auto" is `SmoothedCrossEntropy(label_smoothing)`.
            weighted_metrics: As in `keras.Model.compile`; "auto" is the accuracy of real tokens.
            sampler: `"greedy"`, `"top_k"`, `"top_p"`, `"random"`, `"beam"` (ours, 5 beams), or a
                sampler.
            label_smoothing: For the "auto" loss. In [0, 1).
            sampling_probability: Probability that a target token enters training as the model would
                say it, not as it is (scheduled sampling; see `ScheduledSampling`). In [0, 1]. None
                is none, at no cost. A number makes `task.sampling_probability`, a variable that a
                `VariableSchedule` can set; compiled again with a number, the task keeps it.
            jit_compile: "auto" compiles wherever the backend can. On TensorFlow that is XLA, which
                Keras leaves off unless it is asked for.
            **kwargs: As in `keras.Model.compile`.

        Raises:
            ValueError: If `label_smoothing` or `sampling_probability` is outside its range.
        """
        self._set_sampling(sampling_probability)
        super().compile(
            optimizer,
            loss,
            weighted_metrics=weighted_metrics,
            sampler=BeamSampler() if sampler == "beam" else sampler,
            label_smoothing=label_smoothing,
            jit_compile=jit_compile,
            **kwargs,
        )

    def get_compile_config(self):
        """What `compile` was given, for saving."""
        return {
            **super().get_compile_config(),
            "sampler": keras.saving.serialize_keras_object(self.sampler),
            "sampling_probability": self._sampling_value(),
        }

    def quantize(self, *args, **kwargs):
        """Quantize the weights, as `TaskMixin.quantize` does."""
        super().quantize(*args, **kwargs)
        self.generate_function = None  # It has the weights from before.

    @property
    def sampling_probability(self):
        """The variable that holds the probability of sampling, or None without sampling."""
        return None if self._scheduled_sampling is None else self._scheduled_sampling.probability

    def _set_sampling(self, probability):
        sampling = self._scheduled_sampling
        if probability is None:
            sampling = None
        elif sampling is None:
            sampling = ScheduledSampling(probability)
        else:
            sampling.probability.assign(check_probability(probability))
        # Out of sight of what tracks weights: a task has the same ones with it and without.
        object.__setattr__(self, "_scheduled_sampling", sampling)

    def _sampling_value(self) -> float | None:
        """The probability as it is now, after any schedule."""
        probability = self.sampling_probability
        return None if probability is None else float(ops.convert_to_numpy(probability))

    @property
    def variables(self):
        """All state: weights, random seeds, and what scheduled sampling goes by."""
        sampling = self._scheduled_sampling
        return [*super().variables, *([] if sampling is None else sampling.variables)]

    def call(self, inputs, training=None, mask=None, **kwargs):
        """As a functional model's; in training, after scheduled sampling."""
        if training and self._scheduled_sampling is not None:
            inputs = self._scheduled_sampling.mix(self, inputs)
        return super().call(inputs, training=training, mask=mask, **kwargs)

    def fit(self, x=None, y=None, batch_size=None, **kwargs):
        """Train, as `keras.Model.fit` does.

        Args:
            x: Sources, a list of strings, with targets as `y`; a dict of `"encoder_text"` and
                `"decoder_text"`; a `tf.data.Dataset` of batches of either; or a
                `keras.utils.PyDataset` whose batches are token ids already, such as
                `attnzoo.data.BucketedBatches`.
            y: Targets, a list of strings.
            batch_size: How many pairs at a time, where `x` is no dataset; 32 if None.
            **kwargs: As in `TaskMixin.fit`: `epochs`, `shuffle`, `sample_weight` (of pairs),
                `validation_data`, `validation_split`, ...

        Raises:
            ValueError: If there are no targets, or not as many as sources; if a text is too long
                and the preprocessor has `truncate="error"`, which in a `tf.data.Dataset` raises
                TensorFlow's error.
        """
        return super().fit(x, y, batch_size, **kwargs)

    def make_samples(self, x, y=None, sample_weight=None):
        """Sources and targets as arrays, and the weights of the pairs."""
        if self.preprocessor is None:
            return super().make_samples(x, y, sample_weight)
        if isinstance(x, dict):
            x, y = x["encoder_text"], x["decoder_text"]
        x, y, sample_weight = super().make_samples(x, y, sample_weight)
        x, y = as_strings("Sources", x), as_strings("Targets", y)
        need_as_many(sources=x, targets=y)
        self.preprocessor.check_texts(x.tolist(), y.tolist())
        return x, y, sample_weight

    def generate_step(self, inputs, stop_token_ids=None):
        """Generate for one batch of ids: encode once, then one step a token, in one graph.

        Args:
            inputs: dict, as `RNNSeq2SeqLMPreprocessor.generate_preprocess` gives it.
            stop_token_ids: Ids that end a sequence, or None.

        Returns:
            dict of `decoder_token_ids` int [B, T] and `decoder_padding_mask` bool [B, T]; for a
            sampler that returns N hypotheses both are [B, N, T], with `scores` float [B, N].
        """
        prompt, given = inputs["decoder_token_ids"], inputs["decoder_padding_mask"]
        with_alignments = bool(getattr(self.sampler, "coverage_penalty", 0.0))
        next, cache = self.make_next(inputs, with_alignments)
        arguments = {
            "prompt": prompt,
            "cache": cache,
            "index": 1,  # Position 0 is the start token; a longer prompt is read step by step.
            "mask": given,
            "stop_token_ids": stop_token_ids,
            "model": self,
        }
        results = {}
        if isinstance(self.sampler, BeamSampler):
            if self.resize_cache is not None:
                arguments["resize_cache"] = self.resize_cache
            token_ids, scores = self.sampler.search(next, **arguments)  # [B, N, T], [B, N]
            results["scores"] = scores
            given = given[:, None]  # [B, 1, T]
            if self.sampler.num_hypotheses == 1:
                token_ids, given = token_ids[:, 0], given[:, 0]
        else:
            token_ids = self.sampler(next, **arguments)
        results["decoder_token_ids"] = token_ids
        results["decoder_padding_mask"] = _until_stop(token_ids, given, stop_token_ids)
        return results

    def generate(
        self,
        inputs,
        max_length: int | None = None,
        stop_token_ids="auto",
        strip_prompt: bool = False,
        *,
        return_scores: bool = False,
        return_alignments: bool = False,
    ):
        """Generate with the sampler that `compile` was given.

        Args:
            inputs: A string, a list of them, or a dict of `"encoder_text"` and `"decoder_text"`;
                without a preprocessor, token ids as in `generate_step`.
            max_length: Longest output, in tokens, with start and end token; None takes the
                preprocessor's.
            stop_token_ids: "auto" for the end token, a tuple of ids, or None.
            strip_prompt: Whether to leave the given beginnings out of the output strings.
            return_scores: Whether to return the score of each output too, in nats: the sampler's
                own for a `BeamSampler`, else log p of the output's tokens.
            return_alignments: Whether to return the alignments of each output too.

        Returns:
            The outputs: strings (lists of them, best first, for a sampler that returns several).
            With `return_scores` or `return_alignments` a dict of `"outputs"`, a list, `"scores"`
            float [B] ([B, N] for N hypotheses) and `"alignments"` float [B, T, S], as asked for.

        Raises:
            ValueError: If alignments are asked for together with several hypotheses, a source is
                empty, a text is too long and the preprocessor has `truncate="error"`, `max_length`
                is more than a learned position has places for, or, without a preprocessor, a token
                id is outside the vocabulary or `stop_token_ids` is "auto".
        """
        if self.preprocessor is None:
            self._check_token_ids(inputs)
            if isinstance(inputs, dict):
                length = np.shape(inputs["decoder_token_ids"])[1]
                self.check_generated(**{"decoder_token_ids.shape[1]": length})
        else:
            self.check_generated(max_length=max_length or 0)
            if not self.preprocessor.built:  # Then it knows the special ids of any tokenizer.
                self.preprocessor.build(None)
        # What is copied must be looked up in the sources, which only the other way knows.
        copies = getattr(self.preprocessor, "pointer_generator", False)
        if not (return_scores or return_alignments or strip_prompt or copies):
            return super().generate(inputs, max_length, stop_token_ids)
        is_one, several = False, getattr(self.sampler, "num_hypotheses", 1) > 1
        if return_alignments and several:
            raise ValueError(
                "Alignments are returned for one hypothesis an input; pass any other to "
                "`alignments`. Received: return_alignments=True with "
                f"num_hypotheses={self.sampler.num_hypotheses}"
            )
        if self.preprocessor is not None:
            if stop_token_ids == "auto":
                stop_token_ids = (self.preprocessor.tokenizer.end_token_id,)
            is_one, inputs = _batched(inputs)
            sources = inputs["encoder_text"] if isinstance(inputs, dict) else inputs
            inputs = self.preprocessor.generate_preprocess(inputs, sequence_length=max_length)
        elif stop_token_ids == "auto":
            raise ValueError(
                "Without a preprocessor `stop_token_ids` must be a tuple of ids, or None. "
                'Received: stop_token_ids="auto"'
            )
        inputs = {name: ops.convert_to_tensor(value) for name, value in inputs.items()}
        ids = self.make_generate_function()(inputs, stop_token_ids=stop_token_ids)
        results = {"outputs": ids}
        if self.preprocessor is not None:
            shown = _without_prompt(ids, inputs) if strip_prompt else ids
            shown = {**shown, "encoder_text": sources} if copies else shown
            results["outputs"] = self.preprocessor.generate_postprocess(shown)
        if not (return_scores or return_alignments):
            return results["outputs"][0] if is_one else results["outputs"]
        if return_alignments or "scores" not in ids:
            replayed = self.replay_on_batch({**inputs, **_drop_scores(ids)})
            results["scores"] = replayed["scores"]
            if return_alignments:
                results["alignments"] = replayed["alignments"]
        if "scores" in ids:
            results["scores"] = ops.convert_to_numpy(ids["scores"])
            if not several:
                results["scores"] = results["scores"][:, 0]
        if not return_scores:
            del results["scores"]
        return results

    def alignments(self, inputs):
        """Where each target token looked, teacher-forced.

        Args:
            inputs: A dict of `"encoder_text"` and `"decoder_text"`, lists of strings; a pair of two
                lists; or, without a preprocessor, the backbone's inputs with whole targets, from
                the start to the end token.

        Returns:
            float [B, T, S], a NumPy array. Row t is for the target's token t, the end token last;
            column s for the source's token s, the end token last. Padding is 0.

        Raises:
            ValueError: If a source is empty, the lists differ in length, or a token id is outside
                the vocabulary.
        """
        inputs = self.pack_known(inputs)
        steps, places = self.longest(inputs)
        return self.replay_on_batch(inputs)["alignments"][:, :steps, :places]

    def pack_known(self, inputs):
        """What `alignments` takes as the backbone's inputs, targets whole: a dict of arrays."""
        if self.preprocessor is None:
            self._check_token_ids(inputs)
            return inputs
        if isinstance(inputs, (tuple, list)):
            inputs = {"encoder_text": inputs[0], "decoder_text": inputs[1]}
        _, inputs = _batched(inputs)
        sources, targets = (list(inputs[k]) for k in ("encoder_text", "decoder_text"))
        need_as_many(sources=sources, targets=targets)
        inputs, following, real = self.preprocessor(sources, targets)
        inputs = {name: ops.convert_to_numpy(value) for name, value in inputs.items()}
        following, real = ops.convert_to_numpy(following), ops.convert_to_numpy(real)
        inputs["decoder_token_ids"] = np.concatenate(
            [inputs["decoder_token_ids"][:, :1], following], axis=1
        )
        inputs["decoder_padding_mask"] = np.pad(
            real.astype(bool), ((0, 0), (1, 0)), constant_values=True
        )
        return inputs

    def longest(self, inputs):
        """How many steps and places of what `pack_known` gave are looked at: not all padding.

        Without a preprocessor, all: who pads ids counts them.
        """
        if self.preprocessor is None:
            return np.shape(inputs["decoder_token_ids"])[1] - 1, None
        masks = (inputs[f"{side}_padding_mask"] for side in ("decoder", "encoder"))
        target, source = (int(mask.sum(axis=1).max()) for mask in masks)
        return target - 1, source

    def replay(self, inputs):
        """Go once more over outputs that are known, all steps at once.

        Args:
            inputs: The backbone's inputs; the target whole, from its start to its end token.

        Returns:
            dict of `alignments` float32 [B, T - 1, S], row t for the token at t + 1, zero where
            that is padding, and `scores` float32 [B], log p of all tokens but the first, in nats.
        """
        target, real = inputs["decoder_token_ids"], inputs["decoder_padding_mask"]
        logits, alignments = self.decode({**inputs, "decoder_token_ids": target[:, :-1]})
        logits = ops.cast(logits, "float32")
        following = ops.cast(target[:, 1:], "int32")
        real = ops.cast(real[:, 1:], "float32")  # [B, T - 1]
        chosen = ops.take_along_axis(logits, following[:, :, None], axis=-1)[:, :, 0]
        log_probs = chosen - ops.logsumexp(logits, axis=-1)
        return {
            "alignments": ops.cast(alignments, "float32") * real[:, :, None],
            "scores": ops.sum(log_probs * real, axis=1),
        }

    def replay_on_batch(self, inputs, door: str = "replay", **arguments):
        """`replay`, or another method, compiled, on one batch: NumPy arrays."""
        inputs = {name: ops.convert_to_numpy(inputs[name]) for name in self.input}
        return self.compiled_methods(door, inputs, **arguments)

    def _check_token_ids(self, inputs):
        """Raise on an id that no embedding has: backends differ in what they would make of it."""
        if not isinstance(inputs, dict):
            return
        sizes = {
            "encoder_token_ids": self.backbone.source_vocabulary_size,
            "decoder_token_ids": self.backbone.target_vocabulary_size,
        }
        if getattr(self.backbone, "pointer_generator", False):
            sizes["decoder_token_ids"] += np.shape(inputs["encoder_token_ids"])[1]
            sizes["copy_token_ids"] = sizes["decoder_token_ids"]
        for name, size in sizes.items():
            ids = ops.convert_to_numpy(inputs[name])
            outside = ids[(ids < 0) | (ids >= size)]
            if outside.size:
                raise ValueError(
                    f"`{name}` must be ids of the vocabulary, in [0, {size}). "
                    f"Received: {int(outside[0])}"
                )

    def check_generated(self, **lengths):
        """Raise if no output can be of such a length, in tokens: a recurrent decoder makes any."""

    def export_generate(self, path, **kwargs):
        """Write a SavedModel that generates; see `attnzoo.export.saved_model`."""
        from attnzoo.export import saved_model

        return saved_model(self, path, **kwargs)


def _until_stop(token_ids, given, stop_token_ids):
    """bool, shape of `token_ids`: True up to and with the first stop token that is not given."""
    if stop_token_ids is None:
        return ops.ones_like(token_ids, dtype="bool")
    stops = ops.zeros_like(token_ids, dtype="bool")
    for stop in stop_token_ids:
        stops = ops.logical_or(stops, token_ids == stop)
    stops = ops.cast(ops.logical_and(stops, ops.logical_not(ops.cast(given, "bool"))), "int32")
    return (ops.cumsum(stops, axis=-1) - stops) == 0


def _batched(inputs):
    """Whether raw inputs are one single example, and the same as a batch."""
    if isinstance(inputs, dict):
        is_one = any(isinstance(texts, str) for texts in inputs.values())
        return is_one, {name: _batched(texts)[1] for name, texts in inputs.items()}
    return (True, [inputs]) if isinstance(inputs, str) else (False, inputs)


def _without_prompt(ids, inputs):
    """Generated ids whose padding mask leaves out what was given."""
    given = ops.cast(inputs["decoder_padding_mask"], "bool")
    real = ops.cast(ids["decoder_padding_mask"], "bool")
    if len(real.shape) == 3:
        given = given[:, None]  # [B, 1, T]
    return {**ids, "decoder_padding_mask": ops.logical_and(real, ops.logical_not(given))}


def _drop_scores(ids):
    return {name: value for name, value in ids.items() if name != "scores"}
