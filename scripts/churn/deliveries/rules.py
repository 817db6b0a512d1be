"""How deliveries are read and judged: params.yaml and data/mapping.yaml."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from churn.base.params import read_params
from churn.data.mapping import Mapping, read_mapping


@dataclass(frozen=True)
class Rules:
    """All of params.yaml, and how the files are written."""

    params: dict[str, Any]
    mapping: Mapping

    @property
    def refuses_doubtful(self) -> bool:
        """Whether a doubtful delivery is refused; otherwise its doubts are printed as warnings."""
        return bool(self.params["ingest"]["doubtful_deliveries"] == "refuse")


def read_rules(params: Path, mapping: Path) -> Rules:
    """Read both files; see `read_params` and `read_mapping` for the errors."""
    return Rules(read_params(params), read_mapping(mapping))
