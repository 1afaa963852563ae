"""The search over the graph of one step, beside `BeamSampler` on the same model: a table."""

import keras
import numpy as np
import pytest
from keras import ops

from attnzoo.runtime.search import decode
from attnzoo.samplers import BeamSampler

pytestmark = pytest.mark.shared("torch")

BATCH, VOCABULARY, SOURCE, LENGTH = 3, 7, 5, 8
START, END, PAD = 2, 3, 0


@pytest.fixture(scope="module")
def table():
    """Log p of the next token for a row, a step and the token before, and the alignments."""
    draw = np.random.default_rng(0)
    logits = draw.normal(size=(BATCH, LENGTH, VOCABULARY, VOCABULARY), scale=1.5)
    alignments = draw.dirichlet(np.ones(SOURCE), size=(BATCH, LENGTH, VOCABULARY))
    log_probs = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    return log_probs.astype("float32"), alignments.astype("float32")


def search_live(table, **options):
    """What `BeamSampler` finds: ids without the start token, scores and alignments."""
    log_probs, alignments = (ops.convert_to_tensor(one) for one in table)

    def next(prompt, cache, index):
        before = ops.take(prompt, index - 1, axis=1)
        rows = ops.arange(ops.shape(prompt)[0]) // options.get("num_beams", 5)
        place = ops.cast((rows * LENGTH + index - 1) * VOCABULARY + before, "int32")
        found = ops.take(ops.reshape(log_probs, (-1, VOCABULARY)), place, axis=0)
        looks = ops.take(ops.reshape(alignments, (-1, SOURCE)), place, axis=0)
        return found, None, {**cache, "alignments": looks}

    prompt = np.full((BATCH, LENGTH), PAD, "int32")
    prompt[:, 0] = START
    tokens, scores, looks = BeamSampler(**options).search(
        next,
        prompt=ops.convert_to_tensor(prompt),
        cache={"alignments": ops.zeros((BATCH, SOURCE))},
        index=1,
        mask=ops.convert_to_tensor(prompt == START),
        stop_token_ids=(END,),
        return_alignments=True,
    )
    return [keras.ops.convert_to_numpy(one) for one in (tokens[:, :, 1:], scores, looks[:, :, 1:])]


def search_in_steps(table, **options):
    log_probs, alignments = table
    rows = np.repeat(np.arange(BATCH), options.get("num_beams", 1))

    def step(given):
        assert (given["constant"] == rows).all()  # Beams never leave their source.
        place = (rows, int(given["index"]), given["token_ids"])
        history = np.concatenate([given["history"][:, 1:], given["token_ids"][:, None]], axis=1)
        return {
            "log_probs": log_probs[place],
            "alignments": alignments[place],
            "next_history": history,
        }

    state = {"constant": np.arange(BATCH), "history": np.zeros((BATCH, 2))}
    decoding = {"max_length": LENGTH, "start": START, "end": END, "padding": PAD, **options}
    return decode(lambda: state, step, np.zeros((BATCH, SOURCE), "int32"), decoding)


@pytest.mark.parametrize(
    "options",
    [
        {"num_beams": 1},
        {"num_beams": 5},
        {"num_beams": 5, "num_hypotheses": 3, "length_penalty": 0.6},
        {"num_beams": 9, "num_hypotheses": 2},  # More candidates than tokens.
    ],
    ids=str,
)
def test_a_search_in_steps_is_that_of_the_sampler(table, options):
    tokens, scores, looks = search_live(table, **options)
    found = search_in_steps(table, **options)
    np.testing.assert_allclose(found["scores"], scores, atol=1e-5)
    for row in range(BATCH):
        for ids, own, rows, other in zip(
            tokens[row], found["ids"][row], looks[row], found["alignments"][row], strict=True
        ):
            ids = ids.tolist()
            ids = ids[: ids.index(END) + 1] if END in ids else ids
            assert own[own != PAD].tolist() == [id for id in ids if id != PAD]
            np.testing.assert_array_equal(other[: len(ids)], rows[: len(ids)])


def test_without_options_it_is_greedy(table):
    found = search_in_steps(table)
    for row in range(BATCH):
        token, total, made = START, 0.0, []
        for step in range(LENGTH - 1):
            log_probs = table[0][row, step, token]
            token = int(log_probs.argmax())
            made.append(token)
            total += log_probs[token]
            if token == END:
                break
        assert found["ids"][row, 0, : len(made)].tolist() == made
        np.testing.assert_allclose(found["scores"][row, 0], total, atol=1e-5)
