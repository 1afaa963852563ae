"""Teacher-forced decoding and decoding step by step are the same model."""

import keras
import numpy as np
import pytest
from keras import ops

from attnzoo import layers, models
from tests import tools
from tests.models import tiny

CONFIGURATIONS = {
    "bahdanau": {},
    "bahdanau_normalized": {"attention": "bahdanau_normalized", "cell": "gru"},
    "luong": {"attention": "luong"},
    "luong_general": {"attention": "luong_general", "cell": "gru", "bidirectional": False},
    "luong_dot": {"attention": "luong_dot", "cell": "simple"},
    "luong_concat": {"attention": "luong_concat", "num_decoder_layers": 2},
    "sparsemax": {"attention": "sparsemax"},
    "entmax15": {"attention": "entmax15", "cell": "gru"},
    "local_predictive": {"attention": "local_predictive"},
    "local_monotonic": {"attention": "local_monotonic", "cell": "gru"},
    "local, nothing fed back": {"attention": "local_monotonic", "input_feeding": False},
    "local, one place to each side": {
        "attention": lambda: layers.LocalAttention("additive", units=5, window=1),
        "attend": "before",
    },
    "monotonic": {"attention": "monotonic"},
    "chunkwise": {"attention": "chunkwise", "attend": "after", "cell": "gru"},
    "monotonic, hard": {
        "attention": lambda: layers.MonotonicAttention("bilinear", inference_mode="hard"),
    },
    "hard_exact": {"attention": "hard_exact"},
    "hard_exact, two layers": {"attention": "hard_exact", "num_decoder_layers": 2, "cell": "gru"},
    "exact_monotonic": {"attention": "exact_monotonic"},
    "exact_monotonic_zeroth": {"attention": "exact_monotonic_zeroth", "cell": "gru"},
    "luong, nothing fed back": {"attention": "luong", "input_feeding": False},
    "luong before": {"attention": "luong", "attend": "before", "bridge": "zeros"},
    "bahdanau after": {"attend": "after", "cell": "gru", "input_feeding": False},
    "bahdanau, fed back": {"attend": "after", "input_feeding": True, "bridge": "zeros"},
    "two layers": {"num_encoder_layers": 2, "num_decoder_layers": 2, "cell": "gru"},
    "one direction": {"bidirectional": False, "bridge": "copy", "cell": "simple"},
    "location_sensitive": {"attention": "location_sensitive", "cell": "gru"},
    "coverage": {"attention": "coverage", "attend": "after"},
    "hard": {"attention": "hard", "cell": "gru"},
    "hard after": {"attention": "hard_gumbel", "attend": "after"},
    "tied": {"tie_embeddings": True},
    "instance": {"attention": lambda: layers.SoftAttention(layers.DotScore(scale="learned"))},
}


# One of each structure: these run on every backend, the others on one of them.
KINDS = ("bahdanau", "luong", "coverage", "hard", "hard_exact", "monotonic", "two layers")


def make_task(name):
    arguments = CONFIGURATIONS[name]
    if callable(arguments.get("attention")):
        arguments = {**arguments, "attention": arguments["attention"]()}
    return tiny.make_task(**arguments)


def tensors(inputs):
    return {name: ops.convert_to_tensor(value) for name, value in inputs.items()}


@pytest.mark.rotates
@pytest.mark.parametrize("name", tools.shared(CONFIGURATIONS, KINDS))
def test_step_by_step_it_is_the_teacher_forced_model(name):
    task = make_task(name)

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
    tools.assert_close(logits, whole[0])
    assert np.ptp(tools.to_numpy(logits), axis=1).max() > 0.1  # No two steps alike.
    # The memory itself is in the cache of no step, and every leaf has the batch first.
    assert set(cache) == {"state", "output", "alignments", "memory_mask"}
    for leaf in keras.tree.flatten(cache["state"]):
        assert tuple(leaf.shape) in [(2, 2), (2, 5), (2, 6)]


@pytest.mark.rotates
@pytest.mark.parametrize(
    "name",
    [
        "bahdanau",
        "luong",
        "luong_dot",
        "two layers",
        "one direction",
        "hard_exact",
        "exact_monotonic",
        "exact_monotonic_zeroth",
    ],
)
def test_more_padding_changes_nothing(name):
    task = make_task(name)
    short, long = tiny.make_inputs(), tiny.make_inputs(places=11, steps=7)
    decode = tools.compiled(lambda *inputs: [task.decode(one) for one in inputs])
    (logits, alignments), (more_logits, more_alignments) = tools.to_numpy(
        decode(tensors(short), tensors(long))
    )
    for row, (places, steps) in enumerate([(5, 3), (3, 2)]):
        np.testing.assert_allclose(
            more_logits[row, :steps], logits[row, :steps], rtol=1e-5, atol=1e-5
        )
        np.testing.assert_allclose(
            more_alignments[row, :steps, :places], alignments[row, :steps, :places], atol=1e-5
        )
        assert (more_alignments[row, :, places:] == 0).all()
        np.testing.assert_allclose(more_alignments[row].sum(axis=-1), 1, rtol=1e-5)


def test_a_tied_task_has_no_output_weights_of_its_own():
    task = make_task("tied")
    assert task.output_layer.weights == task.backbone.target_embedding.weights
    assert task.count_params() == task.backbone.count_params()


@pytest.mark.parametrize("side, size", [("source", 8), ("target", 10)])
def test_a_tokenizer_larger_than_its_embedding_is_refused(side, size):
    sizes = {
        "source_vocabulary_size": tiny.SOURCE_VOCABULARY,
        "target_vocabulary_size": tiny.TARGET_VOCABULARY,
        f"{side}_vocabulary_size": size - 1,
    }
    backbone = models.RNNSeq2SeqBackbone(**sizes, embedding_dim=5, hidden_dim=6)
    message = f"`{side}_vocabulary_size` must .* {size}. Received: .*={size - 1}"
    with pytest.raises(ValueError, match=message):
        models.RNNSeq2SeqLM(backbone, tiny.make_preprocessor())


def logits_of(task):
    return tools.to_numpy(tools.compiled(lambda inputs: task(inputs))(tensors(tiny.make_inputs())))


@pytest.mark.shared("torch")
def test_eight_bits_survive_a_preset_of_a_preset(tmp_path):
    def quantized(task):
        return {one.path for one in task._flatten_layers() if one.quantization_mode == "int8"}

    task = tiny.make_task(attention="multi_head", attend="after", tie_embeddings=True)
    before = logits_of(task)
    task.quantize("int8")
    cell = "decoder/attention_cell"
    heads = {f"{cell}/attention/{one}" for one in ("query", "key", "value", "attention_output")}
    assert quantized(task) == {
        *heads,
        *("source_embedding", "target_embedding", "tied_projection"),
        *(f"{cell}/attention_layer", "bridge/dense_0", "bridge/dense_1"),
    }
    expected = logits_of(task)
    assert 0 < np.abs(expected - before).max() < 0.1 * np.abs(before).max()
    task.save_to_preset(str(tmp_path / "first"))
    again = models.RNNSeq2SeqLM.from_preset(tmp_path / "first")
    again.save_to_preset(str(tmp_path / "second"))
    again = models.RNNSeq2SeqLM.from_preset(tmp_path / "second")
    assert quantized(again) == quantized(task)
    np.testing.assert_array_equal(logits_of(again), expected)
