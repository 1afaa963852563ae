"""Parts of Transformer backbones: embeddings, positions, stacks of blocks, final norms."""

import keras
from keras import ops

from attnzoo.checks import check_positive, check_rate
from attnzoo.layers.lookup import get_position
from attnzoo.layers.names import POSITIONS
from attnzoo.layers.transformer.blocks import NORMS
from attnzoo.models.parts.backbone import Backbone
from attnzoo.models.parts.policies import policy_for, quantize_again


class TransformerParts:
    """Makes the layers of one backbone, with the arguments that they share.

    Args:
        hidden_dim, num_heads, feed_forward_dim, position, share_position, max_length, dropout,
            block, dtype: As in `TransformerEncoderBackbone`.

    Raises:
        ValueError: If a size is below 1, `num_heads` does not divide `hidden_dim`, a rate is
            outside [0, 1), `position` is no known name, or a learned position has no `max_length`.
            The layers check the other arguments.
    """

    def __init__(
        self,
        *,
        hidden_dim: int,
        num_heads: int,
        feed_forward_dim: int | None,
        position: str | None,
        share_position: bool,
        max_length: int | None,
        dropout: float,
        block: dict | None,
        dtype,
    ):
        check_positive(hidden_dim=hidden_dim, num_heads=num_heads)
        if hidden_dim % num_heads:
            raise ValueError(
                "`num_heads` must divide `hidden_dim`. "
                f"Received: num_heads={num_heads}, hidden_dim={hidden_dim}"
            )
        check_rate(dropout=dropout)
        if position is not None and not (isinstance(position, str) and position in POSITIONS):
            raise ValueError(
                f"`position` must be None or one of the names {sorted(POSITIONS)}; an instance for "
                'all blocks goes to them: `position=None, block={"position": ...}`. '
                f"Received: position={position!r}"
            )
        if position == "learned" and max_length is None:
            raise ValueError(
                "A learned position has a table, as long as the longest sequence: give "
                '`max_length`, or take one without a table, such as "sinusoidal" or "rotary". '
                f"Received: position={position!r}, max_length={max_length}"
            )
        named = position in POSITIONS and not POSITIONS[position].at_input
        if share_position and (not named or "position" in (block or {})):
            raise ValueError(
                "Blocks can share only a `position` that acts in attention, given by its name: "
                '"rotary", "relative", "t5" or "alibi". Received: share_position=True with '
                f"position={position!r}, block={block}"
            )
        self.hidden_dim = hidden_dim
        self.num_heads = num_heads
        self.feed_forward_dim = feed_forward_dim
        self.position = position
        self.share_position = share_position
        self.max_length = max_length
        self.dropout = dropout
        self.block = _map_parts(block, _serialized)
        self.block_arguments = _map_parts(block, _made)  # All blocks share an instance.
        self.dtype = dtype

    def make_embedding(self, vocabulary_size: int, name: str):
        """Return an embedding of tokens, whose transpose may be an output layer."""
        return keras.layers.ReversibleEmbedding(
            vocabulary_size,
            self.hidden_dim,
            embeddings_initializer=keras.initializers.RandomNormal(stddev=self.hidden_dim**-0.5),
            **self._named(name),
        )

    def make_scale(self):
        """Return the layer that scales embeddings to the size of positions."""
        return keras.layers.Rescaling(self.hidden_dim**0.5, **self._named("scale"))

    def make_position(self, name: str):
        """Return the position that acts at the input, or one without effect."""
        return self._position(self.position if self._at_input() else "none", name)

    def make_dropout(self):
        """Return the dropout before the first block."""
        return keras.layers.Dropout(self.dropout, **self._named("embedding_dropout"))

    def make_blocks(self, cls, count: int, name: str) -> list:
        """Return a stack of blocks of this class."""
        width = self.feed_forward_dim
        position = None if self._at_input() else self.position
        if self.share_position:
            attention = self.block_arguments.get("attention") or {}
            position = self._position(
                position,
                f"{name}_position",
                value_dim=attention.get("value_dim"),
                bidirectional=not cls.causal,
            )
        arguments = {
            "feed_forward_dim": 4 * self.hidden_dim if width is None else width,
            "position": position,
            "dropout": self.dropout,
            **self.block_arguments,
        }
        return [
            cls(self.hidden_dim, self.num_heads, **self._named(f"{name}_{i}"), **arguments)
            for i in range(count)
        ]

    def make_norm(self, block, name: str):
        """Return the norm after a stack of blocks, or None if each block ends with a norm."""
        if not block.norm_first:
            return None
        return NORMS[block.norm](epsilon=block.epsilon, **self._named(name))

    def _at_input(self) -> bool:
        """Return whether the position acts at the input and not within attention."""
        return POSITIONS[self.position or "none"].at_input

    def _position(self, position, name: str, value_dim: int | None = None, **arguments):
        width = self.hidden_dim // self.num_heads
        return get_position(
            position,
            num_heads=self.num_heads,
            key_dim=width,
            value_dim=width if value_dim is None else value_dim,
            max_length=self.max_length,
            **arguments,
            **self._named(name),
        )

    def _named(self, name):
        return {"name": name, "dtype": policy_for(self.dtype, name)}


class TransformerBackbone(Backbone):
    """Base of the Transformer backbones.

    A subclass makes its layers with `TransformerParts`, among them `scale` and `embedding_dropout`,
    and passes the parts to this constructor.
    """

    has_heads = True

    def __init__(self, parts: TransformerParts, **kwargs):
        super().__init__(dtype=parts.dtype, **kwargs)
        quantize_again(self, parts.dtype)
        self.hidden_dim = parts.hidden_dim
        self.num_heads = parts.num_heads
        self.feed_forward_dim = parts.feed_forward_dim
        self.position = parts.position
        self.share_position = parts.share_position
        self.max_length = parts.max_length
        self.dropout = parts.dropout
        self.block = parts.block

    def embed(self, token_ids, embedding, position, positions=None):
        """Embed tokens int [B, T] at positions int [T]; return float [B, T, D]."""
        x = position(self.scale(embedding(token_ids)), positions)
        return self.embedding_dropout(x)

    def enable_lora(self, rank: int, target_layer_names: list[str] | None = None):
        """Freeze all weights, and adapt some layers' kernels by low-rank matrices.

        Differs from KerasHub: the biases of these layers are frozen too, so that
        `save_lora_weights` writes everything that training changes.

        Args:
            rank: The rank of the matrix added to a kernel. At least 1.
            target_layer_names: Names of the layers to adapt: in attentions `"query"`, `"key"`,
                `"value"` and `"attention_output"`, in feed-forwards `"hidden"`, `"gate"` and
                `"output"`. None is `"query"` and `"value"`.
        """
        super().enable_lora(rank, target_layer_names)
        for layer in self._flatten_layers(include_self=False):
            if getattr(layer, "lora_enabled", False) and getattr(layer, "bias", None) is not None:
                layer.bias.trainable = False

    def get_config(self):
        return {
            **super().get_config(),
            "hidden_dim": self.hidden_dim,
            "num_heads": self.num_heads,
            "feed_forward_dim": self.feed_forward_dim,
            "position": self.position,
            "share_position": self.share_position,
            "max_length": self.max_length,
            "dropout": self.dropout,
            "block": self.block,
        }


def _map_parts(block, function) -> dict:
    """Return the arguments of blocks, with a function applied to those that may be layers."""
    block = dict(block or {})
    if "position" in block:
        block["position"] = function(block["position"])
    attention = block.get("attention")
    if isinstance(attention, dict) and "score" in attention:
        block["attention"] = {**attention, "score": function(attention["score"])}
    return block


def _serialized(part):
    if isinstance(part, keras.layers.Layer):
        return keras.saving.serialize_keras_object(part)
    return part


def _made(part):
    return keras.saving.deserialize_keras_object(part) if isinstance(part, dict) else part


def run_blocks(blocks, x, *args, **kwargs):
    """Run a stack of blocks, each on the output of the previous one.

    Args:
        blocks: L blocks.
        x: float [B, T, D].
        *args: Further arguments of each block's call.
        **kwargs: The same, by name.

    Returns:
        A tuple: x float [B, T, D] after the last block, and for each kind of alignments that the
        blocks return, float [B, N, T, S], those of all blocks, float [B, L, N, T, S].
    """
    looked = []
    for block in blocks:
        outputs = block(x, *args, **kwargs)
        x, *alignments = outputs if isinstance(outputs, tuple) else (outputs,)
        looked.append(alignments)
    return x, *(ops.stack(one, axis=1) for one in zip(*looked, strict=True))
