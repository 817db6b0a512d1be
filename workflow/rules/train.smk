# From the training set to the candidate, its explanation and its model card.


rule train_model:
    input:
        fresh.stage("train_model"),
    output:
        model=directory("models/candidate"),
        plots=report(
            directory("plots/train_model"),
            patterns=["{name}.png"],
            caption="../report/train_model_plots.rst",
            category="Model",
            labels={"figure": "{name}"},
        ),
        metrics=report(
            update("metrics/train_model.json"),
            caption="../report/train_model.rst",
            category="Model",
            labels={"figure": "metrics of training"},
        ),
    log:
        "logs/train_model.log",
    benchmark:
        "logs/train_model.tsv"
    priority: 1
    conda:
        "../envs/pipeline.yaml"
    threads: 1
    resources:
        mem_mb=4000,
    message:
        "Train the candidate on Spark"
    shell:
        "python -m workflow.freshness stage train_model > {log} 2>&1"


rule explain_model:
    input:
        fresh.stage("explain_model"),
    output:
        report=report(
            directory("reports/explainability"),
            patterns=["{name}.png", "{name}.json"],
            caption="../report/explain_model.rst",
            category="Explanation",
            labels={"figure": "{name}"},
        ),
    log:
        "logs/explain_model.log",
    benchmark:
        "logs/explain_model.tsv"
    conda:
        "../envs/pipeline.yaml"
    threads: 1
    resources:
        mem_mb=2000,
    message:
        "Explain the candidate with SHAP"
    shell:
        "python -m workflow.freshness stage explain_model > {log} 2>&1"


rule write_model_card:
    input:
        fresh.stage("write_model_card"),
    output:
        report(
            "reports/model_card.md",
            caption="../report/write_model_card.rst",
            category="Model",
            labels={"figure": "model card"},
        ),
    log:
        "logs/write_model_card.log",
    benchmark:
        "logs/write_model_card.tsv"
    conda:
        "../envs/pipeline.yaml"
    threads: 1
    resources:
        mem_mb=200,
    message:
        "Write the candidate's model card"
    shell:
        "python -m workflow.freshness stage write_model_card > {log} 2>&1"
