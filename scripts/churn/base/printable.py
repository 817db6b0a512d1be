"""Show a text from outside in a message: on one line, and without characters that control a terminal."""


def printable(text: str) -> str:
    """Return a text in which each character that cannot be printed is a question mark."""
    return "".join(one if one.isprintable() else "?" for one in text)
