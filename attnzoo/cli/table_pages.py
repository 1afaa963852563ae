"""Tables in Markdown pages, each made by the command in a comment above it."""

import re
import shlex
from collections.abc import Callable

END = "<!-- end of table -->"


def update_tables(text: str, command: str, make: Callable[[list[str]], str]) -> str:
    """Return a page with its tables made anew.

    A table stands between two comments, of which the first has its command:

        <!-- attnzoo leaderboard benchmarks/runs/latin.jsonl --metrics exact_match -->
        <!-- end of table -->

    Args:
        text: The page, Markdown.
        command: Name of the command, such as `"leaderboard"`. Tables of others are kept.
        make: Function of the command's arguments to the table.

    Raises:
        ValueError: If the page has no table of this command, or one without an end.

    Example:
        >>> page = "<!-- attnzoo leaderboard runs/one --><!-- end of table -->"
        >>> print(update_tables(page, "leaderboard", lambda arguments: str(arguments)))
        <!-- attnzoo leaderboard runs/one -->
        <BLANKLINE>
        ['runs/one']
        <BLANKLINE>
        <!-- end of table -->
    """
    begin = re.compile(rf"<!-- attnzoo {re.escape(command)} (.*?) -->", re.DOTALL)
    made, place = [], 0
    for found in begin.finditer(text):
        end = text.find(END, found.end())
        following = begin.search(text, found.end())
        if end < 0 or (following and following.start() < end):
            raise ValueError(f"A table in a page must end with {END}. Received: {found[0]}")
        made += [text[place : found.end()], f"\n\n{make(shlex.split(found[1]))}\n\n"]
        place = end
    if not made:
        raise ValueError(
            f"A page to update needs a comment with its command, <!-- attnzoo {command} ... -->, "
            f"and one with its end, {END}."
        )
    return "".join([*made, text[place:]])
