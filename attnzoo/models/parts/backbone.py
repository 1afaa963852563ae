"""Base of all backbones: presets by name, and torch parameters."""

import os

import keras_hub

from attnzoo.models.parts.presets import BuiltInPresets, explain_preset_errors
from attnzoo.models.parts.torch_parameters import in_order_of_attributes, known_to_torch


@known_to_torch
class Backbone(keras_hub.models.Backbone):
    """Base of the backbones.

    If `has_heads` is True, the encoder's `encode` can return alignments, float [B, L, N, S, S] of
    all blocks and heads.
    """

    has_heads = False
    presets = BuiltInPresets()

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        in_order_of_attributes(self)

    @classmethod
    def from_preset(cls, preset: str | os.PathLike, load_weights: bool = True, **kwargs):
        """Load a backbone from a preset; `preset` is as in a task's `from_preset`."""
        with explain_preset_errors(preset, cls, kwargs) as place:
            return super().from_preset(place, load_weights=load_weights, **kwargs)
