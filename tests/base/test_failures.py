"""What the machine or a file causes ends in one message, not in a traceback."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from broken_inputs import KINDS
from conftest import ENVIRONMENT, ROOT, run
from rights import without_rights

from churn.base.failures import explain_failure

RAISING = """
import sys
sys.path.insert(0, {scripts!r})
from churn.base.command import run_command
def main():
    {code}
run_command(main)
"""


def test_each_command_names_the_broken_file_that_it_reads(demo_copy):
    answer = run(
        *without_rights(), sys.executable, ROOT / "tests/support/broken_inputs.py", demo_copy, "few", cwd=demo_copy
    )
    cases = [json.loads(line) for line in answer.stdout.splitlines()]
    assert {case["kind"] for case in cases} == set(KINDS)
    assert [case for case in cases if "Traceback" in case["said"]] == []
    # A command that does not need the file goes on; most do.
    failed = [case for case in cases if case["code"]]
    assert len(failed) > len(cases) / 2
    assert [case for case in failed if "ERROR: " not in case["said"]] == []


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("raise MemoryError", "ERROR: Not enough memory."),
        ("import numpy; numpy.empty(1 << 50)", "ERROR: Not enough memory."),
        ("import pyarrow; pyarrow.allocate_buffer(1 << 60)", "ERROR: Not enough memory."),
        (
            "import duckdb; duckdb.sql(\"SET memory_limit='1MB'; SELECT list(a) FROM range(9999999) t(a)\").fetchall()",
            "raise duckdb.memory_limit",
        ),
        (
            "import subprocess; subprocess.run(['sh', '-c', 'kill -9 $$'], check=True)",
            "ERROR: sh was killed (SIGKILL). Not enough memory.",
        ),
        ("import subprocess; subprocess.run(['false'], check=True)", "ERROR: false failed: exit code 1."),
        ("open('/none/such')", "ERROR: /none/such: No such file or directory."),
        ("b'\\xff'.decode()", "ERROR: A file is not UTF-8 text"),
        ("raise KeyboardInterrupt", "ERROR: stopped by Ctrl+C."),
    ],
)
def test_an_error_of_the_machine_is_one_line(tmp_path, code, said):
    script = tmp_path / "script.py"
    script.write_text(RAISING.format(scripts=str(ROOT / "scripts"), code=code))
    message = run(sys.executable, script, cwd=tmp_path, fails=True).stderr
    assert said in message and len(message.splitlines()) == 1


def test_a_broken_connection_is_named_and_a_reader_that_has_ended_is_not(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(RAISING.format(scripts=str(ROOT / "scripts"), code="raise BrokenPipeError(32, 'Broken pipe')"))
    message = run(sys.executable, script, cwd=tmp_path, fails=True).stderr
    assert message.startswith("ERROR: Broken pipe.") and len(message.splitlines()) == 1
    printing = "[print(number, flush=True) for number in range(1_000_000)]"
    script.write_text(RAISING.format(scripts=str(ROOT / "scripts"), code=printing))
    command = ["sh", "-c", f"{sys.executable} {script} | head -1"]
    answer = subprocess.run(command, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert (answer.stdout, answer.stderr) == ("0\n", "")


def test_an_error_in_the_code_keeps_its_traceback_and_dev_mode_shows_every_one(tmp_path):
    script = tmp_path / "script.py"
    for code, options in ("dict()['a']", []), ("open('/none/such')", ["-X", "dev"]):
        script.write_text(RAISING.format(scripts=str(ROOT / "scripts"), code=code))
        command = [sys.executable, *options, script]
        answer = subprocess.run(command, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, check=False)
        assert answer.returncode == 1 and "Traceback" in answer.stderr
    assert explain_failure(KeyError("a")) == ""


def test_a_damaged_receipt_or_plan_is_made_again_and_a_damaged_params_yaml_is_named(demo_copy):
    state = demo_copy / ".snakemake/freshness"
    for path in (*(state / "receipts").glob("*.json"), state / "look.json", state / "plan.json"):
        path.write_text(path.read_text()[:40])
    (demo_copy / "reports/release/promote_model.json").write_text('{"decision": ')
    said = run("snakemake", "--dry-run", "--cores", "1", cwd=demo_copy)
    assert "promote_model" in said.stdout + said.stderr
    (demo_copy / "params.yaml").write_bytes(b"\xff\xfe")
    said = run("snakemake", "--dry-run", "--cores", "1", cwd=demo_copy, fails=True)
    assert "params.yaml is not UTF-8 text" in said.stdout + said.stderr
    Path(state / "plan.json").write_text("{")
    said = run(sys.executable, "-m", "workflow.freshness", "why", cwd=demo_copy, fails=True)
    assert "plan.json is damaged" in said.stderr
