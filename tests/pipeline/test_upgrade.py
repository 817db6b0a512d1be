"""A user with own drops merges a new version, as docs/guides/upgrade.md says: drops, registry and scores stay."""

import re
import subprocess

import pytest
from conftest import ROOT, SMALLER, run
from demo_pipeline import locked, read, registry

# The last commit whose modules were all side by side in scripts/churn, and whose stages listed each of them.
BEFORE_THE_FOLDERS = "6e14e560e090766f15f5291c553a3cceba15eaba"
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
    params = (folder / "params.yaml").read_text()
    for default, small in SMALLER.items():
        params = params.replace(default, small)
    (folder / "params.yaml").write_text(params)
    run("snakemake", "--cores", "2", cwd=folder)
    run("git", "add", "--all", cwd=folder)
    run("git", "commit", "--quiet", "--message", "Our drops", cwd=folder)
    return folder


def merge_commands() -> list[str]:
    """Return the commands of the guide's section on merging, without those that name the project's address."""
    section = re.search(r"^## Merge\n(.*?)^## ", GUIDE.read_text(), re.M | re.S)[1]
    lines = [line[2:] for line in re.search(r"^```console\n(.*?)^```", section, re.M | re.S)[1].splitlines()]
    return [line for line in lines if "upstream" not in line or line.startswith("git merge")]


@pytest.mark.slow
def test_drops_registry_and_scores_stay(user):
    outputs = {name: stage["outs"] for name, stage in locked(user).items()}
    drops, (scores,) = (user / "data/drops.yaml").read_bytes(), user.glob("data/scores/*/scores.csv")
    scored = scores.read_bytes()
    run("git", "fetch", "--quiet", ROOT, "HEAD:refs/remotes/upstream/main", cwd=user)
    commands = merge_commands()
    assert any(command.startswith("git merge") for command in commands) and "git commit --no-edit" in commands
    for command in commands:
        # Git ends with 1 where it leaves a conflict, which the next command resolves.
        subprocess.run(["bash", "-c", command], cwd=user, capture_output=True)
    assert run("git", "status", "--porcelain", cwd=user).stdout == ""
    assert len(run("git", "rev-list", "--parents", "--max-count=1", "HEAD", cwd=user).stdout.split()) == 3, "a merge"
    run("snakemake", "--cores", "2", cwd=user)
    assert {name: stage["outs"] for name, stage in locked(user).items()} == outputs
    assert (user / "data/drops.yaml").read_bytes() == drops and scores.read_bytes() == scored
    client = registry(user)
    assert [str(version.version) for version in client.search_model_versions("name = 'churn-model'")] == ["1"]
    assert str(client.get_model_version_by_alias("churn-model", "production").version) == "1"
    assert "in Production already" in read(user, "reports/release/evaluation.json")["reason"]
