"""Ready-made models: a backbone, its tasks and its preprocessor for each family."""

from attnzoo.models.hat.backbone import HATBackbone
from attnzoo.models.hat.super_resolution import HATSuperResolution
from attnzoo.models.image_captioner.backbone import ImageCaptionerBackbone
from attnzoo.models.image_captioner.captioner import ImageCaptioner
from attnzoo.models.image_captioner.preprocessor import ImageCaptionerPreprocessor
from attnzoo.models.objectives.reinforce import ReinforceMixin, ReinforceModel
from attnzoo.models.resnet.backbone import AttentionResNetBackbone, BoTNetBackbone
from attnzoo.models.resnet.image_classifier import (
    AttentionResNetImageClassifier,
    BoTNetImageClassifier,
)
from attnzoo.models.resnet.preprocessor import (
    AttentionResNetImageClassifierPreprocessor,
    BoTNetImageClassifierPreprocessor,
)
from attnzoo.models.rnn_encoder.backbone import RNNEncoderBackbone
from attnzoo.models.rnn_encoder.preprocessor import (
    RNNSpanQAPreprocessor,
    RNNTextClassifierPreprocessor,
    RNNTokenTaggerPreprocessor,
)
from attnzoo.models.rnn_encoder.span_qa import RNNSpanQA
from attnzoo.models.rnn_encoder.text_classifier import RNNTextClassifier
from attnzoo.models.rnn_encoder.token_tagger import RNNTokenTagger
from attnzoo.models.rnn_seq2seq.backbone import RNNSeq2SeqBackbone
from attnzoo.models.rnn_seq2seq.preprocessor import RNNSeq2SeqLMPreprocessor
from attnzoo.models.rnn_seq2seq.seq2seq_lm import RNNSeq2SeqLM
from attnzoo.models.transformer_encoder.backbone import TransformerEncoderBackbone
from attnzoo.models.transformer_encoder.masked_lm import TransformerMaskedLM
from attnzoo.models.transformer_encoder.preprocessor import (
    TransformerMaskedLMPreprocessor,
    TransformerSentenceEmbedderPreprocessor,
    TransformerSpanQAPreprocessor,
    TransformerTextClassifierPreprocessor,
    TransformerTokenTaggerPreprocessor,
)
from attnzoo.models.transformer_encoder.sentence_embedder import TransformerSentenceEmbedder
from attnzoo.models.transformer_encoder.span_qa import TransformerSpanQA
from attnzoo.models.transformer_encoder.text_classifier import TransformerTextClassifier
from attnzoo.models.transformer_encoder.token_tagger import TransformerTokenTagger
from attnzoo.models.transformer_seq2seq.backbone import TransformerSeq2SeqBackbone
from attnzoo.models.transformer_seq2seq.preprocessor import TransformerSeq2SeqLMPreprocessor
from attnzoo.models.transformer_seq2seq.seq2seq_lm import TransformerSeq2SeqLM

__all__ = [
    "AttentionResNetBackbone",
    "AttentionResNetImageClassifier",
    "AttentionResNetImageClassifierPreprocessor",
    "BoTNetBackbone",
    "BoTNetImageClassifier",
    "BoTNetImageClassifierPreprocessor",
    "ImageCaptioner",
    "ImageCaptionerBackbone",
    "ImageCaptionerPreprocessor",
    "HATBackbone",
    "HATSuperResolution",
    "RNNEncoderBackbone",
    "RNNSeq2SeqBackbone",
    "RNNSeq2SeqLM",
    "RNNSeq2SeqLMPreprocessor",
    "RNNSpanQA",
    "RNNSpanQAPreprocessor",
    "RNNTextClassifier",
    "RNNTextClassifierPreprocessor",
    "RNNTokenTagger",
    "RNNTokenTaggerPreprocessor",
    "ReinforceMixin",
    "ReinforceModel",
    "TransformerEncoderBackbone",
    "TransformerMaskedLM",
    "TransformerMaskedLMPreprocessor",
    "TransformerSentenceEmbedder",
    "TransformerSentenceEmbedderPreprocessor",
    "TransformerSeq2SeqBackbone",
    "TransformerSeq2SeqLM",
    "TransformerSeq2SeqLMPreprocessor",
    "TransformerSpanQA",
    "TransformerSpanQAPreprocessor",
    "TransformerTextClassifier",
    "TransformerTextClassifierPreprocessor",
    "TransformerTokenTagger",
    "TransformerTokenTaggerPreprocessor",
]
