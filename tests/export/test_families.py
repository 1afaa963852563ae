"""The SavedModels of tasks that read texts: what goes in, what comes out, where it may differ."""

import keras
import keras_hub
import numpy as np
import pytest

from attnzoo import export, models
from attnzoo.export.comparison import compare
from attnzoo.export.specs.families import FAMILIES, make_spec
from tests import tools
from tests.export.consumer import consume
from tests.models import tiny

# Elsewhere a child process does the same: tests/export/test_child.py.
pytestmark = pytest.mark.only("tensorflow")

TEXTS = ["a good film", "", "not bad", "bad " * 13]
# Small, and with the pooling that has something to look at.
SMALL = {"encoder": {"num_layers": 1}}
QUESTIONS = [("film", "a bad, (good) film"), ("bad film at all", "not, a"), ("at", "at")]
CASES = {
    "classifier": (lambda: tiny.make_classifier(num_hops=2), {}),
    "tagger": (tiny.make_spelled_tagger, {}),
    "embedder": (
        lambda: tiny.make_transformer("SentenceEmbedder", **SMALL),
        {"return_alignments": True},
    ),
    "masked_lm": (lambda: tiny.make_transformer("MaskedLM", **SMALL), {"num_candidates": 3}),
    "span_qa": (lambda: tiny.make_transformer("SpanQA", **SMALL), {"max_words": 2}),
    "captioner": (lambda: tiny.make_captioner(scale=0.5), {}),
    "reader": (lambda: make_reader(), {}),
}


def make_reader():
    preprocessor = models.RNNSpanQAPreprocessor(
        tiny.make_text_tokenizer(), sequence_length=11, span_unit="word_parts", no_answer=True
    )
    task = models.RNNSpanQA(tiny.make_encoder(), preprocessor, match_ngrams=2)
    tools.set_weights(task, scale=0.5)
    return task


@pytest.fixture(scope="module")
def tasks():
    return {name: CASES[name][0]() for name in CASES}


@pytest.fixture(scope="module")
def consumed(tasks, tmp_path_factory):
    """What a process with TensorFlow alone gets; `saved_model` has compared its own samples."""
    folder = tmp_path_factory.mktemp("exported")
    feeds = {}
    for name, task in tasks.items():
        export.saved_model(task, folder / name, **CASES[name][1])
        feeds[name] = {"text": TEXTS}
    feeds["masked_lm"] = {"text": ["a [MASK] film", "film", "[MASK][MASK] bad"]}
    contexts = ["é\u00a0not  bad", "", "a film"]
    feeds["span_qa"] = {"question": ["a film", "good", "x " * 13], "context": contexts}
    feeds["captioner"] = {"images": tiny.make_images().tolist()}
    questions = [question for question, _ in QUESTIONS]
    feeds["reader"] = {"question": questions, "context": [context for _, context in QUESTIONS]}
    feeds = {str(folder / name): [given] for name, given in feeds.items()}
    outputs = consume(feeds, folder)["outputs"]
    return {name: outputs[str(folder / name)][0] for name in tasks}


def test_a_classifier_gives_labels_and_where_each_hop_looked(tasks, consumed):
    outputs, task = consumed["classifier"], tasks["classifier"]
    with pytest.warns(UserWarning, match="were cut"):  # The SavedModel cuts in silence.
        live = task.classify(
            [TEXTS[0], *TEXTS[2:]], return_probabilities=True, return_alignments=True
        )
    rows = [0, 2, 3]
    assert outputs["labels"][rows].tolist() == live["labels"]
    assert np.allclose(outputs["probabilities"][rows], live["probabilities"], atol=1e-5)
    assert outputs["alignments"].shape == (4, 2, tiny.S)
    assert np.allclose(outputs["alignments"][rows], live["alignments"], atol=1e-5)
    assert outputs["tokens"][0, :5].tolist() == [*task.preprocessor.tokens(TEXTS[0]), ""]
    assert outputs["token_ids"][1].tolist() == [3] + [0] * (tiny.S - 1)  # Empty: the end alone.


def test_a_tagger_gives_each_word_its_tag(tasks, consumed):
    outputs = consumed["tagger"]
    live = tasks["tagger"].tag([TEXTS[0], TEXTS[2]], return_probabilities=True)
    assert outputs["lengths"].tolist() == [3, 0, 2, tiny.S - 1]
    assert outputs["words"][0, :4].tolist() == ["a", "good", "film", ""]
    for row, labels, probabilities in zip((0, 2), *live.values(), strict=True):
        words = len(labels)
        assert outputs["labels"][row].tolist() == labels + [""] * (tiny.S - 1 - words)
        assert np.allclose(outputs["probabilities"][row, :words], probabilities, atol=1e-5)
        assert not outputs["probabilities"][row, words:].any()


def test_an_embedder_gives_unit_vectors_and_all_alignments_when_asked(tasks, consumed):
    outputs, task = consumed["embedder"], tasks["embedder"]
    texts = [TEXTS[0], TEXTS[2]]
    assert np.allclose(outputs["embeddings"][[0, 2]], task.embed(texts), atol=1e-5)
    assert np.allclose(np.linalg.norm(outputs["embeddings"], axis=1), 1.0, atol=1e-5)
    heads, pooling = outputs["alignments"], outputs["pooling_alignments"]
    assert np.allclose(heads[[0, 2], ..., :4, :4], task.alignments(texts), atol=1e-5)
    assert pooling.shape == (4, 1, tiny.S) and not pooling[0, 0, 4:].any()
    assert np.allclose(pooling.sum(axis=-1), 1.0, atol=1e-5)


def test_a_masked_language_model_gives_candidates_at_its_masks(tasks, consumed):
    outputs = consumed["masked_lm"]
    live = tasks["masked_lm"].fill(
        ["a [MASK] film", "[MASK][MASK] bad"], num_candidates=3, return_probabilities=True
    )
    assert outputs["mask_positions"].tolist() == [[1, -1], [-1, -1], [0, 1]]
    assert outputs["candidates"][0, :1].tolist() == live["tokens"][0]
    assert outputs["candidates"][2].tolist() == live["tokens"][1]
    assert np.allclose(outputs["probabilities"][2], live["probabilities"][1], atol=1e-5)
    assert not outputs["probabilities"][1].any() and (outputs["candidate_ids"][1] == -1).all()
    assert outputs["tokens"][2].tolist() == ["[MASK]", "[MASK]", "bad", "[END]"]


def test_questions_are_answered_in_characters_of_their_contexts(tasks, consumed):
    outputs = consumed["span_qa"]
    live = tasks["span_qa"].answer([("a film", "é\u00a0not  bad")], max_words=2, return_spans=True)
    assert outputs["answers"].tolist() == [*live["answers"], "", ""]
    assert outputs["spans"].tolist() == [list(live["spans"][0]), [0, 0], [0, 0]]
    assert np.isclose(outputs["probabilities"][0], live["probabilities"][0], atol=1e-5)
    assert not outputs["probabilities"][1:].any()  # No context; and a question without room for it.


def test_a_captioner_gives_captions_and_where_each_token_looked(tasks, consumed):
    outputs, task = consumed["captioner"], tasks["captioner"]
    live = task.generate(tiny.make_images(), return_scores=True, return_alignments=True)
    assert outputs["text"].tolist() == live["outputs"]
    assert np.allclose(outputs["scores"], live["scores"], atol=1e-4)
    steps = outputs["alignments"].shape[1]
    assert outputs["alignments"].shape == (6, steps, 4, 3)
    assert np.allclose(outputs["alignments"], live["alignments"][:, :steps], atol=1e-5)


def test_pictures_of_another_size_are_resized_in_the_graph(tasks):
    spec = make_spec(tasks["captioner"])
    images = np.kron(tiny.make_images(2) // 8 * 8, np.ones((1, 2, 2, 1), "uint8"))
    found = spec.pack({"images": images})["images"]
    expected = tasks["captioner"].preprocessor.read_sources(images)[1] / 255.0
    assert np.abs(np.asarray(found) - expected).max() < 1.5 / 255
    with pytest.raises(ValueError, match="`inputs` must be \"images\". Received: inputs='text'"):
        make_spec(tasks["captioner"], "text")


@pytest.mark.parametrize("name", [*(name for name in CASES if name != "captioner"), "numbers"])
def test_ids_go_in_and_what_is_no_text_comes_out(name, tasks):
    import tensorflow as tf

    if name == "numbers":
        numbers = {"class_names": None, "num_classes": 5}
        spec = make_spec(tiny.make_transformer("TokenTagger", **numbers, **SMALL), "ids")
    elif name == "tagger":
        with pytest.raises(ValueError, match='Received: inputs="ids", spelling_dim=7'):
            make_spec(tasks[name], "ids")
        spec = make_spec(tiny.make_transformer("TokenTagger", head="crf", **SMALL), "ids")
    else:
        spec = make_spec(tasks[name], "ids", **CASES[name][1])
    with spec.as_exported():
        verify = spec.sample()
        feeds, live = spec.run_live(verify)
    exported = []
    for rows in (slice(None), slice(1)):
        given = {key: tf.constant(value[rows]) for key, value in feeds.items()}
        outputs = spec.compute(spec.pack(given))
        exported.append({key: tools.to_numpy(value) for key, value in outputs.items()})
    for outputs in exported:
        assert not {"tokens", "words", "candidates", "answers"} & set(outputs)
        if outputs.get("labels", np.array(0)).dtype == object:
            outputs["labels"] = np.vectorize(bytes.decode)(outputs["labels"])
    compare(spec, verify, live, exported)


# === Where the live model cannot tell, rounding may decide ===


def held(spec, live, exported):
    """Whether the SavedModel's one row is taken."""
    row = {name: np.array([value]) for name, value in exported.items()}
    live = {name: np.array([value]) for name, value in live.items()}
    try:
        compare(spec, ["cat"], live, (row, row))
    except RuntimeError:
        return False
    return True


def test_of_two_labels_as_probable_either_is_right(tasks):
    spec = make_spec(tasks["classifier"], "text")
    live = {"labels": "negative", "probabilities": [0.4501, 0.45, 0.0999]}
    other = {"labels": "neutral", "probabilities": [0.45, 0.4501, 0.0999]}
    assert held(spec, live, other)
    assert not held(spec, live, {**live, "labels": "neutral"})
    assert not held(spec, live, {**other, "probabilities": [0.25, 0.6501, 0.0999]})


def test_of_two_candidates_as_probable_either_is_right():
    task = tiny.make_transformer("MaskedLM", **SMALL)
    spec = make_spec(task, "text", num_candidates=1)
    found = np.zeros((1, len(spec.known)))
    found[0, :3] = 0.5, 0.4999, 0.0001
    live = {"candidate_ids": [[spec.known[0]]], "probabilities": [[0.5]], "found": found}
    for place, right in enumerate((True, True, False)):
        exported = {"candidate_ids": [[spec.known[place]]], "probabilities": [[0.5]]}
        assert held(spec, live, exported) == right


def test_of_two_answers_as_probable_either_is_right():
    spec = make_spec(tiny.make_transformer("SpanQA", **SMALL), "text")
    chances = np.array([[0.5, 0.0], [0.0, 0.4999]])
    live = {
        "spans": [0, 1],
        "probabilities": 0.5,
        "chances": chances,
        "edges": [[0, 1], [2, 3]],
        "pair": ["q", "a b"],
    }
    assert held(spec, live, {"spans": [2, 3], "answers": "b", "probabilities": 0.4999})
    assert not held(spec, live, {"spans": [2, 3], "answers": "a", "probabilities": 0.4999})
    assert not held(spec, live, {"spans": [0, 3], "answers": "a b", "probabilities": 0.5})


def test_a_reader_may_find_no_answer(tasks, consumed):
    live = tasks["reader"].answer(QUESTIONS, return_spans=True)
    found = consumed["reader"]
    assert found["answers"].tolist() == live["answers"]
    assert found["spans"].tolist() == [list(span) for span in live["spans"]]
    np.testing.assert_allclose(found["probabilities"], live["probabilities"], atol=1e-5)
    assert {span == (0, 0) for span in live["spans"]} == {True, False}


def test_windows_are_not_exported(tmp_path):
    task = make_reader()
    task.preprocessor.stride = 3
    with pytest.raises(ValueError, match="does not split them into windows: .* stride=3"):
        export.saved_model(task, tmp_path / "model")


# === Bad input ===


def test_every_task_has_a_family():
    tasks = [getattr(models, name) for name in models.__all__]
    tasks = [task for task in tasks if issubclass(task, keras_hub.models.Task)]
    without = {"AttentionResNetImageClassifier", "BoTNetImageClassifier", "HATSuperResolution"}
    assert len(tasks) == 11 + len(without)
    for task in tasks:
        families = [family for family in FAMILIES if issubclass(task, family.task_cls)]
        assert (not families) == (task.__name__ in without)
        # The first is taken: no other one may be for a narrower class.
        assert all(issubclass(families[0].task_cls, family.task_cls) for family in families)


def test_a_preprocessor_that_takes_no_sample_needs_some(tmp_path):
    task = tiny.make_transformer("SpanQA", **SMALL)
    task.preprocessor.sequence_length = 3  # No room for a context.
    with pytest.raises(ValueError, match="pass inputs as `verify`. Received: verify=None"):
        export.saved_model(task, tmp_path / "model")


def test_samples_are_not_longer_than_a_preprocessor_takes(tasks):
    task = tasks["classifier"]
    spec = make_spec(task, "text")
    lengths = [len(text.split()) for text in spec.sample()]
    task.preprocessor.truncate = "error"
    kept = [len(text.split()) for text in spec.sample()]
    task.preprocessor.truncate = "warn"
    assert max(lengths) > tiny.S and kept == [n for n in lengths if n < tiny.S]


def test_an_option_of_another_family_is_named(tasks, tmp_path):
    with pytest.raises(ValueError, match=r"\['return_alignments'\]. Received: {'sampler': 'beam'}"):
        export.saved_model(tasks["classifier"], tmp_path / "model", sampler="beam")


def test_heads_that_are_not_there_cannot_be_shown(tasks, tmp_path):
    with pytest.raises(ValueError, match="return_alignments=True for RNNTextClassifier"):
        export.saved_model(tasks["classifier"], tmp_path / "model", return_alignments=True)


@pytest.mark.parametrize(
    "name, options, message",
    [
        ("MaskedLM", {"num_candidates": 0}, "Received: num_candidates=0"),
        ("SpanQA", {"max_words": 0}, "Received: max_words=0"),
    ],
)
def test_a_number_out_of_range_is_named(name, options, message, tmp_path):
    task = tiny.make_transformer(name, **SMALL)
    with pytest.raises(ValueError, match=message):
        export.saved_model(task, tmp_path / "model", **options)


def test_a_masked_language_model_needs_its_preprocessor(tmp_path):
    task = tiny.make_transformer("MaskedLM", None, **SMALL)
    with pytest.raises(ValueError, match="mask token. Received: preprocessor=None"):
        export.saved_model(task, tmp_path / "model", inputs="ids")


class _PythonOnly(models.RNNTextClassifierPreprocessor):
    """Does what no graph can."""

    def tokenize(self, texts):
        return [[len(str(text.numpy()))] for text in texts]


def test_what_cannot_be_traced_is_told_with_the_way_out(monkeypatch, tmp_path):
    task = tiny.make_classifier(_PythonOnly(tiny.make_text_tokenizer(), sequence_length=tiny.S))
    spec = make_spec(task, "text")
    with pytest.raises(ValueError, match='(?s)pass `inputs="ids"`.*preprocessor=_PythonOnly'):
        export.graph.write_graph(spec, str(tmp_path / "model"))
    # Keras leaves the layer's name scope open where a trace fails: later weights would be in it.
    keras.utils.clear_session()
