"""Run a tool: `python scripts NAME ...` runs scripts/tools/NAME.py; each has a make target of the same name.

Python then imports the `churn` next to this file, never an installed one.
"""

import runpy
import sys
from pathlib import Path

TOOLS = sorted(path.stem for path in (Path(__file__).parent / "tools").glob("[!_]*.py"))


def main() -> None:
    """Run the tool named by the first argument."""
    _, *arguments = sys.argv
    if not arguments or arguments[0] not in TOOLS:
        sys.exit(f"usage: python scripts NAME ...; NAME is one of: {', '.join(TOOLS)}")
    sys.argv = [f"scripts {arguments[0]}", *arguments[1:]]
    runpy.run_module(f"tools.{arguments[0]}", run_name="__main__")


if __name__ == "__main__":
    main()
