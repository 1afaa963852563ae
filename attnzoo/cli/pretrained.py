"""Models that start from the weights of a preset."""

import os
import pathlib

from attnzoo.cli.settings import Settings


def check_preset(settings: Settings, output: pathlib.Path):
    """Raise unless a run in this folder can start from its preset."""
    import keras

    from attnzoo.models.parts.presets import explain_preset_errors, saved_dtype, task_class

    preset, cls = settings.kind.preset, settings.task_class
    received = f"Received: preset={preset!r}"
    held = task_class(preset)
    if held is None:
        raise ValueError(
            "A run starts from a built-in preset, a directory or hf://user/name: load another in "
            f"Python, and save it with `save_to_preset`. {received}"
        )
    if held.backbone_cls is not cls.backbone_cls:
        raise ValueError(
            f"A {cls.__name__} starts from a preset with a {cls.backbone_cls.__name__}: `model` "
            f"must be the preset's too. {received}, which holds a {held.__name__}, with "
            f"model={settings.kind.model!r}"
        )
    with explain_preset_errors(preset) as place:
        policy = saved_dtype(place)
    if isinstance(policy, keras.dtype_policies.DTypePolicyMap) or policy.quantization_mode:
        raise ValueError(
            "A preset to start from must not be quantized: its weights could not be trained. "
            f"{received}"
        )
    if output.resolve() in pathlib.Path(place).resolve().parents:
        raise ValueError(
            "A preset to start from must lie outside the run folder, which is written anew. "
            f"{received}, output={output}"
        )


def start_from_preset(settings: Settings, options: dict, head: dict):
    """Return a task with the preset's tokenizers and backbone, and its head if the task is the
    same.

    Args:
        settings: Settings of the run, with a preset.
        options: Arguments of the preprocessor.
        head: Arguments of the task. The own layers of classifiers and taggers are always new.
    """
    from attnzoo.models.parts.presets import explain_preset_errors, task_class
    from attnzoo.models.tasks.saving import packing_of_another

    preset, cls = settings.kind.preset, settings.task_class
    held = task_class(preset)
    with explain_preset_errors(preset) as place:
        packing = packing_of_another(cls, place) or {}
        preprocessor = cls.preprocessor_cls.from_preset(place, **{**packing, **options})
        backbone = cls.backbone_cls.from_preset(
            place, dtype=settings.training.dtype or "float32", **settings.backbone.arguments()
        )
    if settings.kind.task == "masked_lm":
        preprocessor.build(None)
        if preprocessor.mask_token_id >= backbone.vocabulary_size:
            raise ValueError(
                "A masked language model starts from a preset whose backbone knows the mask token, "
                f"as one of its kind does. Received: preset={preset!r}, of a {held.__name__}"
            )
    task = cls(backbone, preprocessor, **head)
    weights = os.path.join(place, "task.weights.h5")
    if (
        held is cls
        and settings.kind.task not in ("classifier", "tagger")
        and os.path.exists(weights)
    ):
        task.load_task_weights(weights)
    return task
