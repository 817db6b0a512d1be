"""Score the users of a drop, with the version in Production or another one; its features are brought up to date first.

Reads
    data/drops.yaml, the registry, whatever the features of the drop are made from
Writes
    data/scores/<drop>, reports/release/score_users/<drop>.json: the same bytes for the same drop and version
"""

import argparse
import subprocess
from pathlib import Path

from churn.base.command import UserError, run_command
from churn.base.drops import parse_drop, read_drops
from churn.base.reading import read_json

RECEIPT = "reports/release/score_users/{drop}.json"


def score(drop: str, version: str = "", cores: str = "all") -> None:
    """Let Snakemake score a drop.

    Parameters
    ----------
    drop : str
        A date listed in data/drops.yaml.
    version : str, optional
        The version that scores; "" for Production.
    cores : str, optional
        As of `snakemake --cores`.

    Raises
    ------
    UserError
        When the drop is not listed, or Snakemake fails.
    """
    drops = read_drops(Path("data/drops.yaml"))
    if parse_drop(drop) not in drops:
        newest = ", ".join(map(str, drops[-3:]))
        raise UserError(
            f"data/drops.yaml does not list {drop}. Its newest drops: {newest}. Try: make score DROP={drops[-1]}"
        )
    config, receipt = [f"drop={drop}", *([f"version={version}"] if version else [])], RECEIPT.format(drop=drop)
    command = ["snakemake", "--cores", cores, receipt, "--config", *config]
    if subprocess.run(command, check=False).returncode:
        raise UserError(f"Drop {drop} was not scored; the message above says why. Log: logs/score_users/{drop}.log")
    found = read_json(Path(receipt))
    if found["model_version"] is None:
        raise UserError(f"Drop {drop} was not scored: {found['reason']}")
    if found["model_version"] != found["production_version"] and drop == str(drops[-1]):
        print("These are not the scores of Production; the next run writes those again.")
    by, files = found["model_version"], ", ".join(found["files"])
    print(f"{found['users']:,} users of drop {drop} scored with version {by}: {files}")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("drop", help="the drop's date, YYYY-MM-DD")
    parser.add_argument("--version", default="", help="the version that scores; default: Production")
    parser.add_argument("--cores", default="all", help="as of snakemake --cores; default: all")
    args = parser.parse_args()
    score(args.drop, args.version, args.cores)


if __name__ == "__main__":
    run_command(main)
