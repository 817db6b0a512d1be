"""Run a script: an error that the user can fix ends in one clear message, never in a traceback."""

import difflib
import gc
import logging
import os
import select
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from dotenv import load_dotenv

from churn.base.addresses import hide_logins
from churn.base.failures import explain_failure
from churn.base.private import close_to_others

ENV_FILE = Path(".env")
INTERRUPTED = 130
NO_PROXY, THIS_MACHINE = ("no_proxy", "NO_PROXY"), ("127.0.0.1", "localhost", "::1")


class UserError(Exception):
    """An error the user can fix.

    The message says what is wrong, where (file, line or column), which value, and how to fix it. Its first line is sent
    in alerts and kept in receipts: it has names of files and columns and counts, but no value of a row. Values, and
    texts of other programs that may quote them, are in the lines below.
    """


def run_command(main: Callable[[], None]) -> None:
    """Run a script's `main`; print an error that the user can fix as one message, and exit with code 1.

    That is a `UserError`, and what the machine or a file causes: permissions, memory, a full disk, a damaged file.
    Servers and logins from `.env` are added to the environment first; variables that are already set win.
    `python -X dev` shows the traceback of each.
    """
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    logging.getLogger("churn").setLevel(logging.INFO)
    # A step is short, and importing MLflow or Evidently creates a million objects that are never freed: collecting
    # garbage among them would cost a second.
    gc.disable()
    try:
        load_environment()
        main()
    except KeyboardInterrupt:
        sys.stderr.write("ERROR: stopped by Ctrl+C. Run it again: it goes on from here.\n")
        sys.exit(INTERRUPTED)
    except BrokenPipeError as error:
        if not is_output_closed():
            # Of a connection: to a server, a proxy or the JVM.
            if sys.flags.dev_mode:
                raise
            sys.exit(f"ERROR: {describe(error)}")
        # There is nobody left to print to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        message = describe(error)
        if not message or sys.flags.dev_mode:
            raise
        sys.exit(f"ERROR: {message}")


def is_output_closed() -> bool:
    """Return whether the reader of the standard output has ended, as `head` does."""
    try:
        sys.stdout.flush()
        poll = select.poll()
        poll.register(sys.stdout.fileno(), select.POLLOUT)
        # A flush alone says nothing when all was sent before.
        return any(event & select.POLLERR for _, event in poll.poll(0))
    except BrokenPipeError:
        return True
    except (OSError, ValueError):
        return False


def load_environment() -> None:
    """Add the variables in `.env` to the environment, and close what holds users' data to other users and to proxies.

    Raises
    ------
    UserError
        When the file is not text or may not be read, or CHURN_UMASK is not a umask.
    """
    try:
        load_dotenv(ENV_FILE)
        bypass_proxies()
        close_to_others()
    except UnicodeDecodeError as error:
        raise UserError(f"{ENV_FILE} is not UTF-8 text: byte {error.start + 1} is wrong. Save it as UTF-8.") from None
    except OSError as error:
        raise UserError(explain_failure(error)) from None
    except ValueError as error:
        raise UserError(str(error)) from None


def bypass_proxies() -> None:
    """Reach the servers of this machine directly: a proxy would read their logins, which are sent by http."""
    if any(name.lower() in ("http_proxy", "https_proxy", "all_proxy") for name in os.environ):
        # Of the two spellings, some programs read only one.
        known = [host for name in NO_PROXY for host in os.environ.get(name, "").split(",") if host]
        os.environ.update(dict.fromkeys(NO_PROXY, ",".join(dict.fromkeys([*known, *THIS_MACHINE]))))


def describe(error: Exception) -> str:
    """Return the message of an error that the user can fix, without logins; "" for a fault of the code."""
    return hide_logins(str(error) if isinstance(error, UserError) else explain_failure(error))


def suggest(name: str, known: Iterable[str]) -> str:
    """Return a sentence with the known names closest to an unknown one, or with all of them."""
    near = difflib.get_close_matches(name, known, n=3)
    return f"Did you mean {' or '.join(near)}?" if near else f"Known names: {', '.join(known)}."
