"""Tokenizers: the same in Python, in a graph, and in a SavedModel that TensorFlow loads alone."""

import json
import subprocess
import sys
import textwrap

import keras
import keras_hub
import numpy as np
import pytest

import attnzoo
from attnzoo.data import CharacterTokenizer, SymbolTokenizer

pytestmark = [pytest.mark.graph, pytest.mark.shared("torch")]

SPECIAL = ["[PAD]", "[UNK]", "[START]", "[END]"]
LETTERS = [*SPECIAL, "a", "é", " ", "\n", "字"]
PHONEMES = [*SPECIAL, "AH", "B", "é\u00a0", "<tag;x>"]


@pytest.fixture
def characters():
    return CharacterTokenizer(LETTERS)


@pytest.fixture
def symbols():
    return SymbolTokenizer(PHONEMES)


# === Vocabulary ===


def test_vocabulary_is_ordered_by_count_then_alphabet():
    tokenizer = CharacterTokenizer.from_texts(["cab", "b", "ca"])
    assert tokenizer.get_vocabulary() == [*SPECIAL, "a", "b", "c"]
    tokenizer = SymbolTokenizer.from_texts(iter(["T D\tT", " B ", "D T\n"]))
    assert tokenizer.get_vocabulary() == [*SPECIAL, "T", "D", "B"]


def test_rare_symbols_and_those_past_the_size_are_left_out():
    texts = ["aaabbc"]
    assert CharacterTokenizer.from_texts(texts, min_count=2).get_vocabulary()[4:] == ["a", "b"]
    tokenizer = CharacterTokenizer.from_texts(texts, max_size=5)
    assert tokenizer.vocabulary_size() == 5
    assert tokenizer.get_vocabulary()[4:] == ["a"]


def test_lowercase_applies_to_vocabulary_and_text():
    tokenizer = CharacterTokenizer.from_texts(["AÉ", "a"], lowercase=True, name="letters")
    assert tokenizer.get_vocabulary()[4:] == ["a", "é"]
    assert tokenizer.tokenize("Éa") == [5, 4]
    assert tokenizer.name == "letters"


def test_special_tokens_have_agreed_ids(characters, symbols):
    for tokenizer in (characters, symbols):
        assert tokenizer.pad_token_id == 0
        assert tokenizer.unk_token_id == 1
        assert tokenizer.start_token_id == 2
        assert tokenizer.end_token_id == 3
        assert sorted(tokenizer.special_token_ids) == [0, 2, 3]
        assert tokenizer.unk_token == "[UNK]"


def test_ids_and_tokens_are_inverse(symbols):
    assert symbols.vocabulary_size() == len(PHONEMES)
    for id, token in enumerate(PHONEMES):
        assert symbols.id_to_token(id) == token
        assert symbols.token_to_id(token) == id


def test_returned_vocabulary_is_a_copy(characters):
    characters.get_vocabulary().append("x")
    assert characters.get_vocabulary() == LETTERS


def test_a_new_vocabulary_replaces_the_old_one(characters):
    tf = pytest.importorskip("tensorflow")
    tokenize = lambda: tf.function(characters.tokenize)(tf.constant("b")).numpy().tolist()  # noqa: E731
    assert tokenize() == [1]
    characters.set_vocabulary([*SPECIAL, "b"])
    assert tokenize() == characters.tokenize("b") == [4]


@pytest.mark.parametrize(
    ("tokenizer_class", "vocabulary", "message"),
    [
        (CharacterTokenizer, [*SPECIAL, "a", "b", "a"], r"Received twice: \['a'\]"),
        (CharacterTokenizer, ["a", "b"], r"must start with .* Received: \['a', 'b'\]"),
        (SymbolTokenizer, ["[PAD]", "[START]", "[UNK]", "[END]"], r"\['\[PAD\]', '\[START\]'"),
        (CharacterTokenizer, [*SPECIAL, "ab"], "single characters. Received: 'ab'"),
        (SymbolTokenizer, [*SPECIAL, "a b"], "no white space. Received: 'a b'"),
        (SymbolTokenizer, [*SPECIAL, ""], "Received: ''"),
        (SymbolTokenizer, [*SPECIAL, 7], "must hold strings. Received: 7"),
        (SymbolTokenizer, "vocabulary.txt", "list of strings. Received: vocabulary='vocabulary"),
        (SymbolTokenizer, 7, "list of strings. Received: vocabulary=7"),
    ],
)
def test_a_wrong_vocabulary_is_an_error(tokenizer_class, vocabulary, message):
    with pytest.raises(ValueError, match=message):
        tokenizer_class(vocabulary)


@pytest.mark.parametrize(
    ("texts", "arguments", "message"),
    [
        ("abc", {}, "several strings. Received: texts='abc'"),
        (["a"], {"min_count": 0}, "Received: min_count=0"),
        (["a"], {"max_size": 4}, "Received: max_size=4"),
        (["", " "], {}, "Received: 0 symbols"),
        (["a b"], {"min_count": 2}, "Received: 2 symbols, min_count=2"),
    ],
)
def test_texts_without_a_vocabulary_are_an_error(texts, arguments, message):
    with pytest.raises(ValueError, match=message):
        SymbolTokenizer.from_texts(texts, **arguments)


def test_use_without_a_vocabulary_is_an_error():
    tokenizer = SymbolTokenizer()
    for use in (
        lambda: tokenizer.tokenize("a"),
        lambda: tokenizer.detokenize([4]),
        lambda: tokenizer.token_to_id("a"),
        lambda: tokenizer.id_to_token(4),
        tokenizer.get_vocabulary,
        tokenizer.vocabulary_size,
        lambda: tokenizer.lookup_table,
    ):
        with pytest.raises(ValueError, match="SymbolTokenizer has no vocabulary yet"):
            use()
    with pytest.raises(ValueError, match="before a vocabulary"):
        _ = tokenizer.special_token_ids


def test_tokens_and_ids_outside_of_the_vocabulary_are_errors(symbols):
    with pytest.raises(ValueError, match="Received: token='ZZ'"):
        symbols.token_to_id("ZZ")
    for id in (-1, len(PHONEMES)):
        with pytest.raises(ValueError, match=f"Received: id={id}"):
            symbols.id_to_token(id)
        with pytest.raises(ValueError, match=rf"in \[0, 8\). Received: {id}"):
            symbols.detokenize([[4, id]])


def test_a_floating_point_dtype_is_an_error():
    with pytest.raises(ValueError, match="Received: float32"):
        CharacterTokenizer(LETTERS, dtype="float32")


# === Outside of a graph ===


def test_unknown_symbols_become_unk_and_are_shown(characters, symbols):
    assert characters.tokenize("axé") == [4, 1, 5]
    assert characters.detokenize([4, 1, 5]) == "a[UNK]é"
    assert symbols.tokenize("AH ZZ B") == [4, 1, 5]
    assert symbols.detokenize([4, 1, 5]) == "AH [UNK] B"


def test_text_cannot_spell_a_control_token(symbols):
    assert symbols.tokenize("[PAD] [END] AH [UNK]") == [1, 1, 4, 1]
    assert SymbolTokenizer.from_texts(["[END] a"]).get_vocabulary() == [*SPECIAL, "a"]


def test_symbols_are_what_is_looked_up(characters, symbols):
    assert symbols.symbols(["B  zz", ""]) == [["B", "zz"], []]
    assert characters.symbols(b"a b") == ["a", " ", "b"]
    assert CharacterTokenizer(LETTERS, lowercase=True).symbols(np.array(["AB"])) == [["a", "b"]]
    assert symbols.look_up([["B", "zz", "[END]"], []]) == symbols.tokenize(["B zz [END]", ""])
    assert symbols.look_up(["B", "zz"]) == [5, 1]


def test_space_and_newline_are_characters(characters):
    assert characters.tokenize("a \n字") == [4, 6, 7, 8]
    assert characters.detokenize([4, 6, 7, 8]) == "a \n字"


def test_only_ascii_white_space_separates_symbols(symbols):
    assert symbols.tokenize("  AH\té\u00a0\n<tag;x>\r\n") == [4, 6, 7]
    assert symbols.tokenize(" ") == []


def test_control_tokens_are_left_out_of_text(characters, symbols):
    ids = [[2, 4, 3, 0], [2, 3, 0, 0], [2, 4, 5, 3]]
    assert characters.detokenize(ids) == ["a", "", "aé"]
    assert symbols.detokenize(ids) == ["AH", "", "AH B"]


def test_any_kind_of_text_gives_the_same_ids(characters):
    tf = pytest.importorskip("tensorflow")
    texts, ids = ["aé", "", "字x"], [[4, 5], [], [8, 1]]
    for inputs in (
        texts,
        tuple(texts),
        np.array(texts),
        np.array(texts, dtype=object),
        [text.encode() for text in texts],
        tf.constant(texts),
        [tf.constant(text) for text in texts],
    ):
        assert characters.tokenize(inputs) == ids
        assert characters(inputs) == ids
    for inputs in ("aé", "aé".encode(), np.str_("aé"), tf.constant("aé")):
        assert characters.tokenize(inputs) == [4, 5]
        assert list(characters(inputs)) == [4, 5]
    nested = [["a", "é"], ["aé"]]
    assert characters.tokenize(nested) == [[[4], [5]], [[4, 5]]]
    assert characters.tokenize(tf.ragged.constant(nested)) == [[[4], [5]], [[4, 5]]]
    assert characters.tokenize([]) == []


def test_any_kind_of_ids_gives_the_same_text(symbols):
    tf = pytest.importorskip("tensorflow")
    ids, texts = [[4, 5, 0], [5, 0, 0]], ["AH B", "B"]
    for inputs in (
        ids,
        tuple(map(tuple, ids)),
        np.array(ids),
        np.array(ids, "int32"),
        list(np.array(ids)),
        keras.ops.convert_to_tensor(ids),
        tf.constant(ids),
        tf.ragged.constant([[4, 5], [5]]),
    ):
        assert symbols.detokenize(inputs) == texts
    for inputs in ([4, 5], np.array([4, 5]), keras.ops.convert_to_tensor([4, 5])):
        assert symbols.detokenize(inputs) == "AH B"
    assert symbols.detokenize(4) == "AH"
    assert symbols.detokenize(np.array([ids])) == [texts]
    assert symbols.detokenize([]) == ""
    assert symbols.detokenize([[], [4]]) == ["", "AH"]
    assert symbols.detokenize(np.zeros((0, 3), "int32")) == []


def test_what_is_neither_text_nor_ids_is_an_error(characters):
    with pytest.raises(ValueError, match="Received: 7 of type int"):
        characters.tokenize(["a", 7])
    with pytest.raises(ValueError, match="Received: None of type NoneType"):
        characters.tokenize(None)
    with pytest.raises(ValueError, match="must hold integers. Received: 4.0"):
        characters.detokenize(np.array([4.0]))
    with pytest.raises(ValueError, match="must hold integers. Received: 'a'"):
        characters.detokenize("a")


# === In a graph ===

TEXTS = ["", "aé\n字", "a  b", "AH B ZZ\tAH", "[PAD] é\u00a0", "İΑΣ ǅ", " <tag;x> "]


@pytest.mark.everywhere
@pytest.mark.parametrize("tokenizer_class", [CharacterTokenizer, SymbolTokenizer])
@pytest.mark.parametrize("lowercase", [False, True])
def test_graph_and_python_agree(tokenizer_class, lowercase):
    tf = pytest.importorskip("tensorflow")
    tokenizer = tokenizer_class.from_texts(TEXTS[:-2] + ["i"], lowercase=lowercase)
    ids = tf.function(tokenizer.tokenize)(tf.constant(TEXTS))
    assert isinstance(ids, tf.RaggedTensor)
    assert ids.dtype == tf.int32
    assert ids.to_list() == tokenizer.tokenize(TEXTS)
    one = tf.function(tokenizer.tokenize)(tf.constant(TEXTS[3]))
    assert one.numpy().tolist() == tokenizer.tokenize(TEXTS[3])

    expected = tokenizer.detokenize(ids)
    detokenize = tf.function(tokenizer.detokenize)
    decode = lambda texts: [text.decode() for text in texts.numpy().tolist()]  # noqa: E731
    assert decode(detokenize(ids)) == expected
    dense = ids.to_tensor()
    assert decode(detokenize(dense)) == expected
    assert detokenize(dense[3]).numpy().decode() == expected[3]
    beams = tf.stack([dense, dense[::-1]])  # [2, B, T]
    assert [decode(row) for row in detokenize(beams)] == [expected, expected[::-1]]
    assert detokenize(dense[:0]).shape == (0,)


def test_control_tokens_are_left_out_in_a_graph_too(symbols):
    tf = pytest.importorskip("tensorflow")
    ids = tf.constant([[2, 4, 1, 5, 3, 0], [2, 3, 0, 0, 0, 0]])
    assert tf.function(symbols.detokenize)(ids).numpy().tolist() == [b"AH [UNK] B", b""]


def test_pipelines_can_map_a_tokenizer(characters):
    tf = pytest.importorskip("tensorflow")
    dataset = tf.data.Dataset.from_tensor_slices(["aé", "x"]).map(characters)
    assert [ids.numpy().tolist() for ids in dataset] == [[4, 5], [1]]


LOADER = """
    import sys
    for name in ("keras", "keras_hub", "keras_nlp", "attnzoo"):
        sys.modules[name] = None
    import tensorflow as tf
    loaded = tf.saved_model.load(sys.argv[1])
    ids = loaded.tokenize(tf.constant(["aéx", "", "a \\n"]))
    assert ids.to_list() == [[4, 5, 1], [], [4, 6, 7]], ids
    texts = loaded.detokenize(tf.constant([[2, 4, 1, 3], [2, 5, 4, 0]])).numpy().tolist()
    assert texts == [b"AH [UNK]", b"B AH"], texts
    print("as expected")
"""


def load_without_keras(path):
    command = [sys.executable, "-c", textwrap.dedent(LOADER), str(path)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.stdout.strip() == "as expected", result.stderr


@pytest.mark.backend_free
def test_saved_model_tokenizes_where_there_is_no_keras(characters, symbols, tmp_path):
    tf = pytest.importorskip("tensorflow")
    module = tf.Module()
    module.table = characters.lookup_table
    module.tokenize = tf.function(
        characters.tokenize, input_signature=[tf.TensorSpec([None], tf.string)]
    )
    module.detokenize = tf.function(
        symbols.detokenize, input_signature=[tf.TensorSpec([None, None], tf.int32)]
    )
    tf.saved_model.save(module, str(tmp_path / "model"))
    load_without_keras(tmp_path / "model")


@pytest.mark.skipif(keras.backend.backend() == "torch", reason="exports no tf.function")
def test_export_archive_tokenizes_where_there_is_no_keras(characters, symbols, tmp_path):
    tf = pytest.importorskip("tensorflow")
    archive = keras.export.ExportArchive()
    archive.track(characters.lookup_table)
    tokenize = tf.function(characters.tokenize, input_signature=[tf.TensorSpec([None], tf.string)])
    detokenize = tf.function(
        symbols.detokenize, input_signature=[tf.TensorSpec([None, None], tf.int32)]
    )
    tokenize(tf.constant(["a"]))
    detokenize(tf.constant([[4]]))
    archive.add_endpoint("tokenize", tokenize)
    archive.add_endpoint("detokenize", detokenize)
    archive.write_out(str(tmp_path / "model"), verbose=False)
    load_without_keras(tmp_path / "model")


# === Config and assets ===


def test_config_round_trips_without_the_vocabulary():
    tokenizer = SymbolTokenizer(
        PHONEMES, lowercase=True, config_file="source_tokenizer.json", name="source"
    )
    config = tokenizer.get_config()
    json.dumps(config)
    copy = SymbolTokenizer.from_config(config)
    assert copy.get_config() == config
    assert config["vocabulary"] is None
    assert copy.lowercase
    assert copy.config_file == "source_tokenizer.json"
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(tokenizer))
    assert type(copy) is SymbolTokenizer


def test_assets_hold_every_symbol(characters, tmp_path):
    characters.save_assets(str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == characters.file_assets
    copy = CharacterTokenizer()
    copy.load_assets(str(tmp_path))
    assert copy.get_vocabulary() == LETTERS
    assert sorted(copy.special_token_ids) == [0, 2, 3]
    assert copy.unk_token_id == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'["[PAD]", "[UN', "vocabulary.json: Unterminated"),
        (b'["a"]', r"vocabulary.json: .*must start with .*Received: \['a'\]"),
        (b"\xff", "vocabulary.json: .*decode"),
        (b'{"a": 1}', "vocabulary.json: It must hold a list. Received: {'a': 1}"),
        (b"null", "vocabulary.json: .*Received: None"),
    ],
)
def test_a_damaged_vocabulary_file_is_an_error(content, message, tmp_path):
    (tmp_path / "vocabulary.json").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        CharacterTokenizer().load_assets(str(tmp_path))


def test_a_missing_vocabulary_file_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="vocabulary.json"):
        CharacterTokenizer().load_assets(str(tmp_path))


def test_two_tokenizers_share_a_preset_directory(symbols, tmp_path):
    source = CharacterTokenizer(LETTERS, config_file="source_tokenizer.json")
    source.save_to_preset(str(tmp_path))
    symbols.save_to_preset(str(tmp_path))
    for file, vocabulary in (("source_tokenizer.json", LETTERS), ("tokenizer.json", PHONEMES)):
        config = json.loads((tmp_path / file).read_text())
        copy = keras.saving.deserialize_keras_object(config)
        copy.load_preset_assets(str(tmp_path))
        assert copy.get_vocabulary() == vocabulary
        assert copy.config_file == file


def test_a_model_file_holds_the_vocabulary(characters, tmp_path):
    class Holder(keras.Model):
        def __init__(self, tokenizer, **kwargs):
            super().__init__(**kwargs)
            self.tokenizer = tokenizer
            self.built = True

        def get_config(self):
            return {"tokenizer": keras.saving.serialize_keras_object(self.tokenizer)}

        @classmethod
        def from_config(cls, config):
            return cls(keras.saving.deserialize_keras_object(config["tokenizer"]))

    path = tmp_path / "model.keras"
    Holder(characters).save(path)
    loaded = keras.saving.load_model(path, custom_objects={"Holder": Holder})
    assert loaded.tokenizer.get_vocabulary() == LETTERS


def test_tokenizers_are_keras_hub_tokenizers(characters, symbols):
    assert isinstance(characters, keras_hub.tokenizers.Tokenizer)
    assert isinstance(symbols, keras_hub.models.Tokenizer)
    assert keras.saving.get_registered_name(CharacterTokenizer) == "attnzoo>CharacterTokenizer"
    assert attnzoo.data.SymbolTokenizer is SymbolTokenizer


def test_an_unknown_name_of_the_package_is_an_error():
    with pytest.raises(AttributeError, match="no attribute 'WordTokenizer'"):
        _ = attnzoo.data.WordTokenizer
    assert "SymbolTokenizer" in dir(attnzoo.data)


@pytest.mark.backend_free
def test_reading_files_needs_no_keras_hub():
    code = "import sys, attnzoo.data; assert 'keras_hub' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
