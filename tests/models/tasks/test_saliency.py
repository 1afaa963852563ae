"""Gradient times input: by hand where it is easy, by differences through whole models."""

import numpy as np
import pytest
from keras import ops

from attnzoo import models
from attnzoo.models.tasks.saliency import saliency
from tests import tools
from tests.models import tiny

TEXTS = ["bad bad film", "not bad at all", "a film"]


@pytest.fixture(scope="module")
def task():
    return tiny.make_transformer("TextClassifier", pooling="attention", encoder={"num_layers": 1})


def take(score, embedded, *fractions):
    """The mean saliency over fractions of two texts, as an array."""
    embedded = ops.convert_to_tensor(embedded)
    found = [saliency(score, embedded, ops.full((2,), fraction)) for fraction in fractions]
    return np.mean([tools.to_numpy(one) for one in found], axis=0)


def test_of_a_linear_score_it_is_what_each_token_adds():
    embedded, weights = tools.normal(2, 3, 5), tools.normal(2, 3, 5, seed=1)
    slope = ops.convert_to_tensor(weights)
    for fraction in (0.0, 0.25, 1.0):
        found = take(lambda x: ops.sum(x * slope) + 7.0, embedded, fraction)
        np.testing.assert_allclose(found, (embedded * weights).sum(-1), rtol=1e-5)


def test_of_a_square_the_mean_over_the_way_is_what_each_token_adds():
    embedded = tools.normal(2, 3, 5)
    added = (embedded**2).sum(-1)
    squares = [take(lambda x: ops.sum(x * x), embedded, *some) for some in ([1.0], [0.25, 0.75])]
    np.testing.assert_allclose(squares, [2 * added, added], rtol=1e-5)


def test_there_is_a_score_for_each_token_and_none_for_padding(task):
    found = task.saliency(TEXTS)
    assert found["tokens"] == [task.preprocessor.tokens(text) for text in TEXTS]
    assert found["labels"] == task.classify(TEXTS)
    assert found["saliency"].shape == (3, 5) and found["saliency"].dtype == "float32"
    for row, tokens in zip(found["saliency"], found["tokens"], strict=True):
        assert (row[: len(tokens)] != 0).all() and (row[len(tokens) :] == 0).all()
    one_by_one = task.saliency(TEXTS, batch_size=1)
    np.testing.assert_allclose(one_by_one["saliency"], found["saliency"], atol=1e-5)


@pytest.mark.parametrize("kind", ["transformer", "recurrent"])
def test_it_is_how_the_logit_moves_with_the_embedding(kind, task):
    task = task if kind == "transformer" else tiny.make_classifier()

    def compare(**arguments):
        """How much more each token speaks for one class than for another."""
        found = [task.saliency(TEXTS, class_name=n, **arguments) for n in ("positive", "neutral")]
        assert [one["labels"] for one in found] == [["positive"] * 3, ["neutral"] * 3]
        return found[0]["saliency"] - found[1]["saliency"]

    by_token, integrated = compare(), compare(steps=40)
    embeddings, width, logits = task.backbone.token_embedding.embeddings, 0.01, []
    table = ops.convert_to_numpy(embeddings).copy()
    is_word = np.arange(len(table))[:, None] == task.preprocessor.tokenizer.token_to_id("bad")
    for factor in (1 + width * is_word, 1 - width * is_word, 0, 1):
        embeddings.assign(table * factor)
        chances = task.classify(TEXTS, return_probabilities=True)["probabilities"]
        logits.append(np.log(chances[:, 2] / chances[:, 1]))
    slope = (logits[0] - logits[1]) / (2 * width)
    places = np.zeros((3, 5))
    places[0, :2] = places[1, 1] = 1  # Twice in the first text, never in the last.
    np.testing.assert_allclose((by_token * places).sum(-1), slope, atol=1e-3)
    assert np.abs(slope[:2]).min() > 0.01 and slope[2] == 0
    np.testing.assert_allclose(integrated.sum(-1), logits[3] - logits[2], atol=0.01)


def test_one_backbone_may_serve_several_tasks(task):
    """A masked language model calls the embedding too, the other way round."""
    language = models.TransformerMaskedLM(task.backbone)
    bare = models.TransformerTextClassifier(language.backbone, num_classes=3, pooling="attention")
    for one, other in ((bare.pool, task.pool), (bare.output_dense, task.output_dense)):
        one.set_weights(other.get_weights())
    found = bare.saliency(task.preprocessor(TEXTS), class_name=2)
    assert set(found) == {"saliency", "labels"} and found["labels"] == [2, 2, 2]
    expected = task.saliency(TEXTS, class_name="positive")["saliency"]
    np.testing.assert_allclose(found["saliency"], expected, atol=1e-5)


def test_what_does_not_fit_is_refused(task):
    with pytest.raises(ValueError, match="^A label must be one of .* Received: 'fair'"):
        task.saliency(TEXTS, class_name="fair")
    with pytest.raises(ValueError, match="^A text must .* Received: '' at position 1"):
        task.saliency(["good", ""])
    with pytest.raises(ValueError, match="`steps` must be .* at least 1. Received: steps=0"):
        task.saliency(TEXTS, steps=0)
