"""Write the file that holds Spark's secret: master, workers and driver refuse everyone who does not know it."""

import re
import secrets
from pathlib import Path

from churn.stack.private_files import write_private

SECRET = "spark.authenticate.secret"


def write_spark_login(master: str, path: Path) -> None:
    """Write Spark's properties for this master, with a random secret that stays the same."""
    known = re.search(rf"^{re.escape(SECRET)} (\S+)$", path.read_text(), re.MULTILINE) if path.exists() else None
    properties = {
        # The driver uses this file with no other master.
        "spark.master": master,
        "spark.authenticate": "true",
        "spark.network.crypto.enabled": "true",
        SECRET: known[1] if known else secrets.token_urlsafe(32),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_private(path, "".join(f"{name} {value}\n" for name, value in properties.items()))
