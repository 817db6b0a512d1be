"""The bridge in another repository, with every kind of stage and pointer that DVC has."""

import re

import pytest

from .commands import PACKAGE
from .small_pipeline import FILES, PROFILE, Repository

DVC_YAML = """
stages:
  single:
    cmd: python copy.py raw/table.txt single.txt
    deps: [raw/table.txt]
    outs: [single.txt]
  each:
    foreach: {x: 1, y: 2}
    do:
      cmd: python copy.py single.txt each/${key}.txt ${item}
      deps: [single.txt]
      outs: ["each/${key}.txt"]
  grid:
    matrix:
      size: [1, 2]
      color: [red, blue]
    cmd: python copy.py each/x.txt grid/${item.size}-${item.color}.txt
    deps: [each/x.txt]
    outs: ["grid/${item.size}-${item.color}.txt"]
  check:
    cmd: python copy.py single.txt
    deps: [single.txt]
  grow:
    cmd: python copy.py single.txt grown.txt --append
    deps: [single.txt]
    outs:
      - grown.txt:
          persist: true
  measure:
    cmd: python copy.py grown.txt measured.json
    deps: [grown.txt]
    metrics:
      - measured.json:
          cache: false
  old:
    cmd: python copy.py single.txt old.txt
    deps: [single.txt]
    outs: [old.txt]
    frozen: true
"""
BELOW = """
stages:
  inner:
    cmd: python ../copy.py ../single.txt inner.txt imported.txt
    deps: [../single.txt, imported.txt]
    outs: [inner.txt]
"""
COPY = """
import os, sys
from pathlib import Path
source, *rest = [part for part in sys.argv[1:] if part != "--append"]
outputs = [part for part in rest[:1]]
with open(os.environ["RAN"], "a") as log:
    log.write(f"{outputs[0] if outputs else 'check'}\\n")
for output in map(Path, outputs):
    output.parent.mkdir(exist_ok=True)
    with output.open("a" if "--append" in sys.argv else "w") as file:
        file.write(Path(source).read_text())
"""
SNAKEFILE = """
import sys
sys.path.append(workflow.basedir)
from workflow.freshness import Freshness
fresh = Freshness(workflow)
rule all:
    input:
        expand("each/{key}.txt", key=["x", "y"]), "measured.json", "old.txt", fresh.stamp("check"), "sub/inner.txt",
        expand("grid/{size}-{color}.txt", size=[1, 2], color=["red", "blue"]),
rule single:
    input: fresh.stage("single")
    output: "single.txt"
    shell: "python -m workflow.freshness stage single"
rule each:
    input: fresh.stage("each@{key}")
    output: "each/{key}.txt"
    shell: "python -m workflow.freshness stage each@{wildcards.key}"
rule grid:
    input: fresh.stage("grid@{size}-{color}")
    output: "grid/{size}-{color}.txt"
    shell: "python -m workflow.freshness stage grid@{wildcards.size}-{wildcards.color}"
rule check:
    input: fresh.stage("check")
    output: fresh.stamp("check")
    shell: "python -m workflow.freshness stage check"
rule grow:
    input: fresh.stage("grow")
    output: update("grown.txt")
    shell: "python -m workflow.freshness stage grow"
rule measure:
    input: fresh.stage("measure")
    output: update("measured.json")
    shell: "python -m workflow.freshness stage measure"
rule old:
    input: fresh.stage("old")
    output: "old.txt"
    shell: "python -m workflow.freshness stage old"
rule inner:
    input: fresh.stage("sub/dvc.yaml:inner")
    output: "sub/inner.txt"
    shell: "python -m workflow.freshness stage sub/dvc.yaml:inner"
rule track:
    input: fresh.stage("{file}.dvc")
    output: update("{file}.dvc")
    shell: "python -m workflow.freshness stage {output}"
"""
GRID = ["grid/1-blue.txt", "grid/1-red.txt", "grid/2-blue.txt", "grid/2-red.txt"]
ALL_BUT_OLD = sorted(
    ["single.txt", "each/x.txt", "each/y.txt", *GRID, "check", "grown.txt", "measured.json", "inner.txt"]
)


@pytest.fixture
def elsewhere(tmp_path):
    repository = Repository(tmp_path / "elsewhere")
    repository.tools = repository.tools | {"dvc": ("dvc", "repro", "--all-pipelines")}
    files = {
        "dvc.yaml": DVC_YAML,
        "sub/dvc.yaml": BELOW,
        "profiles/default/config.yaml": PROFILE,
        "copy.py": COPY,
        "Snakefile": SNAKEFILE,
        "raw/table.txt": "one\n",
        ".gitignore": "/*.txt\n/each\n/grid\n/measured.json\n/sub/*.txt\n/raw/*.txt\n/.snakemake\n",
        ".dvcignore": FILES[".dvcignore"],
    }
    repository.create(files, track=("raw/table.txt",))
    (tmp_path / "outside.txt").write_text("imported\n")
    repository.command("dvc", "import-url", "--quiet", str(tmp_path / "outside.txt"), "sub/imported.txt")
    repository.write("dvc.yaml", DVC_YAML.replace("    frozen: true\n", ""))
    repository.command("dvc", "repro", "--quiet", "old")
    repository.write("dvc.yaml", DVC_YAML)
    assert repository.ran("snakemake") == sorted(set(ALL_BUT_OLD) - {"single.txt"})
    return repository


@pytest.mark.slow
def test_every_kind_of_stage_and_pointer(elsewhere):
    """From a tracked file down, an import, a stage without outputs, outputs that are not in the cache."""
    elsewhere.write("raw/table.txt", "two\n")
    assert elsewhere.ran("dvc") == ALL_BUT_OLD, "what is frozen stays"
    assert elsewhere.read("old.txt") == "one\n"
    assert elsewhere.read("grown.txt") == "one\ntwo\n", "what persists grows"
    elsewhere.write("raw/table.txt", "three\n")
    assert elsewhere.ran("snakemake") == ALL_BUT_OLD
    for tool in "dvc", "snakemake":
        elsewhere.write("sub/imported.txt", f"changed for {tool}\n")
        assert elsewhere.ran(tool) == ["inner.txt"]
        for lost in "measured.json", "each/x.txt", "sub/inner.txt":
            elsewhere.path(lost).unlink()
        assert elsewhere.ran(tool) in ([], ["measured.json"]), "only what the cache does not keep may run again"
    elsewhere.check_cache()


def test_the_bridge_names_nothing_of_this_project():
    words = re.compile(r"churn|drop|payment|mlflow|spark|production|candidate|evidently", re.IGNORECASE)
    for module in [*PACKAGE.glob("*.py"), PACKAGE / "README.md"]:
        assert not words.search(module.read_text()), module.name
