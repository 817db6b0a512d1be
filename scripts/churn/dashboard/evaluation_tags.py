"""What evaluate_candidate has found of a version, from the version's tags."""

import json

from churn.dashboard.record import Version


def read_gates(version: Version) -> list[dict[str, str]]:
    """Return a record for each gate: its name, the value, the limit, and whether it was passed; none when unknown."""
    try:
        gates = json.loads(version.tags.get("evaluation", "{}")).get("gates", [])
        return [
            {
                "gate": gate["gate"],
                "value": f"{gate['value']:.4f}",
                "limit": f"{gate['limit']:g}",
                "verdict": "passed" if gate["passed"] else "failed",
            }
            for gate in gates
        ]
    # Written by hand, or cut off by a store that keeps shorter tags.
    except (ValueError, KeyError, TypeError, AttributeError):
        return []
