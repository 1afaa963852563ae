"""Measure a trained model on pairs of strings, on texts with labels, or on texts.

Lines with the same source are one item with several references, of which the best match counts. The
data of a classifier has lines of a label, white space and a text; that of a masked language model
has texts, of which always the same tokens are masked. The metric of both is accuracy. The data of a
tagger is as in `attnzoo train`; tags such as B-PER and I-PER are measured by entities too. The data
of a captioner is a folder or an NPZ file of pictures, and a TSV file.

  attnzoo evaluate runs/g2p/preset --data test.tsv.gz
  attnzoo evaluate runs/finnish/preset --inflections --data finnish.test.tsv --metrics exact_match
  attnzoo evaluate runs/en-de/preset --data test.en test.de --metrics bleu --beam 5
  attnzoo evaluate runs/summaries/preset --fields description summary --data test.jsonl \\
      --metrics rouge1 rouge2 rougeL --beam 5 --no-repeat-ngram-size 3
  attnzoo evaluate runs/sentiment/preset --data test.txt
  attnzoo evaluate runs/tags/preset --data test.conllu
  attnzoo evaluate runs/captions --data test.npz test.tsv.gz --metrics exact_match chrf
  attnzoo evaluate runs/questions/preset --data dev-v1.1.json --max-words 20
"""

import argparse
import functools
import json
import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from attnzoo.cli.data_files import (
    add_caption_argument,
    add_fields_argument,
    add_inflections_argument,
    read_data,
    read_pairs,
)
from attnzoo.cli.presets import inflects
from attnzoo.cli.run_records import METRICS, RECORD
from attnzoo.cli.startup import announce_compiling
from attnzoo.cli.tasks import (
    add_decoding_arguments,
    add_preset_argument,
    check_output,
    load_any_task,
    name_decoding,
)
from attnzoo.cli.texts import captions_pictures, join_symbols, warn_unknown

if TYPE_CHECKING:
    import keras

_ENTITIES = ("entity_precision", "entity_recall", "entity_f1")
_METRICS = ("exact_match", "word_error_rate", "phoneme_error_rate")


def add_arguments(parser: argparse.ArgumentParser):
    add_preset_argument(parser)
    parser.add_argument(
        "--data",
        nargs="+",
        required=True,
        metavar="FILE",
        help="one TSV or two parallel files; pictures and a TSV; - is standard input",
    )
    add_inflections_argument(parser)
    add_fields_argument(parser)
    add_caption_argument(parser)
    parser.add_argument(
        "--metrics",
        nargs="+",
        metavar="NAME",
        help=f"default: {' '.join(_METRICS)}; accuracy alone for a classifier or masked tokens; "
        f"for a tagger accuracy, and of entities in BIO tags {' '.join(_ENTITIES)}; for answers "
        "answer_exact_match answer_f1 answer_f1_characters",
    )
    parser.add_argument(
        "--max-words", type=int, metavar="N", help="longest answer to a question, in units"
    )
    parser.add_argument("--show", type=int, default=10, metavar="N", help="outputs to show")
    parser.add_argument("--json", metavar="FILE", help="also write the metrics to this file")
    add_decoding_arguments(parser)


def run(arguments: argparse.Namespace):
    _check_json(arguments.json)
    arguments.inflections = arguments.inflections or inflects(arguments.preset)
    task = load_any_task(arguments)
    if hasattr(task, "generate"):
        record = _measure_texts(task, arguments)
    elif hasattr(task, "classify"):
        record = _measure_classes(task, arguments)
    elif hasattr(task, "tag"):
        record = _measure_tags(task, arguments)
    elif hasattr(task, "answer"):
        record = _measure_answers(task, arguments)
    elif hasattr(task, "fill"):
        record = _measure_masks(task, arguments)
    else:
        raise ValueError(
            "A task to measure must generate, classify or tag texts, answer questions, or fill in "
            "tokens. "
            f"Received: a {type(task).__name__} in {arguments.preset}"
        )
    print(f"{record['sources']} sources")
    for name, value in record.items():
        if name not in ("decoding", "sources"):
            print(f"{name:20} {value if isinstance(value, str) else f'{value:.4f}'}")
    if arguments.json:
        pathlib.Path(arguments.json).write_text(json.dumps(record, indent=2) + "\n")


def _check_json(path):
    if path is None:
        return
    check_output(path, "--json")
    if pathlib.Path(path).name in (RECORD, METRICS):
        raise ValueError(
            f"`--json` must not take the place of a run's own records, {RECORD}, {METRICS}. "
            f"Received: {path}"
        )


def _measure_texts(task, arguments) -> dict:
    """Compare generated texts with the references."""
    from attnzoo.training import bleu, evaluate_predictions, format_predictions
    from attnzoo.training.metrics import METRICS
    from attnzoo.training.rouge_scores import METRICS as ROUGE
    from attnzoo.training.rouge_scores import rouge_metrics

    known = [*METRICS, *ROUGE]
    unknown = [name for name in arguments.metrics or () if name not in known]
    if unknown:
        raise ValueError(f"`metrics` must be among {known}. Received: {unknown[0]!r}")
    names, sources, right = _read_items(task, arguments)
    warn_unknown(task, sources, "evaluate")
    announce_compiling()
    predictions = generate_all(task, sources)
    if arguments.inflections:
        predictions = [join_symbols(text) for text in predictions]
        right = [[join_symbols(text) for text in texts] for texts in right]
    figures = dict.fromkeys(arguments.metrics or _METRICS)  # In the order asked for.
    bleus = [name for name in figures if name in ("bleu", "bleu_lowercase")]
    others = [name for name in figures if name in METRICS and name not in bleus]
    figures.update(evaluate_predictions(predictions, right, metrics=others))
    figures.update(rouge_metrics(predictions, right, list(figures)))
    for name in bleus:
        lowercase = name == "bleu_lowercase"
        figures[name], figures[f"{name}_signature"] = bleu(predictions, right, lowercase=lowercase)
    if arguments.show:
        shown = slice(arguments.show)
        print(format_predictions(names[shown], predictions[shown], right[shown]))
    return {"decoding": name_decoding(arguments), "sources": len(sources), **figures}


def _read_items(task, arguments) -> tuple[list, list, list]:
    """Return the name, the source and the references of each item."""
    from attnzoo.data import group_references

    if not captions_pictures(task):
        references = group_references(
            read_pairs(arguments.data, arguments.inflections, arguments.fields)
        )
        return list(references), list(references), list(references.values())
    pairs = read_data(
        arguments.data,
        "captioner",
        arguments.inflections,
        caption_column=arguments.caption_column,
    )
    names = [
        image if isinstance(image, str) else f"picture {n}" for n, (image, _) in enumerate(pairs)
    ]
    return names, [image for image, _ in pairs], [[caption] for _, caption in pairs]


def _measure_classes(task, arguments) -> dict:
    """Compare predicted classes with labels."""
    from attnzoo.training import format_predictions

    _check_accuracy("A classifier", arguments.metrics)
    pairs = read_data(arguments.data, "classifier", arguments.inflections, arguments.fields)
    texts, labels = zip(*pairs, strict=True)
    right = task.label_ids(list(labels))
    warn_unknown(task, list(texts), "evaluate")
    announce_compiling()
    found = task.label_ids(task.classify(list(texts)))
    if arguments.show:
        shown = slice(arguments.show)
        names = [task.labels.names(ids[shown]) for ids in (found, right)]
        print(format_predictions(texts[shown], *([str(one) for one in row] for row in names)))
    accuracy = sum(one == other for one, other in zip(found, right, strict=True)) / len(right)
    return {"decoding": "most probable", "sources": len(right), "accuracy": accuracy}


def _measure_tags(task, arguments) -> dict:
    """Compare predicted tags with the right ones: accuracy, and F1 of entities in BIO tags."""
    from attnzoo.training import entity_scores, format_predictions, tag_accuracy
    from attnzoo.training.tag_metrics import are_bio

    known = ["accuracy", *(_ENTITIES if are_bio(task.class_names or []) else ())]
    for name in arguments.metrics or ():
        if name not in known:
            raise ValueError(f"`metrics` must be among {known}. Received: {name!r}")
    pairs: list = read_data(arguments.data, "tagger", arguments.inflections, arguments.fields)
    texts = [text for text, _ in pairs]
    right = [tags.split() for _, tags in pairs]
    warn_unknown(task, texts, "evaluate")
    announce_compiling()
    found = [[str(tag) for tag in tags] for tags in task.tag(texts)]
    if arguments.show:
        shown = slice(arguments.show)
        names = [[" ".join(tags) for tags in rows[shown]] for rows in (found, right)]
        print(format_predictions(texts[shown], *names))
    figures = dict.fromkeys(arguments.metrics or known)
    if "accuracy" in figures:
        figures["accuracy"] = tag_accuracy(found, right)
    if set(_ENTITIES) & set(figures):
        scores = dict(zip(_ENTITIES, entity_scores(found, right), strict=True))
        figures.update({name: scores[name] for name in _ENTITIES if name in figures})
    decoding = "most probable" if task.crf is None else "best path"
    return {"decoding": decoding, "sources": len(right), **figures}


def _measure_masks(task, arguments) -> dict:
    """Count the masked tokens that are filled in right, of the same ones in every call."""
    from attnzoo.data import MaskedBatches

    _check_accuracy("A masked language model", arguments.metrics)
    texts = read_data(arguments.data, "masked_lm", arguments.inflections)
    warn_unknown(task, texts, "evaluate")
    announce_compiling()
    batches = MaskedBatches(texts, task.preprocessor, batch_size=64, shuffle=False)
    found = task.evaluate(batches, return_dict=True, verbose=0)
    return {
        "decoding": "most probable",
        "sources": len(texts),
        "accuracy": float(found["accuracy"]),
    }


def _check_accuracy(kind, metrics):
    if metrics not in (None, ["accuracy"]):
        raise ValueError(f"{kind} is measured by accuracy. Received: metrics={metrics}")


def _measure_answers(task, arguments) -> dict:
    """Compare answers with the references, as SQuAD's official scripts do."""
    from attnzoo.training import answer_exact_match, answer_f1, format_predictions

    version = "2.0" if task.preprocessor.no_answer else "1.1"
    metrics = {
        "answer_exact_match": functools.partial(answer_exact_match, version=version),
        "answer_f1": functools.partial(answer_f1, version=version),
        "answer_f1_characters": functools.partial(answer_f1, version=version, unit="characters"),
    }
    for name in arguments.metrics or ():
        if name not in metrics:
            raise ValueError(f"Answers are measured by {list(metrics)}. Received: metrics={name!r}")
    questions = read_data(arguments.data, "span_qa", arguments.inflections)
    announce_compiling()
    pairs = [one.pair for one in questions]
    found = task.answer(pairs, max_words=arguments.max_words, batch_size=64)
    right = [one.answers for one in questions]
    if arguments.show:
        shown = slice(arguments.show)
        asked = [one.question for one in questions[shown]]
        print(format_predictions(asked, found[shown], [list(one) or [""] for one in right[shown]]))
    figures = {name: metrics[name](found, right) for name in arguments.metrics or metrics}
    return {"decoding": "most probable", "sources": len(right), **figures}


def generate_all(task: "keras.Model", sources: Sequence[str], batch_size: int = 256, **kwargs):
    """Generate for any number of sources, in batches of one size with similar lengths."""
    order = sorted(range(len(sources)), key=lambda i: len(sources[i]))
    outputs = [None] * len(sources)
    for start in range(0, len(order), batch_size):
        chosen = order[start : start + batch_size]
        texts = [sources[i] for i in chosen]
        if len(order) > batch_size:  # One batch size: one compilation for each length.
            texts += texts[-1:] * (batch_size - len(texts))
        for i, output in zip(chosen, task.generate(texts, **kwargs), strict=False):
            outputs[i] = output
    return outputs
