"""make audit: known vulnerabilities from a file of advisories, pins, accepted findings, no network."""

import json
import shutil
import zipfile
from datetime import date

import pytest
from conftest import ROOT, free_port, run_script
from packaging.version import Version

from churn.audit.advisories import affects, read_advisories
from churn.audit.findings import Finding, split_accepted
from churn.audit.pins import find_unpinned
from churn.base.command import UserError

# As GitHub published it on 2024-12-23, without the fields that nothing here reads.
JINJA = {
    "schema_version": "1.4.0",
    "id": "GHSA-q2x7-8rv6-6q7h",
    "aliases": ["CVE-2024-56326"],
    "summary": "Jinja has a sandbox breakout through indirect reference to format method",
    "published": "2024-12-23T17:54:12Z",
    "affected": [
        {
            "package": {"name": "Jinja2", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "3.1.5"}]}],
        }
    ],
}
HASH = f"--hash=sha256:{'0' * 64}"
ACCEPTED = """
- id: GHSA-q2x7-8rv6-6q7h
  what: jinja2==3.1.4
  why: no template comes from a user
  until: "{until}"
"""


@pytest.fixture
def project(tmp_path):
    """A project with a package that has a known vulnerability, and one that has none."""
    lines = [f"{package} \\\n    {HASH}\n" for package in ("jinja2==3.1.4", "markupsafe==3.0.2")]
    (tmp_path / "requirements.lock").write_text("# a lock\n" + "".join(lines))
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as packed:
        packed.writestr("GHSA-q2x7-8rv6-6q7h.json", json.dumps(JINJA))
    return tmp_path


def test_a_vulnerable_package_is_found_without_a_network(project):
    said = run_script("audit", "--advisories", "all.zip", cwd=project, fails=True).stderr.splitlines()
    assert said[0] == "ERROR: 1 finding:" and len(said) == 2
    assert said[1].startswith("requirements.lock: jinja2==3.1.4: CVE-2024-56326: Jinja has a sandbox breakout")
    assert "Fixed in 3.1.5" in said[1]


def test_without_a_file_and_a_network_one_message_says_what_to_do(project):
    url = f"http://127.0.0.1:{free_port()}/v1/query"
    said = run_script("audit", "--osv-url", url, cwd=project, fails=True).stderr.splitlines()
    assert len(said) == 2 and "was not reached (Connection refused)" in said[1] and "ADVISORIES=all.zip" in said[1]


def test_an_accepted_finding_counts_again_after_its_day(tmp_path):
    path, day = tmp_path / "accepted-findings.yaml", date(2027, 3, 31)
    finding = Finding("requirements.lock", "jinja2==3.1.4", "CVE-2024-56326", "text", ("GHSA-q2x7-8rv6-6q7h",))
    other = Finding("requirements.lock", "jinja2==3.1.3", "CVE-2024-56326", "text", ("GHSA-q2x7-8rv6-6q7h",))
    assert split_accepted([finding], path, day) == ([finding], [])
    path.write_text(ACCEPTED.format(until=day))
    counts, notes = split_accepted([finding, other], path, day)
    assert counts == [other] and "no template comes from a user" in notes[0]
    counts, notes = split_accepted([finding], path, date(2027, 4, 1))
    assert counts == [finding] and "ended on 2027-03-31" in notes[0]
    assert "remove it" in split_accepted([], path, day)[1][0]
    path.write_text("- id: CVE-2024-56326\n  what: jinja2==3.1.4\n")
    with pytest.raises(UserError, match=r"'until' is a required property|'why' is a required property"):
        split_accepted([finding], path, day)


def test_what_is_not_pinned_is_found(tmp_path):
    assert find_unpinned(ROOT) == []
    for name in "compose.yaml", "Dockerfile", "requirements-docs.lock":
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / ".github", tmp_path / ".github")
    (workflow, compose, docker, lock) = (
        tmp_path / name
        for name in (".github/workflows/tests.yml", "compose.yaml", "Dockerfile", "requirements-docs.lock")
    )
    for path, before, after in (
        (workflow, "actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1", "actions/checkout@v7"),
        (compose, "18.1-bookworm@sha256:cc9f4143a8d2fa8cf3749d0cb4d26ecf2d53a77a2ac807e9ebd67ae22426221a", "latest"),
        (docker, "@sha256:65a93d69fa75478d554f4ad27c85c1e69fa184956261b4301ebaf6dbb0a3543d", ""),
    ):
        text = path.read_text()
        assert before in text
        path.write_text(text.replace(before, after))
    lock.write_text(lock.read_text() + "left-pad==1.0 ; sys_platform == 'linux'\n")
    found = {(one.where.partition(":")[0], one.what) for one in find_unpinned(tmp_path)}
    assert found == {
        (".github/workflows/tests.yml", "actions/checkout@v7"),
        ("compose.yaml", "postgres:latest"),
        ("Dockerfile", "python:3.11.14-slim-bookworm"),
        ("requirements-docs.lock", "left-pad==1.0"),
    }
    # However it is written.
    workflow.write_text(
        "jobs:\n  one:\n    container: node:20\n    services: {db: {image: postgres:18}}\n    steps:\n"
        "      - {uses: actions/checkout@v4}\n      - 'uses': actions/cache@v4\n      - uses : ./own\n"
    )
    pinned = f"alpine:3@sha256:{'0' * 64}"
    docker.write_text(f"FROM {pinned} AS built\nfrom python:3\nCOPY --from=built a b\ncopy --from=busybox:1 a b\n")
    found = {(one.where, one.what) for one in find_unpinned(tmp_path)}
    assert found >= {
        (".github/workflows/tests.yml:3", "node:20"),
        (".github/workflows/tests.yml:4", "postgres:18"),
        (".github/workflows/tests.yml:6", "actions/checkout@v4"),
        (".github/workflows/tests.yml:7", "actions/cache@v4"),
        ("Dockerfile:2", "python:3"),
        ("Dockerfile:4", "busybox:1"),
    }
    assert not {what for _, what in found} & {"./own", "built", pinned}


def test_ranges_and_versions_as_osv_defines_them():
    def advisory(**affected):
        return {"affected": [{"package": {"name": "a_b", "ecosystem": "PyPI"}} | affected]}

    events = [{"introduced": "2"}, {"fixed": "2.5"}, {"introduced": "0"}, {"last_affected": "1.2"}]
    ranges = advisory(ranges=[{"type": "ECOSYSTEM", "events": events}])
    versions = ("0.1", "1.2", "1.3", "2rc1", "2.0", "2.4.9", "2.5")
    assert {text for text in versions if affects(ranges, "a-b", Version(text))} == {"0.1", "1.2", "2.0", "2.4.9"}
    for unread in {"events": [{"introduced": "0"}, {"fixed": "3.x"}]}, {}, {"events": [{}]}:
        assert affects(advisory(ranges=[{"type": "ECOSYSTEM"} | unread]), "a-b", Version("9")), "somebody must look"
    listed = advisory(versions=["1.0.0", "not a version"])
    assert affects(listed, "a-b", Version("1.0.0")) and not affects(listed, "a-b", Version("1.0.1"))
    assert not affects(listed, "other", Version("1.0.0"))


@pytest.mark.parametrize("content", [b"\xff\xfe", b"[{", b"[1]", b"[]", b"PK\x03\x04 torn"])
def test_a_damaged_file_of_advisories_is_one_message(tmp_path, content):
    (tmp_path / "all.zip").write_bytes(content)
    with pytest.raises(UserError, match=r"all\.zip"):
        read_advisories(tmp_path / "all.zip")
    with pytest.raises(UserError, match="is missing"):
        read_advisories(tmp_path / "none.zip")
