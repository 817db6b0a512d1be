"""Measure time and memory from five CSVs to features, compared with plain pandas: `make bench USERS=1000000`.

Reads
    scripts/clean_payments.py, build_user_base.py, build_features.py; params.yaml; benchmarks/plain_pandas.py
Writes
    a Markdown table to standard output; other files to a temporary folder
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import duckdb
import yaml

ROOT = Path(__file__).parents[1]
DROP = "2026-06-30"
PAYMENTS_A_USER = 12
# One row in ten thousand is bad: a negative amount.
PAYMENTS = """
    SELECT DATE '2026-06-30' - (hash(i) % 180)::INTEGER AS FECHA, 'SELLER_' || hash(i * 7) % 5000 AS CUS_CUST_ID_SEL,
        1000000 + hash(i * 3) % {users} AS CUS_CUST_ID_BUY,
        CASE WHEN i % 10000 = 77 THEN -1 ELSE (hash(i * 5) % 100000 + 1) / 100.0 END::DECIMAL(18, 2) AS SPENT,
        ['Instore', 'Transport', 'Utilities', 'TopUps', 'Transfers'][1 + (hash(i * 11) % 5)::INTEGER]
            AS TPV_SEGMENT_DETAIL,
        CASE WHEN i % 3 > 0 THEN ((hash(i * 13) % 30) / 100.0)::DECIMAL(9, 2) END AS DESCUENTO
    FROM range({payments}) numbers (i)
"""
# The minimum cost of reading the payments: no checks, no rejects.
BARE = """
import sys, duckdb
duckdb.execute(f"COPY (FROM read_csv('{sys.argv[1]}')) TO '{sys.argv[2]}' (COMPRESSION zstd, COMPRESSION_LEVEL 1)")
"""
FEW = 100
MAPPING = {"delimiter": ";", "decimal": ",", "dates": "%d/%m/%Y"}
USERS = {
    "ACTIVE_USER": """hash(i) % 30 AS MAU_MP_1, hash(i * 3) % 30 AS MAU_ML_1, hash(i * 5) % 30 AS MAU_ML_2,
        DATE '2026-06-30' - (hash(i * 7) % 90)::INTEGER AS last_login_mp_date_1""",
    "DEMOGRAFICOS": """18 + hash(i) % 60 AS AGE, ['F', 'M'][1 + (hash(i * 3) % 2)::INTEGER] AS GENDER,
        ['BLACK', 'GOLD', 'PLATINUM'][1 + (hash(i * 5) % 3)::INTEGER] AS CARD_TYPE,
        'City ' || hash(i * 7) % 300 AS CITY""",
    "DINERO_CUENTA": """((hash(i) % 1000000) / 100.0)::DECIMAL(18, 2) AS PLATA_CUENTA_1,
        ((hash(i * 3) % 1000000) / 100.0)::DECIMAL(18, 2) AS PLATA_CUENTA_2,
        ['Investing', 'Elegible', 'Warmup', 'Pending'][1 + (hash(i * 5) % 4)::INTEGER] AS INVERSION""",
    "MARKETPLACE_DATA": """((hash(i) % 100000) / 100.0)::DECIMAL(18, 2) AS SPENT_ML,
        DATE '2026-06-30' - (hash(i * 3) % 180)::INTEGER AS RECENCY_ML, hash(i * 5) % 40 AS FREQUENCY_ML""",
}


@dataclass
class Cost:
    """Cost of a process: wall-clock seconds and peak memory in bytes."""

    seconds: float
    peak: int


def make_drop(raw: Path, users: int, is_foreign: bool = False) -> None:
    """Write the five CSVs; `is_foreign`: with semicolons, decimal commas and dates like 30/06/2026."""
    raw.mkdir(parents=True)
    queries = {"PAYMENTS": PAYMENTS.format(users=users, payments=users * PAYMENTS_A_USER)}
    for name, columns in USERS.items():
        queries[name] = f"SELECT 1000000 + i AS CUS_CUST_ID_BUY, {columns} FROM range({users}) numbers (i)"
    for name, query in queries.items():
        if is_foreign:
            kinds = {column: kind for column, kind, *_ in duckdb.execute(f"DESCRIBE {query}").fetchall()}
            written = ", ".join(f"{write_foreign(column, kind)} AS {column}" for column, kind in kinds.items())
            query = f"SELECT {written} FROM ({query})"
        duckdb.execute(f"COPY ({query}) TO '{raw}/{name}.csv' (HEADER, DELIMITER '{';' if is_foreign else ','}')")


def write_foreign(column: str, kind: str) -> str:
    """Return SQL for a value as MAPPING says."""
    if kind == "DATE":
        return f"strftime({column}, '%d/%m/%Y')"
    return f"replace({column}::VARCHAR, '.', ',')" if kind.startswith("DECIMAL") else column


def measure(*command: object) -> Cost:
    """Run a command that must succeed; memory is that of its main process."""
    begin = time.perf_counter()
    process = subprocess.Popen([str(part) for part in command], cwd=ROOT, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{command} failed")
    return Cost(time.perf_counter() - begin, used.ru_maxrss * 1024)


def measure_stages(folder: Path, users: int, engine: str, is_foreign: bool = False) -> tuple[dict[str, Cost], Path]:
    """Make a drop and run the three stages; return the cost of each, and the folder of the drop's CSVs."""
    raw = folder / "raw" / DROP
    make_drop(raw, users, is_foreign)
    mapping = folder / "mapping.yaml"
    mapping.write_text(yaml.safe_dump(MAPPING if is_foreign else {}))
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    (folder / "params.yaml").write_text(yaml.safe_dump(params | {"engine": engine}))
    arguments = {
        "clean_payments": ("--raw", folder / "raw", "--mapping", mapping),
        "build_user_base": ("--raw", folder / "raw", "--mapping", mapping),
        "build_features": ("--features", folder / "features", "--coverage", folder / "metrics" / "clean_payments"),
    }
    common = (
        "--drop",
        DROP,
        "--params",
        folder / "params.yaml",
        "--clean",
        folder / "clean",
        "--metrics",
    )
    costs = {
        name: measure(sys.executable, f"scripts/{name}.py", *common, folder / "metrics" / name, *rest)
        for name, rest in arguments.items()
    }
    return costs | {"the three stages": add_up(costs)}, raw


def add_up(costs: dict[str, Cost]) -> Cost:
    """Return the cost of running the stages one after the other."""
    return Cost(sum(cost.seconds for cost in costs.values()), max(cost.peak for cost in costs.values()))


def main() -> None:
    """Make a drop, measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--users", type=int, default=1_000_000, help="users of the drop; each pays twelve times")
    parser.add_argument("--engine", default="duckdb", choices=["duckdb", "spark"], help="default: duckdb")
    parser.add_argument(
        "--without-pandas", action="store_true", help="skip plain pandas, for data that do not fit in memory"
    )
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        few, _ = measure_stages(Path(name, "few"), FEW, args.engine)
        costs, raw = measure_stages(Path(name, "all"), args.users, args.engine)
        size = sum(path.stat().st_size for path in raw.iterdir())
        bare = (sys.executable, "-c", BARE, raw / "PAYMENTS.csv", Path(name, "bare.parquet"))
        costs[f"the same for {FEW} users, mostly start-up"] = few["the three stages"]
        foreign, _ = measure_stages(Path(name, "foreign"), args.users, args.engine, is_foreign=True)
        costs |= {f"{stage}, with a mapping": cost for stage, cost in foreign.items() if stage != "build_features"}
        costs["DuckDB alone: payments from CSV to Parquet, no checks"] = measure(*bare)
        if not args.without_pandas:
            script = Path(__file__).with_name("plain_pandas.py")
            costs["plain pandas"] = measure(sys.executable, script, raw, DROP, Path(name, "plain.parquet"))
    print(
        f"{args.engine}: {args.users:,} users, {args.users * PAYMENTS_A_USER:,} payments, {size / 1e6:.0f} MB of CSV\n"
    )
    print("| what | seconds | peak memory |\n|---|---|---|")
    for what, cost in costs.items():
        print(f"| {what} | {cost.seconds:.1f} | {cost.peak / 1e6:.0f} MB |")
    mapped = costs["the three stages, with a mapping"].seconds / costs["the three stages"].seconds
    print(f"\n{mapped:.2f} times as long with a mapping: semicolons, decimal commas, dates like 30/06/2026")
    if not args.without_pandas:
        ours, plain = costs["the three stages"], costs["plain pandas"]
        faster, share = plain.seconds / ours.seconds, ours.peak / plain.peak
        print(f"\n{faster:.1f} times as fast as plain pandas, at {share:.2f} of its memory")


if __name__ == "__main__":
    main()
