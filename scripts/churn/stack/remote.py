"""Tell DVC where its remote is while the stack is up, so that a plain `dvc push` finds it."""

import configparser
from pathlib import Path

from churn.stack.private_files import write_private_ini
from churn.stack.settings import Settings

LOCAL = Path(".dvc/config.local")
REMOTE = 'remote "minio"'


def tell_dvc(settings: Settings, folder: Path) -> None:
    """Write the address and the login where DVC's client looks for them when the environment says nothing.

    An AWS profile, not DVC's own settings: those would win over AWS_ENDPOINT_URL.
    A user's own S3 server is the user's to tell DVC of.
    """
    if not settings.is_own("AWS_ENDPOINT_URL"):
        return
    told = settings.environment
    login = {
        "aws_access_key_id": told["AWS_ACCESS_KEY_ID"],
        "aws_secret_access_key": told["AWS_SECRET_ACCESS_KEY"],
    }
    write_private_ini(folder / "aws_credentials", {"default": login})
    region = told.get("AWS_DEFAULT_REGION", "us-east-1")
    write_private_ini(folder / "aws_config", {"default": {"endpoint_url": told["AWS_ENDPOINT_URL"], "region": region}})
    local = _read()
    if not local.has_section("core"):
        local.add_section("core")
    local.set("core", "remote", "minio")
    local[REMOTE] = {
        "credentialpath": str((folder / "aws_credentials").absolute()),
        "configpath": str((folder / "aws_config").absolute()),
    }
    write_private_ini(LOCAL, local)


def untell_dvc() -> None:
    """Take back what `tell_dvc` wrote, and nothing else."""
    local = _read()
    if REMOTE not in local:
        return
    del local[REMOTE]
    local.remove_option("core", "remote")
    write_private_ini(LOCAL, {name: dict(section) for name, section in local.items() if section})


def _read() -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser()
    parser.read(LOCAL)
    return parser
