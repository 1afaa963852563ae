"""Base of sequence-to-sequence tasks: training, generation, alignments."""

from collections.abc import Callable

import keras
import keras_hub
import numpy as np
from keras import ops

from attnzoo.checks import check_positive
from attnzoo.models.objectives.reinforce import call_and_collect, charged_loss, is_part
from attnzoo.models.objectives.scheduled_sampling import ScheduledSampling, check_probability
from attnzoo.models.preprocessing.input_checks import check_ids, is_dataset, need_as_many
from attnzoo.models.tasks import pairs
from attnzoo.models.tasks.base import Task
from attnzoo.models.tasks.batch_sizes import join_rows
from attnzoo.models.tasks.compiling import given_arguments, keeps_training, with_training_kept
from attnzoo.models.tasks.decoding import decode, replay
from attnzoo.models.tasks.samples import as_strings, weights_of_ids
from attnzoo.models.tasks.training_batches import trim_pairs
from attnzoo.samplers import BeamSampler


class Seq2SeqTask(Task, keras_hub.models.Seq2SeqLM):
    """Base of the sequence-to-sequence tasks.

    A subclass defines `encode(inputs)`; `decode(inputs, encoded)`, the teacher-forced pass with its
    alignments; `prepare_decoding` and `bind_next`, for one step of decoding; and, if its cache
    grows with the number of steps, `resize_cache(cache, max_length)`.
    """

    text_kinds: tuple[str | None, ...] = ("source", "target")
    resize_cache: Callable[[dict, int], dict] | None = None
    _scheduled_sampling = None

    # === Compilation ===

    def compile(
        self,
        optimizer="auto",
        loss="auto",
        *,
        weighted_metrics="auto",
        sampler="auto",
        label_smoothing: float = 0.0,
        sampling_probability: float | str | None = "auto",
        coverage_loss: float | None = None,
        jit_compile="auto",
        **kwargs,
    ):
        """Configure training and generation.

        As in Keras, an argument that is not given takes its default. The exception: if only
        arguments are given that do not affect training, such as a sampler without an optimizer,
        loss or metric, all others keep their values from the last `compile`. A sampler is kept
        until another is given.

        Args:
            optimizer: A Keras optimizer, or its name; "auto" is Adam with a rate of 1e-3.
            loss: A Keras loss; "auto" is `SmoothedCrossEntropy(label_smoothing)`.
            weighted_metrics: As in `keras.Model.compile`; "auto" is the accuracy of real tokens.
            sampler: `"greedy"`, `"top_k"`, `"top_p"`, `"random"`, `"beam"` (a `BeamSampler` with 5
                beams), or a sampler. "auto" keeps the current sampler; the first one, and that of
                `compile()` without arguments, is `"greedy"`.
            label_smoothing: For the "auto" loss. In [0, 1).
            sampling_probability: Probability that an input token of the decoder is drawn from the
                model in training (scheduled sampling; see `ScheduledSampling`). In [0, 1]. None,
                the default, is no sampling, at no cost. A number makes `task.sampling_probability`,
                a variable that a `VariableSchedule` can set; a later `compile` with a number keeps
                this variable.
            coverage_loss: Weight of the coverage loss, at least 0, for an attention with coverage,
                which only a recurrent model can have; None keeps the attention's own weight. The
                loss is added in training, not in evaluation.
            jit_compile: "auto" compiles wherever the backend can. On TensorFlow that is XLA, which
                Keras leaves off unless it is asked for; under a `tf.distribute` strategy it is off.
            **kwargs: As in `keras.Model.compile`.

        Raises:
            ValueError: If `label_smoothing` or `sampling_probability` is outside its range, labels
                are smoothed for a pointer-generator, or `coverage_loss` is negative or given
                without an attention with coverage.
        """
        arguments = {
            "optimizer": optimizer,
            "loss": loss,
            "weighted_metrics": weighted_metrics,
            "label_smoothing": label_smoothing,
            "jit_compile": jit_compile,
            **kwargs,
        }
        own = {"sampler": sampler, "sampling_probability": sampling_probability}
        others = bool(given_arguments(own)) or coverage_loss is not None
        keeps = keeps_training(self, arguments, others)
        if keeps:
            arguments = with_training_kept(self, arguments)
        self.check_loss(arguments["loss"], label_smoothing)
        if coverage_loss is not None:
            self.set_coverage_loss(coverage_loss)
        if isinstance(sampling_probability, str):  # "auto"
            sampling_probability = self._sampling_value() if keeps else None
        self._set_sampling(sampling_probability)
        if isinstance(sampler, str) and sampler == "auto":
            anew = not (others or given_arguments(arguments))
            sampler = "greedy" if anew else getattr(self, "sampler", "greedy")
        arguments["sampler"] = BeamSampler() if sampler == "beam" else sampler
        self._weighs_losses = arguments.get("loss_weights") is not None
        self.compile_training(**arguments)

    def check_loss(self, loss, label_smoothing: float):
        """Raise if the task cannot be trained with a loss."""

    def set_coverage_loss(self, weight: float):
        """Set the weight of the coverage loss; raise if no attention has coverage."""
        if weight:
            raise ValueError(
                "A coverage loss needs an attention that keeps a coverage, which a recurrent model "
                'has: `RNNSeq2SeqBackbone(..., attention="coverage")`. '
                f"Received: coverage_loss={weight}"
            )

    def task_compile_config(self):
        """Return the part of the compile config that is specific to this task."""
        return {
            **super().task_compile_config(),
            "sampler": keras.saving.serialize_keras_object(self.sampler),
            "sampling_probability": self._sampling_value(),
        }

    @property
    def sampling_probability(self):
        """The variable with the sampling probability, or None without sampling."""
        return None if self._scheduled_sampling is None else self._scheduled_sampling.probability

    def _set_sampling(self, probability):
        sampling = self._scheduled_sampling
        if probability is None:
            sampling = None
        elif sampling is None:
            sampling = ScheduledSampling(probability)
        else:
            sampling.probability.assign(check_probability(probability))
        # Hidden from Keras's tracking: a task has the same weights with and without sampling.
        object.__setattr__(self, "_scheduled_sampling", sampling)

    def _sampling_value(self) -> float | None:
        """Return the current probability, after any schedule."""
        probability = self.sampling_probability
        return None if probability is None else float(ops.convert_to_numpy(probability))

    @property
    def variables(self):
        """All state: weights, random seeds, and the state of scheduled sampling."""
        sampling = self._scheduled_sampling
        return [*super().variables, *([] if sampling is None else sampling.variables)]

    def call(self, inputs, training=None, mask=None, **kwargs):
        """Call the functional model; in training, after scheduled sampling."""
        if training and self._scheduled_sampling is not None:
            inputs = self._scheduled_sampling.mix(self, inputs)
        return super().call(inputs, training=training, mask=mask, **kwargs)

    # The draws of `HardAttention` in a pass are trained with the resulting loss.

    def __call__(self, *args, **kwargs):
        if is_part(self):
            return super().__call__(*args, **kwargs)
        return call_and_collect(self, super().__call__, *args, **kwargs)

    def stateless_call(self, *args, **kwargs):
        return call_and_collect(self, super().stateless_call, *args, **kwargs)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Return the compiled loss. In training its gradient includes that of draws."""
        return charged_loss(self, super().compute_loss, x, y, y_pred, sample_weight, training)

    # === Training ===

    def fit(self, x=None, y=None, batch_size: int | None = None, **kwargs):
        """Train, as `keras.Model.fit` does.

        Args:
            x: Sources, a list of strings, with targets as `y`; a dict of `"encoder_text"` and
                `"decoder_text"`; a `tf.data.Dataset` of batches of either; or a
                `keras.utils.PyDataset` of batches of token ids, such as
                `attnzoo.data.BucketedBatches`.
            y: Targets, a list of strings.
            batch_size: Number of pairs in a batch, if `x` is no dataset; 32 if None.
            **kwargs: As in `Task.fit`: `epochs`, `shuffle`, `sample_weight` (of pairs),
                `validation_data`, `validation_split`, ...

        Raises:
            ValueError: If there are no targets, or the numbers of sources and targets differ; if a
                text is too long and the preprocessor has `truncate="error"` (in a `tf.data.Dataset`
                this is TensorFlow's error).
        """
        return super().fit(x, y, batch_size, **kwargs)

    def make_samples(self, x, y=None, sample_weight=None):
        """Return sources and targets as arrays, and the weights of the pairs."""
        if self.preprocessor is None:
            return super().make_samples(x, y, sample_weight)
        if isinstance(x, dict):
            x, y = x.get(self.preprocessor.source_key), x.get("decoder_text")
        x, y, sample_weight = super().make_samples(x, y, sample_weight)
        x, y = self.preprocessor.read_samples(x), as_strings("target", y, may_be_blank=True)
        need_as_many(sources=x, targets=y)
        self.preprocessor.check_pairs(x, y)
        return x, y, sample_weight

    def pack_batch(self, x, y=None, sample_weight=None):
        """Return packed ids, padded to the smallest of a few lengths that holds the batch."""
        batch = super().pack_batch(x, y, sample_weight)
        return batch if self.preprocessor is None else trim_pairs(batch)

    def class_weights(self, class_weight):
        """Return the weights of all target tokens, float32 [V], from a dict of some ids."""
        return weights_of_ids(class_weight, self.backbone.target_vocabulary_size)

    # === Generation ===

    def prepare_decoding(self, inputs, with_alignments: bool, encoded=None):
        """Prepare a source for decoding.

        Args:
            inputs: The task's inputs.
            with_alignments: Whether the cache has the alignments of the last step.
            encoded: `encode(inputs)`, or None to encode here.

        Returns:
            What depends on the source alone, a pytree of tensors [B, ...] and None; and the cache
            before the first step, a pytree of tensors [B, ...]. The memory is not in the cache: the
            hypotheses of a beam share it.
        """
        raise NotImplementedError(f"`{type(self).__name__}` must implement `prepare_decoding`.")

    def bind_next(self, prepared, hypotheses: int | None = None) -> Callable:
        """Return the function that decodes one step, `next`, as samplers call it.

        Args:
            prepared: The first result of `prepare_decoding`.
            hypotheses: K, the rows of each source, or None if it is not known.
        """
        raise NotImplementedError(f"`{type(self).__name__}` must implement `bind_next`.")

    def make_next(self, inputs, with_alignments: bool, encoded=None, hypotheses: int | None = None):
        """Return `bind_next` and the cache of `prepare_decoding`, for the same arguments."""
        prepared, cache = self.prepare_decoding(inputs, with_alignments, encoded)
        return self.bind_next(prepared, hypotheses), cache

    def generate_step(self, inputs, stop_token_ids=None, **options):
        """Decode one batch of ids, in one graph; see `attnzoo.models.tasks.decoding.decode`."""
        return decode(self, inputs, stop_token_ids, **options)

    def make_generate_function(self):
        """Return `generate_step` as a function of ids to NumPy arrays.

        It is compiled for each of a few batch sizes; see `CompiledMethods`.
        """

        def generate(inputs, stop_token_ids=None):
            stops = None if stop_token_ids is None else tuple(stop_token_ids)
            return self.compiled_methods("generate_step", inputs, stop_token_ids=stops)

        return generate

    def generate(
        self,
        inputs,
        max_length: int | None = None,
        stop_token_ids="auto",
        strip_prompt: bool = False,
        *,
        return_scores: bool = False,
        return_alignments: bool = False,
        batch_size: int = 128,
    ):
        """Generate outputs with the sampler from `compile`.

        Several threads may generate at once; with a random sampler they run one after the other.

        Args:
            inputs: A string, a list of strings, or a dict of `"encoder_text"` and `"decoder_text"`;
                without a preprocessor, token ids as in `generate_step`; or a `tf.data.Dataset` of
                batches of one of these.
            max_length: Longest output, in tokens, with start and end token; None takes the
                preprocessor's.
            stop_token_ids: "auto" for the end token, a tuple of ids, or None.
            strip_prompt: Whether to remove the prompts from the output strings.
            return_scores: Whether to also return the score of each output, in nats: the sampler's
                own for a `BeamSampler`, else log p of the output's tokens.
            return_alignments: Whether to also return the alignments of each output.
            batch_size: Number of inputs in a batch. At least 1.

        Returns:
            The outputs: strings (lists of strings, best first, for a sampler that returns several).
            With `return_scores` or `return_alignments` a dict of `"outputs"`, a list, `"scores"`
            float [B] ([B, N] for N hypotheses) and `"alignments"` float [B, T, S], as asked for.

        Raises:
            ValueError: If alignments are asked for together with several hypotheses, there are no
                inputs, a source is no text or blank, a text is too long and the preprocessor has
                `truncate="error"`, `max_length` is below 1 or above the table of a learned
                position, or, without a preprocessor, a token id is outside the vocabulary or
                `stop_token_ids` is "auto".
        """
        several = getattr(self.sampler, "num_hypotheses", 1) > 1
        if return_alignments and several:
            raise ValueError(
                "Alignments are returned for one hypothesis an input; pass any other to "
                "`alignments`. Received: return_alignments=True with "
                f"num_hypotheses={self.sampler.num_hypotheses}"
            )
        arguments = {"stop_token_ids": self.stop_ids(stop_token_ids)}
        # A beam search has its own scores.
        if return_alignments or (return_scores and not isinstance(self.sampler, BeamSampler)):
            arguments["return_alignments"] = True
        if max_length is not None:
            check_positive(max_length=max_length)
        if is_dataset(inputs):
            is_one, batches = False, pairs.batches_of(self, inputs, batch_size)
        else:
            is_one, given = pairs.as_given(self, inputs)
            batches = pairs.split_batches(given, batch_size)
        results = []
        for given in batches:
            packed = pairs.pack_given(self, given, max_length)
            decoded = self.compiled_methods("generate_step", packed, **arguments)
            shown = pairs.without_prompt(decoded, packed) if strip_prompt else decoded
            results.append({**decoded, "outputs": pairs.as_outputs(self, shown, given)})
        outputs = pairs.join_outputs(self, results)
        if not (return_scores or return_alignments):
            return outputs[0] if is_one else outputs
        asked = {"scores": return_scores, "alignments": return_alignments}
        found = {name: join_rows([one[name] for one in results]) for name in asked if asked[name]}
        if return_alignments:
            found["alignments"] = self.arrange_places(found["alignments"])
        return {"outputs": outputs, **found}

    def stop_ids(self, stop_token_ids):
        """Return the ids that end an output, a tuple or None; "auto" is the end token."""
        if stop_token_ids != "auto":
            return None if stop_token_ids is None else tuple(stop_token_ids)
        if self.preprocessor is None:
            raise ValueError(
                "Without a preprocessor `stop_token_ids` must be a tuple of ids, or None. "
                'Received: stop_token_ids="auto"'
            )
        if not self.preprocessor.built:  # Building looks up the special ids.
            self.preprocessor.build(None)
        return (self.preprocessor.tokenizer.end_token_id,)

    # === Known targets ===

    def alignments(self, inputs, *, batch_size: int = 32):
        """Return the alignments of each target token, teacher-forced.

        Args:
            inputs: A dict of `"encoder_text"` and `"decoder_text"`, lists of strings; a pair of two
                lists; or, without a preprocessor, the backbone's inputs with whole targets, from
                the start to the end token.
            batch_size: Number of pairs in a batch. At least 1.

        Returns:
            float [B, T, S], a NumPy array. Row t is target token t, column s is source token s, end
            tokens included. Padding is 0.

        Raises:
            ValueError: If there is no pair, a source is no text or blank, a target no text, the
                lists differ in length, or a token id is outside the vocabulary.
        """
        inputs = pairs.pack_pairs(self, inputs)
        steps, places = pairs.count_steps(self, inputs)
        alignments = self.replay_in_batches(inputs, batch_size)["alignments"]
        return self.arrange_places(alignments[:, :steps, :places])

    def arrange_places(self, alignments):
        """Return alignments [B, T, S] with the places as they lie in the source."""
        return alignments

    def predict(self, x, batch_size: int | None = None, **kwargs):
        """Return the logits of known targets, as `keras.Model.predict` does. See `generate`.

        Args:
            x: A dict of `"encoder_text"` and `"decoder_text"`, or a dataset of batches of such
                dicts; without a preprocessor, the backbone's inputs.
            batch_size, **kwargs: As in `Task.predict`.

        Raises:
            ValueError: As in `alignments`.
        """
        return super().predict(x, batch_size=batch_size, **kwargs)

    def check_inputs(self, x):
        """Return the inputs of `predict`; raise if they are invalid."""
        if self.preprocessor is not None and not (isinstance(x, dict) and "decoder_text" in x):
            raise ValueError(
                "`predict` gives the logits of known targets: a dict of "
                f"{self.preprocessor.source_key!r} and 'decoder_text'; `generate` makes them. "
                f"Received: x of type {type(x).__name__}"
            )
        return pairs.as_given(self, x)[1]

    def replay(self, inputs):
        """Run the model on known outputs, all steps at once.

        Args:
            inputs: The backbone's inputs, with the whole target, from its start to its end token.

        Returns:
            dict of `alignments` float32 [B, T - 1, S], row t for the token at t + 1, zero if that
            is padding, and `scores` float32 [B], log p of all tokens except the first, in nats.
        """
        return replay(self, inputs)

    def replay_on_batch(self, inputs, method: str = "replay", **arguments):
        """Return the NumPy results of `replay`, or of another method, compiled."""
        inputs = {name: inputs[name] for name in self.input}
        return self.compiled_methods(method, inputs, **arguments)

    def replay_in_batches(self, inputs, batch_size, method: str = "replay", **arguments):
        """Return the results of `replay_on_batch` for any number of rows."""
        batches = pairs.split_batches(inputs, batch_size)
        parts = [self.replay_on_batch(one, method, **arguments) for one in batches]
        return {name: join_rows([one[name] for one in parts]) for name in parts[0]}

    def check_token_ids(self, inputs):
        """Raise if the inputs are no valid inputs of the backbone."""
        sizes = dict.fromkeys(self.input)
        if "encoder_token_ids" in sizes:
            sizes["encoder_token_ids"] = self.backbone.source_vocabulary_size
        sizes["decoder_token_ids"] = self.backbone.target_vocabulary_size
        if "copy_token_ids" in sizes:
            check_ids(inputs, dict.fromkeys(sizes))
            copied = sizes["decoder_token_ids"] + np.shape(inputs["encoder_token_ids"])[1]
            sizes["decoder_token_ids"] = sizes["copy_token_ids"] = copied
        check_ids(inputs, sizes)

    def check_generated(self, **lengths):
        """Raise if outputs cannot have this length, in tokens; a recurrent decoder has no limit."""
