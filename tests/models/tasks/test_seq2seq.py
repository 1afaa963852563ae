"""Training, generation and alignments of a task, from raw strings."""

import keras
import keras_hub
import numpy as np
import pytest
from keras import ops

from attnzoo import data, models, samplers, training
from tests import tools
from tests.models import tiny

WORDS, PHONEMES = tiny.WORDS, tiny.PHONEMES
S, T, START, END = 8, tiny.T, tiny.START, tiny.END  # S as generation fits it to these words.


@pytest.fixture(scope="module")
def task():
    """One greedy task for the module: nobody changes its weights or compiles it anew."""
    task = no_special_tokens(tiny.make_task(tiny.make_preprocessor()))
    task.compile(sampler="greedy")
    return task


def with_sampler(task, sampler, preprocessor="its own"):
    """Another task of the same weights."""
    preprocessor = task.preprocessor if preprocessor == "its own" else preprocessor
    other = models.RNNSeq2SeqLM(task.backbone, preprocessor)
    other.output_layer.set_weights(task.output_layer.get_weights())
    other.compile(sampler=sampler)
    return other


def no_special_tokens(task):
    """Keep a task from generating what text does not show."""
    kernel, bias = task.output_layer.get_weights()
    bias[: tiny.END] = -30.0
    task.output_layer.set_weights([kernel, bias])
    return task


@pytest.fixture(scope="module")
def logits_of(task):
    """Teacher-forced logits and alignments [B, T - 1, ...] of words and whole target ids."""
    decode = tools.compiled(task.decode)

    def logits_of(words, target):
        inputs = task.preprocessor.generate_preprocess(words)
        inputs["decoder_token_ids"] = target[:, :-1].astype("int32")
        inputs["decoder_padding_mask"] = np.ones_like(target[:, :-1], dtype="bool")
        inputs = {name: ops.convert_to_tensor(value) for name, value in inputs.items()}
        return tools.to_numpy(decode(inputs))

    return logits_of


@pytest.fixture(scope="module")
def greedy(task, logits_of):
    """Target ids [B, T] of the words by an argmax loop in Python, padded after the end token."""
    ids = np.zeros((len(WORDS), T), dtype="int32")
    ids[:, 0] = START
    for place in range(1, T):
        ids[:, place] = logits_of(WORDS, ids)[0][:, place - 1].argmax(axis=-1)
    for row in ids:
        ends = np.flatnonzero(row[1:] == END)
        if ends.size:
            row[ends[0] + 2 :] = 0
    return ids


def real_of(ids):
    """bool [B, T]: what is no padding in target ids that were generated."""
    ended = np.cumsum(ids[:, 1:] == END, axis=1) - (ids[:, 1:] == END) > 0
    return np.pad(~ended, ((0, 0), (1, 0)), constant_values=True)


def text_of(task, row):
    names = task.preprocessor.tokenizer.get_vocabulary()
    hidden = ("[PAD]", "[START]", "[END]")
    return " ".join(names[i] for i in row if names[i] not in hidden)


def log_p_of(logits, ids):
    """float64 [B]: log p of all tokens of whole targets but the first."""
    log_probs = tiny.log_softmax(logits)
    chosen = np.take_along_axis(log_probs, ids[:, 1:, None].astype(int), axis=2)[:, :, 0]
    return (chosen * real_of(ids)[:, 1:]).sum(axis=1)


# === Generation ===


def test_greedy_generation_is_an_argmax_loop_over_the_teacher_forced_model(task, greedy):
    assert task.generate(WORDS) == [text_of(task, row) for row in greedy]
    assert len(set(map(tuple, greedy.tolist()))) > 1  # The words do not all sound alike.


def test_a_string_gives_a_string_and_company_changes_nothing(task, greedy):
    assert task.generate("cat") == text_of(task, greedy[0])


def test_more_source_padding_generates_the_same(task, greedy):
    inputs = task.preprocessor.generate_preprocess(WORDS, encoder_sequence_length=11)
    ids = tools.to_numpy(task.make_generate_function()(inputs, stop_token_ids=(END,)))
    real = real_of(greedy)
    np.testing.assert_array_equal(ids["decoder_padding_mask"], real)
    np.testing.assert_array_equal(ids["decoder_token_ids"][real], greedy[real])


def test_scores_are_log_p_and_alignments_those_of_the_steps(task, greedy, logits_of):
    results = task.generate(WORDS, return_scores=True, return_alignments=True)
    assert set(results) == {"outputs", "scores", "alignments"}
    assert results["outputs"] == [text_of(task, row) for row in greedy]
    logits, alignments = logits_of(WORDS, greedy)
    np.testing.assert_allclose(results["scores"], log_p_of(logits, greedy), rtol=1e-4)
    real = real_of(greedy)[:, 1:]
    found = results["alignments"]
    assert found.shape == (len(WORDS), T - 1, S)
    np.testing.assert_allclose(found[real], alignments[real], atol=1e-5)
    np.testing.assert_allclose(found[real].sum(axis=-1), 1, rtol=1e-5)
    assert (found[~real] == 0).all()
    for row, word in zip(found, WORDS, strict=True):
        assert (row[:, len(word) + 1 :] == 0).all()


def test_each_result_comes_only_when_asked_for(task):
    assert set(task.generate(WORDS, return_scores=True)) == {"outputs", "scores"}
    assert set(task.generate(WORDS, return_alignments=True)) == {"outputs", "alignments"}


def test_a_given_beginning_is_kept(task, logits_of):
    beginnings = ["CH", "K AE T", "", "HH", "DH AE", "T"]
    inputs = {"encoder_text": WORDS, "decoder_text": beginnings}
    outputs = task.generate(dict(inputs))
    for beginning, output in zip(beginnings, outputs, strict=True):
        assert output.startswith(beginning)
    stripped = task.generate(dict(inputs), strip_prompt=True)
    assert [" ".join(filter(None, pair)) for pair in zip(beginnings, stripped, strict=True)] == (
        outputs
    )
    one = {"encoder_text": "cat", "decoder_text": "CH"}
    assert task.generate(dict(one)) == outputs[0]
    assert task.generate(dict(one), strip_prompt=True) == stripped[0]
    scored = task.generate(dict(one), return_scores=True)
    assert scored["outputs"] == outputs[:1]
    assert scored["scores"].shape == (1,)


def test_the_length_and_the_stop_tokens_may_be_chosen(task, greedy):
    short = task.generate(WORDS, max_length=3)
    assert short == [text_of(task, row[:3]) for row in greedy]
    second = int(greedy[0, 2])
    results = task.generate(WORDS, stop_token_ids=(END, second))
    assert results[0] == text_of(task, greedy[0, : list(greedy[0]).index(second) + 1])


@pytest.mark.parametrize(
    "sampler",
    [
        "random",
        keras_hub.samplers.TopKSampler(k=3, seed=7),
        keras_hub.samplers.TopPSampler(p=0.9, seed=7),
    ],
    ids=["random", "top_k", "top_p"],
)
def test_the_samplers_of_keras_hub_run(task, sampler):
    task = with_sampler(task, sampler)
    outputs = task.generate(WORDS)
    known = set(task.preprocessor.tokenizer.get_vocabulary())
    assert len(outputs) == len(WORDS)
    assert {symbol for output in outputs for symbol in output.split()} <= known


def test_one_beam_is_greedy_and_more_find_no_worse(task, greedy, logits_of):
    task = with_sampler(task, samplers.BeamSampler(1))
    best = task.generate(WORDS, return_scores=True)
    assert best["outputs"] == [text_of(task, row) for row in greedy]
    logits, _ = logits_of(WORDS, greedy)
    np.testing.assert_allclose(best["scores"], log_p_of(logits, greedy), rtol=1e-4)


def test_an_n_best_list_has_the_scores_of_its_outputs(task, logits_of):
    task = with_sampler(task, samplers.BeamSampler(5, num_hypotheses=3))
    results = task.generate(WORDS, return_scores=True)
    assert results["scores"].shape == (len(WORDS), 3)
    assert (np.diff(results["scores"], axis=1) <= 0).all()
    assert all(len(set(outputs)) == 3 for outputs in results["outputs"])
    inputs = task.preprocessor.generate_preprocess(WORDS)
    ids = tools.to_numpy(task.make_generate_function()(inputs, stop_token_ids=(END,)))
    assert ids["decoder_token_ids"].shape == (len(WORDS), 3, T)
    for n in range(3):
        target = np.where(ids["decoder_padding_mask"], ids["decoder_token_ids"], 0)[:, n]
        assert [text_of(task, row) for row in target] == [o[n] for o in results["outputs"]]
        logits, _ = logits_of(WORDS, target)
        np.testing.assert_allclose(results["scores"][:, n], log_p_of(logits, target), rtol=1e-4)
    assert task.generate(WORDS) == results["outputs"]
    with pytest.raises(ValueError, match="Received: return_alignments=True .*num_hypotheses=3"):
        task.generate(WORDS, return_alignments=True)


def test_a_beam_with_both_penalties_scores_as_the_formula_says(task, logits_of):
    task = with_sampler(task, samplers.BeamSampler(4, length_penalty=0.6, coverage_penalty=0.3))
    results = task.generate(WORDS, return_scores=True, return_alignments=True)
    inputs = task.preprocessor.generate_preprocess(WORDS)
    ids = tools.to_numpy(task.make_generate_function()(inputs, stop_token_ids=(END,)))
    target = np.where(ids["decoder_padding_mask"], ids["decoder_token_ids"], 0)
    logits, alignments = logits_of(WORDS, target)
    real = real_of(target)[:, 1:]
    np.testing.assert_allclose(results["alignments"][real], alignments[real], atol=1e-5)
    length = real.sum(axis=1) - (target == END).any(axis=1)
    coverage = (alignments * real[:, :, None]).sum(axis=1)
    places = tools.lengths_mask([len(word) + 1 for word in WORDS], S)
    covered = (np.log(np.clip(coverage, 1e-9, 1)) * places).sum(axis=1)
    expected = log_p_of(logits, target) / ((5 + length) / 6) ** 0.6 + 0.3 * covered
    np.testing.assert_allclose(results["scores"], expected, rtol=1e-4)


# === Alignments ===


def test_alignments_are_those_of_the_generated_outputs(task):
    results = task.generate(WORDS, return_alignments=True)
    pairs = {"encoder_text": WORDS, "decoder_text": results["outputs"]}
    alignments = task.alignments(pairs)
    steps = min(alignments.shape[1], T - 1)
    assert alignments.shape[2] == 6  # The longest source, with its end token.
    np.testing.assert_allclose(
        alignments[:, :steps], results["alignments"][:, :steps, :6], atol=1e-5
    )


def test_alignments_sum_to_one_for_real_tokens_and_are_zero_elsewhere(task):
    alignments = task.alignments({"encoder_text": ["cat", "hatch"], "decoder_text": ["T", "K AE"]})
    assert alignments.shape == (2, 3, 6)
    np.testing.assert_allclose(alignments.sum(axis=-1), [[1, 1, 0], [1, 1, 1]], rtol=1e-5)
    assert (alignments[0, :, 4:] == 0).all()
    assert (alignments[0, 2] == 0).all()


def test_alignments_take_a_pair_of_lists_too(task):
    pairs = {"encoder_text": ["cat", "hat"], "decoder_text": ["K AE", "T"]}
    np.testing.assert_array_equal(
        task.alignments((["cat", "hat"], ["K AE", "T"])), task.alignments(pairs)
    )


def test_alignments_of_unequal_lists_are_refused(task):
    with pytest.raises(ValueError, match="Received: 2 sources, 1 targets"):
        task.alignments({"encoder_text": ["cat", "hat"], "decoder_text": ["K"]})
    with pytest.raises(ValueError, match="Received: 1 sources, 2 targets"):
        task.alignments({"encoder_text": "cat", "decoder_text": ["K", "T"]})


def test_an_empty_source_is_refused_before_anything_is_computed(task):
    with pytest.raises(ValueError, match="at least one symbol. Received: '' at position 1"):
        task.generate(["cat", ""])
    with pytest.raises(ValueError, match="at least one symbol. Received: '' at position 0"):
        task.alignments({"encoder_text": [""], "decoder_text": ["K"]})


# === Token ids ===


@pytest.fixture(scope="module")
def bare_task(task):
    """The same weights, without a preprocessor."""
    return with_sampler(task, "greedy", preprocessor=None)


def test_without_a_preprocessor_ids_go_in_and_come_out(task, bare_task, greedy):
    inputs = tools.to_numpy(task.preprocessor.generate_preprocess(WORDS))
    with pytest.raises(ValueError, match='Received: stop_token_ids="auto"'):
        bare_task.generate(inputs, return_scores=True)
    results = bare_task.generate(inputs, stop_token_ids=(END,), return_scores=True)
    real = real_of(greedy)
    ids = tools.to_numpy(results["outputs"])
    np.testing.assert_array_equal(ids["decoder_token_ids"][real], greedy[real])
    whole = {**inputs, "decoder_token_ids": greedy, "decoder_padding_mask": real}
    assert bare_task.alignments(whole).shape == (len(WORDS), T - 1, S)


@pytest.mark.parametrize("side, wrong", [("encoder", 8), ("decoder", 10), ("encoder", -1)])
def test_a_token_id_outside_the_vocabulary_is_refused(bare_task, side, wrong):
    inputs = tiny.make_inputs()
    inputs[f"{side}_token_ids"][1, 1] = wrong
    size = {"encoder": 8, "decoder": 10}[side]
    message = f"`{side}_token_ids` must .* in \\[0, {size}\\). Received: {wrong}"
    with pytest.raises(ValueError, match=message):
        bare_task.alignments(inputs)
    with pytest.raises(ValueError, match=message):
        bare_task.generate(inputs, stop_token_ids=(END,))


def test_the_summary_shows_both_tokenizers(task):
    lines = []
    task.summary(print_fn=lines.append)
    text = "\n".join(lines)
    assert "CharacterTokenizer" in text and "SymbolTokenizer" in text
    assert "attention_cell" not in text  # One line a layer, not one a part.


# === Training ===


def make_trainable(**arguments):
    preprocessor = tiny.make_preprocessor()
    task = tiny.make_task(preprocessor, scale=0.3, **arguments)
    task.compile(optimizer=keras.optimizers.Adam(0.03))
    return task


@pytest.fixture(scope="module")
def learner():
    """A task that the tests of training train further, one after the other."""
    return make_trainable()


def assert_learns(learner, *args, epochs=3, **kwargs):
    history = learner.fit(*args, epochs=epochs, verbose=0, **kwargs).history
    assert set(history) == {"loss", "accuracy"}
    assert history["loss"][-1] < history["loss"][0]
    assert np.isfinite(history["loss"]).all()


@pytest.mark.shared("torch")
def test_fit_takes_two_lists_of_strings(learner):
    assert_learns(learner, WORDS, PHONEMES, batch_size=6)


@pytest.mark.shared("torch")
def test_fit_takes_a_dict_of_strings(learner):
    pairs = {"encoder_text": np.array(WORDS), "decoder_text": np.array(PHONEMES)}
    assert_learns(learner, pairs, batch_size=6)


@pytest.mark.shared("torch")
def test_fit_takes_a_dataset_of_strings(learner):
    tf = pytest.importorskip("tensorflow")
    assert_learns(learner, tf.data.Dataset.from_tensor_slices((WORDS, PHONEMES)).batch(6))


@pytest.mark.shared("torch")
def test_pairs_may_have_weights(learner):
    weights = np.array([0.0, 2.0, 0.0, 0.0, 0.0, 0.0])
    weighted = learner.evaluate(WORDS, PHONEMES, sample_weight=weights, batch_size=6, verbose=0)
    alone = learner.evaluate(WORDS[1:2], PHONEMES[1:2], verbose=0)
    np.testing.assert_allclose(weighted, alone, rtol=1e-4)
    history = learner.fit(WORDS, PHONEMES, sample_weight=0 * weights, batch_size=6, verbose=0)
    assert history.history["loss"] == [0.0]


@pytest.mark.shared("torch")
@pytest.mark.parametrize("shuffle", [True, False])
def test_each_epoch_has_another_order_unless_told_otherwise(learner, shuffle, monkeypatch):
    given = {}
    monkeypatch.setattr(keras.Model, "fit", lambda model, x, **kwargs: given.update(x=x))
    learner.fit(WORDS * 5, PHONEMES * 5, batch_size=7, shuffle=shuffle)
    epochs = [
        np.concatenate([tools.to_numpy(x["encoder_token_ids"]) for x, *_ in given["x"]])
        for _ in range(3)
    ]
    expected = tools.to_numpy(learner.preprocessor(WORDS * 5, PHONEMES * 5)[0]["encoder_token_ids"])
    expected = expected[:, :8]  # What these words are padded to.
    moved = [(epoch != expected).any() for epoch in epochs]
    assert all(moved) if shuffle else not any(moved)
    assert (epochs[0] != epochs[1]).any() == shuffle
    for epoch in epochs:
        np.testing.assert_array_equal(np.unique(epoch, axis=0), np.unique(expected, axis=0))


@pytest.mark.shared("torch")
def test_a_part_of_the_pairs_may_validate(learner):
    history = learner.fit(WORDS, PHONEMES, validation_split=0.34, verbose=0).history
    assert set(history) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    pairs = {"encoder_text": WORDS, "decoder_text": PHONEMES}
    found = learner.fit(pairs, validation_data=pairs, verbose=0).history
    assert found["val_loss"] == pytest.approx([learner.evaluate(pairs, verbose=0)[0]], rel=1e-4)


def test_sources_and_targets_must_be_as_many(learner):
    for use in (learner.fit, learner.evaluate):
        with pytest.raises(ValueError, match="^Targets must come .* Received: x of type list, y="):
            use(WORDS)
        with pytest.raises(ValueError, match="as many targets as sources. Received: 6 sources, "):
            use(WORDS, PHONEMES[:1])
        with pytest.raises(ValueError, match="^Sources must be in a list, .* Received: 'cat'"):
            use("cat", "K AE T")
        with pytest.raises(ValueError, match="There must be at least one source. Received: none"):
            use([], [])
        with pytest.raises(ValueError, match="^A source must .* Received: '' at position 1"):
            use(["cat", ""], PHONEMES[:2])


@pytest.mark.shared("torch")
def test_fit_takes_bucketed_batches_of_ids(learner):
    pairs = list(zip(WORDS, PHONEMES, strict=True))
    batches = data.BucketedBatches(pairs, learner.preprocessor, batch_size=6, num_buckets=1)
    assert_learns(learner, batches, shuffle=False)


@pytest.mark.shared("torch")
def test_training_changes_what_is_generated(learner):
    """The compiled generation must not keep the weights it was compiled with."""
    before = learner.generate(WORDS, return_scores=True)["scores"]
    learner.fit(WORDS, PHONEMES, batch_size=6, epochs=1, verbose=0)
    after = learner.generate(WORDS, return_scores=True)["scores"]
    assert np.abs(before - after).max() > 1e-4


@pytest.mark.graph
def test_a_trained_task_says_what_it_learned(learner):
    pairs = list(zip(WORDS, PHONEMES, strict=True))
    batches = data.BucketedBatches(pairs, learner.preprocessor, batch_size=6, num_buckets=1)
    learner.fit(batches, epochs=60, shuffle=False, verbose=0)
    right = [a == b for a, b in zip(learner.generate(WORDS), PHONEMES, strict=True)]
    assert sum(right) >= 5


def test_compile_makes_the_loss_and_the_metrics():
    task = tiny.make_task()
    task.compile(label_smoothing=0.1, sampler="beam")
    assert isinstance(task.loss, training.SmoothedCrossEntropy)
    assert task.loss.smoothing == 0.1
    assert isinstance(task.sampler, samplers.BeamSampler)
    assert isinstance(task.optimizer, keras.optimizers.Adam)
    assert float(task.optimizer.learning_rate) == pytest.approx(1e-3)
    with pytest.raises(ValueError, match="Received: smoothing=1.0"):
        task.compile(label_smoothing=1.0)


def test_evaluate_is_the_smoothed_loss_and_accuracy_of_numpy(learner):
    learner.compile(label_smoothing=0.2)
    x, y, weight = tools.to_numpy(learner.preprocessor(WORDS, PHONEMES))
    inputs = {name: ops.convert_to_tensor(value) for name, value in x.items()}
    log_probs = tiny.log_softmax(tools.to_numpy(tools.compiled(learner.decode)(inputs)[0]))
    size = tiny.TARGET_VOCABULARY
    wanted = 0.8 * np.eye(size)[y] + 0.2 / size
    loss = -((wanted * log_probs).sum(axis=-1) * weight).sum() / weight.sum()
    hits = ((log_probs.argmax(axis=-1) == y) * weight).sum() / weight.sum()
    batches = data.BucketedBatches(
        list(zip(WORDS, PHONEMES, strict=True)), learner.preprocessor, batch_size=6
    )
    for given in ((WORDS, PHONEMES), (batches,)):
        found = learner.evaluate(*given, verbose=0)
        np.testing.assert_allclose(found, [loss, hits], rtol=1e-4)


def test_it_trains_in_mixed_precision():
    task = make_trainable(dtype="mixed_bfloat16")
    before = task.get_weights()
    assert np.isfinite(task.train_on_batch(np.array(WORDS), np.array(PHONEMES))[0])
    changed = [
        np.abs(one - other).max() > 0 for one, other in zip(before, task.get_weights(), strict=True)
    ]
    assert all(changed)
    assert all(v.dtype == "float32" for v in task.trainable_variables)


def test_dropout_is_off_in_generation(task, greedy):
    dropping = tiny.make_task(task.preprocessor, dropout=0.5, recurrent_dropout=0.5)
    no_special_tokens(dropping)
    dropping.compile(sampler="greedy")
    assert dropping.generate(WORDS) == [text_of(task, row) for row in greedy]


def test_a_dict_may_come_without_beginnings(task, greedy):
    assert task.generate({"encoder_text": ["cat"]}) == task.generate(["cat"])


def test_validation_data_of_another_kind_is_refused(learner):
    batches = data.BucketedBatches(
        list(zip(tiny.WORDS, tiny.PHONEMES, strict=True)), learner.preprocessor, batch_size=3
    )
    with pytest.raises(ValueError, match="Received: x of type BucketedBatches, .* of type tuple"):
        learner.fit(batches, validation_data=(tiny.WORDS, tiny.PHONEMES))


def test_labels_are_cut_as_batches_are(task):
    preprocessor = task.preprocessor
    assert len(preprocessor.tokens("c" * 99, "source")) == preprocessor.encoder_sequence_length
    assert len(preprocessor.tokens("K " * 99)) == preprocessor.decoder_sequence_length


@pytest.mark.parametrize("kind", [iter, lambda pairs: (pair for pair in pairs)])
def test_what_is_no_batches_is_refused(learner, kind):
    pairs = kind([(tiny.WORDS, tiny.PHONEMES)])
    message = "must be samples, a `tf.data.Dataset` .* Received: {} of type " + type(pairs).__name__
    for fit in (learner.fit, learner.evaluate):
        with pytest.raises(ValueError, match=message.format("x")):
            fit(pairs)
    with pytest.raises(ValueError, match=message.format("validation_data")):
        learner.fit(tiny.WORDS, tiny.PHONEMES, validation_data=pairs)


def test_there_is_a_weight_for_each_pair(learner):
    message = "as many weights as samples. Received: 6 samples, 2 weights"
    with pytest.raises(ValueError, match=message):
        learner.fit(tiny.WORDS, tiny.PHONEMES, sample_weight=[1.0, 2.0])
    with pytest.raises(ValueError, match=message):
        learner.evaluate(tiny.WORDS, tiny.PHONEMES, sample_weight=np.ones(2))


def test_there_is_a_beginning_for_each_source(task):
    inputs = {"encoder_text": ["cat", "hat"], "decoder_text": ["K", "HH", "K", "HH"]}
    with pytest.raises(ValueError, match="as many targets as sources. Received: 2 sources, 4 targ"):
        task.generate(inputs)
