"""Send one alert per outcome: promoted or skipped, drift, rejected deliveries.

Reads
    CHURN_NOTIFY_URLS: the receivers' addresses, in Apprise's form
    evaluation.json, promote_model.json, publish_drift_report.json, metrics/detect_drift.json,
    metrics/build_features/<drop>.json; the reasons of rejected deliveries in the inbox
Writes
    one message to each address, unless it has the same outcome already
    send_alert.json: title, outcome, rejected, services (service, delivered)
"""

import argparse
import os
from pathlib import Path
from typing import Any

from churn.alerts.channels import VARIABLE, read_receipt, send_message
from churn.alerts.summary import describe_drift_and_alarms, describe_model, read_result
from churn.base.addresses import hide_logins
from churn.base.command import UserError, run_command
from churn.base.files import write_json
from churn.deliveries.inbox_layout import inbox_folder, read_rejected
from churn.release.names import model_name
from churn.release.provenance import current_commit
from churn.release.registry import tracking_uri

# The decisions after which a person has something to decide.
WAITING = ("held", "not comparable")


def send_alert(root: Path, inbox: Path, receipt: Path) -> None:
    """Send what is new, or resend what a service did not accept last time; write the receipt.

    A failed delivery is a warning, and is tried again on the next run.

    Parameters
    ----------
    root : Path
        The repository's folder.
    inbox : Path
        The folder in which deliveries arrive.
    receipt : Path
        JSON file; the last run's receipt says what was delivered.

    Raises
    ------
    UserError
        When CHURN_NOTIFY_URLS is not set, or the pipeline has not finished.
    """
    if not os.environ.get(VARIABLE):
        raise UserError(f"{VARIABLE} is not set, so there is no receiver. Set it in .env, as .env.example explains.")
    results = {
        "evaluation": read_result(root / "reports/release/evaluation.json"),
        "promotion": read_result(root / "reports/release/promote_model.json"),
        "published": read_result(root / "reports/release/publish_drift_report.json"),
        "drift": read_result(root / "metrics/detect_drift.json"),
    }
    outcome, rejected = describe_outcome(results), read_rejected(inbox)
    last = read_receipt(receipt) or {"outcome": None, "rejected": []}
    new = {name: reason for name, reason in rejected.items() if name not in last["rejected"]}
    if outcome == last["outcome"] and not new:
        # Nothing new: only the services that did not accept the last message get it again.
        title, lines, kind = last["title"], last["lines"], last["kind"]
        services = send_message(title, lines, kind, last["services"])
    else:
        users = read_result(root / f"metrics/build_features/{outcome['drop']}.json")["payers"]
        title, lines, kind = write_message(results, users, new)
        services = send_message(title, lines, kind)
    content = {"title": title, "lines": lines, "kind": kind, "outcome": outcome, "rejected": list(rejected)}
    write_json(content | {"services": services}, receipt, durable=True)
    delivered = [one["service"] for one in services if one["delivered"]]
    print(f"{title}: delivered to {', '.join(delivered) or 'nobody'}")


def describe_outcome(results: dict[str, Any]) -> dict[str, Any]:
    """Return what identifies an outcome: drop, candidate, Production, drift. If it changes, a message is sent."""
    promotion, drift = results["promotion"], results["drift"]
    return {
        "drop": drift["current_drop"],
        "candidate_version": promotion["candidate_version"],
        "production_version": promotion["production_version"],
        "drift_detected": drift.get("drift_detected"),
        "drifted_columns": drift.get("drifted_columns"),
        "alarms": drift.get("alarms", []),
        # Only these: after a promotion the next run finds the candidate in Production, which is no news.
        **({"waits": promotion["decision"]} if promotion["decision"] in WAITING else {}),
    }


def write_message(results: dict, users: int, rejected: dict[str, str]) -> tuple[str, list[str], str]:
    """Return the title, the lines and the kind of the message.

    Parameters
    ----------
    results : dict
        The content of the steps' JSON files.
    users : int
        Number of paying users in the newest drop.
    rejected : dict
        The reason of each rejected delivery that no message has named yet.
    """
    evaluation, promotion, drift = results["evaluation"], results["promotion"], results["drift"]
    alarmed = bool(drift.get("drift_detected") or drift.get("alarms"))
    words = [promotion["decision"], *["drift"] * alarmed, *["rejected delivery"] * bool(rejected)]
    before = evaluation["production"]
    lines = [
        promotion["reason"],
        f"Candidate: {describe_model(evaluation['candidate'])}",
        f"Production: {describe_model(before) if before else 'none'} before this run; "
        f"{'version ' + promotion['production_version'] if promotion['production_version'] else 'none'} now",
        f"Drift: {describe_drift_and_alarms(drift)}{list_columns(drift)}",
        f"Users: {users:,} pay in drop {drift['current_drop']}",
        *(f"Rejected delivery {name}: {reason}" for name, reason in rejected.items()),
        f"Drift report: {results['published']['uri']}",
        *link_version(promotion["candidate_version"]),
        f"Commit: {current_commit()[:7]}",
    ]
    kind = "warning" if alarmed or rejected else "success" if promotion["decision"] == "promote" else "info"
    return f"{model_name()}: {', '.join(words)} (drop {drift['current_drop']})", list(map(hide_logins, lines)), kind


def list_columns(drift: dict[str, Any]) -> str:
    """Return the drifted columns in brackets, "" if no column drifted."""
    columns = drift.get("drifted_columns")
    return f" ({', '.join(columns)})" if columns else ""


def link_version(version: str) -> list[str]:
    """Return a line with a link to the candidate if MLflow is a server, otherwise no line."""
    uri = tracking_uri()
    return [f"MLflow: {uri.rstrip('/')}/#/models/{model_name()}/versions/{version}"] if uri.startswith("http") else []


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, default=Path(), help="the repository's folder; default: here")
    parser.add_argument("--receipt", type=Path, required=True, help="JSON file to write")
    args = parser.parse_args()
    send_alert(args.root, inbox_folder(), args.receipt)


if __name__ == "__main__":
    run_command(main)
