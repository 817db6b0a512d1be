"""Check what opening the servers to a network needs: a certificate, which the services get a copy of, and a password.

The check of the certificate is a TLS handshake in memory, with the same library, names and trusted authorities as the
pipeline's clients: what it accepts works later.
"""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import certifi

from churn.base.command import UserError
from churn.stack.private_files import write_private
from churn.stack.settings import CERTIFICATE, KEY, TRUSTED, Settings

GUIDE = 'docs/guides/stack.md, "Open it to the network", shows how to make one'
MIN_PASSWORD = 12
# By the variable of the server that has them, if that is the stack's own.
PASSWORDS = {
    "": ("CHURN_DASHBOARD_PASSWORD",),
    "MLFLOW_TRACKING_URI": ("MLFLOW_TRACKING_PASSWORD",),
    "AWS_ENDPOINT_URL": (
        *("MINIO_ROOT_PASSWORD", "CHURN_S3_PIPELINE_PASSWORD"),
        *("CHURN_S3_MLFLOW_PASSWORD", "CHURN_S3_READER_PASSWORD"),
    ),
}
# The reasons that OpenSSL gives: https://docs.openssl.org/3.0/man3/X509_STORE_CTX_get_error/
NOT_YET_VALID, EXPIRED, SELF_SIGNED = 9, 10, 18


def check_opening(settings: Settings) -> None:
    """Check what opening the servers to a network needs; on this machine only, nothing is needed.

    Raises
    ------
    UserError
        When the certificate or its key is missing, cannot be used, or is not for the address that clients use, or a
        password is short.
    """
    if settings.is_open:
        own = [
            name for server, names in PASSWORDS.items() if not server or settings.is_managed(server) for name in names
        ]
        # An empty one is generated.
        if short := [name for name in own if 0 < len(settings.variables.get(name, "")) < MIN_PASSWORD]:
            raise UserError(
                f"{short[0]} has fewer than {MIN_PASSWORD} characters, which is too short for a network. Set a longer "
                'one in .env (docs/guides/operations.md, "Change the secrets"), or remove it on a new stack: make up '
                "generates one."
            )
        certificate, key = _find_files(settings)
        _find_trusted(settings, certificate, key)


def write_certificate(settings: Settings, folder: Path) -> None:
    """Copy the certificate, its key and what clients trust to where the services, also in containers, read them."""
    for name in CERTIFICATE, KEY, TRUSTED:
        # MinIO speaks TLS as soon as it finds a certificate.
        (folder / name).unlink(missing_ok=True)
        (folder / name).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if settings.is_open:
        certificate, key = _find_files(settings)
        trusted = _find_trusted(settings, certificate, key)
        for source, name in (certificate, CERTIFICATE), (key, KEY), (trusted, TRUSTED):
            write_private(folder / name, source.read_text())


def certificate_changed(settings: Settings, folder: Path) -> bool:
    """Return whether the certificate has been renewed or replaced since the services were started with it."""
    if not settings.is_open:
        return False
    sources = zip(_find_files(settings), (CERTIFICATE, KEY), strict=True)
    return any(source.read_text() != (folder / name).read_text() for source, name in sources)


def _find_files(settings: Settings) -> tuple[Path, Path]:
    """Return the files of the certificate and its key, which fit."""
    bind = settings["CHURN_BIND_ADDRESS"]
    for name in "CHURN_TLS_CERTIFICATE", "CHURN_TLS_KEY":
        if not settings[name]:
            raise UserError(
                f"CHURN_BIND_ADDRESS is {bind}, which opens the servers to the network. For that, set {name} in .env "
                f"to the file of a certificate or its key ({GUIDE}), or set CHURN_BIND_ADDRESS=127.0.0.1."
            )
    certificate = _read_pem(settings, "CHURN_TLS_CERTIFICATE", "CERTIFICATE")
    key = _read_pem(settings, "CHURN_TLS_KEY", "PRIVATE KEY")
    if key.stat().st_mode & 0o007:
        raise UserError(f"CHURN_TLS_KEY: every user of this machine can read {key}. Run: chmod o= '{key}'")
    _load(certificate, key)
    return certificate, key


def _read_pem(settings: Settings, variable: str, kind: str) -> Path:
    try:
        path = Path(settings[variable]).expanduser()
    except RuntimeError:
        raise UserError(
            f"{variable} is {settings[variable]!r}, and there is no such user. Correct it in .env."
        ) from None
    try:
        if not path.is_file():
            raise UserError(f"{variable} is {str(path)!r}, which is not a file. Correct it in .env; {GUIDE}.")
        text = path.read_text(errors="replace")
    except OSError as error:
        raise UserError(f"{variable}: {path} cannot be read ({error.strerror}). Let this user read it.") from None
    if f"{kind}-----" not in text:
        raise UserError(f"{variable}: {path} has no line `-----BEGIN {kind}-----`. Set the PEM file in .env; {GUIDE}.")
    if "ENCRYPTED" in text:
        raise UserError(
            f"{variable}: {path} has a passphrase, which no service can enter. Write a key without one: "
            f"openssl pkey -in '{path}' -out server.key"
        )
    return path


def _load(certificate: Path, key: Path) -> ssl.SSLContext:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        server.load_cert_chain(certificate, key, password=str)
    except (ssl.SSLError, ValueError) as error:
        reason = getattr(error, "reason", None) or str(error)
        fault = "does not belong to" if reason == "KEY_VALUES_MISMATCH" else f"cannot be used ({reason}) with"
        raise UserError(
            f"CHURN_TLS_KEY: {key} {fault} the certificate {certificate}. Set both in .env; {GUIDE}."
        ) from None
    return server


def _find_trusted(settings: Settings, certificate: Path, key: Path) -> Path:
    """Return the file of the authorities by which clients can check the certificate."""
    name, server = "CHURN_TLS_CERTIFICATE", _load(certificate, key)
    trusted = Path(certifi.where())
    if settings["CHURN_TLS_CA"]:
        trusted = _read_pem(settings, "CHURN_TLS_CA", "CERTIFICATE")
    elif _refusal(server, trusted, None)[0] == SELF_SIGNED:
        trusted = certificate
    code, reason = _refusal(server, trusted, None)
    if code in (EXPIRED, NOT_YET_VALID):
        raise UserError(f"{name}: {certificate} is not valid today ({reason}). Set one that is valid in .env; {GUIDE}.")
    if code is not None:
        raise UserError(
            f"{name}: clients will not trust {certificate} ({reason}). Set CHURN_TLS_CA in .env to the file with the "
            "certificate of the authority that signed it; and put its intermediate certificates after it."
        )
    code, reason = _refusal(server, trusted, settings.host)
    if code is not None:
        raise UserError(
            f"{name}: {certificate} is for {_names(server, trusted)}; clients would use {settings.host}. Set "
            f"CHURN_HOST_NAME in .env to one of its names, or get a certificate for {settings.host}; {GUIDE}."
        )
    return trusted


def _refusal(server: ssl.SSLContext, trusted: Path, host: str | None) -> tuple[int | None, str]:
    """Return the code and reason for which a client refuses the server; a code of None if it does not."""
    try:
        with _connect(server, trusted, host):
            return None, ""
    except ssl.SSLCertVerificationError as error:
        return error.verify_code, error.verify_message
    except (ssl.SSLError, ValueError) as error:
        return 0, getattr(error, "reason", None) or str(error)


def _names(server: ssl.SSLContext, trusted: Path) -> str:
    with _connect(server, trusted, None) as certificate:
        return ", ".join(name for _, name in certificate.get("subjectAltName", ())) or "no name (subjectAltName)"


@contextmanager
def _connect(server: ssl.SSLContext, trusted: Path, host: str | None) -> Iterator[dict[str, Any]]:
    """Connect a client with a server in memory, and yield the certificate that the client sees."""
    context = ssl.create_default_context(cafile=str(trusted))
    context.check_hostname = host is not None
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(to_client, to_server, server_hostname=host)
    answers = server.wrap_bio(to_server, to_client, server_side=True)
    waiting = [client, answers]
    while waiting:
        for side in list(waiting):
            try:
                side.do_handshake()
                waiting.remove(side)
            except ssl.SSLWantReadError:
                pass
    yield client.getpeercert() or {}
