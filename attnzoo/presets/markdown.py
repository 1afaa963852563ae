"""Cards of presets, and the list of them, as Markdown."""

from collections.abc import Iterable, Mapping

from attnzoo.presets.card import Card, Score
from attnzoo.presets.table import ALIASES


def render_card(card: Card, heading: str = "#") -> str:
    """Return a card as Markdown; see `Card.to_markdown`."""
    names = [alias for alias, name in ALIASES.items() if name == card.name]
    minutes = "unknown time" if card.minutes is None else f"{card.minutes:.0f} minutes"
    facts = {
        "task": card.task,
        "language": ", ".join(card.languages) or "none",
        "alias": ", ".join(f"`{name}`" for name in names) or "none",
        "class": f"`attnzoo.models.{card.model}`",
        "parameters": f"{card.parameters:,}, stored as {card.precision}",
        "training": f"{minutes} on {card.backend}, seed {card.seed}",
        "reads": card.reads,
    }
    given, output = card.example
    given = f'"{given}"' if card.languages else given  # A text, or files.
    name = names[0] if names else card.name
    sections = {
        "Scores": render_scores(card.scores),
        "Example": f"```text\n$ attnzoo predict {name} {given}\n{output}\n```",
        "Data": f"{card.data} Licence: {card.licence}",
        "Limits": "\n".join(f"- {one}" for one in card.limits),
        "Biases": "\n".join(f"- {one}" for one in card.biases),
        "Recipe": f"`DATA` is the folder of the data, `RUN` a new folder; `attnzoo retrain {name}` "
        f"runs it.\n\n```sh\nKERAS_BACKEND={card.backend} {card.recipe}\n```",
        "Fine-tuning": f"```sh\n{card.fine_tune}\n```",
    }
    lines = [f"{heading} {card.name}", card.summary, _table(("", ""), facts.items())]
    for title, text in sections.items():
        lines += [f"{heading}# {title}", text]
    return "\n\n".join(lines) + "\n"


def render_scores(scores: Iterable[Score]) -> str:
    """Return a table of scores."""
    rows = [
        (
            score.data,
            f"{score.sources:,}",
            score.decoding,
            score.metric,
            show(score),
            score.version,
        )
        for score in scores
    ]
    return _table(("data", "items", "decoding", "metric", "score", "version"), rows)


def render_list(cards: Mapping[str, Card]) -> str:
    """Return a table of presets, each with its best score on its test data."""
    aliases = {name: alias for alias, name in ALIASES.items()}
    rows = []
    for name, card in cards.items():
        rows.append(
            (
                card.task,
                ", ".join(card.languages),
                f"`{name}`",
                f"`{aliases[name]}`" if name in aliases else "",
                headline(card),
                f"{card.parameters:,}",
            )
        )
    return _table(("task", "language", "preset", "alias", "score on test", "parameters"), rows)


def show(score: Score) -> str:
    """Return a score in points, as a percentage where it is a share."""
    if score.metric.startswith("bleu"):
        return f"{score.value:.1f}"
    if score.metric.startswith("psnr"):
        return f"{score.value:.2f} dB"
    if score.metric == "mean_edit_distance":
        return f"{score.value:.2f}"
    return f"{score.points:.1f} %"


def headline(card: Card) -> str:
    """Return the first metric of a card, with its last decoding of the test data."""
    found = [score for score in card.scores if score.data == "test"]
    best = [score for score in found if score.metric == found[0].metric][-1]
    return f"{best.metric.replace('_', ' ')} {show(best)}, {best.decoding}"


def _table(heads, rows) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
