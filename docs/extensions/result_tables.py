"""Tables and numbers of the pages, made from the records in `benchmarks/`.

No number of a result is written by hand. `attnzoo leaderboard --update docs/results/*.md` writes
the tables of runs; for the rest stand directives and roles in a page:

    ```{dev-accuracy} sst2            the best epoch of each run on dev
    ```{trials} sst2                  runs whose files were not kept
    ```{choices} figures              the table of README.md
    ```{measurement} seq2seq          benchmarks/measurements/seq2seq.json
    {score}`finnish/luong, beam 5, exact_match`
    {epoch}`multi30k/luong, val_accuracy, best`      or `last`, or the number of an epoch, from 1
    {trial}`repeated/luong on cmudict`               one of those runs

`python docs/extensions/result_tables.py` writes the tables of README.md anew: this one, and that of
the presets.
"""

import json
import pathlib
import statistics

ROOT = pathlib.Path(__file__).resolve().parents[2]
RUNS = ROOT / "benchmarks" / "runs"
MEASUREMENTS = ROOT / "benchmarks" / "measurements"
# What to take where, by the name of the run; README.md says it with figures from the records.
CHOICES = (
    ("a good default", "multi_head"),
    ("one set of alignments to read", "bahdanau_normalized"),
    ("a cheap training step", "luong"),
    ("an output in the order of the source", "chunkwise"),
    ("the same, decoded in linear time", "monotonic"),
    ("one place at each step, trained exactly", "exact"),
    ("one place at each step, never moving back", "exact_monotonic"),
    ("weights that are exactly zero", "sparsemax"),
    ("no repeats and no gaps in long outputs", "coverage"),
    ("a window in a long source", "local_predictive"),
)
# What is made anew in README.md stands between such lines.
_FIGURES = "<!-- figures from benchmarks/runs -->", "<!-- end of figures -->"
_PRESETS = "<!-- presets from their cards -->", "<!-- end of presets -->"


# === Runs ===


def score(text: str) -> str:
    """Return one figure of one evaluation: of "finnish/luong, beam 5, exact_match"."""
    run, rest = text.split(", ", 1)
    decoding, metric = rest.rsplit(", ", 1)
    for found in _run(run).evaluations.values():
        if found["decoding"] == decoding:
            return _show(metric, found[metric])
    raise ValueError(f"A score must be of an evaluation that a run has. Received: {text}")


def epoch(text: str) -> str:
    """Return what was logged after one epoch: of "multi30k/luong, val_accuracy, best"."""
    run, quantity, which = text.split(", ")
    values = [value for value in _run(run).history[quantity] if value is not None]
    if which == "best":
        return _show(quantity, max(values) if "accuracy" in quantity else min(values))
    return _show(quantity, values[-1] if which == "last" else values[int(which) - 1])


def dev_accuracy(data: str) -> str:
    """Return the accuracy on dev of each run's best epoch, in Markdown."""
    from attnzoo.cli.run_records import read_runs

    rows = []
    for run in read_runs(RUNS / f"{data}.jsonl"):
        values = [value for value in run.history["val_accuracy"] if value is not None]
        rows.append((max(values), run.name, str(1 + values.index(max(values)))))
    rows = [(name, _percent(best), at) for best, name, at in sorted(rows, reverse=True)]
    return _table(("run", "best accuracy on dev", "after epoch"), rows)


def trials(data: str) -> str:
    """Return the figures of runs whose files were not kept, in Markdown."""
    found = measurement_record("trials")["trials"][data]
    rows = [
        (
            one["model"],
            one.get("decoding", "most probable"),
            one["on"],
            one["metric"],
            _show(one["metric"], one["value"]),
        )
        for one in found
    ]
    return _table(("model", "decoding", "measured on", "metric", "value"), rows)


def trial(text: str) -> str:
    """Return the figure of one run whose files were not kept: of "repeated/luong on cmudict"."""
    data, model = text.split("/")
    (one,) = (one for one in measurement_record("trials")["trials"][data] if one["model"] == model)
    return _show(one["metric"], one["value"])


def choices(*_) -> str:
    """Return the table of README.md that says which attention to take, with its figures."""
    data = {"cmudict": "word_error_rate", **dict.fromkeys(("finnish", "latin", "turkish"))}
    rows = []
    for need, name in CHOICES:
        recipe = _run(f"finnish/{name}").recipe
        figures = [
            score(f"{one}/{name}, beam 5, {metric or 'exact_match'}")
            for one, metric in data.items()
        ]
        rows.append((need, f"`{recipe['attention']}`", *figures))
    heads = ("you want", "take", "words wrong", "Finnish right", "Latin right", "Turkish right")
    return _table(heads, rows)


def _run(name):
    from attnzoo.cli.run_records import read_runs

    data, name = name.split("/")
    for run in read_runs(RUNS / f"{data}.jsonl"):
        if run.name == name:
            return run
    raise ValueError(f"A run must be in {data}.jsonl. Received: {name}")


def _show(metric, value) -> str:
    if metric.endswith(("accuracy", "_rate", "_match")):
        return _percent(value)
    return f"{value:.2f}"


def _percent(value) -> str:
    return f"{100 * value:.1f} %"


# === Speed ===


def measurement(name: str) -> str:
    """Return a table of a benchmark, from what it wrote with `--json`, in Markdown."""
    found = measurement_record(name)
    if "exports" in found:
        table = _exports(found)
    elif "beside" in found or "growth" in found:
        table = _decoding(found)
    elif "contestants" in found:
        table = _side_by_side(found)
    elif "format" in found["records"][0]:
        table = _formats(found)
    elif "counterpart" in found["records"][0]:
        table = _mechanisms(found)
    else:
        table = _layers(found)
    machine = found["machine"]
    where = ", ".join(filter(None, [machine.get("cpu"), found["date"], *_versions(found)]))
    return f"`{found['command']}`\n\n{where}\n\n{table}"


def largest_difference(name: str) -> str:
    """Return the largest difference from a peer that a comparison of numbers has seen."""
    return f"{measurement_record(name)['largest_difference']:.1e}".replace("e-0", "e-")


def measurement_record(name):
    return json.loads((MEASUREMENTS / f"{name}.json").read_text(encoding="utf-8"))


def _versions(found) -> list[str]:
    facts = found.get("records", []) or list(found.get("contestants", {}).values())
    every = [part for fact in facts for part in fact.get("versions", "").split(", ") if part]
    return list(dict.fromkeys(every))


def _backends(found) -> list[str]:
    return list(dict.fromkeys(one["backend"] for one in found["records"]))


def _side_by_side(found) -> str:
    """Of models: a row for each case, and in brackets the ratios to the peers."""
    cases = {"train": "training step, B=64", "greedy1": "greedy, B=1", "greedy64": "greedy, B=64"}
    cases.update({"beam1": "beam 5, B=1", "beam64": "beam 5, B=64"})
    cases["train_small"] = "training step, B=64, V=64"
    names = list(found["contestants"])
    peers = [name for name in names if not name.startswith("attnzoo ")]
    rows = []
    for case, times in found["milliseconds"].items():
        cells = []
        for name in names:
            ratios = [found["ratios"][case].get(f"{name} / {peer}") for peer in peers]
            ratios = [] if name in peers else [f"{ratio:.2f}" for ratio in ratios]
            cells.append(_cell(_middle(times[name], 0), ratios))
        rows.append((f"{cases[case]}, ms", *cells))
    rows.append(("parameters", *(f"{found['contestants'][n]['parameters']:,}" for n in names)))
    return _table(("", *(name.removeprefix("attnzoo ") for name in names)), rows)


def _layers(found) -> str:
    """Of layers: time and peak memory by length, and in brackets what its peers took."""
    records = {(one["length"], one["backend"], one["layer"]): one for one in found["records"]}
    lengths = list(dict.fromkeys(one["length"] for one in found["records"]))
    rows = []
    for length in lengths:
        ours = [records[length, backend, "attnzoo"] for backend in _backends(found)]
        cells = [
            _cell(_middle(one["milliseconds"], 0), [_middle(r, 2) for r in one["ratios"].values()])
            for one in ours
        ]
        rows.append((f"T=S={length}, ms", *cells))
        if all(one["peak_gib"] is not None for one in ours):
            cells = [_memory(one, records) for one in ours]
            rows.append((f"T=S={length}, GiB", *cells))
    return _table(("", *_backends(found)), rows)


def _memory(one, records) -> str:
    peers = [
        records[one["length"], one["backend"], layer]["peak_gib"] for layer in one["memory_ratios"]
    ]
    return _cell(f"{one['peak_gib']:.2f}", [f"{peak:.2f}" for peak in peers])


def _mechanisms(found) -> str:
    """Of attentions: a training step as a multiple of that of the soft counterpart."""
    ratios = {(one["attention"], one["backend"]): one["ratios"] for one in found["records"]}
    backends = _backends(found)
    counterparts = {one["attention"]: one["counterpart"] for one in found["records"]}
    rows = [
        (f"`{attention}`, to `{other}`", *(_spread(ratios[attention, b]) for b in backends))
        for attention, other in counterparts.items()
    ]
    return _table(("", *backends), rows)


def _decoding(found) -> str:
    """Of Transformers: decoding beside a peer, or milliseconds a token by length."""
    if found.get("beside"):
        times = {name: _median(ms) for name, ms in found["beside"]["milliseconds"].items()}
        peers = [name for name in times if not name.startswith("attnzoo ")]
        cells = [
            _cell(f"{time:.0f}", [] if name in peers else [f"{time / times[p]:.2f}" for p in peers])
            for name, time in times.items()
        ]
        row = (f"{found['beside']['length']} tokens, ms", *cells)
        return _table(("", *(name.removeprefix("attnzoo ") for name in times)), [row])
    rows = []
    for name in found["growth"][0]["milliseconds"]:
        tokens = [_median(one["milliseconds"][name]) / one["length"] for one in found["growth"]]
        rows.append((name.removeprefix("attnzoo "), *(f"{time:.1f}" for time in tokens)))
    return _table(("ms a token", *(f"{one['length']} tokens" for one in found["growth"])), rows)


def _exports(found) -> str:
    """Of exports: a row for each task and decoding, a column for each backend and format."""
    results = {
        (one["task"], one["decoding"], one["backend"], one["format"]): one["result"]
        for one in found["exports"]
    }
    tasks = list(dict.fromkeys(key[:2] for key in results))
    columns = list(dict.fromkeys(key[2:] for key in results))
    rows = []
    for task, decoding in tasks:
        name, *variant = task.split(", ")
        said = ", ".join([f"`{name}`", *variant, *([decoding] if decoding else [])])
        rows.append((said, *(results.get((task, decoding, *one), "") for one in columns)))
    return _table(("task, decoding", *(f"{form}, {on}" for on, form in columns)), rows)


def _formats(found) -> str:
    """Of formats of one model: milliseconds a word, and in brackets the ratio to the first."""
    times = {(one["format"], one["sampler"]): one for one in found["records"]}
    formats = list(dict.fromkeys(name for name, _ in times))
    rows = []
    for name in formats:
        ones = [times[name, sampler] for sampler in ("greedy", "beam")]
        cells = [
            _cell(_middle(one["milliseconds"], 2), [_middle(one["ratios"], 2)]) for one in ones
        ]
        rows.append((name, *cells, f"{ones[0]['megabytes']:.2f}"))
    return _table(("ms a word", "greedy", "five beams", "MB"), rows)


def _median(values) -> float:
    return statistics.median(values)


def _middle(values, digits) -> str:
    return f"{_median(values):.{digits}f}"


def _spread(values) -> str:
    return _cell(_middle(values, 2), [f"{min(values):.2f}-{max(values):.2f}"])


def _cell(value: str, others) -> str:
    return f"{value} ({', '.join(others)})" if others else value


def _table(heads, rows) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


# === README.md and Sphinx ===


def update_front_page(text: str) -> str:
    """Return the text of README.md with its tables made anew."""
    for (begin, end), make in ((_FIGURES, choices), (_PRESETS, trained_models)):
        before, rest = text.split(begin)
        _, after = rest.split(end)
        text = f"{before}{begin}\n\n{make()}\n\n{end}{after}"
    return text


def trained_models() -> str:
    """Return the table of README.md with a row for each alias of a preset."""
    from attnzoo.presets import ALIASES, find_preset, list_presets, read_card
    from attnzoo.presets.markdown import headline

    order = list(list_presets())
    rows = []
    for alias in sorted(ALIASES, key=lambda alias: order.index(ALIASES[alias])):
        card = read_card(find_preset(alias))
        given, output = card.example
        languages = ", ".join(card.languages)
        rows.append((card.task, languages, f"`{alias}`", f"{given} → {output}", headline(card)))
    return _table(("task", "language", "preset", "example", "on test"), rows)


def setup(app):
    from docutils import nodes
    from sphinx.util.docutils import SphinxDirective

    def directive(make):
        class Directive(SphinxDirective):
            required_arguments = 1
            final_argument_whitespace = True

            def run(self):
                return self.parse_text_to_nodes(make(*self.arguments[0].split()))

        return Directive

    def role(make):
        def run(name, rawtext, text, lineno, inliner, options=None, content=()):
            return [nodes.Text(make(text))], []

        return run

    for function in (dev_accuracy, trials, choices, measurement):
        app.add_directive(function.__name__.replace("_", "-"), directive(function))
    for function in (score, epoch, trial, largest_difference):
        app.add_role(function.__name__.replace("_", "-"), role(function))
    return {"parallel_read_safe": True, "parallel_write_safe": True}


if __name__ == "__main__":
    page = ROOT / "README.md"
    page.write_text(update_front_page(page.read_text(encoding="utf-8")), encoding="utf-8")
