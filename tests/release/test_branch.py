"""Only one branch promotes; the others end with the comparison."""

import json
import shutil

import pytest
from conftest import ROOT, run
from test_promotion import client, filled_store, moves, write_evaluation  # noqa: F401

from churn.release.branch import explain_other_branch
from promote_model import promote_model


@pytest.fixture
def remote(tmp_path):
    """A repository whose default branch is not called main, and which has a second branch."""
    folder = tmp_path / "remote"
    run("git", "init", "--quiet", "--initial-branch", "trunk", folder, cwd=tmp_path)
    run("git", "commit", "--quiet", "--allow-empty", "--message", "One", cwd=folder)
    run("git", "branch", "feature", cwd=folder)
    return folder


@pytest.fixture
def clone(remote, tmp_path, monkeypatch):
    run("git", "clone", "--quiet", remote, tmp_path / "clone", cwd=tmp_path)
    monkeypatch.chdir(tmp_path / "clone")
    return tmp_path / "clone"


def test_a_clone_promotes_on_the_default_branch_of_its_remote_and_on_no_other(clone):
    assert explain_other_branch("auto") == ""
    run("git", "switch", "--quiet", "feature", cwd=clone)
    why = "only the branch trunk promotes (release.branch in params.yaml), and this is feature"
    assert explain_other_branch("auto") == why
    assert explain_other_branch("any") == explain_other_branch("feature") == ""
    run("git", "switch", "--quiet", "trunk", cwd=clone)
    assert "only the branch feature promotes" in explain_other_branch("feature")


def test_a_detached_checkout_of_the_newest_commit_counts_as_the_branch(clone):
    run("git", "switch", "--quiet", "--detach", cwd=clone)
    assert explain_other_branch("auto") == ""
    run("git", "commit", "--quiet", "--allow-empty", "--message", "Two", cwd=clone)
    assert explain_other_branch("auto").endswith("and no branch is checked out")


def test_without_a_remote_any_branch_promotes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert explain_other_branch("auto") == "", "not even a repository"
    run("git", "init", "--quiet", "--initial-branch", "mine", cwd=tmp_path)
    assert explain_other_branch("auto") == ""


def test_a_remote_that_was_added_by_hand(tmp_path, remote, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run("git", "init", "--quiet", "--initial-branch", "trunk", cwd=tmp_path)
    run("git", "commit", "--quiet", "--allow-empty", "--message", "Ours", cwd=tmp_path)
    run("git", "remote", "add", "hub", remote, cwd=tmp_path)
    assert explain_other_branch("auto") == "", "nothing was fetched or pushed"
    run("git", "fetch", "--quiet", "hub", cwd=tmp_path)
    assert "its default is not known here. Run git remote set-head hub --auto" in explain_other_branch("auto")
    run("git", "branch", "main", "feature", cwd=remote)
    run("git", "fetch", "--quiet", "hub", cwd=tmp_path)
    assert "only the branch main promotes" in explain_other_branch("auto")
    run("git", "remote", "set-head", "hub", "--auto", cwd=tmp_path)
    assert explain_other_branch("auto") == ""


def test_on_another_branch_the_comparison_ends_the_run(client, clone, tmp_path, monkeypatch):  # noqa: F811
    run("git", "switch", "--quiet", "feature", cwd=clone)
    monkeypatch.chdir(clone)
    shutil.copyfile(ROOT / "params.yaml", "params.yaml")
    receipt = tmp_path / "receipt.json"
    promote_model(write_evaluation(1, None), receipt, "auto")
    found = json.loads(receipt.read_text())
    assert found["decision"] == "other branch" and found["production_version"] is None
    assert "But only the branch trunk promotes" in found["reason"] and "this is feature" in found["reason"]
    assert moves(client) == []
    promote_model(write_evaluation(1, None), receipt, "feature")
    assert json.loads(receipt.read_text())["production_version"] == "1"


def test_a_clone_of_one_branch_does_not_promote_it(tmp_path, remote, monkeypatch):
    run("git", "clone", "--quiet", "--single-branch", "--branch", "feature", remote, tmp_path / "one", cwd=tmp_path)
    monkeypatch.chdir(tmp_path / "one")
    assert explain_other_branch("auto"), "the default branch is trunk"
    assert explain_other_branch("feature") == ""


def test_a_tag_with_the_name_of_the_branch_changes_nothing(clone):
    run("git", "tag", "trunk", cwd=clone)
    assert explain_other_branch("auto") == ""
    run("git", "switch", "--quiet", "--detach", "refs/heads/trunk", cwd=clone)
    run("git", "remote", "remove", "origin", cwd=clone)
    assert explain_other_branch("trunk") == ""


def test_a_repository_that_git_refuses_to_read_does_not_promote(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".git").write_text("gitdir: /nowhere\n")
    assert "git cannot say which branch this is (fatal: not a git repository: /nowhere" in explain_other_branch("auto")
    assert explain_other_branch("any") == ""
