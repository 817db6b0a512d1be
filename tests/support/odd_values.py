"""Texts that break formulas, tables, pages and memory, and columns full of them."""

import numpy as np

# A formula that matplotlib cannot parse, Markdown, HTML, the end of a script, a mention in Slack, a terminal's colour.
EVIL = "$^$ | <b>x</b> `y` \n # </script> <!channel> \x1b[31m"
# Its name as a category: on one line, without control characters and tags.
SHOWN = "$^$ | < b>x< /b> `y` # < /script> < !channel> [31m"
LONG = "x" * 10_000


def many(users: int, kinds: int) -> np.ndarray:
    """Return card types of users: as many as `kinds`, and GOLD for every second user."""
    return np.array(["GOLD" if user % 2 else f"type {user % (2 * kinds) // 2}" for user in range(users)], dtype=object)
