"""Snakemake runs only what DVC calls stale: see README.md beside this file."""

import sys

if sys.argv[:1] == ["-m"]:
    # `python -m` puts the working directory first, where a file such as copy.py would replace Python's own module.
    sys.path.append(sys.path.pop(0))

__all__ = ["AllStages", "Freshness"]


def __getattr__(name: str) -> object:
    # Jobs import this package, too: they need little of it, and there are many.
    if name == "Freshness":
        from .bridge import Freshness

        return Freshness
    if name == "AllStages":
        from .any_repository import AllStages

        return AllStages
    raise AttributeError(name)
