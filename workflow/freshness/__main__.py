"""Run a command of this package: `python -m workflow.freshness why`, or by its path: `python .../freshness why`."""

import sys
from importlib import import_module
from pathlib import Path

if __package__:
    package = __package__
else:
    folder = Path(__file__).resolve().parent
    # Python has put the folder first, where its modules would hide others of the same names.
    sys.path[:] = [*(path for path in sys.path if Path(path).resolve() != folder), str(folder.parent)]
    package = folder.name
command_line = import_module(f"{package}.command_line")
command_line.exit_with(command_line.main)
