"""Find packages with known vulnerabilities, and actions, images and packages that are not pinned.

Reads
    requirements*.lock, .github, compose.yaml, Dockerfile, accepted-findings.yaml
    the advisories of OSV, from its server or a file
Prints
    one line per finding; the exit code is 1 if there is one that is not accepted
"""

import argparse
from datetime import date
from pathlib import Path

from churn.audit.findings import ACCEPTED, split_accepted
from churn.audit.packages import OSV, find_vulnerable
from churn.audit.pins import find_unpinned
from churn.base.command import UserError, run_command


def audit(advisories: Path | None, pins_only: bool, address: str = OSV) -> list[str]:
    """Print what is accepted; return a line for each other finding, and the reason if the advisories are unknown."""
    findings, unknown = find_unpinned(Path.cwd()), []
    if not pins_only:
        try:
            # requirements-servers.lock is a part of requirements.lock.
            locks = sorted(path for path in Path().glob("requirements*.lock") if path.stem != "requirements-servers")
            findings += find_vulnerable(locks, advisories, address)
        except UserError as error:
            unknown = [str(error)]
    counts, notes = split_accepted(findings, ACCEPTED, date.today())
    for note in notes:
        # Without advisories, nothing is known of those that were accepted.
        if not (pins_only or unknown) or "not found any more" not in note:
            print(note)
    return [*map(str, counts), *unknown]


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--advisories", type=Path, help="OSV's all.zip of PyPI, a folder or a file of its JSON")
    parser.add_argument("--osv-url", default=OSV, help=f"the server to ask without it; default: {OSV}")
    parser.add_argument("--pins", action="store_true", help="only what is not pinned: needs no advisories")
    args = parser.parse_args()
    if lines := audit(args.advisories, args.pins, args.osv_url):
        raise UserError("\n".join([f"{len(lines)} finding{'s' * (len(lines) > 1)}:", *lines]))
    print("Everything is pinned." if args.pins else "Everything is pinned, and no package has a known vulnerability.")


if __name__ == "__main__":
    run_command(main)
