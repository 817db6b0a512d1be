"""Erase a user from every place that holds rows of users, and prove it by a search.

Reads
    this folder, the inbox, the buckets and the registry
Writes
    raw drops, scores, logs, deliveries and tables of MLflow's runs without the user; an entry in the registry's ledger
    without the id
Removes
    what is made from raw drops and holds the user, DVC's objects in all versions, here and on the remote
"""

import argparse
import os
from pathlib import Path

from churn.base.command import run_command
from churn.base.printable import printable
from churn.data.mapping import MAPPING, read_mapping
from churn.privacy.erase import erase_user
from churn.privacy.ready import list_unsearched
from churn.privacy.subject import read_subject
from churn.release.ledger import require_reason

VARIABLE = "CHURN_ERASE_USER"


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], epilog=f"The id of the user is read from the variable {VARIABLE}."
    )
    parser.add_argument("--why", required=True, help="why the user is erased, without the id")
    args = parser.parse_args()
    mapping = read_mapping(MAPPING)
    # Not an option: every user of this machine can read the command lines of others.
    user = os.environ.pop(VARIABLE, "")
    subject = read_subject(user, mapping)
    why = require_reason(args.why, "make erase USER=123", "request 42 of 3 May")
    # `make erase USER=123` also sets the variable from which Python takes the name of who runs this.
    if os.environ.get("USER", "").strip() == user.strip():
        os.environ.pop("USER")
    counts, doubts = erase_user(subject, mapping, why, Path())
    print(f"Not searched: {'; '.join(list_unsearched())}.")
    if doubts:
        names = ", ".join(printable(one) for one in doubts)
        print(f"Look into these files yourself: they may name the user, and cannot be searched as tables: {names}.")
    if not counts:
        print("Nothing holds this user: no file here, no object of the buckets, no artifact of MLflow.")
        return
    for place, number in sorted(counts.items()):
        print(f"{number:6,} {place}")
    print("The user is erased: the same search finds nothing now.")
    print("Next: make why, make run, then git add -A data metrics dvc.lock && git commit, and make push")


if __name__ == "__main__":
    run_command(main)
