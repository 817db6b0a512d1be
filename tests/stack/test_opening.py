"""The stack open to a network: what it asks for, who can reach what from another machine, and by which protocol."""

import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest
from conftest import ROOT, free_port, run
from running_stack import FOUND
from two_machines import SERVER, StackOnMachine, two_machines

from churn.base.command import UserError
from churn.stack.listen import join_port, reach, read_bind_address
from churn.stack.opening import certificate_changed, check_opening, write_certificate
from churn.stack.settings import DEFAULTS, Settings

GUIDE = (ROOT / "docs/guides/stack.md").read_text()
NAMES = f"IP:{SERVER['IPv4']},IP:{SERVER['IPv6']},DNS:churn.example.com"
OPEN = ("CHURN_MINIO_PORT", "CHURN_MLFLOW_PORT", "CHURN_DASHBOARD_PORT")
CLOSED = ("CHURN_MINIO_CONSOLE_PORT", "CHURN_POSTGRES_PORT", "CHURN_SPARK_PORT", "CHURN_SPARK_UI_PORT")
# What another machine gets: from a port, and without and with a login from MLflow.
ASK = """
import json, os, socket, sys, requests
host, ports, login = json.loads(sys.argv[1])
url_host = f"[{host}]" if ":" in host else host
def connects(port):
    try:
        socket.create_connection((host, port), timeout=5).close()
        return True
    except OSError:
        return False
def ask(port, path, scheme="https", method="GET", **options):
    try:
        return requests.request(method, f"{scheme}://{url_host}:{port}{path}", timeout=30, **options).status_code
    except requests.exceptions.SSLError:
        return "untrusted"
    except requests.ConnectionError:
        return "refused"
trusted = {"verify": os.environ["AWS_CA_BUNDLE"]}
search = "/api/2.0/mlflow/experiments/search?max_results=1"
minio, mlflow, dashboard = (ports[name] for name in ("CHURN_MINIO_PORT", "CHURN_MLFLOW_PORT", "CHURN_DASHBOARD_PORT"))
known = trusted | {"auth": tuple(login)}
def post(headers):
    return ask(mlflow, search.partition("?")[0], method="POST", json={"max_results": 1}, headers=headers, **known)
print(json.dumps({
    "connects": sorted(name for name, port in ports.items() if connects(port)),
    "http": [ask(port, "/", "http") for port in (minio, mlflow, dashboard)],
    "unknown authority": [ask(port, "/") for port in (minio, mlflow, dashboard)],
    "S3 without a login": ask(minio, "/churn-dvc", **trusted),
    "MLflow without a login": ask(mlflow, search, **trusted),
    "MLflow": ask(mlflow, search, **known),
    "MLflow by another name": ask(mlflow, search, headers={"Host": "10.example.com"}, **known),
    "MLflow for its own page": post({"Origin": f"https://{url_host}:{mlflow}"}),
    "MLflow for another page": post({"Origin": "https://example.com"}),
    "dashboard": ask(dashboard, "/scores", **trusted),
}))
"""
ANSWERS = {
    "connects": sorted(OPEN),
    # MinIO says so, the others hang up.
    "http": [400, "refused", "refused"],
    "unknown authority": ["untrusted"] * 3,
    "S3 without a login": 403,
    "MLflow without a login": 401,
    "MLflow": 200,
    "MLflow by another name": 403,
    "MLflow for its own page": 200,
    "MLflow for another page": 403,
    "dashboard": 200,
}


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """Certificates made as the guide says, and one that has expired."""
    folder = tmp_path_factory.mktemp("certificates")
    (command,) = re.findall(r"^\$ (openssl req .*)$", GUIDE, re.MULTILINE)
    made = shlex.split(re.sub(r"subjectAltName=[\w.:,]+", f"subjectAltName={NAMES}", command))
    run(*made, cwd=folder)
    run(*made[:-4], "-keyout", "other.key", "-out", "other.crt", cwd=folder)
    request = ("openssl", "req", "-new", "-key", "server.key", "-subj", "/CN=churn", "-out", "server.csr")
    run(*request, cwd=folder)
    authority = ("-CA", "other.crt", "-CAkey", "other.key", "-CAcreateserial")
    (folder / "names").write_text(f"subjectAltName={NAMES}")
    for name, days in ("signed", "30"), ("expired", "-1"):
        sign = ("openssl", "x509", "-req", "-in", "server.csr", *authority, "-extfile", "names")
        run(*sign, "-days", days, "-out", f"{name}.crt", cwd=folder)
    run("openssl", "pkey", "-in", "server.key", "-aes256", "-passout", "pass:word", "-out", "locked.key", cwd=folder)
    (folder / "public.key").write_text((folder / "server.key").read_text())
    (folder / "public.key").chmod(0o644)
    (folder / "garbage.crt").write_text("-----BEGIN CERTIFICATE-----\nnone\n-----END CERTIFICATE-----\n")
    return folder


def opened(folder, certificate="server.crt", key="server.key", authority="", **variables):
    files = {"CHURN_TLS_CERTIFICATE": certificate, "CHURN_TLS_KEY": key, "CHURN_TLS_CA": authority}
    paths = {name: file and str(folder / file) for name, file in files.items()}
    return Settings(DEFAULTS | {"CHURN_BIND_ADDRESS": SERVER["IPv4"]} | paths | variables)


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"CHURN_BIND_ADDRESS": SERVER["IPv6"]},
        {"CHURN_BIND_ADDRESS": "0.0.0.0", "CHURN_HOST_NAME": "churn.example.com"},
        {"certificate": "signed.crt", "authority": "other.crt"},
    ],
)
def test_a_certificate_for_the_address_opens_the_stack(certificates, variables):
    check_opening(opened(certificates, **variables))


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"certificate": ""}, r"10\.77\.0\.1, which opens.*set CHURN_TLS_CERTIFICATE.*or set CHURN_BIND_ADDRESS=127"),
        ({"key": ""}, "set CHURN_TLS_KEY"),
        ({"key": "none.key"}, "CHURN_TLS_KEY is .*none.key', which is not a file"),
        ({"certificate": "."}, "CHURN_TLS_CERTIFICATE is .*, which is not a file"),
        ({"certificate": "server.key"}, "server.key has no line `-----BEGIN CERTIFICATE-----`"),
        ({"certificate": "garbage.crt"}, "cannot be used"),
        ({"key": "other.key"}, "other.key does not belong to the certificate .*server.crt"),
        ({"key": "locked.key"}, "locked.key has a passphrase.*openssl pkey"),
        ({"key": "public.key"}, "every user of this machine can read .*public.key. Run: chmod o="),
        ({"certificate": "expired.crt", "authority": "other.crt"}, r"not valid today \(certificate has expired\)"),
        ({"certificate": "signed.crt"}, "clients will not trust .*signed.crt.*Set CHURN_TLS_CA"),
        ({"certificate": "signed.crt", "authority": "server.crt"}, "clients will not trust"),
        ({"CHURN_BIND_ADDRESS": "0.0.0.0"}, r"is for 10\.77\.0\.1, .*clients would use 127\.0\.0\.1.*CHURN_HOST_NAME"),
        ({"CHURN_HOST_NAME": "other.example.com"}, "clients would use other.example.com"),
        ({"CHURN_HOST_NAME": ".example.com"}, "clients would use .example.com"),
        ({"CHURN_DASHBOARD_PASSWORD": "short"}, "CHURN_DASHBOARD_PASSWORD has fewer than 12 characters"),
        ({"MLFLOW_TRACKING_PASSWORD": "admin"}, "MLFLOW_TRACKING_PASSWORD has fewer than 12 characters"),
        ({"MINIO_ROOT_PASSWORD": "12345678"}, "MINIO_ROOT_PASSWORD has fewer than 12 characters"),
        ({"CHURN_TLS_KEY": "~no-such-user/key"}, "CHURN_TLS_KEY is '~no-such-user/key', and there is no such user"),
    ],
)
def test_a_certificate_that_clients_would_refuse_is_refused(certificates, variables, message):
    with pytest.raises(UserError, match=message):
        check_opening(opened(certificates, **variables))


def test_services_get_copies_that_go_when_the_stack_is_closed(certificates, tmp_path):
    settings = opened(certificates)
    write_certificate(settings, tmp_path)
    files = {path.relative_to(tmp_path).as_posix(): path for path in tmp_path.rglob("*.*") if path.is_file()}
    assert set(files) == {"certs/public.crt", "certs/private.key", "certs/CAs/trusted.crt"}
    assert all(path.stat().st_mode & 0o077 == 0 for path in files.values())
    assert not certificate_changed(settings, tmp_path)
    # A renewed certificate is used after the next start.
    assert certificate_changed(opened(certificates, "signed.crt", authority="other.crt"), tmp_path)
    write_certificate(Settings(DEFAULTS), tmp_path)
    assert not any(path.is_file() for path in tmp_path.rglob("*.*"))
    assert not certificate_changed(Settings(DEFAULTS), tmp_path)


@pytest.mark.parametrize("bind", ["0.0.0.0", "::"])
def test_the_stack_does_not_open_without_a_certificate(tmp_path, bind):
    (tmp_path / "dvc.yaml").touch()
    command = ("python", ROOT / "scripts", "up")
    said = run(*command, cwd=tmp_path, fails=True, **FOUND, CHURN_BIND_ADDRESS=bind).stderr
    assert said.startswith(f"ERROR: CHURN_BIND_ADDRESS is {bind}, which opens") and said.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["dvc.yaml"]


def test_addresses_to_listen_on():
    assert read_bind_address("localhost", Path(".env")) == "127.0.0.1"
    assert read_bind_address("FD00:77:0::1", Path(".env")) == "fd00:77::1"
    assert read_bind_address("::ffff:10.0.0.5", Path(".env")) == "10.0.0.5"
    for wrong, message in ("churn.example.com", "not an IP address"), ("fe80::1%eth0", "another machine on each"):
        with pytest.raises(UserError, match=message):
            read_bind_address(wrong, Path(".env"))
    assert [reach(bind) for bind in ("0.0.0.0", "::", "10.0.0.5")] == ["127.0.0.1", "::1", "10.0.0.5"]
    assert [join_port(host, "9000") for host in ("::1", "10.0.0.5")] == ["[::1]:9000", "10.0.0.5:9000"]


def ask(stack, client, host):
    ports = {name: int(stack.variables[name]) for name in (*OPEN, *CLOSED)}
    login = [stack.variables["MLFLOW_TRACKING_USERNAME"], stack.variables["MLFLOW_TRACKING_PASSWORD"]]
    command = client.command("python", "-c", ASK, json.dumps([host, ports, login]))
    return json.loads(run(*command, cwd=stack.repository, AWS_CA_BUNDLE=stack.variables["AWS_CA_BUNDLE"]).stdout)


def listening(machine):
    printed = subprocess.run(machine.command("ss", "-ltnH"), capture_output=True, text=True, check=True).stdout
    addresses = [line.split()[3] for line in printed.splitlines()]
    return {address for address in addresses if not address.startswith(("127.", "[::1]", "[::ffff:127."))}


def test_another_machine_reaches_what_is_open_by_https_only(demo_copy, certificates):
    with two_machines() as (server, client):
        stack = StackOnMachine(demo_copy, server)
        ports = {name: free_port() for name in DEFAULTS if name.endswith("_PORT")}
        files = {"CHURN_TLS_CERTIFICATE": certificates / "server.crt", "CHURN_TLS_KEY": certificates / "server.key"}
        for host in SERVER.values():
            # With the second address no Spark: it is the same.
            chosen = {"CHURN_BIND_ADDRESS": host} | ({"SPARK_MASTER": "local[2]"} if ":" in host else {})
            text = "".join(f"{name}={value}\n" for name, value in (ports | files | chosen).items())
            kept = [line for line in env_lines(demo_copy) if line.split("=")[0] not in ports | files | chosen]
            (demo_copy / ".env").write_text(text + "".join(f"{line}\n" for line in kept))
            try:
                stack.up()
                assert listening(server) == {join_port(host, ports[name]) for name in OPEN}
                assert ask(stack, client, host) == ANSWERS
                assert stack.variables["MLFLOW_TRACKING_URI"].startswith("https://")
                assert "The remote holds all" in stack.run("python", "scripts", "push").stdout
                if host == SERVER["IPv4"]:
                    stack.run("snakemake", "--cores", "2", "register_candidate")
            finally:
                stack.down()
        assert stack.variables["CHURN_DASHBOARD_PASSWORD"]


def env_lines(repository):
    path = repository / ".env"
    return path.read_text().splitlines() if path.exists() else []
