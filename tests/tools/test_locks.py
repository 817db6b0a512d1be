"""requirements.lock and the locks beside it agree with pyproject.toml and with each other."""

import re
import tomllib

from conftest import ROOT
from locks import pins
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

LOCKS = sorted(ROOT.glob("requirements*.lock"))


def test_the_locks_agree_and_none_repeats_the_main_one():
    texts = {}
    main = pins(ROOT / "requirements.lock")
    # The containers' lock is a part of the main one; the others are added to it.
    whole = {"requirements.lock", "requirements-servers.lock"}
    for lock in LOCKS:
        for line, text in pins(lock).items():
            assert lock.name in whole or line not in main, f"{line} is in {lock.name} again"
            hashes = set(re.findall(r"sha256:\w+", text))
            assert hashes and texts.setdefault(line, hashes) == hashes
    versions = {}
    for line in texts:
        required = Requirement(line)
        if required.marker is None or required.marker.evaluate():
            versions.setdefault(required.name, set()).add(str(required.specifier))
    assert [name for name, found in versions.items() if len(found) > 1] == []


def test_each_lock_holds_what_pyproject_asks_for():
    content = tomllib.loads((ROOT / "pyproject.toml").read_text())
    project = content["project"]
    groups = {"requirements.lock": project["dependencies"]} | {
        f"requirements-{name}.lock": wanted
        for name, wanted in (project["optional-dependencies"] | content["dependency-groups"]).items()
    }
    assert [lock.name for lock in LOCKS] == sorted(groups)
    for name, wanted in groups.items():
        pinned = {}
        for line in (*pins(ROOT / "requirements.lock"), *pins(ROOT / name)):
            required = Requirement(line)
            pinned[canonicalize_name(required.name)] = str(required.specifier).removeprefix("==")
        for text in wanted:
            required = Requirement(text)
            assert required.specifier.contains(pinned[canonicalize_name(required.name)]), (
                f"{text}: make lock was not run"
            )


def test_no_lock_names_a_package_index():
    for lock in LOCKS:
        assert not re.search(r"://|--index|--find-links", lock.read_text())
