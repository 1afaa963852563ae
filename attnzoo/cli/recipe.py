"""What decides how a run of `attnzoo train` turns out, but for the data: options, and the steps."""

import argparse
import ast
import dataclasses
import json


@dataclasses.dataclass(frozen=True)
class Recipe:
    """All that decides how a run turns out, but for the data."""

    task: str = "seq2seq"
    model: str = "rnn"
    preset: str | None = None
    source_tokenizer: str = "symbol"
    target_tokenizer: str = "symbol"
    joint_tokenizer: bool = False
    lowercase: bool = False
    min_count: int = 1
    max_vocabulary: int | None = None
    max_source_length: int = 64
    max_target_length: int = 64
    attention: str = "bahdanau"
    attention_options: dict | None = None
    attend: str | None = None
    input_feeding: bool | None = None
    cell: str = "lstm"
    embedding_dim: int = 128
    hidden_dim: int = 256
    num_heads: int = 4
    feed_forward_dim: int | None = None
    position: str | None = "sinusoidal"
    share_position: bool = False
    block_options: dict | None = None
    num_encoder_layers: int = 1
    num_decoder_layers: int = 1
    bidirectional: bool = True
    bridge: str = "dense"
    tie_embeddings: bool = False
    share_embeddings: bool = False
    pointer_generator: bool = False
    pooling: str = "mean"
    num_hops: int = 1
    hop_penalty: float = 0.0
    mask_rate: float = 0.15
    dropout: float = 0.2
    recurrent_dropout: float = 0.0
    label_smoothing: float = 0.0
    subword_sampling: float | None = None
    sampling_probability: float = 0.0
    coverage_loss: float = 0.0
    epochs: int = 20
    batch_size: int = 128
    max_tokens: int | None = None
    accumulate: int = 1
    learning_rate: float = 2e-3
    schedule: str = "cosine"
    warmup: float = 0.02
    weight_decay: float = 0.0
    gradient_clip: float = 1.0
    ema: float = 0.0
    monitor: str | None = None
    average: int = 1
    patience: int = 5
    num_buckets: int = 5
    mixed_precision: bool = False
    seed: int = 0


# What belongs to one kind of task or model alone, or to a model that starts from no preset.
_BELONGS_TO = (
    (
        {"preset": None},
        (
            "source_tokenizer",
            "target_tokenizer",
            "joint_tokenizer",
            "lowercase",
            "min_count",
            "max_vocabulary",
            "attention",
            "attention_options",
            "attend",
            "input_feeding",
            "cell",
            "embedding_dim",
            "hidden_dim",
            "num_heads",
            "feed_forward_dim",
            "position",
            "share_position",
            "block_options",
            "num_encoder_layers",
            "num_decoder_layers",
            "bidirectional",
            "bridge",
            "tie_embeddings",
            "share_embeddings",
            "pointer_generator",
        ),
    ),
    ({"model": "rnn"}, ("cell", "embedding_dim", "bidirectional", "recurrent_dropout")),
    (
        {"model": "transformer"},
        ("num_heads", "feed_forward_dim", "position", "share_position", "block_options"),
    ),
    (
        {"task": "seq2seq"},
        (
            "target_tokenizer",
            "joint_tokenizer",
            "max_target_length",
            "num_decoder_layers",
            "tie_embeddings",
            "share_embeddings",
            "sampling_probability",
            "num_buckets",
        ),
    ),
    (
        {"task": "seq2seq", "model": "rnn"},
        (
            "attention",
            "attention_options",
            "attend",
            "input_feeding",
            "bridge",
            "pointer_generator",
            "coverage_loss",
        ),
    ),
    ({"task": "classifier", "model": "rnn"}, ("num_hops", "hop_penalty")),
    ({"task": "classifier", "model": "transformer"}, ("pooling",)),
    ({"task": "masked_lm"}, ("mask_rate",)),
)
SUBWORDS = ("unigram", "bpe", "byte_bpe", "word_piece")
_TOKENIZERS = ("symbol", "character", *SUBWORDS)
_CHOICES = {
    "task": ("seq2seq", "classifier", "masked_lm"),
    "model": ("rnn", "transformer"),
    "pooling": ("mean", "first", "attention"),
    "source_tokenizer": _TOKENIZERS,
    "target_tokenizer": _TOKENIZERS,
    "schedule": ("constant", "inverse_sqrt", "cosine"),
    "monitor": ("loss", "accuracy"),
}
# The least that a number may be.
_LEAST = {
    "max_source_length": 1,
    "max_target_length": 1,
    "accumulate": 1,
    "warmup": 0,
    "weight_decay": 0,
    "gradient_clip": 0,
    "average": 1,
}

_HELP = {
    "task": "from texts to texts, from a text to its class, or from a text to what is hidden in it",
    "model": "recurrent, or a Transformer",
    "preset": "start from what this preset, a directory or a built-in name, has learned: its "
    "tokenizers and backbone, and all of it if it is of the same task, but for a classifier's own "
    "layers. Dropout, longest lengths, precision and mask rate are this run's",
    "source_tokenizer": "symbols between white space, characters, or subwords of four kinds",
    "target_tokenizer": "the same for the target",
    "joint_tokenizer": "one tokenizer for both sides, made of the texts of both",
    "lowercase": "lower-case all text",
    "min_count": "leave symbols rarer than this out of the vocabulary",
    "max_vocabulary": "keep at most this many symbols; of subwords 8000 if not given",
    "max_source_length": "longest source, in tokens; longer ones are cut",
    "max_target_length": "longest target, in tokens",
    "attention": "a name, such as bahdanau, luong or monotonic; an unknown one lists all",
    "attention_options": "arguments of that attention, as in the layer: inference_mode=hard "
    "sigmoid_noise=1 for monotonic, window=5 for a local or chunkwise one",
    "attend": "before the cell moves (Bahdanau) or after (Luong)",
    "input_feeding": "feed the readout back to the next input (order: after)",
    "cell": "lstm, gru or simple",
    "embedding_dim": "width of the embeddings",
    "hidden_dim": "width of encoder, decoder and readout",
    "num_heads": "heads of each attention of a transformer",
    "feed_forward_dim": "width of a transformer's feed-forward; 4 hidden-dim if not given",
    "position": "of a transformer: sinusoidal, learned, rotary, relative, t5, alibi or none",
    "share_position": "let all blocks of a side have one table, of relative or t5 positions",
    "block_options": "arguments of a transformer's blocks, as in the layer: norm_first=false "
    "activation=swiglu stochastic_depth=0.1",
    "bidirectional": "read the source in both directions",
    "bridge": "from encoder to decoder state: dense, copy or zeros",
    "tie_embeddings": "let the output layer be the transposed target embedding",
    "share_embeddings": "let one embedding be for source and target: with joint-tokenizer",
    "pointer_generator": "let a step copy a symbol of the source, known or not; to learn it from "
    "rare symbols, leave them out of the vocabulary",
    "pooling": "how a transformer's vectors of a text become one, for its class",
    "num_hops": "views of a text that attentive pooling takes",
    "hop_penalty": "weight of the loss that keeps these views apart",
    "mask_rate": "part of a text's tokens that is hidden",
    "dropout": "dropout of embeddings, layers and readout",
    "recurrent_dropout": "variational dropout of the recurrent state",
    "label_smoothing": "mass spread over the vocabulary",
    "subword_sampling": "subword regularization: each epoch has other pieces of the same texts, "
    "drawn from the unigram model with this exponent, such as 0.3; small ones draw all alike. For "
    "unigram tokenizers",
    "sampling_probability": "scheduled sampling: probability that the model's own token enters, "
    "rising linearly from 0 in the first epoch to this in the last",
    "coverage_loss": "weight of the loss on looking twice, for an attention with coverage",
    "max_tokens": "in place of batch-size: the most tokens in a batch, of source and of target "
    "where there are both, padding counted",
    "accumulate": "batches that make one step: the mean of their gradients, each batch counted "
    "alike however many tokens it has",
    "learning_rate": "highest rate",
    "schedule": "what the rate does after the warm-up; a cosine takes it to zero over all epochs",
    "warmup": "how long the rate rises from zero: a share of all steps, or from 1 on their number",
    "weight_decay": "what a step takes off the weights, times the rate; biases and norms keep all",
    "gradient_clip": "longest gradient, all weights together; 0 lets it be as long as it is",
    "ema": "evaluate and keep a moving average of the weights, of which so much stays at each step",
    "monitor": "what of dev tells the best epoch; of a classifier accuracy if not given, else loss",
    "average": "the preset gets the mean of the weights of so many best epochs",
    "patience": "stop after so many epochs that are no better on dev",
    "num_buckets": "shapes of batches; each costs a compilation, fewer cost padding",
    "mixed_precision": "compute in bfloat16",
}


def add_recipe_arguments(parser):
    """One option for each field of the recipe."""
    for field in dataclasses.fields(Recipe):
        flag = f"--{field.name.replace('_', '-')}"
        note = f"{_HELP.get(field.name, field.name.replace('_', ' '))} (default: %(default)s)"
        if "bool" in str(field.type):
            action = argparse.BooleanOptionalAction
            parser.add_argument(flag, action=action, default=field.default, help=note)
            continue
        if "dict" in str(field.type):
            words = {"nargs": "+", "action": _Options, "metavar": "NAME=VALUE"}
            parser.add_argument(flag, default=field.default, help=note, **words)
            continue
        kind = {"int | None": int, "float | None": float}.get(str(field.type), str)
        if isinstance(field.type, type):
            kind = field.type
        parser.add_argument(
            flag, type=kind, default=field.default, choices=_CHOICES.get(field.name), help=note
        )


class _Options(argparse.Action):
    """Reads NAME=VALUE words into a dict."""

    def __call__(self, parser, namespace, values, option_string=None):
        options = {}
        for word in values:
            name, separator, value = word.partition("=")
            if not (name and separator):
                parser.error(f"{option_string} takes NAME=VALUE. Received: {word}")
            options[name] = _read_value(value)
        setattr(namespace, self.dest, options)


def _read_value(text: str):
    """What JSON or Python makes of a value, else the string: `false`, `False`, `1e-3`, `hard`."""
    for read in (json.loads, ast.literal_eval):
        try:
            return read(text)
        except (ValueError, SyntaxError):
            pass
    return text


def check_recipe(recipe: Recipe):
    """Raise if a number is out of range, or an option is given that has no use."""
    from attnzoo.checks import check_rate

    for name, least in _LEAST.items():
        value = getattr(recipe, name)
        if not value >= least:
            raise ValueError(f"`{name}` must be at least {least}. Received: {name}={value}")
    check_rate(dropout=recipe.dropout, recurrent_dropout=recipe.recurrent_dropout, ema=recipe.ema)
    if not 0.0 < recipe.mask_rate <= 1.0:
        raise ValueError(f"`mask_rate` must be in (0, 1]. Received: mask_rate={recipe.mask_rate}")
    if recipe.subword_sampling is not None:
        _check_sampling(recipe)
    if recipe.max_tokens is not None and recipe.batch_size != Recipe.batch_size:
        raise ValueError(
            "`max_tokens` stands in place of `batch_size`. Received: "
            f"max_tokens={recipe.max_tokens} with batch_size={recipe.batch_size}"
        )
    if recipe.joint_tokenizer and recipe.source_tokenizer != recipe.target_tokenizer:
        raise ValueError(
            "A joint tokenizer is of one kind for both sides. Received: source_tokenizer="
            f"{recipe.source_tokenizer!r}, target_tokenizer={recipe.target_tokenizer!r}"
        )
    if recipe.share_embeddings and not recipe.joint_tokenizer:
        raise ValueError(
            "Sides share an embedding where they share a tokenizer: give `joint_tokenizer` too. "
            "Received: share_embeddings=True, joint_tokenizer=False"
        )
    if recipe.task == "masked_lm" and recipe.model != "transformer":
        raise ValueError(
            "A masked language model is a Transformer's: give `model='transformer'`. "
            f"Received: model={recipe.model!r}"
        )
    for owner, names in _BELONGS_TO:
        wrong = {key: getattr(recipe, key) for key in owner if getattr(recipe, key) != owner[key]}
        for name in names if wrong else ():
            value = getattr(recipe, name)
            if value != getattr(Recipe, name):
                owned = " and ".join(f"`{key}={kind!r}`" for key, kind in owner.items())
                found = ", ".join(f"{key}={kind!r}" for key, kind in wrong.items())
                raise ValueError(
                    f"`{name}` is an option of {owned}. Received: {name}={value!r} with {found}"
                )


def _check_sampling(recipe):
    """Raise if there is nothing to draw pieces from, or no exponent to draw them with."""
    from attnzoo.data.subword_sampling import check_alpha

    check_alpha(recipe.subword_sampling, name="subword_sampling")
    sides = ["source_tokenizer", *["target_tokenizer"] * (recipe.task == "seq2seq")]
    kinds = {side: getattr(recipe, side) for side in sides}
    if recipe.preset is None and set(kinds.values()) != {"unigram"}:
        found = ", ".join(f"{side}={kind!r}" for side, kind in kinds.items())
        raise ValueError(
            "Pieces are drawn from unigram models: give `source_tokenizer='unigram'`, and the "
            f"target's alike. Received: subword_sampling={recipe.subword_sampling}, {found}"
        )


def task_class_of(recipe: Recipe):
    """The class of the model."""
    from attnzoo import models

    return {
        ("seq2seq", "rnn"): models.RNNSeq2SeqLM,
        ("seq2seq", "transformer"): models.TransformerSeq2SeqLM,
        ("classifier", "rnn"): models.RNNTextClassifier,
        ("classifier", "transformer"): models.TransformerTextClassifier,
        ("masked_lm", "transformer"): models.TransformerMaskedLM,
    }[recipe.task, recipe.model]


def dropout_of(recipe: Recipe) -> dict:
    """What a backbone is told of dropout."""
    dropout = {"dropout": recipe.dropout}
    if recipe.model == "rnn":
        dropout["recurrent_dropout"] = recipe.recurrent_dropout
    return dropout


def dtype_of(recipe: Recipe):
    """The precision; None is Keras's own."""
    return "mixed_bfloat16" if recipe.mixed_precision else None


def compile_task(task, recipe: Recipe, steps: int):
    """Adam, with what the recipe says about its steps, of as many batches."""
    import keras

    optimizer = keras.optimizers.Adam(
        make_rate(recipe, steps),
        weight_decay=recipe.weight_decay or None,
        global_clipnorm=recipe.gradient_clip or None,
        gradient_accumulation_steps=recipe.accumulate if recipe.accumulate > 1 else None,
        use_ema=recipe.ema > 0.0,
        # Keras moves the average with each batch, also with those that make no step.
        ema_momentum=recipe.ema ** (1 / recipe.accumulate),
    )
    optimizer.exclude_from_weight_decay([w for w in task.trainable_variables if len(w.shape) < 2])
    options = {"label_smoothing": recipe.label_smoothing}
    if recipe.task == "seq2seq":
        options["sampling_probability"] = recipe.sampling_probability or None
    if recipe.coverage_loss:
        options["coverage_loss"] = recipe.coverage_loss
    task.compile(optimizer=optimizer, **options)


def make_rate(recipe: Recipe, steps: int):
    """The rate as a function of the batch: `steps` are batches here, as they are for Keras."""
    import keras

    from attnzoo.training import InverseSquareRootDecay

    warmup = recipe.warmup * (steps if recipe.warmup < 1 else recipe.accumulate)
    warmup = max(1, int(warmup))
    if recipe.schedule == "inverse_sqrt":
        return InverseSquareRootDecay(recipe.learning_rate, warmup_steps=warmup)
    return keras.optimizers.schedules.CosineDecay(
        0.0,
        decay_steps=max(1, steps - warmup),
        alpha=1.0 if recipe.schedule == "constant" else 0.0,  # What is left of it in the end.
        warmup_target=recipe.learning_rate,
        warmup_steps=warmup,
    )


def monitored(recipe: Recipe) -> tuple[str, str]:
    """What tells the best epoch, and whether more of it is better."""
    monitor = recipe.monitor or ("accuracy" if recipe.task == "classifier" else "loss")
    return f"val_{monitor}", "max" if monitor == "accuracy" else "min"


def schedules(task, recipe: Recipe) -> list:
    """Callbacks for what the recipe lets change from epoch to epoch."""
    from attnzoo.training import VariableSchedule, linear_decay

    if recipe.task != "seq2seq" or task.sampling_probability is None:
        return []
    highest = recipe.sampling_probability
    rising = linear_decay(highest / max(1, recipe.epochs - 1), floor=1.0 - highest)
    return [VariableSchedule(task.sampling_probability, rising)]
