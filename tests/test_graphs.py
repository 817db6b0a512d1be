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
def test_one_name_for_stage_script_and_section(stage):
    assert f"python scripts/{stage}.py" in definition(stage)["cmd"]
    sections = yaml.safe_load((ROOT / "params.yaml").read_text())
    assert stage in definition(stage)["params"] and stage in sections


def parse_dag(dot: str) -> tuple[dict[str, str], set[tuple[str, str]]]:
    """Return the nodes (id to label) and edges of a graph in Graphviz's language, as Snakemake writes it."""
    labels = dict(re.findall(r'^\s*(\d+)\[label = "(.*?)"', dot, re.M))
    return labels, set(re.findall(r"^\s*(\d+) -> (\d+)", dot, re.M))


def address(label: str) -> str:
    """Turn a job's label into DVC's address of its stage or pointer."""
    rule, _, drop = label.replace("\\ndrop: ", "@").partition("@")
    return f"data/raw/{drop}.dvc" if rule == "track_drop" else f"{rule}@{drop}" if drop else rule


def test_the_rules_and_dvc_yaml_have_the_same_stages_and_edges(demo_repository):
    labels, edges = parse_dag(run("snakemake", "--forceall", "--dag", cwd=demo_repository).stdout)
    names = {number: address(label) for number, label in labels.items()}
    steps = {name for name in names.values() if name.partition("@")[0] not in (*RELEASE_STEPS, "all")}
    snakemake = {(names[source], names[target]) for source, target in edges}
    dot = run("dvc", "dag", "--dot", cwd=demo_repository).stdout
    dvc = set(re.findall(r'"(.*?)" -> "(.*?)"', dot))
    assert steps == {name for edge in dvc for name in edge}
    assert {edge for edge in snakemake if set(edge) <= steps} == dvc


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
    order = ["message", "input", "output", "log", "benchmark", "threads", "resources", "shell"]
    for file in (ROOT / "workflow" / "rules").glob("*.smk"):
        for rule in re.split(r"^rule ", file.read_text(), flags=re.M)[1:]:
            assert re.findall(r"^    (\w+):", rule, re.M) == order, f"{file.name}: {rule.splitlines()[0]}"


def test_the_snakefile_fits_on_a_screen():
    assert len((ROOT / "Snakefile").read_text().splitlines()) < 50
