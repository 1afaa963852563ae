"""What the tasks of the Transformer encoder share: where its heads looked, and presets."""

import json
import os

from keras import ops

from attnzoo.models.parts.presets import explain_preset_errors
from attnzoo.models.preprocessing.packing import check_table
from attnzoo.models.tasks.text import to_the_longest

# What one preprocessor may take over from another's.
_PACKING = ("sequence_length", "add_start", "add_end", "truncate")


class TransformerTaskMixin:
    """Alignments of all heads, and presets of one task as the start of another.

    It stands first in the bases of a task, before a `TextTaskMixin`. A subclass gives
    `finish(outputs, padding_mask)`: of the backbone's output, float [B, S, D], logits.
    """

    alignments_door = "look"

    def read(self, inputs):
        """Logits of the backbone's inputs: a dict."""
        outputs = self.backbone(inputs)["sequence_output"]
        return {"logits": self.finish(outputs, inputs["padding_mask"])}

    def look(self, inputs):
        """Logits, and the alignments of all blocks and heads, float [B, L, N, S, S]: a dict."""
        mask = inputs["padding_mask"]
        outputs, alignments = self.backbone.encode(
            inputs["token_ids"], mask, return_alignments=True
        )
        real = ops.cast(mask, alignments.dtype)[:, None, None, :, None]  # Padding asks nothing.
        return {"logits": self.finish(outputs, mask), "alignments": alignments * real}

    def alignments(self, texts, *, batch_size: int = 32):
        """As `head_alignments`: among the many there is no one that stands for all."""
        return self.head_alignments(texts, batch_size=batch_size)

    def head_alignments(self, texts, *, batch_size: int = 32):
        """Where each token looked, in each head of each block.

        Args:
            texts: A string or strings, or whatever else the task reads; without a preprocessor, its
                inputs.
            batch_size: How many texts at a time. At least 1.

        Returns:
            float32 [B, L, N, S, S], a NumPy array: `alignments[b, l, n, t, s]` is how much token t
            took from token s. Rows sum to 1 over a text's tokens, with the special ones as
            `preprocessor.tokens(text)` names them. Padding is 0, as row and as column.

        Raises:
            ValueError: If there is no text, one is empty, or a token id is outside the vocabulary.
        """
        texts = [texts] if isinstance(texts, (str, bytes)) else texts
        return to_the_longest(self.run(texts, batch_size, self.alignments_door))

    @classmethod
    def from_preset(cls, preset, load_weights: bool = True, **kwargs):
        """Load a task from a preset: its own, or another task's on the same backbone.

        Args:
            preset: A built-in name (see `attnzoo.presets`), a directory that `save_to_preset`
                wrote, or a handle that KerasHub knows (`kaggle://`, `hf://`).
            load_weights: Whether to load the weights too.
            **kwargs: As in `keras_hub.models.Task.from_preset`. With `class_names` or
                `num_classes` all but the backbone starts anew. From another task's preset, the
                preprocessor takes over the tokenizer and how texts are packed. `dtype` is the one
                the preset was saved with, unless it is given.

        Raises:
            ValueError: If the name is unknown, or the directory is damaged.
        """
        with explain_preset_errors(preset, cls, kwargs) as place:
            packing = packing_of_another(cls, place)
        if packing is not None and "preprocessor" not in kwargs:
            kwargs["preprocessor"] = cls.preprocessor_cls.from_preset(place, **packing)
        return super().from_preset(preset, load_weights, **kwargs)


def check_length(backbone, preprocessor):
    """Raise if texts could be longer than the table of a learned position."""
    if preprocessor is not None:
        check_table(backbone, sequence_length=preprocessor.sequence_length)


def packing_of_another(cls, place):
    """How the preprocessor of a preset packs, if it is not one of `cls`; else None."""
    path = os.path.join(place, "preprocessor.json")
    if not os.path.isfile(path):
        return None
    with open(path, encoding="utf-8") as file:
        saved = json.load(file)
    if saved["class_name"] == cls.preprocessor_cls.__name__:
        return None
    return {name: saved["config"][name] for name in _PACKING if name in saved["config"]}
