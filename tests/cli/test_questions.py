"""Question answering by command: train, measure, predict."""

import json

import pytest

from attnzoo.cli import main
from tests.models.transformer_encoder.test_span_qa import PAIRS, SPANS

pytestmark = pytest.mark.shared("torch")


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "questions.jsonl"
    with path.open("w") as lines:
        for (question, context), (start, end) in zip(PAIRS, SPANS, strict=True):
            answers = [{"text": context[start:end], "start": start}]
            line = {"question": question, "context": context, "answers": answers}
            lines.write(json.dumps(line) + "\n")
    return path


def train(file, output, *options):
    sizes = ["--embedding-dim", "8", "--hidden-dim", "16", "--batch-size", "4", "--verbose", "0"]
    data = ["--train", *[str(file)] * 8, "--dev", str(file), "--output", str(output)]
    return main(["train", "--task", "span_qa", *data, *sizes, *options])


def test_train_measure_and_answer(file, tmp_path, capsys):
    options = ["--match-ngrams", "1", "--epochs", "12", "--learning-rate", "0.02"]
    assert train(file, tmp_path / "run", *options, "--span-unit", "word_parts") == 0
    preset = str(tmp_path / "run" / "preset")
    figures = tmp_path / "figures.json"
    assert main(["evaluate", preset, "--data", str(file), "--json", str(figures)]) == 0
    record = json.loads(figures.read_text())
    assert record["sources"] == 4 and record["answer_exact_match"] == 1.0
    assert record["answer_f1"] == record["answer_f1_characters"] == 1.0
    capsys.readouterr()
    assert main(["evaluate", preset, "--data", str(file), "--metrics", "bleu"]) == 2
    assert "Answers are measured by" in capsys.readouterr().err


def test_what_does_not_fit_is_refused(file, tmp_path, capsys):
    assert train(file, tmp_path / "run", "--inflections") == 2
    assert "Questions are read from JSON" in capsys.readouterr().err
    assert train(file, tmp_path / "run", "--mask-rate", "0.5") == 2
    assert "`--mask-rate` needs `--task masked_lm`" in capsys.readouterr().err
