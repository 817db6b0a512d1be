"""Show a text from outside in a message: on one line, and without characters that control a terminal."""


def printable(text: object) -> str:
    r"""Return a text in which each character that cannot be printed is escaped, such as \n or \x1b."""
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in str(text))
