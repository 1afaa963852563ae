"""From a recipe and data to a new model and its batches."""

from attnzoo.cli.recipe import SUBWORDS, Recipe


def make_task(recipe: Recipe, pairs):
    """Tokenizers from the data, and a new model."""
    make = {
        ("seq2seq", "rnn"): _make_rnn,
        ("seq2seq", "transformer"): _make_transformer,
        ("classifier", "rnn"): _make_rnn_classifier,
        ("classifier", "transformer"): _make_transformer_classifier,
    }[recipe.task, recipe.model]
    sources, targets = zip(*pairs, strict=True)
    texts = sources + targets if recipe.joint_tokenizer else sources
    source_tokenizer = _make_tokenizer(recipe.source_tokenizer, texts, recipe)
    if recipe.task == "classifier":
        return make(recipe, source_tokenizer, sorted(set(targets)))
    if recipe.joint_tokenizer:
        tokenizer = source_tokenizer
    else:
        tokenizer = _make_tokenizer(recipe.target_tokenizer, targets, recipe)
    lengths = {
        "encoder_sequence_length": recipe.max_source_length,
        "decoder_sequence_length": recipe.max_target_length,
    }
    return make(recipe, source_tokenizer, tokenizer, lengths)


def make_batches(recipe: Recipe, task, train_pairs, dev_pairs):
    """Batches for training and for early stopping."""
    from attnzoo.data import BucketedBatches, LabelledBatches

    if recipe.task == "classifier":

        def batches(pairs, **order):
            texts, labels = zip(*pairs, strict=True)
            ids = task.label_ids(list(labels))
            return LabelledBatches(
                texts, ids, task.preprocessor, batch_size=recipe.batch_size, **order
            )

    else:

        def batches(pairs, **order):
            return BucketedBatches(
                pairs,
                task.preprocessor,
                batch_size=recipe.batch_size if recipe.max_tokens is None else None,
                max_tokens=recipe.max_tokens,
                num_buckets=recipe.num_buckets,
                **order,
            )

    return batches(train_pairs, seed=recipe.seed), batches(dev_pairs, shuffle=False)


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


def _of_rnn(recipe: Recipe) -> dict:
    """What every recurrent backbone is told."""
    names = ("embedding_dim", "hidden_dim", "cell", "bidirectional", "dropout", "recurrent_dropout")
    return {"dtype": _dtype(recipe), **{name: getattr(recipe, name) for name in names}}


def _of_transformer(recipe: Recipe, longest: int) -> dict:
    """What every Transformer backbone is told; `longest` is the length of a learned position."""
    names = ("hidden_dim", "num_heads", "feed_forward_dim", "position", "share_position", "dropout")
    return {
        "dtype": _dtype(recipe),
        "max_length": longest if recipe.position == "learned" else None,
        "block": recipe.block_options,
        **{name: getattr(recipe, name) for name in names},
    }


def _dtype(recipe: Recipe):
    return "mixed_bfloat16" if recipe.mixed_precision else None


def _make_transformer(recipe: Recipe, source_tokenizer, tokenizer, lengths):
    from attnzoo import models

    backbone = models.TransformerSeq2SeqBackbone(
        source_tokenizer.vocabulary_size(),
        tokenizer.vocabulary_size(),
        num_encoder_layers=recipe.num_encoder_layers,
        num_decoder_layers=recipe.num_decoder_layers,
        tie_embeddings=recipe.tie_embeddings,
        share_embeddings=recipe.share_embeddings,
        **_of_transformer(recipe, max(lengths.values())),
    )
    preprocessor = models.TransformerSeq2SeqLMPreprocessor(source_tokenizer, tokenizer, **lengths)
    return models.TransformerSeq2SeqLM(backbone, preprocessor)


def _make_rnn(recipe: Recipe, source_tokenizer, tokenizer, lengths):
    from attnzoo import models

    preprocessor = models.RNNSeq2SeqLMPreprocessor(
        source_tokenizer, tokenizer, pointer_generator=recipe.pointer_generator, **lengths
    )
    backbone = models.RNNSeq2SeqBackbone(
        source_tokenizer.vocabulary_size(),
        tokenizer.vocabulary_size(),
        num_encoder_layers=recipe.num_encoder_layers,
        num_decoder_layers=recipe.num_decoder_layers,
        attention=_make_attention(recipe),
        attend=recipe.attend,
        input_feeding=recipe.input_feeding,
        bridge=recipe.bridge,
        tie_embeddings=recipe.tie_embeddings,
        share_embeddings=recipe.share_embeddings,
        pointer_generator=recipe.pointer_generator,
        **_of_rnn(recipe),
    )
    return models.RNNSeq2SeqLM(backbone, preprocessor)


def _make_attention(recipe: Recipe):
    """The name alone, or a layer where the recipe says more about it."""
    if not recipe.attention_options:
        return recipe.attention
    from attnzoo.layers.attention import get_attention

    options = {"name": "attention", "dtype": _dtype(recipe), **recipe.attention_options}
    return get_attention(recipe.attention, recipe.hidden_dim, **options)


def _make_rnn_classifier(recipe: Recipe, tokenizer, class_names):
    from attnzoo import models

    backbone = models.RNNEncoderBackbone(
        tokenizer.vocabulary_size(), num_layers=recipe.num_encoder_layers, **_of_rnn(recipe)
    )
    preprocessor = models.RNNTextClassifierPreprocessor(
        tokenizer, sequence_length=recipe.max_source_length
    )
    return models.RNNTextClassifier(
        backbone,
        preprocessor,
        class_names=class_names,
        num_hops=recipe.num_hops,
        penalty=recipe.hop_penalty,
        dropout=recipe.dropout,
    )


def _make_transformer_classifier(recipe: Recipe, tokenizer, class_names):
    from attnzoo import models

    backbone = models.TransformerEncoderBackbone(
        tokenizer.vocabulary_size(),
        num_layers=recipe.num_encoder_layers,
        **_of_transformer(recipe, recipe.max_source_length),
    )
    preprocessor = models.TransformerTextClassifierPreprocessor(
        tokenizer, sequence_length=recipe.max_source_length, add_start=recipe.pooling == "first"
    )
    return models.TransformerTextClassifier(
        backbone,
        preprocessor,
        class_names=class_names,
        pooling=recipe.pooling,
        dropout=recipe.dropout,
    )
