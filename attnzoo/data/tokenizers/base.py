"""Base of the tokenizers with one id per symbol."""

from collections.abc import Iterable

import keras_hub

from attnzoo.data.tokenizers.conversion import in_graph, to_python
from attnzoo.data.tokenizers.vocabulary import (
    VOCABULARY_FILE,
    Vocabulary,
    count_symbols,
    load_vocabulary,
    save_vocabulary,
)


class VocabularyTokenizer(keras_hub.tokenizers.Tokenizer):
    """Base of the tokenizers that split text into symbols and look each of them up.

    Outside a `tf.function` all code is plain Python. Inside one (a `tf.data` pipeline, an export)
    TensorFlow's string operations and a lookup table give the same result.

    A subclass defines `separator`, `_split`, `_split_tensors` and `_check_symbol`.
    """

    separator = ""

    def __init__(
        self, vocabulary: list[str] | None = None, *, lowercase: bool = False, **kwargs
    ) -> None:
        kwargs.setdefault("dtype", "int32")
        super().__init__(**kwargs)
        if "int" not in self.compute_dtype:
            raise ValueError(f"`dtype` must be an integer type. Received: {self.compute_dtype}")
        self.lowercase = lowercase
        self.file_assets = [VOCABULARY_FILE]
        self._vocabulary: Vocabulary | None = None
        self._table = None
        self._add_special_token("[PAD]", "pad_token")
        self._add_special_token("[START]", "start_token")
        self._add_special_token("[END]", "end_token")
        # Not among `special_token_ids`: generated text must show that a symbol was unknown.
        self.unk_token = "[UNK]"
        self.unk_token_id: int | None = None
        self.set_vocabulary(vocabulary)

    @classmethod
    def from_texts(
        cls,
        texts: Iterable[str],
        *,
        min_count: int = 1,
        max_size: int | None = None,
        **kwargs,
    ):
        """Make a tokenizer whose vocabulary is the symbols of `texts`.

        The most frequent symbol comes first; of two equally frequent ones, the one with the
        smaller code point.

        Args:
            texts: Strings, read once.
            min_count: Smallest number of occurrences of a symbol in the vocabulary. At least 1.
            max_size: Largest `vocabulary_size()`, counting the four special tokens. More than 4,
                or `None` for no limit.
            **kwargs: Arguments of the constructor except `vocabulary`.

        Raises:
            ValueError: If `texts` is one string or holds no symbol, or a number is out of range.

        Example:
            >>> CharacterTokenizer.from_texts(["abb", "b"]).get_vocabulary()
            ['[PAD]', '[UNK]', '[START]', '[END]', 'b', 'a']
        """
        tokenizer = cls(**kwargs)
        tokens = count_symbols(texts, tokenizer._symbols, min_count=min_count, max_size=max_size)
        tokenizer.set_vocabulary(tokens)
        return tokenizer

    # === Vocabulary ===

    def set_vocabulary(self, vocabulary: list[str] | None) -> None:
        """Set the vocabulary: the four special tokens, then the symbols, in the order of ids.

        Raises:
            ValueError: If a special token is missing or misplaced, or if a symbol is repeated or
                can never result from this tokenizer.
        """
        self._vocabulary = None
        self._table = None
        if vocabulary is None:
            return
        self._vocabulary = Vocabulary(vocabulary, self._check_symbol)
        self._update_special_token_ids()
        self.unk_token_id = self.token_to_id(self.unk_token)

    def get_vocabulary(self) -> list[str]:
        """Return all tokens, in the order of ids."""
        return list(self._known().tokens)

    def vocabulary_size(self) -> int:
        """Return the number of ids, with the four special tokens."""
        return len(self._known().tokens)

    def id_to_token(self, id: int) -> str:
        """Return the token of an id.

        Raises:
            ValueError: If `id` is outside of [0, vocabulary size).
        """
        tokens = self._known().tokens
        if not 0 <= id < len(tokens):
            raise ValueError(f"`id` must be in [0, {len(tokens)}). Received: id={id}")
        return tokens[id]

    def token_to_id(self, token: str) -> int:
        """Return the id of a token.

        Raises:
            ValueError: If the vocabulary does not hold `token` (in `tokenize` it is `[UNK]`).
        """
        ids = self._known().ids
        if token not in ids:
            raise ValueError(f"`token` must be in the vocabulary. Received: token={token!r}")
        return ids[token]

    @property
    def lookup_table(self):
        """The `tf.lookup.StaticHashTable` from symbol to id that `tokenize` uses in a graph.

        A `tf.Module` or `keras.export.ExportArchive` that tokenizes must hold (or `track`) the
        table; otherwise TensorFlow cannot save it.
        """
        import tensorflow as tf

        vocabulary = self._known()
        if self._table is None:
            with tf.init_scope():  # The table must outlive the graph that first asks for it.
                self._table = tf.lookup.StaticHashTable(
                    tf.lookup.KeyValueTensorInitializer(
                        tf.constant(list(vocabulary.symbol_ids), tf.string),
                        tf.constant(list(vocabulary.symbol_ids.values()), tf.int64),
                    ),
                    default_value=self.unk_token_id,
                )
        return self._table

    # === Text to ids and back ===

    def call(self, inputs, *args, training: bool | None = None, **kwargs):
        return self.tokenize(inputs)

    def tokenize(self, inputs):
        """Convert text to ids; a symbol that is not in the vocabulary becomes `[UNK]`.

        Text never becomes `[PAD]`, `[START]` or `[END]`, even if it spells one.

        Args:
            inputs: A string, or a (nested) list, NumPy array or tf.string tensor of strings. Bytes
                are read as UTF-8.

        Returns:
            A list of int for a string, one level of lists more than `inputs` otherwise. Inside a
            `tf.function`: an integer tensor [T] for a string, else a `tf.RaggedTensor` [B, (T)].

        Raises:
            ValueError: If `inputs` holds a value that is not a string, or no vocabulary is set.
        """
        self._known()
        return self.look_up(self.symbols(inputs))

    def symbols(self, inputs):
        """Split text into symbols, known or not, which `tokenize` looks up.

        Args:
            inputs: As in `tokenize`.

        Returns:
            As `tokenize`, with strings in place of ids.

        Raises:
            ValueError: If `inputs` holds a value that is not a string.

        Example:
            >>> SymbolTokenizer().symbols(["HH AH", "OW"])
            [['HH', 'AH'], ['OW']]
        """
        if in_graph():
            return self._symbol_tensors(inputs)

        def convert(text):
            if isinstance(text, str):
                return list(self._symbols(text))
            if isinstance(text, bytes):
                return convert(text.decode("utf-8", errors="replace"))
            if isinstance(text, (list, tuple)):
                return [convert(item) for item in text]
            plain = to_python(text)
            if plain is text:
                raise ValueError(
                    "`inputs` must be a string, or a list or array of strings. "
                    f"Received: {text!r} of type {type(text).__name__}"
                )
            return convert(plain)

        return convert(inputs)

    def look_up(self, symbols):
        """Return the ids of symbols, `[UNK]` for a symbol that is not in the vocabulary.

        Args:
            symbols: (Nested) lists of strings; inside a `tf.function` a tf.string tensor.

        Returns:
            Ids, nested like `symbols`.
        """
        vocabulary = self._known()
        if in_graph():
            import tensorflow as tf

            return tf.cast(self.lookup_table.lookup(symbols), self.compute_dtype)
        get_id, unknown = vocabulary.symbol_ids.get, self.unk_token_id

        def convert(symbols):
            if symbols and isinstance(symbols[0], list):
                return [convert(row) for row in symbols]
            return [get_id(symbol, unknown) for symbol in symbols]

        return convert(symbols)

    def detokenize(self, inputs):
        """Convert ids to text. `[PAD]`, `[START]` and `[END]` are left out, `[UNK]` is shown.

        Args:
            inputs: Ids of one sequence, or of a batch: (nested) lists, or an integer array or
                tensor of any backend, dense [..., T] or ragged.

        Returns:
            A string, or (nested) lists of strings, one level less than `inputs`. Inside a
            `tf.function`: a tf.string tensor [...].

        Raises:
            ValueError: If an id is outside [0, vocabulary size), `inputs` holds a value that is not
                an integer, or no vocabulary is set.
        """
        vocabulary = self._known()
        if in_graph():
            return self._detokenize_tensors(inputs)
        shape: tuple = getattr(inputs, "shape", ())
        if len(shape) > 1 and shape[0] == 0:
            return []

        def convert(ids):
            if ids and isinstance(ids[0], list):
                return [convert(row) for row in ids]
            for id in ids:
                if not isinstance(id, int):
                    raise ValueError(f"`inputs` must hold integers. Received: {id!r}")
                if not 0 <= id < len(vocabulary.tokens):
                    raise ValueError(
                        "`inputs` must hold ids of the vocabulary, in "
                        f"[0, {len(vocabulary.tokens)}). Received: {id}"
                    )
            return self.separator.join(
                vocabulary.tokens[id] for id in ids if id not in vocabulary.hidden_ids
            )

        ids = to_python(inputs)
        return convert(ids if isinstance(ids, list) else [ids])

    # === Config and assets ===

    def save_assets(self, dir_path: str) -> None:
        """Write the vocabulary to a JSON file in `dir_path`."""
        save_vocabulary(self.get_vocabulary(), dir_path)

    def load_assets(self, dir_path: str) -> None:
        """Read the vocabulary from the JSON file in `dir_path`.

        Raises:
            FileNotFoundError: If the file is not there.
            ValueError: If it holds no vocabulary.
        """
        load_vocabulary(dir_path, self.set_vocabulary)

    def get_config(self):
        config = super().get_config()
        # The vocabulary is saved as an asset.
        config.update({"vocabulary": None, "lowercase": self.lowercase})
        return config

    # === Private helpers ===

    def _known(self) -> Vocabulary:
        if self._vocabulary is None:
            raise ValueError(
                f"{type(self).__name__} has no vocabulary yet. Pass `vocabulary`, or make the "
                "tokenizer with `from_texts`. Received: vocabulary=None"
            )
        return self._vocabulary

    def _symbols(self, text):
        return self._split(text.lower() if self.lowercase else text)

    def _symbol_tensors(self, inputs):
        import tensorflow as tf

        if not isinstance(inputs, tf.RaggedTensor):
            inputs = tf.convert_to_tensor(inputs, tf.string)
        if self.lowercase:
            inputs = tf.strings.lower(inputs, encoding="utf-8")
        return self._split_tensors(inputs)  # [B, (T)]

    def _detokenize_tensors(self, inputs):
        import tensorflow as tf

        vocabulary = self._known()
        tokens = tf.constant(vocabulary.tokens)
        shown = tf.constant(
            [id not in vocabulary.hidden_ids for id in range(len(vocabulary.tokens))]
        )

        def join(ids):
            kept = tf.ragged.boolean_mask(tf.gather(tokens, ids), tf.gather(shown, ids))
            return tf.strings.reduce_join(kept, axis=-1, separator=self.separator)

        if isinstance(inputs, tf.RaggedTensor):
            return join(inputs)
        inputs = tf.convert_to_tensor(inputs)
        shape = tf.shape(inputs)
        rows = tf.reshape(inputs, [tf.reduce_prod(shape[:-1]), shape[-1]])  # [B, T]
        return tf.ensure_shape(tf.reshape(join(rows), shape[:-1]), inputs.shape[:-1])

    def _split(self, text):
        raise NotImplementedError

    def _split_tensors(self, texts):
        raise NotImplementedError

    def _check_symbol(self, symbol):
        raise NotImplementedError
