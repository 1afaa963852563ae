"""What our tasks add to KerasHub's: how they train, and how they are saved and loaded."""

import os

import keras

from attnzoo.layers.output import TokenLogits
from attnzoo.models.parts.policies import policy_for, short_collections
from attnzoo.models.parts.presets import check_head, explain_preset_errors, saved_dtype
from attnzoo.models.parts.torch_parameters import HubModelMixin, functional_variables
from attnzoo.models.preprocessing.input_checks import check_batched, is_dataset
from attnzoo.models.preprocessing.packing import BUILDING
from attnzoo.models.tasks.batch_sizes import check_distribution, fill_samples
from attnzoo.models.tasks.compiled_methods import CompiledMethods
from attnzoo.models.tasks.compiling import (
    Compiled,
    build_optimizer,
    keeps_training,
    num_replicas,
    with_own,
    with_training_kept,
    without_own,
)
from attnzoo.models.tasks.samples import (
    is_samples,
    make_dataset,
    need_batches,
    need_no_samples,
    need_targets,
    need_weights,
    split_samples,
)
from attnzoo.models.tasks.training_batches import (
    FinishedBatches,
    check_batches,
    check_specs,
    packed_batches,
)
from attnzoo.training import SmoothedCrossEntropy, TokenAccuracy

_QUANTIZABLE = (
    keras.layers.Dense,
    keras.layers.EinsumDense,
    keras.layers.Embedding,
    keras.layers.ReversibleEmbedding,
    TokenLogits,
)


class TaskMixin(HubModelMixin):
    """Compilation that a file keeps, batches of ids in `fit`, presets by name.

    It stands before a task of KerasHub in the bases of a class.

    Several threads may ask one task at once, also for the first time: all methods that answer are
    safe. What changes a task is not, and needs it for itself: `compile`, `fit`, `evaluate`,
    `quantize`, `enable_lora`, loading weights, and saving or exporting it.
    """

    targets_name = "Targets"  # As a sentence about those of this task begins.
    head_arguments = ()  # Of the constructor: what the weights on top of the backbone depend on.
    labels_in_rows = True  # Whether each sample has a row of classes to learn, not one class.
    text_kinds = ("text",)  # What the texts of a sample are called, in the order they come in.
    labels_itself = False  # Whether what is to be learned is made of the texts.
    compiled_with = None
    _compiled_methods = None
    _builds_as_functional = False

    # === Compilation ===

    def compile(
        self,
        optimizer="auto",
        loss="auto",
        *,
        weighted_metrics="auto",
        label_smoothing: float = 0.0,
        jit_compile="auto",
        **kwargs,
    ):
        """Configure training.

        As in Keras, what is not given takes its default. But where no optimizer, loss or metric is
        given, nor anything else to learn by, and something else is, such as `run_eagerly`, then all
        that is not given stays as it was compiled before.

        Args:
            optimizer: A Keras optimizer, or its name; "auto" is Adam with a rate of 1e-3.
            loss: A Keras loss; "auto" is `SmoothedCrossEntropy(label_smoothing)`.
            weighted_metrics: As in `keras.Model.compile`; "auto" is the accuracy.
            label_smoothing: For the "auto" loss. In [0, 1).
            jit_compile: "auto" compiles wherever the backend can. On TensorFlow that is XLA, which
                Keras leaves off unless it is asked for; under a `tf.distribute` strategy it is off.
            **kwargs: As in `keras.Model.compile`.

        Raises:
            ValueError: If `label_smoothing` is outside its range, or given with another loss.
        """
        arguments = {
            "optimizer": optimizer,
            "loss": loss,
            "weighted_metrics": weighted_metrics,
            "label_smoothing": label_smoothing,
            "jit_compile": jit_compile,
            **kwargs,
        }
        if keeps_training(self, arguments):
            arguments = with_training_kept(self, arguments)
        self.compile_training(**arguments)

    def compile_training(
        self, optimizer, loss, weighted_metrics, jit_compile, label_smoothing=0.0, **kwargs
    ):
        """Compile with the arguments as they are, after what was to be kept."""
        if optimizer == "auto":
            optimizer = keras.optimizers.Adam(1e-3)
        if isinstance(loss, str) and loss == "auto":
            loss = self.make_loss(label_smoothing)
        elif label_smoothing:
            raise ValueError(
                '`label_smoothing` is for the loss "auto": another loss must smooth by itself, as '
                "`attnzoo.training.SmoothedCrossEntropy` does. "
                f"Received: label_smoothing={label_smoothing} with loss={loss!r}"
            )
        if isinstance(weighted_metrics, str) and weighted_metrics == "auto":
            weighted_metrics = [self.make_accuracy()]
        arguments = {
            "optimizer": keras.optimizers.get(optimizer),
            "loss": loss,
            "weighted_metrics": weighted_metrics,
            "jit_compile": jit_compile,
            **kwargs,
        }
        self._builds_as_functional = False
        object.__setattr__(self, "compiled_with", Compiled(arguments, self.trainable_variables))
        if jit_compile == "auto" and keras.backend.backend() == "tensorflow":
            jit_compile = not kwargs.get("run_eagerly", False) and num_replicas(self) == 1
        super().compile(**{**arguments, "jit_compile": jit_compile})

    def make_loss(self, label_smoothing: float):
        """The loss that "auto" stands for."""
        return SmoothedCrossEntropy(label_smoothing)

    def make_accuracy(self):
        """The metric that "auto" stands for."""
        return TokenAccuracy()

    @property
    def compiled_methods(self) -> CompiledMethods:
        """Calls methods of this task, compiled: see there."""
        if self._compiled_methods is None:
            with BUILDING:  # Several threads may ask for the first time at once.
                if self._compiled_methods is None:
                    self._compiled_methods = CompiledMethods(self)
        return self._compiled_methods

    def get_compile_config(self):
        """What `compile` was given, for saving."""
        config = super().get_compile_config()
        if config is None:  # It never was compiled.
            return None
        # As it was asked for: the next backend may resolve "auto" in another way.
        config["jit_compile"] = self.compiled_with.arguments["jit_compile"]
        return with_own(config, self.own_compile_config())

    def own_compile_config(self) -> dict:
        """The part of the config that only a task understands."""
        return {
            "optimizer_built": self.optimizer is not None and self.optimizer.built,
            "optimizer_order": "functional" if self._builds_as_functional else "made",
        }

    def compile_from_config(self, config):
        """Compile with what `get_compile_config` gave; a used optimizer gets its weights."""
        config = keras.saving.deserialize_keras_object(without_own(config))
        has_weights = config.pop("optimizer_built", False)
        order = config.pop("optimizer_order", "functional")
        self.compile(**config)
        if not has_weights:
            return
        # Where a file does not say, it is of the time when torch had an order of its own.
        if order == "functional" and keras.backend.backend() == "torch":
            variables = [one for one in functional_variables(self) if one.trainable]
            self._builds_as_functional = True
            self.optimizer.build(variables)
        else:
            build_optimizer(self)

    # === Training ===

    def fit(
        self,
        x=None,
        y=None,
        batch_size=None,
        *,
        shuffle: bool = True,
        sample_weight=None,
        class_weight: dict | None = None,
        validation_data=None,
        validation_split=None,
        validation_batch_size: int | None = None,
        **kwargs,
    ):
        """Train, as `keras.Model.fit` does.

        Differs from KerasHub's, where samples come in the same order in all epochs.

        Args:
            x: Samples, as the task takes them; a `tf.data.Dataset` of batches of these; or a
                `keras.utils.PyDataset` whose batches are token ids already.
            y: What is to be learned of each sample; a dataset has it itself.
            batch_size: How many samples at a time, where `x` is no dataset; 32 if None.
            shuffle: Whether each epoch has another order, where `x` is no `tf.data.Dataset`.
            sample_weight: A weight for each sample, where `x` is no dataset.
            class_weight: A weight for each of some classes, by id, or by name where they have
                names; others have 1. It multiplies those of the samples. Classes of a
                sequence-to-sequence task and a masked language model are token ids.
            validation_data: Like `x`, or a tuple like `x` and `y`.
            validation_split: Part of the samples, the last ones, to validate with, where `x` is no
                dataset. In (0, 1).
            validation_batch_size: How many samples of `validation_data` at a time; `batch_size` if
                None.
            **kwargs: As in `keras.Model.fit`: `epochs`, `callbacks`, ...

        Raises:
            ValueError: If `x` or `validation_data` is of another kind or has no batches, only one
                of them is a `keras.utils.PyDataset`, there is not a weight for each sample, a class
                is unknown, `validation_split` is asked of a dataset, or leaves nothing on a side;
                and what a task says of its samples.
        """
        ids = isinstance(x, keras.utils.PyDataset)
        if validation_data is not None and ids != isinstance(
            validation_data, keras.utils.PyDataset
        ):
            raise ValueError(
                "`x` and `validation_data` must both be a `keras.utils.PyDataset` of token ids, or "
                f"neither. Received: x of type {type(x).__name__}, validation_data of type "
                f"{type(validation_data).__name__}"
            )
        samples = self._samples_of("x", x, y, batch_size, sample_weight)
        validating = None
        if validation_data is not None:
            validating = self._validation_samples_of(validation_data, validation_batch_size)
        elif validation_split:
            if samples is None:
                raise ValueError(
                    "`validation_split` is of samples; of a dataset, split off `validation_data`. "
                    f"Received: validation_split={validation_split}, x of type {type(x).__name__}"
                )
            samples, validating = split_samples(samples, validation_split)
        if samples is not None:
            x = make_dataset(samples, batch_size, shuffle)
        if validating is not None:
            size = validation_batch_size or batch_size
            validation_data = make_dataset(validating, size, shuffle=False)
        if samples is None and not ids and not hasattr(x, "element_spec"):  # A dataset of grain.
            kwargs.update(validation_data=validation_data, class_weight=class_weight)
            return super().fit(x, **kwargs)
        # Else TensorFlow makes its variables in a first trace of the step, and needs a second.
        build_optimizer(self)
        if class_weight is not None:
            class_weight = self.class_weights(class_weight), self.labels_in_rows
        x = self._batches_of(x, class_weight)
        if validation_data is not None:
            validation_data = self._batches_of(validation_data)
        # A dataset of `tf.data` has an order of its own.
        return keras.Model.fit(
            self, x, shuffle=shuffle and ids, validation_data=validation_data, **kwargs
        )

    def evaluate(self, x=None, y=None, batch_size=None, *, sample_weight=None, **kwargs):
        """Loss and metrics. `x`, `y` and the others as in `fit`."""
        if kwargs.get("_use_cached_eval_dataset"):  # From within `fit`, which has seen it.
            return keras.Model.evaluate(self, x, **kwargs)
        samples = self._samples_of("x", x, y, batch_size, sample_weight)
        if samples is not None:
            x = make_dataset(samples, batch_size, shuffle=False)
        return keras.Model.evaluate(self, self._batches_of(x), **kwargs)

    def make_samples(self, x, y=None, sample_weight=None) -> tuple:
        """What is to be batched of `x`, `y` and their weights: arrays with a row for each sample.

        Raises what there is to say against them, before training begins.
        """
        need_targets(self.targets_name, x, y)
        need_weights(x, sample_weight)
        return x, y, sample_weight

    def make_validation_samples(self, data) -> tuple:
        """The same of `validation_data`."""
        return self.make_samples(*(data if isinstance(data, (tuple, list)) else [data]))

    def check_dataset(self, dataset):
        """Raise if something speaks against a dataset that shows what it has."""
        if self.preprocessor is not None and hasattr(dataset, "element_spec"):
            name = None if self.labels_itself else self.targets_name
            check_specs(dataset.element_spec, self.text_kinds, name)

    def class_weights(self, class_weight: dict):
        """The weights of all classes, float32 [C], from a dict of some of them."""
        raise ValueError(
            "There are no classes to weigh here: give each sample a weight, as `sample_weight`. "
            f"Received: class_weight={class_weight!r}"
        )

    def pack_batch(self, x, y=None, sample_weight=None):
        """`preprocess_samples` of a batch to train or to measure on, in a graph."""
        return self.preprocess_samples(x, y, sample_weight)

    def _samples_of(self, name, x, y, batch_size, sample_weight):
        """What to batch; None if `x` is batches already."""
        if x is None or is_samples(x):
            return self.make_samples(x, y, sample_weight)
        need_batches(name, x)
        need_no_samples(name, x, y=y, batch_size=batch_size, sample_weight=sample_weight)
        check_batches(name, x)
        self.check_dataset(x)
        return None

    def _validation_samples_of(self, data, batch_size):
        """The same of `validation_data`."""
        if not is_samples(data):
            return self._samples_of("validation_data", data, None, batch_size, None)
        if isinstance(data, (tuple, list)) and is_dataset(data[0] if len(data) else None):
            raise ValueError(
                "A dataset to validate with must not be in a tuple. "
                f"Received: validation_data={data!r}"
            )
        try:
            return self.make_validation_samples(data)
        except ValueError as error:
            raise ValueError(f"{error}, in `validation_data`") from error

    def _batches_of(self, dataset, class_weight=None):
        """Batches of ids, from a dataset of any kind."""
        options = {"class_weight": class_weight, "int_masks": num_replicas(self) > 1}
        if not isinstance(dataset, keras.utils.PyDataset):
            return packed_batches(dataset, self.pack_batch, **options)
        return FinishedBatches(dataset, **options) if any(options.values()) else dataset

    # === Presets ===

    def quantize(self, mode=None, config=None, filters=None, **kwargs):
        """Quantize the weights, as `keras.Model.quantize` does; a preset or file keeps them so.

        Args:
            mode: `"int8"`, or another of Keras's.
            config: A `keras.quantizers.QuantizationConfig`, in place of a mode.
            filters: Which layers, as there. None is those that Keras can quantize: `Dense`,
                `EinsumDense`, `Embedding` and `ReversibleEmbedding`, also inside other layers, and
                our `TokenLogits`. Recurrent cells and scores stay as they are.
            **kwargs: As there.
        """
        filters = _is_quantizable if filters is None else filters
        with short_collections():
            super().quantize(mode, config=config, filters=filters, **kwargs)
        # KerasHub saves which layers of a backbone are quantized: here are those on top of it too.
        policy = self.backbone.dtype_policy
        policy = getattr(policy, "default_policy", policy)
        policies = keras.dtype_policies.DTypePolicyMap(default_policy=policy)
        for layer in self._flatten_layers():
            if layer.quantization_mode is not None:
                policies[layer.path] = policy_for(layer.dtype_policy, layer.path)
        self.backbone.dtype_policy = policies

    def predict(self, x, batch_size=None, **kwargs):
        """What the model gives, as `keras.Model.predict` does.

        Samples are filled to one of few numbers of rows, and the outputs are cut again. Several
        threads may call; they are served one after the other.

        Args:
            x: What the task reads, or a dataset of batches of it.
            batch_size: How many samples at a time, where `x` is no dataset; 32 if None.
            **kwargs: As in `keras.Model.predict`: `verbose`, `steps`, `callbacks`.

        Returns:
            NumPy arrays, batch first.

        Raises:
            ValueError: What a task says of its samples; or if a dataset has no batches.
        """
        check_distribution()
        if is_dataset(x):
            check_batched(x)
            with self.compiled_methods.lock:
                return super().predict(x, batch_size=batch_size, **kwargs)
        x, batch_size, count = fill_samples(self.make_predict_samples(x), batch_size or 32)
        with self.compiled_methods.lock:
            outputs = super().predict(x, batch_size=batch_size, **kwargs)
        return keras.tree.map_structure(lambda rows: rows[:count], outputs)

    def make_predict_samples(self, x):
        """What is to be batched for `predict`: a list, or a dict of lists or arrays.

        Raises what there is to say against it.
        """
        return self.check_read(x)

    def save_task_weights(self, filepath):
        """Save the weights that are not the backbone's; a preset holds no optimizer."""
        optimizer, self.optimizer = self.optimizer, None
        try:
            super().save_task_weights(filepath)
        finally:
            self.optimizer = optimizer

    def load_task_weights(self, filepath):
        """Load what `save_task_weights` wrote."""
        optimizer, self.optimizer = self.optimizer, None
        try:
            super().load_task_weights(filepath)
        finally:
            self.optimizer = optimizer

    @classmethod
    def from_preset(cls, preset, load_weights: bool = True, **kwargs):
        """Load a task from a preset.

        Args:
            preset: A built-in name (see `attnzoo.presets`), a directory that `save_to_preset`
                wrote, the folder of a finished run of `attnzoo train`, or a handle that KerasHub
                knows (`kaggle://`, `hf://`).
            load_weights: Whether to load the weights too.
            **kwargs: As in `keras_hub.models.Task.from_preset`. `dtype` is the one the preset was
                saved with, unless it is given.

        Raises:
            ValueError: If the name is unknown, the directory is damaged or holds a preset of
                another class, or an argument asks for a head that the preset has no weights for.
        """
        check_head(cls, preset, kwargs)
        with explain_preset_errors(preset, cls, kwargs) as place:
            if os.path.isdir(place):
                kwargs.setdefault("dtype", saved_dtype(place))
            return super().from_preset(place, load_weights=load_weights, **kwargs)


def _is_quantizable(layer) -> bool:
    # Of these very types: Keras refuses what is derived from its own, unless that says otherwise.
    return type(layer) in _QUANTIZABLE
