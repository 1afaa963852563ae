"""List the built-in presets, or print the card of one.

attnzoo presets
attnzoo presets --task pronunciation --language de
attnzoo presets g2p_en

A card says what the model is for, what it was trained on, how well it does, what it cannot read,
and how to train it again or further. The list and the cards are Markdown.
"""

import argparse
import pathlib

from attnzoo.cli.startup import load_backend

NEEDS_BACKEND = False  # It reads cards alone, where the preset is a built-in one.


def add_arguments(parser: argparse.ArgumentParser):
    parser.add_argument(
        "preset",
        nargs="?",
        help="a built-in name or alias, a preset's directory, or hf://user/name",
    )
    parser.add_argument("--task", metavar="TASK", help="list presets for this task only")
    parser.add_argument(
        "--language", metavar="CODE", help="list presets for this language only, such as en"
    )


def run(arguments: argparse.Namespace):
    from attnzoo.presets import list_presets
    from attnzoo.presets.markdown import render_list

    if arguments.preset is None:
        print(render_list(list_presets(arguments.task, arguments.language)))
        return
    if arguments.task or arguments.language:
        raise ValueError(
            "`--task` and `--language` are for the list: give them without a preset. "
            f"Received: {arguments.preset}, task={arguments.task}, language={arguments.language}"
        )
    print(card_of(arguments.preset).to_markdown(), end="")


def card_of(preset: str):
    """Return the card of a preset.

    Raises:
        ValueError: If there is no such preset, or it has no card.
    """
    from attnzoo.presets import find_preset, read_card

    folder = find_preset(preset)
    if folder is not None:
        return read_card(folder)
    load_backend()
    from attnzoo.models.parts.presets import explain_preset_errors

    with explain_preset_errors(preset) as place:
        return read_card(place)


def inflects(preset: str) -> bool:
    """Return whether the card of a preset, if it has one, says that its inputs are inflections."""
    from attnzoo.presets import find_preset, read_card
    from attnzoo.presets.card import CARD

    place = find_preset(preset) or pathlib.Path(preset)
    return (place / CARD).is_file() and read_card(place).inflections
