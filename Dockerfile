# The image of MLflow, Spark and the dashboard in compose.yaml: what these servers need of requirements.lock, and no code.
ARG PYTHON_IMAGE=python:3.11.14-slim-bookworm@sha256:65a93d69fa75478d554f4ad27c85c1e69fa184956261b4301ebaf6dbb0a3543d
FROM ${PYTHON_IMAGE} AS install
WORKDIR /opt/churn
COPY requirements-servers.lock requirements.lock
COPY scripts/tools/install.py scripts/tools/install.py
RUN python scripts/tools/install.py

FROM ${PYTHON_IMAGE}
COPY --from=install /opt/churn/.venv /opt/churn/.venv
# The code is in the folder that compose.yaml mounts.
ENV PATH=/opt/churn/.venv/bin:$PATH HOME=/tmp PYTHONDONTWRITEBYTECODE=1
ARG INPUTS
LABEL churn.inputs=${INPUTS}
