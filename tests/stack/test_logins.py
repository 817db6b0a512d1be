"""Each user of the servers may do its own work and no more, and no service has another's password."""

import json
import re
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import closing, suppress
from pathlib import Path

import psutil
import psycopg2
import pytest
from conftest import ROOT
from running_stack import TIMEOUT_SECONDS

from churn.stack.postgres import _run, postgres_command, prepare_postgres
from churn.stack.settings import SECRETS

SPARK_SECRET = "spark.authenticate.secret"
# What each service has to know.
OWN = {
    "minio": {"MINIO_ROOT_PASSWORD"},
    "mlflow": {"CHURN_POSTGRES_PASSWORD", "CHURN_S3_MLFLOW_PASSWORD", "MLFLOW_FLASK_SERVER_SECRET_KEY"},
    "dashboard": {"MLFLOW_TRACKING_PASSWORD"},
    "spark-worker-1": {SPARK_SECRET},
    "spark-worker-2": {SPARK_SECRET},
}
OUR_DRIVER = """
import sys, time
from pathlib import Path
from dotenv import load_dotenv
from churn.engines.spark.session import start_spark
load_dotenv(".env")
def wait(number):
    while not Path(STOP).exists():
        time.sleep(0.1)
    return number
STOP = sys.argv[1]
with start_spark("local[2]") as session:
    print(session.sparkContext.parallelize([1, 2], 2).map(wait).sum())
"""
# As someone else on this machine would try, with the same Spark and Java.
THEIR_DRIVER = """
import sys
from churn.engines.spark import session
from churn.engines.spark.java import find_java
with session._environment(find_java(), sys.argv[1], None):
    builder = session.SparkSession.builder.master(sys.argv[1]).appName("stranger")
    spark = builder.config("spark.driver.host", "localhost").config("spark.ui.enabled", "false").getOrCreate()
    print("LET IN", spark.sparkContext.parallelize([1]).map(lambda _: __import__("os").getuid()).collect())
"""


def secrets_of(stack) -> dict[str, str]:
    login = (stack.repository / ".stack/spark/login.conf").read_text()
    found = re.search(rf"{re.escape(SPARK_SECRET)} (\S+)", login)
    return {name: stack.variables[name] for name in SECRETS} | {SPARK_SECRET: found[1]}


def master_page(stack) -> dict:
    with urllib.request.urlopen(f"http://127.0.0.1:{stack.variables['CHURN_SPARK_UI_PORT']}/json/") as page:
        return json.load(page)


def families(stack) -> dict[str, list[psutil.Process]]:
    """Return the processes of each service, and supervisor's own."""
    supervisor = stack.manager.process
    pids = {state["pid"]: state["name"] for state in stack.manager._rpc("getAllProcessInfo")}
    services = {pids[process.pid]: process for process in supervisor.children()}
    return {"supervisor": [supervisor]} | {
        name: [process, *process.children(recursive=True)] for name, process in services.items()
    }


def read_process(process: psutil.Process, file: str) -> bytes:
    with suppress(OSError):
        return Path(f"/proc/{process.pid}/{file}").read_bytes()
    return b""


@pytest.mark.slow
def test_no_process_has_a_password_that_is_not_its_own(stack, tmp_path):
    secrets, stop = secrets_of(stack), tmp_path / "stop"
    driver = stack.open(sys.executable, "-c", OUR_DRIVER, stop, PYTHONPATH=str(ROOT / "scripts"))
    try:
        # With Spark's executors and their Pythons, as they run.
        # Read as a file: psutil fails for a process that ends meanwhile.
        while not any(b"pyspark.daemon" in read_process(one, "cmdline") for one in families(stack)["spark-worker-1"]):
            assert driver.poll() is None, driver.communicate()[0]
            time.sleep(0.3)
        found = families(stack)
        assert found.keys() == {"supervisor", *stack.manager.states()}
        for service, processes in found.items():
            environment = b"\0".join(read_process(process, "environ") for process in processes)
            assert b"PATH=" in environment
            has = {name for name, secret in secrets.items() if secret.encode() in environment}
            assert has == OWN.get(service, set()), service
        for process in psutil.process_iter():
            arguments = read_process(process, "cmdline")
            assert not [name for name, secret in secrets.items() if secret.encode() in arguments], process
    finally:
        stop.touch()
        # Whatever happened, its application must be gone before the next test.
        printed, _ = driver.communicate(timeout=TIMEOUT_SECONDS)
    assert printed.strip().endswith("3"), printed
    events = [path for path in (stack.repository / ".stack/spark").rglob("*") if path.is_file()]
    holders = {path.name for path in events if secrets[SPARK_SECRET].encode() in path.read_bytes()}
    assert holders == {"login.conf"}
    assert stat.S_IMODE((stack.repository / ".stack/spark/login.conf").stat().st_mode) == 0o600


@pytest.mark.slow
def test_spark_runs_nothing_of_a_driver_without_its_secret(stack):
    before, log = master_page(stack), stack.repository / ".stack/logs/spark-master.log"
    refused = log.read_text().count("SASL") + log.read_text().count("Unknown challenge")
    driver = stack.open(
        sys.executable, "-c", THEIR_DRIVER, stack.variables["SPARK_MASTER"], PYTHONPATH=str(ROOT / "scripts")
    )
    try:
        while log.read_text().count("SASL") + log.read_text().count("Unknown challenge") == refused:
            assert driver.poll() is None, driver.communicate()[0]
            time.sleep(0.2)
    finally:
        driver.kill()
    assert "LET IN" not in driver.communicate()[0]
    after = master_page(stack)
    for kind in "activeapps", "completedapps":
        assert [app["id"] for app in after[kind]] == [app["id"] for app in before[kind]]


def test_sparks_page_stops_nothing_and_hides_the_secret(stack):
    page = f"http://127.0.0.1:{stack.variables['CHURN_SPARK_UI_PORT']}"
    workers = [worker["id"] for worker in master_page(stack)["workers"]]
    for path in "/workers/kill/?host=127.0.0.1", "/v1/submissions/create", f"/app/kill/?id={workers[0]}&terminate=true":
        with suppress(urllib.error.HTTPError):
            urllib.request.urlopen(urllib.request.Request(page + path, data=b"", method="POST")).close()
    alive = [worker["id"] for worker in master_page(stack)["workers"] if worker["state"] == "ALIVE"]
    assert alive == workers and len(alive) == 2
    for path in "/", "/environment/", "/logPage/?logType=out":
        with suppress(urllib.error.HTTPError), urllib.request.urlopen(page + path) as answer:
            assert secrets_of(stack)[SPARK_SECRET].encode() not in answer.read()


def test_mlflow_logs_in_to_postgresql_with_few_rights_and_the_superuser_not_at_all(stack):
    variables = stack.variables
    login = {"host": "127.0.0.1", "port": variables["CHURN_POSTGRES_PORT"], "dbname": "postgres"}
    password = variables["CHURN_POSTGRES_PASSWORD"]
    for database in "postgres", "template1":
        with pytest.raises(psycopg2.OperationalError, match="no pg_hba"):
            psycopg2.connect(**login | {"dbname": database}, user="postgres", password=password)
    with closing(psycopg2.connect(**login, user="mlflow", password=password)) as connection:
        connection.autocommit = True
        cursor = connection.cursor()
        cursor.execute("SELECT count(*) FROM experiments")
        for forbidden in (
            "SELECT * FROM pg_authid",
            "COPY experiments TO PROGRAM 'cat'",
            "CREATE ROLE intruder SUPERUSER",
            "ALTER ROLE mlflow SUPERUSER",
            "CREATE DATABASE other",
            "SELECT pg_read_file('/etc/passwd')",
        ):
            with pytest.raises(psycopg2.errors.InsufficientPrivilege):
                cursor.execute(forbidden)


def test_tables_of_before_become_those_of_mlflows_role(tmp_path):
    """An older stack has its registry in tables of the superuser."""
    folder = tmp_path / "postgres"
    _run("initdb", "--auth=trust", "--no-sync", "--encoding=utf8", "--username=postgres", "-D", str(folder))
    old = "CREATE TABLE versions (id serial PRIMARY KEY, name text)"
    _run("postgres", "--single", "-F", "-D", str(folder), "postgres", statements=[old])
    for password in "first", "it's $2 \\ \"":
        prepare_postgres(folder, password)
    asked = "SELECT relname, pg_get_userbyid(relowner) FROM pg_class WHERE relnamespace = 'public'::regnamespace"
    command = postgres_command("postgres", "--single", "-F", "-D", str(folder), "postgres")
    answer = subprocess.run(command, input=asked, text=True, capture_output=True, check=True).stdout
    owners = re.findall(r'pg_get_userbyid = "(\w+)"', answer)
    assert 'relname = "versions"' in answer and 'relname = "versions_id_seq"' in answer and set(owners) == {"mlflow"}


def test_with_postgresql_stopped_mlflow_is_reported(stack):
    check = (sys.executable, ROOT / "scripts", "serve", "mlflow", "--check")
    stack.run(*check)
    with stack.without("postgres"):
        said = stack.run(*check, fails=True).stderr
        assert f"mlflow at {stack.variables['MLFLOW_TRACKING_URI']}" in said
        # The server itself still answers.
        urllib.request.urlopen(f"{stack.variables['MLFLOW_TRACKING_URI']}/health").close()
        doctor = stack.run(sys.executable, ROOT / "scripts", "doctor", fails=True).stdout
        assert re.search(r"^MLflow +FAULT", doctor, re.MULTILINE)


def test_only_its_owner_reaches_supervisor(stack):
    sockets = (stack.repository / ".stack/sockets").readlink()
    assert stat.S_IMODE(sockets.stat().st_mode) == 0o700 and [path.name for path in sockets.iterdir()] == [
        "supervisor.sock"
    ]
