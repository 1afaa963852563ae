"""Truncation of texts that are too long: with a warning, silently, or an error."""

import warnings

TRUNCATE = ("warn", "error", "silent")


def check_truncate(truncate):
    """Raise if `truncate` is unknown."""
    if truncate not in TRUNCATE:
        raise ValueError(f"`truncate` must be one of {TRUNCATE}. Received: truncate={truncate!r}")


class Truncation:
    """Warnings about texts that are too long: one for each kind of text."""

    def __init__(self):
        self._warned: frozenset[str] = frozenset()

    def rule(self, limit: int, kind: str) -> str:
        """Return the start of an error."""
        return f"A {kind} must have at most {limit} tokens, special ones counted. Received"

    def has_warned(self, kind: str) -> bool:
        """Return whether there was a warning for this kind of text."""
        return kind in self._warned

    def warn(self, count: int, batch: int, longest: int, limit: int, kind: str):
        """Warn about `count` texts of a batch, unless there was a warning before."""
        if kind not in self._warned:
            self._warned = self._warned | {kind}
            warnings.warn(
                f"{count} of {batch} {kind}s have more than {limit} tokens, special ones counted, "
                f"and were cut; the longest has {longest}. Later ones are cut without a warning.",
                stacklevel=2,
            )
