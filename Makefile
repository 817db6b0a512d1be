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
KEEP ?= 26
WEEKS ?= 104
PAYERS ?= 1350
NUMBER ?= 200
KILLS ?= 100
DROPS ?= 60
# The columns that `make experiments` hides: all but the model's metrics and the parameters of the stages.
HIDDEN_COLUMNS := ^(?!Experiment|State|roc_auc$$|pr_auc$$|log_loss$$|ece$$|drift_share$$|engine|(clean|build|train|explain|detect)_\w+\.)
AT ?= 06:00
export PATH := $(CURDIR)/.venv/bin:$(PATH)
# What a user gives, as it was written: make would run a $(shell ...) in it, and a recipe that had it in its text any `...`.
# So recipes have only the name, "$$DROP", and the shell finds the value in the environment.
GIVEN := USERS ENGINE ROWS FAMILY BASE HEAD KEEP WEEKS PAYERS NUMBER KILLS DROPS CORES AT WHY NAME SOURCE DROP VERSION PART USER ADVISORIES
# The shell has a USER of its own, who is not the one to erase.
USER_FROM := $(origin USER)
FLAGS := ACCEPT COMMIT PUSH INSTALL REMOVE PINS
$(foreach one,$(GIVEN) $(FLAGS),$(eval override export $(one) := $$(value $(one))))

.PHONY: help install install-test install-docs install-notebook minio summary try-alert up down up-containers down-containers serve push pull prune erase retention withdraw migrate-store doctor dashboard notebook run demo check ingest inbox update-drops schedule scheduled-run clear-demo why experiments plots compare report ledger rollback hold release-hold promote rematch score reproduce test test-all bench bench-model bench-drift bench-freshness bench-years bench-promotions try-containers lint docs words site rulegraph lock audit bench-hostile bench-kills bench-soak

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1 \t\2/p' Makefile | expand -t 24

# When nothing has changed, this costs no more than the comparison.
install: ## install what requirements.lock pins into .venv; also install-test, install-docs, install-notebook
install install-test install-docs install-notebook:
	@test -x .venv/bin/python && ! test -e .venv/installing && cmp -s requirements.lock .venv/requirements.lock && \
	  cmp -s requirements$(@:install%=%).lock .venv/requirements$(@:install%=%).lock || \
	  $(PYTHON) scripts/tools/install.py $(patsubst install-%,%,$(filter install-%,$@))
	@# Closed before DVC makes them, as its own commands write with the user's umask (scripts/churn/base/private.py).
	@test ! -d .dvc || { test -e .dvc/cache && grep -qsF "$$PWD/.dvc/tmp/site" .dvc/config.local; } || \
	  PYTHONPATH=scripts .venv/bin/python -m churn.stack.site_cache
	@git config --get merge.drops.driver >/dev/null 2>&1 || ! git rev-parse --git-dir >/dev/null 2>&1 || \
	  { .venv/bin/python -m workflow.freshness merge --install && .venv/bin/python scripts update_drops --install; }

run: install ## generate demo drops if no drops exist, run whatever is stale, print the result
	@python scripts demo --if-missing
	@snakemake --cores "$$CORES"
	@python scripts summary

up: install ## start MinIO, MLflow, Spark and the dashboard on this machine; later commands use them
	@python scripts up

down: install ## stop these servers; their data stays
	@python scripts down

up-containers: install ## start the same servers with Docker (compose.yaml)
	@python scripts up_containers

down-containers: install ## stop the containers
	@python scripts down_containers

serve: install ## NAME=mlflow: run one of these servers in the foreground, as its container does
	@python scripts serve -- "$$NAME"

summary: install ## print the result of the last run again
	@python scripts summary

doctor: install ## check Python, Java, packages, disk, S3, MLflow and Spark, and say how to fix each problem
	@python scripts doctor

dashboard: install ## open only the dashboard, without the other servers
	@streamlit run scripts/dashboard.py

notebook: install-notebook ## open notebooks/production_model.ipynb in JupyterLab
	@jupyter lab notebooks/production_model.ipynb

migrate-store: install ## copy the runs and versions in mlflow.db to the MLflow server
	@python scripts migrate_store

push: install ## send drops, artifacts and the run cache to the DVC remote
	@python scripts push

pull: install ## [DROP=2026-03-29]: get them from there, so that a fresh clone has nothing to compute; or only a drop
	@python scripts pull $(if $(DROP),--drop="$$DROP")

prune: install ## KEEP=26: drop from this clone what only weeks before the newest 26 need, once the remote holds it
	@python scripts prune -- "$$KEEP"

demo: install ## generate the twelve demo drops
	@python scripts demo

check: install ## SOURCE=folder with five CSV files [ACCEPT=1]: look at a delivery; propose how to read it, or accept the proposal
	@test -n "$$SOURCE" || { echo "ERROR: set SOURCE to the folder with the five CSV files: make check SOURCE=<folder>" >&2; exit 1; }
	@python scripts check $(if $(ACCEPT),--accept) -- "$$SOURCE"

ingest: install ## SOURCE=folder with five CSV files [DROP=2026-03-29]: check them and add them as a drop
	@python scripts ingest $(if $(DROP),--drop="$$DROP") -- "$$SOURCE"

erase: install ## USER=123 WHY="request 42 of 3 May": erase a user from every place, with a proof by search
	@test "$(USER_FROM)" = "command line" || test -n "$${CHURN_ERASE_USER:-}" || { echo 'ERROR: the user is missing: make erase USER=123 WHY="..."' >&2; exit 1; }
	@$(if $(filter command line,$(USER_FROM)),CHURN_ERASE_USER="$$USER") python scripts erase --why="$$WHY"

retention: install ## remove rejected rows, scores, deliveries and logs past their days in params.yaml
	@python scripts retention

withdraw: install ## DROP=2026-03-29: remove a drop that should never have been delivered, and all made from it
	@python scripts withdraw -- "$$DROP"

update-drops: install ## write data/drops.yaml again after you edited it by hand
	@python scripts update_drops

inbox: install ## [COMMIT=1 or PUSH=1]: ingest each complete delivery in inbox/, move invalid ones aside
	@python scripts inbox $(if $(COMMIT),--commit) $(if $(PUSH),--push)

schedule: install ## [AT=06:00] [INSTALL=1 or REMOVE=1]: print, install or remove a daily run
	@python scripts schedule --at="$$AT" $(if $(INSTALL),--install) $(if $(REMOVE),--remove)

scheduled-run: install ## the command of the schedule: ingest the inbox, run whatever is stale, log to logs/schedule.log
	@python scripts scheduled_run

clear-demo: install ## remove the demo drops, to start with your own data
	@python scripts clear_demo

try-alert: install ## send a test message to every address in CHURN_NOTIFY_URLS
	@python scripts try_alert

why: install ## list what is stale, and why
	@said=$$(snakemake --cores 1 --dry-run 2>&1) || case $$said in \
	  *"runs in this folder already"*) ;; *) echo "$$said" >&2; exit 1 ;; esac
	@python -m workflow.freshness why

experiments: install ## list the DVC experiments on this commit, with the metrics and parameters that differ
	@dvc exp show --md --only-changed --drop '$(HIDDEN_COLUMNS)'

plots: install ## BASE=main [HEAD=experiment]: draw the curves of both in one HTML page that works offline
	@python scripts plots -- "$$BASE" $(if $(HEAD),"$$HEAD")

compare: install ## BASE=main [HEAD=experiment]: what changed, and is the model better? Writes to reports/compare
	@python scripts compare $(if $(HEAD),--head="$$HEAD") -- "$$BASE"

report: install ## write Snakemake's report of the last run, with figures and tables: reports/pipeline_report.html
	@python scripts report

ledger: install ## list who promoted or rolled back which version, when and why
	@python scripts ledger

rollback: install ## WHY="calls went up in Lima": put the previous version back into Production
	@python scripts rollback --why="$$WHY"

hold: install ## WHY="the audit ends on Friday": let no run promote anything until make release-hold
	@python scripts hold --why="$$WHY"

release-hold: install ## WHY="the audit is over": let runs promote again, after make hold or make rollback
	@python scripts release_hold --why="$$WHY"

promote: install ## VERSION=7 WHY="a horizon of 60 days from May": put a version into Production by your own decision
	@python scripts promote --why="$$WHY" -- "$$VERSION"

rematch: install ## train the parameters of Production on today's rows, and compare the candidate with that
	@python scripts rematch

score: install ## DROP=2026-01-04 [VERSION=3]: score the users of a drop, with Production or another version
	@python scripts score $(if $(VERSION),--version="$$VERSION") --cores="$$CORES" -- "$$DROP"

reproduce: install ## VERSION=3: rebuild a registered version from its commit and data, and compare the results
	@python scripts reproduce -- "$$VERSION"

minio: install ## build MinIO into .tools/ if it is not installed (needs Go)
	@python scripts minio

test: install-test install-docs install-notebook ## [PART=drift]: the tests but the slow ones, or those of one folder
	@set -- -m "not slow"; for one in $(if $(PART),"tests/$$PART" "workflow/$$PART/tests"); do test ! -d "$$one" || set -- "$$@" "$$one"; done; \
	  test -z "$$PART" || test $$# -gt 2 || { echo "ERROR: no tests in tests/$$PART" >&2; exit 1; }; \
	  python -m pytest "$$@"

test-all: install-test install-docs install-notebook ## all tests, as CI runs them
	@python scripts minio
	@python -m pytest

bench: install ## USERS=1000000 ENGINE=duckdb: speed and memory of the data stages, compared with plain pandas
	@python benchmarks/data_layer.py --users="$$USERS" --engine="$$ENGINE"

bench-model: install ## ROWS=20000 FAMILY=logistic_regression: training compared with a bare PySpark script, and scoring
	@python benchmarks/model.py --rows="$$ROWS" --family="$$FAMILY"

bench-drift: install ## USERS=1000000: measure drift over nine weekly drops
	@python benchmarks/drift.py --users="$$USERS"

bench-freshness: install ## the overhead of the bridge, compared with DVC and Snakemake alone
	@PYTHONPATH=. python benchmarks/freshness.py

bench-years: install ## [WEEKS=104 PAYERS=1350]: measure a first run, one more week and nothing to do after so many weeks
	@python benchmarks/years.py --users="$$PAYERS" -- "$$WEEKS"

bench-promotions: install ## simulate years of weekly candidates: how often luck promotes, how soon a better model is (minutes)
	@python benchmarks/promotions.py

bench-hostile: install ## [NUMBER=200]: put hostile deliveries into an inbox, each beside a good one (half an hour)
	@python benchmarks/hostile.py "$$NUMBER"

bench-kills: install ## [KILLS=100]: kill the whole stack at random times of a run, and compare with an undisturbed one
	@python benchmarks/kills.py "$$KILLS"

bench-soak: install ## [DROPS=60]: deliver a drop after each run; do open files, memory and folders grow? (two hours)
	@python benchmarks/soak.py "$$DROPS"

try-containers: install ## the stack in containers from no image to a pulled clone, with kills (ten minutes; needs Docker)
	@python benchmarks/containers.py

lint: install-test install-docs ## format, types, rules, notebooks without outputs, links of the documents, words to replace
	@ruff check && ruff format --check
	@snakefmt --check Snakefile workflow/rules && snakemake --lint
	@mypy
	@! git grep -nE '"(execution_count|output_type)": *["0-9]' -- '*.ipynb' || { echo "ERROR: clear the outputs of the notebook before you commit it" >&2; exit 1; }
	@python scripts words
	@python scripts audit --pins
	@NO_MKDOCS_2_WARNING=1 mkdocs build --strict --quiet --site-dir .snakemake/site

docs: install ## generate docs/reference from the code
	@python scripts docs

words: install ## words in code and documents that our language rules replace
	@python scripts words

site: install-docs ## the documents as a site that works offline, links checked: site/index.html
	@NO_MKDOCS_2_WARNING=1 mkdocs build --strict --quiet

rulegraph: install ## draw docs/pictures/rulegraph.svg again (needs Graphviz)
	@mkdir -p .snakemake && snakemake all --rulegraph dot > .snakemake/rulegraph.dot && dot -Tsvg -o docs/pictures/rulegraph.svg .snakemake/rulegraph.dot

lock: install ## resolve requirements.lock and the locks of tests, docs and notebooks again from pyproject.toml
	@python scripts lock

audit: install-test ## [ADVISORIES=all.zip] [PINS=1]: packages with known vulnerabilities; actions, images, packages not pinned
	@python scripts audit $(if $(value ADVISORIES),--advisories="$$ADVISORIES") $(if $(PINS),--pins)
