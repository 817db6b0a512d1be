"""Remove what is older than params.yaml allows: rejected rows, logs, ingested deliveries, scores."""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from churn.base.command import UserError
from churn.base.drops import parse_drop, read_list
from churn.deliveries.inbox_layout import DONE, inbox_folder
from churn.deliveries.run_lock import no_run
from churn.privacy.places import BEGIN, SCHEDULE
from churn.privacy.ready import check_servers, has_remote
from churn.stack.buckets import open_s3
from churn.stack.remote_contents import OBJECTS, key_of, list_keys
from churn.stack.remote_objects import CACHE

REJECTS = ("payments_rejects.parquet", "user_base_rejects.parquet")


def apply_retention(params: dict[str, Any], now: datetime, root: Path) -> list[str]:
    """Remove what is too old, and return what was removed, in a line for each kind.

    Parameters
    ----------
    params : dict
        All of params.yaml; a kind without a number of days is kept.
    now : datetime
        The current time, in this machine's time zone.
    root : Path
        The repository's folder.

    Raises
    ------
    UserError
        When Snakemake is running, or the S3 server does not answer or is down.
    """
    days = params.get("retention", {})
    kinds = {
        "scores_days": ("folders of scores", remove_scores),
        "deliveries_days": ("ingested deliveries in the inbox", remove_deliveries),
        "logs_days": ("logs", remove_logs),
        # Last: without the S3 server, this fails.
        "rejects_days": ("tables of rejected rows", remove_rejects),
    }
    removed = []
    with no_run(root):
        for key, (what, remove) in kinds.items():
            if (most := days.get(key)) and (number := remove(root, now - timedelta(days=most))):
                removed.append(f"{number:,} {what} older than {most} days")
    return removed


def remove_rejects(root: Path, before: datetime) -> int:
    """Remove the rejected rows of old drops, here and in DVC's cache; return how many tables.

    To Snakemake they are then data that is not here, as after `make prune`. If there is a remote, it must hold them:
    a clone that pulls everything needs them. Without one, `dvc repro` makes them again from the raw drops.
    """
    old = [drop / name for drop in _old_drops(root, "data/clean", before) for name in REJECTS]
    if not (old := [path for path in old if path.exists()]):
        return 0
    # Imported here, because a scheduled run asks every time.
    from dvc.repo import Repo, lock_repo

    # A stack that is down holds tables, too.
    check_servers(root)
    held = None
    if has_remote():
        with open_s3() as s3:
            held = list_keys(s3, OBJECTS)
    number, going = 0, {str(path.absolute()) for path in old}
    with Repo(str(root)) as repo, lock_repo(repo):
        outs = [out for out in repo.index.outs if isinstance(out.hash_info.value, str)]
        kept = {out.hash_info.value for out in outs if out.fs_path not in going}
        for out in outs:
            key = key_of(out.hash_info.value)
            if out.fs_path in going and (held is None or key in held) and not out.changed_checksum():
                if out.hash_info.value not in kept:
                    (root / CACHE / key).unlink(missing_ok=True)
                # Last: after a kill, the next call finds what is left by it.
                Path(out.fs_path).unlink()
                number += 1
    return number


def remove_scores(root: Path, before: datetime) -> int:
    """Remove the scores of old drops; return of how many."""
    old = list(_old_drops(root, "data/scores", before))
    for folder in old:
        shutil.rmtree(folder)
    return len(old)


def remove_deliveries(root: Path, before: datetime) -> int:
    """Remove ingested deliveries from the inbox's .done/, by the time of the delivery; return how many."""
    inbox, number = inbox_folder(), 0
    done = (inbox if inbox.is_absolute() else root / inbox) / DONE
    if done.is_symlink() or not done.is_dir():
        return 0
    for one in done.iterdir():
        if _time(one) < before:
            shutil.rmtree(one) if one.is_dir() and not one.is_symlink() else one.unlink()
            number += 1
    return number


def remove_logs(root: Path, before: datetime) -> int:
    """Remove old logs, and the old runs from the log of scheduled runs; return how many files changed."""
    number = 0
    for folder in ("logs", ".snakemake/log", ".snakemake/freshness/logs"):
        for path in (root / folder).rglob("*.log"):
            if path.is_symlink() or path == root / SCHEDULE:
                continue
            if _time(path) < before:
                path.unlink()
                number += 1
    return number + _cut_schedule(root / SCHEDULE, before)


def _cut_schedule(path: Path, before: datetime) -> int:
    """Remove the runs from the log of scheduled runs that began too early; return 1 if there were any."""
    with suppress(FileNotFoundError):
        runs = re.split(rf"(?m)^(?={BEGIN})", path.read_text(encoding="utf-8", errors="surrogateescape"))
        kept = [run for run in runs if not run.strip() or not _is_older(run, before)]
        if kept != runs:
            # In place: the scheduled run that calls this appends to the same file.
            with path.open("r+", encoding="utf-8", errors="surrogateescape") as file:
                file.write("".join(kept))
                file.truncate()
            return 1
    return 0


def _is_older(run: str, before: datetime) -> bool:
    with suppress(ValueError):
        return datetime.fromisoformat(run.partition("\n")[0].removeprefix(BEGIN)) < before
    # What comes before the first run.
    return True


def _old_drops(root: Path, folder: str, before: datetime) -> Iterator[Path]:
    """Yield the folders of old drops; never that of the newest drop, which the next run would write again."""
    _, listed = read_list(root / "data/drops.yaml")
    newest = max(listed, default=date.min)
    for path in sorted((root / folder).glob("????-??-??")):
        with suppress(UserError):
            if parse_drop(path.name) < min(newest, before.date()) and path.is_dir():
                yield path


def _time(path: Path) -> datetime:
    return datetime.fromtimestamp(os.lstat(path).st_mtime).astimezone()
