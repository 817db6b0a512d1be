"""The workflows for a Git host: what they call exists, what they use is pinned, and they may do no more than needed."""

import re
import subprocess

import pytest
import yaml
from conftest import ROOT

WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
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
        assert f"$({variable})" in makefile, variable
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
    writes = {name for name, right in workflow["permissions"].items() if right == "write"}
    assert writes == {"experiment_report": {"pull-requests"}, "weekly_run": {"contents"}}.get(path.stem, set())
    assert workflow["concurrency"]["group"]
    assert all(job["timeout-minutes"] for job in workflow["jobs"].values())
    # What comes from outside reaches a shell through the environment alone.
    assert not [one for one in commands(path) if "${{" in one]


def test_the_variables_are_known_to_the_pipeline():
    known = (ROOT / ".env.example").read_text() + (ROOT / "scripts/publish_drift_report.py").read_text()
    for path in WORKFLOWS:
        for name, value in read(path).get("env", {}).items():
            assert re.search(rf"\b{name}\b", known), name
            assert re.search(rf"\b(secrets|vars)\.{name}\b", value)
