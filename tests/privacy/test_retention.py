"""What is older than params.yaml allows is removed; no step becomes stale, and nothing else is lost."""

import os
from datetime import datetime, timedelta
from pathlib import Path

import yaml
from conftest import call_script, run

OLD, NEW = "2026-03-15", "2026-03-22"
NOW = datetime.now().astimezone()
LONG_AGO = (NOW - timedelta(days=40)).timestamp()


def limit(repository: Path, **days: int | None) -> None:
    params = yaml.safe_load((repository / "params.yaml").read_text())
    params["retention"] |= {f"{name}_days": most for name, most in days.items()}
    (repository / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))


def make_old(path: Path) -> Path:
    """Make a file or folder whose time is long ago."""
    if path.suffix:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("text\n")
    else:
        path.mkdir(parents=True)
        (path / "PAYMENTS.csv").write_text("text\n")
    os.utime(path, (LONG_AGO, LONG_AGO))
    return path


def test_old_things_go_new_ones_stay_and_nothing_is_stale(demo_copy):
    limit(demo_copy, rejects=30, scores=30, deliveries=30, logs=30)
    old = [
        make_old(demo_copy / "inbox/.done/week 1"),
        make_old(demo_copy / "logs/old_step.log"),
        make_old(demo_copy / ".snakemake/log/old.snakemake.log"),
        make_old(demo_copy / "data/scores" / OLD / "scores.csv"),
        demo_copy / "data/clean" / OLD / "payments_rejects.parquet",
        demo_copy / "data/clean" / OLD / "user_base_rejects.parquet",
    ]
    cached = {path: path.stat().st_size for path in demo_copy.glob(".dvc/cache/files/md5/*/*")}
    for name in "inbox/.done/week 2", "inbox/rejected/week 0":
        (demo_copy / name).mkdir(parents=True)
    os.utime(demo_copy / "inbox/rejected/week 0", (LONG_AGO, LONG_AGO))
    schedule = demo_copy / "logs/schedule.log"
    runs = [f"\n==== {NOW - timedelta(days=days)}\nran\n" for days in (50, 40, 2)]
    schedule.write_text("".join(runs))
    (demo_copy / ".stack").mkdir()
    assert "make up" in call_script("retention", cwd=demo_copy, fails=True).stderr, "the remote is down"
    assert [path.exists() for path in old] == [False] * 4 + [True] * 2
    (demo_copy / ".stack").rmdir()
    for path in old[:4]:
        make_old(path)
    before = {path for path in demo_copy.rglob("*") if path.is_file()}

    said = call_script("retention", cwd=demo_copy).stdout
    assert "2 tables of rejected rows older than 30 days" in said and "1 ingested deliveries" in said
    assert not any(path.exists() for path in old)
    assert schedule.read_text() == f"\n{runs[2].lstrip()}"
    gone = {path for path in before if not path.exists()}
    assert {path for path in gone if ".dvc" not in path.parts} == {path for path in old if path.suffix} | {
        demo_copy / "inbox/.done/week 1/PAYMENTS.csv"
    }
    assert 1 <= len(gone & cached.keys()) <= 2
    assert "Nothing is older" in call_script("retention", cwd=demo_copy).stdout
    # For Snakemake it is data that is not here, and the other outputs of the same stages are as they were.
    targets = ("data/training/train.parquet", "reports/drift")
    assert "Nothing to be done" in run("snakemake", "-n", *targets, cwd=demo_copy).stdout


def test_null_keeps_everything(demo_copy):
    limit(demo_copy, rejects=None, scores=None, deliveries=None, logs=None)
    make_old(demo_copy / "inbox/.done/week 1")
    make_old(demo_copy / "logs/old_step.log")
    assert "Nothing is older" in call_script("retention", cwd=demo_copy).stdout
    assert (demo_copy / "logs/old_step.log").exists()
