"""Whether a service answers. Each check returns None when it does, else what is missing in a few words."""

import json
import urllib.error
import urllib.request

import psycopg2

TIMEOUT = 5.0  # seconds


def answers(url: str) -> str | None:
    """Ask a page that says with status 200 that all is well."""
    return _get(url)[1]


def has_workers(url: str, number: int) -> str | None:
    """Ask Spark's master how many workers are alive."""
    content, wrong = _get(url)
    if wrong:
        return wrong
    alive = json.loads(content)["aliveworkers"]
    return None if alive >= number else f"{alive} of {number} workers are alive"


def logs_in(uri: str) -> str | None:
    """Connect to PostgreSQL."""
    try:
        psycopg2.connect(uri, connect_timeout=int(TIMEOUT)).close()
    except psycopg2.OperationalError as error:
        return str(error).strip().splitlines()[-1]
    return None


def _get(url: str) -> tuple[str, str | None]:
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT) as answer:
            return answer.read().decode(), None
    except urllib.error.HTTPError as error:
        with error:
            return "", f"{url} answers {error.code} {error.reason}"
    except OSError as error:
        return "", f"{url} does not answer ({getattr(error, 'reason', error)})"
