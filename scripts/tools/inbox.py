"""Ingest every complete delivery in the inbox, oldest first; move a broken one to rejected/ with the reason.

Reads
    <inbox>/<delivery>/ with the five CSVs, or any of them packed as .csv.gz: real folders and regular files, never
    links; a delivery is complete when it also has a file _READY, or when nothing in it has changed for some minutes
Writes
    data/raw/<drop>/, its DVC pointer, data/drops.yaml (see ingest)
    <inbox>/.done/<delivery>/ when it is ingested; <inbox>/rejected/<delivery>/ with reason.txt when it is broken

A delivery is moved last, so that an interrupted command can be run again: with --push, also in another clone.
"""

import argparse
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from churn.base.command import UserError, run_command
from churn.base.git import read_git, run_git
from churn.base.printable import printable
from churn.data.mapping import MAPPING
from churn.deliveries.arrivals import STABLE
from churn.deliveries.inbox import ingest_inbox
from churn.deliveries.inbox_layout import DEFAULT, IN_INBOX, REASON, REJECTED, inbox_folder
from churn.deliveries.rules import read_rules
from churn.stack.transfer import push_verified


def push_drops() -> None:
    """Send drops and commits to where other clones find them."""
    try:
        print(f"The remote holds all {push_verified()} objects of the last commit.")
        read_git("pull", "--quiet", "--rebase", "--autostash")
        read_git("push", "--quiet")
    except UserError as error:
        # It may have stopped half-way.
        run_git("rebase", "--abort")
        raise UserError(f"The drops were not saved, so the deliveries stay in the inbox. {error}") from None


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inbox", type=Path, default=inbox_folder(), help="CHURN_INBOX, by default inbox")
    parser.add_argument("--raw", type=Path, default=Path("data/raw"), help="folder of the drops (data/raw)")
    parser.add_argument("--list", type=Path, default=Path("data/drops.yaml"), help="list of drops (data/drops.yaml)")
    parser.add_argument(
        "--stable-minutes",
        type=float,
        default=STABLE.total_seconds() / 60,
        help="minutes without a change after which a delivery without _READY is complete (10)",
    )
    parser.add_argument("--commit", action="store_true", help="commit each drop's pointer and the list to git")
    parser.add_argument(
        "--push",
        action="store_true",
        help="the same, and send drops and commits to the DVC remote and the git remote before a delivery is moved",
    )
    parser.add_argument("--mapping", type=Path, default=MAPPING, help=f"how the files are written ({MAPPING})")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="default: params.yaml")
    args = parser.parse_args()
    if args.inbox == DEFAULT:
        with suppress(FileExistsError):
            args.inbox.mkdir()
            # Senders write there: it has the rights of the folder around it, not those that the umask leaves.
            args.inbox.chmod(0o700 | args.inbox.absolute().parent.stat().st_mode & 0o2075)
    stable, now = timedelta(minutes=args.stable_minutes), datetime.now().astimezone()
    save = push_drops if args.push else None
    rules, commit = read_rules(args.params, args.mapping), args.commit or args.push
    if failed := ingest_inbox(args.inbox, args.raw, args.list, stable, now, rules, commit, save):
        raise UserError(explain_failed(failed, args.inbox))


def explain_failed(failed: list[Path], inbox: Path) -> str:
    """Return which deliveries were rejected and which stay in the inbox, and what to do."""
    left = [path for path in failed if path.parent == inbox]
    parts = []
    if rejected := [printable(path) for path in failed if path not in left]:
        places = ", ".join(rejected)
        parts.append(f"Rejected, each with {REASON}: {places}. Fix them and move them back, or deliver them again.")
    if left:
        places = ", ".join(map(printable, left))
        parts.append(f"Still in the inbox: {places}. Fix what {inbox / REJECTED}/*{IN_INBOX}/{REASON} says.")
    return " ".join(parts)


if __name__ == "__main__":
    run_command(main)
