"""compose.yaml and .env.example have the same services, ports, buckets and variables as the native stack."""

import re
import sys

import pytest
import yaml
from conftest import ROOT, run
from dotenv import dotenv_values
from running_stack import FOUND

from churn.stack.services import WORKER_MEMORY, list_services
from churn.stack.settings import ADDRESSES, ARTIFACT_BUCKET, DEFAULTS, DVC_BUCKET, SECRETS, Settings

TEXT = (ROOT / "compose.yaml").read_text()
COMPOSE = yaml.safe_load(TEXT)
VARIABLE = re.compile(r"(?<!\$)\$\{(\w+)(?::-([^}]*)|:\?[^}]*)?\}")


@pytest.fixture
def native(tmp_path):
    """The services of the native stack by name, with the default settings."""
    variables = DEFAULTS | {name: f"secret {name}" for name in SECRETS}
    return {service.name: service for service in list_services(Settings(variables), tmp_path)}


def published(service: dict) -> set[tuple[str, str]]:
    """Return the variables of the ports that a service publishes, with their defaults."""
    if "ports" in service:
        return {(VARIABLE.findall(port)[1]) for port in service["ports"]}
    ports = VARIABLE.findall(service["command"])
    # A worker's command names the port of the master, on which the worker does not listen.
    return {(name, default) for name, default in ports if name.endswith("_PORT") and "worker" not in service["command"]}


def test_services_and_ports_are_the_same(native):
    containers = COMPOSE["services"]
    assert set(containers) - {"buckets"} == set(native)
    for name, service in native.items():
        assert published(containers[name]) == set(service.ports.items()), name


def test_nothing_is_open_to_the_network_by_default():
    for service in COMPOSE["services"].values():
        for port in service.get("ports", []):
            assert port.startswith("${CHURN_BIND_ADDRESS:-127.0.0.1}:")
    hosts = [
        VARIABLE.sub(r"\2", service["command"]) for service in COMPOSE["services"].values() if "network_mode" in service
    ]
    assert hosts and all("127.0.0.1" in command for command in hosts)


def test_variables_and_their_defaults_are_the_same():
    named = dict(VARIABLE.findall(TEXT))
    own = {name: value for name, value in DEFAULTS.items() if name != "CHURN_POSTGRES_URI"}
    assert {name: value for name, value in named.items() if value} == own | {"CHURN_USER": "0:0"}
    assert set(named) - set(own) == {*SECRETS, "PWD", "CHURN_USER"}


def test_buckets_are_the_same():
    assert f"for bucket in {DVC_BUCKET} {ARTIFACT_BUCKET};" in COMPOSE["services"]["buckets"]["entrypoint"][2]


def test_commands_are_the_same(native):
    mlflow = COMPOSE["services"]["mlflow"]["command"].split()
    start = native["mlflow"].command[1:]
    start[start.index("127.0.0.1")] = "0.0.0.0"
    assert mlflow[1:] == start
    for name in "spark-master", "spark-worker-1", "spark-worker-2":
        command = COMPOSE["services"][name]["command"].split()
        assert command[1] == native[name].command[1]
    assert WORKER_MEMORY in COMPOSE["services"]["spark-worker-1"]["command"]
    for name in "mlflow", "spark-master", "spark-worker-1":
        given = COMPOSE["services"][name]["environment"]
        assert native[name].environment.keys() <= given.keys()
        same = {key: given[key] for key, value in native[name].environment.items() if value in ("true", "false")}
        assert same == {key: value for key, value in native[name].environment.items() if value in ("true", "false")}


def test_images_are_pinned_and_services_watched():
    image = (ROOT / "Dockerfile").read_text()
    for service in COMPOSE["services"].values():
        assert re.search(r":[\w.-]*\d[\w.-]*$", service["image"])
    assert re.search(r"^FROM python:\d+\.\d+\.\d+-", image, re.MULTILINE)
    watched = {name for name, service in COMPOSE["services"].items() if "healthcheck" in service}
    assert watched == {"minio", "postgres", "mlflow", "spark-master", "dashboard"}


def test_the_example_has_every_variable():
    example = dotenv_values(ROOT / ".env.example")
    aws = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"}
    others = {"SPARK_EVENT_LOG_DIR", "CHURN_INBOX", "CHURN_NOTIFY_URLS"}
    assert set(example) == {*DEFAULTS, *SECRETS, *ADDRESSES, *aws, *others}
    assert {name: example[name] for name in DEFAULTS} == DEFAULTS
    assert not any(example[name] for name in SECRETS)


def test_without_docker_one_line_says_so(tmp_path):
    environment = FOUND | {"PATH": str(tmp_path)}
    message = run(sys.executable, ROOT / "scripts", "up_containers", cwd=tmp_path, fails=True, **environment)
    assert "Docker is not installed" in message.stderr
