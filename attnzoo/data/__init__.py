"""Tokenizers, readers of data files, and batches."""

from attnzoo.data.batching import BucketedBatches
from attnzoo.data.caption_batches import CaptionBatches
from attnzoo.data.captions import read_captions
from attnzoo.data.datasets import (
    cmudict_split,
    group_references,
    load_cmudict,
    read_labelled,
    read_parallel,
    read_texts,
    read_tsv,
)
from attnzoo.data.image_batches import ImageBatches
from attnzoo.data.inflections import inflection_source, read_inflections
from attnzoo.data.labelled_batches import LabelledBatches
from attnzoo.data.lines import read_lines
from attnzoo.data.masked_batches import MaskedBatches
from attnzoo.data.pictures import read_idx, read_image_folder
from attnzoo.data.questions import Question, read_questions
from attnzoo.data.span_batches import SpanBatches
from attnzoo.data.subword_sampling import SubwordSampler
from attnzoo.data.summaries import read_json_lines, read_stories
from attnzoo.data.super_resolution_batches import SuperResolutionBatches, shrink_image
from attnzoo.data.tagged import read_conll, read_conllu, read_tagged
from attnzoo.data.tagged_batches import TaggedBatches

__all__ = [
    "BucketedBatches",
    "CaptionBatches",
    "CharacterTokenizer",
    "ImageBatches",
    "LabelledBatches",
    "MaskedBatches",
    "Question",
    "SpanBatches",
    "SubwordSampler",
    "SuperResolutionBatches",
    "SymbolTokenizer",
    "TaggedBatches",
    "cmudict_split",
    "group_references",
    "read_captions",
    "inflection_source",
    "load_cmudict",
    "read_conll",
    "read_conllu",
    "read_idx",
    "read_image_folder",
    "read_inflections",
    "read_json_lines",
    "read_labelled",
    "read_lines",
    "read_parallel",
    "read_questions",
    "read_stories",
    "read_tagged",
    "read_texts",
    "read_tsv",
    "shrink_image",
    "train_subword_tokenizer",
]


def __getattr__(name):
    # The tokenizers need keras_hub, which takes seconds to import; the readers do not.
    if name in ("CharacterTokenizer", "SymbolTokenizer"):
        from attnzoo.data import tokenizers

        return getattr(tokenizers, name)
    if name == "train_subword_tokenizer":
        from attnzoo.data.subwords import train_subword_tokenizer

        return train_subword_tokenizer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return __all__
