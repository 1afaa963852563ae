"""Configs of a layer that may be part of several others."""

import keras

_PROBE = keras.initializers.Zeros()  # Kept: Keras knows objects by their ids.


def part_config(part):
    """Return the config of a part: its serialized form, or in a file the part itself.

    While Keras writes a file, it knows a layer that it has met before, and what two layers share
    they share again once it is read; but it must meet the layer, not its serialized form. Elsewhere
    a config holds no layer: a layer made from it has weights of its own.
    """
    serialize = keras.saving.serialize_keras_object
    serialize(_PROBE)
    writes_a_file = "shared_object_id" in serialize(_PROBE)  # It has met this before.
    return part if writes_a_file else serialize(part)
