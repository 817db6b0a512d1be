"""The rules that tests ingest with: their deliveries have a few rows, which is doubtful."""

from pathlib import Path

import yaml
from conftest import ROOT

from churn.base.params import read_params
from churn.data.mapping import Mapping
from churn.deliveries.rules import Rules

PARAMS = read_params(ROOT / "params.yaml")
WARN = PARAMS | {
    "ingest": PARAMS["ingest"] | {"doubtful_deliveries": "warn"},
    "build_user_base": PARAMS["build_user_base"] | {"max_reject_share": 0.5},
}
RULES = Rules(WARN, Mapping())


def write_rules(root: Path) -> None:
    """Write params.yaml with these rules."""
    (root / "params.yaml").write_text(yaml.safe_dump(WARN))
