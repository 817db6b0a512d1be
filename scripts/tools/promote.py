"""Put a version into Production by a person's decision: when it cannot be compared, or despite the comparison.

Reads
    the registry
Writes
    an entry in the registry's ledger; the aliases `production` and `previous` of the model; the tags `decision` and
    `reason` of the version, which is no longer tagged `rolled_back`
"""

import argparse

from churn.base.command import UserError, run_command
from churn.release.fit_to_score import warn_if_unfit
from churn.release.ledger import PROMOTE, Move, find_hold, finish_last_entry, move_production, require_reason
from churn.release.names import model_name
from churn.release.registry import PRODUCTION, aliased_version, find_versions, open_registry, retry_once


def promote(number: str, why: str) -> None:
    """Put a version into Production; a hold, which stops runs, does not stop a person, and stays.

    Parameters
    ----------
    number : str
        The version's number.
    why : str
        The reason, for the ledger.

    Raises
    ------
    UserError
        When no reason is given, there is no such version, someone else changes Production at the same time, or MLflow
        does not answer.
    """
    if not number:
        raise UserError('Name the version: make promote VERSION=7 WHY="...". make ledger and MLflow list them.')
    why = require_reason(why, f"make promote VERSION={number}", "agreed on 2 May: new horizon of 60 days")
    with open_registry() as client:
        last = finish_last_entry(client)
        known = [str(one.version) for one in find_versions(client, model_name())]
        if number not in known:
            others = f"Its versions: {', '.join(known)}." if known else "It has no versions yet: make run"
            raise UserError(f"{model_name()} has no version {number!r}. {others}")
        current = aliased_version(client, PRODUCTION)
        before = "" if current is None else str(current.version)
        if before == number:
            print(f"Version {number} is in Production already: make ledger says since when, and why.")
            return
        move = Move(PROMOTE, before, number, previous_version=before, why=why)
        move_production(client, move, last, advice="See what is in Production now: make ledger")
        for tag, value in {"decision": PROMOTE, "reason": why}.items():
            retry_once(client.set_model_version_tag, model_name(), number, tag, value)
        held, warnings = find_hold(client), warn_if_unfit(client, number)
    replaced = f" It replaces version {before}." if before else ""
    print(f"Production is version {number}.{replaced} To score the users with it: make run")
    print("\n".join(warnings), end="\n" * bool(warnings))
    if held:
        print(f"Runs still promote nothing: entry {held.number} ({held.action}) holds them until make release-hold.")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("version", help="the number of the version")
    parser.add_argument("--why", required=True, help="why it is put into Production, in a sentence")
    args = parser.parse_args()
    promote(args.version, args.why)


if __name__ == "__main__":
    run_command(main)
