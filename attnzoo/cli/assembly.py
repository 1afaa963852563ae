"""From a recipe and data to a model, new or from a preset, and its batches."""

from attnzoo.cli.pretrained import start_from_preset
from attnzoo.cli.recipe import SUBWORDS, Recipe, dropout_of, dtype_of, task_class_of


def make_task(recipe: Recipe, data):
    """A model: a new one, with tokenizers of the data, or one that starts from the preset."""
    cls = task_class_of(recipe)
    options, head = _of_preprocessor(recipe), _of_head(recipe, data)
    if recipe.preset is not None:
        return start_from_preset(recipe, options, head)
    preprocessor = cls.preprocessor_cls(*_make_tokenizers(recipe, data), **options)
    backbone = cls.backbone_cls(*_vocabulary_sizes(recipe, preprocessor), **_of_backbone(recipe))
    return cls(backbone, preprocessor, **head)


def make_batches(recipe: Recipe, task, train_data, dev_data):
    """Batches for training and for early stopping."""
    from attnzoo.data import BucketedBatches, LabelledBatches, MaskedBatches

    preprocessor = task.preprocessor
    size = {"batch_size": recipe.batch_size}
    if recipe.max_tokens is not None:
        size = {"max_tokens": recipe.max_tokens}

    def batches(data, **order):
        if recipe.task == "masked_lm":
            return MaskedBatches(data, preprocessor, **size, **order)
        if recipe.task == "classifier":
            texts, labels = zip(*data, strict=True)
            ids = task.label_ids(list(labels))
            return LabelledBatches(texts, ids, preprocessor, **size, **order)
        return BucketedBatches(data, preprocessor, num_buckets=recipe.num_buckets, **size, **order)

    order = {"seed": recipe.seed, "subword_sampling": recipe.subword_sampling}
    return batches(train_data, **order), batches(dev_data, shuffle=False)


# === Tokenizers ===


def _make_tokenizers(recipe: Recipe, data) -> list:
    """One, or of a sequence-to-sequence model the source's and the target's."""
    if recipe.task == "masked_lm":
        return [_make_tokenizer(recipe.source_tokenizer, data, recipe)]
    sources, targets = zip(*data, strict=True)
    texts = sources + targets if recipe.joint_tokenizer else sources
    tokenizer = _make_tokenizer(recipe.source_tokenizer, texts, recipe)
    if recipe.task == "classifier":
        return [tokenizer]
    if recipe.joint_tokenizer:
        return [tokenizer, tokenizer]
    return [tokenizer, _make_tokenizer(recipe.target_tokenizer, targets, recipe)]


def _make_tokenizer(kind, texts, recipe: Recipe):
    from attnzoo.data import CharacterTokenizer, SymbolTokenizer, train_subword_tokenizer

    if kind in SUBWORDS:
        return train_subword_tokenizer(
            texts,
            vocabulary_size=recipe.max_vocabulary or 8000,
            model=kind,
            lowercase=recipe.lowercase,
        )
    return {"symbol": SymbolTokenizer, "character": CharacterTokenizer}[kind].from_texts(
        texts,
        min_count=recipe.min_count,
        max_size=recipe.max_vocabulary,
        lowercase=recipe.lowercase,
    )


def _vocabulary_sizes(recipe: Recipe, preprocessor) -> list[int]:
    """How many ids there may be: one number, or that of the source and that of the target."""
    source = getattr(preprocessor, "source_tokenizer", None)
    sizes = [one.vocabulary_size() for one in (source, preprocessor.tokenizer) if one is not None]
    if recipe.task == "masked_lm":
        preprocessor.build(None)
        sizes = [max(sizes[0], preprocessor.mask_token_id + 1)]  # The mask may follow them.
    return sizes


# === What the parts are told ===


def _of_preprocessor(recipe: Recipe) -> dict:
    if recipe.task == "seq2seq":
        options = {
            "encoder_sequence_length": recipe.max_source_length,
            "decoder_sequence_length": recipe.max_target_length,
        }
        # Of a preset it is the preset's.
        copies = {"pointer_generator": True} if recipe.pointer_generator else {}
        return {**options, **copies}
    options = {"sequence_length": recipe.max_source_length}
    if recipe.task == "masked_lm":
        return {**options, "mask_rate": recipe.mask_rate}
    first = recipe.model == "transformer" and recipe.pooling == "first"
    return {**options, "add_start": True} if first else options


def _of_backbone(recipe: Recipe) -> dict:
    of_model = _of_rnn if recipe.model == "rnn" else _of_transformer
    options = {"dtype": dtype_of(recipe), **of_model(recipe), **dropout_of(recipe)}
    if recipe.task != "seq2seq":
        return {**options, "num_layers": recipe.num_encoder_layers}
    names = ("num_encoder_layers", "num_decoder_layers", "tie_embeddings", "share_embeddings")
    return {**options, **_fields(recipe, *names)}


def _of_rnn(recipe: Recipe) -> dict:
    options = _fields(recipe, "embedding_dim", "hidden_dim", "cell", "bidirectional")
    if recipe.task != "seq2seq":
        return options
    names = ("attend", "input_feeding", "bridge", "pointer_generator")
    return {**options, "attention": _make_attention(recipe), **_fields(recipe, *names)}


def _of_transformer(recipe: Recipe) -> dict:
    longest = recipe.max_source_length
    if recipe.task == "seq2seq":
        longest = max(longest, recipe.max_target_length)
    names = ("hidden_dim", "num_heads", "feed_forward_dim", "position", "share_position")
    return {
        "max_length": longest if recipe.position == "learned" else None,
        "block": recipe.block_options,
        **_fields(recipe, *names),
    }


def _of_head(recipe: Recipe, data) -> dict:
    if recipe.task != "classifier":
        return {}
    options = {"class_names": sorted({label for _, label in data}), "dropout": recipe.dropout}
    if recipe.model == "rnn":
        return {**options, "num_hops": recipe.num_hops, "penalty": recipe.hop_penalty}
    return {**options, "pooling": recipe.pooling}


def _make_attention(recipe: Recipe):
    """The name alone, or a layer where the recipe says more about it."""
    if not recipe.attention_options:
        return recipe.attention
    from attnzoo.layers.lookup import get_attention

    options = {"name": "attention", "dtype": dtype_of(recipe), **recipe.attention_options}
    return get_attention(recipe.attention, recipe.hidden_dim, **options)


def _fields(recipe: Recipe, *names) -> dict:
    return {name: getattr(recipe, name) for name in names}
