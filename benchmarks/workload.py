"""What every contestant of `seq2seq.py` must do: sizes, cases and batches, the same for all.

One encoder-decoder of the size of a small translation model, on random token ids with no padding:

    embedding 256 -> LSTM 256 -> additive attention of 256 units -> LSTM 256 -> logits over 8000

Pronunciation and inflection have vocabularies of a few dozen tokens: one case has 64.

A decoding case makes exactly `TARGET_LENGTH` tokens: no contestant may stop at an end token, or one
of them would do less work by the luck of its random weights.

This file is imported by each contestant in its own environment, so it needs NumPy alone.
"""

import dataclasses

import numpy as np

VOCABULARY_SIZE = 8000
EMBEDDING_DIM = 256
HIDDEN_DIM = 256
ATTENTION_UNITS = 256
SOURCE_LENGTH = 30
TARGET_LENGTH = 30
NUM_BEAMS = 5
LEARNING_RATE = 1e-3
SEED = 0

PAD_TOKEN_ID = 0
START_TOKEN_ID = 2
FIRST_PLAIN_TOKEN_ID = 4  # 0 to 3 are [PAD], [UNK], [START], [END]
NUM_TRAINING_BATCHES = 8


@dataclasses.dataclass(frozen=True)
class Case:
    """One thing to measure.

    Args:
        kind: "train", "greedy" or "beam".
        batch_size: Sequences that are worked on together. At least 1.
        repeats: Times that it is done in one turn of one contestant. At least 1.
        title: What one repeat is, for the table.
        vocabulary_size: V, of source and target. At least 5.
    """

    kind: str
    batch_size: int
    repeats: int
    title: str
    vocabulary_size: int = VOCABULARY_SIZE


CASES = {
    "train": Case("train", 64, 8, "training step, B=64"),
    "train_small": Case("train", 64, 8, "training step, B=64, V=64", vocabulary_size=64),
    "greedy1": Case("greedy", 1, 20, "greedy decoding, B=1"),
    "greedy64": Case("greedy", 64, 5, "greedy decoding, B=64"),
    "beam1": Case("beam", 1, 10, f"beam-{NUM_BEAMS} decoding, B=1"),
    "beam64": Case("beam", 64, 2, f"beam-{NUM_BEAMS} decoding, B=64"),
}


def build_each(build, settings):
    """Build the cases of each size of the vocabulary with a model of its own.

    Args:
        build: Function of settings and a size of the vocabulary to facts and cases.
        settings: dict with `"cases"`, a list of names.

    Returns:
        The facts of the first model, and all cases, by name.
    """
    names: dict[int, list] = {}
    for name in settings["cases"]:
        names.setdefault(CASES[name].vocabulary_size, []).append(name)
    built = [build({**settings, "cases": some}, size) for size, some in names.items()]
    return built[0][0], {name: case for _, cases in built for name, case in cases.items()}


def training_batches(
    batch_size,
    *,
    vocabulary_size=VOCABULARY_SIZE,
    source_length=SOURCE_LENGTH,
    target_length=TARGET_LENGTH,
):
    """`NUM_TRAINING_BATCHES` distinct batches of random pairs.

    Returns:
        A list of `(x, y, sample_weight)`. `x` is a dict of `encoder_token_ids` int32 [B, S],
        `encoder_padding_mask` bool [B, S], `decoder_token_ids` int32 [B, T] and
        `decoder_padding_mask` bool [B, T]; `y` is int32 [B, T]; `sample_weight` is float32 [B, T].
    """
    generator = np.random.default_rng(SEED)
    batches = []
    for _ in range(NUM_TRAINING_BATCHES):
        source = _random_ids(generator, (batch_size, source_length), vocabulary_size)  # [B, S]
        target = _random_ids(generator, (batch_size, target_length + 1), vocabulary_size)
        target[:, 0] = START_TOKEN_ID
        x = {
            "encoder_token_ids": source,
            "encoder_padding_mask": np.ones(source.shape, "bool"),
            "decoder_token_ids": np.ascontiguousarray(target[:, :-1]),  # [B, T]
            "decoder_padding_mask": np.ones((batch_size, target_length), "bool"),
        }
        y = np.ascontiguousarray(target[:, 1:])  # [B, T]
        batches.append((x, y, np.ones(y.shape, "float32")))
    return batches


def source_batch(batch_size):
    """One batch of random sources to decode.

    Returns:
        `token_ids` int32 [B, S] and `padding_mask` bool [B, S], all True.
    """
    shape = (batch_size, SOURCE_LENGTH)
    source = _random_ids(np.random.default_rng(SEED + 1), shape, VOCABULARY_SIZE)
    return source, np.ones(source.shape, "bool")


def decoding_inputs(batch_size, target_length=TARGET_LENGTH):
    """What attnzoo's models decode `source_batch` from: room for `target_length` more tokens.

    Returns:
        A dict of `encoder_token_ids` int32 [B, S], `encoder_padding_mask` bool [B, S],
        `decoder_token_ids` int32 [B, T + 1], the start token and padding, and
        `decoder_padding_mask` bool [B, T + 1].
    """
    source, source_mask = source_batch(batch_size)
    prompt = np.full((batch_size, target_length + 1), PAD_TOKEN_ID, "int32")
    prompt[:, 0] = START_TOKEN_ID
    prompt_mask = np.zeros(prompt.shape, "bool")
    prompt_mask[:, 0] = True
    return {
        "encoder_token_ids": source,
        "encoder_padding_mask": source_mask,
        "decoder_token_ids": prompt,
        "decoder_padding_mask": prompt_mask,
    }


def _random_ids(generator, shape, vocabulary_size):
    return generator.integers(FIRST_PLAIN_TOKEN_ID, vocabulary_size, size=shape, dtype="int32")
