"""From a recipe and data to a model, new or from a preset, and its batches."""

import os

from attnzoo.cli.recipe import SUBWORDS, Recipe


def make_task(recipe: Recipe, data):
    """A model: a new one, with tokenizers of the data, or one that starts from the preset."""
    cls = _task_class(recipe)
    options, head = _of_preprocessor(recipe), _of_head(recipe, data)
    if recipe.preset is not None:
        return _start_from_preset(recipe, cls, options, head)
    preprocessor = cls.preprocessor_cls(*_make_tokenizers(recipe, data), **options)
    backbone = cls.backbone_cls(*_vocabulary_sizes(preprocessor), **_of_backbone(recipe))
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

    return batches(train_data, seed=recipe.seed), batches(dev_data, shuffle=False)


def _task_class(recipe: Recipe):
    from attnzoo import models

    return {
        ("seq2seq", "rnn"): models.RNNSeq2SeqLM,
        ("seq2seq", "transformer"): models.TransformerSeq2SeqLM,
        ("classifier", "rnn"): models.RNNTextClassifier,
        ("classifier", "transformer"): models.TransformerTextClassifier,
        ("masked_lm", "transformer"): models.TransformerMaskedLM,
    }[recipe.task, recipe.model]


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


def _vocabulary_sizes(preprocessor) -> list[int]:
    """How many ids there may be: one number, or that of the source and that of the target."""
    source = getattr(preprocessor, "source_tokenizer", None)
    sizes = [one.vocabulary_size() for one in (source, preprocessor.tokenizer) if one is not None]
    if hasattr(preprocessor, "hide_tokens"):
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
    options = {"dtype": _dtype(recipe), **of_model(recipe), **_dropout(recipe)}
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
    from attnzoo.layers.attention import get_attention

    options = {"name": "attention", "dtype": _dtype(recipe), **recipe.attention_options}
    return get_attention(recipe.attention, recipe.hidden_dim, **options)


def _dropout(recipe: Recipe) -> dict:
    return _fields(recipe, "dropout", *(["recurrent_dropout"] if recipe.model == "rnn" else []))


def _dtype(recipe: Recipe):
    return "mixed_bfloat16" if recipe.mixed_precision else None


def _fields(recipe: Recipe, *names) -> dict:
    return {name: getattr(recipe, name) for name in names}


# === From a preset ===


def _start_from_preset(recipe: Recipe, cls, options: dict, head: dict):
    """Tokenizers and backbone of the preset, and what stands on it too where it is no classifier.

    The recipe says its dropout.
    """
    from attnzoo.models.presets import explain_preset_errors, saved_dtype, task_class

    held = task_class(recipe.preset)
    if held is not None and held.backbone_cls is not cls.backbone_cls:
        raise ValueError(
            f"A {cls.__name__} starts from a preset with a {cls.backbone_cls.__name__}. "
            f"Received: preset={recipe.preset!r}, which holds a {held.__name__}"
        )
    with explain_preset_errors(recipe.preset) as place:
        preprocessor = cls.preprocessor_cls.from_preset(place, **options)
        dtype = _dtype(recipe) or (saved_dtype(place) if os.path.isdir(place) else None)
        backbone = cls.backbone_cls.from_preset(place, dtype=dtype, **_dropout(recipe))
    task = cls(backbone, preprocessor, **head)
    weights = os.path.join(place, "task.weights.h5")
    if held is cls and recipe.task != "classifier" and os.path.exists(weights):
        task.load_task_weights(weights)
    return task
