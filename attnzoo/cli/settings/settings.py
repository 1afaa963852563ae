"""The settings of a run of `attnzoo train`, which with the data determine its result."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from attnzoo.cli.settings.backbone import Dropout, Network
from attnzoo.cli.settings.data import Batches
from attnzoo.cli.settings.head import Head
from attnzoo.cli.settings.optimizer import Optimizer
from attnzoo.cli.settings.option import Options
from attnzoo.cli.settings.parts import OPTIONS, PARTS, Kind, check_known, refuse
from attnzoo.cli.settings.tokenizers import Tokenizers
from attnzoo.cli.settings.training import Training

if TYPE_CHECKING:
    import keras


@dataclasses.dataclass(frozen=True)
class Settings:
    """All groups of options of one run; `make_settings` makes them from single options.

    Args:
        kind: Task, model and preset, which determine the classes of the other groups.
        data, head, optimizer, training: Groups of every run.
        backbone: Options of a new backbone, a `Network`; for a preset's backbone only its dropout.
        tokenizers: None if a preset has them.
    """

    kind: Kind
    data: Batches
    backbone: Dropout
    head: Head
    optimizer: Optimizer
    training: Training
    tokenizers: Tokenizers | None = None

    def __post_init__(self):
        if getattr(self.head, "head", None) == "crf":
            if self.training.monitor == "accuracy":
                raise ValueError(
                    "A conditional random field is chosen by its loss on dev: leave `--monitor` "
                    "out. Received: head='crf', monitor='accuracy'"
                )
            training = dataclasses.replace(self.training, monitor="loss")
            object.__setattr__(self, "training", training)
        if self.tokenizers is None:
            return
        joint = getattr(self.tokenizers, "joint_tokenizer", False)
        if getattr(self.backbone, "share_embeddings", False) and not joint:
            raise ValueError(
                "Both sides share an embedding only if they share a tokenizer: give "
                "`--joint-tokenizer` too. Received: share_embeddings=True, joint_tokenizer=False"
            )
        sampling = getattr(self.data, "subword_sampling", None)
        kinds = self.tokenizers.kinds
        if sampling is not None and set(kinds.values()) != {"unigram"}:
            found = ", ".join(f"{side}={kind!r}" for side, kind in kinds.items())
            raise ValueError(
                "Pieces are drawn from unigram models: give `--source-tokenizer unigram`, and "
                "likewise for the target. Received: "
                f"subword_sampling={sampling}, {found}"
            )

    @property
    def task_class(self) -> "type[keras.Model]":
        """The class of the task."""
        from attnzoo import models

        return getattr(models, PARTS[self.kind.task, self.kind.model].task_class)

    def as_options(self) -> dict:
        """Return all options by name, as arguments of `make_settings`."""
        options: dict[str, object] = {}
        for name in _groups(self.kind):
            options |= dataclasses.asdict(getattr(self, name))
        return options

    def replace(self, **options: object) -> "Settings":
        """Return settings with these options changed.

        With another task, model or preset, options that do not apply to that kind are left out.
        """
        kept = of_record({**self.as_options(), **options})
        return make_settings(**{**kept, **options})

    def make_task(self, data: Sequence):
        """Return the task to train: a new one, with tokenizers from the data, or one from the
        preset.

        Args:
            data: The training data, from `attnzoo.cli.data_files.read_data`.

        Raises:
            ValueError: If a layer does not take its options.
        """
        from attnzoo.cli.pretrained import start_from_preset

        head = self.head.arguments(data, self.backbone.dropout)
        if self.tokenizers is None or not isinstance(self.backbone, Network):  # A preset has both.
            return start_from_preset(self, self._preprocessor_arguments(), head)
        try:
            return self._make_new_task(self.tokenizers, self.backbone, data, head)
        except TypeError as error:
            given = self.backbone.layer_arguments()
            if not given:
                raise
            raise ValueError(
                f"Options must be arguments of the layer. Received: {given}: {error}"
            ) from error

    def make_batches(self, task: "keras.Model", data: Sequence, dev_data: Sequence) -> tuple:
        """Return batches for training and for early stopping."""
        seed = self.training.seed
        return tuple(
            self.data.make_batches(one, task, seed=seed, drawn=drawn)
            for one, drawn in ((data, True), (dev_data, False))
        )

    def compile(self, task: "keras.Model", steps: int):
        """Compile the task for training with `steps` batches."""
        optimizer = self.optimizer.make(task, steps)
        task.compile(optimizer=optimizer, **self.training.compile_arguments())

    def _make_new_task(self, tokenizers, network, data, head):
        cls = self.task_class
        made = tokenizers.make(self.data.sides(data))
        preprocessor = cls.preprocessor_cls(*made, **self._preprocessor_arguments())
        sizes = self.data.vocabulary_sizes(preprocessor)
        arguments = network.new_arguments(self.training.dtype, self.data.longest)
        return cls(cls.backbone_cls(*sizes, **arguments), preprocessor, **head)

    def _preprocessor_arguments(self):
        of_backbone = {}
        if isinstance(self.backbone, Network):  # Else the preset's preprocessor has them.
            of_backbone = self.backbone.preprocessor_arguments()
        return {
            **self.data.preprocessor_arguments(),
            **of_backbone,
            **self.head.preprocessor_arguments(),
        }


def make_settings(**options: object) -> Settings:
    """Return the settings with these options, and defaults for all others.

    Raises:
        ValueError: If an option is unknown, does not apply to this kind of run and differs from its
            default, is out of range, or contradicts another.

    Example:
        >>> make_settings(model="transformer", num_heads=2).backbone.num_heads
        2
    """
    check_known(options)
    kind = Kind(**_of(Kind, options))
    groups = _groups(kind)
    names = {field.name for group in groups.values() for field in dataclasses.fields(group)}
    for name, value in options.items():
        # Records of older runs have defaults of all options.
        if name not in names and value != OPTIONS[name].default:
            refuse(name, value, kind)
    parts: dict[str, Any] = {part: group(**_of(group, options)) for part, group in groups.items()}
    return Settings(**parts)


def of_record(record: Mapping) -> dict:
    """Return all options of a run from its `recipe.json`.

    An option that is missing in the record has its default. Older records also have options of
    other kinds of runs, which had no effect: these are left out.
    """
    kind = Kind(**_of(Kind, record))
    options: dict[str, object] = {}
    for group in _groups(kind).values():
        options |= dataclasses.asdict(group()) | _of(group, record)
    return options


def _groups(kind: Kind) -> dict[str, type[Options]]:
    return PARTS[kind.task, kind.model].groups(kind.preset is not None)


def _of(group, options) -> dict:
    names = [field.name for field in dataclasses.fields(group)]
    return {name: options[name] for name in names if name in options}
