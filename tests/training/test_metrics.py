import gzip
import math
import pathlib
import sys

import pytest

from attnzoo.training import metrics
from attnzoo.training.metrics import (
    METRICS,
    bleu,
    character_error_rate,
    chrf,
    evaluate_predictions,
    exact_match,
    mean_edit_distance,
    phoneme_error_rate,
    token_error_rate,
    word_error_rate,
)

pytestmark = pytest.mark.backend_free

DATA = pathlib.Path(__file__).resolve().parents[3] / "shared" / "data"

WORDS = ["cat", "tomato", "naïve", "İstanbul", "ox"]
PREDICTIONS = ["K AE T", "T AH M AA T OW", "N AY V", "", "AA K S S"]
REFERENCES = [
    "K AE T",
    ["T AH M EY T OW", "T AH M AA T OW"],
    ["N AA IY V"],
    ["IH S T AE N B UH L", "IH S"],
    ("AA K S", "AO K S"),
]


def edit_distance(first, second):
    """Levenshtein's distance, from its recursive definition."""
    table = [[0] * (len(second) + 1) for _ in range(len(first) + 1)]
    for i in range(len(first) + 1):
        for j in range(len(second) + 1):
            if i == 0 or j == 0:
                table[i][j] = i + j
            else:
                table[i][j] = min(
                    table[i - 1][j] + 1,
                    table[i][j - 1] + 1,
                    table[i - 1][j - 1] + (first[i - 1] != second[j - 1]),
                )
    return table[-1][-1]


def answers_of(entry):
    return [entry] if isinstance(entry, str) else list(entry)


def reference_rate(split, predictions=PREDICTIONS, references=REFERENCES):
    rates = [
        min(edit_distance(split(p), split(a)) / len(split(a)) for a in answers_of(entry))
        for p, entry in zip(predictions, references, strict=True)
    ]
    return sum(rates) / len(rates)


def test_a_prediction_is_right_if_it_equals_one_of_its_references():
    assert exact_match(PREDICTIONS, REFERENCES) == 2 / 5
    assert word_error_rate(PREDICTIONS, REFERENCES) == 3 / 5


def test_equality_is_exact():
    assert exact_match(["k ae t", "K AE T "], ["K AE T", "K AE T"]) == 0.0
    assert exact_match(["Straße", "ışık"], ["Straße", "ışık"]) == 1.0


def test_word_error_rate_counts_a_word_with_several_pronunciations_once():
    assert word_error_rate(["R EH D", "N OW"], [["R IY D", "R EH D"], "N AA"]) == 0.5


def test_phoneme_error_rate_is_the_mean_of_the_best_reference():
    expected = reference_rate(str.split)
    assert phoneme_error_rate(PREDICTIONS, REFERENCES) == pytest.approx(expected, abs=1e-12)
    # by hand: 0, 0, 2 of 4, all, one more than 3
    assert expected == pytest.approx((0 + 0 + 2 / 4 + 1 + 1 / 3) / 5)


def test_phoneme_error_rate_takes_the_smallest_quotient_not_the_smallest_distance():
    # distance 1 of 2 symbols against distance 2 of 8 symbols
    prediction = "A B C D E F"
    references = ["A B C D E F G H", "A B C D X"]
    assert phoneme_error_rate([prediction], [references]) == 2 / 8
    assert edit_distance(prediction.split(), references[1].split()) == 2


def test_symbols_are_compared_whole():
    assert phoneme_error_rate(["AA B"], ["A B"]) == 0.5
    assert phoneme_error_rate(["AAB"], ["A B"]) == 1.0


def test_a_prediction_that_is_too_long_can_cost_more_than_one():
    assert phoneme_error_rate(["A A A A"], ["B"]) == 4.0


def test_character_error_rate_is_the_mean_of_the_best_reference():
    predictions = ["talo", "taloissa", "", "ışıklar", "a b"]
    references = ["talo", ["talossa", "talosta"], "x", ["ışık", "ışıklı"], "ab"]
    expected = reference_rate(list, predictions, references)
    assert character_error_rate(predictions, references) == pytest.approx(expected, abs=1e-12)


def test_mean_edit_distance_counts_characters():
    predictions = ["talo", "taloissa", "kädessä"]
    references = ["talo", ["talossa", "talosta"], "kadessa"]
    assert mean_edit_distance(predictions, references) == (0 + 1 + 2) / 3


def test_token_error_rate_pools_all_items():
    # 1 of 3 tokens, then 2 of 2: pooled 3 / 5, where the mean of rates would be 2 / 3
    assert token_error_rate(["the cat sat", "a"], ["the cat sits", "no dog"]) == 3 / 5


def test_token_error_rate_takes_the_reference_with_the_smallest_rate():
    best = token_error_rate(["a b c d"], [["a b x", "a b c d e f g h"]])
    assert best == 4 / 8  # not 2 / 3


@pytest.mark.parametrize(
    "metric", [phoneme_error_rate, character_error_rate, token_error_rate, mean_edit_distance]
)
def test_error_rates_are_zero_for_right_predictions_only(metric):
    right = [answers_of(entry)[-1] for entry in REFERENCES]
    assert metric(right, REFERENCES) == 0.0
    assert metric(PREDICTIONS, REFERENCES) > 0.0


def test_edit_distances_agree_with_a_plain_implementation_on_many_strings():
    pieces = ["K AE T", "AE K T", "T", "K K K AE", "S T R IY T", "IY T S", "", "Š ʒ ʒ Š"]
    for prediction in pieces:
        for reference in filter(None, pieces):
            expected = edit_distance(prediction.split(), reference.split()) / len(reference.split())
            assert phoneme_error_rate([prediction], [reference]) == pytest.approx(expected)


def test_bleu_of_equal_text_is_one_hundred_and_carries_its_signature():
    result = bleu(["the cat sat on the mat"], ["the cat sat on the mat"])
    assert result.score == 100.0
    assert "nrefs:1" in result.signature and "tok:13a" in result.signature
    assert "case:mixed" in result.signature


def test_bleu_agrees_with_its_definition():
    # One sentence of 7 tokens against 8: n-gram matches 6/7, 4/6, 2/5, 1/4 and a brevity penalty.
    prediction, reference = "a b c d x f g", "a b c d e f g h"
    precisions = [6 / 7, 4 / 6, 2 / 5, 1 / 4]
    expected = math.exp(1 - 8 / 7 + sum(map(math.log, precisions)) / 4)
    assert bleu([prediction], [reference]).score == pytest.approx(100 * expected)


def test_chrf_counts_short_texts_and_takes_different_numbers_of_references():
    assert chrf(["a flag", "moon"], [["red", "a flag"], "moon"]) == 100.0
    assert chrf(["ab"], ["cd"]) == 0.0
    # Of 3 characters 2 are right, of 2 pairs 1, of 1 triple none: no longer n-grams.
    precision = (2 / 3 + 1 / 2 + 0) / 3
    assert chrf(["abc"], ["abd"]) == pytest.approx(100 * precision)


def test_bleu_takes_different_numbers_of_references():
    predictions = ["the cat sat on the mat", "two dogs run over green grass"]
    references = [
        ["a cat was there once", "the cat sat on the mat"],
        "two dogs run over green grass",
    ]
    result = bleu(predictions, references)
    assert result.score == 100.0
    assert "nrefs:var" in result.signature


def test_bleu_counts_case_unless_told_otherwise():
    pair = (["The Cat Sat On The Mat"], ["the cat sat on the mat"])
    assert bleu(*pair).score < 5.0
    assert bleu(*pair, lowercase=True).score == 100.0
    assert "case:lc" in bleu(*pair, lowercase=True).signature


def test_bleu_names_the_tokenizers_it_knows():
    with pytest.raises(ValueError, match=r"`tokenize` must be one of .*13a.*tokenize=moses"):
        bleu(["a"], ["a"], tokenize="moses")


def test_evaluation_gives_each_metric_by_name():
    results = evaluate_predictions(PREDICTIONS, REFERENCES)
    assert list(results) == ["exact_match", "word_error_rate", "phoneme_error_rate"]
    assert results["exact_match"] == 1 - results["word_error_rate"] == 0.4
    assert results["phoneme_error_rate"] == phoneme_error_rate(PREDICTIONS, REFERENCES)


def test_evaluation_knows_every_metric():
    results = evaluate_predictions(PREDICTIONS, REFERENCES, metrics=tuple(METRICS))
    assert list(results) == list(METRICS)
    assert all(isinstance(value, float) for value in results.values())
    assert results["bleu"] == bleu(PREDICTIONS, REFERENCES).score
    assert evaluate_predictions(["A cat sat on a Mat"], ["a cat sat on a mat"], metrics=METRICS)[
        "bleu_lowercase"
    ] == pytest.approx(100.0)
    assert evaluate_predictions(PREDICTIONS, REFERENCES, metrics="bleu") == {
        "bleu": results["bleu"]
    }


def test_an_unknown_metric_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"exact_match.*token_error_rate.*Received: 'accuracy'"):
        evaluate_predictions(PREDICTIONS, REFERENCES, metrics=["accuracy"])


@pytest.mark.parametrize("name", list(METRICS))
def test_bad_items_are_refused_by_every_metric(name):
    metric = METRICS[name]
    with pytest.raises(ValueError, match="same length. Received: 2 predictions and 3 references"):
        metric(["a", "b"], ["a", "b", "c"])
    with pytest.raises(ValueError, match=r"at least 1 item. Received: predictions=\[\]"):
        metric([], [])
    with pytest.raises(ValueError, match=r"`references\[1\]` must hold at least 1 string"):
        metric(["a", "b"], ["a", []])
    with pytest.raises(ValueError, match=r"`references\[0\]` must not be empty. Received: ' '"):
        metric(["a"], [["a", " "]])
    with pytest.raises(TypeError, match="`predictions` must be a list.*Received: 'cat'"):
        metric("cat", ["c", "a", "t"])
    with pytest.raises(TypeError, match="`references` must be a list.*Received: 'cat'"):
        metric(["c", "a", "t"], "cat")
    with pytest.raises(TypeError, match=r"`predictions\[0\]` must be a string. Received: b'a'"):
        metric([b"a"], ["a"])
    with pytest.raises(TypeError, match=r"`references\[0\]` must be a string or.*Received: b'a'"):
        metric(["a"], [b"a"])


@pytest.mark.parametrize(
    "name", ["phoneme_error_rate", "character_error_rate", "token_error_rate", "mean_edit_distance"]
)
def test_a_missing_rapidfuzz_names_the_extra(name, monkeypatch):
    monkeypatch.setitem(sys.modules, "rapidfuzz", None)
    with pytest.raises(ImportError, match=rf"`{name}` needs rapidfuzz.*'attnzoo\[text\]'"):
        getattr(metrics, name)(["a"], ["a"])


def test_a_missing_sacrebleu_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "sacrebleu", None)
    with pytest.raises(ImportError, match=r"`bleu` needs sacrebleu.*'attnzoo\[text\]'"):
        bleu(["a"], ["a"])


def test_exact_match_needs_no_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "rapidfuzz", None)
    monkeypatch.setitem(sys.modules, "sacrebleu", None)
    names = ["exact_match", "word_error_rate"]
    assert evaluate_predictions(["a"], ["a"], metrics=names) == {
        "exact_match": 1.0,
        "word_error_rate": 0.0,
    }


@pytest.mark.skipif(not (DATA / "cmudict" / "dev.tsv.gz").exists(), reason="needs CMUdict")
def test_any_pronunciation_in_the_dictionary_is_right():
    references = {}
    with gzip.open(DATA / "cmudict" / "dev.tsv.gz", "rt", encoding="utf-8") as file:
        for line in file:
            letters, phonemes = line.rstrip("\n").split("\t")
            references.setdefault(letters, []).append(phonemes)
    answers = list(references.values())
    assert any(len(entry) > 1 for entry in answers)
    last = [entry[-1] for entry in answers]
    assert evaluate_predictions(last, answers) == {
        "exact_match": 1.0,
        "word_error_rate": 0.0,
        "phoneme_error_rate": 0.0,
    }
    shortened = [entry[-1].rpartition(" ")[0] for entry in answers]
    expected = reference_rate(str.split, shortened[:97], answers[:97])
    assert phoneme_error_rate(shortened[:97], answers[:97]) == pytest.approx(expected)
