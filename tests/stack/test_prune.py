"""What only older weeks need is dropped from a clone, and both ways in go on with what is left."""

import shutil

import pytest
from demo_pipeline import locked
from running_stack import clone

OLD, NEW = "2026-03-15", "2026-03-22"
TABLE = "data/training/train.parquet"


@pytest.fixture
def full(ran_stack, stack, tmp_path):
    """A clone that has everything."""
    stack.run("git", "add", "--all")
    stack.run("git", "commit", "--quiet", "--allow-empty", "--message", "Run on the stack")
    stack.run("python", "scripts", "push")
    copy = clone(stack, tmp_path / "clone")
    stack.run("python", "scripts", "pull", cwd=copy)
    return copy


def test_a_pruned_clone_goes_on_and_an_old_week_comes_back(full, stack):
    def say(*command, fails=False):
        answer = stack.run(*command, cwd=full, fails=fails)
        return answer.stdout + answer.stderr

    before = locked(full)
    cached = set(full.glob(".dvc/cache/files/md5/*/*"))
    assert "Dropped 2 folders of 1 drops" in say("python", "scripts", "prune", "1")
    left = {str(path.relative_to(full)) for path in full.glob(f"data/*/{OLD}")}
    # Its payments are those of the training dates before it; later, it will be such a date itself.
    assert left == {f"data/clean/{OLD}", f"data/features/{OLD}"}
    assert {path.parent.name for path in full.glob(f"data/*/{NEW}")} >= {"raw", "clean", "features", "drift"}
    assert len(set(full.glob(".dvc/cache/files/md5/*/*"))) < len(cached)
    assert "Nothing to drop" in say("python", "scripts", "prune", "1")
    stages = ("reports/drift", "reports/model_card.md")
    assert "Nothing to be done" in say("snakemake", "-n", *stages)

    params = full / "params.yaml"
    params.write_text(params.read_text().replace("max_training_rows: 2000000", "max_training_rows: 1900000"))
    said = say("snakemake", "--cores", "2", TABLE)
    assert "build_training_set" in said and not (full / "data/raw" / OLD).exists()
    after = locked(full)
    # What DVC records is what it would record in a clone that has everything.
    assert after["build_training_set"]["deps"] == before["build_training_set"]["deps"]
    assert after["build_training_set"]["outs"][0] == before["build_training_set"]["outs"][0]
    assert "Nothing to be done" in say("snakemake", "-n", TABLE)

    say("python", "scripts", "pull", "--drop", OLD)
    assert (full / "data/raw" / OLD / "PAYMENTS.csv").exists()
    assert (full / "data/features" / OLD / "churn_features.parquet").exists()
    assert "Nothing to be done" in say("snakemake", "-n", TABLE)
    assert "up to date" in say("dvc", "status", "build_training_set", f"build_features@{OLD}")


def test_nothing_is_dropped_that_the_remote_lacks_or_that_was_edited(full, stack):
    payments = full / "data/raw" / OLD / "PAYMENTS.csv"
    whole = payments.read_text()
    payments.write_text(whole + "\n")
    said = stack.run("python", "scripts", "prune", "1", cwd=full, fails=True).stderr
    assert f"{OLD}" in said and "has changed since DVC recorded it" in said and payments.exists()
    shutil.rmtree(payments.parent)
    stack.run("dvc", "checkout", f"data/raw/{OLD}.dvc", cwd=full)
    assert payments.read_text() == whole
    said = stack.run("python", "scripts", "prune", "0", cwd=full, fails=True).stderr
    assert "KEEP is 0" in said
    said = stack.run("python", "scripts", "pull", "--drop", "2020-01-01", cwd=full, fails=True).stderr
    assert "does not list 2020-01-01" in said
