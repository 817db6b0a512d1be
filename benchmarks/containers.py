"""Try the stack in containers as a new user would, in a clone, and kill each container: `make try-containers`.

Reads
    the last commit; Docker with Compose, for which it builds the image again
Writes
    a Markdown table of the steps and their times to standard output; all else to a temporary folder
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

import boto3
from dotenv import dotenv_values

ROOT = Path(__file__).resolve().parents[1]
PROJECT = "churn-pipeline-trial"
DIGEST = re.compile(r"([\w./-]+:[\w.-]+)@sha256:[0-9a-f]{64}")
PINNED = ("Dockerfile", "compose.yaml", "scripts/churn/stack/containers.py")
IMAGE = f"{PROJECT}:0.1.0"
REPORTS = "s3://mlflow-artifacts/drift-reports"
KILLED = ("spark-worker-1", "spark-master", "mlflow", "postgres", "minio", "dashboard")
PORTS = {
    "CHURN_MINIO_PORT": 19000,
    "CHURN_MINIO_CONSOLE_PORT": 19001,
    "CHURN_POSTGRES_PORT": 15433,
    "CHURN_MLFLOW_PORT": 15000,
    "CHURN_SPARK_PORT": 17077,
    "CHURN_SPARK_UI_PORT": 18080,
    "CHURN_DASHBOARD_PORT": 18501,
}


class Trial:
    """A clone, and what was tried in it."""

    def __init__(self, folder: Path, bind: str) -> None:
        self.clone = folder / "días de año, o'brien"
        self.bind = bind
        self.rows: list[tuple[str, str, str]] = []
        self.environment = {name: value for name, value in os.environ.items() if name not in PORTS}

    def prepare(self) -> None:
        """Clone the last commit, install it, and choose a project and ports that disturb no other stack."""
        subprocess.run(["git", "clone", "--quiet", ROOT, self.clone], check=True)
        chosen = {"COMPOSE_PROJECT_NAME": PROJECT, "CHURN_BIND_ADDRESS": self.bind, "DRIFT_REPORT_URI": REPORTS} | PORTS
        (self.clone / ".env").write_text("".join(f"{name}={value}\n" for name, value in chosen.items()))
        for name in PINNED:
            path = self.clone / name
            path.write_text(DIGEST.sub(without_digest, path.read_text()))
        self.run("make", "install")

    def run(self, *command: object, cwd: Path | None = None, fails: bool = False) -> str:
        """Run a command in the clone; stop the trial when it does not end as expected."""
        answer = subprocess.run(
            [str(part) for part in command],
            cwd=cwd or self.clone,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if (answer.returncode != 0) is not fails:
            sys.exit(f"FAILED: {' '.join(map(str, command))}\n{answer.stdout}")
        return answer.stdout

    def step(self, title: str, act: Callable[[], str]) -> None:
        """Do something, and note how long it took and what was found."""
        began = time.monotonic()
        found = act()
        self.rows.append((title, f"{time.monotonic() - began:.1f}", found))
        print(f"| {' | '.join(self.rows[-1])} |", flush=True)

    @property
    def variables(self) -> dict[str, str]:
        """The content of the clone's `.env`."""
        return {name: value or "" for name, value in dotenv_values(self.clone / ".env").items()}

    def containers(self) -> dict[str, str]:
        """Return the identifier of each container, by its name."""
        listed = self.run("docker", "compose", "ps", "--format", "{{.Name}} {{.ID}}")
        return dict(line.split() for line in listed.splitlines())

    def open(self, address: str, login: bool = False) -> str:
        """Return a page of a server."""
        request = urllib.request.Request(address)
        if login:
            name, password = (self.variables[f"MLFLOW_TRACKING_{part}"] for part in ("USERNAME", "PASSWORD"))
            request.add_header("Authorization", f"Basic {b64encode(f'{name}:{password}'.encode()).decode()}")
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.read().decode()


def without_digest(match: re.Match) -> str:
    """Return an image's reference without its digest, if this machine has the tag and not from a registry."""
    asked = ["docker", "image", "inspect", "--format", "{{.RepoDigests}}", match[1]]
    answer = subprocess.run(asked, capture_output=True, text=True)
    return match[1] if answer.stdout.strip() == "[]" else match[0]


def first_start(trial: Trial) -> str:
    """Build the image, and start everything."""
    subprocess.run(["docker", "image", "rm", "--force", IMAGE], capture_output=True)
    printed = trial.run("make", "up-containers")
    size = int(trial.run("docker", "image", "inspect", "--format", "{{.Size}}", IMAGE))
    layers = trial.run("docker", "history", "--format", "{{.Size}}", IMAGE).split()
    lines = [line for line in printed.splitlines() if line.startswith(("minio", "dashboard"))]
    assert len(printed.splitlines()) < 12 and len(lines) == 2, printed
    return f"image {size / 1e9:.2f} GB, its largest own layer {layers[3]}; {len(printed.splitlines())} lines"


def second_start(trial: Trial) -> str:
    """Start again: nothing may change."""
    before = trial.containers()
    trial.run("make", "up-containers")
    assert trial.containers() == before
    return f"the same {len(before)} containers"


def other_way(trial: Trial) -> str:
    """Commands of the native stack while containers run."""
    before = trial.variables
    assert "make down-containers" in trial.run("make", "up", fails=True)
    assert "make down-containers" in trial.run("make", "down", fails=True)
    assert trial.variables == before
    return "both name make down-containers; .env keeps its addresses"


def first_run(trial: Trial) -> str:
    """Train, register and promote on the containers; find the results in their servers."""
    printed = trial.run("make", "run")
    assert "version 1 now" in printed, printed
    server = trial.variables["MLFLOW_TRACKING_URI"]
    model = trial.open(f"{server}/api/2.0/mlflow/registered-models/alias?name=churn-model&alias=production", login=True)
    assert '"version": "1"' in model
    s3 = boto3.client(
        "s3",
        endpoint_url=trial.variables["AWS_ENDPOINT_URL"],
        aws_access_key_id=trial.variables["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=trial.variables["AWS_SECRET_ACCESS_KEY"],
        region_name="us-east-1",
    )
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket="mlflow-artifacts")
    keys = [item["Key"] for page in pages for item in page.get("Contents", [])]
    for part in "scorer.onnx", "MLmodel", "shap_summary.png", "churn_features.parquet", "2026-03-22.html":
        assert any(part in key for key in keys), (part, keys)
    master = trial.open(f"http://127.0.0.1:{PORTS['CHURN_SPARK_UI_PORT']}/json/")
    assert '"FINISHED"' in master
    return (
        f"version 1 in MLflow; scorer, SHAP, dataset and drift report among {len(keys)} objects; Spark ran the training"
    )


def push_and_clone(trial: Trial) -> str:
    """Push, clone, pull: the clone has nothing to compute."""
    trial.run("make", "push")
    trial.run("git", "-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "--quiet", "--all", "-m", "Run")
    other = trial.clone.parent / "other"
    trial.run("git", "clone", "--quiet", trial.clone, other)
    shutil.copy(trial.clone / ".env", other / ".env")
    trial.run("make", "pull", cwd=other)
    printed = trial.run("make", "run", cwd=other)
    assert "Stages: 0 ran" in printed or "Stages" not in printed, printed
    assert re.search(r"Candidate +version 1\b", printed), printed
    return "no stage ran; the release steps found version 1"


def kill(trial: Trial, name: str) -> str:
    """Kill a container in the middle of a run: this run or the next one ends well."""
    # Another parameter, which changes no result: the model is trained again.
    params = trial.clone / "params.yaml"
    text = params.read_text()
    params.write_text(re.sub(r"tolerance: [0-9.]+", f"tolerance: 0.001{KILLED.index(name) + 1}", text))
    command = [str(trial.clone / ".venv/bin/snakemake"), "--cores", "2"]
    environment = trial.environment | {"PATH": f"{trial.clone / '.venv/bin'}:{os.environ['PATH']}"}
    running = subprocess.Popen(
        command, cwd=trial.clone, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    time.sleep(20)
    assert running.poll() is None, running.communicate()[0]
    trial.run("docker", "kill", f"{PROJECT}-{name}-1")
    printed, _ = running.communicate(timeout=600)
    message = re.search(r"ERROR: .{0,80}", printed)
    assert "Traceback" not in printed and (message or running.returncode == 0), printed
    first = f"ended with: {message[0]} ..." if running.returncode else "ended well"
    trial.run("make", "up-containers")
    trial.run("make", "run")
    assert "Nothing to be done" in trial.run(*command[:1], "-n", "--cores", "1")
    return f"the run {first}; the next one ended well"


def changed_lock(trial: Trial) -> str:
    """Change what the image is built from, then change it back."""
    lock = trial.clone / "requirements-servers.lock"
    text = lock.read_text()
    lock.write_text(text + "# changed\n")
    assert "Building the image" in trial.run("make", "up-containers")
    lock.write_text(text)
    assert "Building the image" in trial.run("make", "up-containers")
    return "said that it builds again"


def down_and_up(trial: Trial) -> str:
    """Stop, also without .env; start again: everything is still there."""
    kept = (trial.clone / ".env").read_text()
    (trial.clone / ".env").unlink()
    assert "The containers are stopped." in trial.run("make", "down-containers")
    (trial.clone / ".env").write_text(kept)
    assert "No containers were running." in trial.run("make", "down-containers")
    trial.run("make", "up-containers")
    assert "Nothing to be done" in trial.run(trial.clone / ".venv/bin/snakemake", "-n", "--cores", "1")
    return "stopped without .env; afterwards nothing to be done"


def remove() -> None:
    """Remove the containers and volumes of the trial."""
    subprocess.run(["docker", "compose", "--project-name", PROJECT, "down", "--volumes"], capture_output=True)
    subprocess.run(["docker", "image", "rm", "--force", IMAGE], capture_output=True)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bind", default="127.0.0.1", help="the address of this machine (127.0.0.0/8) to listen on")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="churn-containers-") as folder:
        trial = Trial(Path(folder), arguments.bind)
        print("| step | seconds | found |\n|---|--:|---|")
        try:
            trial.step("clone, make install", lambda: trial.prepare() or "")
            trial.step("make up-containers, no image", lambda: first_start(trial))
            trial.step("make up-containers again", lambda: second_start(trial))
            trial.step("make up, make down beside it", lambda: other_way(trial))
            trial.step("make run", lambda: first_run(trial))
            trial.step("make push; clone, make pull, make run", lambda: push_and_clone(trial))
            for name in KILLED:
                trial.step(f"{name} killed during a run", lambda name=name: kill(trial, name))
            trial.step("another requirements-servers.lock", lambda: changed_lock(trial))
            trial.step("make down-containers, make up-containers", lambda: down_and_up(trial))
        finally:
            remove()


if __name__ == "__main__":
    main()
