"""The real stack for tests: in a folder of its own, on free ports, used by one test at a time."""

import contextlib
import fcntl
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import boto3
from botocore.config import Config
from conftest import ENVIRONMENT, ROOT, free_port, run
from dotenv import dotenv_values

from churn.stack.manager import Manager
from churn.stack.settings import DEFAULTS, REGION

# Commands read `.env`, and find the MinIO that was built before the tests (make test-all).
FOUND = {"PYTHON_DOTENV_DISABLED": "0", "PATH": f"{ENVIRONMENT['PATH']}:{ROOT / '.tools'}"}

# A command must report within this time that a server is gone.
TIMEOUT_SECONDS = 60
# Every sign that shells, supervisor, Spark or Java could misread in the path of a repository.
FOLDER = 'días #1 ;x de año, 100% o\'brien "a"'


def s3_client(address: str, user: str, password: str):
    """Return a client of MinIO with one user's rights."""
    return boto3.client(
        "s3",
        endpoint_url=address,
        aws_access_key_id=user,
        aws_secret_access_key=password,
        region_name=REGION,
        config=Config(retries={"max_attempts": 1}),
    )


class Stack:
    """The stack of a repository."""

    def __init__(self, repository: Path) -> None:
        self.repository = repository
        self.manager = Manager(repository / ".stack")

    def create(self) -> None:
        """Choose free ports, and start the stack."""
        ports = "".join(f"{name}={free_port()}\n" for name in DEFAULTS if name.endswith("_PORT"))
        (self.repository / ".env").write_text(ports)
        self.up()

    def up(self) -> str:
        return self.run("python", "scripts", "up").stdout

    def down(self) -> str:
        return self.run("python", "scripts", "down").stdout

    @property
    def variables(self) -> dict[str, str]:
        """The content of `.env`."""
        return {name: value or "" for name, value in dotenv_values(self.repository / ".env").items()}

    def run(self, *command: object, fails: bool = False, cwd: Path | None = None, **environment: str):
        """Run a command in the repository; it finds the stack through `.env` only."""
        return run(*command, cwd=cwd or self.repository, fails=fails, **FOUND | environment)

    def open(self, *command: object, cwd: Path | None = None, **environment: str) -> subprocess.Popen:
        """Start a command in the repository, and return while it runs."""
        return subprocess.Popen(
            [str(part) for part in command],
            cwd=cwd or self.repository,
            env=ENVIRONMENT | FOUND | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    @contextlib.contextmanager
    def without(self, name: str) -> Iterator[None]:
        """Stop a service during the block."""
        self.manager.stop_service(name)
        try:
            yield
        finally:
            self.start(name)

    def start(self, name: str) -> None:
        self.manager.start_service(name)
        self.up()

    def s3(self):
        """Return a client with all rights: the pipeline's own user may not delete."""
        variables = DEFAULTS | self.variables
        return s3_client(variables["AWS_ENDPOINT_URL"], variables["MINIO_ROOT_USER"], variables["MINIO_ROOT_PASSWORD"])

    def objects(self, bucket: str) -> dict[str, bytes]:
        """Return all objects of a bucket."""
        s3 = self.s3()
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        keys = [item["Key"] for page in pages for item in page.get("Contents", [])]
        return {key: s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}


def clone(stack: Stack, target: Path) -> Path:
    """Clone the repository and copy its `.env`, as another user would."""
    run("git", "clone", "--quiet", stack.repository, target, cwd=target.parent)
    shutil.copy2(stack.repository / ".env", target / ".env")
    return target


def fails_soon(process: subprocess.Popen, named: str) -> None:
    """Check that a process fails in time, with a message that contains `named`."""
    began = time.monotonic()
    printed, _ = process.communicate(timeout=4 * TIMEOUT_SECONDS)
    took = time.monotonic() - began
    print(f"{took:.0f} s\n{printed}")
    assert process.returncode != 0 and named in printed and "Traceback" not in printed, printed
    assert took < TIMEOUT_SECONDS, f"{took:.0f} s\n{printed}"


@contextlib.contextmanager
def share_stack(base: Path, repository: Path) -> Iterator[Stack]:
    """Yield a stack shared by all workers of the test run: the first starts it, the last stops it."""
    base.mkdir(exist_ok=True)
    stack = Stack(base / FOLDER)
    with _locked(base / "users.lock"):
        _count(base, +1, lambda: _begin(stack, repository))
    try:
        yield stack
    finally:
        with _locked(base / "users.lock"):
            _count(base, -1, stack.down)


def _begin(stack: Stack, repository: Path) -> None:
    if stack.repository.exists():
        stack.up()
    else:
        shutil.copytree(repository, stack.repository, symlinks=True)
        stack.create()


def _count(base: Path, change: int, act: Callable[[], object]) -> None:
    file = base / "users"
    before = int(file.read_text()) if file.exists() else 0
    if before == 0 or before + change == 0:
        act()
    file.write_text(str(before + change))


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def one_at_a_time(base: Path) -> contextlib.AbstractContextManager[None]:
    """Reserve the shared stack for one test."""
    return _locked(base / "test.lock")
