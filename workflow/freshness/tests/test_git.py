"""Branches, people, clones, experiments and kinds of links: nothing is computed twice."""

import pytest

from .commands import run
from .small_pipeline import BELOW_A, EVERYTHING, JOINED, Repository


@pytest.fixture
def shared_repository(repository, tmp_path):
    """The small pipeline with a remote, everything pushed: what a colleague clones."""
    repository.command("dvc", "remote", "add", "--default", "store", str(tmp_path / "store"))
    repository.commit("A remote")
    repository.command("dvc", "push", "--quiet")
    return repository


def test_a_fresh_clone_that_pulls_has_nothing_to_do(shared_repository, tmp_path):
    clone = shared_repository.clone(tmp_path / "clone")
    assert "Get it: dvc pull" in clone.command("snakemake", "--cores", "1", fails=True)
    clone.command("dvc", "pull")
    assert [clone.ran(tool) for tool in ("dvc", "snakemake")] == [[], []]


@pytest.mark.slow
def test_another_branch_and_back(repository):
    repository.command("git", "checkout", "--quiet", "-b", "other")
    repository.write("raw/a.csv", "q\n")
    assert repository.ran("snakemake") == BELOW_A
    repository.commit("Another a")
    for branch, tool in ("main", "dvc"), ("other", "snakemake"):
        repository.command("git", "checkout", "--quiet", branch)
        repository.command("dvc", "checkout")
        assert repository.ran(tool) == []
        repository.check_outputs()
    # Without `dvc checkout`, what lies here is the other branch's: the edited CSV counts, its run is known.
    repository.command("git", "checkout", "--quiet", "main")
    assert repository.ran("snakemake") == []
    assert repository.read("raw/a.csv") == "q\n"


@pytest.mark.slow
def test_two_people_and_two_branches(shared_repository, tmp_path):
    """The story of snakemake issue 2977; one of them uses Snakemake, the other DVC."""
    run("git", "clone", "--quiet", "--bare", shared_repository.folder, tmp_path / "origin.git", cwd=tmp_path)
    origin = Repository(tmp_path / "origin.git", tmp_path / "ran.log")
    people = {name: origin.clone(tmp_path / name) for name in ("harmless", "real")}
    edits = {"harmless": ("raw/a.csv", "Y\nx\n", "snakemake"), "real": ("raw/b.csv", "w\nz\n", "dvc")}
    everything_that_ran = []
    for branch, person in people.items():
        person.command("dvc", "pull", "--quiet")
        person.command("git", "checkout", "--quiet", "-b", branch)
        name, text, through = edits[branch]
        person.write(name, text)
        everything_that_ran += person.ran(through)
        person.commit(f"A {branch} change")
        person.command("git", "push", "--quiet", "origin", branch)
        person.command("dvc", "push", "--quiet", "--run-cache")
    for person, other in ("harmless", "real"), ("real", "harmless"):
        people[person].command("git", "fetch", "--quiet")
        people[person].command("git", "checkout", "--quiet", other)
        people[person].command("dvc", "pull", "--quiet", "--run-cache")
        everything_that_ran += people[person].ran(edits[other][-1])
    person = people["harmless"]
    person.command("git", "checkout", "--quiet", "real")
    person.command("git", "merge", "--quiet", "--no-edit", "harmless")
    merged = person.read("dvc.lock")
    person.command("dvc", "checkout", "--quiet")
    everything_that_ran += person.ran("snakemake")
    # Had the merge been in conflict, either side's dvc.lock would do: the run cache knows the rest.
    for side, tool in ("origin/harmless", "dvc"), ("origin/real", "snakemake"):
        person.command("git", "checkout", side, "--", "dvc.lock")
        everything_that_ran += person.ran(tool)
        assert person.read("dvc.lock") == merged
    person.check_outputs()
    assert everything_that_ran == ["clean/a.txt", "clean/b.txt", *JOINED]


@pytest.mark.slow
def test_a_worktree_and_a_shallow_clone(shared_repository, tmp_path):
    shared_repository.command("git", "worktree", "add", "--quiet", "-b", "tree", str(tmp_path / "tree"))
    tree = Repository(tmp_path / "tree", shared_repository.log)
    shallow = shared_repository.clone(tmp_path / "shallow", "--depth", "1")
    for other in tree, shallow:
        other.command("dvc", "pull", "--quiet")
        assert other.ran("snakemake") == []
        other.write("raw/a.csv", "q\n")
        assert other.ran("snakemake") == BELOW_A
    assert shared_repository.ran("snakemake") == []


def test_a_path_with_a_space_an_accent_and_a_quote(repository, tmp_path):
    moved = repository.copy(tmp_path / "días de l'año")
    assert moved.ran("snakemake") == []
    for tool in "snakemake", "dvc":
        moved.write("raw/a.csv", f"changed for {tool}\n")
        assert moved.ran(tool) == BELOW_A


@pytest.mark.slow
def test_a_repository_inside_another(repository, tmp_path):
    inner = repository.copy(tmp_path / "repository" / "inner")
    inner.log = tmp_path / "inner.log"
    for tool in "dvc", "snakemake":
        inner.write("raw/a.csv", f"changed for {tool}\n")
        assert inner.ran(tool) == BELOW_A
        assert repository.ran(tool) == []


@pytest.mark.slow
def test_a_repository_in_a_folder_of_a_git_repository(tmp_path):
    run("git", "init", "--quiet", tmp_path, cwd=tmp_path)
    repository = Repository(tmp_path / "sub")
    repository.create(init=("dvc", "init", "--quiet", "--subdir"))
    assert repository.ran("snakemake") == EVERYTHING
    repository.check_outputs()
    for tool in "dvc", "snakemake":
        repository.write("raw/a.csv", f"changed for {tool}\n")
        assert repository.ran(tool) == BELOW_A


def test_an_experiment_runs_only_what_its_parameter_touches(repository):
    repository.log.write_text("")
    repository.command("dvc", "exp", "run", "--set-param", "join=some")
    assert repository.log.read_text().split() == JOINED
    assert repository.ran("snakemake") == []
    assert repository.read("joined.txt").startswith("some\n")


def test_an_experiment_elsewhere_leaves_the_workspace_and_can_be_applied(repository):
    repository.log.write_text("")
    repository.command("dvc", "exp", "run", "--temp", "--name", "elsewhere", "--set-param", "join=some")
    assert repository.log.read_text().split() == JOINED
    assert repository.ran("snakemake") == []
    assert repository.read("joined.txt").startswith("all\n")
    repository.command("dvc", "exp", "apply", "elsewhere")
    assert repository.ran("snakemake") == []
    assert repository.read("joined.txt").startswith("some\n")


@pytest.mark.slow
def test_experiments_in_a_queue_become_branches(repository):
    repository.log.write_text("")
    for title in "some", "few":
        repository.command("dvc", "exp", "run", "--queue", "--name", title, "--set-param", f"join={title}")
    repository.command("dvc", "exp", "run", "--run-all")
    assert repository.log.read_text().split() == JOINED * 2
    for title in "some", "few":
        repository.command("dvc", "exp", "branch", title, f"branch-{title}")
        repository.command("git", "checkout", "--quiet", f"branch-{title}")
        repository.command("dvc", "checkout", "--quiet")
        assert repository.ran("snakemake") == []
        assert repository.read("joined.txt").startswith(f"{title}\n")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["copy", "reflink,copy", "hardlink", "symlink"])
def test_no_kind_of_link_ever_changes_an_object_of_the_cache(repository, kind):
    repository.command("dvc", "config", "cache.type", kind)
    repository.command("dvc", "checkout", "--relink", "--quiet")
    assert repository.ran("snakemake") == []
    # As an editor does that writes a new file: a link into the cache is not written through.
    repository.path("raw/a.csv").unlink()
    repository.write("raw/a.csv", "q\n")
    assert repository.ran("snakemake") == BELOW_A
    repository.command("git", "checkout", "--quiet", "raw/a.csv.dvc", "dvc.lock")
    repository.command("dvc", "checkout", "--quiet")
    repository.path("joined.txt").unlink()
    assert repository.ran("dvc") == []
    repository.check_outputs()
    repository.check_cache()
