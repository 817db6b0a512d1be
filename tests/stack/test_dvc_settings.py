"""`make up` and `make down` share .dvc/config.local with `dvc config`, which writes the same names in its own way."""

import pytest
from conftest import run
from dvc.config import Config

from churn.stack.remote import LOCAL, configure_dvc, reset_dvc
from churn.stack.settings import DEFAULTS, Settings


@pytest.fixture
def settings(tmp_path, monkeypatch):
    run("git", "init", "--quiet", cwd=tmp_path)
    run("dvc", "init", "--quiet", cwd=tmp_path)
    run("dvc", "remote", "add", "minio", "s3://churn-dvc", cwd=tmp_path)
    monkeypatch.chdir(tmp_path)
    return Settings(DEFAULTS | {"CHURN_S3_PIPELINE_PASSWORD": "a password"})


def remote() -> dict:
    """Return the settings of the remote, as DVC reads them."""
    return Config(str(LOCAL.parent.absolute()))["remote"]["minio"]


def test_dvc_reads_its_settings_after_any_order_of_up_down_and_dvc_config(settings, tmp_path):
    folder = tmp_path / ".stack"
    folder.mkdir()
    configure_dvc(settings, folder)
    run("dvc", "config", "--local", "cache.shared", "group", cwd=tmp_path)
    reset_dvc()
    assert "minio" not in LOCAL.read_text() and "credentialpath" not in remote()
    for _ in range(2):
        configure_dvc(settings, folder)
        assert remote()["credentialpath"] == str(folder / "aws_credentials")
        run("dvc", "config", "--local", "core.checksum_jobs", "2", cwd=tmp_path)
    assert "shared = group" in LOCAL.read_text()


def test_a_file_that_an_older_version_broke_is_repaired(settings, tmp_path):
    folder = tmp_path / ".stack"
    folder.mkdir()
    twice = "".join(f"[{name}]\n    credentialpath = ../gone\n" for name in ("'remote \"minio\"'", 'remote "minio"'))
    LOCAL.write_text(f"[core]\n    remote = minio\n{twice}")
    configure_dvc(settings, folder)
    assert remote()["credentialpath"] == str(folder / "aws_credentials")
    reset_dvc()
    assert "credentialpath" not in remote()
