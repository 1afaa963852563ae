"""Compare finished runs in one table, made from their records.

Each run is a folder from `attnzoo train`, with evaluations from `attnzoo evaluate --json` in it. A
.jsonl file holds the records of several runs, one a line. The table is Markdown; the first metric
ranks the runs, best first. Without --metrics the table has the metrics that all evaluations share.
Runs of other kinds of task, without these metrics, are left out with a note.

  attnzoo evaluate runs/hard/preset --data test.tsv.gz --json runs/hard/greedy.json
  attnzoo evaluate runs/soft/preset --data test.tsv.gz --json runs/soft/greedy.json
  attnzoo leaderboard runs/hard runs/soft

With --side-by-side each argument is a folder or a .jsonl file of runs, for example of one data set,
and becomes a column with the first of the metrics that its runs have. Runs with the same name share
a row. A cell has the result of the evaluation with --decoding. Rows are sorted by their mean
relative rank: the rank divided by the number of runs in the column.

  attnzoo leaderboard --side-by-side runs/cmudict runs/latin --decoding "beam 5" \\
      --metrics word_error_rate exact_match

With --update the tables in Markdown pages are made anew. Each stands between two comments, of which
the first has its command:

  <!-- attnzoo leaderboard benchmarks/runs/latin.jsonl --metrics exact_match -->
  <!-- end of table -->

With --curves the runs' loss on the dev set by epoch is also drawn; --quantity selects another
column of their history.csv.
"""

import argparse
import os
import pathlib
import sys
from collections.abc import Sequence

from attnzoo.cli.run_records import HISTORY, read_folder, read_runs
from attnzoo.cli.table_pages import update_tables
from attnzoo.cli.tasks import check_output

# Metrics whose larger values are better. For all others smaller values are better.
_ENTITIES = {"entity_precision", "entity_recall", "entity_f1"}
_ROUGE = {f"rouge{kind}{words}" for kind in "12L" for words in ("", "_unicode")}
_LARGER_IS_BETTER = {"accuracy", "exact_match", "bleu", "bleu_lowercase", *_ENTITIES, *_ROUGE}
# Numbers in an evaluation that are not metrics.
_FACTS = {"decoding", "sources"}
# The default metrics, if the evaluations have them.
_USUAL = ("word_error_rate", "phoneme_error_rate")
_RATES = {"accuracy", "exact_match", "word_error_rate", "phoneme_error_rate", *_ENTITIES, *_ROUGE}


def needs_backend(arguments: argparse.Namespace) -> bool:
    """Return False: the command reads records alone."""
    return False


def add_arguments(parser: argparse.ArgumentParser):
    parser.add_argument(
        "runs", nargs="*", metavar="RUN", help="a run's folder, or a .jsonl file of runs"
    )
    parser.add_argument(
        "--metrics",
        nargs="+",
        metavar="NAME",
        help="columns; the first one ranks (default: error rates of words and phonemes, else all "
        "metrics that the evaluations share)",
    )
    parser.add_argument(
        "--decoding",
        metavar="HOW",
        help='only evaluations with this decoding, as in the table: greedy, "beam 5" '
        "(default: all, and with --side-by-side greedy)",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--side-by-side", action="store_true", help="a column for each folder of runs"
    )
    form.add_argument("--curves", metavar="FILE", help=".png, .pdf or .svg for the learning curves")
    parser.add_argument(
        "--update", nargs="+", metavar="PAGE", help="Markdown pages whose tables are made anew"
    )
    parser.add_argument(
        "--quantity",
        default="val_loss",
        metavar="NAME",
        help="column of history.csv that --curves draws (default: %(default)s)",
    )


def run(arguments: argparse.Namespace):
    if bool(arguments.runs) == bool(arguments.update):
        raise ValueError(
            "A table needs runs, or `--update` and the pages that say theirs. Received: "
            f"runs={arguments.runs}, update={arguments.update}"
        )
    if arguments.update:
        update_pages(arguments.update)
        return
    if arguments.curves:
        check_output(arguments.curves, "--curves")
    print(_make(arguments))
    if arguments.curves:
        draw_curves(arguments.runs, arguments.quantity).savefig(arguments.curves)


def update_pages(pages: Sequence[str | os.PathLike]):
    """Make the tables in Markdown pages anew.

    Raises:
        ValueError: If a page has no table, one without an end, or a command with wrong arguments.
    """
    for path in map(pathlib.Path, pages):
        text = path.read_text(encoding="utf-8")
        try:
            made = update_page(text)
        except ValueError as error:
            raise ValueError(f"{error} Received: {path}") from error
        if made != text:
            path.write_text(made, encoding="utf-8")


def update_page(text: str) -> str:
    """Return the text of a Markdown page with its tables made anew."""
    parser = _Parser(add_help=False)
    add_arguments(parser)
    return update_tables(text, "leaderboard", lambda words: _make(parser.parse_args(words)))


class _Parser(argparse.ArgumentParser):
    """A parser of a command in a page."""

    def error(self, message):
        raise ValueError(f"The command of a table must be right: {message}.")


def _make(arguments) -> str:
    """Return the table that the arguments ask for."""
    if arguments.side_by_side:
        return make_overview(arguments.runs, arguments.metrics, arguments.decoding or "greedy")
    return make_table(arguments.runs, arguments.metrics, arguments.decoding)


def draw_curves(runs: Sequence[str | os.PathLike], quantity: str = "val_loss"):
    """Return a figure of a quantity by epoch, from `history.csv`, with a line for each run.

    Raises:
        ValueError: If a run has no such quantity.
    """
    from attnzoo.plotting import plot_curves

    found = [run for path in runs for run in read_runs(path)]
    names = [run.name for run in found]
    if len(set(names)) < len(names):
        names = [run.full_name() for run in found]
    curves = {name: _curve(run, quantity) for name, run in zip(names, found, strict=True)}
    return plot_curves(curves, quantity)


def _curve(run, quantity):
    """Return a quantity after each epoch, NaN if none was logged."""
    if run.history is None:
        raise ValueError(
            f"A run to draw must have its {HISTORY}. Received: run={run.full_name()}, "
            f"without {HISTORY}"
        )
    known = [name for name in run.history if name != "epoch"]
    if quantity not in known:
        raise ValueError(
            f"`--quantity` must be one of {known}. Received: {quantity}, for run={run.full_name()}"
        )
    return [float("nan") if value is None else value for value in run.history[quantity]]


def make_table(
    runs: Sequence[str | os.PathLike],
    metrics: Sequence[str] | None = None,
    decoding: str | None = None,
) -> str:
    """Return a Markdown table with a row for each evaluation of each run.

    Args:
        runs: Run folders from `attnzoo train`, and `.jsonl` files of records.
        metrics: Names of metrics, as in the records; None for the metrics that all evaluations of
            one kind of task share.
        decoding: The decoding of the evaluations, as in the records; None for all.

    Raises:
        ValueError: If a folder holds no finished run, or no evaluation with these metrics, or runs
            of one kind share no metric.
    """
    found = [_Run(record, decoding) for path in runs for record in read_runs(path)]
    found, metrics = _comparable(found, metrics, decoding)
    rows = [row for one in found for row in one.rows(metrics)]
    rows.sort(key=lambda row: _sign(metrics[0]) * row["figures"][metrics[0]])
    head = ["run", "attention", "decoding", *metrics, "parameters", "epochs", "minutes", "seed"]
    lines = [head, ["---"] * len(head)]
    for row in rows:
        shown = [_show(name, row["figures"][name]) for name in metrics]
        lines.append([*row["start"], *shown, *row["end"]])
    return _markdown(lines)


class _Run:
    """A finished run, with its evaluations for one decoding or for all."""

    def __init__(self, record, decoding):
        self.name, self.folder = record.name, record.place
        self.recipe, self.training = record.recipe, record.training
        self.kind = self.recipe.get("task", "seq2seq")  # Older records have no other.
        self.evaluations = _evaluations(record, decoding)

    def rows(self, metrics):
        """Return the cells of each evaluation with these metrics."""
        training = self.training
        attention = training.get("attention") or _attention(self.recipe)  # Else by the recipe.
        end = (
            f"{training['parameters']:,}",
            str(training["epochs"]),
            _minutes(training),
            str(self.recipe["seed"]),
        )
        return [
            {
                "start": (self.name, attention, figures.get("decoding", "?")),
                "figures": figures,
                "end": end,
            }
            for figures in self.evaluations
            if set(metrics) <= set(figures)
        ]


def _comparable(runs, metrics, decoding):
    """Return the runs of one kind with evaluations by the metrics, and the metrics."""
    measured = [run for run in runs if run.evaluations]
    if metrics is not None:
        measured = [run for run in measured if run.rows(metrics)]
    kind = (measured or runs)[0].kind
    chosen = [run for run in runs if run.kind == kind or run in measured]
    if metrics is None:
        chosen = [run for run in runs if run.kind == kind]
        metrics = _shared([figures for run in chosen for figures in run.evaluations])
    for run in runs:
        if run not in chosen:
            print(
                f"attnzoo leaderboard: {run.folder} is left out: it is a run of "
                f"task={run.kind!r}, not measured as those of task={kind!r} are.",
                file=sys.stderr,
            )
        elif not run.rows(metrics):
            raise ValueError(
                f"A run needs an evaluation{f' with {metrics}' if metrics else ''} in its folder: "
                f"`attnzoo evaluate {run.folder}/preset --data ... --json "
                f"{run.folder}/greedy.json`. Received: run={run.folder}"
                + ("" if decoding is None else f", with decoding={decoding!r}")
            )
    return chosen, metrics


def _shared(evaluations) -> list[str]:
    """Return the metrics that all evaluations share: the usual ones, else all."""
    known = [_metrics_of(figures) for figures in evaluations]
    shared = [name for name in (known or [[]])[0] if all(name in names for names in known)]
    if evaluations and not shared:
        raise ValueError(
            "Evaluations to compare must share a metric: give `--metrics` that some have, and the "
            f"runs of these. Received: {sorted({name for names in known for name in names})}"
        )
    return [name for name in _USUAL if name in shared] or shared


def _metrics_of(figures) -> list[str]:
    return [
        name
        for name, value in figures.items()
        if name not in _FACTS and isinstance(value, (int, float))
    ]


def make_overview(
    folders: Sequence[str | os.PathLike],
    metrics: Sequence[str] | None = None,
    decoding: str = "greedy",
) -> str:
    """Return a Markdown table with a column for each folder of runs and a row for each run name.

    Args:
        folders: Folders of run folders from `attnzoo train`, and `.jsonl` files of records.
        metrics: Names of metrics, as in the records. A column has the first one that the folder's
            runs have; None tries the usual metrics, then all others.
        decoding: The decoding of the evaluations, as in the records.

    Raises:
        ValueError: If a folder holds no run with such an evaluation.
    """
    columns = [_column(pathlib.Path(folder), metrics, decoding) for folder in folders]
    ranks: dict[str, list[float]] = {}
    for metric, values in columns:
        order = sorted(values, key=lambda run: _sign(metric) * values[run])
        for rank, run in enumerate(order, 1):
            ranks.setdefault(run, []).append(rank / len(order))
    names = sorted(ranks, key=lambda run: (sum(ranks[run]) / len(ranks[run]), run))
    heads = [
        f"{pathlib.Path(folder).name.removesuffix('.jsonl')}, {metric}"
        for folder, (metric, _) in zip(folders, columns, strict=True)
    ]
    lines = [["run", *heads], ["---"] * (1 + len(heads))]
    for name in names:
        lines.append(
            [name, *(_show(metric, at[name]) if name in at else "" for metric, at in columns)]
        )
    return _markdown(lines)


def _column(folder, metrics, decoding):
    """Return the first metric that a folder's runs have with this decoding, and its values."""
    if folder.suffix == ".jsonl":
        runs = read_runs(folder)
    else:
        runs = [read_folder(path.parent) for path in sorted(folder.glob("*/metrics.json"))]
    measured = {run.name: _evaluations(run, decoding) for run in runs}
    if metrics is None:
        every = [_metrics_of(figures) for found in measured.values() for figures in found]
        metrics = dict.fromkeys([*_USUAL, *(name for names in every for name in names)])
    for metric in metrics:
        values = {}
        for run, evaluations in measured.items():
            found = [figures[metric] for figures in evaluations if metric in figures]
            if len(found) > 1:
                raise ValueError(
                    "A run needs one evaluation with each decoding to stand beside others. "
                    f"Received: run={folder / run} with two of decoding={decoding!r}"
                )
            if found:
                values[run] = found[0]
        if values:
            return metric, values
    raise ValueError(
        f"A folder of runs needs finished ones with one of {list(metrics)} in an evaluation with "
        f"decoding={decoding!r}. Received: {folder}"
    )


def _markdown(lines) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _evaluations(record, decoding=None) -> list[dict]:
    """Return the evaluations of a record with this decoding, or all."""
    found = [one for one in record.evaluations.values() if isinstance(one, dict)]
    return [one for one in found if _metrics_of(one) and decoding in (None, one.get("decoding"))]


def _sign(metric) -> int:
    """Return 1 if a smaller value is better, else -1."""
    return -1 if metric in _LARGER_IS_BETTER else 1


def _attention(recipe):
    """Return the attention of a run; older records have recurrent text-to-text models only."""
    if recipe.get("model") == "transformer":
        return "multi_head"
    if recipe.get("task") in ("classifier", "tagger"):
        return "pooling" if recipe["task"] == "classifier" else "none"
    options = recipe.get("attention_options") or {}
    return ", ".join([recipe.get("attention", "?"), *(f"{k}={v}" for k, v in options.items())])


def _minutes(training):
    """Return the minutes of training over all restarts; in older records, since the last one."""
    seconds = training.get("seconds")
    last = training["seconds_since_last_start"]
    return f"{(last if seconds is None else seconds) / 60:.0f}"


def _show(name, value):
    return f"{100 * value:.1f} %" if name in _RATES else f"{value:.2f}"
