"""Base of all tasks: training, results in NumPy, presets by name."""

import os
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import ops

from attnzoo.models.parts import presets as loading
from attnzoo.models.parts.torch_parameters import (
    functional_variables,
    in_order_of_attributes,
    known_to_torch,
)
from attnzoo.models.preprocessing.class_labels import ClassLabels
from attnzoo.models.preprocessing.input_checks import (
    as_texts,
    check_batched,
    check_ids,
    is_dataset,
)
from attnzoo.models.preprocessing.packing import BUILDING
from attnzoo.models.tasks import fitting, reading, saving
from attnzoo.models.tasks.batch_sizes import check_distribution, fill_samples
from attnzoo.models.tasks.compiled_methods import CompiledMethods
from attnzoo.models.tasks.compiling import (
    Compiled,
    build_optimizer,
    keeps_training,
    num_replicas,
    with_task_config,
    with_training_kept,
    without_task_config,
)
from attnzoo.models.tasks.samples import need_targets, need_weights, weights_of_ids
from attnzoo.models.tasks.training_batches import check_specs
from attnzoo.training import SmoothedCrossEntropy, TokenAccuracy

if TYPE_CHECKING:
    from keras_hub.models import Task as KerasHubTask
else:
    KerasHubTask = object  # A class of KerasHub's follows in the bases of each task.


@known_to_torch
class Task(KerasHubTask):
    """Base of all tasks, for compiling, training, inference, saving and loading.

    Put it before a KerasHub task in the bases of a class. A task that does not generate text
    defines `head(outputs, inputs)`, a function of the backbone's output float [B, S, D] and its
    inputs to a dict of `logits` float [..., C] or other results. A task with classes has `labels`,
    a `ClassLabels`.

    All methods for inference are thread-safe, also at the first call. Methods that change a task
    are not: no other thread may use the task during `compile`, `fit`, `evaluate`, `quantize`,
    `enable_lora`, loading weights, saving or exporting.
    """

    presets = loading.BuiltInPresets()
    targets_name = "Targets"  # The targets' name at the start of a message.
    # Constructor arguments that determine the head's weights.
    head_arguments: tuple[str, ...] = ()
    has_classes = False  # Whether the constructor takes `class_names` and `num_classes`.
    labels_in_rows = True  # Whether each sample has a row of classes and not one class.
    text_kinds: tuple[str | None, ...] = ("text",)  # Names of a sample's texts; None is no text.
    labels_itself = False  # Whether the texts determine the targets.
    labels: ClassLabels | None = None  # If there are classes.
    compiled_with: Compiled | None = None
    preprocessor: Any  # As in KerasHub's task.
    _compiled_methods: CompiledMethods | None = None
    _builds_as_functional = False

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        in_order_of_attributes(self)

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

        As in Keras, an argument that is not given takes its default. The exception: if only
        arguments are given that do not affect training, such as `run_eagerly` without an optimizer,
        loss or metric, all others keep their values from the last `compile`.

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
        """Compile with these arguments, without keeping earlier ones."""
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
            weighted_metrics = [one for one in [self.make_accuracy()] if one is not None]
        arguments = {
            "optimizer": keras.optimizers.get(optimizer),
            "loss": loss,
            "metrics": None,  # KerasHub's classifiers would add their own.
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
        """Return the loss that "auto" stands for."""
        return SmoothedCrossEntropy(label_smoothing)

    def make_accuracy(self):
        """Return the metric that "auto" stands for, or None."""
        return TokenAccuracy()

    @property
    def compiled_methods(self) -> CompiledMethods:
        """The compiled methods of this task; see `CompiledMethods`."""
        if self._compiled_methods is None:
            with BUILDING:  # Several threads may make the first call at once.
                if self._compiled_methods is None:
                    self._compiled_methods = CompiledMethods(self)
        return self._compiled_methods

    def get_compile_config(self):
        """Return the arguments of `compile`, for saving."""
        config = super().get_compile_config()
        if config is None or self.compiled_with is None:  # It never was compiled.
            return None
        # The argument as given: another backend may resolve "auto" differently.
        config["jit_compile"] = self.compiled_with.arguments["jit_compile"]
        return with_task_config(config, self.task_compile_config())

    def task_compile_config(self) -> dict:
        """Return the part of the compile config that is specific to this task."""
        return {
            "optimizer_built": self.optimizer is not None and self.optimizer.built,
            "optimizer_order": "functional" if self._builds_as_functional else "made",
        }

    def compile_from_config(self, config):
        """Compile with the result of `get_compile_config`; build an optimizer that has state."""
        config = keras.saving.deserialize_keras_object(without_task_config(config))
        has_weights = config.pop("optimizer_built", False)
        order = config.pop("optimizer_order", "functional")
        self.compile(**config)
        if not has_weights:
            return
        # A file without this entry is from a version in which torch had another order.
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
        batch_size: int | None = None,
        *,
        shuffle: bool = True,
        sample_weight=None,
        class_weight: dict | None = None,
        validation_data=None,
        validation_split: float | None = None,
        validation_batch_size: int | None = None,
        **kwargs,
    ):
        """Train, as `keras.Model.fit` does.

        Differs from KerasHub, where samples have the same order in all epochs.

        Args:
            x: Samples; a `tf.data.Dataset` of batches of samples; or a `keras.utils.PyDataset` of
                batches of token ids.
            y: The target of each sample; None if `x` is a dataset, which contains the targets.
            batch_size: Number of samples in a batch, if `x` is no dataset; 32 if None.
            shuffle: Whether each epoch has another order, if `x` is no `tf.data.Dataset`.
            sample_weight: A weight for each sample, if `x` is no dataset.
            class_weight: A dict of weights of classes, by id or name; other classes have 1. The
                weights of samples are multiplied with these. The classes of a sequence-to-sequence
                task and of a masked language model are token ids.
            validation_data: Like `x`, or a tuple like `x` and `y`.
            validation_split: Share of the samples, taken from the end, for validation, if `x` is no
                dataset. In (0, 1).
            validation_batch_size: Number of samples in a batch of `validation_data`; `batch_size`
                if None.
            **kwargs: As in `keras.Model.fit`: `epochs`, `callbacks`, ...

        Raises:
            ValueError: If `x` or `validation_data` has another type or has no batches, only one of
                them is a `keras.utils.PyDataset`, the numbers of weights and samples differ, a
                class is unknown, `validation_split` is given with a dataset, or leaves no samples
                on one side; and if the task refuses a sample.
        """
        x, validation_data = fitting.make_datasets(
            self,
            (x, y, sample_weight),
            batch_size,
            shuffle,
            validation_data,
            validation_split,
            validation_batch_size,
        )
        is_ids = isinstance(x, keras.utils.PyDataset)
        if not is_ids and not hasattr(x, "element_spec"):  # A dataset of grain.
            kwargs.update(validation_data=validation_data, class_weight=class_weight)
            return super().fit(x, **kwargs)
        # Otherwise TensorFlow makes the variables in a first trace of the step, and needs a second
        # one.
        build_optimizer(self)
        weights = None
        if class_weight is not None:
            weights = self.class_weights(class_weight), self.labels_in_rows
        x = fitting.pack_dataset(self, x, weights)
        if validation_data is not None:
            validation_data = fitting.pack_dataset(self, validation_data)
        # A dataset of `tf.data` has its own order.
        return keras.Model.fit(
            self, x, shuffle=shuffle and is_ids, validation_data=validation_data, **kwargs
        )

    def evaluate(
        self, x=None, y=None, batch_size: int | None = None, *, sample_weight=None, **kwargs
    ):
        """Return loss and metrics. `x`, `y` and the others are as in `fit`."""
        if kwargs.get("_use_cached_eval_dataset"):  # Called by `fit`, which has checked the data.
            return keras.Model.evaluate(self, x, **kwargs)
        x = fitting.make_dataset_of(self, "x", (x, y, sample_weight), batch_size)
        return keras.Model.evaluate(self, fitting.pack_dataset(self, x), **kwargs)

    def make_samples(self, x, y=None, sample_weight=None) -> tuple:
        """Return samples, targets and weights as arrays with a row for each sample.

        Raise if they are invalid, before training begins.
        """
        if isinstance(x, dict) and isinstance(x.get("token_ids"), np.ndarray):
            self.check_token_ids(x)
        need_targets(self.targets_name, x, y)
        need_weights(x, sample_weight)
        return x, y, sample_weight

    def make_validation_samples(self, data) -> tuple:
        """Return the same for `validation_data`."""
        return self.make_samples(*(data if isinstance(data, (tuple, list)) else [data]))

    def check_dataset(self, dataset):
        """Raise if a dataset's element specification shows that the task cannot learn from it."""
        if self.preprocessor is not None and hasattr(dataset, "element_spec"):
            name = None if self.labels_itself else self.targets_name
            check_specs(dataset.element_spec, self.text_kinds, name)

    def label_ids(self, y):
        """Return the ids of a batch's labels; without classes, the targets as they are."""
        return y if self.labels is None else self.labels.ids(y)

    def class_weights(self, class_weight: dict):
        """Return the weights of all classes, float32 [C], from a dict of some ids or names."""
        if self.labels is None:
            raise ValueError(
                "There are no classes to weigh here: give each sample a weight, as "
                f"`sample_weight`. Received: class_weight={class_weight!r}"
            )
        return weights_of_ids(class_weight, self.labels.num_classes, self.labels.id)

    def preprocess_samples(self, x, y=None, sample_weight=None):
        """Return packed ids of texts, and ids of labels if there are classes."""
        if y is not None and self.labels is not None:
            y = self.label_ids(y)
        return super().preprocess_samples(x, y, sample_weight)

    def pack_batch(self, x, y=None, sample_weight=None):
        """Return `preprocess_samples` of a batch for training or evaluation, in a graph."""
        return self.preprocess_samples(x, y, sample_weight)

    # === Reading texts ===

    def read(self, inputs: dict) -> dict:
        """Return the results for the inputs of the backbone and of the task's model."""
        backbone = self.backbone
        outputs = backbone({name: inputs[name] for name in backbone.input})["sequence_output"]
        return self.head(outputs, inputs)

    def read_alignments(self, inputs: dict) -> dict:
        """Return a dict of the alignments of all blocks and heads, float [B, L, N, S, S]."""
        return {"alignments": self.encode_with_alignments(inputs)[1]}

    def encode_with_alignments(self, inputs: dict):
        """Return the backbone's output float [B, S, D], and the alignments of its heads."""
        mask = inputs["padding_mask"]
        outputs, alignments = self.backbone.encode(
            inputs["token_ids"], mask, return_alignments=True
        )
        real = ops.cast(mask, alignments.dtype)[:, None, None, :, None]  # Padding is no query.
        return outputs, alignments * real

    def inputs_of(self, method: str) -> list[str]:
        """Return the names of the inputs of a method such as `read`."""
        return list(self.input if method == "read" else self.backbone.input)

    def compute_results(self, inputs: dict, method: str) -> dict:
        """Return the results of a method in float32, with `probabilities` in place of logits."""
        results = getattr(self, method)(inputs)
        results = {name: ops.cast(value, "float32") for name, value in results.items()}
        if "logits" in results:
            results["probabilities"] = ops.softmax(results.pop("logits"), axis=-1)
        return results

    def read_on_batch(self, packed: dict, method: str = "read") -> dict:
        """Return the NumPy arrays of the compiled `compute_results` for one packed batch."""
        inputs = {name: packed[name] for name in self.inputs_of(method)}
        return self.compiled_methods("compute_results", inputs, method=method)

    def pack_texts(self, texts) -> dict:
        """Return the packed texts: a dict of the backbone's inputs and other arrays."""
        return self.preprocessor(texts)

    def check_inputs(self, texts):
        """Return texts as a list of strings; raise if they are invalid.

        Without a preprocessor they are the backbone's inputs.
        """
        if self.preprocessor is None:
            self.check_token_ids(texts)
            return texts
        texts = as_texts(texts)
        self.preprocessor.check_texts(texts)
        return texts

    def check_token_ids(self, inputs):
        """Raise if the inputs are no valid inputs of the backbone."""
        sizes = dict.fromkeys(self.backbone.input)
        check_ids(inputs, {**sizes, "token_ids": self.backbone.vocabulary_size})

    def alignments(self, texts, *, batch_size: int = 32):
        """Return `head_alignments`: no single alignment represents all heads."""
        return self.head_alignments(texts, batch_size=batch_size)

    def head_alignments(self, texts, *, batch_size: int = 32):
        """Return the alignments of each head of each block.

        Args:
            texts: A string or strings, or other inputs of the task; without a preprocessor, the
                backbone's inputs.
            batch_size: Number of texts in a batch. At least 1.

        Returns:
            float32 [B, L, N, S, S], a NumPy array: `alignments[b, l, n, t, s]` is the weight of
            token s for token t. Rows sum to 1 over a text's tokens, special tokens included (see
            `preprocessor.tokens(text)`). Rows and columns of padding are 0.

        Raises:
            ValueError: If the backbone is no Transformer, there is no text, a text is empty, or a
                token id is outside the vocabulary.
        """
        if not self.backbone.has_heads:
            raise ValueError(
                "Alignments of heads are those of a Transformer. Received: backbone of type "
                f"{type(self.backbone).__name__}"
            )
        results = reading.read_texts(self, texts, batch_size, "read_alignments")
        return reading.cut_padding(results)

    def predict(self, x, batch_size: int | None = None, **kwargs):
        """Return the outputs of the model, as `keras.Model.predict` does.

        Samples are padded to one of a few batch sizes, and the padding is removed from the outputs.
        Calls from several threads run one after the other.

        Args:
            x: The task's inputs, or a dataset of batches of inputs.
            batch_size: Number of samples in a batch, if `x` is no dataset; 32 if None.
            **kwargs: As in `keras.Model.predict`: `verbose`, `steps`, `callbacks`.

        Returns:
            NumPy arrays, batch first.

        Raises:
            ValueError: If the task refuses a sample, or a dataset has no batches.
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
        """Return the samples of `predict`, a list or a dict of lists or arrays, if valid."""
        return self.check_inputs(x)

    # === Saving and loading ===

    def quantize(self, mode=None, config=None, filters=None, **kwargs):
        """Quantize the weights, as `keras.Model.quantize` does, also in presets and files.

        Args:
            mode: `"int8"`, or another mode of Keras.
            config: A `keras.quantizers.QuantizationConfig`, in place of a mode.
            filters: The layers to quantize, as in Keras. None is all layers that Keras can
                quantize, `Dense`, `EinsumDense`, `Embedding` and `ReversibleEmbedding`, also inside
                other layers, and attnzoo's `TokenLogits`. Recurrent cells and scores are not
                quantized.
            **kwargs: As in `keras.Model.quantize`.
        """
        filters = saving.is_quantizable if filters is None else filters
        with saving.quantizing(self):
            super().quantize(mode, config=config, filters=filters, **kwargs)

    def save_task_weights(self, filepath):
        """Save the weights that are not the backbone's; a preset holds no optimizer."""
        with saving.without_optimizer(self):
            super().save_task_weights(filepath)

    def load_task_weights(self, filepath):
        """Load the weights from `save_task_weights`."""
        with saving.without_optimizer(self):
            super().load_task_weights(filepath)

    def get_config(self):
        classes: dict = {} if self.labels is None else self.labels.get_config()
        return {**super().get_config(), **classes}

    @classmethod
    def from_preset(cls, preset: str | os.PathLike, load_weights: bool = True, **kwargs):
        """Load a task from its own preset, or from another task's preset with the same backbone.

        Args:
            preset: A built-in name (see `attnzoo.presets`), a directory from `save_to_preset`, the
                folder of a finished run, or a handle (`hf://user/name`, KerasHub's `kaggle://`).
            load_weights: Whether to load the weights too.
            **kwargs: As in `keras_hub.models.Task.from_preset`. `dtype` is by default the preset's.
                With `class_names` or `num_classes` only the backbone is taken from the preset, and
                the other layers are new. From another task's preset the preprocessor takes the
                tokenizer and the packing arguments.

        Raises:
            ValueError: If the name is unknown, the directory is damaged or holds a preset of
                another class, or an argument asks for a head that the preset has no weights for.
        """
        if cls.has_classes:
            kwargs = saving.with_classes(kwargs)
        loading.check_head(cls, preset, kwargs)
        with loading.explain_preset_errors(preset, cls, kwargs) as place:
            packing = saving.packing_of_another(cls, place)
        if packing is not None and "preprocessor" not in kwargs:
            kwargs["preprocessor"] = cls.preprocessor_cls.from_preset(place, **packing)
        with loading.explain_preset_errors(preset, cls, kwargs) as place:
            if os.path.isdir(place):
                kwargs.setdefault("dtype", loading.saved_dtype(place))
            return super().from_preset(place, load_weights=load_weights, **kwargs)
