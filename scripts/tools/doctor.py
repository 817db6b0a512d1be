"""Check what the pipeline needs on this machine and from its servers; print a table, and how to fix each fault.

Reads
    this machine, .env and the environment, and the servers named there: S3, MLflow, Spark, alerts
Writes
    one small object in the bucket churn-dvc, which is deleted again
"""

import argparse
import os
import re
import secrets
import shutil
import stat
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from packaging.requirements import Requirement

from churn.alerts.channels import UNKNOWN, VARIABLE, explain, name_service, open_services
from churn.base.addresses import hide_logins
from churn.base.command import ENV_FILE, UserError, run_command
from churn.engines.spark.cluster import CLUSTER, check_master
from churn.engines.spark.java import find_java, java_version
from churn.release.causes import explain_cause
from churn.release.loading import load_version
from churn.release.names import model_name
from churn.release.registry import (
    PRODUCTION,
    aliased_version,
    open_registry,
    sqlite_file,
    tracking_uri,
)
from churn.release.relocation import artifact_folder
from churn.stack.buckets import open_s3
from churn.stack.checks import check_workers
from churn.stack.listen import LOCAL
from churn.stack.remote_objects import describe, find_missing
from churn.stack.settings import DVC_BUCKET, read_settings

LOCK = Path("requirements.lock")
# Needed for a first run of the demo with the stack.
FREE_GIGABYTES = 5


class FaultError(UserError):
    """What is wrong, and how to fix it."""

    def __init__(self, found: str, fix: str) -> None:
        super().__init__(found)
        self.fix = fix


def check_python() -> str:
    """Return the version of Python; make install refuses one that is too old."""
    return f"{'.'.join(map(str, sys.version_info[:3]))} ({sys.executable})"


def check_packages() -> str:
    """Compare the installed packages with requirements.lock."""
    wrong = []
    for line in re.findall(r"^[\w.-]+(?:\[.+?\])?==.+?(?= \\$)", LOCK.read_text(), re.MULTILINE):
        required = Requirement(line)
        # Packages for other systems or Python versions are not needed here.
        if required.marker is None or required.marker.evaluate():
            found = installed(required.name)
            if not required.specifier.contains(found or "0", prereleases=True):
                wrong.append(f"{required.name} {found or 'missing'} instead of {required.specifier}")
    if wrong:
        more = f" and {len(wrong) - 2} more" if len(wrong) > 2 else ""
        raise FaultError("; ".join(wrong[:2]) + more, "rm .venv/requirements.lock; make install")
    return ", ".join(f"{name} {version(name)}" for name in ("dvc", "snakemake", "pyspark", "mlflow"))


def installed(name: str) -> str | None:
    """Return a package's version, None if it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def check_java() -> str:
    """Find a Java that Spark can use."""
    try:
        java = find_java()
    except UserError as error:
        raise FaultError(str(error).split(". ")[0], "set JAVA_HOME to a JDK 17 or 21, or: make install") from None
    return f"{java_version(java)} ({java})"


def check_disk() -> str:
    """Check the free space for data, cache and logs."""
    free = shutil.disk_usage(Path.cwd()).free / 1e9
    if free < FREE_GIGABYTES:
        raise FaultError(
            f"{free:.1f} GB free here", f"free some space: {FREE_GIGABYTES} GB are needed; docs/guides/operations.md"
        )
    return f"{free:.0f} GB free here"


def check_secrets() -> str:
    """Check who may read the logins."""
    if not ENV_FILE.exists():
        return "no .env: everything runs on this machine"
    mode = stat.S_IMODE(ENV_FILE.stat().st_mode)
    if mode & 0o077:
        raise FaultError(f"others may read {ENV_FILE} (mode {mode:o})", f"chmod 600 {ENV_FILE}")
    return f"only its owner may read {ENV_FILE}"


def check_s3() -> str:
    """Write an object, read it, compare it, and delete it."""
    if not (address := os.environ.get("AWS_ENDPOINT_URL")):
        return "not used: AWS_ENDPOINT_URL is not set"
    key, content = f"doctor/{secrets.token_hex(8)}", secrets.token_bytes(1_000)
    try:
        with open_s3() as s3:
            # The server verifies the client's checksum and returns it, and the client verifies it again.
            written = s3.put_object(Bucket=DVC_BUCKET, Key=key, Body=content, ChecksumAlgorithm="SHA256")
            read = s3.get_object(Bucket=DVC_BUCKET, Key=key, ChecksumMode="ENABLED")["Body"].read()
            s3.delete_object(Bucket=DVC_BUCKET, Key=key, **_version_of(written))
    except UserError as error:
        fix = "make up; or correct AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY in .env"
        if "checksum" in str(error).lower():
            fix = "an older server: set AWS_REQUEST_CHECKSUM_CALCULATION=WHEN_REQUIRED in .env"
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            used = os.environ.get("AWS_CA_BUNDLE", "not set")
            fix = f"AWS_CA_BUNDLE must name the server's authority, and is {used}: the environment wins over .env"
        raise FaultError(str(error).split(" Check that")[0], fix) from None
    if read != content:
        raise FaultError(f"{hide_logins(address)} returned different bytes", "do not use that server")
    return f"{hide_logins(address)}: written, read, checksum correct"


def check_remote() -> str:
    """Check that the DVC remote holds every object of the last commit."""
    if not os.environ.get("AWS_ENDPOINT_URL"):
        return "not used: AWS_ENDPOINT_URL is not set"
    try:
        number, missing = find_missing()
    except UserError as error:
        raise FaultError(str(error).split(" Check that")[0], "correct the line S3 first") from None
    if len(missing) == number:
        return "nothing was pushed yet: make push"
    if missing:
        found = f"{len(missing)} of the last commit's {number} objects are missing or changed: {describe(missing)}"
        raise FaultError(found, "make push, in a clone that has them")
    return f"all {number} objects of the last commit"


def check_mlflow() -> str:
    """Log in and count the experiments."""
    uri = tracking_uri()
    if (database := sqlite_file(uri)) and not database.exists():
        return f"{hide_logins(uri)}: not created yet"
    try:
        with open_registry() as client:
            found = client.search_experiments()
    except UserError as error:
        fix = "make up; or correct MLFLOW_TRACKING_URI, MLFLOW_TRACKING_USERNAME, MLFLOW_TRACKING_PASSWORD in .env"
        raise FaultError(str(error).split(" Check MLFLOW")[0], fix) from None
    return f"{hide_logins(uri)}: {len(found)} experiment{'s' * (len(found) != 1)}"


def check_production() -> str:
    """Load the model in Production, as the next run will."""
    uri = tracking_uri()
    if (database := sqlite_file(uri)) and not database.exists():
        return f"no version of {model_name()} yet"
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    try:
        with open_registry() as client:
            production = aliased_version(client, PRODUCTION)
            source = client.get_model_version_download_uri(model_name(), str(production.version)) if production else ""
    except UserError as error:
        raise FaultError(str(error).split(" Check MLFLOW")[0], "correct the line MLflow first") from None
    if production is None:
        return f"no version of {model_name()} is in Production yet"
    try:
        with open_registry():
            load_version(str(production.version))
    # Each artifact store (S3, the MLflow server, files) and an old model raise their own types of errors.
    except Exception as error:
        where = f"in the folder {artifact_folder(database)}" if database else "in the server's artifact store"
        raise FaultError(
            f"version {production.version} of {model_name()} cannot be loaded from {hide_logins(source)}: "
            f"{explain_cause(error.__cause__ or error)}",
            f'restore its files {where} from a backup; or: make rollback WHY="..."; or delete the alias '
            f"{PRODUCTION!r} in MLflow, and the next run promotes a candidate",
        ) from None
    return f"version {production.version} of {model_name()} can be loaded"


def check_spark() -> str:
    """Check a cluster's master and, if it is the stack's, its workers."""
    master = os.environ.get("SPARK_MASTER") or "local[2]"
    if not master.startswith(CLUSTER):
        return f"{master}: on this machine"
    settings = read_settings()
    try:
        check_master(master)
        page = f"http://{LOCAL}:{settings['CHURN_SPARK_UI_PORT']}/json/"
        if settings.is_managed("SPARK_MASTER") and (wrong := check_workers(page, 1)):
            raise UserError(f"{master}: {wrong}")
    except UserError as error:
        raise FaultError(str(error).split(". ")[0], "make up; or correct SPARK_MASTER in .env") from None
    return f"{master} answers"


def check_alerts() -> str:
    """Check whether Apprise can use each address; nothing is sent."""
    kinds = [name_service(service) for service in open_services()]
    if UNKNOWN in kinds:
        fix = f"correct {VARIABLE} in .env (docs/guides/alerts.md)"
        raise FaultError(explain(UNKNOWN, kinds.index(UNKNOWN) + 1), fix)
    return ", ".join(kinds) or f"not used: {VARIABLE} is not set"


CHECKS: dict[str, Callable[[], str]] = {
    "Python": check_python,
    "Packages": check_packages,
    "Java": check_java,
    "Disk": check_disk,
    "Logins": check_secrets,
    "S3": check_s3,
    "Remote": check_remote,
    "MLflow": check_mlflow,
    "Production": check_production,
    "Spark": check_spark,
    "Alerts": check_alerts,
}


def examine() -> tuple[list[tuple[str, str, str]], int]:
    """Return a row for each check (name, state, result; for a fault also the fix), and the number of faults."""
    rows, faults = [], 0
    for name, check in CHECKS.items():
        try:
            rows.append((name, "ok", check()))
        except FaultError as fault:
            faults += 1
            rows += [(name, "FAULT", str(fault)), ("", "fix", fault.fix)]
    return rows, faults


def _version_of(written: dict) -> dict[str, str]:
    return {"VersionId": written["VersionId"]} if "VersionId" in written else {}


def main() -> None:
    """Read the command line."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    rows, faults = examine()
    for name, state, text in rows:
        print(f"{name:<12}{state:<7}{hide_logins(text)}")
    if faults:
        raise UserError(f"{faults} fault{'s' * (faults != 1)}; each line `fix` says what to do.")


if __name__ == "__main__":
    run_command(main)
