"""A stage that is killed while it writes: what it leaves counts for nothing, and the next run removes it."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
import yaml
from conftest import ENVIRONMENT, run
from demo_pipeline import locked

# From the last to the first: DVC removes the outputs of a stage that it runs, and the next one to be killed reads none.
WRITES = {
    "train_model": "models",
    "build_training_set": "data/training",
    "build_features@{drop}": "data/features/{drop}",
    "build_user_base@{drop}": "data/clean/{drop}",
    "clean_payments@{drop}": "data/clean/{drop}",
}


def kill_while_writing(stage: str, folder: Path, repository: Path) -> Path:
    """Kill a stage and the DVC above it with -9 while its scratch folder exists; return what is left of that."""
    for _ in range(5):
        command = ["dvc", "repro", "--single-item", "--force", stage]
        process = subprocess.Popen(
            command, cwd=repository, env=ENVIRONMENT, stdout=subprocess.DEVNULL, start_new_session=True
        )
        while process.poll() is None:
            if left := find_scratch(folder):
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                if left[0].exists():
                    return left[0]
            time.sleep(0.001)
    raise AssertionError(f"{stage} was never caught while it wrote")


def find_scratch(folder: Path) -> list[Path]:
    return list(folder.glob(".writing-*")) if folder.exists() else []


@pytest.mark.slow
def test_what_a_killed_stage_leaves_counts_for_nothing_and_is_removed(demo_copy):
    drop, other = yaml.safe_load((demo_copy / "data/drops.yaml").read_text())["drops"]
    expected = locked(demo_copy)
    for stage, folder in WRITES.items():
        left = kill_while_writing(stage.format(drop=drop), demo_copy / folder.format(drop=drop), demo_copy)
        if stage.startswith("clean_payments"):
            # Where nothing writes again, it stays, and DVC does not see it.
            shutil.copytree(left, demo_copy / f"data/clean/{other}" / left.name)
            shutil.copytree(left, demo_copy / f"data/features/{other}" / left.name)
    run("snakemake", "--cores", "2", "reports/model_card.md", "metrics/detect_drift.json", cwd=demo_copy)
    assert locked(demo_copy) == expected, "the hashes of data/clean and data/features are those of a run without kills"
    assert run("dvc", "status", cwd=demo_copy).stdout == "Data and pipelines are up to date.\n"
    # So far all came from DVC's cache. What writes again removes what the kill left.
    for stage in "clean_payments", "build_user_base", "build_features":
        run("dvc", "repro", "--single-item", "--force", f"{stage}@{drop}", cwd=demo_copy)
    assert not [*find_scratch(demo_copy / f"data/clean/{drop}"), *find_scratch(demo_copy / f"data/features/{drop}")]
    assert len(find_scratch(demo_copy / f"data/clean/{other}")) == 1
    assert run("git", "status", "--porcelain", "--", "data/clean", "models", cwd=demo_copy).stdout == ""
