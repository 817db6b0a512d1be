"""Write the pages of docs/reference that are generated from the code.

Reads
    the contract and the features; params.yaml, the schemas and dvc.yaml of this repository
Writes
    docs/reference/columns.md: every column of the five CSVs
    docs/reference/features.md: every feature
    docs/reference/mapping.md: every key of data/mapping.yaml
    docs/reference/parameters.md: every parameter
"""

import argparse
from pathlib import Path

from churn.base.command import run_command
from churn.base.files import write_whole
from churn.reference.columns import write_columns
from churn.reference.features import write_features
from churn.reference.mapping import write_mapping
from churn.reference.parameters import write_parameters

ROOT = Path(__file__).parents[2]


def write_docs(folder: Path) -> None:
    """Write the pages.

    Parameters
    ----------
    folder : Path
        The folder to write to.
    """
    pages = {
        "columns": write_columns(),
        "features": write_features(),
        "mapping": write_mapping(),
        "parameters": write_parameters(ROOT),
    }
    for name, text in pages.items():
        with write_whole(folder / f"{name}.md") as path:
            path.write_text(text)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--docs", type=Path, default=Path("docs/reference"), help="folder (docs/reference)")
    write_docs(parser.parse_args().docs)


if __name__ == "__main__":
    run_command(main)
