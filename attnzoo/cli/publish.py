"""Upload a preset with its card to Hugging Face or Kaggle.

attnzoo publish g2p_en hf://user/pronunciation
attnzoo publish runs/mine/preset hf://user/mine

The upload is KerasHub's, with the account of `hf auth login` or of Kaggle. The card becomes the
README.md of the model. `from_preset("hf://user/pronunciation")` loads the preset again, and so do
the commands.
"""

import argparse
import pathlib
import shutil
import tempfile

_README = "README.md"
_HUGGING_FACE = "hf://"
_HANDLES = (_HUGGING_FACE, "kaggle://")
# What Hugging Face reads of the model, before the card.
_HEADER = """\
---
library_name: keras-hub
tags: [attnzoo, attention]
---

"""


def add_arguments(parser: argparse.ArgumentParser):
    parser.add_argument("preset", help="a preset's name or directory, or a run's folder")
    parser.add_argument("handle", help="hf://user/name, or kaggle://user/model/keras/variation")


def run(arguments: argparse.Namespace):
    handle = arguments.handle
    if not handle.startswith(_HANDLES) or handle in _HANDLES:
        raise ValueError(
            "A preset is published to hf://user/name or kaggle://user/model/keras/variation. "
            f"Received: {handle}"
        )
    from attnzoo.models.parts.presets import explain_preset_errors

    with explain_preset_errors(arguments.preset) as place, tempfile.TemporaryDirectory() as made:
        folder = pathlib.Path(made) / "preset"
        shutil.copytree(place, folder)
        publish(folder, handle)
    print(f"Published: {handle}")


def publish(folder: pathlib.Path, handle: str):
    """Upload a preset's folder, after writing a README.md with its card if it has one.

    Args:
        folder: A copy of the preset's folder.
        handle: Where the preset goes.
    """
    import keras_hub

    from attnzoo.presets import read_card
    from attnzoo.presets.card import CARD

    if (folder / CARD).is_file():
        card = read_card(folder).to_markdown()
        (folder / _README).write_text(_HEADER + card, encoding="utf-8")
        if handle.startswith(_HUGGING_FACE):
            _upload_readme(folder / _README, handle.removeprefix(_HUGGING_FACE))
    keras_hub.upload_preset(handle, str(folder))


def _upload_readme(readme, name):
    """Upload the card first: KerasHub writes a general one over it where there is none yet."""
    import huggingface_hub

    place = huggingface_hub.create_repo(repo_id=name, exist_ok=True)
    huggingface_hub.upload_file(
        path_or_fileobj=str(readme), path_in_repo=_README, repo_id=place.repo_id
    )


def advise(arguments: argparse.Namespace) -> str:
    """Return what to do after Ctrl-C."""
    return f"{arguments.handle} may not be whole; the same command uploads it again."
