"""A drop is withdrawn: it counts no more, in a clone either, and can be ingested again."""

import shutil

import pytest
from conftest import call_script, run
from demo_pipeline import go, locked
from test_ingest_drop import ingest, repository, source  # noqa: F401

from churn.base.drops import read_drops, read_list

DAY = "2026-03-08"


def test_nothing_is_left_of_a_withdrawn_drop_but_what_dvc_keeps(source, repository):  # noqa: F811
    ingest(source, repository)
    for path in (f"data/clean/{DAY}/a", f"data/drift/{DAY}/b", f"metrics/clean_payments/{DAY}.json"):
        (repository / path).parent.mkdir(parents=True, exist_ok=True)
        (repository / path).write_text("")
    call_script("withdraw", DAY, cwd=repository)
    assert not [path for path in repository.rglob(f"*{DAY}*") if ".dvc/cache" not in str(path)]
    assert read_list(repository / "data/drops.yaml") == ("none", [])
    assert f"/data/clean/{DAY}\n" in (repository / ".dvcignore").read_text()
    said = call_script("withdraw", DAY, cwd=repository, fails=True).stderr
    assert f"does not list {DAY}" in said
    run("git", "add", "--all", cwd=repository)
    run("git", "commit", "--quiet", "--message", "Withdrawn", cwd=repository)
    inbox = repository / "inbox"
    (shutil.copytree(source, inbox / "again") / "_READY").touch()
    call_script("inbox", "--commit", cwd=repository)
    assert DAY not in (repository / ".dvcignore").read_text()
    assert ".dvcignore" in run("git", "show", "--name-only", "--format=", cwd=repository).stdout.split()
    (repository / "data/raw" / DAY / "PAYMENTS.csv").write_text("edited")
    said = call_script("withdraw", DAY, cwd=repository, fails=True).stderr
    assert "was edited, and DVC has not seen it" in said
    assert (repository / "data/raw" / DAY / "PAYMENTS.csv").read_text() == "edited"


@pytest.mark.slow
def test_a_clone_that_still_has_its_outputs_has_nothing_to_do(demo_copy, tmp_path):
    other = shutil.copytree(demo_copy, tmp_path / "other", symlinks=True)
    old, new = map(str, read_drops(demo_copy / "data/drops.yaml"))
    call_script("withdraw", old, cwd=demo_copy)
    go("snakemake", demo_copy)
    run("git", "add", "--all", cwd=demo_copy)
    run("git", "commit", "--quiet", "--message", "Withdrawn", cwd=demo_copy)
    run("git", "stash", "--quiet", "--include-untracked", cwd=other)
    run("git", "pull", "--quiet", "--rebase=false", "--no-edit", demo_copy, "HEAD", cwd=other)
    shutil.copytree(demo_copy / ".dvc/cache", other / ".dvc/cache", dirs_exist_ok=True)
    run("dvc", "checkout", cwd=other)
    assert (other / "data/clean" / old).exists() and (other / "data/features" / new).exists()
    assert "up to date" in run("dvc", "status", cwd=other).stdout
    said = run("snakemake", "-n", "reports/drift", "reports/model_card.md", cwd=other)
    assert "Nothing to be done" in said.stdout + said.stderr
    assert locked(other) == locked(demo_copy)
