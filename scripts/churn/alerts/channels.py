"""Short messages to people, by Apprise, to the addresses in CHURN_NOTIFY_URLS.

The addresses hold tokens and passwords: nothing here prints, keeps or raises one. A service is named by its kind and
its place in the list.
"""

import json
import logging
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from apprise import NotifyBase

VARIABLE = "CHURN_NOTIFY_URLS"
TIMEOUT = 30  # seconds, for each service
UNKNOWN = "unknown"


def send_message(title: str, lines: list[str], kind: str, told: list[dict] = ()) -> list[dict]:
    """Send one message to each service that does not have it; warn of those that do not take it.

    Parameters
    ----------
    title, lines : str, list of str
        The message.
    kind : str
        Apprise's type of message: info, success, warning or failure.
    told : list of dict
        What an earlier call returned for the same message.

    Returns
    -------
    list of dict
        For each address, in order: `service` (its kind; "unknown" when Apprise cannot use the address), `told`.
    """
    from apprise import Apprise, NotifyFormat

    message = ("\n".join(lines), title, kind, NotifyFormat.TEXT)
    found = []
    for number, service in enumerate(open_services()):
        has_it, sender = {"service": name_service(service), "told": True}, Apprise()
        if has_it not in told[number : number + 1]:
            sent = service and sender.add(service) and sender.notify(*message, timeout=TIMEOUT)
            has_it["told"] = bool(sent)
        found.append(has_it)
        if not has_it["told"]:
            print(f"WARNING: {explain(has_it['service'], number + 1)}", flush=True)
    return found


def strip_logins(text: str) -> str:
    """Return a text without the logins that addresses in it hold."""
    return re.sub(r"(?<=://)[^/\s@]+@", "", text)


def open_services() -> "list[NotifyBase | None]":
    """Return the service of each address, which blanks or commas part; None for what Apprise cannot use."""
    from apprise import Apprise
    from apprise.utils.parse import parse_urls

    # At its louder levels Apprise tells parts of the addresses.
    logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)
    # Word by word: Apprise drops what is no address when it stands beside one.
    words = os.environ.get(VARIABLE, "").split()
    return [Apprise.instantiate(url) for word in words for url in parse_urls(word.strip(",;"))]


def name_service(service: "NotifyBase | None") -> str:
    """Return the kind of a service."""
    return str(service.service_name) if service else UNKNOWN


def explain(service: str, number: int) -> str:
    """Tell why a service does not have a message."""
    where = f"address {number} of {VARIABLE}"
    if service == UNKNOWN:
        return f"Apprise cannot use {where}. One looks like json://host/path, or mailto://user:password@host."
    return f"{service} ({where}) did not take the message."


def is_owed(receipt: Path) -> bool:
    """Tell whether a service still waits for the message of a receipt."""
    return receipt.exists() and not all(one["told"] for one in json.loads(receipt.read_text())["services"])
