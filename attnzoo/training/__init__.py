"""Losses, metrics, reports and callbacks."""

from attnzoo.training.answer_metrics import answer_exact_match, answer_f1, normalize_answer
from attnzoo.training.averaging import BestCheckpoints, average_checkpoints
from attnzoo.training.callbacks import TrainingBackup
from attnzoo.training.in_batch_negatives import InBatchNegatives, PartnerAccuracy
from attnzoo.training.inverse_square_root import InverseSquareRootDecay
from attnzoo.training.losses import SmoothedCrossEntropy
from attnzoo.training.metrics import (
    METRICS,
    BleuScore,
    bleu,
    character_error_rate,
    chrf,
    evaluate_predictions,
    exact_match,
    mean_edit_distance,
    phoneme_error_rate,
    token_error_rate,
    word_error_rate,
)
from attnzoo.training.peak_signal_to_noise import PeakSignalToNoise
from attnzoo.training.reports import format_predictions
from attnzoo.training.rouge_scores import UnicodeTokenizer, rouge
from attnzoo.training.schedules import (
    VariableSchedule,
    exponential_decay,
    inverse_sigmoid_decay,
    linear_decay,
)
from attnzoo.training.tag_metrics import EntityScores, entity_scores, tag_accuracy
from attnzoo.training.token_accuracy import TokenAccuracy

__all__ = [
    "METRICS",
    "BestCheckpoints",
    "BleuScore",
    "EntityScores",
    "InBatchNegatives",
    "InverseSquareRootDecay",
    "PartnerAccuracy",
    "PeakSignalToNoise",
    "SmoothedCrossEntropy",
    "TokenAccuracy",
    "TrainingBackup",
    "UnicodeTokenizer",
    "VariableSchedule",
    "answer_exact_match",
    "answer_f1",
    "average_checkpoints",
    "bleu",
    "character_error_rate",
    "chrf",
    "entity_scores",
    "evaluate_predictions",
    "exact_match",
    "exponential_decay",
    "format_predictions",
    "inverse_sigmoid_decay",
    "linear_decay",
    "mean_edit_distance",
    "normalize_answer",
    "phoneme_error_rate",
    "rouge",
    "tag_accuracy",
    "token_error_rate",
    "word_error_rate",
]
