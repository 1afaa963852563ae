"""A model small enough to compute with in a test, and batches for it."""

import numpy as np

from attnzoo import data, models
from tests import tools

WORDS = ["cat", "hat", "that", "chat", "tac", "hatch"]
PHONEMES = ["K AE T", "HH AE T", "DH AE T", "CH AE T", "T AE K", "HH AE CH"]
SOURCE_VOCABULARY, TARGET_VOCABULARY = 8, 10  # With the four special tokens.
S, T = 11, 7  # Longest source and target, in tokens.
START, END = 2, 3
# Of the two families of sequence-to-sequence backbones, what makes them small.
FAMILIES = {
    "RNN": {"embedding_dim": 5, "hidden_dim": 6},
    "Transformer": {
        "hidden_dim": 8,
        "num_heads": 2,
        "num_encoder_layers": 1,
        "num_decoder_layers": 1,
    },
}

# For classifiers, and for taggers.
TEXTS = ["a good film", "a bad film", "good", "bad bad film", "not bad at all", "a film"]
SENTIMENTS = ["positive", "negative", "positive", "negative", "positive", "neutral"]
CLASSES = ["negative", "neutral", "positive"]
TAGS = ["D A N", "D A N", "A", "A A N", "R A P D", "D N"]
TAG_NAMES = ["A", "D", "N", "P", "R"]
TEXT_VOCABULARY = 11  # With the four special tokens.


def make_preprocessor(family="RNN", **arguments):
    arguments = {"encoder_sequence_length": S, "decoder_sequence_length": T, **arguments}
    return getattr(models, f"{family}Seq2SeqLMPreprocessor")(
        data.CharacterTokenizer.from_texts(WORDS),
        data.SymbolTokenizer.from_texts(PHONEMES),
        **arguments,
    )


def make_task(preprocessor=None, *, scale: float = 1.0, **arguments):
    """A task whose weights are set, and large enough for inputs to differ in their outputs."""
    arguments = {"embedding_dim": 5, "hidden_dim": 6, **arguments}
    sizes = (SOURCE_VOCABULARY, TARGET_VOCABULARY)
    if preprocessor is not None:
        tokenizers = (preprocessor.source_tokenizer, preprocessor.tokenizer)
        sizes = [tokenizer.vocabulary_size() for tokenizer in tokenizers]
    backbone = models.RNNSeq2SeqBackbone(*sizes, **arguments)
    task = models.RNNSeq2SeqLM(backbone, preprocessor)
    tools.set_weights(task, scale=scale)
    return task


def make_transformer_seq2seq(*, scale: float = 0.5):
    """The same with a Transformer."""
    backbone = models.TransformerSeq2SeqBackbone(
        SOURCE_VOCABULARY, TARGET_VOCABULARY, dropout=0.0, **FAMILIES["Transformer"]
    )
    task = models.TransformerSeq2SeqLM(backbone, make_preprocessor("Transformer"))
    tools.set_weights(task, scale=scale)
    return task


def make_inputs(source_lengths=(5, 3), target_lengths=(3, 2), *, places=5, steps=3):
    """The backbone's inputs, NumPy; ids of real tokens do not depend on the padding."""
    batch = len(source_lengths)
    draw = np.random.default_rng(0)
    source = draw.integers(4, SOURCE_VOCABULARY, size=(batch, 13)).astype("int32")[:, :places]
    target = draw.integers(4, TARGET_VOCABULARY, size=(batch, 13)).astype("int32")[:, :steps]
    target[:, 0] = START
    source_mask = tools.lengths_mask(source_lengths, places)
    target_mask = tools.lengths_mask(target_lengths, steps)
    return {
        "encoder_token_ids": source * source_mask,
        "encoder_padding_mask": source_mask,
        "decoder_token_ids": target * target_mask,
        "decoder_padding_mask": target_mask,
    }


CAPTIONS = ["a red flag", "a judge", "the moon", "red moon", "a flag", "the judge"]
IMAGE_SHAPE = (7, 5, 3)  # Its grid, after one pooling, is 4 x 3.


def make_images(count=6):
    return np.random.default_rng(0).integers(0, 256, (count, *IMAGE_SHAPE)).astype("uint8")


def make_captioner(preprocessor="its own", *, scale: float = 1.0, **arguments):
    """A captioner of pictures whose weights are set."""
    tokenizer = data.SymbolTokenizer.from_texts(CAPTIONS)
    if preprocessor == "its own":
        preprocessor = models.ImageCaptionerPreprocessor(
            tokenizer, image_shape=IMAGE_SHAPE, decoder_sequence_length=T
        )
    arguments = {"filters": (3, 5), "embedding_dim": 5, "hidden_dim": 6, **arguments}
    backbone = models.ImageCaptionerBackbone(
        tokenizer.vocabulary_size(), image_shape=IMAGE_SHAPE, **arguments
    )
    task = models.ImageCaptioner(backbone, preprocessor)
    tools.set_weights(task, scale=scale)
    for norm in backbone.encoder.norms:
        norm.moving_variance.assign(np.full(norm.moving_variance.shape, 0.7, "float32"))
    return task


def make_text_tokenizer():
    return data.SymbolTokenizer.from_texts(TEXTS)


def make_encoder(**arguments):
    arguments = {"embedding_dim": 5, "hidden_dim": 6, **arguments}
    return models.RNNEncoderBackbone(TEXT_VOCABULARY, **arguments)


def make_classifier(preprocessor="its own", *, scale: float = 1.0, dtype=None, **arguments):
    """A text classifier whose weights are set."""
    if preprocessor == "its own":
        tokenizer = make_text_tokenizer()
        preprocessor = models.RNNTextClassifierPreprocessor(tokenizer, sequence_length=S)
    task = models.RNNTextClassifier(
        make_encoder(dtype=dtype), preprocessor, class_names=CLASSES, **arguments
    )
    tools.set_weights(task, scale=scale)
    return task


def make_tagger(preprocessor="its own", *, scale: float = 1.0, **arguments):
    """A token tagger whose weights are set."""
    if preprocessor == "its own":
        tokenizer = make_text_tokenizer()
        preprocessor = models.RNNTokenTaggerPreprocessor(tokenizer, sequence_length=S)
    task = models.RNNTokenTagger(make_encoder(), preprocessor, class_names=TAG_NAMES, **arguments)
    tools.set_weights(task, scale=scale)
    return task


def make_spelled_tagger():
    """A tagger that reads the spelling of words, and tags a text as a whole."""
    preprocessor = models.RNNTokenTaggerPreprocessor(
        make_text_tokenizer(), sequence_length=S, word_length=5
    )
    encoder = make_encoder(spelling_dim=7)
    task = models.RNNTokenTagger(encoder, preprocessor, class_names=TAG_NAMES, head="crf")
    tools.set_weights(task, scale=0.7)
    return task


def make_transformer_encoder(**arguments):
    arguments = {"hidden_dim": 8, "num_heads": 2, "num_layers": 3, "dropout": 0.0, **arguments}
    # One token more than the texts have: the mask.
    return models.TransformerEncoderBackbone(TEXT_VOCABULARY + 1, **arguments)


def make_transformer(name, preprocessor="its own", *, scale: float = 0.5, encoder=(), **arguments):
    """A task on a Transformer encoder, `"TextClassifier"` or another, whose weights are set."""
    cls = getattr(models, f"Transformer{name}")
    if preprocessor == "its own":
        preprocessor = cls.preprocessor_cls(make_text_tokenizer(), sequence_length=S)
    if name in ("TextClassifier", "TokenTagger"):
        names = CLASSES if name == "TextClassifier" else TAG_NAMES
        arguments = {"class_names": names, **arguments}
    task = cls(make_transformer_encoder(**dict(encoder)), preprocessor, **arguments)
    tools.set_weights(task, scale=scale)
    return task


def make_text_inputs(lengths=(5, 3), *, places=5):
    """The encoder's inputs, NumPy; ids of real tokens do not depend on the padding."""
    draw = np.random.default_rng(0)
    ids = draw.integers(4, TEXT_VOCABULARY, size=(len(lengths), 13)).astype("int32")[:, :places]
    mask = tools.lengths_mask(lengths, places)
    return {"token_ids": ids * mask, "padding_mask": mask}


def log_softmax(logits):
    logits = np.asarray(logits, dtype="float64")
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
