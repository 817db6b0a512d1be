"""The result of drift detection in a few words."""

from typing import Any


def describe_drift(drift: dict[str, Any]) -> str:
    """Return the verdict and the share of drifted columns, or why drift was not measured.

    Parameters
    ----------
    drift : dict
        The content of metrics/detect_drift.json.
    """
    if "drift_share" not in drift:
        return f"not measured: {drift['reason']}" if "reason" in drift else "not measured"
    verdict = "detected" if drift["drift_detected"] else "none"
    return f"{verdict}; {drift['drift_share']:.0%} of the columns drifted"
