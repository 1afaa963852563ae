"""Ready-made models: a backbone, its tasks and its preprocessor for each family."""

from attnzoo.models.reinforce_model import ReinforceMixin, ReinforceModel
from attnzoo.models.rnn_seq2seq.backbone import RNNSeq2SeqBackbone
from attnzoo.models.rnn_seq2seq.preprocessor import RNNSeq2SeqLMPreprocessor
from attnzoo.models.rnn_seq2seq.seq2seq_lm import RNNSeq2SeqLM

__all__ = [
    "RNNSeq2SeqBackbone",
    "RNNSeq2SeqLM",
    "RNNSeq2SeqLMPreprocessor",
    "ReinforceMixin",
    "ReinforceModel",
]
