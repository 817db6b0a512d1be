"""A user is erased from a finished pipeline: nothing holds the id, all other rows stay, and a run goes on."""

import contextlib
import fcntl
import gzip
import shutil
import signal
import subprocess
import sys

import duckdb
import pytest
from conftest import ENVIRONMENT, ROOT, run
from demo_pipeline import locked, registry
from find_user import find_user

from churn.base.command import UserError
from churn.data.contract import FILES
from churn.privacy.places import BUCKETS, PLACES, find_place
from churn.privacy.ready import check_buckets, check_servers, list_unsearched

OLD, NEW = "2026-03-15", "2026-03-22"
ROWS = "SELECT * FROM read_csv('data/raw/{}/{}', all_varchar = true)"


def ask(query: str, repository) -> list:
    with contextlib.chdir(repository), duckdb.connect() as connection:
        return connection.execute(query).fetchall()


def tool(*command, cwd, **options):
    return run(sys.executable, "scripts", *command, cwd=cwd, **options)


@pytest.fixture
def user(demo):
    """A user who pays, is in the training rows, and of whom a value is rejected."""
    query = f"""SELECT split_part(raw, ',', 1) AS id FROM read_parquet('data/clean/{NEW}/user_base_rejects.parquet')
        WHERE id::BIGINT IN (SELECT user_id FROM read_parquet('data/training/*.parquet/*.parquet'))"""
    return ask(query, demo)[0][0]


@pytest.fixture
def planted(demo_copy, user):
    """The demo with the user in every other place: deliveries, logs, old versions, what killed processes left."""
    raw = demo_copy / "data/raw" / NEW
    done, rejected = (demo_copy / "inbox" / name / "week 1" for name in (".done", "rejected"))
    for folder in done, rejected, demo_copy / ".duckdb", demo_copy / "data/raw/.writing-x", demo_copy / "reports":
        folder.mkdir(parents=True, exist_ok=True)
    (done / "payments.CSV.gz").write_bytes(gzip.compress((raw / "PAYMENTS.csv").read_bytes()))
    shutil.copy(raw / "ACTIVE_USER.csv", rejected)
    (rejected / "reason.txt").write_text(f"2 rows are bad. For example:\nline 3: {user},-1,2\nline 5: 7,-1,2\n")
    shutil.copytree(raw, raw.with_name(f".edited-{NEW}"))
    (demo_copy / "data/raw/.writing-x/PAYMENTS.csv").write_text(f"{user}\n")
    (demo_copy / "logs/schedule.log").write_text(f"a line\nPAYMENTS.csv, line 9: {user}\nanother\n")
    (demo_copy / "reports/pipeline_report.html").write_text(f"<td>{user}</td>")
    (demo_copy / "users.csv").write_text(f"user_id,note\n7,a\n{user},b\n")
    # An older version of a drop, known to no commit.
    (raw / "MARKETPLACE_DATA.csv").write_bytes((raw / "MARKETPLACE_DATA.csv").read_bytes() + b"999,1.00,,1\n")
    run("dvc", "add", "--quiet", f"data/raw/{NEW}", cwd=demo_copy)
    run("dvc", "checkout", "--quiet", cwd=demo_copy)
    return demo_copy


def test_every_file_that_holds_a_user_after_a_run_is_in_a_known_place(demo, user):
    found = find_user(demo, user)
    assert len(found) > 20 and {find_place(path) for path in found} <= {*PLACES}, found


def test_the_page_has_every_place():
    page = (ROOT / "docs/guides/privacy.md").read_text()
    table = page.partition("| place |")[2].partition("\n\n")[0].splitlines()[2:]
    assert [line.split(" | ")[0].removeprefix("| ") for line in table] == [*(one.name for one in PLACES), *BUCKETS]


def test_nothing_holds_the_user_and_the_pipeline_goes_on(planted, user):
    before = {(day, name): ask(ROWS.format(day, name), planted) for day in (OLD, NEW) for name in FILES}
    raw = {path: path.read_bytes() for path in planted.glob("data/raw/20*/*.csv")}
    scores = ask(f"FROM read_parquet('data/scores/{NEW}/scores.parquet')", planted)
    assert {"users.csv", "logs/schedule.log", f"data/raw/.edited-{NEW}/PAYMENTS.csv"} <= {*find_user(planted, user)}

    said = tool("erase", "--why", "request 42", cwd=planted, CHURN_ERASE_USER=user).stdout
    assert "the same search finds nothing now" in said and user not in said
    assert find_user(planted, user) == []

    for (day, name), rows in before.items():
        assert ask(ROWS.format(day, name), planted) == [row for row in rows if user not in row]
    for path, content in raw.items():
        lines = content.splitlines(keepends=True)
        assert path.read_bytes() == b"".join(line for line in lines if user.encode() not in line.split(b","))
    assert ask(f"FROM read_parquet('data/scores/{NEW}/scores.parquet')", planted) == [
        row for row in scores if str(row[0]) != user
    ]
    assert (planted / "logs/schedule.log").read_text() == "a line\nanother\n"
    assert "line 5: 7,-1,2" in (planted / "inbox/rejected/week 1/reason.txt").read_text()
    (entry,) = [
        one for one in registry(planted).search_model_versions("name = 'churn-model-ledger'") if "42" in one.tags["why"]
    ]
    assert entry.tags["action"] == "erase" and user not in repr(entry.tags)
    # The model of the version in Production can still be loaded, and its run says what happened.
    assert any("users_erased" in one.data.tags for one in registry(planted).search_runs(["1"]))

    assert "Nothing holds this user" in tool("erase", "--why", "again", cwd=planted, CHURN_ERASE_USER=user).stdout
    run("snakemake", "--cores", "1", "--dry-run", cwd=planted)
    why = run(sys.executable, "-m", "workflow.freshness", "why", cwd=planted).stdout
    assert f"data/raw/{NEW}/PAYMENTS.csv: " in why and f"build_features@{OLD}" in why
    tables = "data/training/train.parquet"
    run("snakemake", "--cores", "2", tables, cwd=planted)
    assert "Nothing to be done" in run("snakemake", "-n", tables, cwd=planted).stdout
    assert find_user(planted, user) == []
    assert "up to date" in run("dvc", "status", "build_training_set", cwd=planted).stdout
    assert locked(planted)["build_training_set"]["outs"][0]["nfiles"] > 0


def test_a_killed_erasure_is_finished_by_the_next(planted, user):
    script = f"""
import os, signal, sys
sys.path[:0] = ["scripts"]
import churn.privacy.workspace as workspace
from churn.privacy.search import Search
calls, remove, at = [], Search.remove, int(sys.argv[1])
def killed(self, path, form="tables"):
    remove(self, path, form)
    calls.append(path)
    if len(calls) == at:
        os.kill(os.getpid(), signal.SIGKILL)
Search.remove = killed
os.environ["CHURN_ERASE_USER"] = "{user}"
sys.argv = ["erase", "--why", "killed"]
import runpy
runpy.run_path("scripts/tools/erase.py", run_name="__main__")
"""
    for at in 3, 12:
        # Within the raw drops, and after the last of them, before DVC tracks any.
        process = subprocess.run([sys.executable, "-c", script, str(at)], cwd=planted, env=ENVIRONMENT, check=False)
        assert process.returncode == -signal.SIGKILL
        assert find_user(planted, user)
    tool("erase", "--why", "killed twice", cwd=planted, CHURN_ERASE_USER=user)
    assert find_user(planted, user) == []
    assert "up to date" in run("dvc", "status", f"data/raw/{NEW}.dvc", f"data/raw/{OLD}.dvc", cwd=planted).stdout


def test_what_cannot_be_erased_is_said_before_anything_changes(demo_copy, user):
    def fails(*command):
        return tool("erase", *command, cwd=demo_copy, fails=True, CHURN_ERASE_USER=user).stderr

    before = {path: path.read_bytes() for path in demo_copy.glob("data/raw/*/*.csv")}
    assert "WHY has the id" in fails("--why", f"{user} asked")
    assert "A reason is required" in fails("--why", " ")
    (demo_copy / ".stack/minio").mkdir(parents=True)
    assert "make up" in fails("--why", "request 42")
    shutil.rmtree(demo_copy / ".stack")
    assert before == {path: path.read_bytes() for path in before}
    # A branch has another version of a drop, which is in no commit of this one.
    run("git", "add", "--all", cwd=demo_copy)
    run("git", "commit", "--quiet", "--message", "All", cwd=demo_copy)
    run("git", "switch", "--quiet", "--create", "corrected", cwd=demo_copy)
    pointer = demo_copy / f"data/raw/{OLD}.dvc"
    pointer.write_text(pointer.read_text().replace("md5: ", "md5: 0", 1))
    run("git", "commit", "--quiet", "--all", "--message", "Corrected", cwd=demo_copy)
    run("git", "switch", "--quiet", "-", cwd=demo_copy)
    assert f"refs/heads/corrected has a version of the drop {OLD}" in fails("--why", "request 42")
    # It is no reason any more when it was merged, and replaced here since; an ingestion is the next one.
    run("git", "merge", "--quiet", "corrected", cwd=demo_copy)
    run("git", "revert", "--no-edit", "HEAD", cwd=demo_copy)
    with (demo_copy / ".snakemake/freshness/lock").open() as ingestion:
        fcntl.flock(ingestion, fcntl.LOCK_SH)
        assert "data is being changed" in fails("--why", "request 42")
    shutil.rmtree(demo_copy / "data/raw" / OLD)
    assert f"{OLD}. Get them first: make pull" in fails("--why", "request 42")


def test_traces_of_a_stack_that_does_not_answer_stop_an_erasure(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in "AWS_ENDPOINT_URL", "MINIO_ROOT_PASSWORD", "MLFLOW_TRACKING_URI":
        monkeypatch.delenv(name, raising=False)
    check_servers(tmp_path)
    # Containers keep nothing in .stack but these.
    (tmp_path / ".env").write_text("MINIO_ROOT_PASSWORD=x\n")
    with pytest.raises(UserError, match=r"login in \.env.*make up-containers"):
        check_servers(tmp_path)
    (tmp_path / ".env").unlink()
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config.local").write_text("""['remote "minio"']\nconfigpath = x\n""")
    # Another login does not make a server answer.
    monkeypatch.setenv("AWS_PROFILE", "other")
    with pytest.raises(UserError, match=r"config\.local"):
        check_servers(tmp_path)
    assert any("AWS_ENDPOINT_URL is not set" in one for one in list_unsearched())


def test_a_server_without_the_bucket_is_not_proof(monkeypatch):
    class Server:
        """Answers as an S3 server of somebody else."""

        def list_buckets(self):
            return {"Buckets": [{"Name": "other"}]}

    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(UserError, match="no bucket churn-dvc"):
        check_buckets(Server())
