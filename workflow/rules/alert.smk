# Report the outcome of a run: at the terminal, and to CHURN_NOTIFY_URLS if it is set.

from churn.alerts.channels import has_undelivered
from churn.alerts.failure import explain_failure, send_failure
from churn.deliveries.inbox_layout import inbox_folder, read_rejected

ALERTS = (
    ["reports/release/send_alert.json"] if os.environ.get("CHURN_NOTIFY_URLS") else []
)


rule send_alert:
    input:
        (
            fresh.release(
                "send_alert",
                uses=[
                    "reports/release/evaluation.json",
                    "reports/release/promote_model.json",
                    "reports/release/publish_drift_report.json",
                    "metrics/detect_drift.json",
                    f"metrics/build_features/{DROPS[-1]}.json",
                    f"reports/release/score_users/{SCORED}.json",
                    "scripts/send_alert.py",
                    "scripts/churn/alerts",
                    "scripts/churn/base",
                    "scripts/churn/deliveries/inbox_layout.py",
                    "scripts/churn/deliveries/regular_files.py",
                    "scripts/churn/drift/verdict.py",
                    "scripts/churn/evaluation",
                    "scripts/churn/release",
                ],
                makes=["reports/release/send_alert.json"],
                settings={"rejected": ", ".join(read_rejected(inbox_folder()))},
                lost=lambda: (
                    "a message was not delivered"
                    if has_undelivered(Path("reports/release/send_alert.json"))
                    else ""
                ),
            )
            if ALERTS
            else []
        ),
    output:
        update("reports/release/send_alert.json"),
    log:
        "logs/send_alert.log",
    benchmark:
        "logs/send_alert.tsv"
    conda:
        "../envs/pipeline.yaml"
    threads: 1
    resources:
        mem_mb=200,
    message:
        "Send the outcome of the run"
    shell:
        "python -m workflow.freshness release send_alert python scripts/send_alert.py --receipt {output} 2>&1 | tee {log} >&2"


onsuccess:
    fresh.print_summary()


onerror:
    if ALERTS:
        send_failure(
            [
                (job.name, explain_failure(job.log))
                for job in workflow.scheduler.failed
            ]
        )
