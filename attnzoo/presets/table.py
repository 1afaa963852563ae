"""The table of built-in presets, their aliases, and the search for one."""

import difflib
import functools
import os
import pathlib
from collections.abc import Iterable

from attnzoo.presets.card import CARD, Card, read_card

_FOLDER = pathlib.Path(__file__).parent

# The folder of each preset. Cards and weights are read when they are asked for.
PRESETS: dict[str, pathlib.Path] = {
    path.parent.name: path.parent for path in sorted(_FOLDER.glob(f"*/{CARD}"))
}

# Short names: task and languages, of the best preset for them.
ALIASES: dict[str, str] = {
    "g2p_en": "rnn_seq2seq_small_cmudict",
    "g2p_nl": "rnn_seq2seq_exact_monotonic_small_dutch",
    "g2p_el": "rnn_seq2seq_exact_monotonic_small_greek",
    "inflection_fi": "rnn_seq2seq_multi_head_small_finnish",
    "inflection_tr": "rnn_seq2seq_local_monotonic_small_turkish",
}


def list_presets(task: str | None = None, language: str | None = None) -> dict[str, Card]:
    """Return the cards of the built-in presets by name, sorted by task.

    Args:
        task: Only presets for this task, such as `"pronunciation"`; None for all.
        language: Only presets for this language, an ISO 639-1 code such as `"de"`; None for all.

    Raises:
        ValueError: If no preset is for this task, or none for this language.

    Example:
        >>> list(attnzoo.presets.list_presets(task="pronunciation", language="el"))
        ['rnn_seq2seq_exact_monotonic_small_greek']
    """
    cards = [_card(name) for name in PRESETS]
    _check_known("task", task, {card.task for card in cards})
    _check_known("language", language, {one for card in cards for one in card.languages})
    chosen = [card for card in cards if task in (None, card.task)]
    chosen = [card for card in chosen if language is None or language in card.languages]
    return {card.name: card for card in sorted(chosen, key=lambda card: (card.task, card.name))}


def find_preset(name: str | os.PathLike) -> pathlib.Path | None:
    """Return the folder of a built-in preset; None if there is none of this name or alias."""
    name = os.fspath(name)
    return PRESETS.get(ALIASES.get(name, name))


def suggest(name: str, known: Iterable[str] | None = None) -> str:
    """Return a question about the name that was meant, with a space before it, or "".

    Args:
        name: A name that is none.
        known: The right names; None for all built-in presets and aliases.

    Example:
        >>> attnzoo.presets.suggest("g2p_eng")
        " Did you mean 'g2p_en'?"
    """
    known = [*PRESETS, *ALIASES] if known is None else list(known)
    close = difflib.get_close_matches(name, known, n=1)
    return f" Did you mean {close[0]!r}?" if close else ""


def _check_known(argument, value, known):
    if value is not None and value not in known:
        raise ValueError(
            f"`{argument}` must be one of {sorted(known)}.{suggest(value, known)} "
            f"Received: {argument}={value!r}"
        )


@functools.cache
def _card(name: str) -> Card:
    return read_card(PRESETS[name])
