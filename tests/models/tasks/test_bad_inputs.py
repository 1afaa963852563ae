"""Nothing, holes and the wrong kind: every method that answers says the same, and at once."""

import numpy as np
import pytest

from tests.models import tiny

pytestmark = pytest.mark.backend_free

GOOD = ["cat", "hat", "that"]
TEXTS = ["good", "a film", "a [MASK]"]
IDS = {"token_ids": np.ones((2, 3), "int32")}

# What is at position 2, and the beginning of what is said about it.
HOLES = [
    (None, "A {} must be a string that can be written as UTF-8. Received: None at position 2"),
    (float("nan"), "A {} must be a string that can be written as UTF-8. Received: nan at "),
    (3, "A {} must be a string that can be written as UTF-8. Received: 3 at position 2"),
    ("a\udc80", "A {} must be a string that can be written as UTF-8. Received: 'a\\udc80' at "),
    (["a"], "A {} must be a string that can be written as UTF-8. Received: ['a'] at position 2"),
]
WHOLES = [
    ([], "There must be at least one {}. Received: none"),
    (None, "{}s must be in a list, one or more. Received: None"),
    (3, "{}s must be in a list, one or more. Received: 3"),
    (
        np.ones((2, 3), "int32"),
        "A {} must be a string that can be written as UTF-8. Received: [1, ",
    ),
]
BLANK = (" ", "A {} must have at least one symbol. Received: ' ' at position 2")


def make_seq2seq():
    return tiny.make_task(tiny.make_preprocessor())


def make_transformer(name):
    return lambda: tiny.make_transformer(name)


def both(x, y):
    return {"encoder_text": x, "decoder_text": y}


def pairs(questions, contexts):
    return list(zip(questions, contexts, strict=True))


# Of each task: what is given to its methods, by the name that it has in a message.
USES = {
    "seq2seq": (
        make_seq2seq,
        GOOD,
        {
            "source": [
                lambda task, x: task.generate(x),
                lambda task, x: task.generate(x, return_scores=True, return_alignments=True),
                lambda task, x: task.generate({"encoder_text": x}),
                lambda task, x: task.alignments((x, GOOD)),
                lambda task, x: task.predict(both(x, GOOD)),
            ],
            "target": [
                lambda task, x: task.generate(both(GOOD, x)),
                lambda task, x: task.alignments((GOOD, x)),
                lambda task, x: task.predict(both(GOOD, x)),
            ],
        },
    ),
    "classifier": (
        tiny.make_classifier,
        TEXTS,
        {
            "text": [
                lambda task, x: task.classify(x),
                lambda task, x: task.classify(x, return_probabilities=True),
                lambda task, x: task.alignments(x),
                lambda task, x: task.saliency(x),
                lambda task, x: task.saliency(x, class_name="neutral"),
                lambda task, x: task.predict(x),
            ]
        },
    ),
    "Transformer classifier": (
        make_transformer("TextClassifier"),
        TEXTS,
        {
            "text": [
                lambda task, x: task.head_alignments(x),
                lambda task, x: task.pooling_alignments(x),
            ]
        },
    ),
    "tagger": (
        tiny.make_tagger,
        TEXTS,
        {"text": [lambda task, x: task.tag(x), lambda task, x: task.predict(x)]},
    ),
    "masked language model": (
        make_transformer("MaskedLM"),
        TEXTS,
        {"text": [lambda task, x: task.fill(x), lambda task, x: task.head_alignments(x)]},
    ),
    "embedder": (
        make_transformer("SentenceEmbedder"),
        TEXTS,
        {
            "text": [
                lambda task, x: task.embed(x),
                lambda task, x: task.similarity(x, TEXTS),
                lambda task, x: task.predict(x),
            ]
        },
    ),
}


@pytest.mark.parametrize("name", USES)
def test_what_is_no_text_is_told_in_the_same_words_by_every_method(name):
    make, good, sides = USES[name]
    task = make()
    for side, methods in sides.items():
        for method in methods:
            for hole, message in [*HOLES, *([BLANK] if side != "target" else [])]:
                assert_says(message.format(side), method, task, [*good[:2], hole])
            for whole, message in WHOLES:
                if side == "target" and whole is None:  # Then there are no targets.
                    continue
                kind = side.capitalize() if message.startswith("{}") else side
                assert_says(message.format(kind), method, task, whole)
    assert not task.compiled_methods._kept[1]  # Before anything is compiled.


def test_questions_and_contexts_are_told_apart():
    task = tiny.make_transformer("SpanQA")
    methods = [task.answer, task.head_alignments, task.predict]
    for method in methods:
        for hole, message in [*HOLES, BLANK]:
            texts = [*TEXTS[:2], hole]
            assert_says(message.format("question"), None, method, pairs(texts, TEXTS))
            assert_says(message.format("context"), None, method, pairs(TEXTS, texts))
        assert_says("There must be at least one pair. Received: none", None, method, [])
        assert_says("Pairs of strings, (question, context), must be ", None, method, None)
        assert_says("Questions must be pairs of strings, ", None, method, ["ab"])


def test_alignments_are_of_pairs_and_predictions_of_targets():
    task = make_seq2seq()
    for given in (None, "cat", ["cat"], {"encoder_text": GOOD}, (GOOD, None)):
        assert_says("Alignments are of sources and their targets: ", None, task.alignments, given)
    for given in (None, GOOD, "cat", {"encoder_text": GOOD}):
        assert_says("`predict` gives the logits of known targets: ", None, task.predict, given)
    message = "With a preprocessor a task reads raw sources: "
    assert_says(message, None, task.generate, tiny.make_inputs())
    message = "There must be as many targets as sources. Received: 3 sources, 1 targets"
    assert_says(message, None, task.generate, both(GOOD, ["a"]))
    assert_says(message, None, task.alignments, (GOOD, ["a"]))


@pytest.mark.parametrize("given", [None, TEXTS, 3, IDS, {}])
def test_without_a_preprocessor_ids_are_needed(given):
    message = "Without a preprocessor a task reads token ids and masks, a dict of arrays: "
    classifier = tiny.make_classifier(None)
    for method in (classifier.classify, classifier.alignments, classifier.saliency):
        assert_says(message, None, method, given)
    assert_says(message, None, classifier.predict, given)
    assert_says(message, None, tiny.make_tagger(None).tag, given)
    seq2seq = tiny.make_task()
    assert_says(message, None, lambda x: seq2seq.generate(x, stop_token_ids=None), given)
    assert_says(message, None, seq2seq.alignments, given)
    assert_says(message, None, seq2seq.predict, given)


def test_rows_of_ids_are_needed_for_a_batch():
    seq2seq, inputs = tiny.make_task(), tiny.make_inputs()

    def generate(given):
        return seq2seq.generate(given, stop_token_ids=None)

    first = {name: rows[0] for name, rows in inputs.items()}
    none = {name: rows[:0] for name, rows in inputs.items()}
    fewer = {**inputs, "decoder_token_ids": inputs["decoder_token_ids"][:1]}
    for method in (generate, seq2seq.alignments, seq2seq.predict):
        assert_says("`encoder_token_ids` must be an array of numbers, [B, S]", None, method, first)
        assert_says("There must be at least one text. Received: none", None, method, none)
        assert_says("All inputs must have as many rows. Received: ", None, method, fewer)


def assert_says(message, method, task, given):
    with pytest.raises(ValueError) as error:
        task(given) if method is None else method(task, given)
    assert str(error.value).startswith(message), (message, str(error.value))
