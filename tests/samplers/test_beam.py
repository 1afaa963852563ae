"""Beam search, held to small tables searched exhaustively."""

import itertools

import keras
import keras_hub
import numpy as np
import pytest
from keras import ops

from attnzoo.samplers import BeamSampler, beam
from attnzoo.samplers.top_k import fast_top_k
from tests import tools

START, END = 0, 1
V, T = 4, 4  # Tokens, and places with the start token: 3 tokens to find.
ALL = 43  # Beams enough to keep every hypothesis there is.


def log_softmax(logits):
    logits = np.asarray(logits, dtype="float64")
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def next_from(tables, alignments=None):
    """A model that reads its logits from tables [B, V, V, V]: row, last token but one, last token.

    The cache holds the row's number, so that it works only if the sampler repeats and gathers it.
    """
    flat = ops.convert_to_tensor(tables.reshape(-1, tables.shape[-1]).astype("float32"))
    size = tables.shape[-1]

    def next(prompt, cache, index):
        last = ops.cast(ops.take(prompt, index - 1, axis=1), "int32")
        before = ops.cast(ops.take(prompt, ops.maximum(index - 2, 0), axis=1), "int32")
        row = ops.cast(cache["row"], "int32")
        if alignments is not None:
            found = ops.take(ops.convert_to_tensor(alignments), last, axis=0)
            cache = {**cache, "alignments": found}
        return ops.take(flat, (row * size + before) * size + last, axis=0), None, cache

    return next


def make_tables(batch, seed=0, size=V, scale=2.0):
    return scale * tools.normal(batch, size, size, size, seed=seed)


def make_cache(batch):
    return {"row": ops.arange(batch, dtype="float32")}


def make_prompt(batch, length=T):
    return np.full((batch, length), START, dtype="int32")


def exhaustive(table, *, length=T, stops=(END,), penalty=0.0, given=(START,), temperature=1.0):
    """Every hypothesis there is with its score, float64, best first.

    A hypothesis ends with its first stop token, or is open at the maximal length.
    """
    log_probs = log_softmax(table / temperature)
    found = {}
    for rest in itertools.product(range(table.shape[-1]), repeat=length - len(given)):
        ends = [i for i, token in enumerate(rest) if token in stops]
        made = rest[: ends[0] + 1] if ends else rest
        tokens = (*given, *made)
        log_p = sum(
            log_probs[tokens[max(i - 2, 0)], tokens[i - 1], tokens[i]]
            for i in range(len(given), len(tokens))
        )
        count = len(made) - bool(ends)
        found[tokens] = log_p / ((5 + count) / 6) ** penalty
    return sorted(found.items(), key=lambda item: -item[1])


def naive_beam(log_probs_of, beams, *, length, stop, penalty=0.0, given=(START,)):
    """The textbook's beam search over Python lists, never ended early: (tokens, score), best first.

    `log_probs_of` maps the open prefixes to their rows of log p, [R, V].
    """
    opened, finished = [(tuple(given), 0.0)], []

    def score(hypothesis):
        tokens, log_p = hypothesis
        ended = len(tokens) > len(given) and tokens[-1] == stop
        return log_p / ((5 + len(tokens) - len(given) - ended) / 6) ** penalty

    for _ in range(length - len(given)):
        rows = log_probs_of([tokens for tokens, _ in opened])
        candidates = [
            ((*tokens, token), log_p + value)
            for (tokens, log_p), row in zip(opened, rows, strict=True)
            for token, value in enumerate(row)
        ]
        candidates.sort(key=score, reverse=True)
        finished += [one for one in candidates[:beams] if one[0][-1] == stop]
        finished = sorted(finished, key=score, reverse=True)[:beams]
        opened = [one for one in candidates if one[0][-1] != stop][:beams]
    best = sorted(finished + opened, key=score, reverse=True)
    return [(tokens, score((tokens, log_p))) for tokens, log_p in best]


def until_stop(tokens, stops=(END,), given=1):
    """One row of tokens as a tuple, up to and with its first stop token."""
    tokens = [int(token) for token in tokens]
    for place in range(given, len(tokens)):
        if tokens[place] in stops:
            return tuple(tokens[: place + 1])
    return tuple(tokens)


def search(sampler, tables, prompt=None, cache=None, alignments=None, **arguments):
    batch = len(tables)
    prompt = make_prompt(batch) if prompt is None else prompt
    arguments = {"index": 1, "stop_token_ids": (END,), **arguments}

    def run(prompt):
        return sampler.search(
            next_from(tables, alignments), prompt, cache=cache or make_cache(batch), **arguments
        )

    return tools.to_numpy(tools.compiled(run)(ops.convert_to_tensor(prompt)))


def assert_equals_exhaustive(tokens, scores, expected, stops=(END,), given=1):
    for row, row_scores, wanted in zip(tokens, scores, expected, strict=True):
        for found, score, (best, best_score) in zip(row, row_scores, wanted, strict=False):
            assert until_stop(found, stops, given) == best
            assert score == pytest.approx(best_score, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("penalty", [0.0, 0.6, 1.0])
def test_with_beams_enough_the_n_best_are_those_of_an_exhaustive_search(penalty):
    tables = make_tables(3)
    sampler = BeamSampler(ALL, num_hypotheses=5, length_penalty=penalty)
    tokens, scores = search(sampler, tables)
    assert tokens.shape == (3, 5, T)
    expected = [exhaustive(table, penalty=penalty)[:5] for table in tables]
    assert_equals_exhaustive(tokens, scores, expected)
    assert (np.diff(scores, axis=1) <= 0).all()


def test_the_best_of_many_inputs_is_found_for_each():
    tables = make_tables(29, seed=1)
    tokens, scores = search(BeamSampler(ALL), tables)
    assert_equals_exhaustive(tokens, scores, [exhaustive(table)[:1] for table in tables])


def test_the_temperature_divides_the_logits():
    tables = make_tables(3)
    tokens, scores = search(BeamSampler(ALL, temperature=3.0), tables)
    expected = [exhaustive(table, temperature=3.0)[:1] for table in tables]
    assert_equals_exhaustive(tokens, scores, expected)


@pytest.mark.parametrize("after_the_end", ["uniform", "peaked", "the end again"])
def test_a_finished_hypothesis_beats_a_worse_one_whatever_follows_its_end_token(after_the_end):
    size, good, bad = 16, 2, 3
    table = np.full((size, size, size), -1e9)
    table[:, START, good], table[:, START, bad] = np.log(0.6), np.log(0.4)  # -0.51 and -0.92
    table[:, good, END] = 0.0
    table[:, bad, 5] = table[:, 5, 5] = 0.0
    if after_the_end == "uniform":
        table[:, END, :] = 0.0
    else:
        table[:, END, 7 if after_the_end == "peaked" else END] = 0.0
    tokens, scores = search(
        BeamSampler(2, num_hypotheses=2), table[None], prompt=make_prompt(1, length=7)
    )
    assert until_stop(tokens[0, 0]) == (START, good, END)
    assert until_stop(tokens[0, 1]) == (START, bad, 5, 5, 5, 5, 5)
    np.testing.assert_allclose(scores[0], np.log([0.6, 0.4]), rtol=1e-5)


@pytest.mark.parametrize("beams", [2, 3])
def test_what_is_finished_is_not_lost_to_open_hypotheses_that_score_higher(beams):
    table = np.full((V, V, V), -1e9)
    table[START, START, 1:] = np.log([0.20, 0.62, 0.18])  # The end is second best at first,
    table[:, 2:, 2:] = np.log(0.5)  # then two of .31 each are open, and never end.
    tokens, scores = search(BeamSampler(beams), table[None], prompt=make_prompt(1, length=7))
    assert until_stop(tokens[0, 0]) == (START, END)
    assert scores[0, 0] == pytest.approx(np.log(0.20))


def test_what_is_open_at_the_maximal_length_competes_with_what_is_finished():
    table = np.full((V, V, V), -1e9)
    table[START, START, 1:] = np.log([0.2, 0.6, 0.2])
    table[:, 2, 2:], table[:, 3, 2:] = np.log([0.6, 0.4]), np.log(0.5)  # .36, .216, .1296
    for length, best, probability in [(4, (START, 2, 2, 2), 0.216), (5, (START, END), 0.2)]:
        sampler = BeamSampler(2, num_hypotheses=2)
        tokens, scores = search(sampler, table[None], prompt=make_prompt(1, length))
        assert until_stop(tokens[0, 0]) == best
        assert scores[0, 0] == pytest.approx(np.log(probability), abs=1e-5)
        assert scores[0, 1] == pytest.approx(np.log(0.2 if length == 4 else 0.1296), abs=1e-5)


@pytest.mark.parametrize(("beams", "penalty"), [(2, 0.0), (3, 1.0), (3, 3.0)])
def test_with_few_beams_it_finds_what_a_search_without_early_end_finds(beams, penalty):
    batch, length = 60, 8
    tables = make_tables(batch, seed=8)
    tables[::2, 2:, 2:, END] -= 3.0  # Half of them end seldom.
    prompt = make_prompt(batch, length)
    prompt[::3, 1:3] = (3, 2)  # A third of them goes on from a beginning, with an end in some.
    prompt[::6, 2] = END
    mask = np.tile(np.arange(length) == 0, (batch, 1))
    mask[::3, :3] = True
    sampler = BeamSampler(beams, num_hypotheses=2, length_penalty=penalty)
    tokens, scores = search(sampler, tables, prompt=prompt, mask=ops.convert_to_tensor(mask))
    for row in range(batch):
        log_probs = log_softmax(tables[row])
        given = tuple(int(token) for token in prompt[row][mask[row]])
        wanted = naive_beam(
            lambda prefixes, table=log_probs: [table[(START, *p)[-2], p[-1]] for p in prefixes],
            beams,
            length=length,
            stop=END,
            penalty=penalty,
            given=given,
        )[:2]
        assert_equals_exhaustive(
            tokens[row : row + 1], scores[row : row + 1], [wanted], given=len(given)
        )


def test_one_beam_is_the_greedy_sampler():
    tables = make_tables(5, seed=2)
    prompt = ops.convert_to_tensor(make_prompt(5))
    arguments = {"cache": make_cache(5), "index": 1, "stop_token_ids": (END,)}
    greedy = tools.to_numpy(
        keras_hub.samplers.GreedySampler()(next_from(tables), prompt, **arguments)
    )
    tokens, _ = search(BeamSampler(1), tables)
    for one, other in zip(tokens[:, 0], greedy, strict=True):
        assert until_stop(one) == until_stop(other)


@pytest.mark.parametrize(
    ("length", "index", "expected"),
    [(3, 1, []), (4, 1, [2, 4]), (7, 1, [2, 7]), (9, 1, [2, 4, 9]), (9, 3, [4, 9]), (9, 5, [])],
)
def test_a_cache_grows_with_the_search(monkeypatch, length, index, expected):
    monkeypatch.setattr(beam, "_FIRST_CACHE_LENGTH", 2)
    monkeypatch.setattr(beam, "_GROWTH", 2)
    tables, rooms = make_tables(3, seed=7), []
    look_up = next_from(tables)

    def next(prompt, cache, index):
        """The last token but one is read from the cache, where the step before has put it."""
        last = ops.take(prompt, index - 1, axis=1)
        places = ops.slice_update(cache["places"], (0, index - 1), last[:, None])
        known = ops.arange(ops.shape(places)[1]) < index
        places = ops.where(known, places, END)  # What is not known yet is never read.
        before = ops.take(places, ops.maximum(index - 2, 0), axis=1)
        prompt = ops.slice_update(prompt, (0, ops.maximum(index - 2, 0)), before[:, None])
        logits, _, _ = look_up(prompt, cache, index)
        return logits, None, {**cache, "places": places}

    def resize(cache, room):
        rooms.append(room)
        more = ((0, 0), (0, max(room - cache["places"].shape[1], 0)))
        return {**cache, "places": ops.pad(cache["places"][:, :room], more, constant_values=END)}

    prompt = np.random.default_rng(0).integers(2, V, (3, length)).astype("int32")
    cache = {**make_cache(3), "places": ops.convert_to_tensor(prompt)}
    arguments = {"cache": cache, "index": index, "stop_token_ids": (END,)}

    def run(prompt):
        sampler = BeamSampler(3, num_hypotheses=3)
        plain = sampler.search(next, prompt, **arguments)
        return plain, sampler.search(next, prompt, **arguments, resize_cache=resize)

    plain, found = tools.to_numpy(tools.compiled(run)(ops.convert_to_tensor(prompt)))
    for one, other in zip(found, plain, strict=True):
        np.testing.assert_array_equal(one, other)
    if keras.backend.backend() != "torch":  # Which goes no further than it must.
        assert rooms == expected


def test_a_call_gives_the_best_hypothesis_alone():
    tables = make_tables(2)
    prompt = ops.convert_to_tensor(make_prompt(2))
    arguments = {"cache": make_cache(2), "index": 1, "stop_token_ids": (END,)}
    best = BeamSampler(3)(next_from(tables), prompt, **arguments)
    tokens, scores = BeamSampler(3, num_hypotheses=2)(next_from(tables), prompt, **arguments)
    assert tuple(best.shape) == (2, T)
    assert tuple(tokens.shape) == (2, 2, T) and tuple(scores.shape) == (2, 2)
    np.testing.assert_array_equal(tools.to_numpy(best), tools.to_numpy(tokens)[:, 0])


def test_a_prompt_is_kept_and_costs_nothing():
    tables = make_tables(3, seed=3)
    prompt = make_prompt(3)
    prompt[1, 1:] = (2, 0, 0)  # One token is given, no token, two: the second an end token.
    prompt[2, 1:] = (3, END, 0)
    mask = np.array([[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0]], dtype="bool")
    sampler = BeamSampler(ALL, num_hypotheses=3, length_penalty=1.0)
    tokens, scores = search(sampler, tables, prompt=prompt, mask=ops.convert_to_tensor(mask))
    for row in range(3):
        given = tuple(int(token) for token in prompt[row][mask[row]])
        wanted = exhaustive(tables[row], given=given, penalty=1.0)[:3]
        assert_equals_exhaustive(
            tokens[row : row + 1], scores[row : row + 1], [wanted], given=len(given)
        )


def test_any_of_several_stop_tokens_ends_a_hypothesis():
    tables = make_tables(5, seed=4)
    sampler = BeamSampler(ALL, num_hypotheses=3, length_penalty=0.6)
    tokens, scores = search(sampler, tables, stop_token_ids=(END, 3))
    expected = [exhaustive(table, stops=(END, 3), penalty=0.6)[:3] for table in tables]
    assert_equals_exhaustive(tokens, scores, expected, stops=(END, 3))


def test_without_stop_tokens_all_places_are_filled():
    tables = make_tables(3, seed=5)
    tokens, scores = search(BeamSampler(64, num_hypotheses=3), tables, stop_token_ids=None)
    expected = [exhaustive(table, stops=())[:3] for table in tables]
    assert_equals_exhaustive(tokens, scores, expected, stops=())


def test_the_coverage_penalty_is_that_of_the_formula():
    places, weight, penalty = 5, 0.7, 0.6
    draw = np.random.default_rng(6)
    alignments = draw.dirichlet(np.full(places, 0.5), size=V).astype("float32")  # By last token.
    real = np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]], dtype="bool")
    tables = make_tables(2, seed=6, scale=1.0)
    cache = {
        **make_cache(2),
        "alignments": ops.zeros((2, places)),
        "memory_mask": ops.convert_to_tensor(real),
    }
    sampler = BeamSampler(ALL, num_hypotheses=4, length_penalty=penalty, coverage_penalty=weight)
    tokens, scores = search(sampler, tables, cache=cache, alignments=alignments)
    expected = []
    for row in range(2):
        found = []
        for hypothesis, score in exhaustive(tables[row], penalty=penalty):
            coverage = sum(alignments[token].astype("float64") for token in hypothesis[:-1])
            covered = np.log(np.minimum(coverage, 1.0))[real[row]].sum()
            found.append((hypothesis, score + weight * covered))
        expected.append(sorted(found, key=lambda item: -item[1])[:4])
    assert_equals_exhaustive(tokens, scores, expected)


def count_steps(tables, sampler, length=13, given=1):
    """How often the model is asked for two inputs, with the loop run by Python."""
    steps = []
    plain = next_from(np.broadcast_to(tables, (2, V, V, V)))

    def next(prompt, cache, index):
        steps.append(int(index))
        return plain(prompt, cache, index)

    prompt = ops.convert_to_tensor(make_prompt(2, length))
    mask = ops.convert_to_tensor(np.tile(np.arange(length) < given, (2, 1)))
    arguments = {"cache": make_cache(2), "index": 1, "mask": mask, "stop_token_ids": (END,)}
    sampler.search(next, prompt, **arguments)
    return len(steps)


@pytest.mark.parametrize("penalty", [0.0, 1.0])
def test_the_search_ends_when_nothing_open_can_win(without_compilation, penalty):
    table = np.full((V, V, V), -20.0)
    table[:, START, END], table[:, START, 2] = np.log(0.9), np.log(0.1)
    table[:, 2, 2] = 0.0  # Open for ever, at -2.3 from now on: ((5 + 13) / 6) is not enough.
    assert count_steps(table, BeamSampler(2, length_penalty=penalty)) == 1


def test_the_search_goes_on_while_something_open_can_win(without_compilation):
    table = np.full((V, V, V), -20.0)
    table[:, START, END], table[:, START, 2] = np.log(0.4), np.log(0.6)
    table[:, 2, 2] = 0.0
    assert count_steps(table, BeamSampler(2)) == 12


def test_a_length_penalty_keeps_a_longer_hope_open(without_compilation):
    table = np.full((V, V, V), -30.0)
    table[:, START, END], table[:, START, 2] = np.log(0.55), np.log(0.45)
    table[:, 2, 2] = 0.0
    # log 0.45 / ((5 + 12) / 6) is above log 0.55 / (5 / 6).
    assert count_steps(table, BeamSampler(2, length_penalty=1.0)) == 12


def test_a_length_that_is_out_of_reach_keeps_nothing_open(without_compilation):
    table = np.full((V, V, V), -30.0)
    table[:, START, END], table[:, START, 2] = np.log(0.62), np.log(0.38)
    table[:, 2, 2] = 0.0
    sampler = BeamSampler(2, length_penalty=1.0)
    # log 0.38 / ((5 + 12) / 6) is above log 0.62 / (5 / 6): open till the end.
    assert count_steps(table, sampler) == 12
    # After a beginning of 10, three tokens are left: log 0.38 / ((5 + 3) / 6) is below.
    assert count_steps(table, sampler, given=10) == 10


def test_an_n_best_list_keeps_the_search_going_until_it_is_full(without_compilation):
    table = np.full((V, V, V), -20.0)
    table[:, START, END], table[:, START, 2] = np.log(0.9), np.log(0.1)
    table[:, 2, 3] = table[:, 3, END] = 0.0
    assert count_steps(table, BeamSampler(2)) == 1
    assert count_steps(table, BeamSampler(2, num_hypotheses=2)) == 3


def test_every_input_of_a_batch_must_be_decided(without_compilation):
    quick = np.full((V, V, V), -20.0)
    quick[:, START, END] = 0.0
    slow = np.full((V, V, V), -20.0)
    slow[:, START, 2] = slow[:, 2, 3] = slow[:, 3, 3] = 0.0
    slow[:, 2, 3], slow[2, 3, END], slow[2, 3, 3] = 0.0, 0.0, -20.0
    assert count_steps(np.stack([quick, slow]), BeamSampler(2)) == 3


@pytest.mark.parametrize("width", [50, 64 * 20, 64 * 50 + 17])
def test_the_fast_top_k_is_exact(width):
    values = tools.normal(3, width)
    values[2, -5:] = 10 + np.arange(5)  # All of them in the last block, which is not full.
    top, places = tools.to_numpy(fast_top_k(ops.convert_to_tensor(values), 5))
    np.testing.assert_array_equal(places, np.argsort(-values, axis=1)[:, :5])
    np.testing.assert_array_equal(top, np.take_along_axis(values, places, axis=1))


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"num_beams": 0}, "`num_beams` must be at least 1. Received: num_beams=0"),
        ({"num_hypotheses": 0}, "Received: num_hypotheses=0"),
        ({"num_beams": 3, "num_hypotheses": 4}, "from 1 to `num_beams`=3. Received: .*=4"),
        ({"length_penalty": -0.5}, "at least 0. Received: length_penalty=-0.5"),
        ({"coverage_penalty": -1.0}, "coverage_penalty=-1.0"),
        ({"temperature": 0.0}, "above 0. Received: temperature=0.0"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        BeamSampler(**arguments)


@pytest.mark.parametrize("cache, received", [(None, "None"), (make_cache(1), "dict")])
def test_a_coverage_penalty_without_alignments_is_refused(cache, received):
    prompt = ops.convert_to_tensor(make_prompt(1))
    with pytest.raises(ValueError, match=f"'memory_mask'. Received: cache=.*{received}"):
        BeamSampler(2, coverage_penalty=0.1).search(None, prompt, cache=cache, index=1)


def test_the_config_makes_the_same_sampler_again():
    sampler = BeamSampler(
        7, num_hypotheses=2, length_penalty=0.6, coverage_penalty=0.2, temperature=1.5
    )
    again = keras_hub.samplers.deserialize(keras_hub.samplers.serialize(sampler))
    assert isinstance(again, BeamSampler)
    assert again.get_config() == sampler.get_config()


# === A model that is not ours ===


@pytest.fixture(scope="module")
def bart():
    backbone = keras_hub.models.BartBackbone(
        vocabulary_size=13,
        num_layers=1,
        num_heads=2,
        hidden_dim=8,
        intermediate_dim=11,
        max_sequence_length=11,
    )
    bart = keras_hub.models.BartSeq2SeqLM(backbone, preprocessor=None)
    tools.set_weights(bart, scale=1.0)
    return bart


@pytest.mark.rotates
@pytest.mark.parametrize("penalty", [0.0, 1.0])
def test_it_searches_a_bart_of_keras_hub_in_its_compiled_generation(bart, penalty):
    beams, length, stop = 3, 7, 2
    source = np.random.default_rng(7).integers(3, 13, size=(2, 5)).astype("int32")
    source_mask = tools.lengths_mask([5, 3], 5)
    prompt = np.zeros((2, length), dtype="int32")
    prompt[:, 0] = 2  # BART starts with its end token.
    bart.compile(sampler=BeamSampler(beams, length_penalty=penalty))
    generated = bart.generate(
        {
            "encoder_token_ids": source,
            "encoder_padding_mask": source_mask,
            "decoder_token_ids": prompt,
            "decoder_padding_mask": tools.lengths_mask([1, 1], length),
        },
        stop_token_ids=(stop,),
    )
    teacher_forced = tools.compiled(lambda *arrays: bart(dict(zip(names, arrays, strict=True))))
    names = (
        "encoder_token_ids",
        "encoder_padding_mask",
        "decoder_token_ids",
        "decoder_padding_mask",
    )
    for row in range(2):

        def log_probs_of(prefixes, row=row):
            padded = np.zeros((beams, length), dtype="int32")
            for place, prefix in enumerate(prefixes):
                padded[place, : len(prefix)] = prefix
            arrays = (
                np.repeat(source[row : row + 1], beams, axis=0),
                np.repeat(source_mask[row : row + 1], beams, axis=0),
                padded,
                np.ones((beams, length), dtype="bool"),
            )
            logits = tools.to_numpy(teacher_forced(*map(ops.convert_to_tensor, arrays)))
            return log_softmax(logits[: len(prefixes), len(prefixes[0]) - 1])

        wanted = naive_beam(
            log_probs_of, beams, length=length, stop=stop, penalty=penalty, given=(2,)
        )
        found = generated["decoder_token_ids"][row]
        assert until_stop(found, stops=(stop,)) == wanted[0][0]


# === Alignments ===


@pytest.mark.parametrize("length", [T, 9])
def test_alignments_are_those_of_the_steps_along_the_path_of_each_hypothesis(length):
    tables, beams = make_tables(3), 4
    alignments = tools.normal(V, 5).astype("float32")  # Of the token that entered: [V, S].
    sampler = BeamSampler(beams, num_hypotheses=3, length_penalty=0.6)
    cache = {**make_cache(3), "alignments": ops.zeros((3, 5))}
    prompt = ops.convert_to_tensor(make_prompt(3, length))
    arguments = {"index": 1, "stop_token_ids": (END,), "cache": cache}
    found = sampler.search(
        next_from(tables, alignments), prompt, **arguments, return_alignments=True
    )
    tokens, scores, along = tools.to_numpy(list(found))
    plain = sampler.search(next_from(tables), prompt, **{**arguments, "cache": make_cache(3)})
    np.testing.assert_array_equal(tokens, tools.to_numpy(plain[0]))
    np.testing.assert_array_equal(scores, tools.to_numpy(plain[1]))
    assert along.shape == (3, 3, length, 5)
    for hypothesis, rows in zip(
        tokens.reshape(-1, length), along.reshape(-1, length, 5), strict=True
    ):
        steps = len(until_stop(hypothesis))
        np.testing.assert_array_equal(rows[1:steps], alignments[hypothesis[: steps - 1]])


def test_alignments_need_a_cache_that_has_them():
    with pytest.raises(ValueError, match="'alignments'. Received: cache=<class 'dict'>"):
        BeamSampler(2).search(
            next_from(make_tables(1)),
            ops.convert_to_tensor(make_prompt(1)),
            cache=make_cache(1),
            index=1,
            return_alignments=True,
        )
