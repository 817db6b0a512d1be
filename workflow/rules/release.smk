# From the candidate to Production and its scores. No rule here is a DVC stage: `dvc repro` never touches the registry.

from churn.release.branch import explain_other_branch
from churn.release.lookup import knows_version
from churn.release.moved import production_moved, scores_outdated

RECEIPTS = "reports/release"
EVALUATION = f"{RECEIPTS}/evaluation.json"
PROMOTION, SCORES = f"{RECEIPTS}/promote_model.json", f"{RECEIPTS}/score_users"
REGISTRY = {
    "MLFLOW_TRACKING_URI": hide_logins(tracking_uri()),
    "model": params["release"]["model"],
    "experiment": params["release"]["experiment"],
}
BRANCH = {"other branch": explain_other_branch(params["release"]["branch"])}
# `make score` names a drop, and perhaps a version; a run scores the newest drop with Production.
SCORED, VERSION = str(config.get("drop", DROPS[-1])), str(config.get("version", ""))
if SCORED not in DROPS:
    raise WorkflowError(
        f"DROP={SCORED} is not listed in data/drops.yaml; the newest are {', '.join(DROPS[-3:])}."
    )


rule register_candidate:
    input:
        fresh.release(
            "register_candidate",
            uses=[
                "data/training/train.parquet",
                "data/training/holdout.parquet",
                "metrics/build_training_set.json",
                "metrics/detect_drift.json",
                "metrics/train_model.json",
                "models/candidate",
                "plots/train_model",
                "reports/explainability",
                "reports/model_card.md",
                "scripts/register_candidate.py",
                "scripts/churn/base",
                "scripts/churn/release",
                "scripts/churn/scoring/scorer.py",
            ],
            makes=["reports/release/register_candidate.json"],
            settings=REGISTRY,
            lost=lambda: (
                ""
                if knows_version(Path(f"{RECEIPTS}/register_candidate.json"))
                else "its version is gone from the registry"
            ),
        ),
    output:
        update("reports/release/register_candidate.json"),
    log:
        "logs/register_candidate.log",
    benchmark:
        "logs/register_candidate.tsv"
    conda:
        "../envs/pipeline.yaml"
    threads: 1
    resources:
        mem_mb=1000,
    message:
        "Register the candidate in MLflow"
    shell:
        "python -m workflow.freshness release register_candidate python scripts/register_candidate.py --receipt {output} > {log} 2>&1"


rule evaluate_candidate:
    input:
        fresh.release(
            "evaluate_candidate",
            uses=[
                "reports/release/register_candidate.json",
                "data/training/holdout.parquet",
                "metrics/build_training_set.json",
                "models/candidate",
                "scripts/evaluate_candidate.py",
                "scripts/churn/base",
                "scripts/churn/evaluation",
                "scripts/churn/features/categories.py",
                "scripts/churn/features/table.py",
                "scripts/churn/release",
                "scripts/churn/scoring/scorer.py",
            ],
            makes=["reports/release/evaluation.json"],
            settings=REGISTRY
            | {
                "gates": str(params["evaluate_candidate"]),
                "CHURN_PROMOTION_MIN_DELTA": os.environ.get(
                    "CHURN_PROMOTION_MIN_DELTA", ""
                ),
            },
            lost=lambda: production_moved(Path(PROMOTION), Path(EVALUATION)),
        ),
    output:
        report(
            update("reports/release/evaluation.json"),
            caption="../report/evaluate_candidate.rst",
            category="Release",
            labels={"table": "decision and gates"},
        ),
    log:
        "logs/evaluate_candidate.log",
    benchmark:
        "logs/evaluate_candidate.tsv"
    conda:
        "../envs/pipeline.yaml"
    threads: 1
    resources:
        mem_mb=1000,
    message:
        "Compare the candidate with Production on the same holdout"
    shell:
        "python -m workflow.freshness release evaluate_candidate python scripts/evaluate_candidate.py"
        " --candidate reports/release/register_candidate.json --holdout data/training/holdout.parquet"
        " --training-set metrics/build_training_set.json --evaluation {output} > {log} 2>&1"


rule promote_model:
    input:
        fresh.release(
            "promote_model",
            uses=[
                "reports/release/evaluation.json",
                "scripts/promote_model.py",
                "scripts/churn/base",
                "scripts/churn/release",
            ],
            makes=["reports/release/promote_model.json"],
            settings=REGISTRY | BRANCH,
            lost=lambda: production_moved(Path(PROMOTION), Path(EVALUATION)),
        ),
    output:
        update("reports/release/promote_model.json"),
    log:
        "logs/promote_model.log",
    benchmark:
        "logs/promote_model.tsv"
    conda:
        "../envs/pipeline.yaml"
    threads: 1
    resources:
        mem_mb=500,
    message:
        "Promote the candidate, or record why it is not promoted"
    shell:
        "python -m workflow.freshness release promote_model python scripts/promote_model.py"
        " --evaluation reports/release/evaluation.json --receipt {output} > {log} 2>&1"


rule score_users:
    input:
        fresh.release(
            f"score_users@{SCORED}",
            uses=[
                *([] if "drop" in config else [PROMOTION]),
                f"data/features/{SCORED}/churn_features.parquet",
                f"metrics/build_features/{SCORED}.json",
                "scripts/score_users.py",
                "scripts/churn/base",
                "scripts/churn/release",
                "scripts/churn/scoring",
            ],
            makes=[f"{SCORES}/{SCORED}.json"],
            settings=REGISTRY | BRANCH | {"version": VERSION},
            lost=lambda: scores_outdated(Path(f"{SCORES}/{SCORED}.json"), VERSION),
        ),
    output:
        report(
            update("reports/release/score_users/{drop}.json"),
            caption="../report/score_users.rst",
            category="Release",
            labels={"table": "scores of {drop}"},
        ),
    log:
        "logs/score_users/{drop}.log",
    benchmark:
        "logs/score_users/{drop}.tsv"
    conda:
        "../envs/pipeline.yaml"
    threads: 1
    resources:
        mem_mb=1000,
    params:
        version=VERSION,
    message:
        "Score the users of {wildcards.drop}"
    shell:
        "python -m workflow.freshness release score_users@{wildcards.drop} python scripts/score_users.py"
        " --features data/features/{wildcards.drop}/churn_features.parquet"
        " --meaning metrics/build_features/{wildcards.drop}.json --drops data/drops.yaml"
        " --scores data/scores/{wildcards.drop}/scores.parquet --receipt {output} --version={params.version:q} > {log} 2>&1"
