"""A pointer-generator in a whole model: what it learns, how it decodes, how it is kept."""

import keras
import numpy as np
import pytest
from keras import ops

from attnzoo import data, export, layers, models, samplers, training
from tests import tools
from tests.models import tiny

pytestmark = pytest.mark.shared("torch")

SPECIAL = ["[PAD]", "[UNK]", "[START]", "[END]"]
MARKS = ["x", "y", "z"]
V = len(SPECIAL) + len(MARKS)
S, T = 7, 8  # Longest source and target, in tokens.


def make_pairs(prefix: str, count: int, seed: int):
    """Marks in some order, each with a name behind it; the target has them in alphabetical order.

    "y bo x al" becomes "x al y bo".
    """
    draw = np.random.default_rng(seed)
    pairs = []
    for _ in range(count):
        marks = draw.permutation(MARKS)[: draw.integers(1, 4)].tolist()
        names = {mark: f"{prefix}{draw.integers(0, 200)}" for mark in marks}
        source, target = (
            [word for mark in order for word in (mark, names[mark])]
            for order in (marks, sorted(marks))
        )
        pairs.append((" ".join(source), " ".join(target)))
    return pairs


SEEN, NEW = make_pairs("seen", 256, seed=0), make_pairs("new", 32, seed=1)
SOURCES, TARGETS = (list(texts) for texts in zip(*NEW, strict=True))


def make_preprocessor(vocabulary=MARKS, **arguments):
    arguments = {"encoder_sequence_length": S, "decoder_sequence_length": T, **arguments}
    return models.RNNSeq2SeqLMPreprocessor(
        data.SymbolTokenizer([*SPECIAL, *MARKS]),
        data.SymbolTokenizer([*SPECIAL, *vocabulary]),
        **{"pointer_generator": True, **arguments},
    )


def make_task(preprocessor=None, *, scale=0.5, **arguments):
    preprocessor = preprocessor or make_preprocessor()
    backbone = models.RNNSeq2SeqBackbone(
        V,
        preprocessor.tokenizer.vocabulary_size(),
        **{
            "embedding_dim": 8,
            "hidden_dim": 16,
            "cell": "gru",
            "attention": "luong",
            "pointer_generator": True,
            **arguments,
        },
    )
    task = models.RNNSeq2SeqLM(backbone, preprocessor)
    if scale:
        tools.set_weights(task, scale=scale)
    return task


def batches_of(pairs, preprocessor, **arguments):
    return data.BucketedBatches(
        pairs, preprocessor, **{"batch_size": 32, "num_buckets": 1, **arguments}
    )


def trained(epochs=16, **arguments):
    keras.utils.set_random_seed(0)
    task = make_task(scale=None, **arguments)
    task.compile(optimizer=keras.optimizers.Adam(0.01))
    task.fit(batches_of(SEEN, task.preprocessor), epochs=epochs, verbose=0)
    return task


@pytest.fixture(scope="module")
def task():
    """One task that has learned to sort; nobody changes its weights."""
    return trained()


def right(outputs, targets=TARGETS):
    return np.mean([one == other for one, other in zip(outputs, targets, strict=True)])


def with_sampler(task, sampler, preprocessor="its own"):
    """Another task of the same weights."""
    preprocessor = task.preprocessor if preprocessor == "its own" else preprocessor
    other = models.RNNSeq2SeqLM(task.backbone, preprocessor)
    other.output_layer.set_weights(task.output_layer.get_weights())
    other.compile(sampler=sampler)
    return other


# === What a plain model cannot do ===


def test_it_copies_symbols_that_nobody_has_seen(task):
    assert not {word for text in SOURCES for word in text.split()} & {
        word for pair in SEEN for text in pair for word in text.split()
    } - set(MARKS)
    assert right(task.generate(SOURCES)) >= 0.9


def test_a_plain_model_cannot():
    names = sorted({word for _, text in SEEN for word in text.split()} - set(MARKS))
    preprocessor = make_preprocessor([*MARKS, *names], pointer_generator=False)
    plain = trained(preprocessor=preprocessor, pointer_generator=False, epochs=4)
    assert right(plain.generate(SOURCES)) == 0.0


# === Generation ===


def test_one_string_and_company_change_nothing(task):
    outputs = task.generate(SOURCES)
    assert task.generate(SOURCES[0]) == outputs[0]
    assert task.generate([SOURCES[3]]) == outputs[3:4]
    assert task.generate({"encoder_text": SOURCES[:2]}) == outputs[:2]
    assert task.generate(np.array(SOURCES[:2])) == outputs[:2]


def test_a_beginning_may_be_copied_too(task):
    inputs = {"encoder_text": ["y bo x al z cy"] * 3, "decoder_text": ["y bo", "al al", "x no"]}
    outputs = task.generate(dict(inputs))
    assert outputs[0].startswith("y bo ") and outputs[1].startswith("al al ")
    assert outputs[2].startswith("x [UNK] ")  # Neither known nor in the source.
    stripped = task.generate(dict(inputs), strip_prompt=True)
    shown = ["y bo", "al al", "x [UNK]"]
    assert [f"{one} {other}" for one, other in zip(shown, stripped, strict=True)] == outputs
    one = {"encoder_text": "y bo x al z cy", "decoder_text": "y bo"}
    assert task.generate(one) == outputs[0]


def test_the_length_may_be_chosen(task):
    assert task.generate(["y bo x al"], max_length=3) == ["x al"]


def test_a_long_source_is_cut_and_what_is_cut_off_is_not_copied(task):
    source = "y bo x al z cy x do"
    assert right(task.generate([source], max_length=S + 1), ["x al y bo z cy"]) == 1.0
    _, y, _ = tools.to_numpy(task.preprocessor([source], ["do cy"]))
    assert y[0].tolist() == [1, V + 5, tiny.END, *[0] * 5]


def test_scores_are_those_of_a_replay_and_alignments_point_at_what_is_copied(task):
    results = task.generate(SOURCES, return_scores=True, return_alignments=True)
    single = with_sampler(task, samplers.BeamSampler(num_beams=1))
    beside = single.generate(SOURCES, return_scores=True)
    assert beside["outputs"] == results["outputs"]
    tools.assert_close(beside["scores"], results["scores"], tolerance=1e-4)
    looked = results["alignments"].argmax(axis=-1)
    hits = [
        place == source.split().index(word)
        for source, output, row in zip(SOURCES, results["outputs"], looked, strict=True)
        for word, place in zip(output.split(), row, strict=False)
        if word not in MARKS
    ]
    assert np.mean(hits) > 0.9
    replayed = task.alignments({"encoder_text": SOURCES, "decoder_text": results["outputs"]})
    tools.assert_close(
        replayed, results["alignments"][:, : replayed.shape[1], : replayed.shape[2]], 1e-4
    )


def test_a_beam_copies_too(task):
    beams = with_sampler(task, samplers.BeamSampler(num_beams=5, num_hypotheses=3))
    results = beams.generate(SOURCES, return_scores=True)
    assert right([outputs[0] for outputs in results["outputs"]]) >= 0.9
    assert all(len(outputs) == 3 for outputs in results["outputs"])
    assert (np.diff(results["scores"], axis=1) <= 0).all()
    assert beams.generate(SOURCES) == results["outputs"]
    assert beams.generate(SOURCES[0]) == results["outputs"][0]


def test_ids_go_in_and_out_without_a_preprocessor(task):
    bare = with_sampler(task, "greedy", preprocessor=None)
    inputs = tools.to_numpy(task.preprocessor.generate_preprocess(["y bo x al"]))
    outputs = bare.generate(inputs, stop_token_ids=(tiny.END,), return_alignments=True)
    ids = tools.to_numpy(outputs["outputs"]["decoder_token_ids"])
    assert ids[0, :6].tolist() == [tiny.START, 4, V + 3, 5, V + 1, tiny.END]
    size = V + inputs["encoder_token_ids"].shape[1]
    for name in ("decoder_token_ids", "copy_token_ids"):
        wrong = {**inputs, name: np.full_like(inputs[name], size)}
        with pytest.raises(ValueError, match=f"`{name}` must .* {size}\\). Received: {size}"):
            bare.alignments(wrong)


# === Preprocessing ===


def test_what_is_not_in_the_vocabulary_goes_by_its_place():
    preprocessor = make_preprocessor()
    x, y, weight = tools.to_numpy(preprocessor(["x bo y bo", "al z"], ["bo y no", "z al"]))
    assert x["copy_token_ids"].tolist() == [
        [4, V + 1, 5, V + 1, tiny.END, 0, 0],
        [V, 6, tiny.END, 0, 0, 0, 0],
    ]
    assert y.tolist() == [[V + 1, 5, 1, tiny.END, 0, 0, 0, 0], [6, V, tiny.END, *[0] * 5]]
    np.testing.assert_array_equal(x["decoder_token_ids"][:, 1:], y[:, :-1])
    assert x["copy_token_ids"].dtype == y.dtype == "int32"
    one = tools.to_numpy(preprocessor("x bo y bo", "bo y no"))
    assert one[0]["copy_token_ids"].tolist() == x["copy_token_ids"][0].tolist()
    assert one[1].tolist() == y[0].tolist()


def test_labels_are_the_symbols_themselves():
    tokens = make_preprocessor().tokens
    assert tokens("y bo", "source") == ["y", "bo", "[END]"]
    assert tokens("x " * 9) == ["x"] * (T - 1) + ["[END]"]


def test_the_source_s_end_is_the_target_s_end_and_case_is_the_target_s():
    preprocessor = models.RNNSeq2SeqLMPreprocessor(
        data.CharacterTokenizer.from_texts(["ab"]),
        data.CharacterTokenizer.from_texts(["a"], lowercase=True),
        encoder_sequence_length=4,
        decoder_sequence_length=4,
        pointer_generator=True,
    )
    x, y, _ = tools.to_numpy(preprocessor(["AéÉ"], ["aÉ"]))
    assert x["copy_token_ids"].tolist() == [[4, 6, 6, tiny.END]]
    assert y.tolist() == [[4, 6, tiny.END, 0]]


@pytest.mark.parametrize("lowercase", [False, True])
def test_strings_batches_and_pipelines_give_the_same(lowercase):
    tf = pytest.importorskip("tensorflow")
    preprocessor = make_preprocessor()
    preprocessor.tokenizer.lowercase = lowercase
    sources = ["x Bo y bo", "Al z", "y bo x al z cy x do"]
    targets = ["bo y no", "z al", "x al y bo z cy x do do"]

    def shown(batch):
        inputs, following, real = tools.to_numpy(batch)
        # An end token that nothing follows stands in some, and is masked in all.
        ids = inputs["decoder_token_ids"] * inputs["decoder_padding_mask"]
        return {**inputs, "decoder_token_ids": ids}, following, real

    expected = shown(preprocessor(sources, targets))
    dataset = tf.data.Dataset.from_tensor_slices((sources, targets))
    mapped = next(iter(dataset.batch(3).map(preprocessor)))
    singly = next(iter(dataset.map(preprocessor).batch(3)))
    with pytest.warns(UserWarning, match="1 of 3 pairs were truncated"):
        batches = batches_of(
            zip(sources, targets, strict=True), preprocessor, batch_size=3, shuffle=False
        )
    for found in (mapped, singly, batches[0]):
        keras.tree.assert_same_structure(found, expected)
        keras.tree.map_structure(np.testing.assert_array_equal, shown(found), expected)


def test_fit_on_strings_is_fit_on_batches_of_ids():
    weights, losses = [], []
    for strings in (True, False):
        task = make_task()
        task.compile(optimizer=keras.optimizers.SGD(0.1))
        pairs = SEEN[:32]
        given = (
            tuple(list(texts) for texts in zip(*pairs, strict=True))
            if strings
            else (batches_of(pairs, task.preprocessor, batch_size=32),)
        )
        history = task.fit(*given, epochs=2, shuffle=False, verbose=0).history
        losses.append(history["loss"])
        assert set(history) == {"loss", "accuracy"}
        weights.append(task.get_weights())
    np.testing.assert_allclose(*losses, rtol=1e-4)
    tools.assert_close(*weights, tolerance=1e-4)


# === The model ===


def make_inputs(**arguments):
    inputs = tiny.make_inputs(**arguments)
    size, draw = tiny.TARGET_VOCABULARY, np.random.default_rng(5)
    copies = draw.integers(size - 2, size + 3, size=(2, 13))[
        :, : len(inputs["encoder_token_ids"][0])
    ]
    inputs["copy_token_ids"] = (copies * inputs["encoder_padding_mask"]).astype("int32")
    inputs["decoder_token_ids"][0, 2] = size + 1  # A symbol of the source.
    return {name: ops.convert_to_tensor(value) for name, value in inputs.items()}


CONFIGURATIONS = {
    "bahdanau": {},
    "luong": {"attention": "luong", "input_feeding": False, "num_decoder_layers": 2},
    "monotonic": {"attention": "monotonic", "cell": "gru"},
    "coverage": {"attention": "coverage"},
    "local_predictive": {"attention": "local_predictive"},
    "hard": {"attention": "hard", "cell": "gru"},
}


@pytest.mark.everywhere
@pytest.mark.parametrize("name", ["bahdanau"])
def test_it_is_one_model_on_every_backend(name):
    assert_stepwise_is_teacher_forced(name)


@pytest.mark.rotates
@pytest.mark.parametrize("name", sorted(set(CONFIGURATIONS) - {"bahdanau"}))
def test_step_by_step_it_is_the_teacher_forced_model(name):
    assert_stepwise_is_teacher_forced(name)


def assert_stepwise_is_teacher_forced(name):
    task = tiny.make_task(pointer_generator=True, **CONFIGURATIONS[name])

    def run(inputs):
        next, cache = task.make_next(inputs, True)
        steps = []
        for index in range(1, 4):
            logits, _, cache = next(inputs["decoder_token_ids"], cache, index)
            steps.append((logits, cache["alignments"]))
        stepwise = tuple(ops.stack(parts, axis=1) for parts in zip(*steps, strict=True))
        return task.decode(inputs), stepwise, task(inputs)

    whole, stepwise, logits = tools.compiled(run)(make_inputs())
    assert tuple(whole[0].shape) == (2, 3, tiny.TARGET_VOCABULARY + 5)
    tools.assert_close(stepwise, whole, tolerance=5e-5)
    tools.assert_close(logits, whole[0])
    np.testing.assert_allclose(np.exp(tools.to_numpy(logits)).sum(axis=-1), 1.0, rtol=1e-5)


def test_a_copied_symbol_enters_as_the_unknown_token():
    task = tiny.make_task(pointer_generator=True)
    inputs, run = make_inputs(), tools.compiled(lambda inputs: task(inputs))
    ids = tools.to_numpy(inputs["decoder_token_ids"])
    assert ids[0, 2] > tiny.TARGET_VOCABULARY
    unknown = ops.convert_to_tensor(np.where(ids < tiny.TARGET_VOCABULARY, ids, 1))
    tools.assert_close(run({**inputs, "decoder_token_ids": unknown}), run(inputs), 1e-6)


def test_more_padding_changes_nothing():
    task = tiny.make_task(pointer_generator=True)
    run = tools.compiled(lambda *inputs: [task(one) for one in inputs])
    logits, more = tools.to_numpy(run(make_inputs(), make_inputs(places=11, steps=7)))
    for row, steps in enumerate((3, 2)):
        np.testing.assert_allclose(
            more[row, :steps, : logits.shape[-1]], logits[row, :steps], rtol=1e-4
        )
        np.testing.assert_allclose(more[row, :steps, logits.shape[-1] :], np.log(1e-37), rtol=1e-5)


@pytest.mark.parametrize("name", ["monotonic", "coverage", "hard"])
def test_it_trains_and_decodes_with_other_attentions(name):
    task = make_task(dropout=0.1, **{"cell": "lstm", **CONFIGURATIONS[name]})
    task.compile(
        optimizer=keras.optimizers.Adam(0.01),
        sampler=samplers.BeamSampler(num_beams=2, coverage_penalty=0.1),
    )
    history = task.fit(batches_of(SEEN[:64], task.preprocessor), epochs=1, verbose=0).history
    assert np.isfinite(history["loss"]).all() and history["loss"][0] < 50
    for weight in task.trainable_weights:
        assert np.isfinite(tools.to_numpy(weight.value)).all(), weight.path
    assert len(task.generate(SOURCES[:3])) == 3


@pytest.mark.graph
@pytest.mark.shared("tensorflow")
def test_it_samples_its_own_tokens_in_training_and_with_every_sampler(task):
    learner = make_task()
    learner.compile(optimizer=keras.optimizers.Adam(0.01), sampling_probability=0.5)
    # Of two shapes: on TensorFlow no size is then known while the step is traced.
    batches = batches_of(SEEN[:64], learner.preprocessor, num_buckets=2)
    assert len(batches.buckets) == 2
    history = learner.fit(batches, epochs=1, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert len(with_sampler(task, "random").generate(SOURCES[:2])) == 2


def test_half_precision_trains_and_says_nearly_the_same():
    inputs = make_inputs()
    whole = tiny.make_task(pointer_generator=True)
    half = tiny.make_task(pointer_generator=True, dtype="mixed_bfloat16")
    expected, found = tools.compiled(lambda inputs: (whole(inputs), half(inputs)))(inputs)
    assert keras.backend.standardize_dtype(found.dtype) == "bfloat16"
    expected, found = (np.exp(tools.to_numpy(one)) for one in (expected, found))
    np.testing.assert_allclose(found, expected, atol=0.05)
    learner = make_task(dtype="mixed_bfloat16")
    learner.compile(optimizer=keras.optimizers.Adam(0.01))
    before = learner.get_weights()
    learner.fit(batches_of(SEEN[:32], learner.preprocessor), epochs=1, verbose=0)
    for new, old in zip(learner.get_weights(), before, strict=True):
        assert np.isfinite(new).all() and np.any(new != old)


# === Keeping it ===


def test_files_and_presets_keep_it(task, tmp_path):
    expected = task.generate(SOURCES)
    task.save(tmp_path / "task.keras")
    task.save_to_preset(str(tmp_path / "preset"))
    for again in (
        keras.saving.load_model(tmp_path / "task.keras"),
        models.RNNSeq2SeqLM.from_preset(str(tmp_path / "preset")),
    ):
        assert type(again.output_layer) is layers.PointerGenerator
        assert again.preprocessor.pointer_generator
        assert again.generate(SOURCES) == expected


@pytest.mark.shared("tensorflow")
@pytest.mark.parametrize("sampler", ["greedy", samplers.BeamSampler(3, num_hypotheses=2)])
def test_it_is_exported(task, sampler, tmp_path):
    path = str(tmp_path / "model")
    # It compares what the graph gives with what the model gives, scores and alignments too.
    export.saved_model(task, path, sampler=sampler, verify=[*SOURCES[:3], "y [UNK] x é"])
    tf = pytest.importorskip("tensorflow")
    generate = tf.saved_model.load(path).signatures["serving_default"]
    outputs = generate(text=tf.constant(["y bo x al", "", "z é", "y bo x al z cy x do"]))
    texts = np.vectorize(bytes.decode)(outputs["text"].numpy())
    best = texts if sampler == "greedy" else texts[:, 0]
    assert best[[0, 2, 3]].tolist() == ["x al y bo", "z é", "x al y bo z cy"]


def test_texts_that_an_export_is_compared_on_have_what_must_be_copied(task):
    from attnzoo.export.specs.families import make_spec

    assert any("[UNK]" in text.split() for text in make_spec(task, "text").sample())


# === What it cannot go with ===


def word_piece():
    import keras_hub

    return keras_hub.tokenizers.WordPieceTokenizer(vocabulary=[*SPECIAL, "a"])


@pytest.mark.parametrize(
    ("arguments", "received"),
    [
        ({"tie_embeddings": True}, "pointer_generator=True with tie_embeddings=True"),
        ({"attention": "hard_exact"}, "tie_embeddings=False, attention='hard_exact'"),
    ],
)
def test_another_output_layer_is_refused(arguments, received):
    with pytest.raises(ValueError, match=f"use `tie_embeddings=False` .* Received: .*{received}"):
        tiny.make_task(pointer_generator=True, **arguments)


@pytest.mark.parametrize("side", ["source_tokenizer", "tokenizer"])
def test_a_tokenizer_that_knows_no_symbols_is_refused(side):
    tokenizers = {"source_tokenizer": data.SymbolTokenizer([*SPECIAL]), "tokenizer": None}
    tokenizers["tokenizer"] = data.SymbolTokenizer([*SPECIAL, "a"])
    tokenizers[side] = word_piece()
    with pytest.raises(ValueError, match=f"`{side}` must be .* Received: {side}=<WordPiece"):
        models.RNNSeq2SeqLMPreprocessor(**tokenizers, pointer_generator=True)


@pytest.mark.parametrize("points", [True, False])
def test_backbone_and_preprocessor_must_agree(points):
    message = f"Received: pointer_generator={points} in the backbone, .*={not points} in the pre"
    with pytest.raises(ValueError, match=message):
        make_task(make_preprocessor(pointer_generator=not points), pointer_generator=points)


def test_backbone_and_preprocessor_must_agree_on_the_vocabulary():
    backbone = models.RNNSeq2SeqBackbone(V, V + 1, hidden_dim=2, pointer_generator=True)
    with pytest.raises(ValueError, match=f"tokenizer, {V}. Received: target_.*={V + 1}"):
        models.RNNSeq2SeqLM(backbone, make_preprocessor())


@pytest.mark.parametrize(
    "arguments", [{"label_smoothing": 0.1}, {"loss": training.SmoothedCrossEntropy(0.1)}]
)
def test_smoothed_labels_are_refused(task, arguments):
    with pytest.raises(ValueError, match="`label_smoothing=0`. Received: label_smoothing=0.1"):
        task.compile(**arguments)


def test_text_of_ids_needs_the_sources(task):
    ids = {"decoder_token_ids": np.array([[V]]), "decoder_padding_mask": np.array([[True]])}
    with pytest.raises(ValueError, match="Received: encoder_text=None"):
        task.preprocessor.generate_postprocess(ids)
    assert task.preprocessor.generate_postprocess({**ids, "encoder_text": ["al"]}) == ["al"]


def test_an_export_of_ids_is_refused(task, tmp_path):
    with pytest.raises(ValueError, match='use `inputs="text"`. Received: inputs="ids"'):
        export.saved_model(task, tmp_path / "model", inputs="ids")
