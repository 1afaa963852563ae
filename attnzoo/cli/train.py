"""Train a model on pairs of strings, on texts with labels, or on texts alone.

Data is one TSV file (source, tab, target) or two parallel files, plain or .gz, or - for standard
input, or one folder of CNN / Daily Mail stories; with --fields one file of JSON lines; with
--inflections one TSV file of lemma, form and tags, as SIGMORPHON and UniMorph have them; with
--task classifier one file whose lines are a label, white space and a text; with --task tagger one
file of words, tab, tags, or of a word a line (.conll, .conllu); with --task masked_lm files with
one text a line; with --task span_qa files of questions, SQuAD's .json or JSON lines; with --task
captioner a folder or an NPZ file of pictures, and a TSV file. The run folder then holds recipe.json
(the settings), history.csv (one line an epoch), best.weights.h5, and at the end metrics.json and
preset/: the model of the best epoch, or with --average the mean of the best ones, for the other
commands and for --preset. The same command resumes an interrupted run.

  attnzoo train --train train.tsv.gz --dev dev.tsv.gz --output runs/g2p
  attnzoo train --train train.en train.de --dev val.en val.de --output runs/en-de \\
      --min-count 2 --attention luong --hidden-dim 512
  attnzoo train --model transformer --train train.en train.de --dev val.en val.de \\
      --source-tokenizer unigram --target-tokenizer unigram --output runs/transformer \\
      --schedule inverse_sqrt --warmup 4000 --max-tokens 4096 --average 5
  attnzoo train --train train.tsv.gz --dev dev.tsv.gz --output runs/monotonic \\
      --attention monotonic --attention-options sigmoid_noise=1 inference_mode=hard
  attnzoo train --inflections --train finnish.train.tsv --dev finnish.dev.tsv --output runs/finnish
  attnzoo train --fields description summary --train train.jsonl --dev dev.jsonl \\
      --attention coverage --pointer-generator --output runs/summaries
  attnzoo train --task classifier --train train.txt --dev dev.txt --output runs/sentiment
  attnzoo train --task captioner --train train.npz train.tsv.gz --dev dev.npz dev.tsv.gz \\
      --caption-column 1 --output runs/captions
  attnzoo train --task tagger --train train.conllu --dev dev.conllu --output runs/tags \\
      --spelling-dim 64 --min-count 2
  attnzoo train --task masked_lm --model transformer --train news.txt --dev other.txt \\
      --output runs/language
  attnzoo train --task classifier --model transformer --preset runs/language/preset \\
      --train train.txt --dev dev.txt --output runs/fine-tuned
  attnzoo train --task span_qa --train train.jsonl --dev dev.jsonl --max-source-length 384 \\
      --stride 128 --span-unit characters --source-tokenizer character --output runs/questions
  attnzoo train --train train.tsv --dev dev.tsv --output runs/one --print-config > run.yaml
  attnzoo train --config run.yaml --learning-rate 0.001 --output runs/two
"""

import argparse
import os
import pathlib
import shutil
import time
from collections.abc import Sequence

from attnzoo.cli.data_files import add_fields_argument, add_inflections_argument, read_data
from attnzoo.cli.interrupts import stopping_within_a_step
from attnzoo.cli.pretrained import check_preset
from attnzoo.cli.run_folder import check_folder, claim_folder, save_preset, write_metrics
from attnzoo.cli.settings import Settings, make_settings
from attnzoo.cli.settings.arguments import add_settings_arguments, given_options
from attnzoo.cli.settings.config_file import read_config, write_config
from attnzoo.cli.startup import announce_compiling, load_tensorflow

_FILES = ("train", "dev", "output", "inflections", "fields")  # Allowed in a file of settings too.


def add_arguments(parser: argparse.ArgumentParser):
    """Add the arguments of the command."""
    parser.usage = (
        "attnzoo train [-h] [--config FILE] [--print-config] [--train FILE ...] [--dev FILE ...] "
        "[--output DIR] [OPTION ...]"
    )
    parser.add_argument(
        "--config",
        metavar="FILE",
        help="settings in YAML, by the names of these options, as written by --print-config, "
        "or a run's recipe.json; options on the command line take precedence",
    )
    parser.add_argument(
        "--print-config", action="store_true", help="print all settings as YAML, and stop"
    )
    parser.add_argument(
        "--train",
        nargs="+",
        metavar="FILE",
        help="one TSV or two parallel files; any number for a masked language model; for a "
        "captioner pictures (a folder or an NPZ file) and a TSV file",
    )
    parser.add_argument("--dev", nargs="+", metavar="FILE", help="likewise")
    add_inflections_argument(parser)
    add_fields_argument(parser)
    parser.add_argument("--output", metavar="DIR", help="the run folder")
    parser.add_argument("--overwrite", action="store_true", help="start the run anew")
    parser.add_argument("--verbose", type=int, default=1, help="0 nothing, 1 a bar, 2 a line")
    add_settings_arguments(parser)


def run(arguments: argparse.Namespace):
    """Train, or print the settings."""
    settings = _settings_of(arguments)
    if arguments.print_config:
        given = {name: getattr(arguments, name) for name in _FILES}
        given = {name: value for name, value in given.items() if value}
        print(write_config({**given, **settings.as_options()}), end="")
        return
    missing = [f"--{name}" for name in ("train", "dev", "output") if not getattr(arguments, name)]
    if missing:
        raise ValueError(
            "A run needs `--train`, `--dev` and `--output`, on the command line or in the file of "
            f"`--config`. Received: no {', '.join(missing)}"
        )
    files = [*arguments.train, *arguments.dev]
    if files.count("-") > 1:
        raise ValueError(f"Standard input can be read once. Received: {files}")
    data, dev_data = (
        read_data(
            paths,
            settings.kind.task,
            arguments.inflections,
            arguments.fields,
            **settings.data.reading_arguments(),
        )
        for paths in (arguments.train, arguments.dev)
    )
    load_tensorflow()
    train(
        settings,
        data,
        dev_data,
        arguments.output,
        overwrite=arguments.overwrite,
        verbose=arguments.verbose,
    )


def _settings_of(arguments):
    """Return settings from file and command line, and complete `arguments` with the data files."""
    config = {} if arguments.config is None else read_config(arguments.config, _FILES)
    for name in _FILES:
        in_file = config.pop(name, None)
        value = getattr(arguments, name) or in_file
        if name in ("train", "dev") and isinstance(value, str):
            value = [value]
        setattr(arguments, name, value)
    options = {**config, **given_options(arguments)}
    preset = options.get("preset")
    if preset is not None and "://" not in preset:
        options["preset"] = os.path.normpath(preset)  # One path for all its spellings.
    return make_settings(**options)


def advise(arguments: argparse.Namespace) -> str:
    """Return what to do after Ctrl-C."""
    again = "without --overwrite " if getattr(arguments, "overwrite", False) else ""
    return f"The same command {again}goes on after the last whole epoch in {arguments.output}."


def train(
    settings: Settings,
    data: Sequence,
    dev_data: Sequence,
    output: str | os.PathLike,
    *,
    overwrite: bool = False,
    verbose: int = 1,
):
    """Train a task, or resume an interrupted run.

    Args:
        settings: The settings.
        data: (source, target) pairs of strings; for a classifier (text, label) pairs; for a tagger
            (words, tags) pairs; for a masked language model texts; for question answering
            `attnzoo.data.Question`s; for a captioner (picture, caption) pairs.
        dev_data: Data of the same form, for early stopping.
        output: The run folder.
        overwrite: Whether to replace a run in the folder.
        verbose: 0, 1 (a progress bar) or 2 (a line an epoch).

    Returns:
        The trained task, with the weights of its best epoch, or the mean weights of the best
        epochs.

    Raises:
        ValueError: If the settings do not fit the preset, or the folder holds a run with others.
    """
    import keras

    from attnzoo.models.parts.presets import task_class

    output = pathlib.Path(output)
    preset = output / "preset"
    check_folder(output, settings, overwrite)
    if preset.is_dir() and not overwrite:
        if verbose:
            print(f"{output} is finished; --overwrite starts it anew.")
        return task_class(preset).from_preset(preset)
    if settings.kind.preset is not None:
        check_preset(settings, output)
    keras.utils.set_random_seed(settings.training.seed)
    task = settings.make_task(data)
    batches, dev_batches = settings.make_batches(task, data, dev_data)
    settings.compile(task, steps=settings.training.epochs * len(batches))
    claim_folder(output, settings, overwrite)  # Last, after everything that may raise.
    seconds, last = _fit(settings, task, batches, dev_batches, output, verbose)
    write_metrics(output, settings, task, seconds, last)
    save_preset(task, preset)
    (output / "backup.npz").unlink(missing_ok=True)
    shutil.rmtree(output / "checkpoints", ignore_errors=True)
    if verbose:
        print(f"Trained in {last:.0f} s. The model is in {preset}")
    return task


def _fit(settings, task, batches, dev_batches, output, verbose):
    """Train from the last complete epoch on, and load the best weights.

    Returns:
        Seconds of training over all restarts, and since the last start.
    """
    import keras

    from attnzoo.training import average_checkpoints

    training = settings.training
    callbacks, checkpoints, backup = _make_callbacks(settings, task, output)
    batches.epoch = epoch = backup.restore(task)
    if verbose:
        resumed = f", resuming with epoch {epoch + 1}" if epoch else ""
        print(
            f"{len(batches)} batches, padding {batches.padding_fraction:.1%}, "
            f"{task.count_params():,} parameters, backend {keras.backend.backend()}{resumed}"
        )
    start = time.monotonic()
    if not training.is_over(backup.past):
        if verbose:
            announce_compiling()
        with stopping_within_a_step() as stopping:
            task.fit(
                batches,
                epochs=training.epochs,
                initial_epoch=epoch,
                validation_data=dev_batches,
                shuffle=False,  # The batches have their own order, from seed and epoch.
                callbacks=[stopping, *callbacks],
                verbose=verbose,
            )
    if training.average > 1:
        average_checkpoints(task, checkpoints.paths)
    else:
        task.load_weights(output / "best.weights.h5")
    return backup.seconds, time.monotonic() - start


def _make_callbacks(settings, task, output):
    """Return all callbacks in order, and separately the checkpoints and the backup."""
    import keras

    from attnzoo.training import BestCheckpoints, TrainingBackup

    training = settings.training
    monitor, mode = training.monitored
    history = keras.callbacks.CSVLogger(str(output / "history.csv"), append=True)
    stopping = keras.callbacks.EarlyStopping(monitor, mode=mode, patience=training.patience)
    best = keras.callbacks.ModelCheckpoint(
        output / "best.weights.h5",
        monitor=monitor,
        mode=mode,
        save_best_only=True,
        save_weights_only=True,
    )
    checkpoints = BestCheckpoints(
        output / "checkpoints", keep=training.average, monitor=monitor, mode=mode
    )
    # Callbacks from here to the backup see the moving averages, if there are any.
    swap = keras.callbacks.SwapEMAWeights(swap_on_epoch=True) if settings.optimizer.ema else None
    backup = TrainingBackup(
        output / "backup.npz", output / "history.csv", callbacks=[stopping, best], swap=swap
    )
    saving = [best, checkpoints] if training.average > 1 else [best]
    swapping = [] if swap is None else [swap]
    callbacks = [*training.schedules(task), history, stopping, *swapping, *saving, backup]
    return callbacks, checkpoints, backup
