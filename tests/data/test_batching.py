"""Bucketed batches: shapes, contents, order, padding."""

import itertools
import warnings
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from attnzoo.data import BucketedBatches, CharacterTokenizer, SymbolTokenizer, read_tsv

pytestmark = pytest.mark.shared("torch")

SHARED = Path(__file__).parents[2] / ".." / "shared" / "data" / "cmudict"


def make_preprocessor(encoder_sequence_length=None, decoder_sequence_length=None, **more):
    return SimpleNamespace(
        source_tokenizer=CharacterTokenizer.from_texts(["abcdefgh"]),
        tokenizer=SymbolTokenizer.from_texts(["A B C D E F G H"]),
        encoder_sequence_length=encoder_sequence_length,
        decoder_sequence_length=decoder_sequence_length,
        **more,
    )


def make_pairs(count=173):
    """Different pairs of different lengths, source and target alike up to one symbol."""
    letters = "abcdefgh"
    pairs = []
    for number in range(count):
        word = "".join(letters[number // 8**place % 8] for place in range(3))
        word += letters[number % 8] * (number * number % 11)
        pairs.append((word, " ".join(word.upper()[: len(word) - number % 2])))
    assert len(set(pairs)) == count
    return pairs


def texts_of(batch, preprocessor):
    """The pairs of a batch that have weight."""
    x, labels, sample_weight = batch
    real = sample_weight[:, 0] > 0
    sources = preprocessor.source_tokenizer.detokenize(x["encoder_token_ids"][real])
    targets = preprocessor.tokenizer.detokenize(labels[real])
    return list(zip(sources, targets, strict=True))


def contents(batches, preprocessor):
    return [texts_of(batches[index], preprocessor) for index in range(len(batches))]


# === One batch ===


def test_a_batch_is_what_the_model_takes():
    preprocessor = make_preprocessor()
    a, b, c = (preprocessor.source_tokenizer.token_to_id(letter) for letter in "abc")
    A, B = (preprocessor.tokenizer.token_to_id(symbol) for symbol in "AB")
    batches = BucketedBatches(
        [("abc", "A B"), ("b", "")], preprocessor, batch_size=3, num_buckets=1, shuffle=False
    )
    assert len(batches) == 1
    x, labels, sample_weight = batches[0]
    expected = {
        "encoder_token_ids": [[a, b, c, 3], [b, 3, 0, 0], [a, b, c, 3]],
        "encoder_padding_mask": [[1, 1, 1, 1], [1, 1, 0, 0], [1, 1, 1, 1]],
        "decoder_token_ids": [[2, A, B], [2, 0, 0], [2, A, B]],
        "decoder_padding_mask": [[1, 1, 1], [1, 0, 0], [1, 1, 1]],
    }
    assert set(x) == set(expected)
    for key, value in expected.items():
        np.testing.assert_array_equal(x[key], value)
        assert x[key].dtype == ("bool" if "mask" in key else "int32")
    np.testing.assert_array_equal(labels, [[A, B, 3], [3, 0, 0], [A, B, 3]])
    assert labels.dtype == "int32"
    # The third row only fills the batch.
    np.testing.assert_array_equal(sample_weight, [[1, 1, 1], [1, 0, 0], [0, 0, 0]])
    assert sample_weight.dtype == "float32"


def test_special_ids_come_from_the_vocabulary_where_the_tokenizer_names_none():
    preprocessor = make_preprocessor()
    inner = preprocessor.tokenizer
    preprocessor.tokenizer = SimpleNamespace(
        tokenize=lambda texts: [np.array(ids) for ids in inner.tokenize(texts)],
        token_to_id=inner.token_to_id,
    )
    x, labels, _ = BucketedBatches([("a", "A")], preprocessor, batch_size=1)[0]
    assert x["decoder_token_ids"][0, 0] == 2
    assert labels[0, -1] == 3


# === An epoch ===


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("batch_size", [1, 5, 7, 173, 200])
def test_each_pair_comes_once_an_epoch_in_full_batches(shuffle, batch_size):
    preprocessor, pairs = make_preprocessor(), make_pairs()
    batches = BucketedBatches(
        pairs, preprocessor, batch_size=batch_size, num_buckets=3, shuffle=shuffle
    )
    assert len(batches) == -(-len(pairs) // batch_size)
    seen = list(itertools.chain.from_iterable(contents(batches, preprocessor)))
    assert Counter(seen) == Counter(pairs)
    for x, labels, sample_weight in batches:
        shape = (x["encoder_token_ids"].shape[1], labels.shape[1])
        assert shape in batches.buckets
        assert labels.shape == sample_weight.shape == x["decoder_token_ids"].shape
        assert len(labels) == batch_size
        assert x["encoder_padding_mask"].any(axis=1).all()
        assert x["decoder_padding_mask"].any(axis=1).all()


def test_order_depends_on_seed_and_epoch_alone():
    preprocessor, pairs = make_preprocessor(), make_pairs()

    def make(seed):
        return BucketedBatches(pairs, preprocessor, batch_size=7, num_buckets=3, seed=seed)

    batches = make(3)
    epochs = []
    for epoch in range(3):
        assert batches.epoch == epoch
        epochs.append(contents(batches, preprocessor))
        batches.on_epoch_end()
    assert epochs[0] != epochs[1] != epochs[2] != epochs[0]
    resumed = make(3)
    resumed.epoch = 2
    assert contents(resumed, preprocessor) == epochs[2]
    resumed.epoch = 0
    assert contents(resumed, preprocessor) == epochs[0]
    assert contents(make(4), preprocessor) != epochs[0]
    # Other company in the batches, not only another order of them.
    assert {frozenset(batch) for batch in epochs[0]} != {frozenset(batch) for batch in epochs[1]}


def test_an_epoch_is_left_only_when_all_of_it_was_read():
    batches = BucketedBatches(make_pairs(), make_preprocessor(), batch_size=7)
    for index in reversed(range(1, len(batches))):
        _ = batches[index]
    batches.on_epoch_end()
    assert batches.epoch == 0
    _ = batches[0]
    batches.on_epoch_end()
    batches.on_epoch_end()
    assert batches.epoch == 1


@pytest.mark.parametrize("option", [{"workers": 2}, {"use_multiprocessing": True}], ids=str)
def test_nothing_reads_ahead(option):
    """Keras's own reading ahead, with threads or processes, is not in step with training."""
    ((name, value),) = option.items()
    match = f"`{name}` must be .*Received: {name}={value}"
    with pytest.raises(ValueError, match=match):
        BucketedBatches(make_pairs(), make_preprocessor(), **option)
    batches = BucketedBatches(make_pairs(), make_preprocessor(), workers=1, max_queue_size=3)
    with pytest.raises(ValueError, match=match):
        setattr(batches, name, value)
    assert (batches.workers, batches.use_multiprocessing, batches.max_queue_size) == (1, False, 3)


def test_order_is_stable_without_shuffling():
    preprocessor, pairs = make_preprocessor(), make_pairs()
    batches = BucketedBatches(pairs, preprocessor, batch_size=7, num_buckets=3, shuffle=False)
    first = contents(batches, preprocessor)
    batches.on_epoch_end()
    assert contents(batches, preprocessor) == first


@pytest.mark.parametrize("shuffle", [True, False])
def test_the_first_two_batches_show_which_sizes_vary(shuffle):
    preprocessor = make_preprocessor()
    batches = BucketedBatches(
        make_pairs(), preprocessor, batch_size=7, num_buckets=5, shuffle=shuffle
    )
    for _ in range(5):
        shapes = [(x["encoder_token_ids"].shape[1], y.shape[1]) for x, y, _ in batches]
        assert shapes[0] == min(shapes)
        assert shapes[1] == max(shapes) == batches.buckets[-1]
        batches.on_epoch_end()


@pytest.mark.graph
def test_fit_and_evaluate_take_the_batches():
    preprocessor = make_preprocessor()
    inputs = {
        "encoder_token_ids": keras.Input([None], dtype="int32", name="encoder_token_ids"),
        "encoder_padding_mask": keras.Input([None], dtype="bool", name="encoder_padding_mask"),
        "decoder_token_ids": keras.Input([None], dtype="int32", name="decoder_token_ids"),
        "decoder_padding_mask": keras.Input([None], dtype="bool", name="decoder_padding_mask"),
    }
    source = keras.layers.Embedding(12, 5)(inputs["encoder_token_ids"])
    source = keras.layers.GlobalAveragePooling1D()(source, mask=inputs["encoder_padding_mask"])
    target = keras.layers.Embedding(12, 5)(inputs["decoder_token_ids"])
    logits = keras.layers.Dense(12)(target + source[:, None])
    model = keras.Model(inputs, logits)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, weighted_metrics=["accuracy"])
    batches = BucketedBatches(make_pairs(), preprocessor, batch_size=31, num_buckets=3)
    seen = []
    record = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: seen.append((epoch, batches.epoch))
    )
    assert len(batches) == 6
    history = model.fit(batches, epochs=3, callbacks=[record], verbose=0).history
    assert np.isfinite(history["loss"]).all()
    # Keras also reads batches to build the model and to learn their shapes: no epoch may be lost.
    assert batches.epoch == 3
    arguments = {"callbacks": [record], "shuffle": False, "verbose": 0}
    model.fit(batches, initial_epoch=3, epochs=5, **arguments)
    assert batches.epoch == 5
    assert seen == [(epoch, epoch) for epoch in range(5)]
    evaluation = BucketedBatches(make_pairs(), preprocessor, batch_size=31, shuffle=False)
    assert np.isfinite(model.evaluate(evaluation, verbose=0)).all()


# === Padding ===


def test_padding_fraction_counts_empty_cells():
    preprocessor = make_preprocessor()
    batches = BucketedBatches(make_pairs(), preprocessor, batch_size=7, num_buckets=3)
    for _ in range(2):
        cells = real = 0
        for x, labels, sample_weight in batches:
            weight = sample_weight[:, 0] > 0
            cells += x["encoder_token_ids"].size + labels.size
            real += x["encoder_padding_mask"][weight].sum() + sample_weight.sum()
        assert batches.padding_fraction == pytest.approx(1 - real / cells, abs=1e-12)
        batches.on_epoch_end()


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the CMUdict files")
def test_padding_on_cmudict_is_below_15_percent():
    pairs = list(read_tsv(SHARED / "train.tsv.gz"))
    preprocessor = SimpleNamespace(
        source_tokenizer=SymbolTokenizer.from_texts(source for source, _ in pairs),
        tokenizer=SymbolTokenizer.from_texts(target for _, target in pairs),
        encoder_sequence_length=None,
        decoder_sequence_length=None,
    )
    assert BucketedBatches(pairs, preprocessor).padding_fraction < 0.13
    # Four buckets would not do.
    assert BucketedBatches(pairs, preprocessor, num_buckets=4).padding_fraction > 0.15


# === Batches by tokens ===


@pytest.mark.parametrize("arguments", [{}, {"batch_size": 5}, {"shuffle": False}], ids=str)
def test_a_batch_has_as_many_pairs_as_tokens_have_room(arguments):
    preprocessor, pairs = make_preprocessor(), make_pairs()
    batches = BucketedBatches(pairs, preprocessor, max_tokens=67, num_buckets=3, **arguments)
    assert batches.batch_sizes == [
        min(67 // max(shape), arguments.get("batch_size", 67)) for shape in batches.buckets
    ]
    assert len(set(batches.batch_sizes)) == (1 if "batch_size" in arguments else 3)
    shapes, seen, cells, real = set(), [], 0, 0
    for index in range(len(batches)):
        x, labels, sample_weight = batches[index]
        assert max(x["encoder_token_ids"].size, labels.size) <= 67
        shapes.add((*x["encoder_token_ids"].shape, labels.shape[1]))
        seen += texts_of(batches[index], preprocessor)
        weight = sample_weight[:, 0] > 0
        assert weight.all() or index == (0 if len(batches) == 1 else 1)  # The one filled up.
        cells += x["encoder_token_ids"].size + labels.size
        real += x["encoder_padding_mask"][weight].sum() + sample_weight.sum()
    assert Counter(seen) == Counter(pairs)
    assert shapes == {
        (size, *shape) for size, shape in zip(batches.batch_sizes, batches.buckets, strict=True)
    }
    assert batches.padding_fraction == pytest.approx(1 - real / cells, abs=1e-12)


def test_batches_by_tokens_go_on_where_they_stopped():
    preprocessor, pairs = make_preprocessor(), make_pairs()

    def make():
        return BucketedBatches(pairs, preprocessor, max_tokens=67, num_buckets=3, seed=7)

    batches = make()
    first = contents(batches, preprocessor)
    batches.on_epoch_end()
    resumed = make()
    resumed.epoch = 1
    assert contents(resumed, preprocessor) == contents(batches, preprocessor) != first


# === Long pairs ===


def test_long_pairs_are_truncated_with_one_warning():
    preprocessor = make_preprocessor(encoder_sequence_length=3, decoder_sequence_length=2)
    pairs = [("abcd", "A B C"), ("ab", "A"), ("a", "A B")]
    with pytest.warns(UserWarning, match="2 of 3 pairs were truncated: .* 3 source and 2 target"):
        batches = BucketedBatches(pairs, preprocessor, batch_size=3, num_buckets=1, shuffle=False)
    x, labels, _ = batches[0]
    assert texts_of(batches[0], preprocessor) == [("ab", "A"), ("ab", "A"), ("a", "A")]
    # [END] is kept.
    np.testing.assert_array_equal(x["encoder_token_ids"][0, -1], 3)
    np.testing.assert_array_equal(labels[:, -1], 3)
    assert batches.buckets == [(3, 2)]


def test_long_pairs_meet_what_the_preprocessor_says():
    pairs = [("a", "A"), ("abcd", "A B C")]
    lengths = {"encoder_sequence_length": 3, "decoder_sequence_length": 2}
    message = "^A pair must have at most 3 source and 2 target .* Received: 5 and 4 at position 1"
    with pytest.raises(ValueError, match=message):
        BucketedBatches(pairs, make_preprocessor(**lengths, truncate="error"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        BucketedBatches(pairs, make_preprocessor(**lengths, truncate="silent"))


def test_long_pairs_can_be_dropped():
    preprocessor = make_preprocessor(encoder_sequence_length=3)
    pairs = [("abcd", "A"), ("ab", "A B C")]
    with pytest.warns(UserWarning, match="1 of 2 pairs were dropped: .* 3 source and inf target"):
        batches = BucketedBatches(pairs, preprocessor, batch_size=1, long_pairs="drop")
    assert contents(batches, preprocessor) == [[("ab", "A B C")]]
    with pytest.warns(UserWarning), pytest.raises(ValueError, match="1 pairs, all dropped"):
        BucketedBatches(pairs[:1], preprocessor, long_pairs="drop")


def test_pairs_that_just_fit_raise_no_warning():
    preprocessor = make_preprocessor(encoder_sequence_length=3, decoder_sequence_length=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        BucketedBatches([("ab", "A")], preprocessor)


# === Bad input ===


@pytest.mark.parametrize(
    ("pairs", "arguments", "message"),
    [
        ([], {}, "at least one pair. Received: no pairs"),
        ([("a", "A")], {"batch_size": 0}, "Received: batch_size=0"),
        ([("a", "A")], {"max_tokens": 0}, "Received: max_tokens=0"),
        ([("abc", "A")], {"max_tokens": 3}, "at least 4, the length .* Received: max_tokens=3"),
        ([("a", "A")], {"num_buckets": 0}, "Received: num_buckets=0"),
        ([("a", "A")], {"seed": -1}, "Received: seed=-1"),
        ([("a", "A")], {"long_pairs": "keep"}, "Received: long_pairs='keep'"),
        ([("a", "A"), ("", "B")], {}, "Received: '' at position 1"),
        ([("a", "A"), "ab"], {}, "Received: 'ab' at position 1"),
        ([("a", "A", "B")], {}, "at position 0"),
        ([("a", 7)], {}, r"Received: \('a', 7\) at position 0"),
    ],
)
def test_bad_arguments_are_errors(pairs, arguments, message):
    with pytest.raises(ValueError, match=message):
        BucketedBatches(pairs, make_preprocessor(), **arguments)


def test_a_negative_epoch_is_an_error():
    batches = BucketedBatches([("a", "A")], make_preprocessor())
    with pytest.raises(ValueError, match="Received: epoch=-1"):
        batches.epoch = -1


def test_texts_with_labels_are_for_other_batches():
    preprocessor = SimpleNamespace(tokenizer=make_preprocessor().tokenizer)
    message = "`attnzoo.data.LabelledBatches`. Received: preprocessor=namespace"
    with pytest.raises(ValueError, match=message):
        BucketedBatches([("a good film", 1)], preprocessor)
