"""Send a test message to every address in CHURN_NOTIFY_URLS, as a failed run would.

Reads
    CHURN_NOTIFY_URLS
Writes
    one message to each address
"""

import argparse

from churn.alerts.failure import send_failure
from churn.base.command import run_command


def main() -> None:
    """Read the command line."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    send_failure([("a test", "this is a test message; nothing failed")])


if __name__ == "__main__":
    run_command(main)
