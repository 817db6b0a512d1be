"""Measure what a week costs after years: `make bench-years WEEKS=104 PAYERS=1350`, some minutes.

Reads
    a clone of this repository, as committed
Writes
    a row of a Markdown table to standard output, and what each command printed to <folder>/commands.log

The users are invented, and the same in every run: each pays for half a year on average. A drop has the payments of the
180 days before it.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import psutil

ROOT = Path(__file__).parents[1]
HISTORY, FIRST = timedelta(days=180), date(2015, 6, 28)
STAY_WEEKS, PAYS = 26, 0.25  # mean stay; chance of a payment in a week
COLUMNS = (
    "weeks",
    "users",
    "ingest s",
    "first run s",
    "one more week s",
    "nothing to do s",
    "`make why` s",
    "lines of dvc.lock",
    "peak memory MB",
    "disk MB",
)


class Payers:
    """Users who join, pay for a while and leave."""

    def __init__(self, weeks: int, users: int):
        random = np.random.default_rng(0)
        span = weeks + 2 * STAY_WEEKS
        # As many join as keep the number of payers in half a year.
        people = int(1.29 * users * span / (STAY_WEEKS + 26))
        joined = random.integers(-2 * STAY_WEEKS, weeks, people)
        stays = random.geometric(1 / STAY_WEEKS, people)
        rows = []
        for week in range(-STAY_WEEKS, weeks + 1):
            active = np.flatnonzero((joined <= week) & (week < joined + stays))
            pays = active[random.random(len(active)) < PAYS]
            day = FIRST + timedelta(weeks=week)
            days = random.integers(0, 7, len(pays))
            # Somebody pays on the day of the drop, which has its name from its newest payment.
            days[:1] = 0
            rows.append(
                pd.DataFrame(
                    {
                        "FECHA": [str(day - timedelta(days=int(back))) for back in days],
                        "CUS_CUST_ID_SEL": random.integers(0, 99, len(pays)),
                        "CUS_CUST_ID_BUY": pays,
                        "SPENT": random.integers(100, 99_999, len(pays)) / 100,
                        "TPV_SEGMENT_DETAIL": random.choice(["Instore", "Transport", "TopUps"], len(pays)),
                        "DESCUENTO": random.choice([0, 0.1], len(pays)),
                    }
                )
            )
        self.payments = pd.concat(rows, ignore_index=True)

    def deliver(self, week: int, folder: Path) -> None:
        """Write the five files of a week."""
        day = FIRST + timedelta(weeks=week)
        known = self.payments[self.payments.FECHA.between(str(day - HISTORY), str(day))]
        users = np.sort(known.CUS_CUST_ID_BUY.unique())
        tables = {
            "PAYMENTS.csv": known,
            "ACTIVE_USER.csv": {
                "MAU_MP_1": (users * 7 + week) % 9,
                "MAU_ML_1": (users * 5 + week) % 11,
                "MAU_ML_2": (users * 5 + week - 4) % 11,
                "last_login_mp_date_1": str(day),
            },
            "DEMOGRAFICOS.csv": {"AGE": 20 + users % 50, "GENDER": np.where(users % 2, "F", "M"), "CARD_TYPE": "GOLD"}
            | {"CITY": "Salta"},
            "DINERO_CUENTA.csv": {"PLATA_CUENTA_1": users % 997, "PLATA_CUENTA_2": users % 991, "INVERSION": "Warmup"},
            "MARKETPLACE_DATA.csv": {"SPENT_ML": users % 500, "FREQUENCY_ML": users % 5, "RECENCY_ML": str(day)},
        }
        folder.mkdir(parents=True)
        for name, columns in tables.items():
            table = columns if name == "PAYMENTS.csv" else pd.DataFrame({"CUS_CUST_ID_BUY": users} | columns)
            table.to_csv(folder / name, index=False)
        (folder / "_READY").touch()


class Peak:
    """The largest sum of the memory of this process's children, in MB, looked at ten times a second."""

    def __init__(self) -> None:
        self.megabytes = 0.0
        self._ended = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        me = psutil.Process()
        while not self._ended.wait(0.1):
            used = 0
            for child in me.children(recursive=True):
                try:
                    used += child.memory_info().rss
                except psutil.Error:
                    continue
            self.megabytes = max(self.megabytes, used / 1e6)

    def end(self) -> float:
        """Stop looking."""
        self._ended.set()
        return self.megabytes


def run(folder: Path, *command: str) -> float:
    """Run a command that must succeed, and return its seconds."""
    # Nothing of this machine's servers: the registry is the embedded one.
    unset = ("MLFLOW_", "AWS_", "CHURN_", "SPARK_", "DRIFT_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(unset)}
    environment["CHURN_INBOX"] = str(folder / "inbox")
    begin = time.perf_counter()
    with Path(folder, "commands.log").open("a") as log:
        subprocess.run(command, cwd=folder / "clone", env=environment, stdout=log, stderr=log, check=True)
    return time.perf_counter() - begin


def disk(folder: Path) -> float:
    """Return the megabytes that files take, a hard link once."""
    return int(subprocess.run(["du", "-sk", folder], stdout=subprocess.PIPE, check=True).stdout.split()[0]) / 1000


def measure(weeks: int, users: int, folder: Path) -> list[str]:
    """Return the cells of a row."""
    clone = folder / "clone"
    subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
    (clone / ".venv").symlink_to(ROOT / ".venv")
    run(folder, sys.executable, "scripts", "clear_demo")
    payers = Payers(weeks, users)
    for week in range(weeks):
        payers.deliver(week, folder / "inbox" / f"{week:04}")
    peak = Peak()
    snakemake = ("snakemake", "--cores", "2", "--quiet", "all")
    ingest = run(folder, sys.executable, "scripts", "inbox")
    first = run(folder, *snakemake)
    run(folder, *snakemake)
    nothing = min(run(folder, *snakemake) for _ in range(3))
    payers.deliver(weeks, folder / "inbox" / f"{weeks:04}")
    run(folder, sys.executable, "scripts", "inbox")
    why = run(folder, "make", "--silent", "why")
    week = run(folder, *snakemake)
    lines = len((clone / "dvc.lock").read_text().splitlines())
    seconds = [f"{one:.1f}" for one in (ingest, first, week, nothing, why)]
    return [str(weeks), str(users), *seconds, str(lines), f"{peak.end():.0f}", f"{disk(clone):.0f}"]


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weeks", type=int, nargs="+", help="numbers of weekly drops")
    parser.add_argument("--users", type=int, default=1350, help="payers in each drop, about (1350)")
    parser.add_argument("--keep", type=Path, help="folder to keep everything in")
    args = parser.parse_args()
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
    for weeks in args.weeks:
        folder = (args.keep or Path(tempfile.mkdtemp())) / str(weeks)
        folder.mkdir(parents=True)
        print(f"| {' | '.join(measure(weeks, args.users, folder))} |", flush=True)
        if not args.keep:
            shutil.rmtree(folder.parent)


if __name__ == "__main__":
    main()
