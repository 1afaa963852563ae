"""The built-in presets: their names, and where their files lie.

A preset is named family_size_data. `attnzoo.models.RNNSeq2SeqLM.from_preset(name)` loads it.
"""

import pathlib

_FOLDER = pathlib.Path(__file__).parent

PRESETS: dict[str, pathlib.Path] = {
    # English letters to ARPAbet phonemes; what `attnzoo demo` left after 5 epochs, on JAX.
    "rnn_seq2seq_small_cmudict": _FOLDER / "rnn_seq2seq_small_cmudict",
}

__all__ = ["PRESETS"]
