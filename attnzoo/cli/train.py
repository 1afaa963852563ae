"""Train a model on pairs of strings.

Data is one TSV file (source, tab, target) or two parallel files, plain or .gz; with --inflections
one TSV file of lemma, form and tags, as SIGMORPHON gives them. The run folder then
holds recipe.json (the settings), history.csv (a line an epoch), best.weights.h5, and at the end
preset/ (the best epoch's model, for the other commands) and metrics.json. A run that was
interrupted goes on where it stopped when the same command is given again.

  attnzoo train --train train.tsv.gz --dev dev.tsv.gz --output runs/g2p
  attnzoo train --train train.en train.de --dev val.en val.de --output runs/en-de \\
      --min-count 2 --attention luong --hidden-dim 512
  attnzoo train --inflections --train finnish.train.tsv --dev finnish.dev.tsv --output runs/finnish
"""

import dataclasses
import json
import pathlib


@dataclasses.dataclass(frozen=True)
class Recipe:
    """All that decides how a run turns out, but for the data."""

    source_tokenizer: str = "symbol"
    target_tokenizer: str = "symbol"
    lowercase: bool = False
    min_count: int = 1
    max_vocabulary: int | None = None
    max_source_length: int = 64
    max_target_length: int = 64
    attention: str = "bahdanau"
    attend: str | None = None
    input_feeding: bool | None = None
    cell: str = "lstm"
    embedding_dim: int = 128
    hidden_dim: int = 256
    num_encoder_layers: int = 1
    num_decoder_layers: int = 1
    bidirectional: bool = True
    bridge: str = "dense"
    tie_embeddings: bool = False
    pointer_generator: bool = False
    dropout: float = 0.2
    recurrent_dropout: float = 0.0
    label_smoothing: float = 0.0
    sampling_probability: float = 0.0
    coverage_loss: float = 0.0
    epochs: int = 20
    batch_size: int = 128
    learning_rate: float = 2e-3
    warmup: float = 0.02
    patience: int = 5
    num_buckets: int = 5
    mixed_precision: bool = False
    seed: int = 0


_HELP = {
    "source_tokenizer": "symbols between white space, or characters",
    "target_tokenizer": "the same for the target",
    "lowercase": "lower-case all text",
    "min_count": "leave symbols rarer than this out of the vocabulary",
    "max_vocabulary": "keep at most this many symbols",
    "max_source_length": "longest source, in tokens; longer ones are cut",
    "max_target_length": "longest target, in tokens",
    "attention": "a name, such as bahdanau, luong or monotonic; an unknown one lists all",
    "attend": "before the cell moves (Bahdanau) or after (Luong)",
    "input_feeding": "feed the readout back to the next input (order: after)",
    "cell": "lstm, gru or simple",
    "embedding_dim": "width of the embeddings",
    "hidden_dim": "width of encoder, decoder and readout",
    "bidirectional": "read the source in both directions",
    "bridge": "from encoder to decoder state: dense, copy or zeros",
    "tie_embeddings": "let the output layer be the transposed target embedding",
    "pointer_generator": "let a step copy a symbol of the source, known or not; to learn it from "
    "rare symbols, leave them out of the vocabulary",
    "dropout": "dropout of embeddings, layers and readout",
    "recurrent_dropout": "variational dropout of the recurrent state",
    "label_smoothing": "mass spread over the vocabulary",
    "sampling_probability": "scheduled sampling: probability that the model's own token enters, "
    "rising linearly from 0 in the first epoch to this in the last",
    "coverage_loss": "weight of the loss on looking twice, for an attention with coverage",
    "learning_rate": "highest rate; a cosine takes it to zero over all epochs",
    "warmup": "share of all steps in which the rate rises from zero",
    "patience": "stop after so many epochs without a better dev loss",
    "num_buckets": "shapes of batches; each costs a compilation, fewer cost padding",
    "mixed_precision": "compute in bfloat16",
}


def add_arguments(parser):
    import argparse

    parser.add_argument(
        "--train", nargs="+", required=True, metavar="FILE", help="one TSV or two parallel files"
    )
    parser.add_argument("--dev", nargs="+", required=True, metavar="FILE", help="likewise")
    add_inflections_argument(parser)
    parser.add_argument("--output", required=True, metavar="DIR", help="the run folder")
    parser.add_argument("--overwrite", action="store_true", help="start the run anew")
    parser.add_argument("--verbose", type=int, default=1, help="0 nothing, 1 a bar, 2 a line")
    choices = {"source_tokenizer": ("symbol", "character")}
    choices["target_tokenizer"] = choices["source_tokenizer"]
    for field in dataclasses.fields(Recipe):
        flag = f"--{field.name.replace('_', '-')}"
        note = f"{_HELP.get(field.name, field.name.replace('_', ' '))} (default: %(default)s)"
        if "bool" in str(field.type):
            action = argparse.BooleanOptionalAction
            parser.add_argument(flag, action=action, default=field.default, help=note)
            continue
        kind = {"int": int, "int | None": int, "float": float}.get(str(field.type), str)
        if isinstance(field.type, type):
            kind = field.type
        parser.add_argument(
            flag, type=kind, default=field.default, choices=choices.get(field.name), help=note
        )


def run(arguments):
    recipe = Recipe(
        **{field.name: getattr(arguments, field.name) for field in dataclasses.fields(Recipe)}
    )
    train(
        recipe,
        read_pairs(arguments.train, arguments.inflections),
        read_pairs(arguments.dev, arguments.inflections),
        arguments.output,
        overwrite=arguments.overwrite,
        verbose=arguments.verbose,
    )


def add_inflections_argument(parser):
    """What train and evaluate have in common: how their data is to be read."""
    parser.add_argument(
        "--inflections",
        action="store_true",
        help="the data is one TSV file of lemma, form and tags: characters, and a symbol for a tag",
    )


def read_pairs(paths, inflections: bool = False):
    """The pairs of one TSV file or of two parallel files."""
    from attnzoo.data import read_inflections, read_parallel, read_tsv

    if inflections:
        if len(paths) != 1:
            raise ValueError(f"Inflections are one TSV file. Received: {paths}")
        return list(read_inflections(*paths))
    if len(paths) > 2:
        raise ValueError(f"Data is one TSV file or two parallel files. Received: {paths}")
    return list(read_tsv(*paths) if len(paths) == 1 else read_parallel(*paths))


def train(recipe: Recipe, train_pairs, dev_pairs, output, *, overwrite=False, verbose=1):
    """Train as the recipe says, or go on where an interrupted run stopped.

    Args:
        recipe: The settings.
        train_pairs: (source, target) pairs of strings.
        dev_pairs: Likewise, for early stopping.
        output: The run folder.
        overwrite: Whether to start anew in a folder that holds a run.
        verbose: 0, 1 (a progress bar) or 2 (a line an epoch).

    Returns:
        The trained task, with the weights of its best epoch.

    Raises:
        ValueError: If the folder holds a run of another recipe.
    """
    import math
    import time

    import keras

    from attnzoo.data import BucketedBatches
    from attnzoo.models import RNNSeq2SeqLM
    from attnzoo.training import TrainingBackup

    output = pathlib.Path(output)
    preset, best = output / "preset", output / "best.weights.h5"
    claim_folder(output, recipe, overwrite)
    if preset.is_dir():
        if verbose:
            print(f"{output} is finished; --overwrite starts it anew.")
        return RNNSeq2SeqLM.from_preset(preset)

    keras.utils.set_random_seed(recipe.seed)
    task = make_task(recipe, train_pairs)
    buckets = {"batch_size": recipe.batch_size, "num_buckets": recipe.num_buckets}
    batches = BucketedBatches(train_pairs, task.preprocessor, seed=recipe.seed, **buckets)
    dev_batches = BucketedBatches(dev_pairs, task.preprocessor, shuffle=False, **buckets)
    compile_task(task, recipe, steps=recipe.epochs * len(batches))

    history = keras.callbacks.CSVLogger(str(output / "history.csv"), append=True)
    stopping = keras.callbacks.EarlyStopping("val_loss", mode="min", patience=recipe.patience)
    checkpoint = keras.callbacks.ModelCheckpoint(
        best, monitor="val_loss", mode="min", save_best_only=True, save_weights_only=True
    )
    backup = TrainingBackup(
        output / "backup.npz", output / "history.csv", callbacks=[stopping, checkpoint]
    )
    batches.epoch = epoch = backup.restore(task)
    if verbose:
        parameters = task.count_params()
        going_on = f", going on with epoch {epoch + 1}" if epoch else ""
        print(
            f"{len(batches)} batches of {recipe.batch_size}, padding "
            f"{batches.padding_fraction:.1%}, {parameters:,} parameters, "
            f"backend {keras.backend.backend()}{going_on}"
        )
    start = time.monotonic()
    if not _stopped_already(backup.past, recipe.patience):
        task.fit(
            batches,
            epochs=recipe.epochs,
            initial_epoch=epoch,
            validation_data=dev_batches,
            shuffle=False,  # The batches come in an order of their own, by seed and epoch.
            callbacks=[*schedules(task, recipe), history, stopping, checkpoint, backup],
            verbose=verbose,
        )
    task.load_weights(best)
    seconds = time.monotonic() - start
    (output / "metrics.json").write_text(
        json.dumps(
            {
                "backend": keras.backend.backend(),
                "parameters": task.count_params(),
                "seconds": None if math.isnan(backup.seconds) else round(backup.seconds, 1),
                "seconds_since_last_start": round(seconds, 1),
                "epochs": sum(1 for _ in open(output / "history.csv")) - 1,
            },
            indent=2,
        )
        + "\n"
    )
    task.save_to_preset(str(preset))
    (output / "backup.npz").unlink(missing_ok=True)
    if verbose:
        print(f"Trained in {seconds:.0f} s. The model is in {preset}")
    return task


def claim_folder(output: pathlib.Path, recipe: Recipe, overwrite: bool):
    """Make the run folder, or see that the one there is of the same recipe."""
    record = output / "recipe.json"
    wanted = json.dumps(dataclasses.asdict(recipe), indent=2) + "\n"
    if overwrite and output.is_dir() and record.exists():
        import shutil

        shutil.rmtree(output)
    if output.exists() and any(output.iterdir()):
        if not record.exists():
            raise ValueError(f"The run folder must be new or a run's. Received: output={output}")
        # An option that was not there yet had its default's effect.
        held = {**dataclasses.asdict(Recipe()), **json.loads(record.read_text())}
        different = sorted(k for k, v in json.loads(wanted).items() if held.get(k) != v)
        if different:
            raise ValueError(
                f"The run folder holds a run that differs in {different}; choose another folder, "
                f"or --overwrite it. Received: output={output}"
            )
    output.mkdir(parents=True, exist_ok=True)
    record.write_text(wanted)


def make_task(recipe: Recipe, pairs):
    """Tokenizers from the data, and a new model."""
    from attnzoo.data import CharacterTokenizer, SymbolTokenizer
    from attnzoo.models import RNNSeq2SeqBackbone, RNNSeq2SeqLM, RNNSeq2SeqLMPreprocessor

    kinds = {"symbol": SymbolTokenizer, "character": CharacterTokenizer}
    source_tokenizer, tokenizer = (
        kinds[kind].from_texts(
            texts,
            min_count=recipe.min_count,
            max_size=recipe.max_vocabulary,
            lowercase=recipe.lowercase,
        )
        for kind, texts in zip(
            (recipe.source_tokenizer, recipe.target_tokenizer),
            zip(*pairs, strict=True),
            strict=True,
        )
    )
    preprocessor = RNNSeq2SeqLMPreprocessor(
        source_tokenizer,
        tokenizer,
        encoder_sequence_length=recipe.max_source_length,
        decoder_sequence_length=recipe.max_target_length,
        pointer_generator=recipe.pointer_generator,
    )
    backbone = RNNSeq2SeqBackbone(
        source_tokenizer.vocabulary_size(),
        tokenizer.vocabulary_size(),
        embedding_dim=recipe.embedding_dim,
        hidden_dim=recipe.hidden_dim,
        num_encoder_layers=recipe.num_encoder_layers,
        num_decoder_layers=recipe.num_decoder_layers,
        cell=recipe.cell,
        bidirectional=recipe.bidirectional,
        attention=recipe.attention,
        attend=recipe.attend,
        input_feeding=recipe.input_feeding,
        bridge=recipe.bridge,
        dropout=recipe.dropout,
        recurrent_dropout=recipe.recurrent_dropout,
        tie_embeddings=recipe.tie_embeddings,
        pointer_generator=recipe.pointer_generator,
        dtype="mixed_bfloat16" if recipe.mixed_precision else None,
    )
    return RNNSeq2SeqLM(backbone, preprocessor)


def compile_task(task, recipe: Recipe, steps: int):
    """Adam with a warm-up and a cosine over all steps, and gradients clipped at norm 1."""
    import keras

    warmup = max(1, int(recipe.warmup * steps))
    rate = keras.optimizers.schedules.CosineDecay(
        0.0,
        decay_steps=max(1, steps - warmup),
        warmup_target=recipe.learning_rate,
        warmup_steps=warmup,
    )
    task.compile(
        optimizer=keras.optimizers.Adam(rate, global_clipnorm=1.0),
        label_smoothing=recipe.label_smoothing,
        sampling_probability=recipe.sampling_probability or None,
        coverage_loss=recipe.coverage_loss or None,
    )


def schedules(task, recipe: Recipe) -> list:
    """Callbacks for what the recipe lets change from epoch to epoch."""
    from attnzoo.training import VariableSchedule, linear_decay

    if task.sampling_probability is None:
        return []
    highest = recipe.sampling_probability
    rising = linear_decay(highest / max(1, recipe.epochs - 1), floor=1.0 - highest)
    return [VariableSchedule(task.sampling_probability, rising)]


def _stopped_already(past, patience: int) -> bool:
    """Whether the epochs before an interruption had already come to an early stop."""
    losses = [logs["val_loss"] for logs in past]
    return bool(losses) and len(losses) - 1 - losses.index(min(losses)) >= patience
