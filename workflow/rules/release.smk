# From the candidate to Production and its scores. No rule here is a DVC stage: `dvc repro` never touches the registry.

REGISTRY = {"MLFLOW_TRACKING_URI": tracking_uri()}


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
            ],
            makes=["reports/release/register_candidate.json"],
            settings=REGISTRY,
            lost=lambda: not knows_version(
                Path("reports/release/register_candidate.json")
            ),
        ),
    output:
        "reports/release/register_candidate.json",
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
                "models/candidate",
                "scripts/evaluate_candidate.py",
                "scripts/churn/base",
                "scripts/churn/evaluation",
                "scripts/churn/features/categories.py",
                "scripts/churn/features/table.py",
                "scripts/churn/release",
            ],
            makes=["reports/release/evaluation.json"],
            settings=REGISTRY
            | {
                "gates": str(params["evaluate_candidate"]),
                "CHURN_PROMOTION_MIN_DELTA": os.environ.get(
                    "CHURN_PROMOTION_MIN_DELTA", ""
                ),
            },
        ),
    output:
        report(
            "reports/release/evaluation.json",
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
        " --evaluation {output} > {log} 2>&1"


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
            settings=REGISTRY,
        ),
    output:
        "reports/release/promote_model.json",
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
            "score_users",
            uses=[
                "reports/release/promote_model.json",
                f"data/features/{DROPS[-1]}/churn_features.parquet",
                "scripts/score_users.py",
                "scripts/churn/base",
                "scripts/churn/release",
                "scripts/churn/scoring",
            ],
            makes=[
                f"data/scores/{DROPS[-1]}/scores.parquet",
                f"data/scores/{DROPS[-1]}/scores.csv",
            ],
            settings=REGISTRY,
        ),
    output:
        scores="data/scores/{drop}/scores.parquet",
        table=report(
            "data/scores/{drop}/scores.csv",
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
    message:
        "Score the users of {wildcards.drop} with the model in Production"
    shell:
        "python -m workflow.freshness release score_users python scripts/score_users.py"
        " --features data/features/{wildcards.drop}/churn_features.parquet --scores {output.scores} > {log} 2>&1"
