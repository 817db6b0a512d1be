"""How every script meets its user: one clear message for a mistake, never a traceback."""

import difflib
import errno
import gc
import logging
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from dotenv import load_dotenv

ENV_FILE = Path(".env")
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


class UserError(Exception):
    """A mistake that the user can mend.

    The message says what is wrong, where (file, line or column), which value, and how to mend it.
    """


def run_command(main: Callable[[], None]) -> None:
    """Run a script's `main`; end with exit code 1 and one message when it raises `UserError`.

    What `.env` says of servers and logins is in the environment then; what was there before wins.
    """
    load_dotenv(ENV_FILE)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    logging.getLogger("churn").setLevel(logging.INFO)
    # A step ends soon, and importing MLflow or Evidently makes a million objects that stay: looking for garbage among
    # them costs a second.
    gc.disable()
    try:
        main()
    except UserError as error:
        sys.exit(f"ERROR: {error}")
    except OSError as error:
        if error.errno not in DISK_ERRORS:
            raise
        sys.exit(f"ERROR: {error.strerror}: {error.filename or 'the output'}. Mend that, then run again.")


def suggest(name: str, known: Iterable[str]) -> str:
    """Return what a wrong name may have meant, or all that is known, as a sentence."""
    near = difflib.get_close_matches(name, known, n=3)
    return f"Did you mean {' or '.join(near)}?" if near else f"Known here: {', '.join(known)}."
