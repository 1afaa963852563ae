"""Data files on the command line, read for a task."""

import argparse
import os
from collections.abc import Sequence


def add_caption_argument(parser: argparse.ArgumentParser):
    """Add `--caption-column`, for commands that read pictures with captions."""
    parser.add_argument(
        "--caption-column",
        type=int,
        default=1,
        metavar="N",
        help="column of the captions of pictures in the TSV file, counted from 0",
    )


def add_inflections_argument(parser: argparse.ArgumentParser):
    """Add `--inflections`, for all commands that read pairs."""
    parser.add_argument(
        "--inflections",
        action="store_true",
        help="the data is one TSV file of lemma, form and tags, or lemma, tags and form: "
        "characters, and a symbol for a tag",
    )


def add_fields_argument(parser: argparse.ArgumentParser):
    """Add `--fields`, for all commands that read pairs."""
    parser.add_argument(
        "--fields",
        nargs="+",
        metavar="NAME",
        help="the data is one file of JSON lines: the names of the fields with source and target",
    )


def read_data(
    paths: Sequence[str],
    task: str = "seq2seq",
    inflections: bool = False,
    fields: Sequence[str] | None = None,
    *,
    caption_column: int = 1,
) -> list:
    """Return pairs of texts, pairs of a text and its label or tags, texts, questions, or pairs of a
    picture and its caption, by task."""
    if task == "seq2seq":
        return read_pairs(paths, inflections, fields)
    if fields:
        raise ValueError(
            f"`--fields` is for pairs of texts. Received: fields={list(fields)} with task={task!r}"
        )
    if task == "captioner":
        return _read_captions(paths, inflections, caption_column)
    from attnzoo.data import read_labelled, read_tagged, read_texts

    if task == "masked_lm":
        if inflections:
            raise ValueError(
                "A masked language model reads texts, and no inflections. Received: "
                f"{paths}, inflections={inflections}"
            )
        return [text for path in paths for text in read_texts(path)]
    if task == "span_qa":
        from attnzoo.data import read_questions

        if inflections:
            raise ValueError(
                "Questions are read from JSON, and are no inflections. Received: "
                f"{paths}, inflections={inflections}"
            )
        return [question for path in paths for question in read_questions(path)]
    if len(paths) != 1 or inflections:
        received = f"{paths}, inflections={inflections}"
        raise ValueError(f"Labelled texts are one file, and no inflections. Received: {received}")
    return list(read_tagged(*paths) if task == "tagger" else read_labelled(*paths))


def read_pairs(
    paths: Sequence[str], inflections: bool = False, fields: Sequence[str] | None = None
) -> list[tuple[str, str]]:
    """Return the pairs of a TSV file, two parallel files, JSON lines, or a folder of stories."""
    from attnzoo.data import (
        read_inflections,
        read_json_lines,
        read_parallel,
        read_stories,
        read_tsv,
    )

    if fields:
        if len(paths) != 1 or len(fields) != 2 or inflections:
            raise ValueError(
                "`--fields` names source and target in one file of JSON lines. Received: "
                f"fields={list(fields)}, {paths}, inflections={inflections}"
            )
        return list(read_json_lines(*paths, *fields))
    if len(paths) == 1 and os.path.isdir(paths[0]) and not inflections:
        return list(read_stories(*paths))
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


def _read_captions(paths, inflections, column):
    from attnzoo.data import read_captions

    if len(paths) != 2 or inflections:
        raise ValueError(
            "Captions are two paths, a folder or an NPZ file of pictures and a TSV file, and no "
            f"inflections. Received: {paths}, inflections={inflections}"
        )
    return read_captions(*paths, column=column)
