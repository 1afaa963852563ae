"""The built-in presets: their names, and the folder of their files.

A preset is named family_size_data. `attnzoo.models.RNNSeq2SeqLM.from_preset(name)` loads it.
"""

import pathlib

_FOLDER = pathlib.Path(__file__).parent

PRESETS: dict[str, pathlib.Path] = {
    # English letters to ARPAbet phonemes: the model of `attnzoo demo` after 5 epochs, on JAX.
    "rnn_seq2seq_small_cmudict": _FOLDER / "rnn_seq2seq_small_cmudict",
}

__all__ = ["PRESETS"]
