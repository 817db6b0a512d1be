"""Run commands on inputs that are closed, damaged or missing, and collect what they print.

Run as a program, without root's rights: `python broken_inputs.py REPOSITORY [SHARE [PART OF A COMMAND]]`. SHARE is
`few`, `one` (each file in one way) or `all` (in every way). Each case runs in a fork of this process, which has
imported what is slow to import. It prints one JSON line per case.
"""

import contextlib
import io
import json
import os
import re
import runpy
import shlex
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

TIMEOUT_SECONDS = 120
# Of so many cases, `few` runs one. No multiple of the number of kinds, so that each kind is tried.
FEW = 9
RECEIPTS = "reports/release"
# What every command reads in the same way: broken for one that is fast.
ALWAYS, FAST = ["params.yaml", ".env", "data/drops.yaml"], "build_training_set"
# The release steps, and the tools that read files and are safe to run here; @ is the newest drop.
COMMANDS = {
    f"scripts/register_candidate.py --receipt {RECEIPTS}/register_candidate.json": [
        *("metrics/build_training_set.json", "metrics/detect_drift.json", "metrics/train_model.json"),
        *("models/candidate/scorer.onnx", "plots/train_model/grid.json", "reports/model_card.md", "mlflow.db"),
    ],
    f"scripts/evaluate_candidate.py --candidate {RECEIPTS}/register_candidate.json --holdout "
    f"data/training/holdout.parquet --training-set metrics/build_training_set.json --evaluation "
    f"{RECEIPTS}/evaluation.json": [
        *(f"{RECEIPTS}/register_candidate.json", "data/training/holdout.parquet", "models/candidate/scorer.onnx"),
    ],
    f"scripts/promote_model.py --evaluation {RECEIPTS}/evaluation.json --receipt {RECEIPTS}/promote_model.json": [
        *(f"{RECEIPTS}/evaluation.json", "mlflow.db"),
    ],
    f"scripts/score_users.py --features data/features/@/churn_features.parquet --meaning metrics/build_features/@.json "
    f"--drops data/drops.yaml --scores data/scores/@/scores.parquet --receipt {RECEIPTS}/score_users/@.json": [
        *("data/features/@/churn_features.parquet", "metrics/build_features/@.json", f"{RECEIPTS}/promote_model.json"),
    ],
    "tools/summary": ["metrics/train_model.json", f"{RECEIPTS}/promote_model.json", "metrics/detect_drift.json"],
    "tools/ledger": ["mlflow.db"],
    "tools/check data/raw/@": ["data/raw/@/PAYMENTS.csv", "data/mapping.yaml"],
    "tools/ingest data/raw/@": ["data/raw/@/ACTIVE_USER.csv", "data/mapping.yaml", "data/raw/@.dvc"],
    "tools/inbox": ["inbox"],
    "tools/update_drops": [".dvcignore"],
    "tools/doctor": ["mlflow.db", "requirements.lock"],
    "tools/audit --pins": ["compose.yaml", "Dockerfile", "requirements.lock", ".github/workflows/tests.yml"],
    "tools/schedule": [],
    "tools/down": [],
    "tools/rollback --why reasons": ["mlflow.db"],
    "tools/hold --why reasons": ["mlflow.db"],
}


def list_cases(newest: str) -> list[tuple[str, str]]:
    """Return each command with each file that it reads: the stages' from dvc.yaml, the others' from the list above."""
    import yaml

    cases = []
    before = yaml.safe_load(Path("data/drops.yaml").read_text())["previous"][newest]
    for name, stage in yaml.safe_load(Path("dvc.yaml").read_text())["stages"].items():
        each = stage.get("do", stage)
        # `foreach` goes over the drops, or over each drop and the one before it.
        values = {"key": newest, "newest": newest, "item": before if "${key}" in each["cmd"] else newest}
        text, *deps = (
            re.sub(r"\$\{(\w+)\}", lambda found: values.get(found[1], found[0]), one)  # noqa: B023
            for one in (each["cmd"], *map(str, each["deps"]))
        )
        files = [dep for dep in deps if not dep.startswith("scripts/")]
        cases += [(text.removeprefix("python "), path) for path in [*(ALWAYS if name == FAST else []), *files]]
    for command, files in COMMANDS.items():
        cases += [(command.replace("@", newest), path.replace("@", newest)) for path in files]
    return [(command, first_file(path)) for command, path in cases]


def first_file(path: str) -> str:
    """Return a file of a folder, the folder itself if it is empty or the inbox."""
    found = Path(path)
    if found.is_dir() and path != "inbox":
        return str(next((one for one in sorted(found.rglob("*")) if one.is_file() and one.name[0] != "."), found))
    return path


@contextlib.contextmanager
def broken(path: Path, kind: str) -> Iterator[None]:
    """Break a file; afterwards it is as before."""
    kept = path.with_name(f".kept-{path.name}")
    exists = os.path.lexists(path)
    if exists:
        path.rename(kept)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        whole = kept.read_bytes() if kept.is_file() else b"{}"
        match kind:
            case "closed":
                path.write_bytes(whole)
                path.chmod(0)
            case "folder":
                path.mkdir()
            case "dangling":
                path.symlink_to("nowhere")
            case "loop":
                path.symlink_to(path.name)
            case "garbage":
                path.write_bytes(bytes(range(255, 0, -1)) * 40)
            case "truncated":
                path.write_bytes(whole[: len(whole) // 2] + b"\xc3")
            case "empty":
                path.write_bytes(b"")
        yield
    finally:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif os.path.lexists(path):
            path.unlink()
        if exists:
            kept.rename(path)


KINDS = ("closed", "folder", "dangling", "loop", "garbage", "truncated", "empty")


def run_case(command: str) -> tuple[int, str]:
    """Run a command in a fork; return its exit code and what it printed."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.setsid()
        for number in 1, 2:
            os.dup2(writing, number)
        run_here(command)
    os.close(writing)
    # The case and what it has started, in a session of its own, not this process; the other cases still run.
    signal.signal(signal.SIGALRM, lambda *_: os.killpg(child, signal.SIGKILL))
    signal.alarm(TIMEOUT_SECONDS)
    with open(reading, "rb") as file:  # noqa: PTH123
        said = file.read()
    signal.alarm(0)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), said.decode(errors="replace")


def run_here(command: str) -> None:
    """Run a command as Python runs a script, and end this process."""
    name, *arguments = shlex.split(command)
    sys.stdout, sys.stderr = (io.TextIOWrapper(os.fdopen(number, "wb"), line_buffering=True) for number in (1, 2))
    code = 0
    try:
        sys.argv = [name, *arguments]
        if name.startswith("tools/"):
            runpy.run_module(name.replace("/", "."), run_name="__main__")
        else:
            runpy.run_path(name, run_name="__main__")
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = 1
    for stream in sys.stdout, sys.stderr:
        stream.flush()
    os._exit(code)


def main() -> None:
    """Run commands with their files broken, as SHARE says."""
    repository, *share = sys.argv[1:]
    os.chdir(repository)
    sys.path[:0] = [str(Path("scripts").absolute())]
    import duckdb  # noqa: F401
    import ibis  # noqa: F401
    import mlflow  # noqa: F401
    import pyarrow.parquet  # noqa: F401
    import yaml

    newest = yaml.safe_load(Path("data/drops.yaml").read_text())["newest"]
    only = share[1] if len(share) > 1 else ""
    for number, (command, path) in enumerate(list_cases(newest)):
        if only not in command or (share[:1] == ["few"] and number % FEW):
            continue
        for kind in KINDS if share[:1] == ["all"] else [KINDS[number % len(KINDS)]]:
            with broken(Path(path), kind):
                code, said = run_case(command)
            print(json.dumps({"command": command, "path": path, "kind": kind, "code": code, "said": said}), flush=True)


if __name__ == "__main__":
    main()
