"""The symbolic inputs of backbones."""

import keras


def text_inputs(spelled: bool = False) -> dict:
    """Return the inputs of an encoder: `token_ids` int [B, S] and `padding_mask` bool [B, S].

    With `spelled` also `word_bytes` int [B, S, W].
    """
    inputs = {"token_ids": _ids("token_ids"), "padding_mask": _mask("padding_mask")}
    if spelled:
        inputs["word_bytes"] = keras.Input((None, None), dtype="int32", name="word_bytes")
    return inputs


def pair_inputs(copies: bool = False) -> dict:
    """Return the inputs of an encoder and a decoder; with `copies` also `copy_token_ids`."""
    inputs = {}
    for side in ("encoder", "decoder"):
        inputs[f"{side}_token_ids"] = _ids(f"{side}_token_ids")
        inputs[f"{side}_padding_mask"] = _mask(f"{side}_padding_mask")
    return {**inputs, **({"copy_token_ids": _ids("copy_token_ids")} if copies else {})}


def _ids(name: str):
    return keras.Input((None,), dtype="int32", name=name)


def _mask(name: str):
    return keras.Input((None,), dtype="bool", name=name)
