"""Train a small HAT on photos, and compare it with Pillow's bicubic filter on others.

The built-in preset hat_tiny_x2 was trained with scikit-image's photos:

  python benchmarks/super_resolution.py runs/hat_tiny_x2 --scikit-image

and the same with your own folders:

  python benchmarks/super_resolution.py runs/own --train photos/ --test others/ --scale 4

The folder then holds recipe.json, history.csv, metrics.json, test.json and preset/, as one of
`attnzoo train` does: `benchmarks/records.py add` keeps its record, and `attnzoo predict` takes it.
"""

import argparse
import json
import pathlib
import time

import keras
import numpy as np

from attnzoo.cli.run_records import HISTORY, METRICS, RECORD
from attnzoo.data import SuperResolutionBatches, shrink_image
from attnzoo.models import HATBackbone, HATSuperResolution
from attnzoo.models.preprocessing.images import read_images, resize_image
from attnzoo.training import PeakSignalToNoise

# In the wheel of scikit-image 0.26.0; all are CC0 or in the public domain, as its docstrings say.
TRAIN = (
    "brick.png",
    "camera.png",
    "coins.png",
    "grass.png",
    "gravel.png",
    "hubble_deep_field.jpg",
    "ihc.png",
    "motorcycle_left.png",
    "motorcycle_right.png",
    "rocket.jpg",
)
TEST = ("astronaut.png", "chelsea.png", "coffee.png")
BACKBONE = {
    "hidden_dim": 32,
    "depths": [2, 2],
    "num_heads": 4,
    "window_size": 8,
    "compress_ratio": 2,
    "squeeze_factor": 4,
    "convolution_scale": 0.5,
    "stochastic_depth": 0.0,
}


def main(argv: list[str] | None = None) -> None:
    """Train, evaluate and save as the command line says."""
    arguments = make_parser().parse_args(argv)
    train, test = find_photos(arguments)
    output = pathlib.Path(arguments.output)
    output.mkdir(parents=True)
    keras.utils.set_random_seed(arguments.seed)
    backbone = HATBackbone(**BACKBONE)
    task = HATSuperResolution(backbone, scale=arguments.scale, num_features=32, bicubic_skip=True)
    batches = SuperResolutionBatches(
        [image for path in train for image in read_images(path)],
        scale=arguments.scale,
        patch_size=arguments.patch_size,
        batch_size=arguments.batch_size,
        batches_per_epoch=arguments.steps // arguments.epochs,
        seed=arguments.seed,
    )
    rate = keras.optimizers.schedules.CosineDecay(arguments.learning_rate, arguments.steps)
    task.compile(optimizer=keras.optimizers.Adam(rate, use_ema=True, ema_momentum=0.99))
    started = time.time(), time.process_time()
    logger = keras.callbacks.CSVLogger(str(output / HISTORY))
    task.fit(batches, epochs=arguments.epochs, callbacks=[logger], verbose=2)
    training = {
        "backend": keras.backend.backend(),
        "parameters": task.count_params(),
        "seconds": round(time.time() - started[0], 1),
        "cpu_seconds": round(time.process_time() - started[1], 1),
        "epochs": arguments.epochs,
    }
    recipe = {
        "task": "super_resolution",
        "model": "hat",
        **{name: value for name, value in vars(arguments).items() if name != "output"},
        **BACKBONE,
        "train": [path.name for path in train],
        "test": [path.name for path in test],
    }
    for name, content in (
        (RECORD, recipe),
        (METRICS, training),
        ("test.json", evaluate(task, test)),
    ):
        (output / name).write_text(json.dumps(content, indent=2) + "\n")
    task.save_to_preset(str(output / "preset"))
    print((output / "test.json").read_text())


def evaluate(task, paths: list[pathlib.Path]) -> dict:
    """Return the PSNR of the task and of Pillow's bicubic filter on each photo, in dB."""
    found: dict = {"decoding": "whole", "sources": len(paths)}
    for path in paths:
        (photo,) = read_images(path)
        small = shrink_image(photo, task.scale)
        large = photo[: small.shape[0] * task.scale, : small.shape[1] * task.scale]
        ours = decibels(large, task.predict(small))
        found[f"{path.stem}_psnr"] = ours
        found[f"{path.stem}_gain"] = ours - decibels(large, resize_image(small, *large.shape[:2]))
    return found


def decibels(target: np.ndarray, image: np.ndarray) -> float:
    """Return the PSNR of an image uint8 [H, W, C], in dB."""
    one, other = (np.float32(array[None]) / 255.0 for array in (target, image))
    return round(float(PeakSignalToNoise()(one, other)), 3)


def find_photos(arguments) -> tuple[list[pathlib.Path], list[pathlib.Path]]:
    """Return the files to train with and to test with."""
    if arguments.scikit_image:
        import skimage

        folder = pathlib.Path(skimage.__file__).parent / "data"
        return [folder / name for name in TRAIN], [folder / name for name in TEST]
    if not (arguments.train and arguments.test):
        raise ValueError(
            "Photos must come from `--train` and `--test`, or by `--scikit-image`. "
            f"Received: train={arguments.train}, test={arguments.test}"
        )
    return [
        sorted(path for path in pathlib.Path(folder).iterdir() if path.is_file())
        for folder in (arguments.train, arguments.test)
    ]


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("output", help="the run's folder, which is new")
    parser.add_argument("--train", metavar="FOLDER", help="photos to train with")
    parser.add_argument("--test", metavar="FOLDER", help="photos to test with")
    parser.add_argument("--scikit-image", action="store_true", help="those of scikit-image")
    parser.add_argument("--scale", type=int, default=2)
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--epochs", type=int, default=20, help="into which the steps are divided")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--patch-size", type=int, default=32, help="of small images, in pixels")
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    return parser


if __name__ == "__main__":
    main()
