"""Make a built-in preset of a run of `attnzoo train-super-resolution`.

    python benchmarks/picture_presets.py runs/hat_tiny_x2 --data PHOTOS

The run's folder has the name of the preset; `benchmarks/picture_presets.yaml` says what cannot be
measured. The preset goes to attnzoo/presets/, in float16, with its card, the record of the run, and
a part of a test picture. Its scores are those of the stored weights. PHOTOS has the pictures that
the recipe names; those of hat_tiny_x2 are in scikit-image:

    python -c "import skimage; print(skimage.__path__[0] + '/data')"
"""

import argparse
import pathlib
import shutil
import statistics

import presets as text_presets
import yaml

from attnzoo import __version__
from attnzoo.cli.run_records import read_folder, to_line
from attnzoo.cli.train_super_resolution import compare_with_bicubic
from attnzoo.models import HATSuperResolution
from attnzoo.models.preprocessing.images import read_images, to_pillow
from attnzoo.presets import Card, Score
from attnzoo.presets.card import CARD, HELD_OUT_PICTURE, RUN

TEXTS = pathlib.Path(__file__).with_suffix(".yaml")
# Options of the recipe that are not in every one.
OPTIONS = ("steps", "epochs", "patch_size", "learning_rate")


def main(arguments=None):
    """Run the command; `arguments` is a list, or None for the process's own."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", metavar="RUN")
    parser.add_argument("--data", required=True, metavar="DIR", help="the folder of the pictures")
    options = parser.parse_args(arguments)
    texts = yaml.safe_load(TEXTS.read_text(encoding="utf-8"))
    make_preset(read_folder(options.run), pathlib.Path(options.data), texts)


def make_preset(record, data, texts):
    """Write the preset of one run.

    Args:
        record: The `RunRecord` of a run's folder.
        data: The folder of the pictures.
        texts: The content of `picture_presets.yaml`.
    """
    about, name = texts[record.name], record.name
    folder = text_presets.PRESETS / name
    shutil.rmtree(folder, ignore_errors=True)
    HATSuperResolution.from_preset(record.place / "preset").save_to_preset(str(folder))
    for path in folder.glob("*.h5"):
        text_presets.convert(path, "float16")
    task = HATSuperResolution.from_preset(folder)
    files = record.recipe["test"]
    pictures = [image for file in files for image in read_images(data / file)]
    part = write_part(folder, pictures[0], about["part"])
    record.evaluations["test"] = compare_with_bicubic(task, files, pictures)
    (folder / RUN).write_text(to_line(record) + "\n", encoding="utf-8")
    seconds = record.training["seconds"]
    words = ["attnzoo train-super-resolution", "--train"]
    words += [f"DATA/{file}" for file in record.recipe["train"]]
    words += ["--test", *(f"DATA/{file}" for file in files), "--output RUN"]
    words += [f"--{one.replace('_', '-')} {record.recipe[one]}" for one in OPTIONS]
    card = Card(
        name=name,
        task="super-resolution",
        languages=(),
        model="HATSuperResolution",
        recipe=" ".join(words),
        backend=record.training["backend"],
        seed=record.recipe["seed"],
        parameters=record.training["parameters"],
        minutes=round(seconds / 60, 1),
        precision="float16",
        scores=as_scores(record.evaluations["test"], compare_with_bicubic(task, ["part"], [part])),
        fine_tune=f"attnzoo train-super-resolution --preset {name} --train mine/one.png "
        "--test mine/other.png --output runs/mine --learning-rate 0.0003 --steps 1000",
        **{one: about[one] for one in ("summary", "data", "licence", "reads", "limits", "biases")},
        example=about["example"],
    )
    (folder / CARD).write_text(card.to_json(), encoding="utf-8")


def write_part(folder, picture, part):
    """Write a part of a picture, given as top, left and side in pixels, and return it."""
    top, left, side = part
    cut = picture[top : top + side, left : left + side]
    to_pillow(cut).save(folder / HELD_OUT_PICTURE, optimize=True)
    return cut


def as_scores(found, of_part) -> list[Score]:
    """Return the scores: means over the test pictures, then each picture, then the part."""
    names = [key.removesuffix("_psnr") for key in found if key.endswith("_psnr")]
    version = f"attnzoo {__version__}"

    def mean(kind):
        return round(statistics.mean(found[f"{name}_{kind}"] for name in names), 3)

    rows = [("psnr", mean("psnr"), "test", len(names))]
    rows += [("psnr_gain_over_bicubic", mean("gain"), "test", len(names))]
    rows += [(f"psnr_gain_{name}", found[f"{name}_gain"], "test", 1) for name in names]
    rows += [("psnr", of_part["part_psnr"], "held out", 1)]
    return [Score(*row, "whole", version) for row in rows]


if __name__ == "__main__":
    main()
