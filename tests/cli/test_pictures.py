"""What the commands show of a Transformer's heads and of a classified text."""

import matplotlib.image
import pytest

from attnzoo import data, models
from attnzoo.cli import main
from tests.models import tiny

pytestmark = pytest.mark.shared("torch")


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures") / "classifier"
    tiny.make_transformer("TextClassifier", encoder={"num_layers": 1}).save_to_preset(str(folder))
    return folder


@pytest.fixture(scope="module")
def recurrent(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures") / "recurrent"
    tiny.make_task(tiny.make_preprocessor()).save_to_preset(str(folder))
    return folder


def test_plot_draws_the_heads_of_a_transformer_that_reads(classifier, tmp_path):
    picture = tmp_path / "heads.png"
    assert main(["plot", str(classifier), "a good film", "--heads", "--output", str(picture)]) == 0
    height, width, _ = matplotlib.image.imread(picture).shape
    assert width > 1.5 * height  # Two heads, one layer.


def test_plot_draws_the_heads_of_a_transformer_that_generates(tmp_path):
    preprocessor = models.TransformerSeq2SeqLMPreprocessor(
        data.CharacterTokenizer.from_texts(tiny.WORDS),
        data.SymbolTokenizer.from_texts(tiny.PHONEMES),
    )
    backbone = models.TransformerSeq2SeqBackbone(
        8, 10, hidden_dim=8, num_heads=2, num_encoder_layers=1, num_decoder_layers=1
    )
    task = models.TransformerSeq2SeqLM(backbone, preprocessor)
    task.save_to_preset(str(tmp_path / "preset"))
    arguments = ["plot", str(tmp_path / "preset"), "cat", "--target", "K AE T", "--heads"]
    assert main([*arguments, "--output", str(tmp_path / "heads.png")]) == 0
    assert (tmp_path / "heads.png").read_bytes().startswith(b"\x89PNG")


def test_predict_highlights_what_spoke_for_the_class(classifier, tmp_path, capsys):
    (tmp_path / "texts.txt").write_text("a good film\n\ngood\n")
    assert main(["predict", str(classifier), str(tmp_path / "texts.txt"), "--highlight"]) == 0
    first, empty, last = capsys.readouterr().out.splitlines()
    label, text = first.split("\t")
    assert label in tiny.CLASSES and "film" in text and "[" in text and empty == ""
    assert last.split("\t")[0] in tiny.CLASSES


def test_what_a_model_does_not_have_is_told(classifier, recurrent, tmp_path, capsys):
    picture = ["--heads", "--output", str(tmp_path / "heads.png")]
    assert main(["plot", str(recurrent), "cat", *picture]) == 2
    assert "`--heads` is for a Transformer" in capsys.readouterr().err
    assert main(["plot", str(classifier), "good", "bad", *picture]) == 2
    assert "Received: 2 sources, 1 models" in capsys.readouterr().err
    assert main(["plot", str(classifier), "good", *picture[1:]]) == 2
    assert "a task that generates. Received: a TransformerText" in capsys.readouterr().err
    (tmp_path / "words.txt").write_text("cat\n")
    assert main(["predict", str(recurrent), str(tmp_path / "words.txt"), "--highlight"]) == 2
    assert "is for a text classifier. Received: RNNSeq2SeqLM" in capsys.readouterr().err
