"""Remove the demo's drops, to start with your own.

Removes
    data/raw/<drop>/ and its DVC pointer for each drop in data/drops.yaml, and everything made from them:
    dvc.lock, cleaned data, features, samples for drift, training set, scores, candidate, metrics, plots, reports
Writes
    data/drops.yaml: source none, no drops
Keeps
    DVC's cache, the MLflow store and published drift reports
"""

import argparse
import shutil
from pathlib import Path

from churn.base.command import UserError, run_command
from churn.base.drops import read_list, write_list
from churn.base.files import remove_scratch
from churn.deliveries.folders import pointer_of

RAW, LISTING = Path("data/raw"), Path("data/drops.yaml")
OUTPUTS = (
    Path("dvc.lock"),
    Path("data/clean"),
    Path("data/features"),
    Path("data/training"),
    Path("data/scores"),
    Path("models/candidate"),
    Path("metrics"),
    Path("plots"),
    Path("reports"),
)


def clear_demo(root: Path) -> None:
    """Remove the demo's drops and everything made from them.

    Parameters
    ----------
    root : Path
        The project's folder.

    Raises
    ------
    UserError
        When the list contains your own drops.
    """
    source, drops = read_list(root / LISTING)
    if source == "own":
        raise UserError(
            f"{root / LISTING} lists your own drops, not the demo's; nothing was removed. To remove one of your drops: "
            f"dvc remove {RAW}/<drop>.dvc, then delete its line and its folder."
        )
    if source == "none":
        print("There are no demo drops to remove.")
        return
    for path in OUTPUTS:
        remove(root / path)
    for folder in (root / RAW / str(drop) for drop in drops):
        remove(root / "data/drift" / folder.name)
        remove_scratch(folder)
        remove(folder)
        remove(pointer_of(folder))
    # The list comes last: until then it says demo, so running this again after a kill finishes the work.
    write_list(root / LISTING, "none", [])
    print(f"Removed {len(drops)} demo drops and their results (DVC's cache and the MLflow store are kept).")
    print("Next: make ingest SOURCE=<folder of five CSVs>, or make demo to restore the demo.")


def remove(path: Path) -> None:
    """Remove a file or a folder, if it exists."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, default=Path(), help="the project's folder (default: here)")
    clear_demo(parser.parse_args().root)


if __name__ == "__main__":
    run_command(main)
