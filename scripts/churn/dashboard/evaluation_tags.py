"""Read the results of evaluate_candidate from the tags of a version."""

import json

from churn.dashboard.record import Version


def read_gates(version: Version) -> list[dict[str, str]]:
    """Return a record for each gate: its name, value, limit and verdict. The list is empty when they are unknown."""
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
    # Edited by hand, or truncated by a store that limits the length of tags.
    except (ValueError, KeyError, TypeError, AttributeError):
        return []
