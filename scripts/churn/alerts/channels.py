"""Send short messages with Apprise to the addresses in CHURN_NOTIFY_URLS.

The addresses contain tokens and passwords: no function here prints, stores or raises one. A service is named by its
type and its position in the list.
"""

import logging
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from churn.base.command import UserError
from churn.base.reading import read_json

if TYPE_CHECKING:
    from apprise import NotifyBase

VARIABLE = "CHURN_NOTIFY_URLS"
TIMEOUT_SECONDS = 30  # for each service
UNKNOWN = "unknown"


def send_message(
    title: str, lines: list[str], kind: str, earlier: Iterable[dict[str, Any]] = ()
) -> list[dict[str, Any]]:
    """Send one message to each service that has not received it; print a warning for each delivery that fails.

    Parameters
    ----------
    title, lines : str, list of str
        The message.
    kind : str
        Apprise's type of message: info, success, warning or failure.
    earlier : iterable of dict
        The result of an earlier call for the same message.

    Returns
    -------
    list of dict
        For each address, in order: `service` (its type; "unknown" if Apprise cannot use the address), `delivered`.
    """
    from apprise import Apprise, NotifyFormat

    results, known = [], list(earlier)
    for number, service in enumerate(open_services()):
        result: dict[str, Any] = {"service": name_service(service), "delivered": True}
        if result not in known[number : number + 1]:
            sender = Apprise()
            result["delivered"] = bool(
                service
                and sender.add(service)
                and sender.notify("\n".join(lines), title, kind, NotifyFormat.TEXT, timeout=TIMEOUT_SECONDS)
            )
        results.append(result)
        if not result["delivered"]:
            print(f"WARNING: {explain(result['service'], number + 1)}", flush=True)
    return results


def open_services() -> "list[NotifyBase | None]":
    """Return the service of each address (separated by blanks or commas), None for one that Apprise cannot use."""
    from apprise import Apprise
    from apprise.utils.parse import parse_urls

    # At its more verbose levels, Apprise logs parts of the addresses.
    logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)
    # Word by word: Apprise silently drops a malformed address next to a valid one.
    words = os.environ.get(VARIABLE, "").split()
    return [Apprise.instantiate(url) for word in words for url in parse_urls(word.strip(",;"))]  # type: ignore[no-untyped-call]


def name_service(service: "NotifyBase | None") -> str:
    """Return the type of a service."""
    return str(service.service_name) if service else UNKNOWN


def explain(service: str, number: int) -> str:
    """Return why a service did not receive a message."""
    where = f"address {number} of {VARIABLE}"
    if service == UNKNOWN:
        return f"Apprise cannot use {where}. Examples: json://host/path, mailto://user:password@host."
    return f"{service} ({where}) did not accept the message."


def read_receipt(path: Path) -> dict[str, Any] | None:
    """Return the receipt of the last message, None if there is none that can be read."""
    if not path.exists():
        return None
    try:
        receipt: dict[str, Any] = read_json(path)
    except UserError:
        return None
    # Older receipts name the field `told`.
    receipt["services"] = [
        {"service": one["service"], "delivered": one.get("delivered", one.get("told", False))}
        for one in receipt["services"]
    ]
    return receipt


def has_undelivered(path: Path) -> bool:
    """Return whether a service has not received the message of a receipt; a damaged receipt does not say so."""
    receipt = read_receipt(path)
    if receipt is None:
        return path.exists()
    return not all(one["delivered"] for one in receipt["services"])
