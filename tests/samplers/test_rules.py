"""The rules of an output, held to small tables searched exhaustively."""

import keras_hub
import numpy as np
import pytest
from keras import ops

from attnzoo.samplers import BeamSampler
from attnzoo.samplers.history import History
from attnzoo.samplers.phrases import WantedPhrases
from tests import tools
from tests.samplers.test_beam import (
    END,
    START,
    assert_equals_exhaustive,
    log_softmax,
    make_cache,
    make_prompt,
    make_tables,
    naive_beam,
    next_from,
    search,
    until_stop,
)

T = 5  # Places with the start token: 4 tokens to find, of 4.
ALL = 121  # Beams enough to keep every hypothesis there is.
NEVER = -1e9

# In each case the best hypotheses without the rule break it.
RULES = {
    "min_length": {"min_length": 3},
    "no_repeat_ngram_size": {"no_repeat_ngram_size": 2},
    "no_repeat_unigram": {"no_repeat_ngram_size": 1},
    "repetition_penalty": {"repetition_penalty": 2.5},
    "banned_phrases": {"banned_phrases": [[3], [2, 0], [0, 0, 2]]},
    "wanted_phrases": {"wanted_phrases": [[3, 2], [0]]},
    "all": {
        "min_length": 2,
        "no_repeat_ngram_size": 2,
        "repetition_penalty": 1.5,
        "banned_phrases": [[2, 0]],
        "wanted_phrases": [[3, 3]],
    },
}


def has(tokens, phrase):
    size = len(phrase)
    return any(tuple(tokens[i : i + size]) == tuple(phrase) for i in range(len(tokens) - size + 1))


def step(row, made, rules):
    """log p of each next token under the rules, for the tokens `made` without the start."""
    row, size = np.array(row), rules.get("no_repeat_ngram_size", 0)
    for token in set(made):
        row[token] *= rules.get("repetition_penalty", 1.0)
    for token in range(len(row)):
        grown = (*made, token)
        ngrams = [grown[i : i + size] for i in range(len(grown) - size + 1)] if size else []
        repeats = bool(ngrams) and ngrams[-1] in ngrams[:-1]
        banned = any(has(grown, phrase) for phrase in rules.get("banned_phrases", ()))
        lacking = not all(has(made, phrase) for phrase in rules.get("wanted_phrases", ()))
        early = len(made) < rules.get("min_length", 0) or lacking
        if repeats or banned or (early and token == END):
            row[token] = NEVER
    return row


def exhaustive(table, rules, penalty=0.0):
    """Every hypothesis that keeps the rules, with its score, best first."""
    log_probs, found = log_softmax(table), {}

    def grow(tokens, log_p):
        made = tokens[1:]
        ended = made and made[-1] == END
        if ended or len(tokens) == T:
            if log_p > NEVER / 2 and all(has(made, p) for p in rules.get("wanted_phrases", ())):
                found[tokens] = log_p / ((5 + len(made) - bool(ended)) / 6) ** penalty
            return
        row = step(log_probs[tokens[max(len(tokens) - 2, 0)], tokens[-1]], made, rules)
        for token, value in enumerate(row):
            grow((*tokens, token), log_p + value)

    grow((START,), 0.0)
    return sorted(found.items(), key=lambda item: -item[1])


@pytest.mark.parametrize("name", RULES)
def test_the_best_that_keep_the_rules_are_found(name):
    rules, penalty = RULES[name], 0.6
    tables = make_tables(3, seed=8)
    sampler = BeamSampler(ALL, num_hypotheses=4, length_penalty=penalty, **rules)
    tokens, scores = search(sampler, tables, prompt=make_prompt(3, T))
    expected = [exhaustive(table, rules, penalty)[:4] for table in tables]
    assert_equals_exhaustive(tokens, scores, expected)
    plain = [exhaustive(table, {}, penalty)[:4] for table in tables]
    assert [[tokens for tokens, _ in one] for one in plain] != [
        [tokens for tokens, _ in one] for one in expected
    ]


@pytest.mark.shared("torch")
@pytest.mark.parametrize("beams", [1, 3])
def test_few_beams_are_the_textbook_search_over_what_is_allowed(beams):
    rules = {**RULES["all"], "wanted_phrases": []}
    tables = make_tables(5, seed=9)
    tokens, scores = search(BeamSampler(beams, **rules), tables, prompt=make_prompt(5, T))
    for table, found, score in zip(tables, tokens, scores, strict=True):
        log_probs = log_softmax(table)
        wanted = naive_beam(
            lambda prefixes, log_probs=log_probs: [
                step(log_probs[(START, *p)[-2], p[-1]], p[1:], rules) for p in prefixes
            ],
            beams,
            length=T,
            stop=END,
        )
        assert_equals_exhaustive(found[None], score[None], [wanted[:1]])


@pytest.mark.shared("torch")
@pytest.mark.parametrize("beams", [1, 2, 4, 7])
def test_a_wanted_phrase_is_in_every_output_however_few_the_beams(beams):
    phrases = [[3, 2], [0, 2]]
    tables = make_tables(11, seed=10)
    tables[..., END] += 5.0  # Short outputs are the probable ones.
    sampler = BeamSampler(beams, wanted_phrases=phrases)
    tokens, scores = search(sampler, tables, prompt=make_prompt(11, 7))
    for row in tokens[:, 0]:
        assert all(has(until_stop(row), phrase) for phrase in phrases)
    assert (scores > -1e6).all()


@pytest.mark.shared("torch")
def test_more_beams_than_wanted_tokens_search_better():
    phrases = [[3, 2], [0, 2]]
    tables = make_tables(31, seed=11)
    few, many = (
        search(BeamSampler(beams, wanted_phrases=phrases), tables, prompt=make_prompt(31, 7))[1]
        for beams in (1, 10)
    )
    assert (many >= few - 1e-5).mean() > 0.9 and many.mean() > few.mean() + 1.0


@pytest.mark.shared("torch")
def test_what_keeps_no_rule_has_a_score_that_says_so():
    sampler = BeamSampler(3, banned_phrases=[[3]], wanted_phrases=[[3]])
    _, scores = search(sampler, make_tables(2), prompt=make_prompt(2, T))
    assert (scores < -1e6).all() and np.isfinite(scores).all()


def test_a_forced_prefix_begins_each_output_without_a_prompt():
    tables, prefix = make_tables(2, seed=12), [3, 2]
    prompt, mask = make_prompt(2, T), np.arange(T) < np.array([[1], [2]])
    prompt[1, 1] = 0  # The second has a prompt of its own.
    sampler = BeamSampler(ALL, num_hypotheses=3, forced_prefix=prefix, length_penalty=1.0)
    tokens, scores = search(sampler, tables, prompt=prompt, mask=ops.convert_to_tensor(mask))
    prompt[0, 1:3] = prefix
    given = [(START, 3, 2), (START, 0)]
    for row in range(2):
        log_probs = log_softmax(tables[row])
        wanted = naive_beam(
            lambda prefixes, log_probs=log_probs: [
                log_probs[(START, *p)[-2], p[-1]] for p in prefixes
            ],
            ALL,
            length=T,
            stop=END,
            penalty=1.0,
            given=given[row],
        )
        assert_equals_exhaustive(
            tokens[row : row + 1], scores[row : row + 1], [wanted[:3]], given=len(given[row])
        )


@pytest.mark.shared("torch")
def test_a_prompt_may_break_every_rule():
    prompt, mask = make_prompt(1, T), np.arange(T)[None, :] < 4
    prompt[0, 1:4] = (2, 2, 2)
    sampler = BeamSampler(3, no_repeat_ngram_size=1, banned_phrases=[[2]])
    tokens, scores = search(
        sampler, make_tables(1), prompt=prompt, mask=ops.convert_to_tensor(mask)
    )
    assert tokens[0, 0, :4].tolist() == [START, 2, 2, 2] and tokens[0, 0, 4] != 2
    assert scores[0, 0] > -1e6


@pytest.mark.shared("torch")
def test_banks_count_whole_phrases_and_the_one_that_was_begun():
    wanted = WantedPhrases([[5, 6, 7], [6, 8]])
    outputs = np.array([[5, 6, 0, 0], [5, 6, 7, 0], [6, 8, 5, 0], [9, 0, 0, 0]])
    expected = [
        {7: 3, 8: 2, 5: 1, 6: 1, 9: 0},
        {6: 4, 9: 3},
        {6: 2 + 2, 9: 2},  # 5 6 is begun, and so is 6 of the phrase that is there already.
        {5: 1, 6: 1, 9: 0},
    ]
    for output, banks in zip(outputs, expected, strict=True):
        index = int((output > 0).sum())
        history = History(ops.convert_to_tensor(output[None]), 0, index)
        met = wanted.met(history)
        found = wanted.banks(history, met, ops.convert_to_tensor([list(banks)]))
        assert tools.to_numpy(found)[0].tolist() == list(banks.values())


def test_texts_become_ids():
    sampler = BeamSampler(
        3, forced_prefix="ab", banned_phrases=["c", [7, 8]], wanted_phrases=["d"], min_length=2
    )
    found = sampler.with_token_ids(lambda text: [ord(letter) for letter in text]).get_config()
    assert found["forced_prefix"] == [97, 98]
    assert found["banned_phrases"] == [[99], [7, 8]] and found["wanted_phrases"] == [[100]]
    assert found["min_length"] == 2 and found["num_beams"] == 3


def test_the_config_makes_the_same_sampler_again():
    sampler = BeamSampler(7, **RULES["all"], forced_prefix="a b")
    again = keras_hub.samplers.deserialize(keras_hub.samplers.serialize(sampler))
    assert again.get_config() == sampler.get_config()
    assert again.get_config()["wanted_phrases"] == [[3, 3]]


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"min_length": -1}, "`min_length` must be at least 0. Received: min_length=-1"),
        ({"no_repeat_ngram_size": -2}, "Received: no_repeat_ngram_size=-2"),
        ({"repetition_penalty": 0.5}, "at least 1. Received: repetition_penalty=0.5"),
        ({"forced_prefix": ""}, "`forced_prefix` must have phrases .* Received: ''"),
        ({"banned_phrases": "a b"}, "must be a list of phrases. Received: banned_phrases='a b'"),
        ({"banned_phrases": [[1.5]]}, r"not empty. Received: \[1.5\]"),
        ({"wanted_phrases": [[]]}, r"`wanted_phrases` must have .* Received: \[\]"),
        ({"wanted_phrases": [[-1]]}, r"Received: \[-1\]"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        BeamSampler(**arguments)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"banned_phrases": ["ab"]}, "token ids; a task turns texts into them. Received: 'ab'"),
        ({"wanted_phrases": [[2, END]]}, r"no end token, of \[1\]. Received: \[2, 1\]"),
        ({"forced_prefix": [2] * T}, "longest output. Received: 5 tokens for 4"),
    ],
)
def test_phrases_that_no_search_can_keep_are_refused(arguments, message):
    sampler, prompt = BeamSampler(2, **arguments), ops.convert_to_tensor(make_prompt(1, T))
    with pytest.raises(ValueError, match=message):
        sampler.search(
            next_from(make_tables(1)), prompt, make_cache(1), index=1, stop_token_ids=(END,)
        )
