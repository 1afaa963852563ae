"""The settings of a run: what an option needs, and runs whose record has another form."""

import dataclasses
import json

import pytest

from attnzoo.cli.settings import make_settings, of_record
from attnzoo.cli.settings.option import own_fields
from attnzoo.cli.settings.parts import GROUPS, OPTIONS, PARTS, requirement

pytestmark = pytest.mark.backend_free

# The record of a run before options belonged to kinds of runs: all options of all kinds.
OLD_RECORD = json.loads("""{
  "task": "seq2seq", "model": "rnn", "preset": null, "source_tokenizer": "character",
  "target_tokenizer": "symbol", "joint_tokenizer": false, "lowercase": false, "min_count": 1,
  "max_vocabulary": null, "max_source_length": 64, "max_target_length": 64,
  "attention": "bahdanau", "attention_options": null, "attend": null, "input_feeding": null,
  "cell": "lstm", "embedding_dim": 5, "hidden_dim": 6, "num_heads": 4,
  "feed_forward_dim": null, "position": "sinusoidal", "share_position": false,
  "block_options": null, "num_encoder_layers": 1, "num_decoder_layers": 1,
  "bidirectional": true, "bridge": "dense", "tie_embeddings": false,
  "share_embeddings": false, "pointer_generator": false, "pooling": "mean", "num_hops": 1,
  "hop_penalty": 0.0, "mask_rate": 0.15, "dropout": 0.2, "recurrent_dropout": 0.0,
  "label_smoothing": 0.0, "subword_sampling": null, "sampling_probability": 0.0,
  "coverage_loss": 0.0, "epochs": 2, "batch_size": 7, "max_tokens": null, "accumulate": 1,
  "learning_rate": 0.002, "schedule": "cosine", "warmup": 0.02, "weight_decay": 0.0,
  "gradient_clip": 1.0, "ema": 0.0, "monitor": null, "average": 1, "patience": 5,
  "num_buckets": 1, "mixed_precision": false, "seed": 0
}""")


def test_each_option_is_declared_once():
    names = [field.name for group in GROUPS for field in own_fields(group)]
    assert len(names) == len(set(names))
    used = {
        field.name
        for parts in PARTS.values()
        for with_preset in (False, True)
        for group in parts.groups(with_preset).values()
        for field in dataclasses.fields(group)
    }
    assert used == set(OPTIONS)
    assert all(field.metadata["help"] for field in OPTIONS.values())


def test_options_of_one_group_need_the_same():
    for group in GROUPS:
        assert len({requirement(field.name) for field in own_fields(group)}) == 1


@pytest.mark.parametrize(
    ("name", "needs"),
    [
        ("epochs", ""),
        ("hidden_dim", "no `--preset`"),
        ("cell", "`--model rnn` and no `--preset`"),
        ("recurrent_dropout", "`--model rnn`"),
        ("num_hops", "`--task classifier` and `--model rnn`"),
        ("mask_rate", "`--task masked_lm`"),
    ],
)
def test_what_an_option_needs_follows_from_the_groups(name, needs):
    assert requirement(name) == needs


@pytest.mark.parametrize("kind", PARTS)
@pytest.mark.parametrize("preset", [None, "runs/one/preset"])
def test_settings_are_their_options(kind, preset):
    settings = make_settings(task=kind[0], model=kind[1], preset=preset)
    options = settings.as_options()
    assert make_settings(**options) == settings
    assert (preset is None) == ("hidden_dim" in options)
    assert ("num_heads" in options) == (preset is None and kind[1] == "transformer")


def test_settings_of_another_kind_lose_what_it_lacks():
    settings = make_settings(cell="gru", epochs=3).replace(model="transformer", num_heads=2)
    assert settings.training.epochs == 3 and settings.backbone.num_heads == 2
    with pytest.raises(ValueError, match="`--cell` needs `--model rnn`. Received: cell='gru'"):
        settings.replace(cell="gru")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hiden_dim": 2}, "no option `hiden_dim`; did you mean `hidden_dim`? Received: hiden_dim"),
        ({"zoo": 2}, "There is no option `zoo`. Received: zoo"),
        ({"epochs": "many"}, "`epochs` must be a whole number. Received: epochs='many'"),
        ({"epochs": True}, "`epochs` must be a whole number. Received: epochs=True"),
        ({"dropout": None}, "`dropout` must be a number. Received: dropout=None"),
        ({"lowercase": 1}, "`lowercase` must be true or false. Received: lowercase=1"),
        ({"cell": 1}, "`cell` must be a string. Received: cell=1"),
        ({"attention_options": 3}, "must be a mapping from names to values. Received: attention_"),
        ({"schedule": "linear"}, "`schedule` must be one of .* Received: schedule='linear'"),
        ({"warmup": -1}, "`warmup` must be at least 0. Received: warmup=-1"),
        ({"ema": float("nan")}, r"`ema` must be in \[0, 1\). Received: ema=nan"),
    ],
)
def test_a_value_that_an_option_cannot_have_is_told(options, message):
    with pytest.raises(ValueError, match=message.replace("?", r"\?")):
        make_settings(**options)


# Older records have other tasks alone.
@pytest.mark.parametrize(
    "kind", [kind for kind in PARTS if kind[0] not in ("tagger", "span_qa", "captioner")]
)
def test_an_older_record_is_read_without_the_options_of_other_kinds(kind):
    record = {**OLD_RECORD, "task": kind[0], "model": kind[1]}
    settings = make_settings(**of_record(record))
    assert settings.as_options().items() <= record.items()
    assert of_record(settings.as_options()) == settings.as_options()


def test_an_older_record_is_a_file_of_settings():
    assert make_settings(**OLD_RECORD) == make_settings(**of_record(OLD_RECORD))
    with pytest.raises(ValueError, match="`--num-heads` needs .* Received: num_heads=8"):
        make_settings(**{**OLD_RECORD, "num_heads": 8})


def test_an_option_that_a_record_lacks_has_its_default():
    assert of_record({}) == make_settings().as_options()
    assert of_record({"preset": "a", "hidden_dim": 7}) == make_settings(preset="a").as_options()
