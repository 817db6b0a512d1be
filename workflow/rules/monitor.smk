# Drift: compare each drop with those before it. In a first run, each waits for the drop before: they begin early.


from churn.base.addresses import hide_logins
from publish_drift_report import explain_loss


rule measure_drift:
    input:
        fresh.stage("measure_drift@{drop}"),
    output:
        sample=directory("data/drift/{drop}"),
        metrics=report(
            update("metrics/measure_drift/{drop}.json"),
            caption="../report/measure_drift.rst",
            category="Data",
            subcategory="measure_drift",
            labels={"drop": "{drop}", "table": "distances from the drops before it"},
        ),
    log:
        "logs/measure_drift/{drop}.log",
    benchmark:
        "logs/measure_drift/{drop}.tsv"
    priority: 2
    conda:
        "../envs/pipeline.yaml"
    threads: 1
    resources:
        mem_mb=1000,
    message:
        "Measure how far {wildcards.drop} is from the drops before it"
    shell:
        "nice -n 19 python -m workflow.freshness stage measure_drift@{wildcards.drop} > {log} 2>&1"


rule detect_drift:
    input:
        fresh.stage("detect_drift"),
    output:
        report=directory("reports/drift"),
        plots=report(
            directory("plots/detect_drift"),
            patterns=["{name}.png"],
            caption="../report/detect_drift_plots.rst",
            category="Drift",
            labels={"figure": "{name}"},
        ),
        metrics=report(
            update("metrics/detect_drift.json"),
            caption="../report/detect_drift.rst",
            category="Drift",
            labels={"figure": "measures and alarms"},
        ),
    log:
        "logs/detect_drift.log",
    benchmark:
        "logs/detect_drift.tsv"
    conda:
        "../envs/pipeline.yaml"
    threads: 1
    resources:
        mem_mb=2000,
    message:
        "Hold the drift of every drop against its limits"
    shell:
        "nice -n 19 python -m workflow.freshness stage detect_drift > {log} 2>&1"


rule publish_drift_report:
    input:
        fresh.release(
            "publish_drift_report",
            uses=[
                "reports/drift",
                "scripts/publish_drift_report.py",
                "scripts/churn/base",
            ],
            makes=["reports/release/publish_drift_report.json"],
            settings={
                "DRIFT_REPORT_URI": hide_logins(os.environ.get("DRIFT_REPORT_URI", ""))
            },
            lost=lambda: explain_loss(
                Path("reports/release/publish_drift_report.json")
            ),
        ),
    output:
        update("reports/release/publish_drift_report.json"),
    log:
        "logs/publish_drift_report.log",
    benchmark:
        "logs/publish_drift_report.tsv"
    conda:
        "../envs/pipeline.yaml"
    threads: 1
    resources:
        mem_mb=1000,
    message:
        "Publish the drift report"
    shell:
        "python -m workflow.freshness release publish_drift_report python scripts/publish_drift_report.py"
        " --report reports/drift --receipt {output} > {log} 2>&1"
