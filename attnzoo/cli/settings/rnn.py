"""Recurrent backbones."""

import dataclasses

from attnzoo.cli.settings.backbone import Decoder, Dropout, Network, TextEncoder
from attnzoo.cli.settings.option import RATE, at_least, option


@dataclasses.dataclass(frozen=True)
class RNNDropout(Dropout):
    """Dropout of a recurrent model"""

    recurrent_dropout: float = option(0.0, "variational dropout of the recurrent state", limit=RATE)

    def arguments(self) -> dict:
        return {**super().arguments(), "recurrent_dropout": self.recurrent_dropout}


@dataclasses.dataclass(frozen=True)
class RNNCells(RNNDropout, Network):
    """Recurrent cells"""

    cell: str = option("lstm", "lstm, gru or simple")
    embedding_dim: int = option(128, "width of the embeddings")

    def layer_arguments(self) -> dict:
        return {}

    def new_arguments(self, dtype: str | None, longest: int) -> dict:
        return {
            **super().new_arguments(dtype, longest),
            "cell": self.cell,
            "embedding_dim": self.embedding_dim,
        }


@dataclasses.dataclass(frozen=True)
class RNNEncoder(RNNCells, TextEncoder):
    """Recurrent model"""

    bidirectional: bool = option(True, "read the source in both directions")

    def new_arguments(self, dtype: str | None, longest: int) -> dict:
        return {**super().new_arguments(dtype, longest), "bidirectional": self.bidirectional}


@dataclasses.dataclass(frozen=True)
class RNNTagger(RNNEncoder):
    """Recurrent tagger"""

    spelling_dim: int | None = option(
        None, "width of the vector of a word's spelling, beside its embedding", limit=at_least(1)
    )
    word_length: int = option(
        16, "bytes of a word that its spelling reads; longer words are cut", limit=at_least(1)
    )

    def preprocessor_arguments(self) -> dict:
        return {} if self.spelling_dim is None else {"word_length": self.word_length}

    def new_arguments(self, dtype: str | None, longest: int) -> dict:
        return {**super().new_arguments(dtype, longest), "spelling_dim": self.spelling_dim}


@dataclasses.dataclass(frozen=True)
class RNNDecoder(RNNCells):
    """Recurrent decoder with attention"""

    attention: str = option(
        "bahdanau", "a name, such as bahdanau, luong or monotonic; an unknown one lists all"
    )
    attention_options: dict | None = option(
        None,
        "arguments of that attention's layer: inference_mode=hard sigmoid_noise=1 for monotonic, "
        "window=5 for a local or chunkwise one",
    )
    attend: str | None = option(
        None, "before the cell's step (Bahdanau) or after (Luong)", choices=("before", "after")
    )
    input_feeding: bool | None = option(
        None, "feed the readout back to the next input, with --attend after"
    )

    def layer_arguments(self) -> dict:
        return {"attention_options": self.attention_options} if self.attention_options else {}

    def new_arguments(self, dtype: str | None, longest: int) -> dict:
        return {
            **super().new_arguments(dtype, longest),
            "attention": self._make_attention(dtype),
            "attend": self.attend,
            "input_feeding": self.input_feeding,
        }

    def _make_attention(self, dtype):
        """Return the attention's name, or a layer if there are options for it."""
        if not self.attention_options:
            return self.attention
        from attnzoo.layers.lookup import get_attention

        arguments = {"name": "attention", "dtype": dtype, **self.attention_options}
        return get_attention(self.attention, self.hidden_dim, **arguments)


# One argument for each option of a recurrent decoder on the command line.
@dataclasses.dataclass(frozen=True)
class RNNSeq2Seq(RNNDecoder, RNNEncoder, Decoder):
    """Recurrent model with attention"""

    bridge: str = option("dense", "from encoder to decoder state: dense, copy or zeros")
    pointer_generator: bool = option(
        False,
        "let a step copy a symbol of the source, known or not; to learn this from rare symbols, "
        "leave them out of the vocabulary",
    )

    def preprocessor_arguments(self) -> dict:
        return {"pointer_generator": True} if self.pointer_generator else {}

    def new_arguments(self, dtype: str | None, longest: int) -> dict:
        return {
            **super().new_arguments(dtype, longest),
            "bridge": self.bridge,
            "pointer_generator": self.pointer_generator,
        }


@dataclasses.dataclass(frozen=True)
class ImageCaptioner(RNNDecoder):
    """Captioner of pictures"""

    image_size: int = option(32, "height and width of pictures, in pixels", limit=at_least(1))
    image_filters: int = option(
        32, "features of the encoder's first stage; each further stage has twice as many"
    )
    num_stages: int = option(
        3, "stages of the encoder; the grid is halved between them", limit=at_least(1)
    )
    alignment_penalty: float = option(
        0.0, "weight of the penalty for places whose weights do not sum to 1 over the caption"
    )

    def preprocessor_arguments(self) -> dict:
        return {"image_shape": (self.image_size, self.image_size, 3)}

    def new_arguments(self, dtype: str | None, longest: int) -> dict:
        return {
            **super().new_arguments(dtype, longest),
            **self.preprocessor_arguments(),
            "filters": [self.image_filters * 2**stage for stage in range(self.num_stages)],
            "alignment_penalty": self.alignment_penalty,
        }
