"""Options that the backbones of both models share."""

import dataclasses

from attnzoo.cli.settings.option import RATE, Options, option


@dataclasses.dataclass(frozen=True)
class Dropout(Options):
    """Dropout"""

    # The only options that apply to the backbone of a preset.
    dropout: float = option(0.2, "dropout of embeddings, layers and readout", limit=RATE)

    def arguments(self) -> dict:
        """Return arguments for a preset's backbone, besides its precision."""
        return {"dropout": self.dropout}


@dataclasses.dataclass(frozen=True)
class Network(Dropout):
    """Sizes of a new model"""

    hidden_dim: int = option(256, "width of encoder, decoder and readout")

    def preprocessor_arguments(self) -> dict:
        """Return arguments for the preprocessor that depend on the backbone."""
        return {}

    def layer_arguments(self) -> dict:
        """Return options that only a layer can check, by name."""
        raise NotImplementedError

    def new_arguments(self, dtype: str | None, longest: int) -> dict:
        """Return the arguments of a new backbone, except the vocabularies.

        Args:
            dtype: The precision; None is Keras's default.
            longest: Largest number of tokens in a text.
        """
        return {"dtype": dtype, "hidden_dim": self.hidden_dim, **self.arguments(), **self._depth()}

    def _depth(self) -> dict:
        return {}


@dataclasses.dataclass(frozen=True)
class TextEncoder(Network):
    """Encoder of a new model"""

    num_encoder_layers: int = option(1, "layers of the encoder")

    def _depth(self) -> dict:
        return {"num_layers": self.num_encoder_layers}


@dataclasses.dataclass(frozen=True)
class Decoder(TextEncoder):
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
