"""Configure DVC's remote while the stack is up, so that a plain `dvc push` works."""

import configparser
import os
from pathlib import Path

from churn.stack.private_files import write_private_ini
from churn.stack.settings import Settings

LOCAL = Path(".dvc/config.local")
# As DVC writes it when it changes the file; an older `make up` wrote it without the outer quotes, which DVC reads, too.
REMOTE, OLD_REMOTE = "'remote \"minio\"'", 'remote "minio"'


def configure_dvc(settings: Settings, folder: Path) -> None:
    """Write the address and the credentials of the stack's S3 server into an AWS profile that DVC reads.

    They are not written into DVC's own settings, which would override AWS_ENDPOINT_URL. For a user's own S3 server,
    nothing is written.
    """
    if not settings.is_managed("AWS_ENDPOINT_URL"):
        return
    environment = settings.environment
    credentials = {
        "aws_access_key_id": environment["AWS_ACCESS_KEY_ID"],
        "aws_secret_access_key": environment["AWS_SECRET_ACCESS_KEY"],
    }
    write_private_ini(folder / "aws_credentials", {"default": credentials})
    region = environment.get("AWS_DEFAULT_REGION", "us-east-1")
    profile = {"endpoint_url": environment["AWS_ENDPOINT_URL"], "region": region}
    if bundle := settings.clients.get("AWS_CA_BUNDLE"):
        profile["ca_bundle"] = bundle
    write_private_ini(folder / "aws_config", {"default": profile})
    local = read_local()
    if not local.has_section("core"):
        local.add_section("core")
    local.set("core", "remote", "minio")
    # Relative to DVC's folder: DVC reads " #" in a path as a comment.
    place = Path(os.path.relpath(folder, LOCAL.parent))
    local[REMOTE] = {
        "credentialpath": str(place / "aws_credentials"),
        "configpath": str(place / "aws_config"),
    }
    write_private_ini(LOCAL, local)


def reset_dvc() -> None:
    """Undo `configure_dvc`; other settings stay."""
    local = read_local()
    if REMOTE not in local:
        return
    del local[REMOTE]
    local.remove_option("core", "remote")
    write_private_ini(LOCAL, {name: dict(section) for name, section in local.items() if section})


def read_local() -> configparser.RawConfigParser:
    """Return .dvc/config.local, with the remote under one name: DVC refuses a file that has it twice."""
    parser = configparser.RawConfigParser()
    parser.read(LOCAL)
    if OLD_REMOTE in parser:
        parser[REMOTE] = dict(parser[OLD_REMOTE])
        del parser[OLD_REMOTE]
    return parser
