#!/bin/sh
# KerasHub 0.32.0: `upload_preset` writes over the README.md of a preset, and then deletes it.
#
# Guess: a folder is uploaded as it is, and a card is generated only where there is none.
# Seen: where the repository on Hugging Face has no README.md yet, a general one takes the place of the
# preset's own, in the upload and in the folder on disk, and is deleted afterwards.
. "$(dirname "$0")/common.sh"
install keras==3.15.1 jax==0.10.2 numpy==2.4.6 regex==2026.11.19 tokenizers==0.23.3 sentencepiece==0.2.3
install huggingface_hub==2.4.0
install --no-deps keras-hub==0.32.0
export KERAS_BACKEND=jax
run <<'PYTHON'
import pathlib
import types

import huggingface_hub
import keras
import keras_hub

uploaded = {}  # Hugging Face, without a network.


def upload_folder(repo_id, folder_path):
    uploaded["README.md"] = (pathlib.Path(folder_path) / "README.md").read_text()


huggingface_hub.create_repo = lambda repo_id, exist_ok: types.SimpleNamespace(repo_id=repo_id)
huggingface_hub.file_exists = lambda repo_id, filename: False
huggingface_hub.upload_folder = upload_folder

inputs = keras.Input((2,))
backbone = keras_hub.models.Backbone(inputs=inputs, outputs=keras.layers.Dense(1)(inputs))
folder = pathlib.Path("preset")
backbone.save_to_preset(str(folder))
(folder / "README.md").write_text("My own card.\n")
keras_hub.upload_preset("hf://user/name", str(folder))
print("own card uploaded:", "My own card." in uploaded["README.md"])
print("own card on disk:", (folder / "README.md").exists())
PYTHON
seen <<'OUTPUT'
own card uploaded: False
own card on disk: False
OUTPUT
