"""Run the stages of dvc.yaml in parallel, then the release steps: from weekly CSV files to a churn model in use."""

import os
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.utils import min_version

min_version("9.0")
sys.path[:0] = [f"{workflow.basedir}/scripts", workflow.basedir]

from churn.base.command import UserError, describe, load_environment
from churn.base.drops import read_drops, update_list
from churn.base.params import read_params
from churn.release.registry import tracking_uri
from workflow.freshness import Freshness

try:
    load_environment()
    params = read_params(Path("params.yaml"))
    update_list(Path("data/drops.yaml"))
    DROPS = [str(drop) for drop in read_drops(Path("data/drops.yaml"))]
except (UserError, OSError) as error:
    raise WorkflowError(describe(error))

config.setdefault("pull", os.environ.get("CHURN_PULL", ""))
fresh = Freshness(workflow, hint="make pull, or CHURN_PULL=1; for the demo: make demo")


wildcard_constraints:
    drop=r"\d{4}-\d{2}-\d{2}",


include: "workflow/rules/prepare.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/monitor.smk"
include: "workflow/rules/release.smk"
include: "workflow/rules/alert.smk"


rule all:
    default_target: True
    input:
        "reports/release/promote_model.json",
        "reports/release/publish_drift_report.json",
        f"reports/release/score_users/{SCORED}.json",
        ALERTS,
