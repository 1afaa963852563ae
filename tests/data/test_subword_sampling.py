"""Subword regularization: which pieces are drawn, how often, and what batches make of them."""

import io
import warnings
from collections import Counter

import keras_hub
import numpy as np
import pytest
import sentencepiece

from attnzoo import data, models
from attnzoo.data.subword_sampling import NUM_BEST

pytestmark = pytest.mark.shared("torch")

TEXTS = [
    "Two men are outside.",
    "A man in an orange hat.",
    "Men outside in orange hats, at night.",
    "The hats are orange, the night is not.",
]


@pytest.fixture(scope="module")
def tokenizer():
    return data.train_subword_tokenizer(TEXTS, vocabulary_size=50)


def own_ids(tokenizer, texts):
    return [np.asarray(ids).tolist() for ids in tokenizer(texts)]


def segmentations(tokenizer, word):
    """All ways to make a word of pieces, found by trying: {ids: log-probability}."""
    processor = sentencepiece.SentencePieceProcessor(model_proto=tokenizer.proto)
    pieces = {token: id for id, token in enumerate(tokenizer.get_vocabulary()) if id > 3}

    def cut(rest):
        if not rest:
            return {(): 0.0}
        found = {}
        for length in range(1, len(rest) + 1):
            id = pieces.get(rest[:length])
            if id is not None:
                score = processor.GetScore(id)
                found |= {(id, *ids): score + more for ids, more in cut(rest[length:]).items()}
        return found

    return cut("\u2581" + word)


@pytest.mark.parametrize("alpha", [0.2, 1.0])
def test_segmentations_come_as_often_as_their_probabilities_say(alpha):
    # Syllables that come alone and together are pieces of each other.
    words = ["ba", "na", "ban", "nab", "banana", "nana", "anna", "ana", "bana", "naba"]
    tokenizer = data.train_subword_tokenizer(words * 3, vocabulary_size=22)
    word, count = "banana", 20_000
    known = segmentations(tokenizer, word)
    assert 3 < len(known) < NUM_BEST
    ids, scores = list(known), np.array(list(known.values()))
    probabilities = np.exp(alpha * scores) / np.exp(alpha * scores).sum()
    sampler = data.SubwordSampler(tokenizer, [word] * count, alpha=alpha)
    drawn = Counter(map(tuple, sampler.draw(np.random.default_rng(0))))
    assert set(drawn) <= set(ids)
    found = np.array([drawn[one] for one in ids]) / count
    errors = np.sqrt(probabilities * (1 - probabilities) / count)
    assert (abs(found - probabilities) < 4 * errors).all()
    # The test would notice another exponent.
    other = np.exp(0.5 * scores) / np.exp(0.5 * scores).sum()
    assert (abs(other - probabilities) > 8 * errors).any()


@pytest.mark.parametrize("alpha", [0.05, 0.2])
def test_a_usual_length_is_a_standard_deviation_above_the_mean(alpha, tokenizer):
    words = ["hats", "orange", "outside", "night"] * 5
    mean = variance = 0.0
    for word in words:
        known = segmentations(tokenizer, word)
        weights = np.exp(alpha * np.array(list(known.values())))
        weights /= weights.sum()
        lengths = np.array([len(ids) for ids in known])
        mean += weights @ lengths
        variance += weights @ lengths**2 - (weights @ lengths) ** 2
    sampler = data.SubwordSampler(tokenizer, [" ".join(words)], alpha=alpha)
    assert sampler.usual_lengths == [np.ceil(mean + variance**0.5)]
    assert np.ceil(mean) < sampler.usual_lengths[0] < np.ceil(mean + 2 * variance**0.5)


def test_draws_are_other_pieces_of_the_same_texts(tokenizer):
    sampler = data.SubwordSampler(tokenizer, TEXTS, alpha=0.2)
    drawn = sampler.draw(np.random.default_rng(0))
    assert [tokenizer.detokenize(ids) for ids in drawn] == TEXTS
    assert drawn != own_ids(tokenizer, TEXTS)
    assert drawn == sampler.draw(np.random.default_rng(0))
    assert drawn != sampler.draw(np.random.default_rng(1))


@pytest.mark.parametrize("texts", [[""], ["", " ", "hats", ""]])
def test_blank_texts_have_no_pieces(texts, tokenizer):
    sampler = data.SubwordSampler(tokenizer, texts, alpha=0.2)
    drawn = sampler.draw(np.random.default_rng(0))
    assert [bool(ids) for ids in drawn] == [bool(text.strip()) for text in texts]
    assert [length > 0 for length in sampler.usual_lengths] == [bool(ids) for ids in drawn]


def test_a_large_exponent_keeps_to_the_tokenizers_own_pieces(tokenizer):
    sampler = data.SubwordSampler(tokenizer, TEXTS, alpha=1e4)
    own = own_ids(tokenizer, TEXTS)
    assert sampler.draw(np.random.default_rng(0)) == own
    assert sampler.usual_lengths.tolist() == [len(ids) for ids in own]


def trained(texts, **options):
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts),
        model_writer=written,
        hard_vocab_limit=False,
        minloglevel=2,
        **options,
    )
    return keras_hub.tokenizers.SentencePieceTokenizer(proto=written.getvalue())


def test_a_text_cut_elsewhere_than_between_words_stays_as_it_is():
    tokenizer = trained(["in orange"] * 9 + TEXTS, vocab_size=60, split_by_whitespace=False)
    own = own_ids(tokenizer, ["in orange"])
    assert len(own[0]) == 1
    with pytest.warns(UserWarning, match="1 of 2 texts keep the tokenizer's own pieces"):
        sampler = data.SubwordSampler(tokenizer, ["in orange", "outside"], alpha=0.01)
    drawn = [sampler.draw(np.random.default_rng(seed)) for seed in range(9)]
    assert all(ids[:1] == own for ids in drawn)
    assert len({tuple(ids[1]) for ids in drawn}) > 1
    with pytest.raises(ValueError, match="must split texts word by word, .*Received: tokenizer="):
        data.SubwordSampler(tokenizer, ["in orange", ""], alpha=0.01)


def test_symbols_of_the_user_stay_whole():
    tokenizer = trained(TEXTS * 3, vocab_size=60, user_defined_symbols=["<mask>"])
    symbol = tokenizer.token_to_id("<mask>")
    sampler = data.SubwordSampler(tokenizer, ["orange <mask>s"] * 200, alpha=0.01)
    drawn = sampler.draw(np.random.default_rng(0))
    assert all(ids.count(symbol) == 1 for ids in drawn)
    assert len(set(map(tuple, drawn))) > 2


@pytest.mark.parametrize("texts", ["hats", []])
def test_texts_are_several_strings(texts, tokenizer):
    with pytest.raises(ValueError, match="`texts` must be several strings. Received: texts="):
        data.SubwordSampler(tokenizer, texts, alpha=0.2)


@pytest.mark.parametrize("model", ["bpe", "byte_bpe", "word_piece", None])
def test_what_has_no_unigram_model_is_refused(model):
    tokenizer = data.SymbolTokenizer.from_texts(TEXTS)
    if model is not None:
        tokenizer = data.train_subword_tokenizer(TEXTS, vocabulary_size=300, model=model)
    with pytest.raises(ValueError, match=r"from a SentencePiece unigram model.*Received: token"):
        data.SubwordSampler(tokenizer, TEXTS, alpha=0.2)


@pytest.mark.parametrize("alpha", [0.0, -1.0, float("nan"), float("inf")])
def test_an_exponent_is_above_zero(alpha, tokenizer):
    with pytest.raises(
        ValueError, match=f"`alpha` must be above 0, and finite. Received: alpha={alpha}"
    ):
        data.SubwordSampler(tokenizer, TEXTS, alpha=alpha)
    preprocessor = seq2seq_preprocessor(tokenizer)
    with pytest.raises(ValueError, match=f"and finite. Received: subword_sampling={alpha}"):
        data.BucketedBatches([("a", "b")], preprocessor, subword_sampling=alpha)
    with pytest.raises(ValueError, match=f"and finite. Received: subword_sampling={alpha}"):
        data.LabelledBatches(
            TEXTS, range(4), encoder_preprocessor(tokenizer), subword_sampling=alpha
        )


# === Pairs ===


def seq2seq_preprocessor(tokenizer, length=64):
    return models.RNNSeq2SeqLMPreprocessor(
        tokenizer,
        tokenizer,
        encoder_sequence_length=length,
        decoder_sequence_length=length,
        truncate="silent",
    )


PAIRS = [(text, text.lower()) for text in TEXTS] * 5


def make_pairs(tokenizer, length=64, **more):
    preprocessor = seq2seq_preprocessor(tokenizer, length)
    return data.BucketedBatches(
        PAIRS, preprocessor, **{"subword_sampling": 0.3, "num_buckets": 2, "batch_size": 3, **more}
    )


def epochs_of(batches, count):
    """The arrays of all batches of some epochs."""
    found = []
    for _ in range(count):
        found.append([batches[i] for i in range(len(batches))])
        batches.on_epoch_end()
    return found


def flat(batch):
    return [array.tolist() for array in (*batch[0].values(), *batch[1:])]


@pytest.fixture(scope="module")
def lower():
    return data.train_subword_tokenizer(TEXTS + [text.lower() for text in TEXTS] * 2)


@pytest.mark.parametrize("size", [{}, {"batch_size": None, "max_tokens": 90}])
def test_each_epoch_has_the_same_pairs_in_other_pieces_and_the_same_shapes(size, lower):
    batches = make_pairs(lower, **size)
    shapes, seen = set(), set()
    for epoch in epochs_of(batches, 3):
        texts = []
        for x, y, weight in epoch:
            mask = x["decoder_padding_mask"]
            np.testing.assert_array_equal(mask.any(axis=1), True)
            real = weight[:, 0] > 0
            np.testing.assert_array_equal(weight, mask * real[:, None])
            # Labels are the decoder's ids one step later, and end with [END].
            inner = mask[:, 1:]
            np.testing.assert_array_equal(x["decoder_token_ids"][:, 1:][inner], y[:, :-1][inner])
            ends = y[np.arange(len(y)), mask.sum(axis=1) - 1]
            assert (ends == lower.token_to_id("[END]")).all()
            for source, target, kept in zip(x["encoder_token_ids"], y, real, strict=True):
                ids = [[int(id) for id in row if id > 3] for row in (source, target)]
                if kept:
                    texts.append(tuple(lower.detokenize(row) for row in ids))
                    seen.add(tuple(ids[0]))
        assert Counter(texts) == Counter(PAIRS)
        shapes.add(tuple(sorted((*x["encoder_token_ids"].shape, y.shape[1]) for x, y, _ in epoch)))
    assert len(shapes) == 1  # A model is compiled for no other.
    assert len(seen) > 3 * len(TEXTS)


def test_pieces_depend_on_seed_and_epoch_alone(lower):
    whole = epochs_of(make_pairs(lower, seed=3), 3)
    again = make_pairs(lower, seed=3)
    again.epoch = 2
    assert [flat(batch) for batch in epochs_of(again, 1)[0]] == [flat(one) for one in whole[2]]
    other = epochs_of(make_pairs(lower, seed=4), 1)[0]
    assert [flat(batch) for batch in other] != [flat(one) for one in whole[0]]


def test_a_draw_without_room_gives_way_to_the_own_pieces(lower):
    own = max(len(ids) for ids in own_ids(lower, TEXTS)) + 1
    batches = make_pairs(lower, length=own, subword_sampling=1e-6, num_buckets=1)
    assert batches.buckets == [(own, own)]
    sampler = data.SubwordSampler(lower, [source for source, _ in PAIRS], alpha=1e-6)
    assert max(map(len, sampler.draw(np.random.default_rng(0)))) > own
    sources = [
        lower.detokenize([int(id) for id in row if id > 3])
        for x, _, weight in epochs_of(batches, 1)[0]
        for row in x["encoder_token_ids"][weight[:, 0] > 0]
    ]
    assert sorted(sources) == sorted(source for source, _ in PAIRS)


def test_of_what_is_too_long_other_pieces_are_drawn_too(lower):
    text, length = "A man in an orange hat. " * 9, 20
    preprocessor = seq2seq_preprocessor(lower, length)
    pairs = data.BucketedBatches([(text, text)], preprocessor, subword_sampling=0.3)
    texts = data.LabelledBatches(
        [text], [0], encoder_preprocessor(lower, length), subword_sampling=0.3
    )
    drawn = {"source": set(), "target": set(), "text": set()}
    for (x, y, _), (packed, _) in zip(
        *(sum(epochs_of(batches, 5), []) for batches in (pairs, texts)), strict=True
    ):
        for name, ids in (
            ("source", x["encoder_token_ids"]),
            ("target", y),
            ("text", packed["token_ids"]),
        ):
            row = [int(id) for id in ids[0] if id > 3]
            assert len(row) == length - 1 and ids[0, length - 1] == lower.token_to_id("[END]")
            assert text.startswith(lower.detokenize(row)[:-1])
            drawn[name].add(tuple(row))
    assert all(len(rows) > 2 for rows in drawn.values())


def test_padding_is_what_the_epochs_masks_say(lower):
    batches = make_pairs(lower)
    for _ in range(2):
        found = batches.padding_fraction
        tokens = cells = 0
        for x, _, weight in [batches[i] for i in range(len(batches))]:
            real = weight[:, 0] > 0
            for side in ("encoder", "decoder"):
                tokens += x[f"{side}_padding_mask"][real].sum()
                cells += x[f"{side}_padding_mask"].size
        assert found == pytest.approx(1 - tokens / cells)
        batches.on_epoch_end()


def test_dropped_pairs_are_not_drawn(lower):
    preprocessor = seq2seq_preprocessor(lower, 30)
    pairs = [("A man in an orange hat. " * 9, "two"), *PAIRS[:3]]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        batches = data.BucketedBatches(
            pairs, preprocessor, subword_sampling=0.3, long_pairs="drop", batch_size=3
        )
    x, _, _ = batches[0]
    found = [lower.detokenize([int(id) for id in row if id > 3]) for row in x["encoder_token_ids"]]
    assert sorted(found) == sorted(source for source, _ in PAIRS[:3])


@pytest.mark.rotates
@pytest.mark.parametrize("model", ["rnn", "transformer"])
def test_models_train_on_pieces_that_change(model, lower):
    preprocessor = seq2seq_preprocessor(lower)
    family = {
        "rnn": (models.RNNSeq2SeqBackbone, models.RNNSeq2SeqLM, {"embedding_dim": 5}),
        "transformer": (
            models.TransformerSeq2SeqBackbone,
            models.TransformerSeq2SeqLM,
            {"num_heads": 2, "num_encoder_layers": 1, "num_decoder_layers": 1},
        ),
    }
    backbone_class, task_class, sizes = family[model]
    size = lower.vocabulary_size()
    task = task_class(backbone_class(size, size, hidden_dim=8, **sizes), preprocessor)
    batches = make_pairs(lower, max_tokens=90)
    history = task.fit(batches, epochs=3, verbose=0, shuffle=False).history
    assert batches.epoch == 3
    assert history["loss"][-1] < history["loss"][0]


# === Texts ===


def encoder_preprocessor(tokenizer, length=64):
    return models.RNNTextClassifierPreprocessor(
        tokenizer, sequence_length=length, truncate="silent"
    )


@pytest.mark.parametrize("size", [{"batch_size": 3}, {"max_tokens": 100}])
def test_labelled_texts_come_in_other_pieces_with_their_labels(size, lower):
    texts, labels = TEXTS * 5, [0, 1, 2, 3] * 5
    batches = data.LabelledBatches(
        texts, labels, encoder_preprocessor(lower), subword_sampling=0.3, **size
    )
    shapes, seen = set(), set()
    for epoch in epochs_of(batches, 3):
        found = []
        for x, y in epoch:
            for row, label in zip(x["token_ids"], y, strict=True):
                ids = tuple(int(id) for id in row if id > 3)
                seen.add(ids)
                found.append((lower.detokenize(ids), int(label)))
        assert Counter(found) == Counter(zip(texts, labels, strict=True))
        shapes.add(tuple(sorted(x["token_ids"].shape for x, _ in epoch)))
    assert len(shapes) == 1
    assert len(seen) > 3 * len(TEXTS)


def test_a_text_keeps_its_own_pieces_where_these_alone_have_room(lower):
    length = 1 + max(len(ids) for ids in own_ids(lower, TEXTS))
    preprocessor = encoder_preprocessor(lower, length)
    batches = data.LabelledBatches(
        TEXTS, range(4), preprocessor, subword_sampling=1e-6, batch_size=1
    )
    for x, y in epochs_of(batches, 1)[0]:
        ids = [int(id) for id in x["token_ids"][0] if id > 3]
        assert lower.detokenize(ids) == TEXTS[y[0]]


def test_hidden_tokens_are_of_the_pieces_that_were_drawn(lower):
    preprocessor = models.TransformerMaskedLMPreprocessor(lower, sequence_length=64, mask_rate=0.3)
    batches = data.MaskedBatches(
        TEXTS, preprocessor, subword_sampling=0.3, batch_size=2, shuffle=False
    )
    first, second = (
        [len(ids) for batch in epoch for ids in batch[0]["padding_mask"]]
        for epoch in epochs_of(batches, 2)
    )
    assert first == second
    pieces = epochs_of(batches, 2)
    assert [flat(one) for one in pieces[0]] != [flat(one) for one in pieces[1]]


@pytest.mark.shared("torch")
def test_a_classifier_trains_on_pieces_that_change(lower):
    preprocessor = encoder_preprocessor(lower)
    backbone = models.RNNEncoderBackbone(lower.vocabulary_size(), embedding_dim=5, hidden_dim=6)
    task = models.RNNTextClassifier(backbone, preprocessor, num_classes=4)
    batches = data.LabelledBatches(
        TEXTS * 3, [0, 1, 2, 3] * 3, preprocessor, subword_sampling=0.3, max_tokens=120
    )
    history = task.fit(batches, epochs=3, verbose=0, shuffle=False).history
    assert len(history["loss"]) == 3 and np.isfinite(history["loss"]).all()
