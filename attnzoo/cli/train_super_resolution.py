"""Train a small HAT on pictures, and compare it with Pillow's bicubic filter on others.

attnzoo train-super-resolution --train photos/*.png --test others/*.png --output runs/x2
attnzoo train-super-resolution --preset hat_tiny_x2 --train mine/*.jpg --test other.jpg \\
    --output runs/mine --learning-rate 0.0003 --steps 1000

The network begins at the bicubic picture and learns what is missing. The run folder then holds
recipe.json, history.csv, metrics.json, test.json (the PSNR of each test picture, and the gain over
the bicubic filter, in dB) and preset/, for `attnzoo predict`.
"""

import argparse
import json
import pathlib
import time
from typing import Any

from attnzoo.cli.run_records import HISTORY, METRICS, RECORD
from attnzoo.cli.startup import announce_compiling, load_tensorflow
from attnzoo.cli.tasks import advise_start

# Of the network, beside the sizes that are options.
_NETWORK: dict[str, Any] = {"compress_ratio": 2, "squeeze_factor": 4, "convolution_scale": 0.5}
# What the record of a run tells, beside the files.
_OPTIONS = (
    "preset",
    "scale",
    "hidden_dim",
    "depths",
    "num_heads",
    "window_size",
    "num_features",
    "steps",
    "epochs",
    "batch_size",
    "patch_size",
    "learning_rate",
    "seed",
)


def add_arguments(parser: argparse.ArgumentParser):
    parser.add_argument(
        "--train", nargs="+", required=True, metavar="PICTURE", help="pictures to learn from"
    )
    parser.add_argument(
        "--test", nargs="+", required=True, metavar="PICTURE", help="pictures to measure on"
    )
    parser.add_argument("--output", required=True, metavar="DIR", help="the run folder, new")
    parser.add_argument("--preset", help="go on from this one; sizes and scale are then its own")
    parser.add_argument("--scale", type=int, default=2, choices=(2, 3, 4))
    parser.add_argument("--hidden-dim", type=int, default=32, metavar="N")
    parser.add_argument("--depths", type=int, nargs="+", default=[2, 2], metavar="N")
    parser.add_argument("--num-heads", type=int, default=4, metavar="N")
    parser.add_argument("--window-size", type=int, default=8, metavar="PIXELS")
    parser.add_argument("--num-features", type=int, default=32, metavar="N")
    parser.add_argument("--steps", type=int, default=2400, metavar="N")
    parser.add_argument("--epochs", type=int, default=24, metavar="N", help="parts of the steps")
    parser.add_argument("--batch-size", type=int, default=8, metavar="N")
    parser.add_argument(
        "--patch-size", type=int, default=32, metavar="PIXELS", help="side of a small patch"
    )
    parser.add_argument("--learning-rate", type=float, default=0.0015, help="falls as a cosine")
    parser.add_argument("--seed", type=int, default=0)


def advise(arguments: argparse.Namespace) -> str:
    """Return what to do after Ctrl-C."""
    if pathlib.Path(arguments.output).exists():
        return f"Training starts over: remove {arguments.output}, or give another --output."
    return advise_start(arguments)


def run(arguments: argparse.Namespace):
    load_tensorflow()
    import keras

    from attnzoo.models.preprocessing.images import read_images

    output = pathlib.Path(arguments.output)
    if output.exists():
        raise ValueError(f"`--output` must be new. Received: {output}")
    keras.utils.set_random_seed(arguments.seed)
    task = _make_task(arguments)
    channels = task.backbone.num_channels
    train, test = (
        [image for path in paths for image in read_images(path, channels=channels)]
        for paths in (arguments.train, arguments.test)
    )
    batches = _make_batches(train, arguments, task.scale)
    rate = keras.optimizers.schedules.CosineDecay(arguments.learning_rate, arguments.steps)
    task.compile(optimizer=keras.optimizers.Adam(rate, use_ema=True, ema_momentum=0.99))
    output.mkdir(parents=True)
    announce_compiling()
    started = time.time(), time.process_time()
    logger = keras.callbacks.CSVLogger(str(output / HISTORY))
    task.fit(batches, epochs=arguments.epochs, callbacks=[logger], verbose=2)
    seconds = round(time.time() - started[0], 1)
    training = {
        "backend": keras.backend.backend(),
        "parameters": task.count_params(),
        "seconds": seconds,
        "seconds_since_last_start": seconds,  # A run has one start.
        "cpu_seconds": round(time.process_time() - started[1], 1),
        "epochs": arguments.epochs,
    }
    found = compare_with_bicubic(task, arguments.test, test)
    contents = {RECORD: _recipe(arguments), METRICS: training, "test.json": found}
    for name, content in contents.items():
        (output / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    task.save_to_preset(str(output / "preset"))
    print(json.dumps(found, indent=2))


def compare_with_bicubic(task, names, pictures) -> dict:
    """Return the PSNR of a task on pictures made small, and its gain over Pillow's bicubic filter.

    Args:
        task: A task for super-resolution.
        names: The pictures' files.
        pictures: uint8 [H, W, C] each.

    Returns:
        A dict as in a run's record: for each picture its PSNR and the gain, in dB.
    """
    from attnzoo.data import shrink_image
    from attnzoo.models.preprocessing.images import resize_image

    found: dict = {"decoding": "whole", "sources": len(pictures)}
    for name, picture in zip(names, pictures, strict=True):
        small = shrink_image(picture, task.scale)
        large = picture[: small.shape[0] * task.scale, : small.shape[1] * task.scale]
        ours = decibels(large, task.predict(small))
        bicubic = decibels(large, resize_image(small, *large.shape[:2]))
        stem = pathlib.Path(name).stem
        found[f"{stem}_psnr"], found[f"{stem}_gain"] = ours, round(ours - bicubic, 3)
    return found


def decibels(target, picture) -> float:
    """Return the PSNR of a picture uint8 [H, W, C], in dB."""
    import numpy as np

    from attnzoo.training import PeakSignalToNoise

    targets, pictures = (np.float32(one[None]) / 255.0 for one in (target, picture))
    return round(float(PeakSignalToNoise()(targets, pictures)), 3)


def _make_task(arguments):
    from attnzoo.models import HATBackbone, HATSuperResolution

    if arguments.preset is not None:
        return HATSuperResolution.from_preset(arguments.preset)
    backbone = HATBackbone(
        arguments.hidden_dim,
        arguments.depths,
        num_heads=arguments.num_heads,
        window_size=arguments.window_size,
        stochastic_depth=0.0,
        **_NETWORK,
    )
    return HATSuperResolution(
        backbone, scale=arguments.scale, num_features=arguments.num_features, bicubic_skip=True
    )


def _make_batches(pictures, arguments, scale):
    from attnzoo.data import SuperResolutionBatches

    if arguments.steps < arguments.epochs:
        raise ValueError(
            "`--steps` must be at least `--epochs`, which are parts of them. "
            f"Received: --steps {arguments.steps}, --epochs {arguments.epochs}"
        )
    return SuperResolutionBatches(
        pictures,
        scale=scale,
        patch_size=arguments.patch_size,
        batch_size=arguments.batch_size,
        batches_per_epoch=arguments.steps // arguments.epochs,
        seed=arguments.seed,
    )


def _recipe(arguments) -> dict:
    """Return the options of the run, as in a run's record."""
    options = {name: vars(arguments)[name] for name in _OPTIONS}
    files = {
        name: [pathlib.Path(path).name for path in vars(arguments)[name]]
        for name in ("train", "test")
    }
    return {"task": "super_resolution", "model": "hat", **options, **_NETWORK, **files}
