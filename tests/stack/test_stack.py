"""The real servers, started by one command: who can reach them, what the pipeline stores, what stays secret."""

import hashlib
import json
import socket
import stat
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import psutil
import pytest
import yaml
from conftest import ROOT, run
from demo_pipeline import locked, read
from running_stack import FOUND, clone

from churn.stack.settings import ARTIFACT_BUCKET, DEFAULTS, DVC_BUCKET, SECRETS, Settings
from churn.stack.start import write_files

ASK_FOR_THE_REPORT = """
import sys
from pathlib import Path
from dotenv import load_dotenv
from churn.base.command import ENV_FILE
from publish_drift_report import explain_loss
load_dotenv(ENV_FILE)
print(explain_loss(Path(sys.argv[1])))
"""


@pytest.fixture
def client(ran_stack, monkeypatch):
    for name in "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD":
        monkeypatch.setenv(name, ran_stack.variables[name])
    from mlflow import MlflowClient

    return MlflowClient(ran_stack.variables["MLFLOW_TRACKING_URI"])


def outputs(repository: Path) -> dict:
    return {name: stage.get("outs") for name, stage in locked(repository).items()}


def test_the_pipeline_on_the_stack_gives_the_same_bytes(ran_stack, stack, client, demo):
    assert outputs(stack.repository) == outputs(demo)
    # Not by the alias: other tests promote versions on this server, too.
    promoted = read(stack.repository, "reports/release/promote_model.json")["production_version"]
    assert client.get_model_version("churn-model", promoted).tags["decision"] == "promote"
    assert client.get_model_version_by_alias("churn-model", "production")
    assert not (stack.repository / "mlflow.db").exists()
    stored = {hashlib.sha256(content).hexdigest() for content in stack.objects(ARTIFACT_BUCKET).values()}
    scorer = (stack.repository / "models/candidate/scorer.onnx").read_bytes()
    assert hashlib.sha256(scorer).hexdigest() in stored
    assert stack.s3().get_bucket_versioning(Bucket=ARTIFACT_BUCKET)["Status"] == "Enabled"
    assert any((stack.repository / ".stack/spark/events").iterdir())
    assert "Nothing to be done" in stack.run("snakemake", "-n").stdout


def test_the_spark_engine_gives_the_same_bytes_on_the_cluster(ran_stack, stack, tmp_path):
    params = yaml.safe_load((stack.repository / "params.yaml").read_text())
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params | {"engine": "spark"}))
    drop = sorted((stack.repository / "data/raw").glob("2*-*"))[0].name
    command = (
        *("python", "scripts/clean_payments.py", "--raw", "data/raw", "--drop", drop),
        *("--params", tmp_path / "params.yaml"),
    )
    tables = {}
    for place, environment in ("cluster", {}), ("here", {"SPARK_MASTER": "local[2]"}):
        table = tmp_path / place / drop / "payments_clean.parquet"
        outs = ("--clean", tmp_path / place, "--metrics", tmp_path / place / "metrics")
        before = set((stack.repository / ".stack/spark/events").iterdir())
        stack.run(*command, *outs, **environment)
        events = set((stack.repository / ".stack/spark/events").iterdir()) - before
        assert any("app-" in path.name for path in events) is (place == "cluster")
        tables[place] = {path.name: path.read_bytes() for path in sorted(table.iterdir())}
    assert tables["cluster"] == tables["here"]


def test_a_clone_pulls_everything_and_computes_nothing(ran_stack, stack, tmp_path):
    stack.run("python", "scripts", "push")
    pushed = stack.objects(DVC_BUCKET)
    for key, content in pushed.items():
        if key.startswith("files/md5/") and not key.endswith(".dir"):
            assert hashlib.md5(content).hexdigest() == key.removeprefix("files/md5/").replace("/", "")
    assert any(key.startswith("runs/") for key in pushed)
    # A plain `dvc push` also finds the remote.
    assert "Everything is up to date" in stack.run("dvc", "push").stdout
    stack.run("git", "add", "--all")
    stack.run("git", "commit", "--quiet", "--allow-empty", "--message", "Run on the stack")
    copy = clone(stack, tmp_path / "clone")
    stack.run("python", "scripts", "pull", cwd=copy)
    assert "up to date" in stack.run("dvc", "status", cwd=copy).stdout
    printed = stack.run("snakemake", "--cores", "2", cwd=copy)
    ran = printed.stdout + printed.stderr
    # The clone has no receipts of the release: it finds the registered version, and registers no other.
    assert "  train_model " not in ran and "  clean_payments@" not in ran
    assert read(copy, "reports/release/register_candidate.json") == read(
        stack.repository, "reports/release/register_candidate.json"
    )
    assert "Nothing to be done" in stack.run("snakemake", "-n", cwd=copy).stdout


def test_push_sends_what_dvc_believes_to_be_there(ran_stack, stack):
    """An object of a folder is gone from the bucket: DVC sees the list of the folder there, and sends nothing."""
    stack.run("git", "add", "--all")
    stack.run("git", "commit", "--quiet", "--allow-empty", "--message", "Run on the stack")
    assert "The remote holds all" in stack.run("python", "scripts", "push").stdout
    (model,) = (out for out in locked(stack.repository)["train_model"]["outs"] if out["path"] == "models/candidate")
    cache = stack.repository / ".dvc/cache"
    listed = json.loads((cache / "files/md5" / model["md5"][:2] / model["md5"][2:]).read_text())
    (scorer,) = (file["md5"] for file in listed if file["relpath"] == "scorer.onnx")
    key = f"files/md5/{scorer[:2]}/{scorer[2:]}"
    stack.s3().delete_object(Bucket=DVC_BUCKET, Key=key)
    said = stack.run("python", "scripts", "doctor", fails=True).stdout
    assert "objects are missing or changed: models/candidate/scorer.onnx" in said
    (cache / key).rename(cache / "elsewhere")
    said = stack.run("python", "scripts", "push", fails=True).stderr
    assert "The remote lacks 1 of the" in said and "models/candidate/scorer.onnx" in said
    (cache / "elsewhere").rename(cache / key)
    assert "The remote holds all" in stack.run("python", "scripts", "push").stdout
    assert key in stack.objects(DVC_BUCKET)
    assert "objects of the last commit" in stack.run("python", "scripts", "doctor").stdout


def test_a_clone_without_data_pulls_what_a_stale_stage_reads(ran_stack, stack, tmp_path):
    stack.run("git", "add", "--all")
    stack.run("git", "commit", "--quiet", "--allow-empty", "--message", "Run on the stack")
    stack.run("python", "scripts", "push")
    copy = clone(stack, tmp_path / "clone")
    any_stage = ("snakemake", "-s", "workflow/freshness/dvc.smk", "--cores", "2", "--config", "pull=true")
    nothing = stack.run(*any_stage, cwd=copy)
    assert "Nothing to be done" in nothing.stdout + nothing.stderr
    params = copy / "params.yaml"
    params.write_text(params.read_text().replace("tolerance: 0.001", "tolerance: 0.002"))
    said = stack.run("snakemake", "--cores", "2", "train_model", cwd=copy, fails=True).stderr
    assert "DVC tracks data/" in said and "CHURN_PULL=1" in said
    stack.run("snakemake", "--cores", "2", "train_model", cwd=copy, CHURN_PULL="1")
    here = {path.relative_to(copy / "data").parts[0] for path in copy.glob("data/*/**/*.parquet")}
    assert here == {"training"}, "the training set, and nothing else"


def test_the_drift_report_is_published_once_as_a_web_page(ran_stack, stack, tmp_path):
    command = ("python", "scripts/publish_drift_report.py", "--report", "reports/drift", "--receipt")
    for number in 1, 2:
        address = {"DRIFT_REPORT_URI": f"s3://{ARTIFACT_BUCKET}/drift-reports"}
        stack.run(*command, tmp_path / f"{number}.json", **address)
    page = next((stack.repository / "reports/drift").glob("*.html"))
    key = f"drift-reports/{page.name}"
    stored = stack.s3().get_object(Bucket=ARTIFACT_BUCKET, Key=key)
    assert stored["ContentType"] == "text/html; charset=utf-8" and stored["Body"].read() == page.read_bytes()
    # The bucket keeps every version of an object.
    versions = stack.s3().list_object_versions(Bucket=ARTIFACT_BUCKET, Prefix=key)["Versions"]
    assert len(versions) == 1 and read(tmp_path, "1.json") == read(tmp_path, "2.json")
    # As the Snakefile asks, with the addresses and logins of .env.
    ask = ("python", "-c", ASK_FOR_THE_REPORT, tmp_path / "1.json")
    assert stack.run(*ask, PYTHONPATH="scripts").stdout.strip() == ""
    stack.s3().delete_object(Bucket=ARTIFACT_BUCKET, Key=key)
    assert stack.run(*ask, PYTHONPATH="scripts").stdout.strip() == f"s3://{ARTIFACT_BUCKET}/{key} is gone"
    began = time.monotonic()
    nobody = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9"}
    assert stack.run(*ask, PYTHONPATH="scripts", **nobody).stdout.strip() == "", "without an answer nothing is known"
    assert time.monotonic() - began < 20
    stack.run(*command, tmp_path / "1.json", DRIFT_REPORT_URI=f"s3://{ARTIFACT_BUCKET}/drift-reports")
    assert stack.s3().get_object(Bucket=ARTIFACT_BUCKET, Key=key)["Body"].read() == page.read_bytes()


def test_up_again_changes_nothing(ran_stack, stack):
    before, processes = stack.variables, {process.pid for process in stable_processes(stack)}
    printed = stack.up()
    assert stack.variables == before and {process.pid for process in stable_processes(stack)} == processes
    for name in "AWS_ENDPOINT_URL", "MLFLOW_TRACKING_URI", "SPARK_MASTER":
        assert before[name] in printed


def stable_processes(stack) -> list[psutil.Process]:
    supervisor = stack.manager.process
    # Not the children's children: Spark's executors and PostgreSQL's connections come and go.
    return [supervisor, *supervisor.children()] if supervisor else []


def test_everything_listens_on_this_machine_only(ran_stack, stack):
    supervisor = stack.manager.process
    addresses = {
        connection.laddr.ip
        for process in [supervisor, *supervisor.children(recursive=True)]
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert addresses <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"} and addresses


def test_without_a_login_the_servers_refuse(ran_stack, stack):
    variables = stack.variables
    pages = {
        f"{variables['MLFLOW_TRACKING_URI']}/api/2.0/mlflow/registered-models/search": 401,
        f"{variables['AWS_ENDPOINT_URL']}/{ARTIFACT_BUCKET}": 403,
    }
    for page, code in pages.items():
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(page)
        with refused.value:
            assert refused.value.code == code


def test_no_secret_is_in_git_logs_tags_or_arguments(ran_stack, stack, client):
    variables = stack.variables
    secrets = [variables[name] for name in SECRETS]
    assert len(set(secrets)) == len(SECRETS) and all(len(secret) >= 32 for secret in secrets)
    assert stat.S_IMODE((stack.repository / ".env").stat().st_mode) == 0o600
    for name in ".env", ".stack", ".tools/minio", ".dvc/config.local":
        stack.run("git", "check-ignore", "--quiet", name)
    tracked = stack.run("git", "ls-files", "-z").stdout.split("\0")[:-1]
    logs = [*(stack.repository / "logs").rglob("*.log"), *(stack.repository / ".stack/logs").iterdir()]
    logs += [*(stack.repository / ".snakemake/log").iterdir(), *(stack.repository / ".stack").glob("*.conf")]
    events = [path for path in (stack.repository / ".stack/spark").rglob("*") if path.is_file()]
    for path in [*(stack.repository / name for name in tracked), *logs, *events]:
        if path.is_file():
            content = path.read_bytes()
            assert not any(secret.encode() in content for secret in secrets), path
    arguments = "\0".join(
        part for process in psutil.process_iter(["cmdline"]) for part in process.info["cmdline"] or []
    )
    assert not any(secret in arguments for secret in secrets)
    experiment = client.get_experiment_by_name("churn_retention")
    runs = [vars(run.data) for run in client.search_runs([experiment.experiment_id])]
    assert runs and not any(secret in str(runs) for secret in secrets)
    for path in stack.repository.joinpath(".stack").iterdir():
        if path.is_file() and any(secret.encode() in path.read_bytes() for secret in secrets):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_a_port_in_use_is_reported(demo_repository, tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        (tmp_path / "dvc.yaml").touch()
        message = run(
            *("python", ROOT / "scripts", "up"), cwd=tmp_path, fails=True, **FOUND, CHURN_MINIO_PORT=str(port)
        ).stderr
    assert f"minio needs port {port} of 127.0.0.1" in message and "CHURN_MINIO_PORT" in message
    assert not (tmp_path / ".stack/supervisord.pid").exists()


def test_an_invalid_port_is_reported(tmp_path):
    message = run(
        *("python", ROOT / "scripts", "up"), cwd=tmp_path, fails=True, **FOUND, CHURN_SPARK_PORT="seventy"
    ).stderr
    assert "CHURN_SPARK_PORT is 'seventy'" in message


def test_mlflow_reads_passwords_with_percent_signs(tmp_path):
    address, password = "postgresql://me:p%40ss@db.example.com/mlflow", "50% %(off)s"
    settings = Settings(DEFAULTS | {"CHURN_POSTGRES_URI": address, "MLFLOW_TRACKING_PASSWORD": password})
    write_files(settings, tmp_path)
    code = "from mlflow.server.auth.config import *; read = read_auth_config(); print(read[1], read[3], sep='\\n')"
    printed = run(sys.executable, "-c", code, cwd=tmp_path, MLFLOW_AUTH_CONFIG_PATH=str(tmp_path / "mlflow_auth.ini"))
    assert printed.stdout.splitlines() == [address, password]


def test_mlflow_below_a_percent_sign_is_reported(tmp_path):
    folder = tmp_path / "100% sure"
    folder.mkdir()
    (folder / ".venv").symlink_to(sys.prefix)
    command = (folder / ".venv/bin/python", ROOT / "scripts", "up")
    message = run(*command, cwd=folder, fails=True, **FOUND).stderr
    assert "MLflow cannot run from" in message and "100% sure" in message and "percent sign" in message
    assert not (folder / ".stack/supervisord.pid").exists()


def test_down_leaves_no_process_and_up_finds_all_data_again(ran_stack, stack, client):
    before = [version.version for version in client.search_model_versions("name = 'churn-model'")]
    pids = [process.pid for process in [stack.manager.process, *stack.manager.process.children(recursive=True)]]
    assert "stopped" in stack.down()
    assert not [pid for pid in pids if psutil.pid_exists(pid)]
    _, printed = stack.manager.log("postgres")
    assert "database system is shut down" in printed[-1], "it was not killed"
    commands = [" ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])]
    assert not [command for command in commands if str(stack.repository) in command]
    assert not {"AWS_ENDPOINT_URL", "MLFLOW_TRACKING_URI", "SPARK_MASTER"} & stack.variables.keys()
    local = stack.repository / ".dvc/config.local"
    assert not local.exists() or not local.read_text().strip()
    assert "not running" in stack.down()
    stack.up()
    assert [version.version for version in client.search_model_versions("name = 'churn-model'")] == before


def test_the_environment_overrides_env_file(ran_stack, stack):
    message = stack.run(*("python", "scripts", "ledger"), fails=True, MLFLOW_TRACKING_URI="http://127.0.0.1:9").stderr
    assert "MLflow at http://127.0.0.1:9" in message
    assert "promote" in stack.run("python", "scripts", "ledger").stdout


def test_both_spark_workers_are_alive(ran_stack, stack):
    with urllib.request.urlopen(f"http://127.0.0.1:{stack.variables['CHURN_SPARK_UI_PORT']}/json/") as page:
        assert json.load(page)["aliveworkers"] == 2
