"""The demo in git, with two models: that of the branch main, and a worse one on the branch less."""

import shutil
from pathlib import Path

import yaml
from conftest import run

# All that says when a user last paid: without it a model must be worse.
PAYING = [
    *("days_since_last_payment", "days_since_first_payment", "payments_last_30d", "payments_last_60d"),
    *("active_days", "payments_sum", "distinct_sellers", "distinct_segments", "avg_discount"),
]


def make_two_models(demo: Path, folder: Path) -> None:
    """Commit the demo as main; commit a worse model and a line of code on less, which stays checked out.

    The worse model is trained, but neither explained nor registered.
    """
    shutil.copytree(demo, folder, symlinks=True)
    run("git", "checkout", "--quiet", "-B", "main", cwd=folder)
    commit(folder, "The demo has run")
    run("git", "checkout", "--quiet", "-b", "less", cwd=folder)
    edit(folder / "params.yaml", "leave_out: [] ", f"leave_out: [{', '.join(PAYING)}] ")
    drop = newest_drop(folder)
    with (folder / "data" / "raw" / drop / "PAYMENTS.csv").open("a") as payments:
        payments.write("not a date,1,2,3.00,a,0\n")
    run("dvc", "commit", "--force", f"data/raw/{drop}.dvc", cwd=folder)
    run("dvc", "repro", "train_model", cwd=folder)
    commit(folder, "A model without dates")
    with (folder / "scripts" / "tools" / "ledger.py").open("a") as script:
        script.write("# one line\n")
    commit(folder, "Code of `no` <b>stage</b>")


def commit(repository: Path, message: str) -> None:
    run("git", "add", "--all", cwd=repository)
    run("git", "commit", "--quiet", "--message", message, cwd=repository)


def edit(path: Path, before: str, after: str) -> None:
    """Replace a text that occurs once in a file."""
    text = path.read_text()
    assert text.count(before) == 1
    path.write_text(text.replace(before, after))


def newest_drop(repository: Path) -> str:
    return yaml.safe_load((repository / "data/drops.yaml").read_text())["drops"][-1]
