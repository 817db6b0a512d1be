"""Run a script: an error that the user can fix ends in one clear message, never in a traceback."""

import difflib
import errno
import gc
import logging
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from dotenv import load_dotenv

from churn.base.addresses import hide_logins

ENV_FILE = Path(".env")
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


class UserError(Exception):
    """An error the user can fix.

    The message says what is wrong, where (file, line or column), which value, and how to fix it. Its first line is sent
    in alerts and kept in receipts: it has names of files and columns and counts, but no value of a row. Values, and
    texts of other programs that may quote them, are in the lines below.
    """


def run_command(main: Callable[[], None]) -> None:
    """Run a script's `main`; if it raises `UserError`, print the message and exit with code 1.

    Servers and logins from `.env` are added to the environment first; variables that are already set win.
    """
    load_dotenv(ENV_FILE)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    logging.getLogger("churn").setLevel(logging.INFO)
    # A step is short, and importing MLflow or Evidently creates a million objects that are never freed: collecting
    # garbage among them would cost a second.
    gc.disable()
    try:
        main()
    except UserError as error:
        sys.exit(f"ERROR: {hide_logins(str(error))}")
    except OSError as error:
        if error.errno not in DISK_ERRORS:
            raise
        sys.exit(f"ERROR: {error.strerror}: {error.filename or 'the output'}. Fix this, then run again.")


def suggest(name: str, known: Iterable[str]) -> str:
    """Return a sentence with the known names closest to an unknown one, or with all of them."""
    near = difflib.get_close_matches(name, known, n=3)
    return f"Did you mean {' or '.join(near)}?" if near else f"Known names: {', '.join(known)}."
