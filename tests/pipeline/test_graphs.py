"""dvc.yaml, the Snakemake rules and the code describe one pipeline."""

import re
import shutil

import pytest
import yaml
from conftest import INSTALLED, ROOT, run
from imports import imported_files

STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
SCRIPTS = ROOT / "scripts"
RELEASE_STEPS = [
    "register_candidate",
    "evaluate_candidate",
    "promote_model",
    "publish_drift_report",
    "score_users",
    "send_alert",
]


def definition(stage):
    return STAGES[stage].get("do", STAGES[stage])


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("engine", ["duckdb", "spark"])
def test_a_stage_depends_on_the_code_that_it_imports_and_on_no_other(stage, engine):
    deps = [path.replace("${engine}", engine) for path in definition(stage)["deps"]]
    check_code([path for path in deps if path.startswith("scripts/")], stage, engine)


@pytest.mark.parametrize("step", RELEASE_STEPS)
def test_a_release_step_lists_the_code_that_it_imports_and_no_other(step):
    rules = "".join(path.read_text() for path in sorted((ROOT / "workflow/rules").glob("*.smk")))
    (rule,) = re.findall(rf"^rule {step}:\n(.*?)^    output:", rules, re.M | re.S)
    check_code(re.findall(r'"(scripts/[^"]+)"', rule), step, "duckdb")


def check_code(listed: list[str], name: str, engine: str) -> None:
    """Compare the files and folders that a step lists with the files that its script imports."""
    imported = imported_files(SCRIPTS / f"{name}.py", engine)
    for path in listed:
        assert any(file.is_relative_to(path) for file in imported), f"{name} lists {path}, but imports nothing of it"
    missing = [str(file) for file in imported if not any(file.is_relative_to(path) for path in listed)]
    assert not missing, f"{name} imports {', '.join(missing)}, which it does not list"


def test_an_import_inside_a_function_counts_and_one_for_type_checkers_does_not(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    from churn.stack.minio import find_minio\n"
        "def late():\n    from churn.base import git\n"
        "def open():\n    from churn.engines import open_engine\n"
    )
    found = {str(file) for file in imported_files(script, "spark")}
    assert "scripts/churn/base/git.py" in found and "scripts/churn/engines/spark/session.py" in found
    assert not [file for file in found if "stack" in file or "engines/duckdb" in file]


@pytest.mark.parametrize("stage", STAGES)
def test_dvc_can_restore_every_stage(stage):
    # DVC keeps no run of a stage with such an output, unless it is a metric.
    assert not [out for out in definition(stage).get("outs", []) if isinstance(out, dict)]


@pytest.mark.parametrize("stage", STAGES)
def test_one_name_for_stage_script_and_section(stage):
    assert f"python scripts/{stage}.py" in definition(stage)["cmd"]
    sections = yaml.safe_load((ROOT / "params.yaml").read_text())
    assert stage in definition(stage)["params"] and stage in sections


def snakemake_graph(dot: str) -> tuple[set[str], set[tuple[str, str]]]:
    """Return steps and edges of Snakemake's graph of jobs, named by their addresses in DVC."""
    labels = dict(re.findall(r'^\s*(\d+)\[label = "(.*?)"', dot, re.M))
    edges = re.findall(r"^\s*(\d+) -> (\d+)", dot, re.M)
    drops = {number: label.partition("\\ndrop: ")[2] for number, label in labels.items()}
    rules = {number: label.partition("\\n")[0] for number, label in labels.items()}
    # Snakemake writes a wildcard where it first comes up: the jobs below have it from there.
    per_drop = {number for number, rule in rules.items() if "do" in STAGES.get(rule, {})}
    while missing := [(up, down) for up, down in edges if drops[up] and not drops[down] and down in per_drop]:
        for up, down in missing:
            drops[down] = drops[up]
    names = {number: f"{rule}@{drops[number]}" if drops[number] else rule for number, rule in rules.items()}
    names = {number: re.sub(r"track_drop@(.*)", r"data/raw/\1.dvc", name) for number, name in names.items()}
    steps = {names[number] for number, rule in rules.items() if rule not in (*RELEASE_STEPS, "all")}
    pairs = {(names[up], names[down]) for up, down in edges}
    return steps, {pair for pair in pairs if set(pair) <= steps}


def test_the_rules_and_dvc_yaml_have_the_same_stages_and_edges(demo_repository):
    steps, edges = snakemake_graph(run("snakemake", "--forceall", "--dag", cwd=demo_repository).stdout)
    dot = run("dvc", "dag", "--dot", cwd=demo_repository).stdout
    expected = set(re.findall(r'"(.*?)" -> "(.*?)"', dot))
    assert steps == {name for edge in expected for name in edge}
    assert edges == expected


def test_the_rules_and_dvc_yaml_have_the_same_outputs(demo_repository):
    lines = run("snakemake", "--forceall", "--summary", cwd=demo_repository).stdout.splitlines()
    columns = lines[0].split("\t")
    rows = [dict(zip(columns, line.split("\t"), strict=False)) for line in lines[1:]]
    snakemake = {(row["rule"], row["output_file"]) for row in rows if row["rule"] in STAGES}
    drops = yaml.safe_load((demo_repository / "data/drops.yaml").read_text())["drops"]
    dvc = set()
    for stage in STAGES:
        outs = [*definition(stage).get("outs", []), *definition(stage).get("metrics", [])]
        paths = [next(iter(out)) if isinstance(out, dict) else out for out in outs]
        items = drops if "do" in STAGES[stage] else [""]
        dvc |= {(stage, re.sub(r"\$\{(item|key)\}", item, path)) for path in paths for item in items}
    assert {output for _, output in snakemake} == {output for _, output in dvc}


def test_every_rule_has_its_directives_in_one_order():
    order = ["input", "output", "log", "benchmark", "conda", "threads", "resources", "message", "shell"]
    for file in (ROOT / "workflow" / "rules").glob("*.smk"):
        for rule in re.split(r"^rule ", file.read_text(), flags=re.M)[1:]:
            found = re.findall(r"^    (\w+):", rule, re.M)
            always = [name for name in found if name not in ("priority", "params")]
            assert always == order, f"{file.name}: {rule.splitlines()[0]}"


def test_the_snakefile_fits_on_a_screen():
    assert len((ROOT / "Snakefile").read_text().splitlines()) < 50


# Types alone take half a minute where mypy has no cache.
@pytest.mark.slow
def test_the_linters_find_nothing(demo_repository, tmp_path):
    # Not in the folder that the other tests ask Snakemake about: it works for one at a time.
    changing = shutil.ignore_patterns(".snakemake", "tmp")
    folder = shutil.copytree(demo_repository, tmp_path / "repository", symlinks=True, ignore=changing)
    answer = run("make", "lint", *INSTALLED, cwd=folder)
    assert "Congratulations" in answer.stdout + answer.stderr, "Snakemake's linter is content"
