"""One embedding for source and target, in both families."""

import keras
import numpy as np
import pytest
from keras import ops

from attnzoo import data, export, models
from attnzoo.samplers import BeamSampler
from tests import tools
from tests.models import tiny

WORDS = ["cat", "hat", "that", "chat"]
BACKWARDS = [word[::-1] for word in WORDS]
TOKENIZER = data.CharacterTokenizer.from_texts(WORDS)
SIZE = TOKENIZER.vocabulary_size()
EACH = pytest.mark.parametrize("tied", [False, True], ids=["own output", "tied"])
FAMILY = pytest.mark.parametrize("family", tiny.FAMILIES)


def make_task(family, tokenizers=(TOKENIZER, TOKENIZER), **arguments):
    arguments = {"share_embeddings": True, **tiny.FAMILIES[family], **arguments}
    backbone = getattr(models, f"{family}Seq2SeqBackbone")(SIZE, SIZE, **arguments)
    cls = getattr(models, f"{family}Seq2SeqLM")
    preprocessor = cls.preprocessor_cls(
        *tokenizers, encoder_sequence_length=7, decoder_sequence_length=7
    )
    task = cls(backbone, preprocessor)
    tools.set_weights(task, scale=1.0)
    return task


def logits(task):
    inputs, _, _ = task.preprocessor(WORDS, BACKWARDS)
    inputs = {name: ops.convert_to_tensor(value) for name, value in inputs.items()}
    return tools.to_numpy(tools.compiled(lambda inputs: task(inputs))(inputs))


@FAMILY
@EACH
def test_it_computes_what_two_equal_ones_compute_with_fewer_weights(family, tied):
    one = make_task(family, tie_embeddings=tied)
    two = make_task(family, tie_embeddings=tied, share_embeddings=False)
    assert one.backbone.source_embedding is one.backbone.target_embedding
    table = one.backbone.source_embedding.embeddings
    assert two.count_params() == one.count_params() + int(np.prod(table.shape))
    others = [weight for weight in one.weights if weight is not table]
    tables = (two.backbone.source_embedding.embeddings, two.backbone.target_embedding.embeddings)
    rest = [weight for weight in two.weights if all(weight is not each for each in tables)]
    for weight, value in zip(rest, others, strict=True):
        weight.assign(value)
    for each in tables:
        each.assign(table)
    tools.assert_close(logits(two), logits(one), tolerance=1e-6)


@pytest.mark.rotates
@FAMILY
@EACH
def test_it_trains_and_survives_a_preset_of_a_preset(family, tied, tmp_path):
    task = make_task(family, tie_embeddings=tied)
    task.compile(optimizer=keras.optimizers.Adam(0.01))
    before = tools.to_numpy(task.backbone.source_embedding.embeddings.value).copy()
    task.fit(WORDS, BACKWARDS, batch_size=4, verbose=0)
    after = tools.to_numpy(task.backbone.source_embedding.embeddings.value)
    assert (np.abs(after - before).max(axis=1) > 0)[4:].all()  # Of every symbol.
    expected = logits(task)
    for place in ("first", "second"):
        task.save_to_preset(str(tmp_path / place))
        task = type(task).from_preset(str(tmp_path / place))
        assert task.backbone.source_embedding is task.backbone.target_embedding
        np.testing.assert_array_equal(logits(task), expected)


@pytest.mark.rotates
@FAMILY
def test_eight_bits_survive_a_preset(family, tmp_path):
    task = make_task(family, tie_embeddings=True)
    before = logits(task)
    task.quantize("int8")
    assert task.backbone.source_embedding.quantization_mode == "int8"
    expected = logits(task)
    assert 0 < np.abs(expected - before).max() < 0.1 * np.abs(before).max()
    task.save_to_preset(str(tmp_path))
    np.testing.assert_array_equal(logits(type(task).from_preset(str(tmp_path))), expected)


def test_low_rank_is_of_the_one_there_is():
    backbone = make_task("RNN").backbone
    backbone.enable_lora(2)
    assert {weight.path for weight in backbone.trainable_weights} == {
        f"token_embedding/lora_embeddings_{factor}" for factor in "ab"
    }


@pytest.mark.only("tensorflow")
@FAMILY
def test_it_is_exported(family, tmp_path):
    task = make_task(family, tie_embeddings=True)
    # Compared with the live model before it is where it belongs, or this raises.
    export.saved_model(task, tmp_path / "exported", sampler=BeamSampler(num_beams=2))
    assert (tmp_path / "exported" / "saved_model.pb").is_file()


@FAMILY
def test_what_cannot_be_shared_is_refused(family):
    cls = getattr(models, f"{family}Seq2SeqBackbone")
    with pytest.raises(ValueError, match="source_vocabulary_size=9, target_vocabulary_size=8 with"):
        cls(9, 8, share_embeddings=True, **tiny.FAMILIES[family])
    other = data.CharacterTokenizer.from_texts(["dogs"])
    assert other.vocabulary_size() == SIZE
    with pytest.raises(ValueError, match="^Where source .* Received: two of different vocabular"):
        make_task(family, (TOKENIZER, other))
    make_task(family, (TOKENIZER, data.CharacterTokenizer.from_texts(WORDS)))
