# From the five CSV files of each drop to the training set. Jobs that training waits for have priority.

from churn.base.drops import parse_drop
from churn.features.coverage import list_tables


rule track_drop:
    input:
        fresh.stage("data/raw/{drop}.dvc"),
    output:
        update("data/raw/{drop}.dvc"),
    log:
        "logs/track_drop/{drop}.log",
    benchmark:
        "logs/track_drop/{drop}.tsv"
    conda:
        "../envs/pipeline.yaml"
    threads: 1
    resources:
        mem_mb=500,
    message:
        "Update the DVC file of {wildcards.drop}, which was edited"
    shell:
        "python -m workflow.freshness stage data/raw/{wildcards.drop}.dvc > {log} 2>&1"


rule clean_payments:
    input:
        fresh.stage("clean_payments@{drop}"),
    output:
        clean=directory("data/clean/{drop}/payments_clean.parquet"),
        rejects="data/clean/{drop}/payments_rejects.parquet",
        metrics=report(
            update("metrics/clean_payments/{drop}.json"),
            caption="../report/clean_payments.rst",
            category="Data",
            subcategory="clean_payments",
            labels={"drop": "{drop}", "table": "payments kept and rejected"},
        ),
    log:
        "logs/clean_payments/{drop}.log",
    benchmark:
        "logs/clean_payments/{drop}.tsv"
    priority: 1
    conda:
        "../envs/pipeline.yaml"
    threads: 1
    resources:
        mem_mb=1000,
    message:
        "Clean the payments of {wildcards.drop}"
    shell:
        "python -m workflow.freshness stage clean_payments@{wildcards.drop} > {log} 2>&1"


rule build_user_base:
    input:
        fresh.stage("build_user_base@{drop}"),
    output:
        user_base=directory("data/clean/{drop}/user_base.parquet"),
        rejects="data/clean/{drop}/user_base_rejects.parquet",
        metrics=report(
            update("metrics/build_user_base/{drop}.json"),
            caption="../report/build_user_base.rst",
            category="Data",
            subcategory="build_user_base",
            labels={"drop": "{drop}", "table": "user rows kept and rejected"},
        ),
    log:
        "logs/build_user_base/{drop}.log",
    benchmark:
        "logs/build_user_base/{drop}.tsv"
    priority: 1
    conda:
        "../envs/pipeline.yaml"
    threads: 1
    resources:
        mem_mb=1000,
    message:
        "Clean and join the user files of {wildcards.drop}"
    shell:
        "python -m workflow.freshness stage build_user_base@{wildcards.drop} > {log} 2>&1"


rule build_features:
    input:
        fresh.stage("build_features@{drop}"),
    output:
        features=directory("data/features/{drop}/churn_features.parquet"),
        metrics=report(
            update("metrics/build_features/{drop}.json"),
            caption="../report/build_features.rst",
            category="Data",
            subcategory="build_features",
            labels={"drop": "{drop}", "table": "users of the features"},
        ),
    log:
        "logs/build_features/{drop}.log",
    benchmark:
        "logs/build_features/{drop}.tsv"
    priority: 1
    conda:
        "../envs/pipeline.yaml"
    threads: 1
    resources:
        mem_mb=1000,
    message:
        "Compute the features of {wildcards.drop}"
    shell:
        "python -m workflow.freshness stage build_features@{wildcards.drop} > {log} 2>&1"


rule build_training_set:
    input:
        fresh.stage(
            "build_training_set",
            reads=list_tables(
                Path("metrics/clean_payments"),
                [parse_drop(drop) for drop in DROPS],
                params["build_features"] | params["build_training_set"],
            ),
        ),
    output:
        train=directory("data/training/train.parquet"),
        holdout=directory("data/training/holdout.parquet"),
        metrics=report(
            update("metrics/build_training_set.json"),
            caption="../report/build_training_set.rst",
            category="Data",
            subcategory="build_training_set",
            labels={"drop": "all", "table": "training set and holdout"},
        ),
    log:
        "logs/build_training_set.log",
    benchmark:
        "logs/build_training_set.tsv"
    priority: 1
    conda:
        "../envs/pipeline.yaml"
    threads: 1
    resources:
        mem_mb=2000,
    message:
        "Build the training set and the holdout"
    shell:
        "python -m workflow.freshness stage build_training_set > {log} 2>&1"
