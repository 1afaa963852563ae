"""The Transformer from raw strings to a SavedModel: one model, however it is run."""

import keras
import numpy as np
import pytest
from keras import ops

from attnzoo import data, export, models, samplers
from attnzoo.export.specs.families import make_spec
from attnzoo.models.tasks.pairs import pack_pairs
from attnzoo.samplers import beam
from tests import tools
from tests.models import tiny

CONFIGURATIONS = {
    "plain": {},
    "post": {"block": {"norm_first": False, "norm": "rms", "activation": "gelu"}},
    "tied": {"tie_embeddings": True, "num_decoder_layers": 1},
    "learned": {"position": "learned", "max_length": 11},
    "rotary": {"position": "rotary", "block": {"attention": {"num_key_value_heads": 1}}},
    "relative": {"position": "relative"},
    "t5": {"position": "t5", "share_position": True, "block": {"activation": "geglu"}},
    "alibi": {"position": "alibi", "block": {"attention": {"window": 2}}},
    "none": {"position": None},
}


def make_preprocessor(**arguments):
    lengths = {"encoder_sequence_length": tiny.S, "decoder_sequence_length": tiny.T, **arguments}
    return models.TransformerSeq2SeqLMPreprocessor(
        data.CharacterTokenizer.from_texts(tiny.WORDS),
        data.SymbolTokenizer.from_texts(tiny.PHONEMES),
        **lengths,
    )


def make_backbone(**arguments):
    sizes = {"hidden_dim": 8, "num_heads": 2, "num_encoder_layers": 2, "num_decoder_layers": 2}
    return models.TransformerSeq2SeqBackbone(
        tiny.SOURCE_VOCABULARY, tiny.TARGET_VOCABULARY, **{**sizes, **arguments}
    )


def make_task(preprocessor=None, **arguments):
    task = models.TransformerSeq2SeqLM(make_backbone(**arguments), preprocessor)
    tools.set_weights(task, scale=0.5)
    return task


def tensors(inputs):
    return {name: ops.convert_to_tensor(value) for name, value in inputs.items()}


def test_a_coverage_loss_is_refused():
    with pytest.raises(ValueError, match="needs an attention .* Received: coverage_loss=1.0"):
        make_task().compile(coverage_loss=1.0)


@pytest.mark.rotates
@pytest.mark.parametrize("position", ["relative", "t5"])
def test_the_blocks_of_a_side_may_have_one_position(position, tmp_path):
    one_each = make_task(position=position)
    task = make_task(make_preprocessor(), position=position, share_position=True)
    table = task.backbone.encoder_blocks[0].self_attention.position.weights[0]
    assert one_each.count_params() == task.count_params() + 2 * int(np.prod(table.shape))
    task.save_to_preset(str(tmp_path))
    task = models.TransformerSeq2SeqLM.from_preset(str(tmp_path))
    sides = []
    for blocks in (task.backbone.encoder_blocks, task.backbone.decoder_blocks):
        first, second = (block.self_attention.position for block in blocks)
        assert first is second
        sides.append(first)
    assert sides[0] is not sides[1]
    relative = make_backbone(
        position="relative", share_position=True, block={"attention": {"value_dim": 3}}
    )
    assert relative.encoder_blocks[1].self_attention.position.value_dim == 3
    if position == "t5":
        assert [one.bidirectional for one in sides] == [True, False]


@pytest.mark.parametrize("position", ["relative", "t5"])
def test_a_position_within_attention_has_no_weights_at_the_input(position):
    backbone = make_backbone(position=position)
    assert not backbone.source_position.weights and not backbone.target_position.weights


@pytest.mark.rotates
@pytest.mark.parametrize("name", tools.shared(CONFIGURATIONS, ["plain"]))
def test_step_by_step_it_is_the_teacher_forced_model(name):
    task = make_task(**CONFIGURATIONS[name])

    def run(inputs):
        next, cache = task.make_next(inputs, True)
        steps = []
        for index in range(1, 4):
            logits, _, cache = next(inputs["decoder_token_ids"], cache, index)
            steps.append((logits, cache["alignments"]))
        stepwise = tuple(ops.stack(parts, axis=1) for parts in zip(*steps, strict=True))
        return task.decode(inputs), stepwise, task(inputs), cache

    whole, stepwise, logits, cache = tools.compiled(run)(tensors(tiny.make_inputs()))
    assert tuple(whole[0].shape) == (2, 3, tiny.TARGET_VOCABULARY)
    assert tuple(whole[1].shape) == (2, 3, 5)
    tools.assert_close(stepwise, whole, tolerance=2e-5)
    tools.assert_close(logits, whole[0], tolerance=2e-5)
    assert np.ptp(tools.to_numpy(logits), axis=1).max() > 0.1  # No two steps alike.
    assert set(cache) == {"blocks", "alignments", "memory_mask"}
    assert all(leaf.shape[0] == 2 for leaf in keras.tree.flatten(cache))


def test_more_padding_changes_nothing():
    task = make_task()
    run = tools.compiled(task.decode)
    logits, alignments = tools.to_numpy(run(tensors(tiny.make_inputs())))
    more_logits, more_alignments = tools.to_numpy(run(tensors(tiny.make_inputs(places=9, steps=4))))
    for row, (places, steps) in enumerate([(5, 3), (3, 2)]):
        np.testing.assert_allclose(more_logits[row, :steps], logits[row, :steps], atol=2e-5)
        np.testing.assert_allclose(
            more_alignments[row, :steps, :places], alignments[row, :steps, :places], atol=1e-5
        )
        assert (more_alignments[row, :, places:] == 0).all()
        np.testing.assert_allclose(more_alignments[row].sum(axis=-1), 1, rtol=1e-5)


def test_alignments_of_every_block_and_head_are_the_blocks_own():
    task = make_task(make_preprocessor())
    backbone = task.backbone
    pairs = (["cat", "hatch"], ["T", "K AE"])  # Of 4 and 6 places, and of 2 and 3 steps.
    inputs = pack_pairs(task, pairs)

    def run(inputs):
        mask = inputs["encoder_padding_mask"]
        x = backbone.embed(
            inputs["encoder_token_ids"], backbone.source_embedding, backbone.source_position
        )
        looked = {"encoder": [], "cross": [], "decoder": []}
        for block in backbone.encoder_blocks:
            x, own = block(x, padding_mask=mask, return_alignments=True)
            looked["encoder"].append(own)
        memory = backbone.encoder_norm(x)
        ids = inputs["decoder_token_ids"][:, :-1]
        x = backbone.embed(ids, backbone.target_embedding, backbone.target_position)
        for block in backbone.decoder_blocks:
            both = {"return_alignments": True, "return_self_alignments": True}
            x, cross, own = block(x, memory, memory_mask=mask, **both)
            looked["cross"].append(cross)
            looked["decoder"].append(own)
        found = {name: task.replay_heads(inputs, name)["alignments"] for name in looked}
        return found, looked, task.replay(inputs)["alignments"]

    found, looked, one = tools.to_numpy(tools.compiled(run)(tensors(inputs)))
    sizes = {"encoder": ((4, 4), (6, 6)), "cross": ((2, 4), (3, 6)), "decoder": ((2, 2), (3, 3))}
    for name, lengths in sizes.items():
        for row, (steps, places) in enumerate(lengths):
            heads = found[name][row]  # [L, N, T, S]
            of_blocks = np.stack([block[row] for block in looked[name]])
            np.testing.assert_allclose(
                heads[..., :steps, :places], of_blocks[..., :steps, :places], atol=1e-6
            )
            np.testing.assert_allclose(heads[..., :steps, :places].sum(axis=-1), 1, rtol=1e-5)
            assert not heads[..., steps:, :].any() and not heads[..., places:].any()
    np.testing.assert_allclose(found["cross"][:, -1].mean(axis=1), one, atol=1e-6)
    heads = task.head_alignments(pairs, attention="decoder")
    np.testing.assert_allclose(heads, found["decoder"][..., :3, :3], atol=1e-6)
    with pytest.raises(ValueError, match="must be one of .*'decoder'.* Received: attention='self'"):
        task.head_alignments(pairs, attention="self")


@pytest.mark.shared("torch")
def test_low_rank_is_of_queries_and_values_and_eight_bits_of_all_matrices(tmp_path):
    task = make_task()
    parts = [f"encoder_{i}/self_attention" for i in range(2)]
    parts += [f"decoder_{i}/{name}_attention" for i in range(2) for name in ("self", "cross")]
    run = tools.compiled(lambda inputs: task(inputs))
    before = tools.to_numpy(run(tensors(tiny.make_inputs())))
    task.quantize("int8")
    stacks = [f"{side}_{i}/feed_forward" for side in ("encoder", "decoder") for i in range(2)]
    layers = {
        *(f"{part}/{name}" for part in parts for name in ("query", "key", "value")),
        *(f"{part}/attention_output" for part in parts),
        *(f"{stack}/{name}" for stack in stacks for name in ("hidden", "output")),
        *("source_embedding", "target_embedding", "output"),
    }
    for name in ("first", "second"):
        assert {one.path for one in task._flatten_layers() if one.quantization_mode} == layers
        task.save_to_preset(str(tmp_path / name))
        again = models.TransformerSeq2SeqLM.from_preset(tmp_path / name)
        run = tools.compiled(lambda inputs, one=task, other=again: (one(inputs), other(inputs)))
        expected, found = tools.to_numpy(run(tensors(tiny.make_inputs())))
        np.testing.assert_array_equal(found, expected)
        task = again
    assert 0 < np.abs(expected - before).max() < 0.1 * np.abs(before).max()
    task = make_task()
    task.backbone.enable_lora(2)
    assert {weight.path for weight in task.trainable_variables} == {
        *(
            f"{part}/{n}/lora_kernel_{f}"
            for part in parts
            for n in ("query", "value")
            for f in "ab"
        ),
        *("output/kernel", "output/bias"),
    }


@pytest.fixture(scope="module")
def trained():
    """A model that has learned its six words by heart, from raw strings."""
    keras.utils.set_random_seed(1)
    task = models.TransformerSeq2SeqLM(
        make_backbone(hidden_dim=32, num_heads=4, dropout=0.0), make_preprocessor()
    )
    task.compile(optimizer=keras.optimizers.Adam(5e-3))
    # Each batch has each word once.
    arguments = {"batch_size": 6, "shuffle": False, "epochs": 8, "verbose": 0}
    with tools.traced():
        task.fit(tiny.WORDS * 10, tiny.PHONEMES * 10, **arguments)
    return task


def test_it_learns_and_generates(trained):
    found = trained.generate(tiny.WORDS, return_scores=True, return_alignments=True)
    assert found["outputs"] == tiny.PHONEMES
    assert found["alignments"].shape[0] == len(tiny.WORDS)
    assert trained.generate("hat") == "HH AE T"


def test_a_beam_of_one_is_greedy_and_a_replay_agrees(trained):
    greedy = trained.generate(tiny.WORDS, return_scores=True)
    with make_spec(trained, "text", sampler=samplers.BeamSampler(num_beams=1)).as_exported():
        single = trained.generate(tiny.WORDS, return_scores=True)
    assert single["outputs"] == greedy["outputs"]
    tools.assert_close(single["scores"], greedy["scores"], tolerance=1e-4)


def test_a_beam_returns_several(trained):
    sampler = samplers.BeamSampler(num_beams=3, num_hypotheses=3, coverage_penalty=0.2)
    with make_spec(trained, "text", sampler=sampler).as_exported():
        found = trained.generate(tiny.WORDS, return_scores=True)
    assert [best for best, *_ in found["outputs"]] == tiny.PHONEMES
    assert np.all(np.diff(found["scores"], axis=1) <= 0.0)


def test_a_beam_whose_cache_grows_says_the_same(trained, monkeypatch):
    def generate():
        sampler = samplers.BeamSampler(num_beams=3, num_hypotheses=2, coverage_penalty=0.1)
        with make_spec(trained, "text", sampler=sampler).as_exported():
            return trained.generate(tiny.WORDS, max_length=8, return_scores=True)

    expected, sizes = generate(), []
    step = trained.backbone.step

    def watched(token_ids, prepared, caches, index):
        sizes.append({cache["key"].shape[2] for cache in caches})
        return step(token_ids, prepared, caches, index)

    monkeypatch.setattr(beam, "_FIRST_CACHE_LENGTH", 2)
    monkeypatch.setattr(beam, "_GROWTH", 2)
    monkeypatch.setattr(trained.backbone, "step", watched)
    found = generate()
    assert found["outputs"] == expected["outputs"]
    tools.assert_close(found["scores"], expected["scores"], tolerance=1e-5)
    assert [size for i, size in enumerate(sizes) if size not in sizes[:i]] == [{2}, {4}, {8}]


def test_a_preset_holds_the_task(trained, tmp_path):
    trained.save_to_preset(str(tmp_path))
    again = models.TransformerSeq2SeqLM.from_preset(tmp_path)
    assert again.generate(tiny.WORDS) == trained.generate(tiny.WORDS)
    assert again.backbone.get_config() == trained.backbone.get_config()


@pytest.mark.shared("tensorflow")
def test_it_is_exported(trained, tmp_path):
    path = export.saved_model(trained, tmp_path / "model", sampler="beam", verify=tiny.WORDS)
    assert (tmp_path / "model" / "saved_model.pb").is_file() and path.endswith("model")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_heads": 3}, "must divide `hidden_dim`. Received: num_heads=3, hidden_dim=8"),
        ({"num_encoder_layers": 0}, "Received: num_encoder_layers=0"),
        ({"dropout": 1.0}, r"`dropout` must be in \[0, 1\). Received: dropout=1.0"),
        ({"position": "learned"}, "give `max_length`.* Received: position='learned', max_length"),
        ({"position": "where"}, "Received: position='where'"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        make_backbone(**arguments)


@pytest.mark.parametrize("side", ["encoder", "decoder"])
def test_texts_longer_than_a_learned_position_are_refused(side):
    table = {"position": "learned", "max_length": 11}
    name = f"{side}_sequence_length"
    message = f"`{name}` must be at most the `max_length` .* position, 11. Received: {name}=13"
    with pytest.raises(ValueError, match=message):
        make_task(make_preprocessor(**{name: 13}), **table)
    make_task(make_preprocessor(**{name: 11}), **table)
    make_task(make_preprocessor(**{name: 13}))


def test_outputs_longer_than_a_learned_position_are_refused():
    table = {"position": "learned", "max_length": 11}
    task = make_task(make_preprocessor(), **table)
    message = "`max_length` must be at most the `max_length` .* position, 11. Received: .*=13"
    for more in ({}, {"return_scores": True}):
        with pytest.raises(ValueError, match=message):
            task.generate(["cat"], max_length=13, **more)
    assert len(task.generate(["cat"], max_length=11)) == 1
    inputs = {
        **tiny.make_inputs(),
        "decoder_token_ids": np.full((2, 13), tiny.START),
        "decoder_padding_mask": np.arange(13)[None].repeat(2, axis=0) < 1,
    }
    with pytest.raises(ValueError, match=r"shape\[1\]` must be at most .* Received: .*=13"):
        make_task(None, **table).generate(inputs, stop_token_ids=(tiny.END,))
