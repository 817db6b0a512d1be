# `make run` is all that a new user needs; `make help` lists the rest.
.DEFAULT_GOAL := help
SHELL := /bin/sh
PYTHON ?= python3
CORES ?= all
USERS ?= 1000000
ENGINE ?= duckdb
ROWS ?= 20000
FAMILY ?= logistic_regression
BASE ?= main
# What `dvc exp show` is to leave out: all but the model's measures and the stages' parameters.
LESS := ^(?!Experiment|State|roc_auc$$|pr_auc$$|log_loss$$|ece$$|drift_share$$|engine|(clean|build|train|explain|detect)_\w+\.)
AT ?= 06:00
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: help install install-test install-docs install-notebook minio summary try-alert up down up-containers down-containers push pull migrate-store doctor dashboard notebook run demo ingest inbox schedule scheduled-run clear-demo why experiments plots compare report ledger rollback reproduce test test-all bench bench-model bench-drift bench-freshness lint docs words site rulegraph lock

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1 \t\2/p' Makefile | expand -t 24

# When nothing has changed, this costs no more than the comparison.
install: ## .venv with everything in requirements.lock; install-test, install-docs and install-notebook add theirs
install install-test install-docs install-notebook:
	@test -x .venv/bin/python && ! test -e .venv/installing && cmp -s requirements.lock .venv/requirements.lock && \
	  cmp -s requirements$(@:install%=%).lock .venv/requirements$(@:install%=%).lock || \
	  $(PYTHON) scripts/tools/install.py $(patsubst install-%,%,$(filter install-%,$@))

run: install ## make the demo drops if there are no drops, run all that is stale, say what happened
	@python scripts demo --if-missing
	@snakemake --cores $(CORES) --quiet host progress
	@python scripts summary

up: install ## start MinIO, the MLflow server, Spark and the dashboard on this machine; what runs then runs on them
	@python scripts up

down: install ## stop them; their data stays
	@python scripts down

up-containers: install ## the same with Docker, by compose.yaml
	@python scripts up_containers

down-containers: install ## stop the containers
	@python scripts down_containers

summary: install ## the result of the last run again
	@python scripts summary

doctor: install ## check Python, Java, packages, disk, S3, MLflow and Spark; say how to mend what is wrong
	@python scripts doctor

dashboard: install ## open the dashboard alone, without the stack
	@streamlit run scripts/dashboard.py

notebook: install-notebook ## open notebooks/production_model.ipynb in JupyterLab
	@jupyter lab notebooks/production_model.ipynb

migrate-store: install ## copy the runs and versions of mlflow.db to the MLflow server
	@python scripts migrate_store

push: install ## send drops, artifacts and the run cache to the DVC remote
	@python scripts push

pull: install ## get them: a fresh clone has nothing to compute then
	@python scripts pull

demo: install ## make the twelve demo drops
	@python scripts demo

ingest: install ## SOURCE=folder of five CSVs [DROP=2026-03-29]: check them and add them as a drop
	@python scripts ingest "$(SOURCE)" $(if $(DROP),--drop $(DROP))

inbox: install ## [COMMIT=1]: take in each complete delivery in inbox/, move a broken one aside
	@python scripts inbox $(if $(COMMIT),--commit)

schedule: install ## [AT=06:00] [INSTALL=1 or REMOVE=1]: print, install or take out a daily run
	@python scripts schedule --at "$(AT)" $(if $(INSTALL),--install) $(if $(REMOVE),--remove)

scheduled-run: install ## what the schedule runs: take in the inbox, run all that is stale; logs/schedule.log
	@python scripts scheduled_run

clear-demo: install ## take the demo drops out, to start with your own
	@python scripts clear_demo

try-alert: install ## send a test message to every address in CHURN_NOTIFY_URLS
	@python scripts try_alert

why: install ## what is stale, and what changed
	@said=$$(snakemake --cores 1 --dry-run 2>&1) || { echo "$$said" >&2; exit 1; }
	@python -m workflow.freshness why

experiments: install ## the DVC experiments on this commit, and the measures and parameters in which they differ
	@dvc exp show --md --only-changed --drop '$(LESS)'

plots: install ## BASE=main [HEAD=experiment]: the curves of both in one picture, on a page that opens offline
	@python scripts plots "$(BASE)" $(if $(HEAD),"$(HEAD)")

compare: install ## BASE=main [HEAD=experiment]: what changed, and is the model better? pages in reports/compare
	@python scripts compare "$(BASE)" $(if $(HEAD),--head "$(HEAD)")

report: install ## Snakemake's report of the last run, with its figures and tables: reports/pipeline_report.html
	@snakemake --report reports/pipeline_report.html --quiet

ledger: install ## who put which version into Production or took it out, when and why
	@python scripts ledger

rollback: install ## WHY="calls went up in Lima": put the previous version back into Production
	@python scripts rollback --why "$$WHY"

reproduce: install ## VERSION=3: make a registered version again from its commit and its data, and compare
	@python scripts reproduce "$(VERSION)"

minio: install ## build MinIO into .tools/, where no minio is on PATH (needs Go)
	@python scripts minio

test: install-test install-docs install-notebook ## [PART=drift]: the tests but the slow ones, or those of one folder
	@python -m pytest -m "not slow" $(if $(PART),$(wildcard tests/$(PART) workflow/$(PART)/tests))

test-all: install-test install-docs install-notebook ## all tests, as CI runs them
	@python scripts minio
	@python -m pytest

bench: install ## USERS=1000000 ENGINE=duckdb: the data layer's speed and memory, beside plain pandas
	@python benchmarks/data_layer.py --users $(USERS) --engine $(ENGINE)

bench-model: install ## ROWS=20000 FAMILY=logistic_regression: training beside a bare PySpark script, and scoring
	@python benchmarks/model.py --rows $(ROWS) --family $(FAMILY)

bench-drift: install ## USERS=1000000: drift of nine weekly drops
	@python benchmarks/drift.py --users $(USERS)

bench-freshness: install ## what the bridge costs, over DVC and Snakemake alone
	@PYTHONPATH=. python benchmarks/freshness.py

lint: install-test install-docs ## format, types, rules, notebooks without outputs, links of the documents, words to replace
	@ruff check && ruff format --check
	@snakefmt --check Snakefile workflow/rules && snakemake --lint
	@mypy
	@! git grep -nE '"(execution_count|output_type)": *["0-9]' -- '*.ipynb' || { echo "ERROR: clear the outputs of the notebook before you commit it" >&2; exit 1; }
	@python scripts words
	@NO_MKDOCS_2_WARNING=1 mkdocs build --strict --quiet --site-dir .snakemake/site

docs: install ## write the pages of docs/ that the code knows best
	@python scripts docs

words: install ## words in code and documents that our language rules replace
	@python scripts words

site: install-docs ## the documents as a site that works offline, links checked: site/index.html
	@NO_MKDOCS_2_WARNING=1 mkdocs build --strict --quiet

rulegraph: install ## draw docs/pictures/rulegraph.svg again (needs Graphviz)
	@mkdir -p .snakemake && snakemake all --rulegraph dot > .snakemake/rulegraph.dot && dot -Tsvg -o docs/pictures/rulegraph.svg .snakemake/rulegraph.dot

lock: install ## resolve requirements.lock and the locks of tests, docs and notebooks anew from pyproject.toml
	@python scripts lock
