"""What backbones of both models have in common."""

import dataclasses

from attnzoo.cli.settings.option import RATE, Options, option


@dataclasses.dataclass(frozen=True)
class Dropout(Options):
    """Dropout"""

    # All that the backbone of a preset can still be told.
    dropout: float = option(0.2, "dropout of embeddings, layers and readout", limit=RATE)

    def arguments(self) -> dict:
        """Return what a preset's backbone is told beside its precision."""
        return {"dropout": self.dropout}


@dataclasses.dataclass(frozen=True)
class Network(Dropout):
    """Sizes of a new model"""

    hidden_dim: int = option(256, "width of encoder, decoder and readout")
    num_encoder_layers: int = option(1, "layers of the encoder")

    def preprocessor_arguments(self) -> dict:
        """Return what the preprocessor must know of the backbone."""
        return {}

    def layer_arguments(self) -> dict:
        """Return options that only a layer can check, by name."""
        raise NotImplementedError

    def new_arguments(self, dtype: str | None, longest: int) -> dict:
        """Return all that a new backbone is told, but for its vocabularies.

        Args:
            dtype: The precision; None is Keras's own.
            longest: The most tokens that a text may have.
        """
        return {"dtype": dtype, "hidden_dim": self.hidden_dim, **self.arguments(), **self._depth()}

    def _depth(self) -> dict:
        return {"num_layers": self.num_encoder_layers}


@dataclasses.dataclass(frozen=True)
class Decoder(Network):
    """Decoder of a new model"""

    num_decoder_layers: int = option(1, "layers of the decoder")
    tie_embeddings: bool = option(False, "let the output layer be the transposed target embedding")
    share_embeddings: bool = option(
        False, "let one embedding be for source and target; needs joint-tokenizer"
    )

    def _depth(self) -> dict:
        return {
            "num_encoder_layers": self.num_encoder_layers,
            "num_decoder_layers": self.num_decoder_layers,
            "tie_embeddings": self.tie_embeddings,
            "share_embeddings": self.share_embeddings,
        }
