"""Find the `minio` program on PATH or in .tools/, or build it with Go."""

import os
import shutil
import subprocess
from pathlib import Path

from churn.base.command import UserError

TOOLS = Path(".tools")
MODULE = "github.com/minio/minio"
# RELEASE.2026-02-12, the last release of the community edition.
VERSION = "v0.0.0-20260212201848-7aac2a2c5b7c"
GO_FOLDERS = ("/usr/local/go/bin", "/opt/homebrew/bin")


def find_minio() -> Path | None:
    """Return the path of `minio`, or None when it is not installed."""
    found = shutil.which("minio", path=os.pathsep.join((os.environ.get("PATH", ""), str(TOOLS.absolute()))))
    return Path(found) if found else None


def install_minio() -> Path:
    """Return the path of `minio`; build it into .tools/ if it is not installed (about three minutes on two cores).

    Raises
    ------
    UserError
        When neither `minio` nor Go is installed, or the build fails.
    """
    if found := find_minio():
        return found
    go = shutil.which("go", path=os.pathsep.join((os.environ.get("PATH", ""), *GO_FOLDERS)))
    if go is None:
        raise UserError(
            "Neither MinIO nor Go, which builds it, is installed. Install `minio`, or Go 1.24 or newer "
            "(https://go.dev/dl), or use your own S3 server: set AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY in .env."
        )
    print(f"Building MinIO {VERSION} into {TOOLS}/ (only this once, about three minutes) ...", flush=True)
    TOOLS.mkdir(exist_ok=True)
    environment = os.environ | {"GOBIN": str(TOOLS.absolute())}
    built = subprocess.run(
        [go, "install", f"{MODULE}@{VERSION}"], env=environment, capture_output=True, text=True, check=False
    )
    if built.returncode:
        output = "\n".join(built.stderr.strip().splitlines()[-5:])
        raise UserError(f"Go could not build {MODULE}@{VERSION}:\n{output}\nFix that, or install `minio` yourself.")
    return TOOLS.absolute() / "minio"
