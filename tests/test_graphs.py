"""dvc.yaml, the Snakemake rules and the code describe one pipeline."""

import ast
import re
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, run

STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
SCRIPTS = ROOT / "scripts"
RELEASE_STEPS = ["register_candidate", "evaluate_candidate", "promote_model", "publish_drift_report", "score_users"]


def definition(stage):
    return STAGES[stage].get("do", STAGES[stage])


def imported_modules(script: Path) -> set[Path]:
    """Return the project's modules that a script imports, directly or through others, also inside functions."""
    found, todo = set(), [script]
    while todo:
        for node in ast.walk(ast.parse(todo.pop().read_text())):
            names = []
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            modules = {SCRIPTS / f"{name.replace('.', '/')}.py" for name in names}
            new = {module for module in modules if module.exists()} - found
            found |= new
            todo += new
    return found


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_its_script_and_on_every_module_that_it_imports(stage):
    script = SCRIPTS / f"{stage}.py"
    code = {path for path in definition(stage)["deps"] if path.startswith("scripts/")}
    files = {path for path in code if not path.endswith(".py")}
    assert all((ROOT / path).is_file() for path in files)
    modules = {str(path.relative_to(ROOT)) for path in {script, *imported_modules(script)}}
    assert code - files == modules


@pytest.mark.parametrize("stage", STAGES)
def test_dvc_can_restore_every_stage(stage):
    # DVC keeps no run of a stage with such an output, unless it is a metric.
    assert not [out for out in definition(stage)["outs"] if isinstance(out, dict)]


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
        dvc |= {(stage, path.replace("${item}", item)) for path in paths for item in items}
    assert {output for _, output in snakemake} == {output for _, output in dvc}


def test_every_rule_has_its_directives_in_one_order():
    order = ["input", "output", "log", "benchmark", "conda", "threads", "resources", "message", "shell"]
    for file in (ROOT / "workflow" / "rules").glob("*.smk"):
        for rule in re.split(r"^rule ", file.read_text(), flags=re.M)[1:]:
            found = re.findall(r"^    (\w+):", rule, re.M)
            assert [name for name in found if name != "priority"] == order, f"{file.name}: {rule.splitlines()[0]}"


def test_the_snakefile_fits_on_a_screen():
    assert len((ROOT / "Snakefile").read_text().splitlines()) < 50


def test_the_linters_find_nothing(demo_repository):
    run("make", "lint", "--assume-old", "install", cwd=demo_repository)
