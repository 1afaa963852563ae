"""Train a preset again by the recipe on its card.

attnzoo retrain g2p_el
attnzoo retrain g2p_el --data sigmorphon2020 --output runs/greek

Without --data the recipe and where its data comes from are printed. With it, the recipe runs:
--data is the folder with the files that the recipe names as DATA/..., and --output is the new run
folder. The same command resumes an interrupted run. Another backend than the recipe's gives a model
of other weights.
"""

import argparse
import os
import pathlib
import shlex
import sys

from attnzoo.cli.startup import load_backend
from attnzoo.cli.tasks import advise_start

NEEDS_BACKEND = False  # The command of the recipe loads it.


def add_arguments(parser: argparse.ArgumentParser):
    parser.add_argument("preset", help="a preset with a card: name, alias or directory")
    parser.add_argument("--data", metavar="DIR", help="the folder of the recipe's data files")
    parser.add_argument("--output", metavar="DIR", help="the run folder")


def run(arguments: argparse.Namespace):
    from attnzoo.cli import main
    from attnzoo.cli.presets import card_of
    from attnzoo.presets.card import DATA, OUTPUT

    card = card_of(arguments.preset)
    words = shlex.split(card.recipe)
    files = data_files(words)
    if arguments.output is None:
        if arguments.data is not None:
            raise ValueError(
                "A recipe that runs needs `--output`, the run folder. "
                f"Received: data={arguments.data}, output=None"
            )
        print(f"{card.data} Licence: {card.licence}\n")
        print(f"KERAS_BACKEND={card.backend} {card.recipe}")
        return None
    if files and arguments.data is None:
        raise ValueError(
            f"The recipe needs `--data`, the folder with {', '.join(files)}. {card.data} "
            "Received: data=None"
        )
    found = {f"{DATA}/{file}": pathlib.Path(arguments.data or "") / file for file in files}
    missing = [str(path) for path in found.values() if not path.is_file()]
    if missing:
        raise ValueError(
            f"`--data` must be the folder with {', '.join(files)}. {card.data} "
            f"Received: {arguments.data}, without {missing[0]}"
        )
    load_backend()
    import keras

    backend = keras.backend.backend()
    if backend != card.backend:
        print(
            f"attnzoo retrain: the card's scores are from KERAS_BACKEND={card.backend}, and this "
            f"run is on {backend}: expect a model a little different.",
            file=sys.stderr,
        )
    replaced = {**found, OUTPUT: arguments.output}
    return main([os.fspath(replaced.get(word, word)) for word in words[1:]])


def data_files(words: list[str]) -> list[str]:
    """Return the names of the files that a recipe reads from its folder of data."""
    from attnzoo.presets.card import DATA

    folder = f"{DATA}/"
    return [word.removeprefix(folder) for word in words if word.startswith(folder)]


def advise(arguments: argparse.Namespace) -> str:
    """Return what to do after Ctrl-C."""
    if arguments.output is None:
        return advise_start(arguments)
    return f"The same command goes on after the last whole epoch in {arguments.output}."
