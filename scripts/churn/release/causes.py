"""The whole cause of an MLflow error in one line, without logins."""

from churn.base.addresses import hide_logins

TRACEBACK = "Traceback (most recent call last):"


def explain_cause(error: BaseException) -> str:
    """Return all lines of an error's message as sentences in one line, without tracebacks and logins in addresses."""
    message = str(getattr(error, "message", "") or error) or type(error).__name__
    cause = ""
    for line in filter(None, map(str.strip, _drop_tracebacks(message.splitlines()))):
        # A line goes on in brackets, or after a colon; otherwise it is a statement of its own.
        joint = " " if not cause or cause[-1] in ".:;,!?" or line[0] in "[(" else "; "
        cause = f"{cause}{joint}{line}".strip()
    cause = hide_logins(cause)
    return cause if cause.endswith((".", "!", "?")) else f"{cause}."


def _drop_tracebacks(lines: list[str]) -> list[str]:
    """Return the lines without tracebacks: below their heads, everything that is indented."""
    kept, inside = [], False
    for line in lines:
        if TRACEBACK in line:
            inside = True
            kept.append(line.partition(TRACEBACK)[0])
        elif not (inside and line.startswith((" ", "\t"))):
            # The line after the traceback names the error, and so belongs to the cause.
            inside = False
            kept.append(line)
    return kept
