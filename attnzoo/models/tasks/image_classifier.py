"""Base of classifiers of pictures: classes with probabilities, alignments, saliency."""

import keras
import keras_hub
import numpy as np
from keras import ops

from attnzoo.checks import check_positive, check_rate
from attnzoo.models.preprocessing.class_labels import ClassLabels
from attnzoo.models.preprocessing.images import is_one_image
from attnzoo.models.preprocessing.input_checks import need_as_many
from attnzoo.models.preprocessing.packing import as_lists, need_some
from attnzoo.models.tasks.base import Task
from attnzoo.models.tasks.batch_sizes import join_rows, split_rows
from attnzoo.models.tasks.saliency import saliency
from attnzoo.models.tasks.samples import need_targets, need_weights


class ImageClassifierTask(Task, keras_hub.models.ImageClassifier):
    """Base of the classifiers of pictures: one class for a picture.

    The backbone has `encode`, which with `return_alignments=True` also returns the alignments or
    gates of its blocks. A picture is a path, a picture of Pillow, or an array [H, W] or [H, W, C],
    uint8 in [0, 255] or float in [0, 1]; without a preprocessor, pictures are one normalized array
    [B, H, W, C].
    """

    targets_name = "Labels"
    has_classes = True
    labels: ClassLabels
    labels_in_rows = False

    def __init__(
        self,
        backbone,
        preprocessor=None,
        *,
        class_names: list[str] | None = None,
        num_classes: int | None = None,
        dropout: float = 0.0,
        pooling: str = "avg",
        **kwargs,
    ):
        check_rate(dropout=dropout)
        if preprocessor is not None:
            preprocessor.check_backbone(backbone)
        self.labels = ClassLabels(class_names, num_classes)
        super().__init__(
            backbone=backbone,
            num_classes=self.labels.num_classes,
            preprocessor=preprocessor,
            pooling=pooling,
            dropout=dropout,
            **kwargs,
        )

    @property
    def class_names(self) -> list[str] | None:
        """The names of the classes in the order of ids, or None if they have no names."""
        return self.labels.class_names

    def make_accuracy(self):
        """Return the metric that "auto" stands for."""
        return keras.metrics.SparseCategoricalAccuracy(name="accuracy")

    # === Samples ===

    def make_samples(self, x, y=None, sample_weight=None) -> tuple:
        """Return pictures as one array, the ids of their labels, and weights."""
        need_targets(self.targets_name, x, y)
        images = self.check_inputs(x)
        labels = np.asarray(self.label_ids(as_lists(y)), "int32")
        need_as_many(images=images, labels=labels)
        need_weights(images, sample_weight)
        return images, labels, sample_weight

    def check_dataset(self, dataset):
        """Raise if the elements of a `tf.data.Dataset` are not pictures with labels."""
        spec = getattr(dataset, "element_spec", None)
        if spec is None:
            return
        parts = spec if isinstance(spec, tuple) else (spec,)
        shape = getattr(parts[0], "shape", None)
        if len(parts) < 2 or shape is None or len(shape) != 4:
            raise ValueError(
                "Labels must come with pictures, in pairs of batches: (pictures [B, H, W, C], "
                f"labels). Received: elements of {spec}"
            )

    def check_inputs(self, images) -> np.ndarray:
        """Return pictures as one array; raise if one is invalid."""
        if self.preprocessor is not None:
            return self.preprocessor.read(images)
        images = ops.convert_to_numpy(images)
        channels = self.backbone.image_shape[-1]
        if images.ndim != 4 or images.shape[-1] != channels or images.dtype.kind != "f":
            raise ValueError(
                "Without a preprocessor a task reads normalized pictures, float "
                f"[B, H, W, {channels}]. Received: shape {images.shape}, dtype {images.dtype}"
            )
        need_some("image", images)
        return images

    # === Inference ===

    def read(self, inputs: dict) -> dict:
        """Return the logits float [B, K] of normalized pictures `images`."""
        return {"logits": self._logits(self.backbone(inputs["images"]))}

    def read_alignments(self, inputs: dict) -> dict:
        """Return the alignments or gates of each block, and the logits."""
        outputs, alignments = self.backbone.encode(inputs["images"], return_alignments=True)
        return {"logits": self._logits(outputs), **_flat(alignments)}

    def explain(self, inputs: dict) -> dict:
        """Return the saliency float32 [B, H, W] for the classes `class_ids` int [B]."""
        is_chosen = ops.one_hot(inputs["class_ids"], self.num_classes)  # [B, K]

        def score(images):
            logits = self._logits(self.backbone(images))
            # Pictures are independent: the gradient of the sum holds that of each.
            return ops.sum(ops.cast(logits, "float32") * is_chosen)

        images = ops.convert_to_tensor(inputs["images"])
        return {"saliency": saliency(score, images, inputs["fractions"])}

    def inputs_of(self, method: str) -> list[str]:
        """Return the names of the inputs of a method such as `read`."""
        return ["images", *(["class_ids", "fractions"] if method == "explain" else [])]

    def classify(
        self,
        images,
        *,
        return_probabilities: bool = False,
        return_alignments: bool = False,
        batch_size: int = 32,
    ):
        """Return the most probable class of each picture.

        Args:
            images: One picture, or several in a list or an array.
            return_probabilities: Whether to also return the probability of each class.
            return_alignments: Whether to also return the alignments.
            batch_size: Number of pictures in a batch. At least 1.

        Returns:
            A list of class names, or of ids if classes have no names; for a single picture, its
            class.
            With `return_probabilities` or `return_alignments` a dict of `"labels"`, a list,
            `"probabilities"` float32 [B, K] and `"alignments"` as in `alignments`, as asked for.

        Raises:
            ValueError: If there is no picture, or one is invalid.
        """
        is_one = self.preprocessor is not None and is_one_image(images)
        results = self._run(images, batch_size, "read_alignments" if return_alignments else "read")
        probabilities = results.pop("probabilities")
        labels = self.labels.names(probabilities.argmax(axis=-1))
        if not (return_probabilities or return_alignments):
            return labels[0] if is_one else labels
        asked: dict = {"labels": labels}
        if return_probabilities:
            asked["probabilities"] = probabilities
        if return_alignments:
            asked["alignments"] = results
        return asked

    def alignments(self, images, *, batch_size: int = 32) -> dict:
        """Return what the attention of each block saw.

        Args:
            images: As in `classify`.
            batch_size: Number of pictures in a batch. At least 1.

        Returns:
            dict of NumPy arrays, float32, by the name of the block, such as `"stage3_block1"`: for
            a Transformer block alignments [B, N, P, P], with the P = H W places of its map row by
            row; for another block what its attention returns, such as gates [B, H, W] of places
            under `"stage1_block1/spatial"` and [B, C] of channels under `"stage1_block1/channel"`.

        Raises:
            ValueError: As in `classify`, or if the backbone has no attention.
        """
        results = self._run(images, batch_size, "read_alignments")
        del results["probabilities"]
        if not results:
            raise ValueError(
                "The backbone must have attention. Received: a backbone without `attention` and "
                "Transformer blocks"
            )
        return results

    def saliency(
        self,
        images,
        *,
        class_name: str | int | None = None,
        steps: int = 1,
        batch_size: int = 32,
    ) -> dict:
        """Return the contribution of each pixel to a class, by gradients.

        One step is gradient times input; more steps are integrated gradients, from a picture of the
        preprocessor's mean to the picture itself. A number above 0 is evidence for the class.

        Args:
            images: As in `classify`.
            class_name: The class, by name or by id; None is the most probable class of each.
            steps: Number of points at which the gradient is taken, at least 1: the picture itself
                if 1, else the midpoints of equal intervals of the line. 20 is usual.
            batch_size: Number of pictures in a batch. At least 1.

        Returns:
            dict of `"saliency"` float32 [B, H, W], a NumPy array, in nats, and `"labels"`, the
            class of each picture.

        Raises:
            ValueError: As in `classify`, or if the class is unknown or `steps` below 1.

        References:
            [Simonyan et al., 2014](https://arxiv.org/abs/1312.6034).
            [Sundararajan et al., 2017](https://arxiv.org/abs/1703.01365) (more steps).
        """
        check_positive(steps=steps)
        if class_name is None:
            found = self._run(images, batch_size, "read")["probabilities"]
            class_ids = found.argmax(axis=-1)
        else:
            count = len(self.check_inputs(images))
            class_ids = np.full(count, self.labels.id(class_name))
        total = 0.0
        for fraction in [1.0] if steps == 1 else (np.arange(steps) + 0.5) / steps:
            more = {
                "class_ids": class_ids.astype("int32"),
                "fractions": np.full(len(class_ids), fraction, "float32"),
            }
            total = total + self._run(images, batch_size, "explain", **more)["saliency"] / steps
        return {"saliency": total, "labels": self.labels.names(class_ids)}

    def _run(self, images, batch_size, method, **more) -> dict:
        """Return the results of a method on pictures, in batches; arrays, batch first."""
        images = self.check_inputs(images)
        results = []
        for rows in split_rows(len(images), batch_size):
            packed = images[rows]
            if self.preprocessor is not None:
                packed = self.preprocessor.normalize(packed)
            inputs = {"images": packed, **{name: value[rows] for name, value in more.items()}}
            results.append(self.read_on_batch(inputs, method))
        return {name: join_rows([one[name] for one in results]) for name in results[0]}

    def _logits(self, outputs):
        return self.output_dense(self.output_dropout(self.pooler(outputs)))

    def get_config(self):
        config = super().get_config()
        del config["activation"]  # The outputs are logits.
        return config


def _flat(alignments: dict) -> dict:
    """Return the arrays of all blocks under one name each."""
    found = {}
    for name, value in alignments.items():
        if isinstance(value, dict):
            found.update({f"{name}/{part}": one for part, one in value.items()})
        else:
            found[name] = value
    return found
