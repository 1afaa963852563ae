"""Train a model on pairs of strings, on texts with labels, or on texts alone.

Data is one TSV file (source, tab, target) or two parallel files, plain or .gz, or - for standard
input; with --inflections one TSV file of lemma, form and tags, as SIGMORPHON and UniMorph have
them; with --task classifier one file whose lines are a label, white space and a text; with --task
masked_lm files with a text a line. The run folder then holds recipe.json (the settings),
history.csv (a line an epoch), best.weights.h5, and at the end preset/ (the best epoch's model, or
with --average the mean of the best ones, for the other commands, and for --preset) and
metrics.json. A run that was interrupted goes on where it stopped when the same command is given
again.

  attnzoo train --train train.tsv.gz --dev dev.tsv.gz --output runs/g2p
  attnzoo train --train train.en train.de --dev val.en val.de --output runs/en-de \\
      --min-count 2 --attention luong --hidden-dim 512
  attnzoo train --model transformer --train train.en train.de --dev val.en val.de \\
      --source-tokenizer unigram --target-tokenizer unigram --output runs/transformer \\
      --schedule inverse_sqrt --warmup 4000 --max-tokens 4096 --average 5
  attnzoo train --train train.tsv.gz --dev dev.tsv.gz --output runs/monotonic \\
      --attention monotonic --attention-options sigmoid_noise=1 inference_mode=hard
  attnzoo train --inflections --train finnish.train.tsv --dev finnish.dev.tsv --output runs/finnish
  attnzoo train --task classifier --train train.txt --dev dev.txt --output runs/sentiment
  attnzoo train --task masked_lm --model transformer --train news.txt --dev other.txt \\
      --output runs/language
  attnzoo train --task classifier --model transformer --preset runs/language/preset \\
      --train train.txt --dev dev.txt --output runs/fine-tuned
"""

import dataclasses
import json
import math
import os
import pathlib
import shutil
import sys
import time

from attnzoo.cli.assembly import make_batches, make_task
from attnzoo.cli.interrupts import stopping_within_a_step
from attnzoo.cli.pretrained import check_preset
from attnzoo.cli.recipe import (
    Recipe,
    add_recipe_arguments,
    check_recipe,
    compile_task,
    monitored,
    schedules,
)
from attnzoo.cli.startup import load_tensorflow

RECORD = "recipe.json"  # Of a run folder: what it is a run of.


def add_arguments(parser):
    parser.add_argument(
        "--train",
        nargs="+",
        required=True,
        metavar="FILE",
        help="one TSV or two parallel files; of a masked language model any number",
    )
    parser.add_argument("--dev", nargs="+", required=True, metavar="FILE", help="likewise")
    add_inflections_argument(parser)
    parser.add_argument("--output", required=True, metavar="DIR", help="the run folder")
    parser.add_argument("--overwrite", action="store_true", help="start the run anew")
    parser.add_argument("--verbose", type=int, default=1, help="0 nothing, 1 a bar, 2 a line")
    add_recipe_arguments(parser)


def run(arguments):
    recipe = Recipe(
        **{field.name: getattr(arguments, field.name) for field in dataclasses.fields(Recipe)}
    )
    if (
        recipe.preset is not None and "://" not in recipe.preset
    ):  # However a path was written, it is the same run.
        recipe = dataclasses.replace(recipe, preset=os.path.normpath(recipe.preset))
    files = [*arguments.train, *arguments.dev]
    if files.count("-") > 1:
        raise ValueError(f"Standard input can be read once. Received: {files}")
    train_data = read_data(arguments.train, recipe.task, arguments.inflections)
    dev_data = read_data(arguments.dev, recipe.task, arguments.inflections)
    load_tensorflow()
    train(
        recipe,
        train_data,
        dev_data,
        arguments.output,
        overwrite=arguments.overwrite,
        verbose=arguments.verbose,
    )


def go_on(arguments) -> str:
    """What to do after Ctrl-C."""
    again = "without --overwrite " if getattr(arguments, "overwrite", False) else ""
    return f"The same command {again}goes on after the last whole epoch in {arguments.output}."


def add_inflections_argument(parser):
    """What train and evaluate have in common: how their data is to be read."""
    parser.add_argument(
        "--inflections",
        action="store_true",
        help="the data is one TSV file of lemma, form and tags, or lemma, tags and form: "
        "characters, and a symbol for a tag",
    )


def read_data(paths, task: str = "seq2seq", inflections: bool = False):
    """The pairs of texts, or of a text and its label, or the texts that a task is for."""
    if task == "seq2seq":
        return read_pairs(paths, inflections)
    from attnzoo.data import read_labelled, read_texts

    if task == "masked_lm":
        if inflections:
            raise ValueError(
                "A masked language model reads texts, and no inflections. Received: "
                f"{paths}, inflections={inflections}"
            )
        return [text for path in paths for text in read_texts(path)]
    if len(paths) != 1 or inflections:
        received = f"{paths}, inflections={inflections}"
        raise ValueError(f"Labelled texts are one file, and no inflections. Received: {received}")
    return list(read_labelled(*paths))


def read_pairs(paths, inflections: bool = False):
    """The pairs of one TSV file or of two parallel files."""
    from attnzoo.data import read_inflections, read_parallel, read_tsv

    if inflections:
        if len(paths) != 1:
            raise ValueError(f"Inflections are one TSV file. Received: {paths}")
        pairs = list(read_inflections(*paths))
        if not all(form for _, form in pairs):
            raise ValueError(
                "Inflections to learn or to measure must have their forms; `attnzoo predict "
                f"--inflections` makes them. Received: {paths}, where some or all are missing"
            )
        return pairs
    if len(paths) > 2:
        raise ValueError(f"Data is one TSV file or two parallel files. Received: {paths}")
    return list(read_tsv(*paths) if len(paths) == 1 else read_parallel(*paths))


def train(recipe: Recipe, train_data, dev_data, output, *, overwrite=False, verbose=1):
    """Train as the recipe says, or go on where an interrupted run stopped.

    Args:
        recipe: The settings.
        train_data: (source, target) pairs of strings; for a classifier (text, label) pairs; for a
            masked language model texts.
        dev_data: Likewise, for early stopping.
        output: The run folder.
        overwrite: Whether to start anew in a folder that holds a run.
        verbose: 0, 1 (a progress bar) or 2 (a line an epoch).

    Returns:
        The trained task, with the weights of its best epoch, or the mean of those of the best ones.

    Raises:
        ValueError: If the recipe is at odds with itself or its preset, or the folder holds a run of
            another recipe.
    """
    import keras

    from attnzoo.models.parts.presets import task_class
    from attnzoo.training import average_checkpoints

    output = pathlib.Path(output)
    preset = output / "preset"
    check_recipe(recipe)
    check_folder(output, recipe, overwrite)
    if preset.is_dir() and not overwrite:
        if verbose:
            print(f"{output} is finished; --overwrite starts it anew.")
        return task_class(preset).from_preset(preset)
    if recipe.preset is not None:
        check_preset(recipe, output)

    keras.utils.set_random_seed(recipe.seed)
    task = _make_task(recipe, train_data)
    batches, dev_batches = make_batches(recipe, task, train_data, dev_data)
    compile_task(task, recipe, steps=recipe.epochs * len(batches))
    claim_folder(output, recipe, overwrite)  # Not before all that can be refused is made.
    callbacks, checkpoints, backup = _make_callbacks(recipe, task, output)
    batches.epoch = epoch = backup.restore(task)
    if verbose:
        going_on = f", going on with epoch {epoch + 1}" if epoch else ""
        print(
            f"{len(batches)} batches, padding {batches.padding_fraction:.1%}, "
            f"{task.count_params():,} parameters, backend {keras.backend.backend()}{going_on}"
        )
    start = time.monotonic()
    if not stopped_already(backup.past, recipe):
        if verbose:
            tell_compiling()
        with stopping_within_a_step() as stopping:
            task.fit(
                batches,
                epochs=recipe.epochs,
                initial_epoch=epoch,
                validation_data=dev_batches,
                shuffle=False,  # The batches come in an order of their own, by seed and epoch.
                callbacks=[stopping, *callbacks],
                verbose=verbose,
            )
    if recipe.average > 1:
        average_checkpoints(task, checkpoints.paths)
    else:
        task.load_weights(output / "best.weights.h5")
    seconds = time.monotonic() - start
    _write_metrics(output, recipe, task, backup.seconds, seconds)
    _save_whole(task, preset)
    (output / "backup.npz").unlink(missing_ok=True)
    shutil.rmtree(checkpoints.folder, ignore_errors=True)
    if verbose:
        print(f"Trained in {seconds:.0f} s. The model is in {preset}")
    return task


def tell_compiling():
    """Say on standard error that a backend compiles, if it does."""
    import keras

    if keras.backend.backend() != "torch":
        told = f"Compiling for {keras.backend.backend()}, which takes some seconds."
        print(told, file=sys.stderr, flush=True)


def _save_whole(task, preset: pathlib.Path):
    """Save a preset in one move: there is none, or it is whole."""
    beside = preset.with_name("preset.tmp")
    shutil.rmtree(beside, ignore_errors=True)
    task.save_to_preset(str(beside))
    os.replace(beside, preset)


def _make_task(recipe: Recipe, data):
    try:
        return make_task(recipe, data)
    except TypeError as error:
        options = {"attention": recipe.attention_options, "block": recipe.block_options}
        given = {f"{name}_options": value for name, value in options.items() if value}
        if not given:
            raise
        raise ValueError(
            f"Options must be what the layer takes. Received: {given}: {error}"
        ) from error


def check_folder(output: pathlib.Path, recipe: Recipe, overwrite: bool):
    """Raise unless the run folder is new, or of the same recipe, or may be overwritten."""
    record = output / RECORD
    if not output.exists() or not any(output.iterdir()):
        return
    if not record.exists():
        raise ValueError(f"The run folder must be new or a run's. Received: output={output}")
    if overwrite:
        return
    # An option that was not there yet had its default's effect.
    held = {**dataclasses.asdict(Recipe()), **json.loads(record.read_text())}
    wanted = json.loads(json.dumps(dataclasses.asdict(recipe)))
    different = sorted(name for name, value in wanted.items() if held.get(name) != value)
    if different:
        raise ValueError(
            f"The run folder holds a run that differs in {different}; choose another folder, "
            f"or --overwrite it. Received: output={output}"
        )


def claim_folder(output: pathlib.Path, recipe: Recipe, overwrite: bool):
    """Make the run folder, without the run that was there if it is to be overwritten."""
    if overwrite and (output / RECORD).exists():
        shutil.rmtree(output)
    output.mkdir(parents=True, exist_ok=True)
    (output / RECORD).write_text(json.dumps(dataclasses.asdict(recipe), indent=2) + "\n")


def _make_callbacks(recipe: Recipe, task, output: pathlib.Path):
    """All callbacks in their order, and of them the keeper of checkpoints and the backup."""
    import keras

    from attnzoo.training import BestCheckpoints, TrainingBackup

    monitor, mode = monitored(recipe)
    history = keras.callbacks.CSVLogger(str(output / "history.csv"), append=True)
    stopping = keras.callbacks.EarlyStopping(monitor, mode=mode, patience=recipe.patience)
    best = keras.callbacks.ModelCheckpoint(
        output / "best.weights.h5",
        monitor=monitor,
        mode=mode,
        save_best_only=True,
        save_weights_only=True,
    )
    checkpoints = BestCheckpoints(
        output / "checkpoints", keep=recipe.average, monitor=monitor, mode=mode
    )
    # From here to the backup the model has the moving averages, if there are any.
    swap = keras.callbacks.SwapEMAWeights(swap_on_epoch=True) if recipe.ema else None
    backup = TrainingBackup(
        output / "backup.npz", output / "history.csv", callbacks=[stopping, best], swap=swap
    )
    saving = [best, checkpoints] if recipe.average > 1 else [best]
    swapping = [] if swap is None else [swap]
    callbacks = [*schedules(task, recipe), history, stopping, *swapping, *saving, backup]
    return callbacks, checkpoints, backup


def _write_metrics(output: pathlib.Path, recipe: Recipe, task, seconds, seconds_since_last_start):
    """What the leaderboard tells of a run, but for its evaluations."""
    import keras

    attention = getattr(task.backbone, "attention", None)
    metrics = {
        "backend": keras.backend.backend(),
        "parameters": task.count_params(),
        "seconds": None if math.isnan(seconds) else round(seconds, 1),
        "seconds_since_last_start": round(seconds_since_last_start, 1),
        "epochs": sum(1 for _ in open(output / "history.csv")) - 1,
    }
    if recipe.preset is not None and attention is not None:  # Else the recipe has it.
        name = attention if isinstance(attention, str) else type(attention).__name__
        metrics["attention"] = name
    (output / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")


def stopped_already(past, recipe: Recipe) -> bool:
    """Whether the epochs before an interruption had already come to an early stop."""
    monitor, mode = monitored(recipe)
    values = [logs[monitor] for logs in past]
    if not values:
        return False
    best = min(values) if mode == "min" else max(values)
    return len(values) - 1 - values.index(best) >= recipe.patience
