"""The commands of the rules, and those that a user gives in the folder of the repository."""

import argparse
from pathlib import Path

from .run_stage import run_stage
from .state import exit_with

__all__ = ["exit_with", "main"]


def parse_arguments() -> argparse.Namespace:
    """Return the arguments of the command line."""
    parser = argparse.ArgumentParser(prog=f"python -m {__package__}", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    stage = commands.add_parser("stage", help="bring a stage of dvc.yaml, or a .dvc file, up to date")
    stage.add_argument("name", metavar="NAME", help="as in `dvc stage list --all`: train, clean@a, data/raw/a.csv.dvc")
    release = commands.add_parser("release", help="run a release step's command, then write its receipt")
    release.add_argument("name", metavar="NAME", help="the name given to fresh.release() in the Snakefile")
    release.add_argument("words", nargs=argparse.REMAINDER, metavar="WORD", help="the command and its arguments")
    commands.add_parser("why", help="print every stale step and what changed, as the last Snakemake found it")
    merge = commands.add_parser("merge", help="merge the versions of a dvc.lock; git calls it")
    merge.add_argument(
        "versions", nargs="*", metavar="FILE", help="the common ancestor, ours (overwritten), theirs, their path"
    )
    merge.add_argument("--install", action="store_true", help="have git in this clone use it for each dvc.lock")
    # The bridge's own, not listed: a stage or missing data with a DVC of its own, and the DVC process of a run.
    commands.add_parser("alone").add_argument("name")
    commands.add_parser("pull").add_argument("paths", nargs="+")
    warm = commands.add_parser("warm")
    warm.add_argument("main", type=int, help="the number of the open socket to the main process")
    warm.add_argument("listener", type=int, help="the number of the open socket to which jobs connect")
    warm.add_argument("wait", type=int, help="seconds to wait for another DVC")
    warm.add_argument("--status", action="store_true", help="say what is stale")
    warm.add_argument("--pull", action="store_true", help="the lists of missing folders' files may be fetched")
    arguments = parser.parse_args()
    if arguments.command == "merge" and len(arguments.versions) != (0 if arguments.install else 4):
        merge.error("give three versions and a path, or --install")
    if arguments.command == "release" and not arguments.words:
        release.error("the command to run is missing")
    return arguments


def main() -> int:
    """Run the command; return the exit code."""
    arguments = parse_arguments()
    match arguments.command:
        case "stage":
            return run_stage(arguments.name)
        case "release":
            from .release_steps import run_release_step

            return run_release_step(arguments.name, arguments.words)
        case "merge":
            from .merge import install_driver, merge_locks

            if arguments.install:
                return install_driver()
            return merge_locks(*map(Path, arguments.versions))
        case "alone":
            from .dvc_job import run_alone

            return run_alone(arguments.name)
        case "pull":
            from .dvc_job import pull_alone

            return pull_alone(arguments.paths)
        case "warm":
            from .warm import serve

            return serve(arguments)
        case _:
            from .why import print_stale_steps

            return print_stale_steps()
