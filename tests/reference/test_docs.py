"""Check the documents: links, headings, pictures, the site, and that every output is described."""

import re
import shutil
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, run

BESIDE_CODE = [ROOT / "benchmarks/README.md", ROOT / "workflow/freshness/README.md"]
PAGES = sorted([*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md"), *BESIDE_CODE])
SECTIONS = ("guides", "concepts", "reference")
CODE = re.compile(r"^ *```.*?^ *```|`[^`\n]+`", re.M | re.S)
LINK = re.compile(r"\]\(([^)\s]+)\)")
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]


def links(page: Path) -> list[str]:
    found = LINK.findall(re.sub(r"^ *```.*?^ *```", "", page.read_text(), flags=re.M | re.S))
    return [link for link in found if "://" not in link]


def anchors(page: Path) -> set[str]:
    """Return the anchors that a Git host gives to a page's headings."""
    text = re.sub(r"^ *```.*?^ *```", "", page.read_text(), flags=re.M | re.S)
    headings = re.findall(r"^#+ +(.*?) *$", text, re.M)
    plain = [re.sub(r"\[(.*?)\]\(.*?\)", r"\1", heading) for heading in headings]
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file_and_a_heading(page):
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.is_file(), f"{link}: no such file"
        assert target.is_relative_to(ROOT)
        assert not anchor or anchor in anchors(target), f"{link}: no such heading"


def test_every_picture_is_shown():
    assert sum(len(links(page)) for page in PAGES) > 100
    shown = {(page.parent / link).resolve() for page in PAGES for link in links(page)}
    pictures = [path for path in (ROOT / "docs").rglob("*") if path.suffix in (".png", ".svg")]
    assert pictures and set(pictures) <= shown
    assert {path.parent for path in pictures} == {ROOT / "docs/pictures"}


def test_every_page_is_in_a_section():
    assert {path.parent.name for path in (ROOT / "docs").rglob("*.md")} == set(SECTIONS)


def test_the_site_is_built_whole_and_asks_nothing_of_other_machines(tmp_path):
    tracked = run("git", "status", "--porcelain", "--ignored", cwd=ROOT).stdout
    site = tmp_path / "site"
    environment = {"NO_MKDOCS_2_WARNING": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    answer = run("mkdocs", "build", "--strict", "--site-dir", site, cwd=ROOT, **environment)
    assert "WARNING" not in answer.stderr
    assert run("git", "status", "--porcelain", "--ignored", cwd=ROOT).stdout == tracked, "nothing is written here"
    nav = re.findall(r"([\w./-]+\.md)", (ROOT / "mkdocs.yml").read_text().partition("\nnav:")[2])
    expected = {"index.md", *(str(page.relative_to(ROOT)).removeprefix("docs/") for page in PAGES)} - {"README.md"}
    assert sorted(nav) == sorted(expected), "each page is in the navigation, once"
    pages = {path: path.read_text() for path in site.rglob("*.html")}
    assert {site / name.replace("README.md", "index.html").replace(".md", ".html") for name in nav} <= set(pages)
    for path, text in pages.items():
        loaded = re.findall(r"<(?:script|link|img|source|iframe)\b[^>]*?\b(?:src|href)=\"?([^\s\">]+)", text)
        assert loaded and not [address for address in loaded if re.match(r"(https?:)?//", address)], path
        for address in [one for one in loaded if not one.startswith("data:")]:
            # The page for what is not found names its own from the root.
            start = site if address.startswith("/") else path.parent
            assert (start / re.split(r"[#?]", address.lstrip("/"))[0]).exists(), f"{path}: {address}"


def test_a_broken_link_stops_the_build(tmp_path):
    hook = re.search(r"^hooks:\n  - (\S+)", (ROOT / "mkdocs.yml").read_text(), re.M)[1]
    beside = [str(page.relative_to(ROOT)) for page in PAGES if not page.is_relative_to(ROOT / "docs")]
    for name in ["mkdocs.yml", hook, *beside]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    with (tmp_path / "docs/guides/stack.md").open("a") as page:
        page.write("\n[gone](../../scripts/gone.py) and [no such heading](../reference/columns.md#gone)\n")
    message = run("mkdocs", "build", "--strict", "--site-dir", tmp_path / "site", cwd=tmp_path, fails=True).stderr
    assert "gone.py" in message
    assert "#gone" in message


def outputs() -> set[str]:
    """Return the outputs of the stages and of the release rules, with <drop> for the drop."""
    made = set()
    for stage in STAGES.values():
        definition = stage.get("do", stage)
        outs = [*definition.get("outs", []), *definition.get("metrics", [])]
        made |= {out if isinstance(out, str) else next(iter(out)) for out in outs}
    for rules in (ROOT / "workflow/rules").glob("*.smk"):
        for block in re.findall(r"^    output:\n(.*?)^    \w+:", rules.read_text(), re.M | re.S):
            made |= set(re.findall(r'"((?:data|metrics|models|plots|reports)/[^"]*)"', block))
    return {re.sub(r"\$\{(?:item|key)\}|\{drop\}", "<drop>", path) for path in made}


def test_every_output_is_on_its_page_and_no_other():
    text = (ROOT / "docs/reference/outputs.md").read_text().partition("\n## On request")[0]
    documented = {path for row in re.findall(r"^\| (`.*?) \|", text, re.M) for path in re.findall(r"`([^`]+)`", row)}
    beside = {"data/raw/<drop>/", "data/raw/<drop>.dvc", "data/drops.yaml"}
    # Named in the receipt of score_users: without a Production there are none.
    beside |= {"data/scores/<drop>/scores.parquet", "data/scores/<drop>/scores.csv"}
    assert len(outputs()) > 20
    assert documented - beside == {path for path in outputs() if not path.startswith("data/raw/")}


def test_a_blank_line_separates_a_list_from_the_text_above():
    """Without the blank line a Git host shows a list, but the site shows text."""
    for page in PAGES:
        text = CODE.sub("", page.read_text())
        assert not re.search(r"^(?![-*|>#]|\d+\.|  )\S.*\n(?:- |\* |1\. )", text, re.M), page


def test_the_import_rules_are_those_of_the_folders():
    table = re.findall(r"^\| `(\w+)` \| (nothing|`\w+`(?:, `\w+`)*) \|$", (ROOT / "CONTRIBUTING.md").read_text(), re.M)
    documented = {folder: text.replace("`", "") for folder, text in table}
    declared = {
        path.parent.name: " ".join(re.search(r"^May import: ([^.]+)\.", path.read_text(), re.M)[1].split())
        for path in (ROOT / "scripts/churn").glob("*/__init__.py")
    }
    assert documented == declared


def test_every_boundary_of_the_security_page_has_a_test_that_exists():
    lines = (ROOT / "docs/concepts/security.md").read_text().partition("## The boundaries")[2].splitlines()
    named = [line.rpartition(" | ")[2] for line in lines if line.startswith("| ") and not line.startswith("| boundary")]
    assert len(named) > 20
    for cell in named:
        tests = re.findall(r"`(tests/[\w/.]+)(?:::(\w+))?`", cell)
        assert tests, cell
        for path, function in tests:
            assert (ROOT / path).exists(), path
            assert not function or f"def {function}(" in (ROOT / path).read_text(), f"{path}::{function}"
