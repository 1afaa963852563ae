"""The maker of presets: what it stores, measures and writes of a run."""

import gzip
import json
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from attnzoo import data, models, presets
from attnzoo.cli.run_records import RunRecord, read_folder
from attnzoo.cli.settings import make_settings
from attnzoo.cli.train import train

pytestmark = pytest.mark.shared("torch")

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))
import preset_texts  # noqa: E402
import presets as maker  # noqa: E402

SOURCE = {
    "train": ["train.tsv.gz"],
    "dev": ["dev.tsv.gz"],
    "test": ["test.tsv.gz"],
    "source": "Made here.",
    "licence": "None.",
    "limits": ["Four words."],
    "biases": ["Of letters."],
}
ABOUT = {
    "task": "pronunciation",
    "languages": ["en"],
    "data": "letters",
    "summary": "Letters.",
    "example": "ab",
}
PAIRS = [("ab", "A B"), ("ba", "B A"), ("abb", "A B B"), ("abb", "A B")]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A preset that was made of a run, and its folder of data."""
    folder = tmp_path_factory.mktemp("made")
    text = "".join(f"{source}\t{target}\n" for source, target in PAIRS)
    for part in ("train", "dev", "test"):
        (folder / f"{part}.tsv.gz").write_bytes(gzip.compress(text.encode()))
    settings = make_settings(
        source_tokenizer="character", hidden_dim=6, embedding_dim=5, epochs=1, num_buckets=1
    )
    run = folder / "rnn_seq2seq_small_letters"
    train(settings, PAIRS, PAIRS, run, verbose=0)
    (figures,) = maker.measure(
        run / "preset", ["--data", str(folder / "test.tsv.gz")], ["word_error_rate"], [[]]
    )
    (run / "greedy.json").write_text(json.dumps(figures))
    texts = {"presets": {run.name: ABOUT}, "data": {"letters": SOURCE}}
    maker.make_preset(read_folder(run), folder, texts, folder / "presets")
    return folder / "presets" / run.name


def test_a_preset_has_its_card_record_and_held_out_lines(made):
    card = presets.read_card(made)
    assert card.name == "rnn_seq2seq_small_letters" and card.model == "RNNSeq2SeqLM"
    assert card.recipe == (
        "attnzoo train --train DATA/train.tsv.gz --dev DATA/dev.tsv.gz --output RUN "
        "--num-buckets 1 --source-tokenizer character --hidden-dim 6 --embedding-dim 5 --epochs 1"
    )
    assert {(score.data, score.decoding) for score in card.scores} == {
        ("test", "greedy"),
        ("test", "beam 5"),
        ("held out", "greedy"),
    }
    assert card.held_out().sources == 3  # Words, of which one has two pronunciations.
    assert (made / "held_out.tsv").read_text() == "ab\tA B\nba\tB A\nabb\tA B B\nabb\tA B\n"
    assert card.reads.startswith("`a b`; capital letters as small ones; no digits;")
    assert "--dropout" not in card.fine_tune


def test_weights_are_stored_in_half_and_computed_in_full(made):
    with h5py.File(made / "model.weights.h5") as file:
        types = []
        file.visititems(
            lambda _, item: types.append(item.dtype) if isinstance(item, h5py.Dataset) else None
        )
    assert set(types) == {np.dtype("float16")}
    task = models.RNNSeq2SeqLM.from_preset(made)
    assert {weight.dtype for weight in task.weights} <= {"float32", "uint32", "int64"}
    assert task.preprocessor.source_tokenizer.lowercase
    assert task.generate(["AB"]) == task.generate(["ab"])


def test_arrays_of_other_types_and_attributes_are_kept(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        group = file.create_group("layers/one")
        group.attrs["name"] = "one"
        group.create_dataset("0", data=np.full((3, 2), 0.5, "float32"))
        group.create_dataset("1", data=np.arange(3, dtype="int64"))
        group.create_dataset("2", data=np.float32(1.5))
    maker.convert(path, "float16")
    with h5py.File(path) as file:
        group = file["layers/one"]
        assert group.attrs["name"] == "one"
        assert [group[key].dtype.name for key in "012"] == ["float16", "int64", "float16"]
        assert group["0"][0, 0] == 0.5 and group["2"][()] == 1.5


def test_a_preset_that_was_started_from_another_names_it_in_its_recipe():
    options = make_settings(task="classifier", model="transformer", preset="runs/one/preset")
    recipe = {**options.as_options(), "preset": "one"}
    text = preset_texts.recipe(RunRecord("a", recipe, {}, {}), {"train": ["a"], "dev": ["b"]})
    assert text.endswith(" --output RUN --task classifier --model transformer --preset one")
    more = preset_texts.fine_tuning(RunRecord("two", recipe, {}, {}), [])
    assert more.endswith(" --learning-rate 0.0005 --task classifier --model transformer")


def test_a_loss_is_in_points_and_larger_is_worse():
    before = {"decoding": "greedy", "word_error_rate": 0.25, "exact_match": 0.75}
    record = RunRecord("a", {}, {}, {"greedy": before})
    worse = {"decoding": "greedy", "word_error_rate": 0.26, "exact_match": 0.74}
    assert maker.loss(record, worse, "word_error_rate") == pytest.approx(1)
    assert maker.loss(record, worse, "exact_match") == pytest.approx(1)
    with pytest.raises(ValueError, match="run=None, without decoding='greedy'"):
        maker.loss(RunRecord("a", {}, {}, {}), worse, "exact_match")


def test_case_is_folded_where_the_data_had_none():
    assert maker.folds_case(data.CharacterTokenizer.from_texts(["añ"]))
    assert not maker.folds_case(data.CharacterTokenizer.from_texts(["aB"]))
    assert not maker.folds_case(data.SymbolTokenizer.from_texts(["a b"]))


def test_held_out_lines_are_spread_and_items_are_whole(tmp_path):
    words = [(f"w{number}", answer) for number in range(90) for answer in "ab"]
    (tmp_path / "test.tsv").write_text("".join(f"{word}\t{answer}\n" for word, answer in words))
    maker.write_held_out(tmp_path / "few.tsv", tmp_path, {"test": ["test.tsv"]})
    lines = (tmp_path / "few.tsv").read_text().splitlines()
    assert len(lines) == 60 and lines[:3] == ["w0\ta", "w0\tb", "w3\ta"]
