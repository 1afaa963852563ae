"""The Transformer's tagger is an encoder and one layer on each of its vectors."""

import keras
import numpy as np
import pytest

from tests import tools
from tests.models import tiny

TEXTS, TAGS = tiny.TEXTS, tiny.TAGS


def test_it_is_an_encoder_and_one_layer():
    task = tiny.make_transformer("TokenTagger", None)

    def run(inputs):
        return task(inputs), task.output_dense(task.backbone(inputs)["sequence_output"])

    found, expected = tools.compiled(run)(tiny.make_text_inputs())
    tools.assert_close(found, expected, tolerance=1e-4)
    assert tuple(found.shape) == (2, 5, 5)


@pytest.mark.shared("tensorflow")
def test_it_learns_from_strings_and_shows_where_it_looked():
    keras.utils.set_random_seed(1)
    task = tiny.make_transformer("TokenTagger", encoder={"hidden_dim": 16}, scale=0.2)
    task.compile(keras.optimizers.Adam(0.01))
    with tools.traced():
        task.fit(TEXTS * 10, TAGS * 10, batch_size=6, epochs=5, verbose=0)
    assert task.tag(TEXTS) == [tags.split() for tags in TAGS]
    alignments = task.alignments(["a good film", "good"])
    assert alignments.shape == (2, 3, 2, 4, 4)
    np.testing.assert_allclose(alignments[1, ..., :2, :2].sum(axis=-1), 1, rtol=1e-5)
    assert (alignments[1, ..., 2:] == 0).all()
    with pytest.raises(ValueError, match="^A label must be one of .* Received: 'X'"):
        task.fit(["a film"], ["D X"])


def test_the_config_makes_the_same_task_again():
    task = tiny.make_transformer("TokenTagger", dropout=0.2)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(task))
    assert again.class_names == tiny.TAG_NAMES and again.dropout == 0.2
    assert [w.shape for w in again.weights] == [w.shape for w in task.weights]
    with pytest.raises(ValueError, match="`dropout` must be in .* Received: dropout=1.0"):
        tiny.make_transformer("TokenTagger", None, dropout=1.0)
