"""A run whose texts from outside all try to run a script: values, names of columns, a branch, a file, a commit."""

import csv
import io
import shutil
from pathlib import Path

from conftest import run
from two_models import commit, newest_drop

# What a script that runs leaves behind.
TITLE = "planted"
SCRIPT = f"</script><script>document.title='{TITLE}'</script>"
IMAGE = f"<img src=x onerror=document.title='{TITLE}'>"
LINK = f"[{TITLE}](javascript:document.title='{TITLE}') ![p](http://127.0.0.1:9/p.png)"
PLANTED = (SCRIPT, IMAGE, LINK)
BRANCH = f"<svg/onload=document.title='{TITLE}'>"
COLUMNS = {"DEMOGRAFICOS.csv": ("CARD_TYPE", "CITY"), "PAYMENTS.csv": ("TPV_SEGMENT_DETAIL", "CUS_CUST_ID_SEL")}


def make_planted(demo: Path, folder: Path) -> None:
    """Commit the demo as main, then plant texts in its newest drop, run it, and commit that on a branch."""
    shutil.copytree(demo, folder, symlinks=True)
    run("git", "checkout", "--quiet", "-B", "main", cwd=folder)
    commit(folder, "The demo has run")
    run("git", "checkout", "--quiet", "-b", BRANCH, cwd=folder)
    drop = folder / "data" / "raw" / newest_drop(folder)
    for name, columns in COLUMNS.items():
        plant(drop / name, columns)
    run("dvc", "commit", "--force", f"data/raw/{drop.name}.dvc", cwd=folder)
    run("snakemake", "--cores", "2", cwd=folder)
    (folder / "scripts" / f"{IMAGE}.py").touch()
    commit(folder, SCRIPT)


def plant(path: Path, columns: tuple[str, ...]) -> None:
    """Give most rows of a CSV planted texts, and the file one more column with a planted name."""
    header, *rows = csv.reader(io.StringIO(path.read_text()))
    places = [header.index(column) for column in columns]
    for number, row in enumerate(rows):
        for place in places:
            if place < len(row) and number % 4:
                row[place] = PLANTED[number % 4 - 1]
        row.append("")
    with path.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([[*header, IMAGE], *rows])
