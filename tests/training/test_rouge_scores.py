"""ROUGE by rouge-score, and for any script."""

import sys

import pytest

from attnzoo.training import UnicodeTokenizer, rouge
from attnzoo.training.rouge_scores import METRICS, rouge_metrics

pytestmark = pytest.mark.backend_free


def test_words_of_any_script_are_tokens():
    tokenize = UnicodeTokenizer().tokenize
    assert tokenize("Größe, don't_stop 3.5") == ["grösse", "don", "t", "stop", "3", "5"]
    assert tokenize("東京 is ab1東") == ["東", "京", "is", "ab1", "東"]
    assert tokenize("ไทย") == ["ไ", "ท", "ย"] and tokenize("мир, мир!") == ["мир", "мир"]


def test_f1_is_the_mean_over_items_of_the_best_reference():
    pytest.importorskip("rouge_score")
    found = rouge(["a b c", "x"], [["a b", "a b c d"], "y"])
    assert found["rouge1"] == pytest.approx((2 * 0.75 / 1.75) / 2)
    assert found["rouge2"] == pytest.approx((2 * (2 / 3) / (1 + 2 / 3)) / 2)
    assert found["rougeL"] == found["rouge1"]


def test_other_scripts_need_unicode():
    pytest.importorskip("rouge_score")
    texts = ["мир и дом", "東京"]
    assert rouge(texts, texts)["rouge1"] == 0.0
    assert rouge(texts, texts, unicode=True)["rougeL"] == 1.0
    assert rouge(["Größe"], ["Grüße"])["rouge1"] == 1.0
    assert rouge(["Größe"], ["Grüße"], unicode=True)["rouge1"] == 0.0
    found = rouge_metrics(texts, texts, ["rouge2", "bleu", "rouge2_unicode"])
    assert found == {"rouge2": 0.0, "rouge2_unicode": 1.0} and set(found) <= set(METRICS)


def test_what_cannot_be_measured_is_refused(monkeypatch):
    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, "rouge_score.rouge_scorer", None)
        with pytest.raises(ImportError, match=r"needs rouge-score. .* 'attnzoo\[text\]'"):
            rouge(["a"], ["a"])
    pytest.importorskip("rouge_score")
    with pytest.raises(ValueError, match="rougeL. Received: rouge0"):
        rouge(["a"], ["a"], kinds=["rouge0"])
    with pytest.raises(ValueError, match="Received: 1 predictions and 2 references"):
        rouge(["a"], ["a", "b"])
