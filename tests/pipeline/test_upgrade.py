"""A user with own drops merges a new version, as docs/guides/upgrade.md says: drops, registry and scores stay."""

import re
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from conftest import ENVIRONMENT, ROOT, SMALLER, run
from demo_pipeline import locked, read, registry

from churn.base.drops import read_list

# The last commit whose modules were all side by side in scripts/churn, and whose stages listed each of them.
BEFORE_THE_FOLDERS = "6e14e560e090766f15f5291c553a3cceba15eaba"
KEPT = r"data/clean/.*/payments_clean\.parquet$"
GUIDE = ROOT / "docs/guides/upgrade.md"


@pytest.fixture
def user(tmp_path, demo_repository):
    """The repository of a user of the older version: two drops of their own, one run, all of it committed."""
    if subprocess.run(["git", "cat-file", "-e", BEFORE_THE_FOLDERS], cwd=ROOT, capture_output=True).returncode:
        pytest.skip("needs the history of the project, which a shallow clone lacks")
    folder = tmp_path / "user"
    run("git", "clone", "--quiet", "--no-checkout", ROOT, folder, cwd=tmp_path)
    run("git", "switch", "--quiet", "--force-create", "main", BEFORE_THE_FOLDERS, cwd=folder)
    run("python", "scripts/clear_demo.py", cwd=folder)
    for drop in sorted((demo_repository / "data/raw").glob("*-*-??")):
        run("python", "scripts/ingest_drop.py", drop, cwd=folder)
    set_parameters(folder / "params.yaml")
    run("snakemake", "--cores", "2", cwd=folder)
    run("git", "add", "--all", cwd=folder)
    run("git", "commit", "--quiet", "--message", "Our drops", cwd=folder)
    return folder


def set_parameters(params: Path) -> None:
    """Change two values in the user's params.yaml."""
    text = params.read_text()
    for default, own in SMALLER.items():
        assert text.count(default) == 1
        text = text.replace(default, own)
    params.write_text(text)


def keep_parameters(folder: Path) -> None:
    """Resolve the conflict in params.yaml as the guide says: the new file, with the user's values."""
    if run("git", "diff", "--name-only", "--diff-filter=U", cwd=folder).stdout.split() == ["params.yaml"]:
        run("git", "checkout", "--theirs", "params.yaml", cwd=folder)
        set_parameters(folder / "params.yaml")
        run("git", "add", "params.yaml", cwd=folder)


def merge_commands() -> list[str]:
    """Return the commands of the guide's section on merging, without those that name the project's address."""
    section = re.search(r"^## Merge\n(.*?)^## ", GUIDE.read_text(), re.M | re.S)[1]
    lines = [line[2:] for line in re.search(r"^```console\n(.*?)^```", section, re.M | re.S)[1].splitlines()]
    return [line for line in lines if "upstream" not in line or line.startswith("git merge")]


def kept_outputs(repository: Path) -> dict[str, str]:
    """Return the hashes of the clean payments, which no upgrade may change unannounced."""
    outs = [out for stage in locked(repository).values() for out in stage["outs"]]
    return {out["path"]: out["md5"] for out in outs if re.match(KEPT, out["path"])}


def features_of(repository: Path) -> pd.DataFrame:
    """Return the features of all drops."""
    tables = sorted(repository.glob("data/features/*/churn_features.parquet"))
    return pd.concat([pq.read_table(table).to_pandas() for table in tables], ignore_index=True)


def users_of(repository: Path) -> pd.DataFrame:
    """Return the user base of all drops."""
    tables = {table.parent.name: table for table in sorted(repository.glob("data/clean/*/user_base.parquet"))}
    frames = [pq.read_table(table).to_pandas().assign(drop=drop) for drop, table in tables.items()]
    return pd.concat(frames, ignore_index=True).set_index(["drop", "CUS_CUST_ID_BUY"])


def kept_now(repository: Path) -> set[tuple[str, int]]:
    """Return the users, with their drop, of whom a row is kept now that was rejected: for a bad value, or as a copy."""
    found = set()
    for table in repository.glob("data/clean/*/user_base_rejects.parquet"):
        for row in pq.read_table(table).to_pylist():
            if row["outcome"] == "nulled" or row["reason"].startswith("is an exact copy"):
                found.add((table.parent.name, int(row["raw"].split(",")[0])))
    return found


@pytest.mark.slow
def test_drops_registry_and_scores_stay(user):
    outputs, features, users = kept_outputs(user), features_of(user), users_of(user)
    drops, (scores,) = read_list(user / "data/drops.yaml"), user.glob("data/scores/*/scores.csv")
    scored = pd.read_csv(scores)
    run("git", "fetch", "--quiet", ROOT, "HEAD:refs/remotes/upstream/main", cwd=user)
    commands = merge_commands()
    assert any(command.startswith("git merge") for command in commands) and "git commit --no-edit" in commands
    for command in commands:
        if command.startswith("git commit"):
            keep_parameters(user)
        # Git ends with 1 where it leaves a conflict, which the next command resolves.
        subprocess.run(["bash", "-c", command], cwd=user, env=ENVIRONMENT, capture_output=True)
    assert run("git", "status", "--porcelain", cwd=user).stdout == ""
    assert len(run("git", "rev-list", "--parents", "--max-count=1", "HEAD", cwd=user).stdout.split()) == 3, "a merge"
    run("snakemake", "--cores", "2", cwd=user)
    assert kept_outputs(user) == outputs
    kept = kept_now(user)
    others = [key for key in users.index if key not in kept]
    assert 0 < len(kept) < 0.05 * len(users)
    # A column of whole numbers is of floats where some are missing.
    pd.testing.assert_frame_equal(users_of(user).loc[others], users.loc[others], check_dtype=False)
    is_same = [
        (str(day), user_id) not in kept for day, user_id in zip(features.as_of_date, features.user_id, strict=True)
    ]
    found, features = features_of(user)[is_same], features[is_same]
    pd.testing.assert_frame_equal(found, features.assign(avg_discount=found.avg_discount), check_dtype=False)
    assert np.allclose(found.avg_discount, features.avg_discount, rtol=0, atol=5.1e-7, equal_nan=True)
    assert read_list(user / "data/drops.yaml") == drops
    # The order of users with almost the same probability may differ, and so their deciles.
    newest = {user_id for drop, user_id in kept if drop == scores.parent.name}
    columns = ["user_id", "churn_probability"]
    assert set(columns) <= set(scored)
    now, then = (
        frame[~frame.user_id.isin(newest)][columns].sort_values("user_id", ignore_index=True)
        for frame in (pd.read_csv(scores), scored)
    )
    pd.testing.assert_frame_equal(now, then, rtol=0, atol=1e-4)
    client = registry(user)
    # The rounded feature makes another candidate, which is no better.
    assert {str(version.version) for version in client.search_model_versions("name = 'churn-model'")} == {"1", "2"}
    assert str(client.get_model_version_by_alias("churn-model", "production").version) == "1"
    assert read(user, "reports/release/evaluation.json")["decision"] == "skip"
