"""The workflows for a Git host: what they call exists, what they use is pinned, and they may do no more than needed."""

import re
import subprocess

import pytest
import yaml
from conftest import ROOT

WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
GUIDE = (ROOT / "docs/guides/schedules.md").read_text()
# A YAML 1.1 reader takes the key `on` for true.
ON = True


def read(path):
    return yaml.safe_load(path.read_text())


def steps(path) -> list[dict]:
    return [step for job in read(path)["jobs"].values() for step in job["steps"]]


def commands(path) -> list[str]:
    return [step["run"] for step in steps(path) if "run" in step]


def test_there_is_one_for_each_occasion():
    triggers = {path.stem: read(path)[ON] for path in WORKFLOWS}
    assert triggers == {
        "tests": "push",
        "experiment_report": "pull_request",
        "weekly_run": {"schedule": [{"cron": "0 6 * * 1"}], "workflow_dispatch": None},
        "audit": {"schedule": [{"cron": "0 5 * * 1"}], "workflow_dispatch": None},
    }
    assert commands(ROOT / ".github/workflows/tests.yml") == [".ci/run"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_every_make_target_variable_script_and_file_is_there(path):
    makefile = (ROOT / "Makefile").read_text()
    text = "\n".join(commands(path))
    targets = re.findall(r"\bmake ([a-z-]+)", text)
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.M), target
    for variable in re.findall(r"\bmake [a-z-]+ ([A-Z]+)=", text):
        assert re.search(rf"^(GIVEN|FLAGS) :=.* {variable}\b", makefile, re.M), variable
    for script in re.findall(r"[\w./]+\.py|\.ci/\w+", text):
        assert (ROOT / script).is_file(), script
    assert targets or ".ci/run" in text
    for one in commands(path):
        checked = subprocess.run(["bash", "-n"], input=one, capture_output=True, text=True, check=False)
        assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_actions_are_pinned_rights_are_named_and_no_two_run_at_once(path):
    used = re.findall(r"uses: (.*)", path.read_text())
    assert used and all(re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", one) for one in used)
    workflow = read(path)
    granted = [workflow["permissions"], *(job.get("permissions", {}) for job in workflow["jobs"].values())]
    writes = {name for rights in granted for name, right in rights.items() if right == "write"}
    assert writes == {"experiment_report": {"pull-requests"}, "weekly_run": {"contents"}}.get(path.stem, set())
    assert workflow["concurrency"]["group"]
    assert all(job["timeout-minutes"] for job in workflow["jobs"].values())
    # What comes from outside reaches a shell through the environment alone.
    assert not [one for one in commands(path) if "${{" in one]


def given(path) -> dict[str, dict[str, str]]:
    """Return the variables of each step that has any, by its name or command."""
    return {step.get("name", step.get("run", "")): step["env"] for step in steps(path) if "env" in step}


def test_the_variables_are_known_to_the_pipeline():
    known = (ROOT / ".env.example").read_text() + (ROOT / "scripts/publish_drift_report.py").read_text()
    for path in WORKFLOWS:
        for variables in given(path).values():
            for name in variables.keys() - {"GH_TOKEN", "GH_REPO", "PULL_REQUEST"}:
                assert re.search(rf"\b{name}\b", known), name
                own = name.replace("AWS_", "(AWS|CI_READER)_")
                assert re.search(rf"\b(secrets|vars)\.{own}\b", variables[name])


def test_each_step_has_only_the_secrets_that_it_needs():
    s3 = {"AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
    mlflow = {"MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"}
    secrets = {
        path.stem: {
            step: {name for name, value in variables.items() if "secrets." in value and "'set'" not in value}
            for step, variables in given(path).items()
        }
        for path in WORKFLOWS
    }
    assert not any("env" in part for path in WORKFLOWS for part in (read(path), *read(path)["jobs"].values()))
    assert secrets["tests"] == {}
    assert {step: names for step, names in secrets["weekly_run"].items() if names} == {
        "make inbox PUSH=1": s3,
        "Run whatever is stale": s3 | mlflow | {"CHURN_NOTIFY_URLS"},
        "Save the results": s3,
    }
    assert {step: names for step, names in secrets["experiment_report"].items() if names} == {
        "Get the data": s3,
        "Compare": s3,
    }


def test_keys_that_write_are_those_of_an_environment_that_branches_do_not_get():
    """Any branch of the repository can change its workflows, and so read all secrets that are not in an environment."""
    for path in WORKFLOWS:
        for job in read(path)["jobs"].values():
            names = set(re.findall(r"secrets\.(\w+)", str(job)))
            writes = names - {"AWS_ENDPOINT_URL", "CI_READER_ACCESS_KEY_ID", "CI_READER_SECRET_ACCESS_KEY"}
            assert (job.get("environment") == "production") is bool(writes), path
            for name in writes:
                assert re.search(rf"`{name}`.*\| secrets? of `production` \|", GUIDE), name


def test_code_of_a_pull_request_runs_in_no_job_that_can_write():
    """What ran in a job can change the commands of its later steps."""
    workflow = read(ROOT / ".github/workflows/experiment_report.yml")
    assert "write" not in workflow["permissions"].values()
    for job in workflow["jobs"].values():
        code = [step for step in job["steps"] if "checkout" in step.get("uses", "") or "make" in step.get("run", "")]
        tokens = [step for step in job["steps"] if "github.token" in str(step)]
        assert bool(code) is not bool(tokens)
        assert not (code and "permissions" in job)


def test_code_of_a_pull_request_gets_keys_that_only_read_and_that_of_a_fork_none():
    path, own = ROOT / ".github/workflows/experiment_report.yml", "head.repo.full_name == github.repository"
    assert read(path)[ON] == "pull_request", "pull_request_target would give a fork the secrets"
    keys = set(re.findall(r"secrets\.(\w+)", path.read_text()))
    assert keys == {"AWS_ENDPOINT_URL", "CI_READER_ACCESS_KEY_ID", "CI_READER_SECRET_ACCESS_KEY"}
    for step in steps(path):
        for value in step.get("env", {}).values():
            if "secrets." in value:
                assert own in step.get("if", "") or re.search(rf"{re.escape(own)} && secrets\.\w+ \|\| ''", value)
